"""Panels of the lab pruning: one mask, a network losing channels, and channels that go together."""

import functools

import numpy as np
import torch
from matplotlib.patches import Rectangle

from tinylib.core.checkpoint import load_model, load_record
from tinylib.datasets import garments
from tinylib.measure.profile import profile
from tinylib.nn.fit import evaluate
from tinylib.prune.channel import cut_channels, keep_strongest
from tinylib.prune.groups import channel_graph
from tinylib.prune.magnitude import prunable
from tinylib.show.panel import Choice, Panel, Slider
from tinylib.show.plots import limit_line
from tinylib.show.style import COLOURS

LAYERS = ("layer0", "layer1", "layer2", "layer3", "layer4", "classifier")
EVERY = "all layers"
EXAMPLE = torch.zeros(1, 1, 28, 28)


@functools.cache
def network():
    """The plain network and 500 validation images with labels."""
    images, labels = garments.load().val.take(500).tensors()
    model = load_model("pruning-plain").to(memory_format=torch.channels_last)
    return model, (images.contiguous(memory_format=torch.channels_last), labels)


@functools.cache
def dense_accuracy() -> float:
    """Accuracy of the untouched network on the 500 images."""
    return evaluate(*network())


# 1. magnitude

def compute_magnitude(params, functions):
    """Prune one layer (or all) with the given mask function; histogram data, counts, bytes, live accuracy."""
    mask_of, (model, data) = functions["pruning.magnitude_mask"], network()
    weights = {n: w for n, w in prunable(model).items() if params["layer"] in (EVERY, n.split(".")[0])}
    before = {n: w.detach().clone() for n, w in weights.items()}
    flat = torch.cat([w.flatten() for w in before.values()])                # all chosen weights are ranked together
    mask = mask_of(next(iter(before.values())).clone() if len(before) == 1 else flat.clone(), params["sparsity"]).flatten()
    try:
        with torch.no_grad():
            for part, weight in zip(mask.split([w.numel() for w in before.values()]), weights.values()):
                weight.mul_(part.view(weight.shape))
        accuracy = evaluate(model, data)
    finally:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(before[name])
    kept = mask.numpy().astype(bool)
    return {**params, "weights": flat.numpy(), "kept": kept, "accuracy": accuracy, "dense": dense_accuracy(), "curve": recorded_curve(params["layer"]),
            "bytes": 4 * int(kept.sum()) + kept.size // 8}


def recorded_curve(layer):
    """Recorded accuracy without fine-tuning over sparsity: of one layer from the scan, of all layers from the sweep."""
    record = load_record("pruning-sweep")
    if layer != EVERY:
        name = next(n for n in record["scan"]["curves"] if n.split(".")[0] == layer)
        return record["scan"]["sparsities"], record["scan"]["curves"][name]
    rows = [r for r in record["rows"] if r["kind"] in ("dense", "zeros")]
    return [0.0 if r["kind"] == "dense" else r["setting"] for r in rows], [r["one_shot"] for r in rows]


def draw_magnitude(figure, record):
    """Histogram of kept and removed weights; accuracy over sparsity with the point we stand on."""
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    flat, kept = record["weights"], record["kept"]
    edges = np.linspace(-np.abs(flat).max(), np.abs(flat).max(), 62)
    left.hist([flat[~kept], flat[kept]], edges, stacked=True, color=[COLOURS["original"], COLOURS["ours"]], label=["removed", "kept"])
    left.set(xlabel="weight", ylabel="count")
    left.legend()
    left.set_title(f"{int(kept.sum()):,} of {kept.size:,} weights stay")
    sparsities, curve = record["curve"]
    right.plot(sparsities, 100 * np.asarray(curve), color=COLOURS["original"], label="recorded scan")
    right.axhline(100 * record["dense"], color=COLOURS["original"], linewidth=0.8, linestyle=":")
    right.plot(record["sparsity"], 100 * record["accuracy"], "o", color=COLOURS["ours"], markersize=9, label="measured now")
    right.set(xlabel="sparsity", ylabel="accuracy (%)", ylim=(0, 100), xlim=(-0.03, 1.03))
    right.legend(loc="lower left")
    right.set_title(f"{100 * record['accuracy']:.1f} % right, dense {100 * record['dense']:.1f} %")


def describe_magnitude(record):
    """The picture in words."""
    return (f"{record['layer']} at sparsity {record['sparsity']:g}: {int(record['kept'].sum()):,} of {record['kept'].size:,} weights stay "
            f"({record['bytes'] / 1024:.1f} KiB with a bit mask, dense {record['kept'].size / 256:.1f} KiB); accuracy on 500 validation images "
            f"{100 * record['accuracy']:.1f} % without any training, dense {100 * record['dense']:.1f} %.")


# 2. channels

@functools.cache
def graph_of_network():
    """The channel groups of the plain network, traced once."""
    return channel_graph(network()[0], EXAMPLE)


@functools.cache
def channel_row(share):
    """MACs a layer, accuracy without fine-tuning, parameters, of the plain network at a share of its channels."""
    model, data = network()
    small = cut_channels(model, EXAMPLE, keep_strongest(model, graph_of_network(), share)) if share < 1 else model
    cost = profile(small, EXAMPLE)
    by_layer = {name: sum(row.macs for row in cost.layers if row.name.split(".")[0] == name) for name in LAYERS}
    return {"macs": by_layer, "accuracy": evaluate(small, data), "params": cost.params}


def compute_channels(params, functions):
    """The row of this share beside the dense one, the budget, and the recorded accuracy after fine-tuning."""
    rows = [r for r in load_record("pruning-sweep")["rows"] if r["kind"] in ("dense", "channels")]
    points = sorted((r["macs"] / 1e6, r["tuned"]) for r in rows)
    return {**params, "now": channel_row(params["share"]), "dense": channel_row(1.0), "points": points}


def total(row):
    """MMACs of a row."""
    return sum(row["macs"].values()) / 1e6


def draw_channels(figure, record):
    """MACs a layer, dense and cut; accuracy over MACs with the budget."""
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    now, dense, x = record["now"], record["dense"], np.arange(len(LAYERS))
    left.bar(x - 0.2, [dense["macs"][n] / 1e6 for n in LAYERS], 0.4, color=COLOURS["original"], label="dense")
    left.bar(x + 0.2, [now["macs"][n] / 1e6 for n in LAYERS], 0.4, color=COLOURS["ours"], label="cut")
    left.set_xticks(x, LAYERS, rotation=30, ha="right")
    left.set(ylabel="MACs an image (millions)")
    left.legend(loc="upper right")
    left.set_title(f"{record['share']:.0%} of the channels: {total(now) / total(dense):.0%} of the MACs")
    over = total(now) > record["budget"]
    right.plot([p[0] for p in record["points"]], [100 * p[1] for p in record["points"]], "^-", color=COLOURS["second"])
    box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1}
    right.text(0.2, 80, "fine-tuned (recorded)", va="top", bbox=box, zorder=5)
    right.plot(total(now), 100 * now["accuracy"], "o", color=COLOURS["failure" if over else "ours"], markersize=9)
    right.annotate("cut, not tuned", (total(now), 100 * now["accuracy"]), xytext=(0, -16), textcoords="offset points", ha="center", bbox=box)
    limit_line(right, record["budget"], "budget", axis="x")
    if over:
        right.axvspan(record["budget"], 3.2, color=COLOURS["budget"], alpha=0.15, linewidth=0)
    right.set(xlabel="MACs an image (millions)", ylabel="accuracy (%)", ylim=(0, 100), xlim=(0, 3.2))
    right.set_title("over the budget" if over else "within the budget", color=COLOURS["budget"] if over else "black")


def describe_channels(record):
    """The picture in words."""
    now = record["now"]
    fits = "over" if total(now) > record["budget"] else "within"
    return (f"{record['share']:.0%} of the channels of every layer: {total(now):.2f} million MACs of {total(record['dense']):.2f}, "
            f"{now['params']:,} parameters, {fits} the budget of {record['budget']:.1f} million; {100 * now['accuracy']:.1f} % right "
            f"without fine-tuning, dense {100 * record['dense']['accuracy']:.1f} %.")


# 3. coupled

BLOCK = [
    ("image", "input", (), 3), ("stem", "conv", ("image",), 4), ("stem norm", "norm", ("stem",), 4), ("wide", "conv", ("stem norm",), 6),
    ("deep", "depthwise", ("wide",), 6), ("thin", "conv", ("deep",), 4), ("sum", "add", ("stem norm", "thin"), 4), ("side", "conv", ("sum",), 2),
    ("both", "concat", ("sum", "side"), 6), ("norm", "norm", ("both",), 6), ("head", "conv", ("norm",), 3),
]
MAKERS = ("stem", "wide", "thin", "side", "head")


def compute_coupled(params, functions):
    """Which channels of the block go with the chosen one."""
    widths = {name: channels for name, _, _, channels in BLOCK}
    channel = params["channel"] % widths[params["layer"]]
    together = {(str(name), int(i)) for name, i in functions["pruning.coupled"](list(BLOCK), params["layer"], channel)}
    return {"layer": params["layer"], "channel": channel, "together": together}


def draw_coupled(figure, record):
    """Each node a column of squares, one a channel; those that go are filled."""
    ax = figure.subplots()
    for x, (name, kind, _, channels) in enumerate(BLOCK):
        for i in range(channels):
            gone, asked = (name, i) in record["together"], (name, i) == (record["layer"], record["channel"])
            colour = COLOURS["budget" if asked else "ours"] if gone else "white"
            faint = kind in ("add", "concat")
            ax.add_patch(square(x, i, colour, COLOURS["original"] if faint else "black", ":" if faint else "-"))
            if gone:
                ax.text(x + 0.36, i + 0.36, "x", color="white", ha="center", va="center", fontweight="bold")
    ax.set_xticks(np.arange(len(BLOCK)) + 0.36, [f"{name}\n({kind})" for name, kind, _, _ in BLOCK], fontsize=8)
    ax.set(xlim=(-0.3, len(BLOCK)), ylim=(6.2, -0.3), ylabel="channel", yticks=np.arange(6) + 0.36, yticklabels=range(6))
    ax.grid(False)
    ax.set_title(f"Removing channel {record['channel']} of {record['layer']} takes {len(record['together'])} rows in "
                 f"{len({n for n, _ in record['together']})} layers")


def square(x, y, colour, edge, line):
    """One channel."""
    return Rectangle((x, y), 0.72, 0.72, facecolor=colour, edgecolor=edge, linestyle=line, linewidth=1)


def describe_coupled(record):
    """The picture in words."""
    names = ", ".join(f"{n}[{i}]" for n, i in sorted(record["together"]))
    return f"With channel {record['channel']} of {record['layer']} must go: {names}. The block is stem, wide, deep, thin, added to the stem, joined with side."


PANELS = (
    Panel("pruning.magnitude", (
        Slider("sparsity", "sparsity", (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98), 0.5),
        Choice("layer", "layer", (EVERY, *LAYERS), EVERY)), compute_magnitude, draw_magnitude, describe_magnitude, ("pruning.magnitude_mask",)),
    Panel("pruning.channels", (
        Slider("share", "channels kept", (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0), 0.8),
        Slider("budget", "budget (MMAC)", (0.6, 1.0, 1.5, 2.0, 2.5), 1.5)), compute_channels, draw_channels, describe_channels),
    Panel("pruning.coupled", (
        Choice("layer", "layer", MAKERS, "thin"), Slider("channel", "channel", (0, 1, 2, 3, 4, 5), 1)),
        compute_coupled, draw_coupled, describe_coupled, ("pruning.coupled",), (8.2, 3.4)),
)
