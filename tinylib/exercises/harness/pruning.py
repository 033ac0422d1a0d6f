"""Runs the learner's functions of the lab pruning and reports plain facts."""

import numpy as np
import torch
from torch import nn


def magnitude_mask(fn, args):
    """fn(weight, sparsity) -> mask."""
    weight = torch.from_numpy(args["weight"].copy())
    mask = fn(weight, args["sparsity"])
    return {"mask": mask, "kept": _count(mask), "mutated": not np.array_equal(weight.numpy(), args["weight"])}


def two_four_mask(fn, args):
    """fn(weight) -> mask."""
    weight = torch.from_numpy(args["weight"].copy())
    mask = fn(weight)
    return {"mask": mask, "kept": _count(mask), "mutated": not np.array_equal(weight.numpy(), args["weight"])}


def _count(mask):
    return int(mask.sum()) if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool else -1


def sensitivity_scan(fn, args):
    """fn(weights, sparsities, evaluate, mask) -> curves. `evaluate` reads the tensors of a two-layer network and counts its calls."""
    weights = {"first": torch.from_numpy(args["first"].copy()), "second": torch.from_numpy(args["second"].copy())}
    first, second = weights.values()                          # the network's own tensors, whatever happens to the dictionary
    x, y = torch.from_numpy(args["x"]), torch.from_numpy(args["y"])
    calls = [0]

    def evaluate():
        calls[0] += 1
        with torch.no_grad():
            return -float(((x @ first.T).relu() @ second.T - y).square().mean())

    def mask(weight, sparsity):
        flat = weight.detach().abs().flatten()
        kept = torch.zeros_like(flat, dtype=torch.bool)
        kept[torch.sort(flat, descending=True, stable=True).indices[: round((1 - sparsity) * flat.numel())]] = True
        return kept.view(weight.shape)

    curves = fn(weights, list(args["sparsities"]), evaluate, mask)
    curves = {str(name): [float(v) for v in curve] for name, curve in dict(curves).items()}
    restored = np.array_equal(first.detach().numpy(), args["first"]) and np.array_equal(second.detach().numpy(), args["second"])
    return {"curves": curves, "calls": calls[0], "restored": bool(restored)}


def coupled(fn, args):
    """fn(graph, layer, channel) -> set of (layer, channel), reported as a sorted list of texts."""
    graph = [(name, kind, tuple(sources), int(channels)) for name, kind, sources, channels in args["graph"]]
    found = fn(list(graph), args["layer"], args["channel"])
    return {"together": sorted(f"{layer}[{int(channel)}]" for layer, channel in set(found))}


def cut_channels(fn, args):
    """fn(conv, norm, depthwise, head, keep) -> four smaller layers; the network is conv, norm, ReLU, depth-wise, ReLU, flatten, head."""
    layers = build(args)
    before = [t.clone() for layer in layers for t in layer.state_dict().values()]
    with torch.no_grad():
        small = fn(*layers, torch.from_numpy(args["keep"].copy()))
        conv, norm, depthwise, head = small
        for layer in small:
            layer.eval()
        x = torch.from_numpy(args["x"])
        x = torch.relu(depthwise(torch.relu(norm(conv(x)))))
        output = head(torch.flatten(x, 1))
    after = [t for layer in layers for t in layer.state_dict().values()]
    return {
        "output": output, "weights": sum(p.numel() for layer in small for p in layer.parameters()),
        "shapes": [str(tuple(layer.weight.shape)) for layer in small],
        "mutated": len(before) != len(after) or not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(before, after)),
    }


def build(args):
    """The four full-size layers in float64 and eval mode from the instance's arrays."""
    k, c, side, _ = args["conv"].shape
    conv = nn.Conv2d(c, k, side, padding=side // 2, bias=False)
    norm = nn.BatchNorm2d(k, eps=float(args["eps"]))
    depthwise = nn.Conv2d(k, k, 3, padding=1, groups=k)
    head = nn.Linear(args["head"].shape[1], args["head"].shape[0])
    layers = [layer.double().eval() for layer in (conv, norm, depthwise, head)]
    values = ((conv.weight, "conv"), (norm.weight, "scale"), (norm.bias, "shift"), (norm.running_mean, "mean"), (norm.running_var, "var"),
              (depthwise.weight, "depthwise"), (depthwise.bias, "depthwise_bias"), (head.weight, "head"), (head.bias, "head_bias"))
    with torch.no_grad():
        for tensor, name in values:
            tensor.copy_(torch.from_numpy(args[name]))
    return layers
