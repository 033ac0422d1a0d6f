"""A folder for the engineer: C sources, Makefile, linker script, memory map, self-check vectors and a report. Checked before it is handed over."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.deploy.boards import Board
from tinylib.deploy.codegen import STACK_BYTES, link_script
from tinylib.deploy.emit import KERNELS
from tinylib.deploy.emulate import FLASH, SRAM, Execution
from tinylib.deploy.planner import Plan, plan, search_patching
from tinylib.deploy.program import Program
from tinylib.deploy.toolchain import build_arm
from tinylib.measure.arena import live_bytes
from tinylib.quantize.graph import QGraph
from tinylib.quantize.integer import run

FPU = {"cortex-m4": "fpv4-sp-d16", "cortex-m7": "fpv5-sp-d16"}
EMULATED_VECTORS = 2


@dataclass(frozen=True)
class Package:
    """What was written, and what the program needs on the board. Instructions are emulated, milliseconds estimated."""

    folder: Path
    plan: Plan
    flash_bytes: int
    execution: Execution
    report: str


def fit(graph: QGraph, board: Board) -> Plan:
    """A plan that fits the board's SRAM: whole if possible, patched if needed; else TinylibError with the missing bytes and the layer."""
    budget = board.sram_bytes - STACK_BYTES
    made = plan(graph, budget_bytes=budget)
    if made.peak_bytes > budget:
        made = search_patching(graph, budget_bytes=budget)
    if made.peak_bytes > budget:
        step = int(np.argmax(live_bytes(made.buffers)))
        raise TinylibError(f"The network does not fit {board.name}: it needs {made.peak_bytes} bytes of arena and {STACK_BYTES} of stack, SRAM is "
                           f"{board.sram_bytes} bytes: {made.peak_bytes - budget} too many. The peak is at layer {graph.ops[step].name!r} "
                           f"({graph.ops[step].kind}), patches tried as well. Use a smaller picture or fewer channels before that layer.")
    return made


def write_package(graph: QGraph, board: Board, inputs: np.ndarray, folder: Path, *, compiler: str = "zig") -> Package:
    """Write the folder for `board`; `inputs` int8 (b, h, w, c) become the self-check vectors.

    The program is compiled, run on this machine for every vector and emulated on the board for two; a difference raises TinylibError.
    """
    made = fit(graph, board)
    program = Program(made, folder)
    expected = run(graph, inputs)
    for name in ("selfcheck.c", "host_main.c", "startup.c"):
        (folder / name).write_text((KERNELS / name).read_text())
    (folder / "vectors.h").write_text(vectors(inputs, expected))
    (folder / "memory_map.txt").write_text(memory_map(made))
    text = (KERNELS / "Makefile.in").read_text()
    (folder / "Makefile").write_text(text.replace("@BOARD@", board.name).replace("@CORE@", board.core).replace("@FPU@", FPU[board.core]))
    if not np.array_equal(program.run_on_host(inputs), expected):
        raise TinylibError("The generated C disagrees with the integer reference on this machine. Please report the network.")
    try:
        machine = program.machine(board, compiler=compiler)
    except TinylibError as error:
        raise TinylibError(_flash_message(str(error), board, graph)) from None
    for x, want in zip(inputs[:EMULATED_VECTORS], expected):
        got, execution = program.run_on(machine, x)
        if not np.array_equal(got, want):
            raise TinylibError("The emulated program disagrees with the integer reference. Please report the network.")
    (folder / "link.ld").write_text(link_script(flash=FLASH, flash_bytes=board.flash_bytes, sram=SRAM, sram_bytes=board.sram_bytes))
    report = describe(made, board, machine.flash_bytes, execution)
    (folder / "REPORT.md").write_text(report)
    return Package(folder, made, machine.flash_bytes, execution, report)


def build_selfcheck(folder: Path, *, core: str, compiler: str, script: str, output: str, flags: tuple[str, ...] = ()) -> Path:
    """The stand-alone program (vector table, start-up, self-check) of a package."""
    return build_arm(folder, ["network.c", "runtime.c", "selfcheck.c", "startup.c"], output, core=core, compiler=compiler, script=script, flags=flags)


def _flash_message(error: str, board: Board, graph: QGraph) -> str:
    found = [line for line in error.splitlines() if "overflowed by" in line]
    if not found:
        return error
    missing = found[0].split("overflowed by")[1].split()[0]
    largest = max((op for op in graph.ops if op.weight is not None), key=lambda op: op.weight.size)
    return (f"The network does not fit {board.name}: code and weights are {missing} bytes larger than its {board.flash_bytes} bytes of flash. "
            f"The largest layer is {largest.name!r} with {largest.weight.size} bytes of weights.")


def vectors(inputs: np.ndarray, outputs: np.ndarray) -> str:
    """C header with inputs and expected outputs."""
    def rows(values):
        return ",\n".join("{" + ",".join(map(str, v.reshape(-1).tolist())) + "}" for v in values)
    return (f'#include <stdint.h>\n#define VECTORS {len(inputs)}\n'
            f"static const int8_t check_inputs[VECTORS][INPUT_BYTES] = {{\n{rows(inputs)}}};\n"
            f"static const int8_t check_outputs[VECTORS][OUTPUT_BYTES] = {{\n{rows(outputs)}}};\n")


def memory_map(made: Plan) -> str:
    """Table of the arena: offset, bytes, first and last step, name."""
    order = sorted(zip(made.offsets, made.buffers), key=lambda pair: (pair[0], pair[1].first))
    lines = [f"arena {made.peak_bytes} bytes; largest sum of live buffers {made.bound_bytes}; without planning {made.unplanned_bytes}",
             f"{'offset':>8} {'bytes':>8} {'steps':>9}  buffer"]
    return "\n".join([*lines, *(f"{offset:8d} {b.size:8d} {b.first:4d}-{b.last:<4d}  {b.name}" for offset, b in order), ""])


def describe(made: Plan, board: Board, flash_bytes: int, execution: Execution) -> str:
    """The report in Markdown."""
    patching = made.patching
    patched = f"first {patching.split} operators on {patching.rows} x {patching.cols} patches" if patching else "none needed"
    lines = [
        f"# Network on {board.name}", "",
        f"- SRAM: arena {made.peak_bytes} bytes + stack {STACK_BYTES} reserved ({execution.stack_bytes} used, measured), of {board.sram_bytes}",
        f"- Flash: {flash_bytes} of {board.flash_bytes} bytes (code, weights, constants; without the self-check vectors)",
        f"- Work: {made.macs} MACs, {execution.instructions} instructions (emulated {board.core}, ziglang)",
        f"- Time: about {execution.estimated_ms(board.clock_hz):.1f} ms at {board.clock_hz / 1e6:g} MHz: an estimate from a table of cycles, not measured",
        f"- Patches: {patched}", f"- In place: {', '.join(sorted(made.in_place)) or 'nothing'}", f"- Board data: {board.source}", "",
        "`make host` runs the self-check here. `make firmware.elf` links for the board; `selfcheck_result` is 0 when every vector is right.", "",
        "| layer | instructions |", "|---|---|",
        *(f"| {name} | {count.instructions} |" for name, count in execution.layers.items() if count.instructions)]
    return "\n".join([*lines, ""])
