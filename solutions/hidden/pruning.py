"""Private instances of the lab pruning (public here; a class keeps its own, see the instructor's guide)."""

import numpy as np

from tinylib.check.facts import size_of
from tinylib.exercises.pruning import cut_instances, random_graph


def growing(instances):
    return sorted(instances, key=size_of)


def magnitude_mask(rng):
    ties = rng.integers(-1, 2, (7, 9)).astype(np.float32)
    return growing([{"weight": rng.integers(-2, 3, (1, 3, 3, 3)).astype(np.float32), "sparsity": 0.7}, {"weight": ties, "sparsity": 0.35},
                    {"weight": -np.abs(rng.normal(size=(5, 5))).astype(np.float32), "sparsity": 0.9}, {"weight": np.float32([2.5]), "sparsity": 0.4},
                    {"weight": rng.normal(size=(8, 3, 5, 5)).astype(np.float32), "sparsity": float(rng.uniform(0.3, 0.99))}])


def two_four_mask(rng):
    return growing([{"weight": rng.integers(-1, 2, (3, 12)).astype(np.float32)}, {"weight": rng.normal(size=(5, 12, 1, 1)).astype(np.float32)},
                    {"weight": rng.integers(-3, 4, (2, 8, 5, 5)).astype(np.float32)}, {"weight": rng.normal(size=(4, 4, 3)).astype(np.float32)}])


def sensitivity_scan(rng):
    def one(hidden, sparsities):
        return {"first": rng.normal(size=(hidden, 3)), "second": rng.normal(size=(2, hidden)), "x": rng.normal(size=(7, 3)), "y": rng.normal(size=(7, 2)),
                "sparsities": sparsities}

    return growing([one(3, [0.7]), one(5, [0.8, 0.2]), one(9, [0.9, 0.1, 0.5, 0.3])])


def coupled(rng):
    graphs = [random_graph(rng, steps) for steps in (10, 16, 24)]
    drawn = []
    for graph in graphs:
        name, _, _, channels = graph[int(rng.integers(len(graph)))]
        drawn.append({"graph": graph, "layer": name, "channel": int(rng.integers(channels))})
    deep = [["x", "input", [], 2], ["a", "conv", ["x"], 2], ["b", "conv", ["a"], 2], ["ab", "concat", ["a", "b"], 4], ["c", "conv", ["ab"], 4],
            ["s", "add", ["ab", "c"], 4], ["n", "norm", ["s"], 4], ["d", "depthwise", ["n"], 4]]
    return growing([*drawn, {"graph": deep, "layer": "c", "channel": 3}])


def cut_channels(rng):
    return cut_instances(np.random.default_rng(rng.integers(2**31)))


INSTANCES = {
    "pruning.magnitude_mask": magnitude_mask, "pruning.two_four_mask": two_four_mask, "pruning.sensitivity_scan": sensitivity_scan,
    "pruning.coupled": coupled, "pruning.cut_channels": cut_channels,
}
