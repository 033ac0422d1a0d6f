"""Cost of every block of a family of networks on an emulated board, so that a search can price millions of them by addition.

Counted in instructions, by the code that the converter would ship. Instructions are not cycles, and no time is claimed.
Lab: once_for_all. Paper: MCUNet (Lin et al., NeurIPS 2020) searches with costs of the engine that will run the network.
"""

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.deploy.boards import Board
from tinylib.deploy.planner import plan
from tinylib.deploy.program import Program
from tinylib.measure.latency_table import LatencyTable
from tinylib.quantize.convert import quantise_input, quantize_model
from tinylib.quantize.integer import run

UNIT = "million instructions"


def instructions(model: nn.Module, examples: Tensor, board: Board) -> int:
    """Instructions of one int8 inference of `model` on the emulated board; `examples` (b, c, h, w) calibrate it, the first one is run.

    The output is compared bit for bit with the integer reference: a difference raises TinylibError.
    """
    graph = quantize_model(model, examples)
    program, x = Program(plan(graph)), quantise_input(graph, examples[:1])[0]
    got, execution = program.run_on(program.machine(board), x)
    if not np.array_equal(got, run(graph, x)):
        raise TinylibError("The emulated program disagrees with the integer reference. Please report the network.")
    return execution.instructions


def emulated_table(blocks: Mapping[str, tuple[nn.Module, Tensor]], board: Board, *, device: str = "microcontroller",
                   on_block: Callable[[str, int], object] | None = None) -> LatencyTable:
    """Million instructions of every block (module, examples of its input), each compiled and run by itself on the emulated board.

    `on_block(key, instructions)` is called after each: about two seconds of compiler a block.
    """
    entries = {}
    for key, (block, examples) in blocks.items():
        count = instructions(block, examples, board)
        entries[key] = count / 1e6
        if on_block:
            on_block(key, count)
    return LatencyTable(device, "emulated", entries, UNIT)
