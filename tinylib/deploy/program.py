"""Generated C in a folder: built for this machine to run thousands of inputs, and for a board to be emulated."""

import ctypes
import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.deploy.boards import Board
from tinylib.deploy.codegen import STACK_BYTES, generate, layer_names, link_script
from tinylib.deploy.emulate import FLASH, SRAM, Machine, Region
from tinylib.deploy.planner import Plan
from tinylib.deploy.toolchain import build_arm, build_host

SOURCES = ["network.c", "runtime.c"]


class Program:
    """The C of one plan. Without `folder` it lives in a temporary one that goes with the object.

    `files` are other sources with the same entry points; `layers` then names their functions to count.
    """

    def __init__(self, plan: Plan, folder: Path | None = None, *, files: dict[str, str] | None = None, layers: tuple[str, ...] = ()):
        self.plan, self.layers = plan, layers if files else tuple(layer_names(plan))
        self.folder = Path(folder or tempfile.mkdtemp(prefix="tinylib-"))
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (files or generate(plan)).items():
            (self.folder / name).write_text(text)
        self._host = None

    def run_on_host(self, x: np.ndarray) -> np.ndarray:
        """int8 outputs (b, ...) of the host build for int8 inputs (b, ...)."""
        graph = self.plan.graph
        shape, out_shape = graph.tensors[graph.input].shape, graph.tensors[graph.output].shape
        if x.dtype != np.int8 or x.shape[1:] != shape:
            raise TinylibError(f"The program takes int8 of shape (b, {', '.join(map(str, shape))}), got {x.dtype} {x.shape}.")
        if self._host is None:
            self._host = ctypes.CDLL(str(build_host(self.folder, ["network.c"], "network.so")))
        arena = np.ctypeslib.as_array((ctypes.c_int8 * max(4, self.plan.peak_bytes)).in_dll(self._host, "arena"))
        source = arena[self.plan.offset(graph.input):][:int(np.prod(shape))]
        result = arena[self.plan.offset(graph.output):][:int(np.prod(out_shape))]
        out = np.empty((len(x), result.size), np.int8)
        for i, one in enumerate(x.reshape(len(x), -1)):
            source[:] = one
            self._host.network_run()
            out[i] = result
        return out.reshape(len(x), *out_shape)

    def build(self, board: Board, *, core: str | None = None, compiler: str = "zig", optimise: str = "-O2", flags: tuple[str, ...] = ()) -> Path:
        """The program linked for a board; too large for flash or SRAM raises TinylibError."""
        core = core or board.core
        (self.folder / "link.ld").write_text(link_script(flash=FLASH, flash_bytes=board.flash_bytes, sram=SRAM, sram_bytes=board.sram_bytes))
        need = self.plan.peak_bytes + STACK_BYTES
        if need > board.sram_bytes:
            raise TinylibError(f"{board.name} has {board.sram_bytes} bytes of SRAM, the program needs {need}: {need - board.sram_bytes} too many.")
        return build_arm(self.folder, SOURCES, f"{board.name}-{core}-{compiler}.elf", core=core, compiler=compiler, optimise=optimise, flags=flags)

    def machine(self, board: Board, *, core: str | None = None, compiler: str = "zig", optimise: str = "-O2", flags: tuple[str, ...] = ()) -> Machine:
        """The program in an emulated board."""
        elf = self.build(board, core=core, compiler=compiler, optimise=optimise, flags=flags)
        machine = Machine(elf, board, core=core, layers=self.layers)
        base = machine.address("arena")
        machine.regions = tuple(Region(b.name, base + o, b.size) for b, o in zip(self.plan.buffers, self.plan.offsets))
        return machine

    def run_on(self, machine: Machine, x: np.ndarray):
        """(int8 output, Execution) of one input on an emulated board."""
        graph = self.plan.graph
        machine.write("arena", x, self.plan.offset(graph.input))
        execution = machine.run()
        shape = graph.tensors[graph.output].shape
        return machine.read("arena", int(np.prod(shape)), offset=self.plan.offset(graph.output)).reshape(shape), execution
