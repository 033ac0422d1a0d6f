"""Private instances of `tinyengine`. Public here, because this copy is for self-study; a class keeps its own."""

import numpy as np

from tinylib.check.facts import size_of
from tinylib.exercises.tinyengine import random_buffers, random_layers, random_picture, random_sums


def sums(rng):
    edge = {"acc": np.array([-2**31, 2**31 - 1, 1, -1], np.int32), "multiplier": np.array([2**31 - 1, 2**31 - 1, 1 << 30, 1 << 30], np.int32),
            "shift": np.array([40, 40, 31, 31], np.int32), "zero": 127, "low": -100, "high": 100}
    ties = edge | {"acc": np.array([-3, 3, -1, 1], np.int32), "multiplier": np.full(4, 1 << 30, np.int32), "shift": np.full(4, 31, np.int32), "zero": -4}
    return sorted([edge, ties] + [random_sums(rng, 9) for _ in range(12)], key=size_of)


def placements(rng):
    touching = [{"buffers": [[8, 0, 2], [4, 1, 3]], "offsets": [4, 12]}, {"buffers": [[8, 2, 2], [8, 2, 2], [8, 2, 2]], "offsets": [16, 0, 8]}]
    return touching + [{"buffers": random_buffers(rng, n), "offsets": rng.integers(0, 48, n).tolist()} for n in (3, 5, 7, 9, 12)]


def lists(rng):
    return [{"buffers": random_buffers(rng, n)} for n in (2, 5, 7, 9, 11, 14)]


def pictures(rng):
    return sorted((random_picture(rng, *size) for size in ((2, 2, 1, 5), (3, 7, 4, 3), (7, 1, 2, 3), (22, 18, 40, 3), (16, 16, 64, 7))), key=size_of)


def stacks(rng):
    return [random_layers(rng, n) for n in (1, 2, 3, 3, 4, 4, 5, 6)]


INSTANCES = {
    "tinyengine.requantise": sums,
    "tinyengine.conflicts": placements,
    "tinyengine.place": lists,
    "tinyengine.depthwise_in_place": pictures,
    "tinyengine.patch_rows": stacks,
}
