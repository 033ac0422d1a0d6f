"""The steps of the ladder and the seeded networks: right bits, falling counts, and a wrong text is seen."""

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.deploy.ladder import STEPS, measure, text
from tinylib.deploy.patch import Patching
from tinylib.deploy.planner import plan, search_patching
from tinylib.deploy.program import Program
from tinylib.deploy.seeded import late_heavy, mobilenet, single
from tinylib.quantize.integer import run, trace


def test_each_step_is_right_and_cheaper():
    found = [measure(name) for name in STEPS]
    assert all(step.right for step in found)
    counts = [step.instructions for step in found]
    assert counts == sorted(counts, reverse=True) and counts[0] > 4 * counts[-1]


def test_a_wrong_text_is_seen():
    assert not measure("mine", text("2_reordered").replace("- ZERO_IN", "")).right or not measure("mine", text("1_naive").replace("i - PAD", "i")).right
    with pytest.raises(TinylibError, match="hand-written steps"):
        text("5_im2col")


@pytest.mark.parametrize("kind, kernel, mark", [("conv", 1, 1.42), ("depthwise", 3, 5.5), ("linear", 1, 2.09)])
def test_generated_layers_keep_their_distance_to_the_published_counts(kind, kernel, mark):
    """1.5 times fewer instructions than CMSIS-NN's count for a layer of each kind (the benchmark has all nine)."""
    graph = {"conv": single("conv", 8, 64, 64, 1), "depthwise": single("depthwise", 8, 96, 96, 3), "linear": single("linear", 1, 256, 64, 1)}[kind]
    from tinylib.deploy.boards import load_board

    program = Program(plan(graph))
    x = np.random.default_rng(0).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
    got, execution = program.run_on(program.machine(load_board("nrf52840")), x)
    assert np.array_equal(got, run(graph, x)) and execution.instructions / program.plan.macs <= mark


def test_seeded_networks_use_their_range():
    """Weights and scaling are random but sane: tensors neither vanish nor stick to the ends of int8."""
    graph = mobilenet(side=32, stages=((1, 8, 1, 1), (6, 16, 2, 2)), stem=16)
    x = np.random.default_rng(0).integers(-128, 128, (1, 32, 32, 3)).astype(np.int8)
    for name, values in trace(graph, x).items():
        if values.ndim == 4 and min(values.shape[1:3]) > 1:
            assert values.std() > 3 and (np.abs(values.astype(int)) == 127).mean() < 0.2, name


def test_patches_help_one_network_and_harm_another():
    graph = mobilenet()
    whole, best = plan(graph), search_patching(graph)
    assert whole.peak_bytes > 320 * 1024 and best.peak_bytes < 256 * 1024
    assert whole.peak_bytes >= 3 * best.peak_bytes and best.macs <= 1.3 * whole.macs
    alike = late_heavy()
    assert plan(alike, patching=Patching(4, 2, 2)).peak_bytes > plan(alike).peak_bytes and search_patching(alike).patching is None
