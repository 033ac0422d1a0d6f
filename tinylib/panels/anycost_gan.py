"""Panels of the lab `anycost_gan`: a preview beside the full picture, an edit in both, and the search for a budget."""

import functools
import time

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from tinylib.core.checkpoint import load_model, load_record
from tinylib.core.seed import generator
from tinylib.gan.generator import FULL, LAST, RATIOS, RESOLUTIONS, SIDES, Config, Generator, doubled, macs
from tinylib.gan.project import ATTRIBUTES, direction
from tinylib.show.panel import Choice, Panel, Slider
from tinylib.show.style import COLOURS

PICKED = (3, 0, 6, 13, 31, 32, 21, 24)      # eight different faces of the first 48, chosen for variety
FACES = len(PICKED)


@functools.cache
def network() -> Generator:
    """The shipped elastic generator."""
    return load_model("anycost_gan-anycost")


@functools.cache
def faces() -> Tensor:
    """Eight mapped latents that give different faces: (8, 64)."""
    with torch.no_grad():
        return network().mapping(torch.randn(48, network().latent, generator=generator(21, "panel"))[list(PICKED)])


def shown(picture: Tensor) -> np.ndarray:
    """(3, side, side) in [-1, 1] -> uint8 (side, side, 3)."""
    return ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


@torch.no_grad()
def drawn_by(conv, net: Generator, w: Tensor, config: Config) -> Tensor:
    """The generator with a modulated convolution given as a function (x, weight, style, out, demodulate): (b, 3, side, side)."""
    channels = config.channels(net.widths)
    x, picture = net.constant(len(w), channels[0]), None
    for i in range(LAST[config.resolution]):
        layer = net.convs[i]
        if x.shape[-1] < SIDES[i]:
            x, picture = doubled(x), doubled(picture)
        x = conv(x, layer.weight, layer.style(w), channels[i], True) + layer.bias[:channels[i], None, None]
        x = F.leaky_relu(x + layer.strength * getattr(net, f"noise{i}"), 0.2) * 2**0.5
        if i + 1 in LAST.values():
            rgb = net.colours[list(LAST.values()).index(i + 1)]
            colour = conv(x, rgb.weight, rgb.style(w), 3, False) + rgb.bias[:, None, None]
            picture = colour if picture is None else picture + colour
    return picture


def difference(one: Tensor, other: Tensor) -> float:
    """Root mean squared difference in levels of 255, as the pictures are shown; the larger one is averaged down."""
    other = F.avg_pool2d(other, other.shape[-1] // one.shape[-1])
    return float((one.clamp(-1, 1) - other.clamp(-1, 1)).square().mean().sqrt() * 127.5)


def _picture(ax, picture: np.ndarray, title: str) -> None:
    ax.imshow(picture, interpolation="nearest", extent=(0, 1, 1, 0))
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9, fontweight="normal")
    ax.spines[:].set_visible(False)
    ax.grid(False)


# --- preview beside the full picture ------------------------------------------------------------------------------------


def timed(function) -> tuple[Tensor, float]:
    """The result, and the shortest of five runs in ms."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return result, 1e3 * min(times)


def preview_compute(params: dict, functions: dict) -> dict:
    """Preview and full picture of one face by the given convolution, with MACs and measured time."""
    config, conv, w = Config.uniform(params["ratio"], params["resolution"]), functions["anycost_gan.modulated_conv"], faces()[params["face"] - 1][None]
    small, small_ms = timed(lambda: drawn_by(conv, network(), w, config))
    full, full_ms = timed(lambda: drawn_by(conv, network(), w, FULL))
    return {"ratio": params["ratio"], "resolution": params["resolution"], "face": params["face"], "small": shown(small[0]), "full": shown(full[0]),
            "macs": np.array([macs(config), macs()]), "ms": np.array([small_ms, full_ms]), "levels": difference(small, full)}


def preview_draw(figure: Figure, record: dict) -> None:
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 1.1))
    _picture(figure.add_subplot(grid[:, 0]), record["small"], f"preview, {record['resolution']} px")
    _picture(figure.add_subplot(grid[:, 1]), record["full"], "full, 32 px")
    bars = (("million MACs", record["macs"] / 1e6, COLOURS["compute"]), ("milliseconds, measured now", record["ms"], COLOURS["ours"]))
    for row, (label, values, colour) in enumerate(bars):
        ax = figure.add_subplot(grid[row, 2])
        ax.barh(["preview", "full"], values, color=[colour, COLOURS["original"]], height=0.6)
        ax.bar_label(ax.containers[0], fmt="%.2f", fontsize=8, padding=2)
        ax.invert_yaxis()
        ax.set(xlabel=label, xlim=(0, 1.3 * max(values)), ylabel="picture")
        ax.yaxis.label.set_visible(False)
        ax.grid(False)
    figure.suptitle(preview_finding(record), x=0.02, ha="left", fontweight="bold", fontsize=11)


def preview_finding(record: dict) -> str:
    """Title: cost as a factor, and how far the picture is from the full one."""
    times = record["macs"][1] / record["macs"][0]
    return f"{times:.1f} times fewer MACs, {record['levels']:.0f} of 255 levels from the full picture" if times > 1 else "The full generator"


def preview_describe(record: dict) -> str:
    return (f"{preview_finding(record)}. Face {record['face']}, ratio {record['ratio']:g}, {record['resolution']} pixels: {record['macs'][0]:,} MACs and "
            f"{record['ms'][0]:.2f} ms; full: {record['macs'][1]:,} MACs and {record['ms'][1]:.2f} ms.")


# --- an edit in the preview and in the full picture ---------------------------------------------------------------------


@functools.cache
@torch.no_grad()
def step_of(attribute: str) -> Tensor:
    """Direction (d,) for an attribute, as long as one standard deviation of w along it."""
    w = network().mapping(torch.randn(600, network().latent, generator=generator(22, "directions")))
    pictures = torch.cat([network().synthesis(part)[-1] for part in w.split(100)])
    found = direction(w, ATTRIBUTES[attribute](pictures))
    return found * (w @ found).std()


@torch.no_grad()
def edit_compute(params: dict, functions: dict) -> dict:
    """Three faces before and after a step along a direction, in a preview of 16 pixels and in full."""
    config, w = Config.uniform(params["ratio"], 16), faces()[[0, 3, 5]]
    moved, read = w + params["strength"] * step_of(params["attribute"]), ATTRIBUTES[params["attribute"]]
    pictures = {name: (network().synthesis(w, c)[-1], network().synthesis(moved, c)[-1]) for name, c in (("preview", config), ("full", FULL))}
    change = {name: float((read(after) - read(before)).mean()) for name, (before, after) in pictures.items()}
    return {**params, "change": change, "pictures": {n: [[shown(p) for p in part] for part in pair] for n, pair in pictures.items()}}


def edit_draw(figure: Figure, record: dict) -> None:
    grid = figure.add_gridspec(2, 6)
    for row, (name, (before, after)) in enumerate(record["pictures"].items()):
        for face in range(3):
            _picture(figure.add_subplot(grid[row, 2 * face]), before[face], f"{name}, before")
            _picture(figure.add_subplot(grid[row, 2 * face + 1]), after[face], f"{name}, after")
    figure.suptitle(edit_finding(record), x=0.02, ha="left", fontweight="bold", fontsize=11)


def edit_finding(record: dict) -> str:
    """Title: whether preview and full picture move the same way."""
    small, full = record["change"]["preview"], record["change"]["full"]
    if abs(full) < 1e-6:
        return f"'{record['attribute']}': no step, no change"
    way = "the same way" if small * full > 0 else "the other way"
    return f"'{record['attribute']}' moves {way} in the preview: {small:+.2f}, full {full:+.2f}"


def edit_describe(record: dict) -> str:
    return f"{edit_finding(record)}. {record['strength']:+g} standard deviations, preview with {record['ratio']:g} of the channels at 16 pixels, three faces."


# --- search under a budget ----------------------------------------------------------------------------------------------


@functools.cache
def table() -> tuple[dict, np.ndarray, np.ndarray]:
    """Errors by ratios, and MACs and errors of all 1,024 sub-generators."""
    record = load_record("anycost_gan-subs")
    return {tuple(map(float, r)): float(e) for r, e in zip(record["ratios"], record["error"])}, record["macs"], record["error"]


def budget_compute(params: dict, functions: dict) -> dict:
    """What the given search finds for a share of the full MACs, among all there are."""
    errors, costs, values = table()
    budget, asked = params["share"] / 100 * macs(), []

    def error(ratios) -> float:
        asked.append(tuple(ratios))
        return errors[tuple(float(r) for r in ratios)]

    found = tuple(float(r) for r in functions["anycost_gan.search_budget"](error, lambda r: macs(Config(tuple(r))), len(SIDES), list(RATIOS), budget))
    uniform = Config.uniform(max(r for r in RATIOS if macs(Config.uniform(r)) <= budget))
    fits = costs <= budget
    return {"share": params["share"], "budget": budget, "costs": costs, "errors": values, "found": found, "cost": macs(Config(found)), "error": errors[found],
            "asked": len(set(asked)), "best": float(values[fits].min()), "uniform": errors[uniform.ratios], "uniform_cost": macs(uniform)}


def budget_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    ax.scatter(record["costs"] / 1e6, record["errors"], s=5, color=COLOURS["original"], label="all 1,024 sub-generators")
    ax.scatter([record["uniform_cost"] / 1e6], [record["uniform"]], s=70, marker="s", color=COLOURS["second"], label="same ratio everywhere")
    ax.scatter([record["cost"] / 1e6], [record["error"]], s=90, marker="*", color=COLOURS["ours"], label="found by your search", zorder=3)
    ax.axvline(record["budget"] / 1e6, color=COLOURS["budget"], linestyle="--", label="budget")
    ax.set(xlabel="million MACs a picture", ylabel="mean squared error to full", yscale="log", title=budget_finding(record),
           ylim=(0.7 * record["errors"][record["errors"] > 0].min(), 1.5 * record["errors"].max()))
    ax.legend(fontsize=8, frameon=False, loc="lower left")


def budget_finding(record: dict) -> str:
    """Title: found beside the uniform one and the best there is."""
    return f"{record['share']} % of the MACs: error {record['error']:.4f} found, {record['uniform']:.4f} uniform, {record['best']:.4f} at best"


def budget_describe(record: dict) -> str:
    return (f"{budget_finding(record)}. Ratios {', '.join(f'{r:g}' for r in record['found'])}, {record['cost']:,} MACs, {record['asked']} of 1,024 "
            "sub-generators measured on the way.")


PANELS = (
    Panel("anycost_gan.preview", (Slider("ratio", "share of the channels", RATIOS, 0.5), Slider("resolution", "side (pixels)", RESOLUTIONS, 16),
                                  Slider("face", "face (number)", tuple(range(1, FACES + 1)), 1)),
          preview_compute, preview_draw, preview_describe, uses=("anycost_gan.modulated_conv",), figsize=(8.2, 3.8)),
    Panel("anycost_gan.edit", (Choice("attribute", "edit", tuple(ATTRIBUTES), "redder"),
                               Slider("strength", "step (standard deviations)", (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2), 1),
                               Slider("ratio", "share of the channels", RATIOS, 0.5)),
          edit_compute, edit_draw, edit_describe, figsize=(8.2, 3.4)),
    Panel("anycost_gan.budget", (Slider("share", "budget (% of the full MACs)", (10, 20, 30, 40, 50, 60, 70, 80, 90, 100), 40),),
          budget_compute, budget_draw, budget_describe, uses=("anycost_gan.search_budget",), figsize=(7.4, 3.8)),
)
