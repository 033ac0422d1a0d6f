"""Runs the learner's functions of `anycost_gan` on one instance and reports plain facts."""

import numpy as np
import torch
import torch.nn.functional as F

DRAWS = 1_000
PARTS = ("make_weight", "make_bias", "read_weight", "style_weight", "style_bias")


def modulated_conv(fn, args):
    tensors = {name: torch.tensor(args[name], dtype=torch.float64) for name in ("x", "weight", "style")}
    before = {name: t.clone() for name, t in tensors.items()}
    out = fn(tensors["x"], tensors["weight"], tensors["style"], args["out"], args["demodulate"])
    changed = [name for name, t in tensors.items() if not torch.equal(t, before[name])]
    return {"out": out.detach().numpy().copy(), "mutated": changed}


def sort_channels(fn, args):
    """The five reordered tensors, and how far the output of the two layers moves."""
    tensors = [torch.tensor(args[name], dtype=torch.float64) for name in PARTS]
    before = [t.clone() for t in tensors]
    result = [torch.as_tensor(t) for t in fn(*tensors, torch.tensor(args["mean_style"], dtype=torch.float64))]
    changed = [name for name, t, old in zip(PARTS, tensors, before) if not torch.equal(t, old)]
    x, w = (torch.tensor(args[name], dtype=torch.float64) for name in ("x", "w"))
    gap = (_two_layers(x, w, *result) - _two_layers(x, w, *before)).abs().max()
    return {**{name: t.numpy().copy() for name, t in zip(PARTS, result)}, "output_moves": float(gap), "mutated": changed}


def _two_layers(x, w, make_weight, make_bias, read_weight, style_weight, style_bias):
    hidden = F.leaky_relu(F.conv2d(x, make_weight) + make_bias[:, None, None], 0.2)
    style = w @ style_weight.T + style_bias
    spread = torch.rsqrt(style.square() @ read_weight.square().sum((2, 3)).T + 1e-8)
    return F.conv2d(hidden * style[:, :, None, None], read_weight) * spread[:, :, None, None]


def sample_ratios(fn, args):
    """Shares over many draws: how often all layers agree, and how often each layer has each ratio."""
    rng = np.random.default_rng(args["seed"])
    draws = [[float(r) for r in fn(rng, args["layers"], args["flexible"], list(args["ratios"]))] for _ in range(DRAWS)]
    table = np.array(draws)
    counts = np.stack([(table == r).mean(0) for r in args["ratios"]], 1)
    return {"length": int(table.shape[1]), "foreign": int((~np.isin(table, args["ratios"])).sum()), "all_equal": float((table == table[:, :1]).all(1).mean()),
            "shares": counts}


def search_budget(fn, args):
    """The chosen ratios, and whether the function asked for the error of a candidate over the budget."""
    ratios, loss, coupling, cost = args["ratios"], args["loss"], args["coupling"], args["cost"]
    asked = []

    def macs(choice):
        full = [1.0, *choice]
        return float(sum(cost[i] * full[i] * full[i + 1] for i in range(len(choice))))

    def error(choice):
        asked.append(macs(choice))
        index = [ratios.index(r) for r in choice]
        return float(sum(loss[i][k] for i, k in enumerate(index)) + sum(coupling[i] * abs(a - b) for i, (a, b) in enumerate(zip(choice, choice[1:]))))

    try:
        found = [float(r) for r in fn(error, macs, len(loss), list(ratios), args["budget"])]
    except ValueError:
        return {"found": [], "refused": True, "over": int(sum(m > args["budget"] for m in asked))}
    return {"found": found, "refused": False, "over": int(sum(m > args["budget"] for m in asked))}
