"""Recomputes the effects of the lab `tinyengine`: instructions are emulated, bytes and MACs are counted; none depends on the machine."""

import numpy as np
import torch

SEEDS = 5


def passport_graph():
    """The course's network for garments as an integer graph with an argmax."""
    from tinylib.core.checkpoint import load_model
    from tinylib.datasets.garments import load
    from tinylib.quantize.convert import quantize_model

    torch.set_num_threads(1)
    return quantize_model(load_model("garments-base"), load().val.take(64).tensors()[0], head="argmax")


def _interval(values) -> dict:
    return {"value": float(np.mean(values)), "low": float(np.min(values)), "high": float(np.max(values))}


def _instructions() -> dict[str, list[int]]:
    """Instructions of one inference for each way of writing the C, on five test pictures."""
    from tinylib.datasets.garments import load
    from tinylib.deploy.boards import load_board
    from tinylib.deploy.interpreter import generate_interpreted
    from tinylib.deploy.planner import plan
    from tinylib.deploy.program import Program
    from tinylib.quantize.convert import quantise_input

    graph, board = passport_graph(), load_board("nrf52840")
    x = quantise_input(graph, load().test.take(SEEDS).tensors()[0])
    apart, made = plan(graph, in_place=False), plan(graph)
    ways = {"interpreter": (Program(apart, files=generate_interpreted(apart)), ()), "generated": (Program(made), ("-DTINY_PORTABLE",)),
            "simd": (Program(made), ())}
    machines = {name: (program, program.machine(board, flags=flags)) for name, (program, flags) in ways.items()}
    return {name: [program.run_on(machine, one)[1].instructions for one in x] for name, (program, machine) in machines.items()}


def codegen() -> dict:
    """Instructions of a generic interpreter in C over those of generated C without SIMD."""
    found = _instructions()
    return _interval([a / b for a, b in zip(found["interpreter"], found["generated"])])


def simd() -> dict:
    """Instructions of generated C without SIMD over those with it."""
    found = _instructions()
    return _interval([a / b for a, b in zip(found["generated"], found["simd"])])


def in_place() -> dict:
    """Percent of the peak that in-place work saves on the passport network."""
    from tinylib.deploy.planner import plan

    graph = passport_graph()
    return _interval([100 * (1 - plan(graph).peak_bytes / plan(graph, in_place=False).peak_bytes)])


def _patched():
    from tinylib.deploy.planner import plan, search_patching
    from tinylib.deploy.seeded import mobilenet

    graph = mobilenet()
    return plan(graph), search_patching(graph)


def patches() -> dict:
    """Peak without patches over peak with the patches that the search finds, MobileNetV2-like network on 64 x 64."""
    whole, best = _patched()
    return _interval([whole.peak_bytes / best.peak_bytes])


def patches_macs() -> dict:
    """Percent of MACs that these patches add."""
    whole, best = _patched()
    return _interval([100 * (best.macs / whole.macs - 1)])


def patches_harm() -> dict:
    """Peak with 2 x 2 patches over peak without, on a network whose layers are all alike."""
    from tinylib.deploy.patch import Patching
    from tinylib.deploy.planner import plan
    from tinylib.deploy.seeded import late_heavy

    graph = late_heavy()
    return _interval([plan(graph, patching=Patching(4, 2, 2)).peak_bytes / plan(graph).peak_bytes])
