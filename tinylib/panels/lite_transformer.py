"""Panels of the lab `lite_transformer`: where a layer's MACs go, and where three trained networks look in a sentence that you type."""

import copy
import functools

import numpy as np
import torch
from matplotlib.figure import Figure

from tinylib.core.checkpoint import load_model, load_record
from tinylib.core.units import si
from tinylib.show.panel import Choice, Panel, Slider, Text
from tinylib.show.style import COLOURS
from tinylib.text.attention import attention_distance, attention_maps
from tinylib.text.learn import log_probabilities
from tinylib.text.tokens import BEGIN, Tokens, bits_per_character

TAPS = 15
PARTS = {"linear": ("linear layers", COLOURS["compute"], "\\\\"), "attention": ("n x n products", COLOURS["failure"], "xx"),
         "convolution": ("convolution", COLOURS["ours"], ""), "feed_forward": ("feed-forward part", COLOURS["original"], "..")}
STYLES = {"plain": "plain", "flat": "flat", "long-short": "long_short"}
SENTENCE = "in the beginning god created the heavens and the earth, and the earth was without form."
MOST = 32                               # tokens of a typed sentence that are drawn

# --- where the MACs go --------------------------------------------------------------------------------------------------


def budget_compute(params: dict, functions: dict) -> dict:
    """MACs by part of the original layer (attention alone, inner width 4 d) and of one with a share of channels for the convolution, flat."""
    count, n, d = functions["lite_transformer.layer_macs"], params["n"], params["d"]
    near = d * params["share"] // 100
    return {"n": n, "d": d, "near": near, "share": params["share"],
            "layers": {"plain": dict(count(n, d, 0, TAPS, 4 * d)), "yours": dict(count(n, d, near, TAPS, d))}}


def budget_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    names = {"yours": f"flat, {record['share']} % convolution", "plain": "original Transformer"}
    whole = sum(record["layers"]["plain"].values())
    for place, key in enumerate(names):
        left = 0.0
        for part, (label, colour, hatch) in PARTS.items():
            macs = record["layers"][key][part] / 1e6
            ax.barh(place, macs, 0.55, left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.8, label=label if place == 0 else None)
            if macs > 0.06 * whole / 1e6:
                ax.text(left + macs / 2, place, f"{macs:.3g}", ha="center", va="center", fontsize=9,
                        bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1})
            left += macs
    ax.axvline(whole / 2e6, color=COLOURS["budget"], linestyle="--")
    ax.annotate("half of the original ", (whole / 2e6, 1.42), color=COLOURS["budget"], fontsize=9, ha="right", va="center")
    ax.set(yticks=range(2), yticklabels=names.values(), ylim=(-0.5, 1.6), xlim=(0, 1.05 * max(whole, left * 1e6) / 1e6), title=budget_finding(record),
           xlabel=f"MACs of a layer (millions), n = {record['n']} words, d = {record['d']} channels")
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.26), ncols=4, fontsize=9)
    ax.grid(False, axis="y")


def budget_finding(record: dict) -> str:
    """Title: both totals and their ratio."""
    plain, yours = (sum(record["layers"][key].values()) for key in ("plain", "yours"))
    return f"{si(yours, 'MAC')} instead of {si(plain, 'MAC')}: {100 * yours / plain:.0f} % of the original layer"


def budget_describe(record: dict) -> str:
    shares = {name: 100 * layer["attention"] / sum(layer.values()) for name, layer in record["layers"].items()}
    return (f"{budget_finding(record)}. {record['near']} of {record['d']} channels go to the convolution. The n x n products take "
            f"{shares['plain']:.0f} % of the original layer and {shares['yours']:.0f} % of this one.")


# --- where three networks look ------------------------------------------------------------------------------------------


@functools.cache
def network(style: str):
    """Shipped language model of a style, with weights of 32 bits."""
    return load_model(f"lite_transformer-{style}")


@functools.cache
def tokens() -> Tokens:
    """Vocabulary of the language models."""
    from tokenizers import Tokenizer
    return Tokens(Tokenizer.from_str(load_record("lite_transformer-english")))


class Driven(torch.nn.Module):
    """A convolution branch whose convolution is another function (x, kernel, causal) -> x."""

    def __init__(self, branch: torch.nn.Module, function):
        super().__init__()
        self.branch, self.function = branch, function

    def forward(self, x, *, keep=None, generator=None):
        return self.branch.leave(self.function(self.branch.enter(x), self.branch.kernel, True, None))


def driven(style: str, function):
    """The shipped network with `function` in place of every convolution."""
    model = copy.deepcopy(network(style))
    for block in model.decoder.blocks:
        if block.mix.convolution is not None:
            block.mix.convolution = Driven(block.mix.convolution, function)
    return model.eval()


@torch.no_grad()
def look_compute(params: dict, functions: dict) -> dict:
    """Attention of one layer (mean of heads), mean distance by layer, and bits per character of the typed sentence."""
    text = params["text"].lower().strip() or "."
    numbers = tokens().encode(text)[:MOST]
    style = STYLES[params["style"]]
    model = driven(style, functions["lite_transformer.light_convolution"])
    row = torch.tensor([[BEGIN, *numbers]])
    maps = list(attention_maps(model, row).values())
    shown = tokens().decode(numbers)
    return {"style": params["style"], "layer": params["layer"], "map": maps[params["layer"] - 1][0].mean(0).numpy(),
            "pieces": ["[begin]", *(tokens().piece(t).strip() for t in numbers)], "distance": [attention_distance(m).mean().item() for m in maps],
            "bits": bits_per_character(log_probabilities(model, row), max(len(shown), 1)),
            "kernels": [b.mix.convolution.branch.kernel.softmax(-1).detach().numpy() for b in model.decoder.blocks if b.mix.convolution is not None]}


def look_draw(figure: Figure, record: dict) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    n = len(record["pieces"])
    left.imshow(np.sqrt(record["map"]), cmap="Blues", vmin=0, vmax=1)
    size = 8 if n <= 24 else 6 if n <= 34 else 5
    left.set_xticks(range(n), record["pieces"], rotation=90, fontsize=size, parse_math=False)
    left.set_yticks(range(n), record["pieces"], fontsize=size, parse_math=False)
    left.set(xlabel="looked at", ylabel="token that looks")
    left.grid(False)
    layers = range(1, len(record["distance"]) + 1)
    colours = [COLOURS["ours"] if layer == record["layer"] else COLOURS["original"] for layer in layers]
    right.barh(list(layers), record["distance"], 0.6, color=colours)
    for layer, value in zip(layers, record["distance"]):
        right.text(value, layer, f" {value:.1f}", va="center", fontsize=9)
    right.set(xlabel="mean distance (tokens)", ylabel="layer", yticks=list(layers), xlim=(0, 1.25 * max(max(record["distance"]), 1)))
    right.invert_yaxis()
    right.grid(False, axis="y")
    figure.suptitle(look_finding(record), x=0.02, ha="left", fontsize=11, fontweight="bold")


def look_finding(record: dict) -> str:
    """Title: how far this layer looks, and how well the network knows the sentence."""
    far = record["distance"][record["layer"] - 1]
    return f"{record['style'].capitalize()}, layer {record['layer']}: attention looks {far:.1f} tokens back; {record['bits']:.2f} bits per character"


def look_describe(record: dict) -> str:
    queries, keys = np.unravel_index(np.argmax(np.tril(record["map"], -1)), record["map"].shape)
    return (f"{look_finding(record)} of this sentence. The strongest look back goes from "
            f"'{record['pieces'][queries]}' to '{record['pieces'][keys]}'.")


PANELS = (
    Panel("lite_transformer.budget",
          (Slider("n", "words n", (16, 30, 64, 128, 256, 512, 1024), 30), Slider("d", "channels d", (128, 256, 512), 512),
           Slider("share", "channels for the convolution (%)", (0, 25, 50, 75, 100), 50)),
          budget_compute, budget_draw, budget_describe, uses=("lite_transformer.layer_macs",), figsize=(7.6, 3.4)),
    Panel("lite_transformer.look",
          (Text("text", "sentence", ("", "x", SENTENCE, "¿$a$ <b>, _x_ 99 " * 6), SENTENCE), Choice("style", "network", tuple(STYLES), "long-short"),
           Slider("layer", "layer", (1, 2, 3), 2)),
          look_compute, look_draw, look_describe, uses=("lite_transformer.light_convolution",), figsize=(7.6, 4.4)),
)
