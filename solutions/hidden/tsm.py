"""Private instances of `tsm`. Public here, because this copy is for self-study; a class keeps its own."""

import numpy as np

from tinylib.check.facts import size_of
from tinylib.exercises.tsm import gap_case, random_bytes, random_shift, shift_case, stream_case


def shifts(rng):
    edge = [shift_case(rng, (4, 2, 9, 1, 3), 1 / 4, "both"), shift_case(rng, (2, 1, 8, 2, 2), 1 / 2, "past"), shift_case(rng, (1, 6, 3, 1, 1), 1 / 4, "both")]
    return sorted(edge + [random_shift(rng) for _ in range(14)], key=size_of)


def streams(rng):
    return sorted([stream_case(rng, tuple(int(v) for v in (rng.integers(1, 8), rng.integers(1, 4), rng.integers(3, 17), 2, 3)), 1 / 8 * int(rng.integers(1, 5)))
                   for _ in range(10)], key=size_of)


def gaps(rng):
    return sorted([gap_case(rng, int(rng.integers(1, 6)), t, rng.integers(-3, 4, t).astype(float)) for t in (1, 2, 3, 5, 6, 7)]
                  + [gap_case(rng, 2, 5, np.array([1.0, 2, 3, 2, 1]))], key=size_of)


def moved(rng):
    return [random_bytes(rng) for _ in range(20)]


INSTANCES = {"tsm.temporal_shift": shifts, "tsm.streaming_shift": streams, "tsm.order_gap": gaps, "tsm.bytes_moved": moved}
