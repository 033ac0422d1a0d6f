"""Patches: ranges by brute force, bits equal to a whole run."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylib.deploy import patch
from tinylib.deploy.patch import Patching, cuts, input_range, patchable, stage_macs
from tinylib.deploy.planner import plan
from tinylib.deploy.program import Program
from tinylib.quantize.integer import run
from tinylib.quantize.sample import random_graph, random_input


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 7), st.integers(1, 2), st.data())
def test_input_range_is_what_the_taps_touch(size, stride, kernel, dilation, data):
    pad = data.draw(st.integers(0, kernel - 1))
    reach = dilation * (kernel - 1) + 1
    n_out = (size + 2 * pad - reach) // stride + 1
    if n_out < 1:
        return
    y0 = data.draw(st.integers(0, n_out - 1))
    y1 = data.draw(st.integers(y0 + 1, n_out))
    touched = [y * stride - pad + t * dilation for y in range(y0, y1) for t in range(kernel)]
    inside = [t for t in touched if 0 <= t < size]
    got = input_range((y0, y1), stride=stride, pad=pad, kernel=kernel, dilation=dilation, size=size)
    if inside:
        assert got[0] <= min(inside) and got[1] >= max(inside) + 1
        assert got[0] >= max(0, min(touched)) and got[1] <= min(size, max(touched) + 1)


def test_cuts_cover_once():
    assert cuts(10, 3) == [(0, 3), (3, 6), (6, 10)]


@pytest.mark.parametrize("seed", [1, 2, 5, 6])
def test_patched_bits_are_whole_bits(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, steps=5)
    x = random_input(rng, graph, 2)
    splits = [s for s in range(1, len(graph.ops)) if not patchable(graph, s) and len(graph.tensors[graph.ops[s - 1].output].shape) == 3]
    for split in splits[-1:]:
        h, w, _ = graph.tensors[graph.ops[split - 1].output].shape
        made = plan(graph, patching=Patching(split, min(3, h), min(2, w)))
        assert np.array_equal(Program(made).run_on_host(x), run(graph, x))


def residual_net(maker):
    net = maker((13, 11, 3))
    net.op("conv", k=4, kernel=3, stride=2, clamp=(5, 127))
    net.inverted_residual(3)
    net.op("depthwise", kernel=5, stride=2)
    net.op("conv", k=5)
    return net.graph()


def test_residual_sums_inside_patches(maker, m4):
    graph = residual_net(maker)
    x = random_input(np.random.default_rng(1), graph, 2)
    program = Program(plan(graph, patching=Patching(6, 2, 3)))
    assert np.array_equal(program.run_on_host(x), run(graph, x))
    assert np.array_equal(program.run_on(program.machine(m4), x[0])[0], run(graph, x)[0])


def test_padding_at_an_inner_edge_is_seen(maker, monkeypatch):
    """Planted bug: the halo is forgotten, so inner edges are padded."""
    graph = residual_net(maker)
    x = random_input(np.random.default_rng(1), graph, 1)
    monkeypatch.setattr(patch, "input_range", lambda out, *, stride, pad, kernel, dilation, size: (out[0] * stride, min(size, out[1] * stride)))
    assert not np.array_equal(Program(plan(graph, patching=Patching(6, 2, 3))).run_on_host(x), run(graph, x))


def test_one_patch_costs_nothing_more(maker):
    graph = residual_net(maker)
    whole = plan(graph).macs
    assert stage_macs(graph, Patching(7, 1, 1)) == whole < stage_macs(graph, Patching(7, 2, 2))
