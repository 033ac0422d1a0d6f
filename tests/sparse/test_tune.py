"""Grouping against its definition, padding and launches counted again, the model's limits, and the search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.sparse.tune import Group, MatmulModel, Plan, group_offsets, launches, padded_macs, symmetric_order, tune, useful_macs

sizes_of = st.lists(st.integers(0, 50), min_size=1, max_size=27)


def test_symmetric_order():
    assert symmetric_order(5) == [0, 4, 1, 3, 2] and symmetric_order(4) == [0, 3, 1, 2] and symmetric_order(1) == [0] and symmetric_order(0) == []


def test_an_example_by_hand():
    sizes = [10, 8, 4, 100, 4, 9, 10]
    groups = group_offsets(sizes, 0.25, 10, centre=3)
    assert [g.offsets for g in groups] == [(0, 6, 1, 5), (2, 4), (3,)]
    assert [g.batched for g in groups] == [False, True, False]
    assert padded_macs(groups, 2, 3) == (37 + 8 + 100) * 6 and launches(groups) == 4 + 1 + 1
    assert padded_macs(group_offsets(sizes, 0.25, 99, centre=3), 2, 3) == (40 + 8 + 100) * 6


@given(sizes_of, st.floats(0, 1), st.integers(0, 60))
def test_groups_hold_every_offset_with_pairs_once_and_obey_tolerance_and_threshold(sizes, tolerance, threshold):
    groups = group_offsets(sizes, tolerance, threshold)
    assert [d for g in groups for d in g.offsets] == [d for d in symmetric_order(len(sizes)) if sizes[d]]
    for g in groups:
        assert g.sizes == tuple(sizes[d] for d in g.offsets)
        assert 1 - min(g.sizes) / max(g.sizes) <= tolerance and g.batched == (max(g.sizes) < threshold)
    for a, b in zip(groups, groups[1:]):
        joined = a.sizes + b.sizes[:1]
        assert 1 - min(joined) / max(joined) > tolerance, "a group ends only when it must"
    padded = sum(len(g.sizes) * max(g.sizes) if g.batched else sum(g.sizes) for g in groups)
    assert padded_macs(groups, 3, 5) == 15 * padded >= useful_macs(groups, 3, 5) == 15 * sum(sizes)


@given(sizes_of)
def test_both_extremes(sizes):
    apart, together = group_offsets(sizes, 0, 0), group_offsets(sizes, 1, 10**9)
    assert launches(apart) == sum(s > 0 for s in sizes) and padded_macs(apart, 1, 1) == sum(sizes)
    assert launches(together) == (1 if any(sizes) else 0) and padded_macs(together, 1, 1) == max(sizes) * sum(s > 0 for s in sizes)


def test_bad_settings_are_named():
    for tolerance, threshold in ((-0.1, 0), (1.1, 0), (0.5, -1)):
        with pytest.raises(TinylibError, match="tolerance"):
            group_offsets([1, 2, 1], tolerance, threshold)
    with pytest.raises(TinylibError, match="at least one"):
        tune(lambda plan: 0.0, tolerances=())


def test_the_model_counts_launches_and_rows():
    groups = [Group((0, 1), (3, 5), True), Group((2, 3), (7, 9), False)]
    assert MatmulModel(launch_us=10, gmacs=1e-3, half_rows=0).time_us(groups, 2, 3) == 3 * 10 + (10 + 7 + 9) * 6
    assert MatmulModel(launch_us=0, gmacs=1e-3, half_rows=4).time_us(groups, 1, 1) == 10 + 7 + 9 + 3 * 4


def test_search_finds_the_cheapest_and_the_first_of_equals():
    sizes = [900, 850, 400, 380, 100, 5000, 100, 380, 400, 850, 900]
    model = MatmulModel(launch_us=10, gmacs=50, half_rows=100)
    cost = lambda plan: model.time_us(group_offsets(sizes, plan.tolerance, plan.threshold, centre=5), 32, 32)
    best, costs = tune(cost)
    assert costs[best] == min(costs.values()) and len(costs) == 40
    assert costs[best] < costs[Plan(0.0, 0)] and costs[best] < costs[Plan(1.0, 2**62)], "between both extremes"
    assert tune(lambda plan: 1.0, tolerances=(0.3, 0.1), thresholds=(5,))[0] == Plan(0.3, 5)
