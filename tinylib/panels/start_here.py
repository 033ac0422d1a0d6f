"""Panels of the lab `start_here`: the cost of a convolution, memory step by step, the roof."""

import json

from matplotlib.figure import Figure

from tinylib.core.paths import data_dir
from tinylib.core.units import KIB, kib, si
from tinylib.measure.arena import Buffer, live_bytes
from tinylib.show import plots
from tinylib.show.panel import Choice, Panel, Slider, Toggle
from tinylib.show.style import COLOURS

SIDE = 32                       # pixels of the convolution panel's image
SRAM_BYTES = 64 * KIB           # the budget of the first two panels
KINDS = ("full", "depth-wise", "depth-wise, then 1x1")


# --- what a convolution costs -------------------------------------------------------------------------------------------


def layers_of(kind: str, channels: int, kernel: int) -> list[tuple[int, int]]:
    """(kernel, groups) of the convolutions that a kind consists of."""
    return {"full": [(kernel, 1)], "depth-wise": [(kernel, channels)], "depth-wise, then 1x1": [(kernel, channels), (1, 1)]}[kind]


def conv_compute(params: dict, functions: dict) -> dict:
    """MACs and parameters from the functions given, 8-bit activation bytes of the largest step, for the chosen kind and the full one."""
    count_macs, count_params = functions["start_here.conv_macs"], functions["start_here.conv_params"]
    c, kernel = params["channels"], params["kernel"]

    def cost(kind: str) -> dict:
        parts = layers_of(kind, c, kernel)
        return {"macs": sum(count_macs(c, c, (k, k), (SIDE, SIDE), 1, k // 2, 1, g) for k, g in parts),
                "params": sum(count_params(c, c, (k, k), g, False) for k, g in parts)}

    return {"kind": params["kind"], "chosen": cost(params["kind"]), "full": cost("full"), "activation": 2 * c * SIDE * SIDE}


def conv_draw(figure: Figure, record: dict) -> None:
    axes = figure.subplots(1, 3)
    for ax, key, scale, label in ((axes[0], "macs", 1e6, "MMAC"), (axes[1], "params", 1e3, "thousand parameters")):
        plots.bars(ax, {"original: full": record["full"][key] / scale, "ours: chosen": record["chosen"][key] / scale}, ylabel=label)
    plots.bars(axes[2], {"memory: in + out": record["activation"] / KIB}, ylabel="activations (KiB, 8 bit)", budget=SRAM_BYTES / KIB)
    axes[2].set_ylim(top=max(90, 1.2 * record["activation"] / KIB))
    figure.suptitle(finding(record), x=0.01, ha="left", fontweight="bold", fontsize=11)


def finding(record: dict) -> str:
    """Title: how many times fewer MACs than the full convolution, and whether the activations fit."""
    saved = record["full"]["macs"] / max(record["chosen"]["macs"], 1)
    fits = "fit" if record["activation"] <= SRAM_BYTES else "do not fit"
    work = "the full work" if record["kind"] == "full" else f"{saved:.3g} times fewer MACs"
    return f"{record['kind']}: {work}; the activations {fits} in 64 KiB"


def conv_describe(record: dict) -> str:
    chosen = record["chosen"]
    return f"{finding(record)}. {si(chosen['macs'], 'MAC')}, {chosen['params']:,} parameters, {kib(record['activation'])} for input and output."


# --- memory step by step ------------------------------------------------------------------------------------------------

BLOCK_CHANNELS = 16


def memory_compute(params: dict, functions: dict) -> dict:
    """Sizes and steps of an 8-bit inverted residual block; the peak from the function given, the lifetimes from `measure`."""
    pixels = params["side"] ** 2
    narrow, wide = pixels * BLOCK_CHANNELS, pixels * BLOCK_CHANNELS * params["expand"]
    sizes = {"x": narrow, "wide": wide, "filtered": wide, "narrow": narrow}
    steps = [("wide", ["x"]), ("filtered", ["wide"]), ("narrow", ["filtered"])]
    if params["residual"]:
        sizes["y"] = narrow
        steps.append(("y", ["narrow", "x"]))
    buffers = lifetimes(sizes, steps)
    live = {b.name: [b.size * (b.first <= s <= b.last) for s in range(len(steps))] for b in buffers}
    return {"live": live, "steps": [output for output, _ in steps], "totals": live_bytes(buffers).tolist(),
            "peak": functions["start_here.peak_bytes"](dict(sizes), [(o, list(i)) for o, i in steps])}


def lifetimes(sizes: dict[str, int], steps: list[tuple[str, list[str]]]) -> list[Buffer]:
    """Each tensor from the step that makes it (0 for the input) to the last step that reads it."""
    made = {output: i for i, (output, _) in enumerate(steps)}
    last = {name: i for i, (_, inputs) in enumerate(steps) for name in inputs}
    return [Buffer(name, size, made.get(name, 0), max(made.get(name, 0), last.get(name, 0))) for name, size in sizes.items()]


def memory_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    plots.memory_over_steps(ax, record["live"], budget=SRAM_BYTES, steps=record["steps"])
    ax.axhline(record["peak"] / KIB, color=COLOURS["ours"], linestyle=":", linewidth=2)
    ax.text(0.01, record["peak"] / KIB, "the function's peak", transform=ax.get_yaxis_transform(), color=COLOURS["ours"], va="bottom", fontsize=9)
    highest = max(SRAM_BYTES, *record["totals"], record["peak"]) / KIB
    ax.set(title=memory_finding(record), xlabel="step (named after the tensor it makes)", ylim=(0, 1.15 * highest))


def memory_finding(record: dict) -> str:
    """Title: the peak, the fullest step, and whether it fits."""
    worst = record["steps"][max(range(len(record["totals"])), key=record["totals"].__getitem__)]
    verdict = "fits in" if record["peak"] <= SRAM_BYTES else "breaks"
    return f"Peak {record['peak'] / KIB:.3g} KiB, at '{worst}': {verdict} the budget of 64 KiB"


def memory_describe(record: dict) -> str:
    return memory_finding(record) + ". Alive step by step: " + ", ".join(f"{s} {t / KIB:.3g} KiB" for s, t in zip(record["steps"], record["totals"])) + "."


# --- the roof -----------------------------------------------------------------------------------------------------------

LAYERS = ("3x3", "1x1", "depth-wise 3x3", "linear")
ROOF_SIDE = 16


def work_and_traffic(layer: str, channels: int, batch: int) -> tuple[int, int]:
    """MACs and numbers moved (input, weights, output once each) of a layer on 16x16 images, or on vectors for "linear"."""
    places = 1 if layer == "linear" else ROOF_SIDE * ROOF_SIDE
    weights = {"3x3": 9 * channels**2, "1x1": channels**2, "depth-wise 3x3": 9 * channels, "linear": channels**2}[layer]
    return batch * places * weights, 2 * batch * places * channels + weights


def roof_compute(params: dict, functions: dict) -> dict:
    """Intensity, rate and time of every kind of layer under the shipped laptop core's roof, by the function given."""
    machine = json.loads((data_dir() / "machines" / "laptop_core.json").read_text())
    peak, bandwidth = machine["macs_per_second"], machine["bytes_per_second"]
    results = {}
    for layer in LAYERS:
        macs, numbers = work_and_traffic(layer, params["channels"], params["batch"])
        results[layer] = functions["start_here.roofline"](macs, numbers, 32, peak, bandwidth)
    return {"layer": params["layer"], "results": results, "peak": peak, "bandwidth": bandwidth}


def roof_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    points = {("ours: " if layer == record["layer"] else "original: ") + layer: result[:2] for layer, result in record["results"].items()}
    plots.roofline(ax, record["peak"], record["bandwidth"], points)
    ax.set_title(roof_finding(record))


def roof_finding(record: dict) -> str:
    """Title: which bound the chosen layer meets."""
    intensity, rate, _ = record["results"][record["layer"]]
    ridge = record["peak"] / record["bandwidth"]
    bound = f"memory bound: at most {100 * rate / record['peak']:.2g} % of the peak" if intensity < ridge else "compute bound: it may reach the peak"
    return f"{record['layer']} is {bound}"


def roof_describe(record: dict) -> str:
    intensity, rate, milliseconds = record["results"][record["layer"]]
    return f"{roof_finding(record)}. {intensity:.3g} MAC per byte, at most {si(rate, 'MAC/s')}, at least {milliseconds:.3g} ms."


PANELS = (
    Panel("start_here.conv", (Slider("channels", "channels in and out", (8, 16, 32, 64, 128), 32), Slider("kernel", "kernel (pixels)", (1, 3, 5, 7), 3),
                              Choice("kind", "kind", KINDS, "depth-wise, then 1x1")),
          conv_compute, conv_draw, conv_describe, ("start_here.conv_params", "start_here.conv_macs"), (8.0, 3.2)),
    Panel("start_here.memory", (Slider("side", "image side (pixels)", (16, 24, 32, 48), 24), Slider("expand", "expansion", (1, 2, 4, 6), 4),
                                Toggle("residual", "residual", True)),
          memory_compute, memory_draw, memory_describe, ("start_here.peak_bytes",)),
    Panel("start_here.roof", (Choice("layer", "layer", LAYERS, "depth-wise 3x3"), Slider("channels", "channels", (8, 32, 128, 512), 128),
                              Slider("batch", "batch", (1, 4, 16, 64), 1)),
          roof_compute, roof_draw, roof_describe, ("start_here.roofline",)),
)
