"""One convolution in five steps from naive loops to generated code; each step is C of its own, compiled, emulated and compared bit for bit."""

from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.deploy.boards import load_board
from tinylib.deploy.emit import KERNELS
from tinylib.deploy.planner import plan
from tinylib.deploy.program import Program
from tinylib.deploy.seeded import single
from tinylib.deploy.streams import folded_bias
from tinylib.quantize.graph import QGraph
from tinylib.quantize.integer import run

STEPS = ("1_naive", "2_reordered", "3_unrolled", "4_simd", "5_im2col")
BOARD = "nrf52840"
PRELUDE = """#include "simd.h"
static inline int8_t finish(int64_t acc, int k) {
    const int64_t v = ((acc * multiplier[k] + ((int64_t)1 << (shift[k] - 1))) >> shift[k]) + ZERO_OUT;
    return (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}
"""


@dataclass(frozen=True)
class Step:
    """What one step executed. `right`: every output byte equals the integer reference."""

    name: str
    instructions: int
    macs: int
    right: bool

    @property
    def per_mac(self) -> float:
        """Instructions per MAC."""
        return self.instructions / self.macs


def layer() -> QGraph:
    """The layer of the ladder: 3x3, 16 to 16 channels on 8x8 pixels."""
    return single("conv", 8, 16, 16, 3)


def text(name: str) -> str:
    """The C of a hand-written step."""
    if name not in STEPS[:-1]:
        raise TinylibError(f"The hand-written steps are {', '.join(STEPS[:-1])}; {STEPS[-1]} is generated.")
    return (KERNELS / "ladder" / f"{name}.c").read_text()


def loops(graph: QGraph, code: str) -> dict[str, str]:
    """Source files around a function `conv(x, y)` for a graph of one stride-1 convolution whose channels are a multiple of eight."""
    op, x, y = graph.ops[0], graph.tensors[graph.input], graph.tensors[graph.output]
    (h, w, c), k = x.shape if len(x.shape) == 3 else (1, 1, *x.shape), y.shape[-1]
    made = plan(graph, in_place=False)
    arrays = {"int8_t weight": op.weight, "int32_t bias": op.bias, "int32_t folded": folded_bias(op, x.zero_point), "int32_t multiplier": op.multiplier,
              "int32_t shift": op.shift, "int8_t border": np.full(c, x.zero_point)}
    head = ["#include <stdint.h>", f"enum {{ H = {h}, W = {w}, C = {c}, K = {k}, R = {op.kernel[0]}, PAD = {op.pad[0]}, ZERO_IN = {x.zero_point}, "
            f"ZERO_OUT = {y.zero_point} }};", f"int8_t arena[{made.peak_bytes}] __attribute__((aligned(8)));"]
    head += [f"static const {name}[] __attribute__((aligned(4), unused)) = {{{', '.join(map(str, a.reshape(-1).tolist()))}}};" for name, a in arrays.items()]
    tail = f"void network_run(void) {{ conv(arena + {made.offset(graph.input)}, arena + {made.offset(graph.output)}); }}\n"
    files = {name: (KERNELS / name).read_text() for name in ("simd.h", "runtime.c")}
    return files | {"network.c": "\n".join([*head, PRELUDE, "__attribute__((noinline))", code, tail])}


def measure(name: str, code: str | None = None, *, graph: QGraph | None = None, compiler: str = "zig", optimise: str = "-O2") -> Step:
    """Compile one step for a Cortex-M4 and count what it executes; `code` replaces the text of the step."""
    graph = graph or layer()
    made = plan(graph, in_place=False)
    program = Program(made) if name == STEPS[-1] and code is None else Program(made, files=loops(graph, code or text(name)))
    x = np.random.default_rng(1).integers(-128, 128, graph.tensors[graph.input].shape).astype(np.int8)
    got, execution = program.run_on(program.machine(load_board(BOARD), compiler=compiler, optimise=optimise), x)
    return Step(name, execution.instructions, made.macs, bool(np.array_equal(got, run(graph, x))))
