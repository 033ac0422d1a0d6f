"""Panel of the lab once_for_all: a device and a budget choose a sub-network."""

import functools

import numpy as np
import torch
from matplotlib.patches import Rectangle

from tinylib.core.checkpoint import load_checkpoint, load_record
from tinylib.core.seed import generator, rng
from tinylib.datasets import garments
from tinylib.measure.latency_table import load_tables
from tinylib.nas.once_for_all import Shape, SuperNet, resized, table_keys
from tinylib.nn.fit import evaluate
from tinylib.search.pareto import front
from tinylib.search.predictor import fit_predictor
from tinylib.show.panel import Choice, Panel, Slider, Toggle
from tinylib.show.plots import limit_line
from tinylib.show.style import COLOURS

SHAPE, SPACE = Shape(), Shape().space()
DEVICES = ("this CPU", "microcontroller", "mobile GPU", "matrix accelerator")
WORDS = {"ms": ("latency", "ms"), "million instructions": ("work", "M instr.")}      # unit -> what it measures, short unit
RATES = {"population": 16, "generations": 6}


@functools.cache
def tables():
    """Tables by device."""
    return load_tables("once_for_all-latency", "once_for_all-instructions")


@functools.cache
def supernet():
    """The shipped super-network, 64 training images, 100 validation images with labels."""
    net = SuperNet(SHAPE)
    net.load_state_dict(load_checkpoint("once_for_all-supernet")[0])
    data = garments.load()
    return net.eval(), data.train.take(64).tensors()[0], data.val.take(100).tensors()


@functools.cache
def predictor():
    """Predictor trained on the shipped pairs, as a function candidate -> guessed accuracy; and the pairs' candidates and accuracies."""
    pairs = load_record("once_for_all-pairs")
    model = fit_predictor(pairs["codes"], pairs["accuracy"], generator=generator(0, "predictor"), steps=300)
    weights = [p.detach().numpy().astype(float) for p in model.parameters()]
    base = float(model.base)

    def guess(candidate):
        x = SPACE.encode(candidate)
        for matrix, bias in zip(weights[:4:2], weights[1:4:2]):
            x = np.maximum(matrix @ x + bias, 0)
        return float((weights[4] @ x + weights[5])[0]) + base

    return guess, [SPACE.decode(code.astype(np.float32)) for code in pairs["codes"]], pairs["accuracy"]


def price(device, candidate):
    """Cost of a candidate by the device's table, in its unit."""
    return tables()[device](table_keys(SHAPE, candidate))


@functools.cache
def cloud(device):
    """Cost and accuracy of the measured pairs, and the indices of their front."""
    _, candidates, accuracy = predictor()
    costs = np.array([price(device, c) for c in candidates])
    return costs, accuracy, front(costs, accuracy)


def compute_devices(params, functions):
    """Search with the given evolution, cut, recalibrate with the given function (or not), and classify 100 images."""
    device, (net, few, (x, y)), (guess, _, _) = params["device"], supernet(), predictor()
    most = price(device, SHAPE.largest())
    budget = params["share"] / 100 * most
    best, says = functions["once_for_all.evolve"](SPACE.sample, SPACE.mutate, lambda a, b, r: SPACE.cross(a, b, r), guess,
                                                  lambda c: price(device, c), budget, rng(0, device, params["share"]), **RATES)
    plain, size = net.extract(best), best["resolution"]
    if params["recalibrate"]:
        functions["once_for_all.recalibrate"](plain, [resized(few, size)])
    with torch.inference_mode():
        accuracy = evaluate(plain, (resized(x, size), y))
    return {**params, "best": best, "guess": says, "accuracy": accuracy, "cost": price(device, best), "budget": budget, "kind": tables()[device].kind,
            "unit": tables()[device].unit}


def error(record):
    """Standard error of an accuracy on 100 images."""
    return (record["accuracy"] * (1 - record["accuracy"]) / 100) ** 0.5


def draw_devices(figure, record):
    """The blocks of the chosen network; the measured pairs, their front, the budget and the chosen point."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    best = record["best"]
    for s in range(len(SHAPE.stages)):
        for j in range(max(SHAPE.depths)):
            kept = j < best[f"depth{s}"]
            kernel, expand = (best[f"kernel{s}.{j}"], best[f"expand{s}.{j}"]) if kept else (7, 4)
            place, width = 5 - (s * max(SHAPE.depths) + j), expand / 4
            style = {"facecolor": COLOURS["ours"], "alpha": kernel / 10 + 0.3}
            if not kept:
                style = {"facecolor": "white", "edgecolor": COLOURS["original"], "linestyle": ":"}
            left.add_patch(Rectangle((-width / 2, place), width, 0.75, **style))
            words = f"{kernel}x{kernel}, width x{expand}" if kept else "left out"
            left.text(0, place + 0.37, words, ha="center", va="center", color="white" if kept else "black", fontsize=8)
    left.set(xlim=(-0.6, 0.6), ylim=(-0.3, 6), xticks=[])
    left.set_yticks(5.37 - np.arange(6), [f"{s}.{j}" for s in (0, 1) for j in range(3)])
    left.grid(False)
    left.set_ylabel("stage and block")
    left.set_title(f"{record['device']}: {best['resolution']} x {best['resolution']} pixels")
    costs, accuracy, best_of = cloud(record["device"])
    right.plot(costs, 100 * accuracy, ".", color=COLOURS["original"], label="measured pairs")
    right.plot(costs[best_of], 100 * accuracy[best_of], "-", color=COLOURS["original"], label="their front")
    stale = not record["recalibrate"]
    right.plot(record["cost"], 100 * record["accuracy"], "X" if stale else "o", color=COLOURS["failure" if stale else "ours"], markersize=10,
               label="chosen, stale norms" if stale else "chosen")
    right.errorbar(record["cost"], 100 * record["accuracy"], 100 * error(record), color=COLOURS["failure" if stale else "ours"], capsize=4)
    over = record["cost"] > record["budget"]
    limit_line(right, record["budget"], "budget", axis="x")
    what, unit = WORDS[record["unit"]]
    right.set(xlabel=f"{what} ({record['unit']}, {record['kind']})", ylabel="accuracy (%)", ylim=(0 if stale else 55, 90))
    right.legend(loc="lower right", frameon=True, edgecolor="none")
    right.set_title(f"{record['cost']:.3g} of {record['budget']:.3g} {unit}, {100 * record['accuracy']:.0f} % right",
                    color=COLOURS["budget"] if over else "black")


def describe_devices(record):
    """The picture in words."""
    best, norms = record["best"], "recalibrated" if record["recalibrate"] else "stale"
    kept = ", ".join(f"{s}.{j} {k}x{k} width x{e}" for s, j, k, e in SHAPE.blocks(best))
    return (f"{record['device']} ({record['kind']}), budget {record['budget']:.3g} {record['unit']}: {best['resolution']} pixels, blocks {kept}; "
            f"{record['cost']:.3g} {record['unit']}, "
            f"{100 * record['accuracy']:.1f} % of 100 validation images right with {norms} norms, give or take {100 * error(record):.0f}; "
            f"{100 * record['guess']:.1f} % predicted.")


PANELS = (
    Panel("once_for_all.devices", (
        Choice("device", "device", DEVICES, "microcontroller"), Slider("share", "budget (% of the full network's cost)", (40, 50, 60, 70, 80, 90, 100), 50),
        Toggle("recalibrate", "recalibrate the norms", True)), compute_devices, draw_devices, describe_devices,
        ("once_for_all.recalibrate", "once_for_all.evolve"), (8.2, 3.8)),
)
