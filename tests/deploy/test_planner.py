"""Plans are valid, in-place never destroys what is needed, and patches are found only where they help."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinylib.deploy import planner
from tinylib.deploy.patch import Patching
from tinylib.deploy.planner import plan, search_patching, without_scratch
from tinylib.deploy.program import Program
from tinylib.measure.arena import Placement, conflict
from tinylib.quantize.integer import run
from tinylib.quantize.sample import random_graph, random_input


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), in_place=st.booleans())
def test_a_plan_is_valid_and_in_place_never_costs(seed, in_place):
    graph = random_graph(np.random.default_rng(seed))
    made = plan(graph, in_place=in_place)
    assert conflict(made.buffers, Placement(made.offsets, made.peak_bytes)) is None
    assert made.bound_bytes <= made.peak_bytes <= sum(b.size + 4 for b in made.buffers)
    assert all(offset % planner.ALIGNMENT == 0 for offset in made.offsets)


def test_depthwise_works_in_place_unless_its_input_is_read_again(maker):
    net = maker((8, 8, 8))
    net.op("conv", k=8)
    wide = net.last
    net.op("depthwise", kernel=3)
    assert plan(net.graph()).in_place == {"depthwise1"}
    net.op("add", inputs=(wide, net.last))
    assert "depthwise1" not in plan(net.graph()).in_place
    assert plan(net.graph(), in_place=False).in_place == frozenset()


def test_in_place_saves_a_quarter_on_inverted_residuals(maker):
    net = maker((16, 16, 8))
    net.inverted_residual(6)
    assert plan(net.graph()).peak_bytes <= 0.75 * plan(net.graph(), in_place=False).peak_bytes


def test_overwriting_a_needed_input_is_seen(maker, monkeypatch):
    """Planted bug: in place although the block's sum still reads the input."""
    net = maker((8, 8, 8))
    net.op("conv", k=8)
    wide = net.last
    net.op("depthwise", kernel=3)
    net.op("add", inputs=(wide, net.last))
    graph = net.graph()
    x = random_input(np.random.default_rng(0), graph, 1)
    assert np.array_equal(Program(plan(graph)).run_on_host(x), run(graph, x))
    monkeypatch.setattr(planner, "may_overwrite", lambda *a: True)
    assert not np.array_equal(Program(plan(graph)).run_on_host(x), run(graph, x))


def test_a_budget_shrinks_the_scratch(maker):
    net = maker((8, 8, 32))
    net.op("conv", k=4, kernel=3)
    free = plan(net.graph())
    tight = plan(net.graph(), budget_bytes=free.peak_bytes - 1)
    assert tight.peak_bytes < free.peak_bytes and tight.groups["conv0"] < free.groups["conv0"]


def test_scratch_counts(maker):
    net = maker((8, 8, 32))
    net.op("conv", k=4, kernel=3)
    made = plan(net.graph())
    assert without_scratch(made).peak_bytes == 8 * 8 * 36 < made.peak_bytes


def early_heavy(maker):
    """Large pictures early, small ones late: the shape for which patches were made."""
    net = maker((32, 32, 3))
    net.op("conv", k=16, kernel=3, stride=2)
    net.op("depthwise", kernel=3, stride=2)
    net.op("conv", k=8)
    net.op("depthwise", kernel=3, stride=2)
    net.op("conv", k=8)
    return net.graph()


def test_patches_cut_the_peak_where_it_lies_early(maker):
    graph = early_heavy(maker)
    best, whole = search_patching(graph), plan(graph)
    assert best.patching and best.peak_bytes < whole.peak_bytes and best.macs <= 1.3 * whole.macs


def test_do_not_patch_is_an_answer(maker):
    net = maker((8, 8, 32))
    net.op("conv", k=32, kernel=7)
    net.op("conv", k=32, kernel=7)
    assert search_patching(net.graph()).patching is None


def test_budget_prefers_fewer_macs(maker):
    graph = early_heavy(maker)
    whole = plan(graph)
    assert search_patching(graph, budget_bytes=whole.peak_bytes).patching is None


@pytest.mark.parametrize("wrong", [Patching(0, 2, 2), Patching(99, 2, 2), Patching(1, 40, 1)])
def test_impossible_patches_are_refused(maker, wrong):
    from tinylib.core.errors import TinylibError

    with pytest.raises(TinylibError):
        plan(early_heavy(maker), patching=wrong)


def test_identical_lifetimes_do_not_share_memory(maker):
    net = maker((6, 6, 4))
    left = net.op("conv", k=4)
    net.op("conv", k=4, inputs=("x",))
    net.op("add", inputs=(left, net.last))
    made = plan(net.graph())
    broken = replace(made, offsets=tuple(0 for _ in made.offsets))
    assert conflict(made.buffers, Placement(made.offsets, made.peak_bytes)) is None
    assert conflict(broken.buffers, Placement(broken.offsets, broken.peak_bytes))
