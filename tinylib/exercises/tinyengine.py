"""Exercises and questions of the lab `tinyengine`: integers, memory and patches of a network on a microcontroller."""

from fractions import Fraction
from math import floor

import numpy as np

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, at_most, no_mutation, shape_and_dtype
from tinylib.check.question import Question
from tinylib.exercises.harness import tinyengine as harness
from tinylib.exercises.questions.tinyengine import (
    ask_budget,
    ask_codegen,
    ask_count,
    ask_halo,
    ask_inplace,
    ask_lifetimes,
    ask_patches,
    ask_rounding,
    ask_simd,
)
from tinylib.exercises.wrong import tinyengine as wrong

# --- requantise ---------------------------------------------------------------------------------------------------------


def random_sums(rng: np.random.Generator, n: int = 5) -> Args:
    low = int(rng.choice([-128, -128, int(rng.integers(-128, 0))]))
    shift = rng.integers(31, 44, n)
    acc = rng.integers(-1, 2, n) * rng.integers(0, 1 << 20, n)
    return {"acc": acc.astype(np.int32), "multiplier": rng.integers(1 << 30, (1 << 31) - 1, n).astype(np.int32), "shift": shift.astype(np.int32),
            "zero": int(rng.integers(-128, 128)), "low": low, "high": int(rng.choice([127, 127, int(rng.integers(low, 128))]))}


def requantise_instances(rng: np.random.Generator) -> list[Args]:
    tie = {"acc": np.array([3, -3], np.int32), "multiplier": np.full(2, 1 << 30, np.int32), "shift": np.full(2, 31, np.int32),
           "zero": 0, "low": -128, "high": 127}
    half = tie | {"acc": np.array([5, -5, 7, -9], np.int32), "multiplier": np.full(4, 1 << 30, np.int32), "shift": np.full(4, 31, np.int32)}
    ends = {"acc": np.array([-2**31, 2**31 - 1, 0], np.int32), "multiplier": np.full(3, 2**31 - 1, np.int32), "shift": np.array([31, 62, 1], np.int32),
            "zero": -5, "low": -128, "high": 127}
    saturating = half | {"acc": np.array([400, -400, 90, -90], np.int32), "zero": 100}
    return sorted([tie, half, saturating, saturating | {"low": 20, "high": 90}, ends] + [random_sums(rng) for _ in range(8)], key=size_of)


def requantise_oracle(args: Args) -> Facts:
    """Exact fractions: the nearest whole number, halves upwards."""
    values = []
    for acc, m, s in zip(args["acc"].tolist(), args["multiplier"].tolist(), args["shift"].tolist()):
        nearest = floor(Fraction(acc * m, 2**s) + Fraction(1, 2))
        values.append(max(args["low"], min(args["high"], nearest + args["zero"])))
    return {"y": np.array(values, np.int8), "mutated": False}


def requantise(acc, multiplier, shift, zero, low, high):
    m, s = multiplier.astype(np.int64), shift.astype(np.int64)
    rounded = (acc.astype(np.int64) * m + (np.int64(1) << (s - 1))) >> s
    return np.clip(rounded + zero, low, high).astype(np.int8)


REQUANTISE = Exercise(
    "tinyengine.requantise", 3, 10, harness.requantise, requantise_instances, requantise_oracle,
    (shape_and_dtype("y"), agrees("y"), no_mutation()),
    (Misconception(wrong.truncated, "A shift alone rounds downwards. Add half a step, 2**(s-1), before you shift."),
     Misconception(wrong.ties_to_even, "`np.round` sends ties to the even neighbour. The rule here is: ties upwards."),
     Misconception(wrong.in_32_bits, "acc * multiplier needs up to 62 bits. Convert to int64 before you multiply."),
     Misconception(wrong.clamped_too_early, "Add the zero point first, then clip to [low, high].")),
    ("How many bits does the product of two int32 numbers need?", "Half of 2**s, added before the shift, turns cutting off into rounding.",
     "clip(((acc * m + (1 << (s - 1))) >> s) + zero, low, high) in int64, then int8"), requantise)

# --- allocator ----------------------------------------------------------------------------------------------------------


def random_buffers(rng: np.random.Generator, n: int) -> list[list[int]]:
    first = rng.integers(0, 8, n)
    return [[int(rng.integers(0, 5)) * 8 + int(rng.integers(0, 4)), int(a), int(a + rng.integers(0, 4))] for a in first]


def conflict_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [{"buffers": [[8, 0, 1], [8, 0, 1]], "offsets": [0, 0]}, {"buffers": [[8, 0, 1], [8, 1, 2]], "offsets": [0, 4]},
             {"buffers": [[8, 0, 1], [8, 2, 3]], "offsets": [0, 0]}, {"buffers": [[8, 0, 1], [8, 0, 1]], "offsets": [0, 8]},
             {"buffers": [[16, 0, 9], [4, 3, 4]], "offsets": [0, 4]}, {"buffers": [[8, 0, 3], [0, 1, 2]], "offsets": [0, 4]}]
    return sorted(fixed + [{"buffers": random_buffers(rng, n), "offsets": rng.integers(0, 40, n).tolist()} for n in (3, 4, 5, 6, 8)], key=size_of)


def conflict_oracle(args: Args) -> Facts:
    """Every (byte, step) cell is painted; a cell painted twice is a conflict."""
    cells = [{(byte, step) for byte in range(o, o + size) for step in range(a, b + 1)} for (size, a, b), o in zip(args["buffers"], args["offsets"])]
    return {"pairs": [[i, j] for i in range(len(cells)) for j in range(i + 1, len(cells)) if cells[i] & cells[j]]}


def conflicts(buffers, offsets):
    found = []
    for j, ((size_j, first_j, last_j), at_j) in enumerate(zip(buffers, offsets)):
        for i, ((size_i, first_i, last_i), at_i) in enumerate(zip(buffers[:j], offsets)):
            together = first_i <= last_j and first_j <= last_i
            overlap = size_i and size_j and at_i < at_j + size_j and at_j < at_i + size_i
            if together and overlap:
                found.append((i, j))
    return found


CONFLICTS = Exercise(
    "tinyengine.conflicts", 3, 10, harness.conflicts, conflict_instances, conflict_oracle, (agrees("pairs"),),
    (Misconception(wrong.strict_lifetimes, "Two buffers with the same lifetime are alive together. Look at `first` and `last` when they are equal."),
     Misconception(wrong.touching_is_sharing, "A buffer at 0 with 8 bytes ends at byte 7. One that starts at 8 touches it and shares nothing."),
     Misconception(wrong.lifetimes_only, "Buffers that live together may lie side by side. They conflict only if they share a byte as well.")),
    ("Two ranges a..b and c..d (ends included) meet when neither ends before the other begins.",
     "Steps: `last` is included. Bytes: offset + size is not. A buffer of 0 bytes shares nothing.",
     "together = first_i <= last_j and first_j <= last_i; overlap = at_i < at_j + size_j and at_j < at_i + size_i"), conflicts)


def place_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [[[8, 0, 1], [8, 0, 1]], [[8, 0, 1], [8, 2, 3]], [[4, 0, 0], [8, 0, 2], [6, 1, 1]], [[8, 0, 5], [8, 0, 1], [8, 2, 5], [4, 0, 5]],
             [[0, 0, 3], [8, 1, 2]], [[4, 0, 2], [4, 0, 2], [4, 0, 2]], [[10, 0, 1], [6, 1, 2], [4, 2, 3], [8, 3, 4]]]
    return sorted(({"buffers": b} for b in fixed + [random_buffers(rng, n) for n in (4, 5, 6, 8, 10, 12)]), key=size_of)


def place_oracle(args: Args) -> Facts:
    """Byte by byte: for each buffer, largest first, try offset 0, 1, 2, ... on a painted map."""
    buffers, painted, offsets = args["buffers"], set(), [0] * len(args["buffers"])
    for i in sorted(range(len(buffers)), key=lambda i: -buffers[i][0]):
        size, first, last = buffers[i]
        at = 0
        while any((byte, step) in painted for byte in range(at, at + size) for step in range(first, last + 1)):
            at += 1
        painted |= {(byte, step) for byte in range(at, at + size) for step in range(first, last + 1)}
        offsets[i] = at
    return {"offsets": offsets, "mutated": False}


def place(buffers):
    placed, offsets = [], [0] * len(buffers)
    for i in sorted(range(len(buffers)), key=lambda i: -buffers[i][0]):
        size, first, last = buffers[i]
        at = 0
        for start, end in sorted((s, e) for s, e, f, g in placed if f <= last and first <= g and e > s):
            if at + size <= start:
                break
            at = max(at, end)
        offsets[i] = at if size else 0
        placed.append((offsets[i], offsets[i] + size, first, last))
    return offsets


PLACE = Exercise(
    "tinyengine.place", 5, 15, harness.place, place_instances, place_oracle, (agrees("offsets"), no_mutation()),
    (Misconception(wrong.place_strict, "Two buffers got the same bytes at the same time. Do buffers with equal `first` or `last` count as alive together?"),
     Misconception(wrong.stacked, "Every buffer has memory of its own. Bytes are free again after `last`."),
     Misconception(wrong.in_given_order, "Place the largest buffer first; equal sizes keep the given order.")),
    ("Go through the buffers from the largest to the smallest (`sorted` keeps the order of equal ones).",
     "Only buffers that are alive together with this one are in its way. Sort those by offset and look for the first gap.",
     "at = 0; for each (start, end) in the way, in order: stop if at + size <= start, else at = max(at, end)"), place)

# --- in-place depth-wise ------------------------------------------------------------------------------------------------


def random_picture(rng: np.random.Generator, h: int, w: int, c: int, k: int) -> Args:
    return {"memory": rng.integers(-9, 10, (h, w, c)).astype(np.int32), "weight": rng.integers(-3, 4, (c, k, k)).astype(np.int32)}


def depthwise_instances(rng: np.random.Generator) -> list[Args]:
    sizes = [(3, 3, 1, 3), (4, 5, 2, 3), (1, 6, 3, 3), (5, 5, 2, 5), (6, 4, 3, 1), (24, 24, 48, 3), (20, 28, 32, 5)]
    return sorted((random_picture(rng, *size) for size in sizes), key=size_of)


def depthwise_oracle(args: Args) -> Facts:
    """Tap by tap on a copy of the whole picture."""
    x, weight = args["memory"].astype(np.int64), args["weight"].astype(np.int64)
    (h, w), r = x.shape[:2], weight.shape[1] // 2
    y = np.zeros_like(x)
    for i in range(-r, r + 1):
        for j in range(-r, r + 1):
            for row in range(max(0, -i), min(h, h - i)):
                columns = slice(max(0, -j), min(w, w - j))
                moved = slice(max(0, -j) + j, min(w, w - j) + j)
                y[row, columns] += x[row + i, moved] * weight[:, i + r, j + r]
    return {"memory": y.astype(np.int32), "returned": "None", "extra_bytes": 0}


def few_planes(args: Args) -> float:
    """Bytes allowed besides the picture: eight padded channels in 64 bits and some change for Python itself."""
    h, w, _ = args["memory"].shape
    r = args["weight"].shape[1] // 2
    return 8 * 8 * (h + 2 * r) * (w + 2 * r) + 16_384


def depthwise_in_place(memory, weight):
    h, w, c = memory.shape
    k = weight.shape[1]
    r = k // 2
    plane = np.zeros((h + 2 * r, w + 2 * r), np.int32)
    for channel in range(c):
        plane[r:r + h, r:r + w] = memory[:, :, channel]
        memory[:, :, channel] = 0
        for i in range(k):
            for j in range(k):
                memory[:, :, channel] += weight[channel, i, j] * plane[i:i + h, j:j + w]


DEPTHWISE = Exercise(
    "tinyengine.depthwise_in_place", 5, 15, harness.depthwise_in_place, depthwise_instances, depthwise_oracle,
    (agrees("memory"), agrees("returned", name="nothing is returned: the result is in `memory`"), at_most("extra_bytes", few_planes, "bytes")),
    (Misconception(wrong.whole_copy, "The result is right, but a second picture was needed. Channels do not mix: copy one channel at a time."),
     Misconception(wrong.while_reading, "Later outputs read what you have already overwritten. Copy the channel out first."),
     Misconception(wrong.convolution_flipped, "The kernel is not flipped: tap [0, 0] looks up and to the left."),
     Misconception(wrong.result_elsewhere, "The result must be written into `memory` itself; assigning to the name `memory` makes a new array.")),
    ("An output of channel c needs inputs of channel c only.", "Copy one channel into a padded plane, then overwrite that channel in `memory`.",
     "plane[r:r+h, r:r+w] = memory[:, :, c]; then memory[:, :, c] = sum of weight[c, i, j] * plane[i:i+h, j:j+w]"), depthwise_in_place, seconds=10.0)

# --- patches ------------------------------------------------------------------------------------------------------------


def random_layers(rng: np.random.Generator, n: int) -> Args:
    layers, size = [], int(rng.integers(9, 40))
    for _ in range(n):
        kernel, stride = int(rng.choice([1, 3, 3, 5])), int(rng.choice([1, 1, 2]))
        layers.append([kernel, stride, kernel // 2, size])
        size = (size + 2 * (kernel // 2) - kernel) // stride + 1
    first = int(rng.integers(0, size))
    return {"layers": layers, "out": [first, int(rng.integers(first + 1, size + 1))]}


def patch_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [{"layers": [[3, 1, 1, 9]], "out": [3, 6]}, {"layers": [[3, 1, 1, 9]], "out": [0, 3]}, {"layers": [[3, 2, 1, 9]], "out": [2, 4]},
             {"layers": [[1, 1, 0, 8]], "out": [2, 5]}, {"layers": [[3, 1, 1, 9], [3, 1, 1, 9]], "out": [6, 9]},
             {"layers": [[5, 2, 2, 13], [3, 2, 1, 7]], "out": [1, 3]}]
    return sorted(fixed + [random_layers(rng, n) for n in (1, 2, 2, 3, 3, 4, 5)], key=size_of)


def patch_oracle(args: Args) -> Facts:
    """Follow every tap of every row and collect what it touches."""
    needed, ranges = set(range(*args["out"])), [list(args["out"])]
    for kernel, stride, pad, size in reversed(args["layers"]):
        needed = {t for row in needed for t in range(row * stride - pad, row * stride - pad + kernel) if 0 <= t < size}
        needed = set(range(min(needed), max(needed) + 1))
        ranges.insert(0, [min(needed), max(needed) + 1])
    return {"rows": ranges}


def patch_rows(layers, out):
    ranges = [tuple(out)]
    for kernel, stride, pad, size in reversed(layers):
        first, end = ranges[0]
        ranges.insert(0, (max(0, first * stride - pad), min(size, (end - 1) * stride - pad + kernel)))
    return ranges


PATCH = Exercise(
    "tinyengine.patch_rows", 4, 15, harness.patch_rows, patch_instances, patch_oracle, (agrees("rows"),),
    (Misconception(wrong.without_halo, "Neighbouring outputs share inputs. A kernel of 3 needs one more row on each side."),
     Misconception(wrong.not_cut, "There are no rows below 0 or beyond `size`: cut the range at the true border."),
     Misconception(wrong.end_times_stride, "The last row needed is that of the last output: (end - 1) * stride, not end * stride.")),
    ("Which input rows does a single output row need?",
     "Row y needs y * stride - pad up to y * stride - pad + kernel (not included). Take it for the first and the last row.",
     "(max(0, first * stride - pad), min(size, (end - 1) * stride - pad + kernel)), from the last layer to the first"), patch_rows)

EXERCISES = (REQUANTISE, CONFLICTS, PLACE, DEPTHWISE, PATCH)

QUESTIONS = (
    Question("tinyengine.simd", "prediction", 1, ask_simd),
    Question("tinyengine.patches", "prediction", 1, ask_patches),
    Question("tinyengine.order", "decision", 2, ask_lifetimes),
    Question("tinyengine.decide", "decision", 3, ask_budget),
    Question("tinyengine.quiz.1", "quiz", 1, ask_rounding),
    Question("tinyengine.quiz.2", "quiz", 1, ask_inplace),
    Question("tinyengine.quiz.3", "quiz", 1, ask_halo),
    Question("tinyengine.quiz.4", "quiz", 1, ask_count),
    Question("tinyengine.quiz.5", "quiz", 1, ask_codegen),
)
