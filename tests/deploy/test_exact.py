"""Host C, emulated M4, emulated M7 and the numpy reference give the same bits, and memory is used as planned."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinylib.deploy import streams
from tinylib.deploy.emulate import SRAM
from tinylib.deploy.planner import plan
from tinylib.deploy.program import Program
from tinylib.deploy.streams import scaling
from tinylib.quantize.integer import run
from tinylib.quantize.sample import random_graph, random_input

BOUNDED = settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def case(seed, steps=5):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, steps=steps)
    return graph, random_input(rng, graph, 3)


@BOUNDED
@given(seed=st.integers(100, 10**6), in_place=st.booleans(), budget=st.sampled_from([None, 1]))
def test_host_agrees_with_the_reference(seed, in_place, budget):
    graph, x = case(seed)
    assert np.array_equal(Program(plan(graph, in_place=in_place, budget_bytes=budget)).run_on_host(x), run(graph, x))


@pytest.mark.parametrize("seed", [3, 7])
def test_emulated_cores_agree_with_the_reference(seed, m7):
    graph, x = case(seed)
    program, expected = Program(plan(graph)), run(graph, x)
    for core in ("cortex-m4", "cortex-m7"):
        machine = program.machine(m7, core=core)
        for one, want in zip(x, expected):
            assert np.array_equal(program.run_on(machine, one)[0], want), core


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9), core=st.sampled_from(["cortex-m4", "cortex-m7"]))
def test_emulated_cores_agree_long(seed, core, m7):
    graph, x = case(seed, 7)
    program = Program(plan(graph))
    assert np.array_equal(program.run_on_host(x), run(graph, x))
    assert np.array_equal(program.run_on(program.machine(m7, core=core), x[0])[0], run(graph, x)[0])


def test_portable_c_on_the_core_gives_the_bits_of_the_simd_code(m4):
    graph, x = case(11)
    program = Program(plan(graph))
    simd, fast = program.run_on(program.machine(m4), x[0])
    plain, slow = program.run_on(program.machine(m4, flags=("-DTINY_PORTABLE",)), x[0])
    assert np.array_equal(simd, plain) and fast.instructions < slow.instructions


@pytest.mark.parametrize("blocks", [1, 2])
def test_peak_used_is_peak_planned(blocks, maker, m4):
    """Two runs on memory painted with two values: a byte that keeps both colours was never written."""
    net = maker((9, 7, 8))
    for _ in range(blocks):
        net.inverted_residual()
    graph = net.graph()
    program = Program(plan(graph))
    x = random_input(np.random.default_rng(0), graph)[0]
    written = np.zeros(m4.sram_bytes, bool)
    for paint in (0xA5, 0x5A):
        machine = program.machine(m4)
        machine._uc.mem_write(SRAM, bytes([paint]) * m4.sram_bytes)
        program.run_on(machine, x)
        written |= np.frombuffer(bytes(machine._uc.mem_read(SRAM, m4.sram_bytes)), np.uint8) != paint
    arena = machine.address("arena") - SRAM
    used = np.flatnonzero(written[arena:])
    assert used[-1] + 1 == program.plan.peak_bytes == program.plan.bound_bytes
    assert written[arena:arena + program.plan.peak_bytes].mean() > 0.99


def test_a_wrong_rounding_term_is_seen(maker, monkeypatch):
    """Planted bug: half a step is forgotten when a sum is scaled."""
    net = maker()
    net.op("conv", k=8)
    graph = net.graph()
    x = random_input(np.random.default_rng(0), graph, 1)
    assert np.array_equal(Program(plan(graph)).run_on_host(x), run(graph, x))

    def forgetful(op, index, zero_point):
        m, r, s = scaling(op, index, zero_point)
        return [m, r - (1 << (s - 1)), s]

    monkeypatch.setattr(streams, "scaling", forgetful)
    assert not np.array_equal(Program(plan(graph)).run_on_host(x), run(graph, x))


def test_saturating_shift_and_slow_scaling_agree(maker):
    """Shifts that the fast path cannot take (32 and below, 54 and above) go through 64 bits and keep every bit."""
    from dataclasses import replace

    for shift in (1, 31, 32, 33, 53, 54, 62):
        net = maker((3, 3, 5))
        net.op("conv", k=3, kernel=3)
        op = replace(net.ops[0], shift=np.full(3, shift, np.int32), clamp=(-100, 90))
        net.ops[0] = op
        graph = net.graph()
        x = random_input(np.random.default_rng(shift), graph, 2)
        assert np.array_equal(Program(plan(graph)).run_on_host(x), run(graph, x)), shift
