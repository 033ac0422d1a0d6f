"""Panel of the lab tinytl: what training keeps, layer by layer, by the learner's rule and by the meter."""

import functools

import torch

from tinylib.core.checkpoint import load_model
from tinylib.measure.saved import saved_by_model
from tinylib.show.panel import Choice, Panel, Slider
from tinylib.show.plots import limit_line
from tinylib.show.style import COLOURS, HATCHES
from tinylib.train.memory import layers_as_dicts, trace_layers, training_memory
from tinylib.train.tinytl import METHODS, drop_lite, lean, set_method

RULE = "tinytl.training_memory"
UNITS = ("stem", *(f"blocks.{i}" for i in range(7)), "head", "classifier")
SHORT = ("stem", *(f"block {i + 1}" for i in range(7)), "head", "last")
BUDGET = 256 * 1024     # bytes; the SRAM of a common microcontroller


def unit_of(name: str) -> int:
    """Index in UNITS of a layer or parameter name; layers outside any unit (the pool, the additions between) belong to the last."""
    return next((i for i, unit in enumerate(UNITS) if f"{name}.".startswith(f"{unit}.")), len(UNITS) - 1)


@functools.cache
def network(method: str, first: int):
    """(lean network, its layers for one picture): `method` trains from unit `first` upwards."""
    model = load_model("tinytl-source")
    model = set_method(model if "lite" in method else drop_lite(model), method, only=lambda name: unit_of(name) >= first)
    slim = lean(model).train()
    layers = layers_as_dicts(trace_layers(slim, torch.zeros(1, 3, 32, 32)))
    return slim, layers


def unit_ends(layers: list[dict]) -> list[int]:
    """For each unit, how many layers lie up to its end; additions count to the unit they follow."""
    ends, now = [0] * len(UNITS), 0
    for place, layer in enumerate(layers):
        name = layer["name"].split(" ", 1)[1]
        now = unit_of(name) if name.startswith(UNITS) else now
        ends[now] = place + 1
    return ends


@functools.cache
def metered(method: str, first: int, batch: int) -> int:
    """Bytes that the meter sees at a batch."""
    slim, _ = network(method, first)
    return saved_by_model(slim, torch.zeros(batch, 3, 32, 32)).bytes


def for_batch(layers: list[dict], batch: int) -> list[dict]:
    """The layers of one picture, for a batch of them."""
    return [layer | {key: layer[key] * batch for key in ("size_in", "size_out", "groups")} for layer in layers]


def compute(params, functions):
    """Bytes by unit from the learner's rule, and the total from the meter."""
    rule, first = functions[RULE], SHORT.index(params["first"])
    slim, layers = network(params["method"], first)
    layers = for_batch(layers, params["batch"])
    sums = [int(rule(layers[:end])) if end else 0 for end in unit_ends(layers)]
    parts = [max(0, b - max(sums[:i], default=0)) for i, b in enumerate(sums)]
    rest = training_memory(slim, sums[-1])
    return {**params, "units": parts, "rule": sums[-1], "meter": metered(params["method"], first, params["batch"]),
            "weights": rest.weights, "updates": rest.gradients + rest.momentum}


def draw(figure, record):
    """Stacked bar of each unit's activations; the rule's sum beside the meter's."""
    left, right = figure.subplots(1, 2, width_ratios=(2.6, 1))
    left.bar(range(len(SHORT)), [b / 1024 for b in record["units"]], color=COLOURS["memory"], hatch=HATCHES["memory"], edgecolor="white")
    left.set_xticks(range(len(SHORT)), SHORT, rotation=60)
    left.axvspan(-0.5, SHORT.index(record["first"]) - 0.5, color=COLOURS["original"], alpha=0.2, linewidth=0)
    left.set(ylabel="kept activations (KiB)", xlim=(-0.5, len(SHORT) - 0.5))
    over, kib = record["rule"] > BUDGET, record["rule"] / 1024
    left.set_title(f"{record['method']}, batch {record['batch']}: {kib:,.{0 if kib >= 10 else 1}f} KiB " + ("break" if over else "fit") + " the budget",
                   color=COLOURS["budget"] if over else "black")
    bottom = 0
    for value, meaning, label in ((record["rule"], "memory", "activations"), (record["updates"], "second", "gradients, momentum"),
                                  (record["weights"], "original", "weights")):
        right.bar(0, value / 1024, 0.7, bottom / 1024, color=COLOURS[meaning], hatch=HATCHES[meaning], edgecolor="white", label=label)
        bottom += value
    right.bar(1, record["meter"] / 1024, 0.7, color="white", edgecolor=COLOURS["budget" if over else "memory"], linewidth=2,
              label="activations, metered")
    limit_line(right, BUDGET / 1024, "budget for activations")
    right.set_xticks([0, 1], ["rule", "meter"])
    right.set(ylabel="KiB", ylim=(0, 1.45 * max(bottom, record["meter"], BUDGET) / 1024))
    right.legend(fontsize=7, loc="upper right")
    right.grid(False, axis="x")


def describe(record):
    """The picture in words."""
    agree = "the meter agrees" if record["meter"] == record["rule"] else f"the meter says {record['meter']:,}"
    top = max(range(len(SHORT)), key=lambda i: record["units"][i])
    state = "more than" if record["rule"] > BUDGET else "within"
    return (f"{record['method']} from {record['first']} upwards at batch {record['batch']} keeps {record['rule']:,} bytes of activations ({agree}), "
            f"{state} the budget of {BUDGET:,}; most of them in {SHORT[top]}. "
            f"Weights take {record['weights']:,}, gradients and momentum {record['updates']:,}.")


PANELS = (
    Panel("tinytl.memory",
          (Choice("method", "what trains", METHODS, "full"), Slider("first", "from", SHORT, "stem"),
           Slider("batch", "batch (pictures)", (1, 2, 4, 8, 16), 8)),
          compute, draw, describe, uses=(RULE,), figsize=(8.2, 3.6)),
)
