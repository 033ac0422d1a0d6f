"""Panels of the lab quantization: bits of the weights against accuracy and bytes, and one grid on the real line."""

import functools

import numpy as np
import torch

from tinylib.core.checkpoint import load_model, load_record
from tinylib.datasets import garments
from tinylib.quantize.cost import layer_costs
from tinylib.quantize.trace import fold_model
from tinylib.show.panel import Choice, Panel, Slider
from tinylib.show.plots import limit_line
from tinylib.show.style import COLOURS

WAYS = ("per tensor", "per channel", "codebook")
COLOUR = {"per tensor": "original", "per channel": "ours", "codebook": "second"}
PICTURES = 200
BUDGET_KIB = 32
BITS = (2, 3, 4, 5, 6, 7, 8)


@functools.cache
def setting():
    """Folded garments network, its layers by name (weights as they are), costs, and 200 validation pictures with labels."""
    images, labels = garments.load().val.take(PICTURES).tensors()
    model = fold_model(load_model("garments-base"), images[:1])
    layers = {cost.name: model.get_submodule(cost.name) for cost in layer_costs(model, images[:1])}
    originals = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    return model.to(memory_format=torch.channels_last), layers, originals, (images.contiguous(memory_format=torch.channels_last), labels)


@functools.cache
def float_accuracy() -> float:
    """Accuracy of the float network on the 200 pictures."""
    model, _, _, (images, labels) = setting()
    return right(model, images, labels)


@torch.no_grad()
def right(model, images, labels) -> float:
    """Share of right answers in [0, 1]."""
    return float((model(images).argmax(1) == labels).float().mean())


def nearest(values, centroids):
    """Index of the nearest of ascending centroids; ties take the lower."""
    return torch.bucketize(values, (centroids[1:] + centroids[:-1]) / 2)


def shared(weight, bits, update, rounds=6):
    """Weight with `2**bits` shared values, by a few rounds of k-means from evenly spaced values."""
    values = weight.flatten()
    centroids = torch.linspace(float(values.min()), float(values.max()), 2**bits)
    for _ in range(rounds):
        centroids = update(values.clone(), nearest(values, centroids), centroids.clone()).to(values.dtype)
    return centroids[nearest(values, centroids)].reshape(weight.shape)


def rounded(weight, way, bits, functions):
    """(weight after the round trip, bytes) in one of the three ways."""
    packed = -(-weight.numel() * bits // 8)
    if way == "codebook":
        return shared(weight, bits, functions["quantization.kmeans_update"]), packed + 4 * 2**bits
    rows = weight if way == "per channel" else weight.reshape(1, -1)
    q, scale = functions["quantization.per_channel"](rows.clone(), bits)
    back = q.to(torch.float32) * scale.reshape(-1, *[1] * (rows.dim() - 1))
    return back.reshape(weight.shape), packed + 4 * len(scale)


def compute_bits(params, functions):
    """Round all weights, depth-wise layers at their own bits; accuracy, bytes and the errors of both kinds of layers."""
    model, layers, originals, (images, labels) = setting()
    errors, size = {"depth-wise": [], "other": []}, 0
    try:
        for name, weight in originals.items():
            kind = "depth-wise" if weight.dim() == 4 and weight.shape[1] == 1 and len(weight) > 16 else "other"
            new, count = rounded(weight, params["way"], params["depthwise" if kind == "depth-wise" else "others"], functions)
            layers[name].weight.data = new.contiguous(memory_format=torch.channels_last) if new.dim() == 4 else new
            errors[kind].append(((new - weight) / weight.std()).flatten().numpy())
            size += count
        accuracy = right(model, images, labels)
    finally:
        for name, weight in originals.items():
            layers[name].weight.data = weight.clone()
    return {**params, "accuracy": accuracy, "float": float_accuracy(), "bytes": size, "errors": {k: np.concatenate(v) for k, v in errors.items()},
            "rows": load_record("quantization-sweep")["rows"]}


def draw_bits(figure, record):
    """Errors of the weights; accuracy over bytes with the recorded curves and the point we stand on."""
    left, ax = figure.subplots(1, 2, width_ratios=(1, 1.25))
    reach = max(0.02, max(float(np.abs(e).max()) for e in record["errors"].values()))
    edges = np.linspace(-reach, reach, 62)
    for (kind, error), colour in zip(record["errors"].items(), ("failure", "memory")):
        left.stairs(np.histogram(error, edges, density=True)[0], edges, fill=True, alpha=0.65, color=COLOURS[colour], label=kind)
    left.set(xlabel="error of a weight (spread of its layer = 1)", ylabel="density")
    left.legend()
    left.set_title(f"Errors reach {reach:.2f} of the spread")
    for way in WAYS:
        rows = [row for row in record["rows"] if row["way"] == way]
        ax.plot([r["bytes"] / 1024 for r in rows], [100 * r["plain"] for r in rows], ".-", color=COLOURS[COLOUR[way]], label=f"{way} (recorded)", alpha=0.7)
    over = record["bytes"] > BUDGET_KIB * 1024
    ax.plot(record["bytes"] / 1024, 100 * record["accuracy"], "o", color=COLOURS["failure" if over else "compute"], markersize=10, label="measured now")
    limit_line(ax, BUDGET_KIB, "budget", axis="x")
    ax.set(xlabel="weights (KiB)", ylabel="accuracy (%)", ylim=(0, 100))
    ax.legend(loc="lower right", fontsize=8)
    ax.set_title(f"{100 * record['accuracy']:.1f} % right in {record['bytes'] / 1024:.1f} KiB, {'over' if over else 'within'} budget",
                 color=COLOURS["budget"] if over else "black")


def describe_bits(record):
    """The picture in words."""
    spread = {kind: float(np.std(error)) for kind, error in record["errors"].items()}
    return (f"{record['way']}, depth-wise layers {record['depthwise']} bits, all others {record['others']} bits: {100 * record['accuracy']:.1f} % right on "
            f"{PICTURES} validation pictures (float {100 * record['float']:.1f} %), {record['bytes']:,} bytes, "
            f"{'over' if record['bytes'] > BUDGET_KIB * 1024 else 'within'} the budget of {BUDGET_KIB} KiB. Root mean square error of the weights, "
            f"in spreads of their layer: depth-wise {spread['depth-wise']:.3f}, others {spread['other']:.3f}.")


# 2. one grid

def compute_line(params, functions):
    """Scale and zero point, the grid's values, and what rounding does to a fine line of reals."""
    scale, zero_point = functions["quantization.affine_params"](params["low"], params["high"], params["bits"])
    first, last = -(2 ** (params["bits"] - 1)), 2 ** (params["bits"] - 1) - 1
    x = np.linspace(-4.5, 7.5, 601)
    q = np.clip(np.floor(x / scale + 0.5) + zero_point, first, last)
    return {**params, "scale": float(scale), "zero_point": int(zero_point), "x": x, "y": scale * (q - zero_point),
            "levels": scale * (np.arange(first, last + 1) - zero_point)}


def draw_line(figure, record):
    """The staircase: real in, real out, with the clamped ends marked."""
    ax = figure.subplots()
    x, y, levels = record["x"], record["y"], record["levels"]
    ax.plot(x, x, color=COLOURS["original"], linewidth=1, label="no rounding")
    ax.plot(x, y, color=COLOURS["ours"], drawstyle="steps-mid", label="through the grid")
    for low, high in ((x[0], levels[0]), (levels[-1], x[-1])):
        if high > low:
            ax.axvspan(low, high, color=COLOURS["failure"], alpha=0.15, linewidth=0)
    ax.plot(levels, np.full(len(levels), -5.2), "|", color=COLOURS["ours"], markersize=9)
    ax.plot(0, 0, "o", color=COLOURS["compute"], label=f"0 is integer {record['zero_point']}")
    ax.set(xlabel="real value", ylabel="value on the grid", xlim=(x[0], x[-1]), ylim=(-5.6, 7.8))
    ax.legend(loc="upper left")
    ax.set_title(f"{len(levels)} levels, {record['scale']:.3g} apart, from {levels[0]:.3g} to {levels[-1]:.3g}; beyond, values saturate")


def describe_line(record):
    """The picture in words."""
    return (f"Range {record['low']:g} to {record['high']:g} at {record['bits']} bits: scale {record['scale']:.4g}, zero point {record['zero_point']}. The grid "
            f"holds {len(record['levels'])} values from {record['levels'][0]:.4g} to {record['levels'][-1]:.4g}; the error inside is at most "
            f"{record['scale'] / 2:.3g}.")


PANELS = (
    Panel("quantization.bits", (
        Choice("way", "grid of the weights", WAYS, "per tensor"), Slider("depthwise", "bits of depth-wise layers", BITS, 8),
        Slider("others", "bits of all other layers", BITS, 8)), compute_bits, draw_bits, describe_bits,
        ("quantization.per_channel", "quantization.kmeans_update"), (8.2, 3.6)),
    Panel("quantization.line", (
        Slider("low", "smallest value", (-4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 1.0), -1.0), Slider("high", "largest value", (-0.5, 0.5, 1.0, 2.0, 4.0, 6.0), 6.0),
        Slider("bits", "bits", (2, 3, 4, 5, 6, 8), 3)), compute_line, draw_line, describe_line, ("quantization.affine_params",)),
)
