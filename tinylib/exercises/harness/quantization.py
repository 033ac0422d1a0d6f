"""Runs the learner's functions of the lab quantization and reports plain facts."""

import numpy as np
import torch


def affine_params(fn, args):
    """fn(low, high, bits) -> (scale, zero_point)."""
    scale, zero_point = fn(args["low"], args["high"], args["bits"])
    return {"scale": _float(scale), "zero_point": _whole(zero_point)}


def _float(value):
    return float(value)


def _whole(value):
    """The number as int when it is whole, else as it came, so that the card can show it."""
    number = float(value)
    return int(number) if number == int(number) else number


def per_channel(fn, args):
    """fn(weight, bits) -> (q, scale)."""
    weight = torch.from_numpy(args["weight"].copy())
    q, scale = fn(weight, args["bits"])
    return {"q": q, "scale": scale, "mutated": not np.array_equal(weight.numpy(), args["weight"])}


def requantise(fn, args):
    """fn(acc, multiplier, shift, zero_point) -> int8."""
    acc, multiplier, shift = (torch.from_numpy(args[name].copy()) for name in ("acc", "multiplier", "shift"))
    y = fn(acc, multiplier, shift, args["zero_point"])
    changed = [name for name, t in (("acc", acc), ("multiplier", multiplier), ("shift", shift)) if not np.array_equal(t.numpy(), args[name])]
    return {"y": y, "mutated": changed}


def kmeans_update(fn, args):
    """fn(values, codes, centroids) -> new centroids."""
    values, codes, centroids = (torch.from_numpy(args[name].copy()) for name in ("values", "codes", "centroids"))
    new = fn(values, codes, centroids)
    changed = [name for name, t in (("values", values), ("codes", codes), ("centroids", centroids)) if not np.array_equal(t.numpy(), args[name])]
    return {"centroids": new, "mutated": changed}


def fake_quantise(fn, args):
    """fn(x, scale, zero_point, low, high) -> rounded values; and the gradient that reaches x from a known gradient above."""
    x = torch.from_numpy(args["x"].copy()).requires_grad_(True)
    y = fn(x, args["scale"], args["zero_point"], args["low"], args["high"])
    connected = isinstance(y, torch.Tensor) and y.requires_grad
    if connected:
        (y * torch.from_numpy(args["above"].copy())).sum().backward()
    gradient = x.grad if x.grad is not None else torch.zeros_like(x)
    return {"y": y.detach() if isinstance(y, torch.Tensor) else y, "connected": bool(connected), "gradient": gradient.detach(),
            "mutated": not np.array_equal(x.detach().numpy(), args["x"])}
