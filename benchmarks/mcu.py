"""How many instructions does a Cortex-M4 execute per MAC with our generated code, against CMSIS-NN, a plain C loop and a generic interpreter?

Emulated instruction counts, so they are the same on every machine. Ours is compiled by ziglang and by gcc -O2, named apart; the plain loop (its
text is below) and the interpreter are compiled by the same compilers. CMSIS-NN's counts are constants with their provenance. Every run is compared
bit for bit with the integer reference. Also: peak SRAM with and without planning, and whole inferences of the course's network.
`--images N` takes the emulated and the host build through N test pictures (10000: all, about half an hour).
"""

import argparse
import json
import platform
import time
from importlib.metadata import version

import numpy as np

from tinylib.deploy.boards import load_board
from tinylib.deploy.interpreter import generate_interpreted
from tinylib.deploy.ladder import loops
from tinylib.deploy.planner import plan
from tinylib.deploy.program import Program
from tinylib.deploy.seeded import mobilenet, single
from tinylib.deploy.toolchain import has_gcc
from tinylib.quantize.integer import run

# Measured for CMSIS-NN in July 2026: gcc 12 -O3, Cortex-M4, batch 1, int8; instructions per MAC. (kind, side, c, k, kernel) -> mark
CMSIS_NN = {("conv", 8, 64, 64, 1): 2.13, ("conv", 16, 16, 32, 1): 3.91, ("conv", 8, 96, 24, 1): 1.99, ("conv", 16, 3, 16, 3): 4.88,
            ("conv", 8, 16, 16, 3): 2.44, ("conv", 8, 32, 32, 3): 1.95, ("depthwise", 16, 32, 32, 3): 8.68, ("depthwise", 8, 96, 96, 3): 8.26,
            ("linear", 1, 256, 64, 1): 3.14}
PLAIN = {
    "conv": """void conv(const int8_t *x, int8_t *y) {
    for (int oy = 0; oy < H; ++oy) for (int ox = 0; ox < W; ++ox) for (int k = 0; k < K; ++k) {
        int32_t acc = bias[k];
        for (int i = 0; i < R; ++i) for (int j = 0; j < R; ++j) {
            const int iy = oy + i - PAD, ix = ox + j - PAD;
            if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
            for (int c = 0; c < C; ++c) acc += (x[(iy * W + ix) * C + c] - ZERO_IN) * weight[((k * R + i) * R + j) * C + c];
        }
        y[(oy * W + ox) * K + k] = finish(acc, k);
    }
}""",
    "depthwise": """void conv(const int8_t *x, int8_t *y) {
    for (int oy = 0; oy < H; ++oy) for (int ox = 0; ox < W; ++ox) for (int k = 0; k < K; ++k) {
        int32_t acc = bias[k];
        for (int i = 0; i < R; ++i) for (int j = 0; j < R; ++j) {
            const int iy = oy + i - PAD, ix = ox + j - PAD;
            if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
            acc += (x[(iy * W + ix) * C + k] - ZERO_IN) * weight[(k * R + i) * R + j];
        }
        y[(oy * W + ox) * K + k] = finish(acc, k);
    }
}""",
    "linear": """void conv(const int8_t *x, int8_t *y) {
    for (int k = 0; k < K; ++k) {
        int32_t acc = bias[k];
        for (int c = 0; c < C; ++c) acc += (x[c] - ZERO_IN) * weight[k * C + c];
        y[k] = finish(acc, k);
    }
}"""}


def count(program: Program, graph, x: np.ndarray, compiler: str) -> float:
    """Emulated instructions per MAC; a wrong bit raises."""
    got, execution = program.run_on(program.machine(load_board("nrf52840"), compiler=compiler), x)
    assert np.array_equal(got, run(graph, x)), "bits differ from the integer reference"
    return execution.instructions / program.plan.macs


def layer_rows(compiler: str) -> list[dict]:
    """One table row per mark."""
    rows = []
    for (kind, side, c, k, kernel), mark in CMSIS_NN.items():
        graph = single(kind, side, c, k, kernel)
        made = plan(graph, in_place=False)
        x = np.random.default_rng(1).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
        ours = count(Program(made), graph, x, compiler)
        name = f"{kind} {kernel}x{kernel} {side}x{side}x{c}" + ("" if kind == "depthwise" else f"->{k}")
        name = f"linear {c}->{k}" if kind == "linear" else name
        for label, rival in (("CMSIS-NN (gcc -O3)", mark), ("plain C loop", count(Program(made, files=loops(graph, PLAIN[kind])), graph, x, compiler)),
                             ("interpreter", count(Program(made, files=generate_interpreted(made)), graph, x, compiler))):
            rows.append({"case": f"{name}, {compiler}, against {label}", "ours": round(ours, 3), "rival": round(rival, 3),
                         "unit": "instructions per MAC", "ratio": round(rival / ours, 2)})
    return rows


def memory_rows(graphs: dict) -> list[dict]:
    """Peak SRAM with planning and in-place work, against every buffer with memory of its own."""
    plans = {name: plan(graph) for name, graph in graphs.items()}
    return [{"case": f"{name}, peak SRAM against no planning", "ours": p.peak_bytes, "rival": p.unplanned_bytes, "unit": "bytes",
             "ratio": round(p.unplanned_bytes / p.peak_bytes, 2)} for name, p in plans.items()]


def whole_rows(images: int) -> list[dict]:
    """The passport network: wall time of an emulated inference against the 2 s asked for; both builds right on `images` pictures."""
    from tinylib.core.checkpoint import load_model
    from tinylib.datasets.garments import load
    from tinylib.quantize.convert import quantise_input, quantize_model

    splits = load()
    graph = quantize_model(load_model("garments-base"), splits.val.take(256).tensors()[0], head="argmax")
    x = quantise_input(graph, splits.test.take(images).tensors()[0])
    program, expected = Program(plan(graph)), run(graph, x)
    assert np.array_equal(program.run_on_host(x), expected), "host build differs"
    machine = program.machine(load_board("stm32g431"))
    started = time.perf_counter()
    for one, want in zip(x, expected):
        got, execution = program.run_on(machine, one)
        assert np.array_equal(got, want), "emulated build differs"
    seconds = (time.perf_counter() - started) / images
    made = Program(interpreted := plan(graph, in_place=False), files=generate_interpreted(interpreted))
    _, slow = made.run_on(made.machine(load_board("nrf52840")), x[0])
    print(f"host and emulated build right on {images} of {images} test pictures; {execution.instructions} instructions, {execution.stack_bytes} bytes of stack")
    return [{"case": "passport network, wall time of one emulated inference against 2 s", "ours": round(seconds, 3), "rival": 2.0, "unit": "s",
             "ratio": round(2.0 / seconds, 1)},
            {"case": "passport network, zig, against interpreter", "ours": execution.instructions, "rival": slow.instructions, "unit": "instructions",
             "ratio": round(slow.instructions / execution.instructions, 2)}, *memory_rows({"passport network": graph, "MobileNetV2-like 64x64": mobilenet()})]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="last line: one JSON object")
    parser.add_argument("--images", type=int, default=20, help="test pictures for both builds (10000: all)")
    args = parser.parse_args()
    rows = layer_rows("zig")
    if has_gcc():
        rows += layer_rows("gcc")
    else:
        print("not counted: gcc (apt-get install gcc-arm-none-eabi)")
    rows += whole_rows(args.images)
    for row in rows:
        print(f"{row['case']:72s} {row['ours']:>12} {row['rival']:>12} {row['unit']:24s} {row['ratio']:>7}x")
    if args.json:
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": rows, "machine": platform.platform(),
                          "versions": {name: version(name) for name in ("ziglang", "unicorn", "numpy")}}))


if __name__ == "__main__":
    main()
