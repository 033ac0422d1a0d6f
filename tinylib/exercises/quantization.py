"""Exercises of the lab quantization; its questions are in `questions/quantization.py`."""

import math
from fractions import Fraction

import numpy as np
import torch

from tinylib.check.exercise import Exercise, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, finite, holds, no_mutation, shape_and_dtype
from tinylib.exercises.harness import quantization as harness
from tinylib.exercises.questions.quantization import QUESTIONS
from tinylib.exercises.wrong import quantization as wrong
from tinylib.quantize.kmeans import update
from tinylib.quantize.linear import Grid, affine, quantise, weight_grid
from tinylib.quantize.qat import straight_through

__all__ = ["EXERCISES", "QUESTIONS"]


def growing(instances):
    """Instances from small to large; the first that fails is the one shown."""
    return sorted(instances, key=size_of)


# 1. affine_params

def affine_instances(rng):
    drawn = [{"low": round(float(rng.uniform(-9, -0.1)), 3), "high": round(float(rng.uniform(0.1, 9)), 3), "bits": int(b)} for b in (3, 4, 8)]
    return growing([
        {"low": -1.0, "high": 2.0, "bits": 2},
        {"low": 0.0, "high": 6.0, "bits": 8},
        {"low": 0.0, "high": 0.0, "bits": 8},
        {"low": round(float(rng.uniform(1, 2)), 3), "high": round(float(rng.uniform(3, 5)), 3), "bits": 4},
        {"low": round(float(rng.uniform(-5, -3)), 3), "high": round(float(rng.uniform(-2, -1)), 3), "bits": 4},
        {"low": -128.0, "high": 127.0, "bits": 8},
        {"low": -0.5, "high": 3.0, "bits": 8},
        *drawn,
    ])


def affine_oracle(args):
    """Exact fractions; the zero point by trying every integer: the one whose distance from the exact place is smallest, ties upwards."""
    low, high = min(Fraction(args["low"]), Fraction(0)), max(Fraction(args["high"]), Fraction(0))
    first = -(2 ** (args["bits"] - 1))
    scale = (high - low) / (2 ** args["bits"] - 1) if high > low else Fraction(1)
    exact = first - low / scale
    zero_point = min(range(first, -first), key=lambda z: (abs(exact - z), -z))
    return {"scale": float(scale), "zero_point": zero_point}


def affine_reference(low, high, bits):
    """Scale and zero point as plain numbers."""
    grid = affine(low, high, bits)
    return float(grid.scale), int(grid.zero_point)


# 2. per_channel

def per_channel_instances(rng):
    def one(*shape, bits):
        return {"weight": (rng.normal(size=shape) * 10.0 ** rng.uniform(-2, 1, (shape[0], *[1] * (len(shape) - 1)))).astype(np.float32), "bits": bits}

    silent = one(5, 4, bits=4)
    silent["weight"][2] = 0
    return growing([
        {"weight": np.array([[3.5, -7.0], [-1.5, 0.5]], np.float32), "bits": 4},
        {"weight": np.array([[-3.0, 1.0, 2.0], [0.0, 0.0, 0.0], [5.0, -2.0, 1.0]], np.float32), "bits": 3},
        silent, one(4, 4, bits=8), one(6, 1, 3, 3, bits=4), one(3, 5, 3, 3, bits=2), one(8, 6, 1, 1, bits=8),
    ])


def per_channel_oracle(args):
    """Value by value; the quotient in float32, as both are float32."""
    weight, largest = args["weight"], 2 ** (args["bits"] - 1) - 1
    q, scale = np.zeros(weight.shape, np.int8), np.ones(len(weight), np.float32)
    for k, row in enumerate(weight):
        limit = max(abs(float(v)) for v in row.ravel())
        scale[k] = np.float32(limit) / np.float32(largest) if limit > 0 else 1
        for place in np.ndindex(*row.shape):
            q[(k, *place)] = min(largest, max(-largest, math.floor(float(row[place]) / float(scale[k]) + 0.5)))
    return {"q": q, "scale": scale}


def per_channel_reference(weight, bits):
    """q int8 and one float32 scale a channel."""
    grid = weight_grid(weight, bits)
    scale = grid.scale.to(torch.float32)
    return quantise(weight, Grid(scale.double(), grid.zero_point, grid.low, grid.high)).to(torch.int8), scale.reshape(-1)


# 3. requantise

def requantise_instances(rng):
    def one(rows, k, reach):
        return {"acc": rng.integers(-reach, reach, (rows, k)).astype(np.int32), "multiplier": rng.integers(2**30, 2**31 - 1, k).astype(np.int32),
                "shift": (31 + rng.integers(int(np.log2(reach)) - 8, int(np.log2(reach)) - 4, k)).astype(np.int32), "zero_point": int(rng.integers(-128, 128))}

    def whole(acc, shift, zero_point, m=2**30):
        return {"acc": np.array([acc], np.int32), "multiplier": np.full(len(acc), m, np.int32), "shift": np.full(len(acc), shift, np.int32),
                "zero_point": zero_point}

    return growing([
        whole([1, -1, 3], 31, 0), whole([6, -6, 10, -10], 32, 5), whole([1000, -1000, 127, -129], 30, 0),
        whole([2**31 - 1, -(2**31), 7, 0], 54, -128, m=2**31 - 1), one(2, 3, 2**14), one(4, 6, 2**20), one(16, 8, 2**17),
    ])


def requantise_oracle(args):
    """Exact fractions, one value at a time."""
    y = np.zeros(args["acc"].shape, np.int8)
    for place in np.ndindex(*y.shape):
        m, s = int(args["multiplier"][place[-1]]), int(args["shift"][place[-1]])
        value = math.floor(Fraction(int(args["acc"][place]) * m, 2**s) + Fraction(1, 2)) + args["zero_point"]
        y[place] = min(127, max(-128, value))
    return {"y": y}


def requantise_reference(acc, multiplier, shift, zero_point):
    """In int64, ties upwards."""
    m, s = multiplier.long(), shift.long()
    y = (acc.long() * m + (torch.ones_like(s) << (s - 1))) >> s
    return (y + zero_point).clamp(-128, 127).to(torch.int8)


# 4. kmeans_update

def kmeans_instances(rng):
    def one(n, q, used):
        return {"values": rng.normal(size=n), "codes": rng.choice(used, n).astype(np.int64), "centroids": np.sort(rng.normal(size=q))}

    return growing([
        {"values": np.array([1.0, 2.0, 6.0]), "codes": np.array([0, 0, 1]), "centroids": np.array([1.0, 5.0])},
        {"values": np.array([1.0, 3.0, 8.0]), "codes": np.array([0, 0, 2]), "centroids": np.array([1.5, 5.0, 9.0])},
        {"values": np.array([4.0, 5.0, 9.0, -1.0]), "codes": np.array([1, 1, 1, 1]), "centroids": np.array([-3.0, 4.0, 7.0, 8.0])},
        one(12, 4, [0, 1, 3]), one(40, 8, [1, 2, 4, 5, 6]), one(200, 16, list(range(15))),
    ])


def kmeans_oracle(args):
    """Lists of members."""
    groups = [[] for _ in args["centroids"]]
    for value, code in zip(args["values"], args["codes"]):
        groups[int(code)].append(Fraction(float(value)))
    new = [float(sum(g) / len(g)) if g else float(c) for g, c in zip(groups, args["centroids"])]
    return {"centroids": np.array(new)}


# 5. fake_quantise

def fake_instances(rng):
    def one(shape, scale, zero_point, bits):
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        reach = scale * 2**bits
        x = rng.uniform(-1.2 * reach, 1.2 * reach, shape)
        return {"x": x, "scale": scale, "zero_point": zero_point, "low": low, "high": high, "above": np.round(rng.normal(size=shape) + 3, 2)}

    return growing([
        {"x": np.array([-1.0, 0.2, 0.7, 9.0]), "scale": 0.5, "zero_point": 0, "low": -2, "high": 1, "above": np.array([1.0, 2.0, 3.0, 4.0])},
        {"x": np.array([-9.0, -0.5, 0.25, 2.0, 4.0]), "scale": 0.5, "zero_point": -4, "low": -8, "high": 7, "above": np.array([1.0, 2.0, 3.0, 4.0, 5.0])},
        one((8,), 0.25, 3, 4), one((4, 5), 0.1, -8, 4), one((6, 6), 0.031, -128, 8), one((3, 3, 3), 0.7, 1, 2),
    ])


def fake_oracle(args):
    """Entry by entry; outside the grid the gradient is 0."""
    y, gradient = np.zeros(args["x"].shape), np.zeros(args["x"].shape)
    for place in np.ndindex(*y.shape):
        q = math.floor(args["x"][place] / args["scale"] + 0.5) + args["zero_point"]
        y[place] = (min(args["high"], max(args["low"], q)) - args["zero_point"]) * args["scale"]
        gradient[place] = args["above"][place] if args["low"] <= q <= args["high"] else 0.0
    return {"y": y, "gradient": gradient, "connected": True}


def fake_reference(x, scale, zero_point, low, high):
    """The library's straight-through estimator."""
    return straight_through(x, Grid(torch.as_tensor(scale, dtype=torch.float64), torch.as_tensor(float(zero_point), dtype=torch.float64), low, high))


EXERCISES = (
    Exercise(
        "quantization.affine_params", 2, 8, harness.affine_params, affine_instances, affine_oracle,
        (shape_and_dtype("zero_point"), agrees("scale", 0, 1e-12, name="the scale divides the range, with 0 in it, into 2**bits - 1 steps"),
         agrees("zero_point", name="the zero point is the integer of real 0")),
        (
            Misconception(wrong.zero_outside, "Real 0 must have an integer of its own. Widen the range first: low = min(low, 0), high = max(high, 0)."),
            Misconception(wrong.levels_as_steps, "2**bits levels have 2**bits - 1 steps between them."),
            Misconception(wrong.unsigned, "Your integers start at 0. Here they are signed: -2**(bits-1) to 2**(bits-1) - 1."),
            Misconception(wrong.cut_off, "`int` cuts towards zero. Round to nearest: math.floor(v + 0.5)."),
        ),
        ("Widen the range so that it holds 0; then count the steps between the first and the last integer.",
         "scale = (high - low) / (2**bits - 1), or 1.0 when the range is empty. `low` belongs to the first integer.",
         "zero_point = math.floor(first - low / scale + 0.5), clamped to first..last, with first = -2**(bits-1)."), affine_reference),
    Exercise(
        "quantization.per_channel", 3, 10, harness.per_channel, per_channel_instances, per_channel_oracle,
        (shape_and_dtype("q"), shape_and_dtype("scale"), finite("scale"), agrees("scale", 0, 1e-6, name="one scale for each output channel"),
         agrees("q", 0, 0, name="each weight is the nearest integer of its channel's grid"), no_mutation()),
        (
            Misconception(wrong.one_scale, "You use one scale for all channels. Take the largest magnitude of each output channel (dimension 0) alone."),
            Misconception(wrong.signed_maximum, "You take the largest value of a channel. A channel may reach farther below zero: take the largest magnitude."),
            Misconception(wrong.one_level_more, "A symmetric grid reaches 2**(bits-1) - 1 on both sides, so that plus and minus have the same reach."),
            Misconception(wrong.by_input_channel, "Your scales follow input channels. One scale per *output* channel can leave the sum; an input's cannot."),
            Misconception(wrong.silent_is_nan, "A channel of zeros gives 0 / 0. Give it the scale 1."),
        ),
        ("weight.flatten(1) puts each output channel into one row.",
         "scale = row.abs().amax(1) / (2**(bits-1) - 1), and 1 where that is 0. Reshape it to (k, 1, 1, ...) before you divide.",
         "q = torch.floor(weight / scale + 0.5).clamp(-largest, largest).to(torch.int8); return q and the (k,) scale."), per_channel_reference),
    Exercise(
        "quantization.requantise", 3, 10, harness.requantise, requantise_instances, requantise_oracle,
        (shape_and_dtype("y"), agrees("y", name="nearest integer, ties upwards, zero point added, saturated"), no_mutation()),
        (
            Misconception(wrong.truncates, "A bare shift rounds down. Add half of 2**shift before you shift."),
            Misconception(wrong.in_32_bits, "acc * multiplier needs 62 bits. Convert both to int64 before you multiply."),
            Misconception(wrong.by_float, "You go through floats: torch.round sends halves to the even side, and float32 has 24 bits. Stay in integers."),
            Misconception(wrong.wraps, "Out-of-range values wrap around in the cast: 130 becomes -126. Clamp to -128..127 first."),
            Misconception(wrong.zero_point_first, "The zero point belongs to the output's grid. Add it after the rescaling."),
        ),
        ("Everything in int64: acc.long(), multiplier.long(), shift.long().",
         "Rounding: (acc * m + half) >> s, where half is 2**(s-1), written as a shift: torch.ones_like(s) << (s - 1).",
         "Then + zero_point, .clamp(-128, 127), .to(torch.int8)."), requantise_reference),
    Exercise(
        "quantization.kmeans_update", 2, 8, harness.kmeans_update, kmeans_instances, kmeans_oracle,
        (shape_and_dtype("centroids"), finite("centroids"),
         agrees("centroids", 1e-12, 1e-12, name="each centroid is the mean of its members; without members it stays"), no_mutation()),
        (
            Misconception(wrong.empty_is_nan, "A cluster has no members, and the mean of nothing is NaN. Let it keep its centroid."),
            Misconception(wrong.empty_is_zero, "A cluster without members jumped to 0. Let it keep its centroid."),
            Misconception(wrong.empty_is_dropped, "A cluster without members is missing, so the codes no longer fit. Let it keep its centroid."),
            Misconception(wrong.middle_of_cluster, "You take the middle of each cluster's range. The squared error is least at the mean."),
        ),
        ("Sums and counts for each cluster; then divide.",
         "torch.bincount(codes, minlength=q) counts; torch.zeros_like(centroids).index_add_(0, codes, values) sums.",
         "torch.where(count > 0, total / count.clamp(min=1), centroids)."), update),
    Exercise(
        "quantization.fake_quantise", 3, 12, harness.fake_quantise, fake_instances, fake_oracle,
        (shape_and_dtype("y"), agrees("y", 1e-12, 1e-12, name="forward: the value on the grid"),
         holds("connected", "a gradient can flow", "The result does not lead back to x. A detached tensor cannot be trained."),
         agrees("gradient", 1e-12, name="backward: the gradient passes inside the grid and stops outside"), no_mutation()),
        (
            Misconception(wrong.no_trick, "Rounding is flat, so its gradient is zero everywhere and nothing learns. Look straight through it."),
            Misconception(wrong.through_everything, "The gradient also passes where the value saturated. Pushing farther changes nothing there: it must be 0."),
            Misconception(wrong.detached, "You cut x off from the graph. Detach only the correction, not x."),
            Misconception(wrong.zero_point_forgotten, "The limits low and high are integers *with* the zero point in them: add it before you clamp."),
        ),
        ("In x + (y - x).detach() the value is y, the gradient that of x.",
         "Start from a tensor that equals x inside the grid and has no gradient outside: x times a mask.",
         "q = floor(x/scale + 0.5) + zero_point; inside = (q >= low) & (q <= high); z = x * inside; return z + (y - z).detach()."), fake_reference),
)
