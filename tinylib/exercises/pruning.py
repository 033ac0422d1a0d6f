"""Exercises of the lab pruning; its questions are in `questions/pruning.py`."""

import numpy as np
import torch
from torch import nn

from tinylib.check.exercise import Exercise, Misconception, Property
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, at_most, holds, no_mutation, shape_and_dtype
from tinylib.exercises.harness import pruning as harness
from tinylib.exercises.questions.pruning import QUESTIONS
from tinylib.exercises.wrong.pruning import (
    by_cutting_down,
    by_flip,
    by_sign,
    by_threshold,
    four_in_memory,
    half_of_a_row,
    interleaved,
    only_zeroed,
    scan_restores_late,
    scan_swaps_the_name,
    scan_without_clone,
)
from tinylib.prune.magnitude import magnitude_mask, n_of_m_mask

__all__ = ["EXERCISES", "QUESTIONS"]


def growing(instances):
    """Instances from small to large; the first that fails is the one shown."""
    return sorted(instances, key=size_of)


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
    return growing([
        {"weight": np.array([[1.0, -3.0], [2.0, 0.5]], np.float32), "sparsity": 0.5},
        {"weight": np.ones((2, 3), np.float32), "sparsity": 0.5},
        {"weight": np.arange(1.0, 11.0, dtype=np.float32), "sparsity": 0.33},
        {"weight": tied, "sparsity": float(rng.choice([0.25, 0.4, 0.6]))},
        {"weight": rng.normal(size=(3, 4)).astype(np.float32), "sparsity": 0.0},
        {"weight": rng.normal(size=(3, 4)).astype(np.float32), "sparsity": 1.0},
        {"weight": rng.normal(size=(6, 4, 3, 3)).astype(np.float32), "sparsity": float(rng.uniform(0.1, 0.95))},
        {"weight": np.zeros((5, 7), np.float32), "sparsity": 0.8},
    ])


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


# 2. two_four_mask

def two_four_instances(rng):
    return growing([
        {"weight": np.array([[1.0, -4.0, 3.0, 2.0]], np.float32)},
        {"weight": np.array([[9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0]], np.float32)},
        {"weight": np.ones((2, 8), np.float32)},
        {"weight": rng.integers(-2, 3, (3, 8)).astype(np.float32)},
        {"weight": rng.normal(size=(4, 16)).astype(np.float32)},
        {"weight": rng.normal(size=(2, 4, 2, 2)).astype(np.float32)},
        {"weight": rng.normal(size=(3, 8, 3, 3)).astype(np.float32)},
    ])


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


# 3. sensitivity_scan

def scan_instances(rng):
    def one(hidden, sparsities, whole=False):
        draw = (lambda *shape: rng.integers(-3, 4, shape).astype(float)) if whole else (lambda *shape: rng.normal(size=shape))
        return {"first": draw(hidden, 3), "second": draw(2, hidden), "x": draw(5, 3), "y": draw(5, 2), "sparsities": sparsities}

    return growing([one(2, [0.5], whole=True), one(4, [0.0, 0.5, 1.0]), one(6, [0.9, 0.3, 0.6]), one(12, [0.25, 0.75])])


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
    return growing([{"graph": g, "layer": layer, "channel": c} for g, layer, c in [*fixed, *drawn]])


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
    return growing([one(1, 2, 1, [1], True, side=1), one(2, 3, 2, [0, 2], True), one(2, 4, 3, [0, 1, 2, 3], True), one(3, 8, 4, some, True),
                    one(3, 8, 4, some, False)])


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


MASK_HINTS = (
    "Rank the weights by absolute value, once, over the whole tensor.",
    "keep = round((1 - sparsity) * n). A threshold keeps too many when magnitudes are equal, so mark positions instead of comparing values.",
    "Sort weight.abs().flatten() with descending=True, stable=True; set the first `keep` indices of an all-False mask to True; give it the weight's shape.",
)

EXERCISES = (
    Exercise(
        "pruning.magnitude_mask", 3, 8, harness.magnitude_mask, magnitude_instances, magnitude_oracle,
        (shape_and_dtype("mask"), right_count(), agrees("mask", name="the largest magnitudes are kept, ties from the front"), no_mutation()),
        (
            Misconception(by_threshold, "You compare with a threshold. Weights of exactly that magnitude all stay, so the count is off."),
            Misconception(by_sign, "You rank the signed values, so large negative weights go first. Rank absolute values."),
            Misconception(by_flip, "Among equal magnitudes you keep the last ones. An ascending sort removes from the front; sort descending and stable."),
            Misconception(by_cutting_down, "`int` cuts off: 6.7 becomes 6. Use `round`."),
        ),
        MASK_HINTS, magnitude_mask),
    Exercise(
        "pruning.two_four_mask", 2, 8, harness.two_four_mask, two_four_instances, two_four_oracle,
        (shape_and_dtype("mask"), right_count(rule="half"), agrees("mask", name="two of every four input channels stay"), no_mutation()),
        (
            Misconception(four_in_memory, "Your fours are neighbours in memory: kernel positions, in a convolution. They must lie along dimension 1."),
            Misconception(half_of_a_row, "You keep half of each row, wherever it lies. The rule holds inside every four neighbours."),
        ),
        ("Bring dimension 1 to the end first; then a plain reshape makes rows of four.",
         "weight.abs().movedim(1, -1) has shape (k, h, w, c) or (k, c); reshape(-1, 4) gives the groups.",
         "Sort each row of four (descending, stable), scatter True at the first two indices, reshape back, movedim(-1, 1)."), n_of_m_mask),
    Exercise(
        "pruning.sensitivity_scan", 3, 10, harness.sensitivity_scan, scan_instances, scan_oracle,
        (agrees("curves", 1e-9, 1e-9, name="each score is that of the network with one layer pruned"),
         holds("restored", "the network ends bit for bit as it began", "A layer is not restored: after your scan the weights differ from before."),
         at_most("calls", "calls", "evaluations")),
        (
            Misconception(scan_without_clone, "`before` is a second name for the same memory, not a copy: nothing is restored. Use `.clone()`."),
            Misconception(scan_restores_late, "You prune what is already pruned. Start each score from `before`."),
            Misconception(scan_swaps_the_name, "You put a new tensor into the dictionary; the network still holds the old one. Change the tensor in place."),
        ),
        ("Two loops: layers outside, sparsities inside.", "Keep `before = weight.detach().clone()`; each score starts from `before`.",
         "Under torch.no_grad(): weight.copy_(before * mask(before, sparsity)); score; after the inner loop weight.copy_(before)."), scan_reference),
    Exercise(
        "pruning.coupled", 4, 15, harness.coupled, coupled_instances, coupled_oracle,
        (agrees("together", name="exactly the channels that must go are named"),),
        (
            Misconception(lambda *a: coupled_reference(*a, ties=False),
                          "You do not tie the two sides of an addition. If one side loses channel i, the other must lose it too."),
            Misconception(lambda *a: coupled_reference(*a, offsets=False),
                          "Behind a concatenation the second source starts where the first ends: channel 0 of b is not channel 0 of the result."),
            Misconception(lambda *a: coupled_reference(*a, through=("conv",)),
                          "You follow channels through a convolution. It mixes all its inputs, so its outputs are new channels."),
        ),
        ("Give each channel that a conv (or the input) makes a label, and let labels travel through the other nodes.",
         "norm, relu and depthwise pass labels on; concat appends lists of labels; add says that two labels are one.",
         "Keep a dictionary parent for 'is the same as' and follow it to the root. At the end collect (name, i) of conv, depthwise, norm and input whose "
         "label has the root you look for."), coupled_reference),
    Exercise(
        "pruning.cut_channels", 5, 15, harness.cut_channels, cut_instances, cut_oracle,
        (agrees("shapes", name="the four weights have the smaller shapes"), agrees("weights", name="no weight of a removed channel is left"),
         Property("the cut network computes what the masked one computes", same_function), no_mutation()),
        (
            Misconception(lambda *a: cut_reference(*a, fresh_norm=True),
                          "The norm's running mean and variance are not carried over: a fresh norm starts at 0 and 1."),
            Misconception(lambda *a: cut_reference(*a, columns=interleaved),
                          "Flatten lays out all pixels of channel 0, then all of channel 1. You took columns as if channels alternated."),
            Misconception(lambda *a: cut_reference(*a, first_filters=True),
                          "The depth-wise filters are the first ones, not the kept ones: filter i belongs to channel i."),
            Misconception(only_zeroed, "You zeroed the channels but kept them. That is the masked network: right output, no byte saved."),
        ),
        ("Each layer loses rows, columns, or both: conv rows, norm entries, depth-wise filters, head columns.",
         "The head reads h*w columns per channel: view its weight as (out, k, h*w) and index the middle.",
         "Build new layers with len(keep) channels (depth-wise: groups=len(keep)), copy weight[keep], bias[keep], running_mean[keep], running_var[keep], eps."),
        cut_reference),
)
