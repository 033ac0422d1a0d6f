"""Exercises and questions of the lab pruning."""

import numpy as np
import torch
from torch import nn

from tinylib.check.exercise import Exercise, Misconception, Property
from tinylib.check.properties import agrees, at_most, holds, no_mutation, shape_and_dtype
from tinylib.check.question import Item, Question
from tinylib.exercises.harness import pruning as harness
from tinylib.prune.magnitude import magnitude_mask, n_of_m_mask


def right_count(key="kept", rule="round((1 - sparsity) * n)"):
    """The number of kept weights, as its own sentence."""
    def test(args, got, expected):
        if got[key] == expected[key]:
            return None
        return f"The mask keeps {got[key]} of {args['weight'].size} weights; {rule} is {expected[key]}." if got[key] >= 0 else "The mask is no bool tensor."

    return Property(f"exactly {rule} weights are kept", test)


# 1. magnitude_mask

def magnitude_instances(rng):
    tied = rng.integers(-2, 3, (4, 5)).astype(np.float32)
    return [
        {"weight": np.array([[1.0, -3.0], [2.0, 0.5]], np.float32), "sparsity": 0.5},
        {"weight": np.ones((2, 3), np.float32), "sparsity": 0.5},
        {"weight": np.arange(1.0, 11.0, dtype=np.float32), "sparsity": 0.33},
        {"weight": tied, "sparsity": float(rng.choice([0.25, 0.4, 0.6]))},
        {"weight": rng.normal(size=(3, 4)).astype(np.float32), "sparsity": 0.0},
        {"weight": rng.normal(size=(3, 4)).astype(np.float32), "sparsity": 1.0},
        {"weight": rng.normal(size=(6, 4, 3, 3)).astype(np.float32), "sparsity": float(rng.uniform(0.1, 0.95))},
        {"weight": np.zeros((5, 7), np.float32), "sparsity": 0.8},
    ]


def magnitude_oracle(args):
    flat = np.abs(args["weight"]).ravel()
    keep, mask = round((1 - args["sparsity"]) * flat.size), np.zeros(flat.size, bool)
    for _ in range(keep):
        best = -1
        for i in range(flat.size):
            if not mask[i] and (best < 0 or flat[i] > flat[best]):
                best = i
        mask[best] = True
    return {"mask": mask.reshape(args["weight"].shape), "kept": keep}


def by_threshold(weight, sparsity):
    keep = round((1 - sparsity) * weight.numel())
    if keep == 0:
        return torch.zeros_like(weight, dtype=torch.bool)
    return weight.abs() >= weight.abs().flatten().sort(descending=True).values[keep - 1]


def by_sign(weight, sparsity):
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[weight.flatten().sort(descending=True, stable=True).indices[: round((1 - sparsity) * weight.numel())]] = True
    return mask.view(weight.shape)


def by_flip(weight, sparsity):
    order = weight.abs().flatten().sort(stable=True).indices
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[: weight.numel() - round((1 - sparsity) * weight.numel())]] = False
    return mask.view(weight.shape)


def by_cutting_down(weight, sparsity):
    return magnitude_mask(weight, 1 - int((1 - sparsity) * weight.numel()) / max(weight.numel(), 1))


# 2. two_four_mask

def two_four_instances(rng):
    return [
        {"weight": np.array([[1.0, -4.0, 3.0, 2.0]], np.float32)},
        {"weight": np.array([[9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0]], np.float32)},
        {"weight": np.ones((2, 8), np.float32)},
        {"weight": rng.integers(-2, 3, (3, 8)).astype(np.float32)},
        {"weight": rng.normal(size=(4, 16)).astype(np.float32)},
        {"weight": rng.normal(size=(2, 4, 2, 2)).astype(np.float32)},
        {"weight": rng.normal(size=(3, 8, 3, 3)).astype(np.float32)},
    ]


def two_four_oracle(args):
    weight, mask = args["weight"], np.zeros(args["weight"].shape, bool)
    rest = list(np.ndindex(*weight.shape[2:])) or [()]
    for row in range(weight.shape[0]):
        for start in range(0, weight.shape[1], 4):
            for place in rest:
                four = [(-abs(weight[(row, start + j, *place)]), j) for j in range(4)]
                for _, j in sorted(four)[:2]:
                    mask[(row, start + j, *place)] = True
    return {"mask": mask, "kept": int(mask.sum())}


def four_in_memory(weight):
    groups = weight.abs().reshape(-1, 4)
    order = groups.sort(dim=1, descending=True, stable=True).indices[:, :2]
    return torch.zeros_like(groups, dtype=torch.bool).scatter_(1, order, True).view(weight.shape)


def half_of_a_row(weight):
    return torch.stack([magnitude_mask(row, 0.5) for row in weight])


# 3. sensitivity_scan

def scan_instances(rng):
    def one(hidden, sparsities, whole=False):
        draw = (lambda *shape: rng.integers(-3, 4, shape).astype(float)) if whole else (lambda *shape: rng.normal(size=shape))
        return {"first": draw(hidden, 3), "second": draw(2, hidden), "x": draw(5, 3), "y": draw(5, 2), "sparsities": sparsities}

    return [one(2, [0.5], whole=True), one(4, [0.0, 0.5, 1.0]), one(6, [0.9, 0.3, 0.6]), one(12, [0.25, 0.75])]


def scan_oracle(args):
    curves = {}
    for name in ("first", "second"):
        curves[name] = []
        for sparsity in args["sparsities"]:
            net = {"first": args["first"].copy(), "second": args["second"].copy()}
            flat = net[name].reshape(-1)
            ranked = sorted(range(flat.size), key=lambda i: (-abs(flat[i]), i))
            for i in ranked[round((1 - sparsity) * flat.size):]:
                flat[i] = 0.0
            out = np.maximum(args["x"] @ net["first"].T, 0) @ net["second"].T
            curves[name].append(-float(((out - args["y"]) ** 2).mean()))
    return {"curves": curves, "restored": True, "calls": 2 * len(args["sparsities"])}


def scan_reference(weights, sparsities, evaluate, mask):
    """One layer at a time: prune, score, put back."""
    curves = {}
    for name, weight in weights.items():
        before, curves[name] = weight.detach().clone(), []
        for sparsity in sparsities:
            with torch.no_grad():
                weight.copy_(before * mask(before, sparsity))
            curves[name].append(evaluate())
        with torch.no_grad():
            weight.copy_(before)
    return curves


def scan_without_clone(weights, sparsities, evaluate, mask):
    curves = {}
    for name, weight in weights.items():
        before, curves[name] = weight.detach(), []
        for sparsity in sparsities:
            weight.data.mul_(mask(weight, sparsity))
            curves[name].append(evaluate())
        weight.data.copy_(before)
    return curves


def scan_restores_late(weights, sparsities, evaluate, mask):
    curves = {}
    for name, weight in weights.items():
        before, curves[name] = weight.detach().clone(), []
        for sparsity in sparsities:
            weight.data.mul_(mask(weight, sparsity))
            curves[name].append(evaluate())
        weight.data.copy_(before)
    return curves


def scan_swaps_the_name(weights, sparsities, evaluate, mask):
    curves = {}
    for name, weight in list(weights.items()):
        curves[name] = []
        for sparsity in sparsities:
            weights[name] = weight * mask(weight, sparsity)
            curves[name].append(evaluate())
        weights[name] = weight
    return curves


# 4. coupled

CHAIN = [["image", "input", [], 3], ["a", "conv", ["image"], 4], ["n", "norm", ["a"], 4], ["r", "relu", ["n"], 4], ["b", "conv", ["r"], 2]]
RESIDUAL = [["image", "input", [], 3], ["stem", "conv", ["image"], 4], ["wide", "conv", ["stem"], 6], ["deep", "depthwise", ["wide"], 6],
            ["thin", "conv", ["deep"], 4], ["sum", "add", ["stem", "thin"], 4], ["head", "conv", ["sum"], 2]]
JOINED = [["image", "input", [], 3], ["a", "conv", ["image"], 2], ["b", "conv", ["image"], 3], ["both", "concat", ["a", "b"], 5],
          ["n", "norm", ["both"], 5], ["c", "conv", ["n"], 5], ["sum", "add", ["c", "both"], 5]]
TO_INPUT = [["image", "input", [], 3], ["a", "conv", ["image"], 3], ["sum", "add", ["a", "image"], 3], ["b", "conv", ["sum"], 3],
            ["again", "add", ["sum", "b"], 3]]


def random_graph(rng, steps):
    graph, widths = [["image", "input", [], 4]], {"image": 4}
    for i in range(steps):
        kind = str(rng.choice(["conv", "conv", "depthwise", "norm", "relu", "add", "concat"]))
        first = str(rng.choice(list(widths)))
        same = [n for n in widths if widths[n] == widths[first]] if kind == "add" else list(widths)
        sources = [first, str(rng.choice(same))] if kind in ("add", "concat") else [first]
        channels = int(rng.choice([2, 4, 6])) if kind == "conv" else sum(widths[s] for s in sources) if kind == "concat" else widths[first]
        if channels <= 24:
            graph.append([f"{kind}{i}", kind, sources, channels])
            widths[f"{kind}{i}"] = channels
    return graph


def coupled_instances(rng):
    fixed = [(CHAIN, "a", 2), (RESIDUAL, "wide", 5), (RESIDUAL, "thin", 1), (JOINED, "b", 1), (JOINED, "c", 4), (TO_INPUT, "b", 0)]
    drawn = []
    for steps in (8, 14, 20):
        graph = random_graph(rng, steps)
        makers = [n for n in graph if n[1] == "conv"] or [["image", "input", [], 4]]
        name, _, _, channels = makers[int(rng.integers(len(makers)))]
        drawn.append((graph, name, int(rng.integers(channels))))
    return [{"graph": g, "layer": layer, "channel": c} for g, layer, c in [*fixed, *drawn]]


def coupled_oracle(args):
    """Flood over pairs of (node, place) that must be equal, until nothing new is reached."""
    kinds = {name: kind for name, kind, _, _ in args["graph"]}
    links = []
    for name, kind, sources, channels in args["graph"]:
        width = {n: c for n, _, _, c in args["graph"]}
        if kind in ("depthwise", "norm", "relu", "add"):
            links += [((name, i), (s, i)) for s in sources for i in range(channels)]
        if kind == "concat":
            place = 0
            for s in sources:
                links += [((name, place + i), (s, i)) for i in range(width[s])]
                place += width[s]
    reached, grew = {(args["layer"], args["channel"])}, True
    while grew:
        new = {b for a, b in links if a in reached} | {a for a, b in links if b in reached}
        grew, reached = not new <= reached, reached | new
    return {"together": sorted(f"{n}[{i}]" for n, i in reached if kinds[n] in ("input", "conv", "depthwise", "norm"))}


def coupled_reference(graph, layer, channel, ties=True, offsets=True, through=()):
    """Labels that travel; an addition ties two labels. The switches plant the typical mistakes."""
    parent, out = {}, {}

    def root(label):
        while parent.get(label, label) != label:
            label = parent[label]
        return label

    for name, kind, sources, channels in graph:
        if kind in ("input", "conv") and not (kind in through and channels == len(out[sources[0]])):
            out[name] = [(name, i) for i in range(channels)]
        elif kind == "concat":
            out[name] = [label for s in sources for label in out[s]] if offsets else (out[sources[0]] * channels)[:channels]
        else:
            out[name] = out[sources[0]]
        if kind == "add" and ties:
            for a, b in zip(out[sources[0]], out[sources[1]]):
                if root(a) != root(b):
                    parent[root(a)] = root(b)
    weighted = {name for name, kind, _, _ in graph if kind in ("input", "conv", "depthwise", "norm")}
    wanted = root(out[layer][channel])
    return {(name, i) for name in weighted for i, label in enumerate(out[name]) if root(label) == wanted}


# 5. cut_channels

def cut_instances(rng):
    def one(c, k, image, keep, whole, side=3):
        draw = (lambda *s: rng.integers(-2, 3, s).astype(float)) if whole else (lambda *s: rng.normal(size=s))
        return {"conv": draw(k, c, side, side), "scale": draw(k), "shift": draw(k), "mean": draw(k),
                "var": np.ones(k) if whole else rng.uniform(0.5, 2.0, k), "eps": 0.0 if whole else 1e-5,
                "depthwise": draw(k, 1, 3, 3), "depthwise_bias": draw(k), "head": draw(3, k * image * image), "head_bias": draw(3),
                "x": draw(2, c, image, image), "keep": np.array(keep), "whole": whole}

    some = np.sort(rng.choice(8, 5, replace=False)).tolist()
    return [one(1, 2, 1, [1], True, side=1), one(2, 3, 2, [0, 2], True), one(2, 4, 3, [0, 1, 2, 3], True), one(3, 8, 4, some, True), one(3, 8, 4, some, False)]


def cut_oracle(args):
    """The full network by loops, with the head's columns of removed channels at zero."""
    x, keep = args["x"], set(args["keep"].tolist())
    made = loop_conv(x, args["conv"], np.zeros(len(args["conv"])))
    made = (made - args["mean"][:, None, None]) / np.sqrt(args["var"] + args["eps"])[:, None, None]
    made = np.maximum(made * args["scale"][:, None, None] + args["shift"][:, None, None], 0)
    parts = [loop_conv(made[:, i:i + 1], args["depthwise"][i:i + 1], args["depthwise_bias"][i:i + 1]) for i in range(made.shape[1])]
    made = np.maximum(np.concatenate(parts, 1), 0)
    pixels = made.shape[2] * made.shape[3]
    head = args["head"].copy()
    for i in set(range(made.shape[1])) - keep:
        head[:, i * pixels:(i + 1) * pixels] = 0
    n, (_, c, side, _) = len(keep), args["conv"].shape
    shapes = [(n, c, side, side), (n,), (n, 1, 3, 3), (len(head), n * pixels)]
    weights = sum(int(np.prod(s)) for s in shapes) + 2 * n + len(head)
    return {"output": made.reshape(len(x), -1) @ head.T + args["head_bias"], "weights": weights, "shapes": [str(s) for s in shapes]}


def loop_conv(x, weight, bias):
    side = weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    out = np.zeros((len(x), len(weight), *x.shape[2:]))
    for k in range(len(weight)):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                out[:, k, i, j] = (padded[:, :, i:i + side, j:j + side] * weight[k]).sum((1, 2, 3)) + bias[k]
    return out


def same_function(args, got, expected):
    gap, scale = np.abs(got["output"] - expected["output"]).max(), max(np.abs(expected["output"]).max(), 1.0)
    allowed = 0.0 if args["whole"] else 1e-12 * scale
    return None if gap <= allowed else f"The outputs of your cut network and of the masked one differ by up to {gap:.3g}; {allowed:.1g} is allowed here."


def cut_reference(conv, norm, depthwise, head, keep, *, fresh_norm=False, columns=None, first_filters=False):
    """New layers that hold only the kept channels. The switches plant the typical mistakes."""
    n, pixels = len(keep), head.in_features // conv.out_channels
    small = nn.Conv2d(conv.in_channels, n, conv.kernel_size, padding=conv.padding, bias=False, dtype=conv.weight.dtype)
    small_norm = nn.BatchNorm2d(n, eps=norm.eps, dtype=norm.weight.dtype)
    small_depth = nn.Conv2d(n, n, depthwise.kernel_size, padding=depthwise.padding, groups=n, dtype=conv.weight.dtype)
    small_head = nn.Linear(n * pixels, head.out_features, dtype=head.weight.dtype)
    small.weight.data = conv.weight.data[keep]
    small_norm.weight.data, small_norm.bias.data = norm.weight.data[keep], norm.bias.data[keep]
    if not fresh_norm:
        small_norm.running_mean, small_norm.running_var = norm.running_mean[keep], norm.running_var[keep]
    rows = torch.arange(n) if first_filters else keep
    small_depth.weight.data, small_depth.bias.data = depthwise.weight.data[rows], depthwise.bias.data[rows]
    if columns is None:
        small_head.weight.data = head.weight.data.view(head.out_features, -1, pixels)[:, keep].flatten(1)
    else:
        small_head.weight.data = head.weight.data[:, columns(keep, pixels, conv.out_channels)]
    small_head.bias.data = head.bias.data.clone()
    return small, small_norm, small_depth, small_head


def interleaved(keep, pixels, channels):
    return torch.cat([keep + channels * p for p in range(pixels)])


def only_zeroed(conv, norm, depthwise, head, keep):
    import copy

    conv, norm, depthwise, head = (copy.deepcopy(m) for m in (conv, norm, depthwise, head))
    gone = [i for i in range(conv.out_channels) if i not in keep.tolist()]
    head.weight.data.view(head.out_features, conv.out_channels, -1)[:, gone] = 0
    return conv, norm, depthwise, head
