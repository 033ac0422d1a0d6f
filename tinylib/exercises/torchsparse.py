"""Exercises and questions of the lab `torchsparse`: sparse convolution on a street scan, part by part."""

import numpy as np
import torch

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.check.question import Question
from tinylib.exercises.harness import torchsparse as harness
from tinylib.exercises.questions import torchsparse as ask
from tinylib.exercises.wrong import torchsparse as wrong
from tinylib.sparse import conv, coords, kernel_map, tune
from tinylib.sparse.tensor import downsample

# --- coarser voxels -----------------------------------------------------------------------------------------------------


def coarse_case(rng: np.random.Generator, n: int, factor: int, reach: int = 6, scans: int = 2) -> Args:
    places = np.column_stack([rng.integers(0, scans, n), rng.integers(-reach, reach + 1, (n, 3))])
    return {"coords": np.unique(places, axis=0)[rng.permutation(len(np.unique(places, axis=0)))], "factor": factor}


def coarse_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [{"coords": np.array([[0, -1, 0, 3], [0, 1, 0, 3]]), "factor": 2}, {"coords": np.array([[3, -4, -2, -3], [2, -4, -2, -3]]), "factor": 2},
             {"coords": np.array([[0, 5, -5, 1], [0, 4, -6, 0], [0, 5, -6, 1]]), "factor": 2}]
    return sorted(fixed + [coarse_case(rng, int(rng.integers(3, 40)), int(rng.integers(2, 5))) for _ in range(8)], key=size_of)


def coarse_oracle(args: Args) -> Facts:
    """Walk down from each coordinate until a multiple of the factor is met; collect; sort."""
    cells = set()
    for scan, *place in args["coords"].tolist():
        low = [next(c for c in range(p, p - args["factor"], -1) if c % args["factor"] == 0) // args["factor"] for p in place]
        cells.add((scan, *low))
    return {"coords": np.array(sorted(cells), dtype=np.int64).reshape(-1, 4), "mutated": False}


COARSER = Exercise(
    "torchsparse.coarser", 3, 8, harness.coarser, coarse_instances, coarse_oracle,
    (shape_and_dtype("coords"), agrees("coords"), no_mutation(group="manners")),
    (Misconception(wrong.truncates, "Rounding towards zero makes the cell around 0 twice as wide: -1 and 1 fall together. Round down, below zero too."),
     Misconception(wrong.merges_scans, "The first column is the number of the scan. It must not be divided: two scans never share a voxel."),
     Misconception(wrong.keeps_doubles, "Several fine voxels fall into one coarse voxel, and that one must stand in the list once."),
     Misconception(wrong.stays_on_the_fine_grid, "Count in coarse cells: the cell of -3 at factor 2 is number -2, not -4.")),
    ("Divide and round down. What does your rounding make of -1 / 2?", "torch.div(x, factor, rounding_mode='floor') rounds down; leave the first column alone.",
     "torch.cat the first column with the divided others, then torch.unique(..., dim=0), which also sorts."), downsample)


# --- kernel map ---------------------------------------------------------------------------------------------------------


def cloud(rng: np.random.Generator, n: int, reach: int, scans: int = 1) -> np.ndarray:
    """Different coordinates (about n, 4) in any order."""
    places = np.unique(np.column_stack([rng.integers(0, scans, n), rng.integers(-reach, reach + 1, (n, 3))]), axis=0)
    return places[rng.permutation(len(places))]


def map_case(source: np.ndarray, target: np.ndarray | None = None, kernel: int = 3, stride: int = 1, dilation: int = 1) -> Args:
    return {"source": source, "target": source.copy() if target is None else target, "kernel": kernel, "stride": stride, "dilation": dilation}


def strided_case(rng: np.random.Generator, n: int, kernel: int) -> Args:
    source = cloud(rng, n, 4, 2)
    down = np.unique(np.column_stack([source[:, :1], source[:, 1:] // 2]), axis=0)
    return map_case(source, down, kernel, 2)


def random_map(rng: np.random.Generator) -> Args:
    if rng.random() < 0.4:
        return strided_case(rng, int(rng.integers(4, 24)), int(rng.integers(2, 4)))
    return map_case(cloud(rng, int(rng.integers(4, 24)), int(rng.integers(1, 4)), int(rng.integers(1, 3))), kernel=int(rng.integers(2, 4)),
                    dilation=int(rng.integers(1, 3)))


def colliding(base: int) -> np.ndarray:
    """Neighbours whose coordinates, written as one number to a common base, are those of far voxels."""
    return np.array([[0, 0, 0, 0], [0, 0, 1, 1 - base], [0, 1, -1, base], [0, 0, -1, base]])


def map_instances(rng: np.random.Generator) -> list[Args]:
    at = lambda *rows: np.array(rows).reshape(-1, 4)
    fixed = [map_case(at([0, 0, 0, 0], [0, 1, 0, 0])), map_case(at([0, -1, -1, -1], [0, 0, -1, -1])), map_case(at([0, 2, 3, 4], [1, 2, 3, 4])),
             map_case(at([0, 5, 5, 5], [0, 5, 5, 5])), map_case(at([0, 0, 0, 0], [0, 2, 0, 0], [0, 1, 1, 1]), dilation=2),
             map_case(at([0, 0, 0, 0], [0, 1, 1, 0], [0, -1, 0, 0]), kernel=2), map_case(at([0, -3, 1, 0], [0, -4, 0, 1]), at([0, -2, 0, 0]), 2, 2),
             map_case(colliding(1000)), map_case(at(), at([0, 1, 1, 1]))]
    return sorted(fixed + [random_map(rng) for _ in range(6)], key=size_of)


def map_oracle(args: Args) -> Facts:
    """Every input against every output, for every offset; whoever doubles is found the same way."""
    source, target, kernel = args["source"].tolist(), args["target"].tolist(), args["kernel"]
    for i, p in enumerate(source):
        if any(p == q for q in source[:i]):
            return {"raised": True, "offsets": 0, "pairs": [], "mutated": False}
    steps = [i * args["dilation"] for i in ({2: (0, 1), 3: (-1, 0, 1)}[kernel])]
    pairs = []
    for dx in steps:
        for dy in steps:
            for dz in steps:
                found = [(j, k) for k, (c, x, y, z) in enumerate(target) for j, p in enumerate(source)
                         if p == [c, args["stride"] * x + dx, args["stride"] * y + dy, args["stride"] * z + dz]]
                pairs.append(np.array(found, dtype=np.int64).reshape(-1, 2).T)
    return {"raised": False, "offsets": kernel**3, "pairs": pairs, "mutated": False}


def library_map(source: torch.Tensor, target: torch.Tensor, kernel: int, stride: int = 1, dilation: int = 1) -> list[torch.Tensor]:
    """The library's map as one tensor (2, pairs) for each offset."""
    if coords.has_duplicates(source):
        raise ValueError("two rows have the same coordinates")
    made = kernel_map.kernel_map(source, target, kernel=kernel, stride=stride, dilation=dilation)
    return [torch.stack(made.offset(d)) for d in range(len(made.sizes))]


MAP = Exercise(
    "torchsparse.kernel_map", 6, 20, harness.kernel_map, map_instances, map_oracle,
    (agrees("raised", name="duplicate coordinates raise ValueError, others do not"), agrees("offsets", name="one entry for each offset"),
     agrees("pairs", name="every offset has exactly its pairs"), no_mutation(group="manners")),
    (Misconception(wrong.packs, "Two different voxels got one key. Packing coordinates into a number works only while every coordinate stays below the base."),
     Misconception(wrong.forgets_the_scan, "Voxels of different scans are no neighbours, even at equal x, y, z: the scan's number belongs to the key."),
     Misconception(wrong.takes_the_last, "Two rows with the same coordinates: a dictionary keeps the last and loses the other in silence. Raise ValueError."),
     Misconception(wrong.mirrored, "The offset has the wrong sign: the input lies at stride * output + offset."),
     Misconception(wrong.centres_even, "An even kernel starts at the voxel itself: size 2 has the steps 0 and 1."),
     Misconception(wrong.never_spreads, "Dilation spreads the offsets: with dilation 2 a kernel of 3 looks at -2, 0 and 2.")),
    ("Which question do you ask 27 times for every output? What answers it in one step?",
     "A dictionary from the tuple (scan, x, y, z) to the row. Then, for each offset, look up stride * place + offset of every output.",
     "The steps along one axis are (i - (kernel - 1) // 2) * dilation for i in range(kernel); itertools.product(steps, repeat=3) gives the offsets in order."),
    library_map)

# --- gather, matmul, scatter --------------------------------------------------------------------------------------------


def conv_case(rng: np.random.Generator, n: int, n_outputs: int, offsets: int, c_in: int, c_out: int, share: float = 0.6, dtype: str = "float64") -> Args:
    """Integer-valued features and weights, so that sums are exact in any order."""
    pairs = []
    for _ in range(offsets):
        count = int(rng.binomial(min(n, n_outputs), share))
        pairs.append(np.array([rng.permutation(n)[:count], np.sort(rng.permutation(n_outputs)[:count])], dtype=np.int64).reshape(2, -1))
    return {"feats": rng.integers(-4, 5, (n, c_in)).astype(float), "weight": rng.integers(-4, 5, (offsets, c_in, c_out)).astype(float), "pairs": pairs,
            "n_outputs": n_outputs, "dtype": dtype, "upstream": rng.integers(-4, 5, (n_outputs, c_out)).astype(float)}


def half_case(rng: np.random.Generator, offsets: int) -> Args:
    """One output that gets a large summand and many small ones, which half precision would swallow one by one."""
    feats, weight = np.ones((offsets, 1)), np.ones((offsets, 1, 2))
    feats[0], weight[0] = 64.0, 32.0
    weight[1:, 0, 1] = rng.integers(1, 3, offsets - 1)
    pairs = [np.array([[d], [0]], dtype=np.int64) for d in range(offsets)]
    return {"feats": feats, "weight": weight, "pairs": pairs, "n_outputs": 1, "dtype": "float16", "upstream": np.zeros((1, 2))}


def conv_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [conv_case(rng, 1, 1, 2, 1, 1, 1.0), conv_case(rng, 2, 2, 3, 2, 1, 1.0), conv_case(rng, 2, 3, 2, 1, 2, 0.0), half_case(rng, 9), half_case(rng, 27)]
    drawn = [conv_case(rng, *(int(v) for v in rng.integers(2, 9, 2)), int(rng.choice([8, 27])), *(int(v) for v in rng.integers(1, 4, 2))) for _ in range(6)]
    return sorted(fixed + drawn, key=size_of)


def conv_oracle(args: Args) -> Facts:
    """Every pair, every channel in, every channel out: one product each, forwards and for both gradients."""
    n_out, k = args["n_outputs"], args["weight"].shape[2]
    out, to_feats, to_weight = np.zeros((n_out, k)), np.zeros_like(args["feats"]), np.zeros_like(args["weight"])
    for d, pairs in enumerate(args["pairs"]):
        for j, o in pairs.T:
            for c in range(args["feats"].shape[1]):
                for m in range(k):
                    out[o, m] += args["feats"][j, c] * args["weight"][d, c, m]
                    to_feats[j, c] += args["upstream"][o, m] * args["weight"][d, c, m]
                    to_weight[d, c, m] += args["upstream"][o, m] * args["feats"][j, c]
    half = args["dtype"] == "float16"
    return {"out": out.astype(np.float16).astype(float) if half else out, "type": args["dtype"], "feats_gradient": np.zeros(0) if half else to_feats,
            "weight_gradient": np.zeros(0) if half else to_weight, "mutated": False}


def library_conv(feats: torch.Tensor, weight: torch.Tensor, pairs: list[torch.Tensor], n_outputs: int) -> torch.Tensor:
    """The library's convolution on a list of pairs."""
    both = torch.cat([torch.zeros(2, 0, dtype=torch.int64), *pairs], 1)
    made = kernel_map.KernelMap(both[0], both[1], torch.tensor([p.shape[1] for p in pairs]), len(feats), n_outputs)
    wide = torch.float32 if feats.dtype == torch.float16 else feats.dtype
    return conv.gather_matmul_scatter(feats.to(wide), weight.to(wide), made).to(feats.dtype)


CONV = Exercise(
    "torchsparse.sparse_conv", 5, 15, harness.sparse_conv, conv_instances, conv_oracle,
    (shape_and_dtype("out"), agrees("type", name="the output has the features' type"), agrees("out"), agrees("feats_gradient"), agrees("weight_gradient"),
     no_mutation(group="manners")),
    (Misconception(wrong.overwrites, "Several offsets reach one output. Add what each of them brings; do not write it over the others."),
     Misconception(wrong.all_at_once, "`out[index] += x` adds only once to a row that stands in the index twice. `index_add` adds every time."),
     Misconception(wrong.stays_half, "Half precision swallows small summands: 2048 + 1 is 2048 there. Multiply and add in float32, round once at the end."),
     Misconception(wrong.backwards, "Row 0 of the pairs are inputs (gather from there), row 1 are outputs (add there).")),
    ("For each offset three steps: take the input rows, multiply by that offset's matrix, add to the output rows.",
     "out.index_add(0, outputs, products) adds row by row, also when a row comes twice.",
     "For float16: zeros in float32, .float() on the gathered rows and on the weight, .to(feats.dtype) at the very end."), library_conv)

# --- grouping -----------------------------------------------------------------------------------------------------------


def group_case(sizes, tolerance: float, threshold: int) -> Args:
    return {"sizes": [int(s) for s in sizes], "tolerance": float(tolerance), "threshold": int(threshold)}


def random_groups(rng: np.random.Generator) -> Args:
    """Sizes as a scan gives them (symmetric, the middle the largest), or any; tolerances that no ratio of sizes meets exactly."""
    count = int(rng.choice([8, 27, int(rng.integers(3, 14))]))
    sizes = rng.integers(0, 60, count) * (rng.random(count) > 0.15)
    if rng.random() < 0.5:
        sizes = np.maximum(sizes, sizes[::-1])
        sizes[count // 2] = 60
    return group_case(sizes, rng.choice([0.0, 1.0, 0.1234567, 0.3456789, 0.6123456]), int(rng.choice([20, 50, 1000])))


def group_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [group_case([5, 5, 5], 0, 100), group_case([4, 0, 4], 1, 100), group_case([4, 9, 9, 4], 0, 100), group_case([10, 20, 17, 9], 0.3456789, 100),
             group_case([10, 9, 8, 7, 6, 5], 0.3456789, 100), group_case([0, 0], 0.5, 10), group_case([7, 7, 30, 30, 7, 7], 0.1234567, 30),
             group_case([40, 3, 60, 3, 40], 0, 40), group_case([10, 20, 30, 12, 11], 1, 100)]
    return sorted(fixed + [random_groups(rng) for _ in range(12)], key=lambda a: (size_of(a), a["sizes"]))


def group_oracle(args: Args) -> Facts:
    """Lay all offsets out in order; cut wherever the stretch so far and the next one would break the tolerance; then take the large ones apart."""
    sizes, order, left, right = args["sizes"], [], 0, len(args["sizes"]) - 1
    while left <= right:
        order += [left] if left == right else [left, right]
        left, right = left + 1, right - 1
    order = [d for d in order if sizes[d] > 0]
    groups, start = [], 0
    for stop in range(1, len(order) + 1):
        stretch = [sizes[d] for d in order[start:stop + 1]]
        if stop == len(order) or 1 - min(stretch) / max(stretch) > args["tolerance"]:
            groups.append(order[start:stop])
            start = stop
    out = []
    for group in groups:
        large = max(sizes[d] for d in group) >= args["threshold"]
        out += [[d] for d in group] if large else [group]
    return {"groups": out, "mutated": False}


def library_groups(sizes: list[int], tolerance: float, threshold: int) -> list[list[int]]:
    """The library's groups as plain lists; those that are run one by one as groups of one."""
    made = tune.group_offsets(sizes, tolerance, threshold)
    return [part for g in made for part in ([list(g.offsets)] if g.batched else [[d] for d in g.offsets])]


GROUP = Exercise(
    "torchsparse.group_offsets", 5, 15, harness.group_offsets, group_instances, group_oracle, (agrees("groups"), no_mutation(group="manners")),
    (Misconception(wrong.in_index_order, "Opposite offsets have equal sizes: take them in the order 0, K-1, 1, K-2, ... so that they meet in one group."),
     Misconception(wrong.compares_with_the_last, "Compare the smallest with the largest of the whole group, the new one included, not two neighbours only."),
     Misconception(wrong.keeps_empty, "An offset without pairs needs no product: leave it out."),
     Misconception(wrong.always_batches, "A group whose largest size reaches the threshold fills the machine anyway: run its offsets alone, unpadded."),
     Misconception(wrong.middle_twice, "With an odd number of offsets the middle one is its own partner. It must appear once.")),
    ("One walk over the offsets, one open group. When does the next offset still fit?",
     "It fits while 1 - smallest / largest of the group with it is at most the tolerance. Offsets of size 0 are skipped.",
     "At the end replace every group whose largest size is >= threshold by groups of one, in the same place and order."), library_groups)

EXERCISES = (COARSER, MAP, CONV, GROUP)

QUESTIONS = (
    Question("torchsparse.empty", "prediction", 1, ask.ask_empty),
    Question("torchsparse.optimum", "prediction", 1, ask.ask_optimum),
    Question("torchsparse.decide", "decision", 3, ask.ask_decide),
    Question("torchsparse.quiz.1", "quiz", 1, ask.ask_pairs),
    Question("torchsparse.quiz.2", "quiz", 1, ask.ask_collision),
    Question("torchsparse.quiz.3", "quiz", 1, ask.ask_padding),
    Question("torchsparse.quiz.4", "quiz", 1, ask.ask_floor),
    Question("torchsparse.quiz.5", "quiz", 1, ask.ask_order),
)
