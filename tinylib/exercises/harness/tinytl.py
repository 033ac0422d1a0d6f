"""Runs the learner's functions of the lab tinytl and reports plain facts."""

import copy

import numpy as np
import torch


def tensor(value, grad=False):
    return None if value is None else torch.from_numpy(value.copy()).requires_grad_(grad)


def kept_bytes(forward, fixed):
    """(result, bytes of the storages that autograd keeps, without those of `fixed`)."""
    own, seen, keep = {t.untyped_storage()._cdata for t in fixed if t is not None}, {}, []

    def pack(saved):
        key = saved.untyped_storage()._cdata
        if key not in own and key not in seen:
            seen[key] = saved.untyped_storage().nbytes()
            keep.append(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        result = forward()
    return result, sum(seen.values())


def trained_names(fn, args):
    """fn(parameters, method) -> names, reported sorted."""
    parameters = copy.deepcopy(args["parameters"])
    names = sorted(set(fn(parameters, args["method"])))
    return {"names": [str(n) for n in names], "mutated": parameters != args["parameters"]}


def packed_relu(fn, args):
    """fn(x, top) -> y, then a backward pass."""
    x = tensor(args["x"], grad=True)
    top = None if args["top"] == 0 else args["top"]
    y, kept = kept_bytes(lambda: fn(x, top), [])
    (y * tensor(args["grad"])).sum().backward()
    mutated = not np.array_equal(x.detach().numpy(), args["x"])
    return {"y": y.detach(), "grad_x": x.grad, "kept_bytes": kept, "mutated": mutated}


def frozen_conv(fn, args):
    """fn(x, weight, bias, stride, padding, dilation, groups) -> y, used twice on two sizes before the backward passes."""
    x, weight, bias = tensor(args["x"], grad=True), tensor(args["weight"]), tensor(args["bias"], grad=True)
    geometry = args["stride"], args["padding"], args["dilation"], args["groups"]
    y, kept = kept_bytes(lambda: fn(x, weight, bias, *geometry), [weight, bias])
    narrow = fn(x[:, :, 1:], weight, bias, *geometry)
    (y.square().sum() / 2).backward()
    (narrow * torch.ones_like(narrow)).sum().backward()
    return {"y": y.detach(), "narrow": narrow.detach(), "grad_x": x.grad, "grad_bias": None if bias is None else bias.grad, "kept_bytes": kept}


def lite_residual(fn, args):
    """fn(x, parts, size, stride, groups) -> y; parts is a dictionary of tensors."""
    x = tensor(args["x"])
    parts = {name: tensor(args[name]) for name in ("conv", "norm_scale", "norm_shift", "project", "last_scale", "last_shift")}
    y = fn(x, dict(parts), tuple(args["size"]), args["stride"], args["groups"])
    mutated = not np.array_equal(x.numpy(), args["x"]) or any(not np.array_equal(p.numpy(), args[n]) for n, p in parts.items())
    return {"y": y.detach(), "mutated": mutated}


def training_memory(fn, args):
    """fn(layers) -> bytes."""
    layers = copy.deepcopy(args["layers"])
    total = fn(layers)
    return {"bytes": int(total) if float(total) == int(total) else float(total), "mutated": layers != args["layers"]}
