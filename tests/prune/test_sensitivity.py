"""The scan prunes one layer at a time and restores it; ratios meet the target with the highest possible floor."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.prune.magnitude import kept_count, sparsity_of
from tinylib.prune.sensitivity import choose_ratios, sensitivity_scan


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 5))


def test_one_layer_at_a_time_and_restored():
    model = net()
    before = [p.detach().clone() for p in model.parameters()]
    curves = sensitivity_scan(model, sparsity_of, [0.0, 0.5, 1.0])
    assert curves == {"0.weight": pytest.approx([0.0, 50 / 150, 100 / 150]), "1.weight": pytest.approx([0.0, 25 / 150, 50 / 150], abs=0.01)}
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))


def test_restored_after_an_error():
    model = net()
    before = model[0].weight.detach().clone()

    def fails(_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        sensitivity_scan(model, fails, [0.9])
    assert torch.equal(model[0].weight, before)


def best_floor(curves, sizes, target):
    """All combinations on a grid of 0.01 between two points: the best worst score among those that meet the target."""
    grid = np.arange(0, 11) / 100
    lines = {n: np.interp(grid, [0.0, 0.1], c) for n, c in curves.items()}
    best = -np.inf
    for choice in itertools.product(range(11), repeat=len(curves)):
        removed = sum(sizes[n] - kept_count(sizes[n], grid[i]) for n, i in zip(curves, choice))
        if removed >= target * sum(sizes.values()):
            best = max(best, min(lines[n][i] for n, i in zip(curves, choice)))
    return best


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 1.0), st.floats(0.0, 1.0)), min_size=2, max_size=3), st.sampled_from([0.02, 0.05, 0.09]))
def test_the_floor_is_as_high_as_it_can_be(points, target):
    curves = {f"l{i}": [1.0, min(y)] for i, y in enumerate(points)}
    sizes = {n: 1000 * (i + 1) for i, n in enumerate(curves)}
    chosen = choose_ratios(curves, [0.0, 0.1], sizes, target)
    removed = sum(sizes[n] - kept_count(sizes[n], s) for n, s in chosen.items())
    assert removed >= target * sum(sizes.values())
    floor = min(float(np.interp(s, [0.0, 0.1], curves[n])) for n, s in chosen.items())
    assert floor == pytest.approx(best_floor(curves, sizes, target), abs=1e-12)


def test_out_of_reach_says_so():
    with pytest.raises(TinylibError, match="longer scan"):
        choose_ratios({"a": [1.0, 0.5]}, [0.0, 0.5], {"a": 10}, 0.8)
