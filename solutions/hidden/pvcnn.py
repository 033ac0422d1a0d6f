"""Private instances of `pvcnn`. Public here, because this copy is for self-study; a class keeps its own."""

import numpy as np

from tinylib.check.facts import size_of
from tinylib.exercises.pvcnn import (
    block_case, devoxelise_case, random_alone, random_block, random_cost, random_devoxelise, random_voxelise, some_places, voxelise_case)


def voxelised(rng):
    halves = np.array([[[0.5, 1.5, 2.5, 3.5]] * 3])
    crowd = rng.uniform(0.6, 1.4, (3, 3, 20))                       # three clouds, all points of each in one cell
    edge = [voxelise_case(rng, halves, 1, 5), voxelise_case(rng, crowd, 2, 3), voxelise_case(rng, np.full((1, 3, 40), 1.5), 2, 4),
            voxelise_case(rng, np.repeat(some_places(rng, 1, 9, 4), 3, 0), 2, 4), voxelise_case(rng, rng.uniform(0, 3, (2, 3, 30)), 3, 4)]
    return sorted(edge + [random_voxelise(rng) for _ in range(10)], key=size_of)


def read(rng):
    border = np.array([[[3.0, 3.0, 3.0, 0.0], [3.0, 0.0, 1.5, 3.0], [3.0, 2.25, 3.0, 0.0]]])
    edge = [devoxelise_case(rng, border, 2, 4), devoxelise_case(rng, rng.uniform(0, 4, (2, 3, 20)), 2, 5), devoxelise_case(rng, np.full((1, 3, 6), 1.0), 3, 2)]
    return sorted(edge + [random_devoxelise(rng) for _ in range(10)], key=size_of)


def blocks(rng):
    edge = [block_case(rng, rng.uniform(0, 3, (2, 3, 12)), 3, 4, 4), block_case(rng, np.full((1, 3, 7), 2.0), 1, 2, 5)]
    return sorted(edge + [random_block(rng) for _ in range(8)], key=size_of)


def costs(rng):
    return [random_cost(rng) for _ in range(20)]


def lonely(rng):
    edge = [{"places": rng.uniform(0, 4, (3, 3, 60)), "r": 5}, {"places": np.full((2, 3, 30), 0.5), "r": 2}]
    return sorted(edge + [random_alone(rng) for _ in range(12)], key=size_of)


INSTANCES = {"pvcnn.voxelise": voxelised, "pvcnn.devoxelise": read, "pvcnn.point_voxel": blocks, "pvcnn.block_cost": costs, "pvcnn.alone": lonely}
