"""Private instances of `torchsparse`. Public here, because this copy is for self-study; a class keeps its own."""

import numpy as np

from tinylib.check.facts import size_of
from tinylib.exercises.torchsparse import (
    cloud,
    coarse_case,
    colliding,
    conv_case,
    group_case,
    half_case,
    map_case,
    random_groups,
    random_map,
)


def coarse(rng):
    edge = [{"coords": np.array([[1, -1, -1, -1], [0, 0, 0, 0], [1, 1, 1, 1]]), "factor": 4}, coarse_case(rng, 60, 5, reach=20, scans=5)]
    return sorted(edge + [coarse_case(rng, int(n), int(rng.integers(2, 6))) for n in rng.integers(4, 30, 8)], key=size_of)


def maps(rng):
    def twice(places):
        return np.concatenate([places, places[-1:]])

    edge = [map_case(twice(cloud(rng, 6, 2))), map_case(colliding(1000) - [0, 40, 3, 0]), map_case(colliding(1024)), map_case(colliding(65536)),
            map_case(np.concatenate([cloud(rng, 9, 1), cloud(rng, 9, 1) + [1, 0, 0, 0]])), map_case(cloud(rng, 12, 2), kernel=2, dilation=2),
            map_case(cloud(rng, 14, 2), cloud(rng, 9, 1), 3, 2), map_case(cloud(rng, 12, 3) * [1, 1, 1, -7], dilation=2), map_case(np.zeros((0, 4), np.int64))]
    return sorted(edge + [random_map(rng) for _ in range(8)], key=size_of)


def convs(rng):
    edge = [conv_case(rng, 4, 1, 8, 2, 2, 1.0), conv_case(rng, 5, 6, 4, 1, 3, 0.0), half_case(rng, 12), half_case(rng, 30), conv_case(rng, 1, 5, 3, 2, 2, 1.0)]
    return sorted(edge + [conv_case(rng, *(int(v) for v in rng.integers(2, 12, 2)), 27, *(int(v) for v in rng.integers(1, 5, 2))) for _ in range(5)],
                  key=size_of)


def groups(rng):
    edge = [group_case([0] * 8, 0.3, 10), group_case([3] * 8, 0, 4), group_case([3] * 8, 0, 3), group_case([12], 0.2, 100),
            group_case([9, 30, 22, 41, 30, 22, 12, 0], 0.5123, 100), group_case([50, 45, 42, 41, 43, 46], 0.1234567, 1000)]
    return sorted(edge + [random_groups(rng) for _ in range(25)], key=lambda a: (size_of(a), a["sizes"]))


INSTANCES = {"torchsparse.coarser": coarse, "torchsparse.kernel_map": maps, "torchsparse.sparse_conv": convs, "torchsparse.group_offsets": groups}
