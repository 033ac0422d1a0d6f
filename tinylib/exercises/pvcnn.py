"""Exercises and questions of the lab `pvcnn`: points into voxels, back again, and both branches together."""

import itertools

import numpy as np
import torch
from torch import nn

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, finite, no_mutation, shape_and_dtype
from tinylib.check.question import Question
from tinylib.exercises.harness import pvcnn as harness
from tinylib.exercises.questions.pvcnn import ask_alone, ask_decide, ask_eight, ask_last, ask_match, ask_mean, ask_nan, ask_twice
from tinylib.exercises.wrong import pvcnn as wrong
from tinylib.points import pvconv

SIDES = (2, 3, 4, 5)


def numbers(rng: np.random.Generator, shape: tuple) -> np.ndarray:
    """Whole numbers from -9 to 9 without 0, as floats."""
    return (rng.integers(1, 10, shape) * rng.choice([-1, 1], shape)).astype(float)


def some_places(rng: np.random.Generator, b: int, n: int, r: int) -> np.ndarray:
    """Places (b, 3, n) in quarters of a cell from 0 to r - 1: centres, halves and borders come up often."""
    return rng.integers(0, 4 * (r - 1) + 1, (b, 3, n)) / 4


# --- voxelise -----------------------------------------------------------------------------------------------------------


def voxelise_case(rng: np.random.Generator, places: np.ndarray, c: int, r: int) -> Args:
    b, _, n = places.shape
    return {"features": numbers(rng, (b, c, n)), "places": places, "upstream": numbers(rng, (b, c, r, r, r)), "r": r}


def random_voxelise(rng: np.random.Generator) -> Args:
    b, c, n, r = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(2, 15)), int(rng.choice(SIDES))
    return voxelise_case(rng, some_places(rng, b, n, r), c, r)


def voxelise_instances(rng: np.random.Generator) -> list[Args]:
    same_cell = np.array([[[0.2, 0.1], [0.9, 1.1], [1.2, 0.8]]])
    fixed = [voxelise_case(rng, np.zeros((1, 3, 1)), 1, 1),                                         # one point, one cell
             voxelise_case(rng, same_cell, 1, 2),                                                   # two points, one cell
             voxelise_case(rng, np.array([[[0.0], [0.7], [1.0]]]), 1, 2),                           # each axis another cell
             voxelise_case(rng, np.repeat(np.array([[[1.0, 0.0]] * 3]), 2, 0), 1, 2),               # two clouds share their cells
             voxelise_case(rng, np.array([[[0.5, 1.5, 0.5]] * 3]), 2, 3),                           # exactly between two cells
             voxelise_case(rng, np.full((2, 3, 5), 1.0), 2, 3)]                                     # clouds of one repeated point
    return sorted(fixed + [random_voxelise(rng) for _ in range(6)], key=size_of)


def to_even(value: float) -> int:
    """Nearest whole number, a half goes to the even one (Python's own rule)."""
    return int(round(float(value)))


def voxelise_oracle(args: Args) -> Facts:
    """Ask of every cell which points fall into it."""
    features, upstream, r = args["features"], args["upstream"], args["r"]
    grid, gradient = np.zeros_like(upstream), np.zeros_like(features)
    for i, cloud in enumerate(args["places"]):
        home = [tuple(to_even(v) for v in point) for point in cloud.T]
        for cell in itertools.product(range(r), repeat=3):
            inside = [j for j, where in enumerate(home) if where == cell]
            for j in inside:
                grid[(i, slice(None), *cell)] += features[i, :, j] / len(inside)
                gradient[i, :, j] = upstream[(i, slice(None), *cell)] / len(inside)
    return {"grid": grid, "gradient": gradient, "mutated": False}


VOXELISE = Exercise(
    "pvcnn.voxelise", 5, 15, harness.voxelise, voxelise_instances, voxelise_oracle,
    (shape_and_dtype("grid"), finite("grid"), agrees("grid", atol=1e-9), agrees("gradient", atol=1e-9), no_mutation(group="manners")),
    (Misconception(wrong.summed, "This is the sum. A cell holds the mean of its points: divide by how many they are (empty cells stay 0)."),
     Misconception(wrong.floored, "floor moves every point half a cell down. Cells are centred on whole numbers: round."),
     Misconception(wrong.half_up, "A place exactly between two cells goes to the even one: use torch.round, not floor(x + 0.5)."),
     Misconception(wrong.one_grid_for_all, "All clouds of the batch share one grid. Each needs its own."),
     Misconception(wrong.last_one_wins, "When several points share a cell, the last one overwrites the others. Add them up, then divide."),
     Misconception(wrong.axes_turned, "The axes are reversed: coordinate 0 counts along the first axis of the grid.")),
    ("Give every cell a number from 0 to r^3 - 1; then it is sums and counts by number.",
     "x, y, z = places.round().long().unbind(1); cell = (x * r + y) * r + z. scatter_add_ sums features by cell.",
     "total = zeros(b, c, r**3).scatter_add_(2, cell[:, None].expand_as(features), features); divide by the count, at least 1; unflatten."),
    pvconv.voxelise)

# --- devoxelise ---------------------------------------------------------------------------------------------------------


def devoxelise_case(rng: np.random.Generator, places: np.ndarray, c: int, r: int) -> Args:
    b, _, n = places.shape
    return {"grid": numbers(rng, (b, c, r, r, r)), "places": places, "upstream": numbers(rng, (b, c, n))}


def random_devoxelise(rng: np.random.Generator) -> Args:
    b, c, n, r = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(1, 15)), int(rng.choice(SIDES))
    return devoxelise_case(rng, some_places(rng, b, n, r), c, r)


def devoxelise_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [devoxelise_case(rng, np.zeros((1, 3, 1)), 1, 2),                                       # a cell's centre
             devoxelise_case(rng, np.array([[[0.25], [0.0], [0.0]]]), 1, 2),                        # between two cells
             devoxelise_case(rng, np.ones((1, 3, 1)), 1, 2),                                        # the upper corner
             devoxelise_case(rng, np.array([[[0.25], [0.5], [1.0]]]), 1, 2),                        # on an upper face
             devoxelise_case(rng, np.array([[[0.75, 1.25], [0.5, 2.0], [1.5, 0.25]]]), 2, 3),
             devoxelise_case(rng, np.full((2, 3, 3), 2.0), 1, 3)]
    return sorted(fixed + [random_devoxelise(rng) for _ in range(6)], key=size_of)


def devoxelise_oracle(args: Args) -> Facts:
    """Every cell counts with the product of 1 - distance along each axis, where that is positive."""
    grid, upstream = args["grid"], args["upstream"]
    out, gradient = np.zeros_like(upstream), np.zeros_like(grid)
    for i, cloud in enumerate(args["places"]):
        for j, point in enumerate(cloud.T):
            for cell in itertools.product(range(grid.shape[-1]), repeat=3):
                weight = np.prod([max(0.0, 1 - abs(p - q)) for p, q in zip(point, cell)])
                out[i, :, j] += weight * grid[(i, slice(None), *cell)]
                gradient[(i, slice(None), *cell)] += weight * upstream[i, :, j]
    return {"out": out, "gradient": gradient, "mutated": False}


DEVOXELISE = Exercise(
    "pvcnn.devoxelise", 5, 20, harness.devoxelise, devoxelise_instances, devoxelise_oracle,
    (shape_and_dtype("out"), agrees("out", atol=1e-9), agrees("gradient", atol=1e-9), no_mutation(group="manners")),
    (Misconception(wrong.nearest, "Every point takes its cell's value, so all points of a cell become equal. Weigh the eight cells around the place."),
     Misconception(wrong.beyond_is_zero, "At place r - 1 there is no cell r, but the last cell has weight 1 there: keep the lower corner at r - 2, or clamp."),
     Misconception(wrong.unflipped, "The axes are reversed: coordinate 0 counts along the first axis (grid_sample wants z, y, x)."),
     Misconception(wrong.corners_not_aligned, "The reading is stretched: place 0 is the first cell's centre, not its face (grid_sample: align_corners=True)."),
     Misconception(wrong.mean_of_eight, "The eight cells have equal weights here. Near cells count more: (1 - share) or share along each axis.")),
    ("Around a place are eight cells: below or above along each of three axes.",
     "low = places.floor(), share = places - low. Upper cells weigh share, lower ones 1 - share, multiplied over the axes.",
     "Loop over (i, j, k) in {0, 1}^3, gather the cell low + (i, j, k), clamped to r - 1, and add weight times value."),
    pvconv.devoxelise)

# --- both branches ------------------------------------------------------------------------------------------------------


def block_case(rng: np.random.Generator, places: np.ndarray, c: int, k: int, r: int) -> Args:
    b, _, n = places.shape
    return {"features": numbers(rng, (b, c, n)), "places": places, "kernel": numbers(rng, (k, c, 3, 3, 3)), "weight": numbers(rng, (k, c)), "r": r}


def random_block(rng: np.random.Generator) -> Args:
    b, n, r = int(rng.integers(1, 4)), int(rng.integers(2, 9)), int(rng.choice(SIDES))
    return block_case(rng, some_places(rng, b, n, r), int(rng.integers(1, 4)), int(rng.integers(1, 4)), r)


def block_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [block_case(rng, some_places(rng, 1, 2, 2), 1, 1, 2), block_case(rng, some_places(rng, 2, 3, 2), 2, 1, 2),
             block_case(rng, np.ones((1, 3, 4)), 2, 3, 3)]
    return sorted(fixed + [random_block(rng) for _ in range(5)], key=size_of)


def block_oracle(args: Args) -> Facts:
    """Both branches by loops, with the harness's stand-ins: means of cells, a 3x3x3 kernel, the own cell plus the sum of the coordinates."""
    features, places, r = args["features"], args["places"], args["r"]
    kernel, out = args["kernel"], np.einsum("kc,bcn->bkn", args["weight"], args["features"])
    for i, cloud in enumerate(places):
        home = [tuple(to_even(v) for v in point) for point in cloud.T]
        mean = {cell: features[i][:, [j for j, h in enumerate(home) if h == cell]].mean(1) for cell in set(home)}
        for j, cell in enumerate(home):
            for step in itertools.product((-1, 0, 1), repeat=3):
                other = tuple(a + s for a, s in zip(cell, step))
                if other in mean and all(0 <= a < r for a in other):
                    out[i, :, j] += kernel[:, :, step[0] + 1, step[1] + 1, step[2] + 1] @ mean[other]
            out[i, :, j] += cloud[:, j].sum()
    return {"out": out, "calls": [1, 1, 1, 1], "mutated": False}


def point_voxel(features, places, r, voxelise, convs, devoxelise, mlp):
    return devoxelise(convs(voxelise(features, places, r)), places) + mlp(features)


BLOCK = Exercise(
    "pvcnn.point_voxel", 3, 8, harness.point_voxel, block_instances, block_oracle,
    (shape_and_dtype("out"), agrees("out", atol=1e-9), agrees("calls", name="each part runs once", group="cost"), no_mutation(group="manners")),
    (Misconception(wrong.grid_only, "The point branch is missing: add mlp(features)."),
     Misconception(wrong.one_after_the_other, "The branches run side by side: the MLP reads the features that came in, not the grid's answer."),
     Misconception(wrong.multiplied, "The branches are added, not multiplied."),
     Misconception(wrong.averaged, "The plain sum, without dividing by two."),
     Misconception(wrong.concatenated, "The branches are added, not put side by side: the number of channels stays that of one branch.")),
    ("Two branches read the same features; their results have the same shape.",
     "Grid: voxelise, then convs, then devoxelise at the same places. Points: mlp(features).",
     "return devoxelise(convs(voxelise(features, places, r)), places) + mlp(features)"), point_voxel)

# --- what a block costs -------------------------------------------------------------------------------------------------


def random_cost(rng: np.random.Generator) -> Args:
    return {"c_in": int(rng.integers(1, 9)), "c_out": int(rng.integers(1, 9)), "r": int(rng.integers(1, 7)), "n": int(rng.integers(1, 200))}


def cost_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [{"c_in": 1, "c_out": 1, "r": 1, "n": 1}, {"c_in": 1, "c_out": 2, "r": 2, "n": 3}, {"c_in": 3, "c_out": 16, "r": 6, "n": 512}]
    return fixed + [random_cost(rng) for _ in range(6)]


@torch.no_grad()
def cost_oracle(args: Args) -> Facts:
    """Build the layers, run them, and let hooks count what they did."""
    c_in, c_out, r, n = args["c_in"], args["c_out"], args["r"], args["n"]
    total = {"macs": 0, "bytes": 4 * c_in * r**3 + 4 * c_out * n}      # the input grid, and the grid read at the points

    def count(module: nn.Module, inputs: tuple, out: torch.Tensor) -> None:
        total["macs"] += out[0, 0].numel() * module.weight.numel()
        total["bytes"] += out.numel() * out.element_size()

    first, second, mlp = nn.Conv3d(c_in, c_out, 3, padding=1), nn.Conv3d(c_out, c_out, 3, padding=1), nn.Conv1d(c_in, c_out, 1)
    for layer in (first, second, mlp):
        layer.register_forward_hook(count)
    second(first(torch.zeros(1, c_in, r, r, r)))
    mlp(torch.zeros(1, c_in, n))
    return total


def block_cost(c_in, c_out, r, n):
    return pvconv.pvconv_macs(c_in, c_out, r, n), pvconv.grid_bytes(c_in, c_out, r) + pvconv.point_bytes(c_out, n)


COST = Exercise(
    "pvcnn.block_cost", 4, 10, harness.block_cost, cost_instances, cost_oracle,
    (shape_and_dtype("macs"), shape_and_dtype("bytes"), agrees("macs"), agrees("bytes")),
    (Misconception(wrong.flat_kernel, "A 3D kernel of side 3 has 27 places, not 9."),
     Misconception(wrong.first_conv_twice, "The second convolution reads c_out channels, not c_in."),
     Misconception(wrong.conv_on_points, "The convolutions run over all r^3 cells, full or empty, not over the points."),
     Misconception(wrong.without_points, "The point branch costs too: n * c_in * c_out MACs, and it makes n * c_out numbers of its own."),
     Misconception(wrong.numbers_not_bytes, "A float32 takes 4 bytes.")),
    ("Three layers: two convolutions on r^3 cells, one linear layer on n points.",
     "MACs: 27 r^3 (c_in c_out + c_out c_out) + n c_in c_out.",
     "Numbers made: r^3 (c_in + 2 c_out) on the grid (input grid and both results), 2 n c_out at the points (grid read back, MLP); 4 bytes each."), block_cost)

# --- who is alone -------------------------------------------------------------------------------------------------------


def random_alone(rng: np.random.Generator) -> Args:
    b, n, r = int(rng.integers(1, 4)), int(rng.integers(2, 30)), int(rng.choice(SIDES))
    return {"places": some_places(rng, b, n, r), "r": r}


def alone_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [{"places": np.zeros((1, 3, 1)), "r": 1}, {"places": np.array([[[0.0, 1.0]] * 3]), "r": 2}, {"places": np.array([[[0.0, 0.4, 1.0]] * 3]), "r": 2},
             {"places": np.array([[[0.0, 1.0]] * 3] * 2), "r": 2}, {"places": np.full((1, 3, 4), 1.0), "r": 3},
             {"places": np.array([[[0.5, 0.0, 1.5, 0.7]] * 3]), "r": 3}]
    return sorted(fixed + [random_alone(rng) for _ in range(8)], key=size_of)


def alone_oracle(args: Args) -> Facts:
    """Ask of every point whether another one of its cloud has the same cell."""
    lonely = 0
    for cloud in args["places"]:
        home = [tuple(to_even(v) for v in point) for point in cloud.T]
        lonely += sum(all(k == j or other != own for k, other in enumerate(home)) for j, own in enumerate(home))
    b, _, n = args["places"].shape
    return {"share": lonely / (b * n), "mutated": False}


ALONE = Exercise(
    "pvcnn.alone", 3, 10, harness.alone, alone_instances, alone_oracle, (agrees("share", atol=1e-12), no_mutation(group="manners")),
    (Misconception(wrong.distinct_cells, "This counts occupied cells. A cell with five points holds nobody who is alone."),
     Misconception(wrong.of_occupied_cells, "Divide by the number of points, not by the number of occupied cells."),
     Misconception(wrong.clouds_mixed, "Points of different clouds never share a cell: each cloud has its own grid."),
     Misconception(wrong.merged_share, "This is the share that is *not* alone.")),
    ("Count the points of every cell; the cells with a count of one hold the lonely points.",
     "Give each cloud its own range of cell numbers, then torch.bincount.",
     "cell + r**3 * cloud number; count = torch.bincount(cell.flatten()); (count == 1).sum().item() / number of points"), pvconv.alone)

EXERCISES = (VOXELISE, DEVOXELISE, BLOCK, COST, ALONE)

QUESTIONS = (
    Question("pvcnn.alone_share", "prediction", 1, ask_alone),
    Question("pvcnn.match", "prediction", 1, ask_match),
    Question("pvcnn.decide", "decision", 3, ask_decide),
    Question("pvcnn.quiz.1", "quiz", 1, ask_twice),
    Question("pvcnn.quiz.2", "quiz", 1, ask_mean),
    Question("pvcnn.quiz.3", "quiz", 1, ask_eight),
    Question("pvcnn.quiz.4", "quiz", 1, ask_last),
    Question("pvcnn.quiz.5", "quiz", 1, ask_nan),
)
