"""Panels of the lab `tsm`: what the shift moves, a stream of frames answered while it runs, and a gesture drawn by hand."""

import functools

import numpy as np
import torch
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinylib.core.checkpoint import load_model
from tinylib.core.units import KIB
from tinylib.datasets import clips, garments
from tinylib.show.panel import Choice, Drag, Panel, Slider
from tinylib.show.style import COLOURS
from tinylib.video import gesture
from tinylib.video.tsm import Shift

MODES = {"no shift": "none", "one way": "past", "two ways": "both"}
CHANNELS, FRAMES, SIDE = 16, 8, 12          # the shifted layer of the first panel
SPRITE = 19                                 # test photograph that the learner drags

# --- what the shift moves -----------------------------------------------------------------------------------------------


def shift_compute(params: dict, functions: dict) -> dict:
    """Which frame each channel-frame comes from (0: none), read off the function's answer to a clip whose frames hold their own number."""
    mode = MODES[params["mode"]]
    numbered = torch.arange(1.0, FRAMES + 1)[None, :, None, None, None].expand(1, FRAMES, CHANNELS, 1, 1).clone()
    out = functions["tsm.temporal_shift"](numbered, params["fraction"] / 16, mode)
    moved = functions["tsm.bytes_moved"](CHANNELS, FRAMES, SIDE, SIDE, params["fraction"] / 16, mode, 1)
    return {"mode": params["mode"], "source": out[0, :, :, 0, 0].numpy(), "moved": int(moved)}


def shift_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    own = np.arange(1, FRAMES + 1)[:, None]
    kind = np.select([record["source"] == 0, record["source"] < own, record["source"] > own], [3, 1, 2], 0).T
    palette = ["#f2f2f2", COLOURS["ours"], COLOURS["second"], COLOURS["failure"]]
    for value, (name, hatch) in enumerate((("own frame", ""), ("frame before", "///"), ("frame after", "\\\\\\"), ("zero", "xx"))):
        cells = [Rectangle((t + 0.5, c + 0.5), 1, 1) for c, t in np.argwhere(kind == value)]
        ax.add_collection(PatchCollection(cells, facecolor=palette[value], edgecolor="white", hatch=hatch, linewidth=0.8))
        ax.scatter([], [], marker="s", s=60, color=palette[value], edgecolor="#666666", label=name)
    first = np.diff(kind, axis=0, prepend=-1).any(axis=1, keepdims=True)       # channels of a group move alike: numbers in its first one are enough
    for c, t in np.argwhere((kind != 3) & first):
        plain = {"facecolor": palette[kind[c, t]], "edgecolor": "none", "pad": 1} if kind[c, t] else None      # clears the hatch behind the number
        ax.text(t + 1, c + 1, f"{record['source'][t, c]:.0f}", ha="center", va="center", fontsize=8, color="white" if kind[c, t] == 1 else "black",
                bbox=plain, clip_on=True, in_layout=False)
    ax.set(xlim=(0.5, FRAMES + 0.5), ylim=(CHANNELS + 0.5, 0.5), xlabel="frame (time)", ylabel="channel", title=shift_finding(record))
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9, title="value comes from")
    ax.grid(False)


def shift_finding(record: dict) -> str:
    """Title: bytes moved, and that nothing else is paid."""
    moved = f"{record['moved'] / KIB:.3g} KiB change their frame" if record["moved"] else "no number changes its frame"
    return f"{record['mode'].capitalize()}: {moved}; 0 MACs, 0 parameters"


def shift_describe(record: dict) -> str:
    own = np.arange(1, FRAMES + 1)[:, None]
    before, after, zero = (record["source"] < own) & (record["source"] > 0), record["source"] > own, record["source"] == 0
    return (f"{shift_finding(record)}. Of {record['source'].size} channel-frames {before.sum()} come from the frame before, {after.sum()} from the frame "
            f"after, {zero.sum()} are zero.")


# --- a stream of frames -------------------------------------------------------------------------------------------------


@functools.cache
def examples() -> tuple[np.ndarray, np.ndarray]:
    """Two clips of each class from test garments: uint8 (16, t, h, w) and labels."""
    split = clips.make_split(garments.load().test.images[:200], 16, np.random.default_rng(5))
    order = np.argsort(split.labels, kind="stable")
    return split.images[order], split.labels[order]


@functools.cache
def network(mode: str):
    """Shipped clip network of a mode."""
    return load_model(f"tsm-{mode}")


def streamed(stream_class: type, clip: torch.Tensor) -> torch.Tensor:
    """Running mean of the one-way network's logits (t, classes), frame by frame, with the class given in place of each shift."""
    import copy
    net = copy.deepcopy(network("past").frame_net)
    for name, module in list(net.named_modules()):
        if isinstance(module, Shift):
            parent, leaf = net.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
            setattr(parent, leaf, _Called(stream_class(module.fraction)))
    logits = torch.cat([net(frame[None]) for frame in clip])
    return logits.cumsum(0) / torch.arange(1, len(clip) + 1)[:, None]


class _Called(torch.nn.Module):
    """A plain callable as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@torch.no_grad()
def stream_compute(params: dict, functions: dict) -> dict:
    """Class probabilities after `frame` frames of the chosen clip: the stream, and the whole clip offline by the same network."""
    images, labels = examples()
    clip = torch.from_numpy(images[params["clip"] - 1]).float()[:, None] / 127.5 - 1
    running = streamed(functions["tsm.streaming_shift"], clip).softmax(1)
    other = network(MODES[params["beside"]])(clip[None])[0].softmax(0)
    return {"clip": images[params["clip"] - 1], "label": int(labels[params["clip"] - 1]), "frame": params["frame"], "beside": params["beside"],
            "online": running[params["frame"] - 1].numpy(), "offline": other.numpy()}


def stream_draw(figure: Figure, record: dict) -> None:
    grid = figure.add_gridspec(2, 8, height_ratios=(1, 2.3), hspace=0.12)
    for t, image in enumerate(record["clip"]):
        ax = figure.add_subplot(grid[0, t])
        ax.imshow(image, cmap="gray", vmin=0, vmax=255, alpha=1.0 if t < record["frame"] else 0.15)
        ax.set(xticks=[], yticks=[], title=f"{t + 1}" if t < record["frame"] else "")
        ax.title.set(fontsize=8, fontweight="normal", ha="center", position=(0.5, 1))
    ax = figure.add_subplot(grid[1, :])
    place = np.arange(8)
    ax.bar(place - 0.2, record["online"] * 100, 0.4, color=COLOURS["ours"], label=f"stream, {record['frame']} of 8 frames")
    ax.bar(place + 0.2, record["offline"] * 100, 0.4, color=COLOURS["second"], hatch="//", label=f"whole clip, {record['beside']}")
    ax.set(xticks=place, xticklabels=clips.CLASSES, ylim=(0, 118), ylabel="probability (%)", xlabel=f"class (the clip is: {clips.CLASSES[record['label']]})",
           title=stream_finding(record))
    ax.legend(fontsize=8, ncols=2, loc="upper center")


def stream_finding(record: dict) -> str:
    """Title: what the stream believes now."""
    best = int(record["online"].argmax())
    verdict = "which is correct" if best == record["label"] else "not correct yet"
    return f"After {record['frame']} of 8 frames: '{clips.CLASSES[best]}' with {100 * record['online'][best]:.0f} %, {verdict}"


def stream_describe(record: dict) -> str:
    best = int(record["offline"].argmax())
    return f"{stream_finding(record)}. From the whole clip '{record['beside']}' says '{clips.CLASSES[best]}' with {100 * record['offline'][best]:.0f} %."


# --- a gesture drawn by hand --------------------------------------------------------------------------------------------

DRAWN = ((), *(tuple(map(tuple, gesture.guided(name, 1.0).tolist())) for name in ("right and up", "grow", "left")))      # strokes for tests


@functools.cache
def sprite() -> np.ndarray:
    """The garment that is dragged: one of the test photographs, uint8 (28, 28)."""
    return garments.load().test.images[SPRITE]


@torch.no_grad()
def gesture_compute(params: dict, functions: dict) -> dict:
    """Eight frames of the stroke (else of the sliders' motion), the stream's probabilities after each, and two networks that see the whole clip."""
    stroke = params["stroke"] if len(params["stroke"]) else gesture.guided(params["motion"], params["speed"])
    path = gesture.path_of_stroke(stroke)
    images = clips.animate(sprite(), path, np.random.default_rng(0))
    clip = torch.from_numpy(images).float()[:, None] / 127.5 - 1
    label = gesture.motion_of(path)
    return {"images": images, "drawn": bool(len(params["stroke"])), "label": -1 if label is None else label, "words": gesture.in_words(path),
            "online": streamed(functions["tsm.streaming_shift"], clip).softmax(1).numpy(), "both": network("both")(clip[None])[0].softmax(0).numpy(),
            "none": network("none")(clip[None])[0].softmax(0).numpy()}


def gesture_draw(figure: Figure, record: dict) -> None:
    grid = figure.add_gridspec(2, 4, height_ratios=(1, 4.5), width_ratios=(9, 0.1, 1.15, 1.15), hspace=0.04, wspace=0.06)
    film = figure.add_subplot(grid[0, 0])
    framed = np.pad(record["images"], ((0, 0), (0, 0), (1, 1)), constant_values=255)          # a white gap on both sides, as wide as a column below
    film.imshow(np.hstack(framed), cmap="gray", vmin=0, vmax=255, aspect="auto", extent=(-0.5, 7.5, 0, 1))
    film.axis("off")
    parts = ((grid[1, 0], record["online"].T, "ours", [str(t + 1) for t in range(8)], "frames seen by the stream"),
             (grid[1, 2], record["both"][:, None], "second", ["two ways"], "whole clip"),
             (grid[1, 3], record["none"][:, None], "original", ["no shift"], "whole clip"))
    for place, values, colour, ticks, label in parts:
        _heat(figure.add_subplot(place), values, COLOURS[colour], ticks, label, record["label"])
    figure.axes[1].set_yticks(range(8), clips.CLASSES)
    figure.suptitle(gesture_finding(record), x=0.02, ha="left", fontweight="bold", fontsize=11)


def _heat(ax, values: np.ndarray, colour: str, ticks: list, label: str, row: int) -> None:
    """Percentages (class, column) of 1 and more as a table of shades; a frame around the row that would be right."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle
    ax.imshow(values, cmap=LinearSegmentedColormap.from_list("", ["white", colour]), vmin=0, vmax=1, aspect="auto")
    for c, t in np.argwhere(values >= 0.01):
        value = values[c, t]
        ax.text(t, c, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 0.7 and label != "whole clip" else "black")
    if row >= 0:
        ax.add_patch(Rectangle((-0.5, row - 0.5), values.shape[1], 1, fill=False, edgecolor="black", linewidth=1.6))
    ax.set(xticks=range(len(ticks)), xticklabels=ticks, yticks=[], xlabel=label)
    ax.spines[:].set_visible(True)
    ax.grid(False)


def gesture_finding(record: dict) -> str:
    """Title: what was drawn, and what the stream makes of it."""
    who, last = "You drew" if record["drawn"] else "Sliders draw", record["online"][-1]
    best = int(last.argmax())
    if record["label"] < 0:
        return f"{who} '{record['words']}', no trained motion; the stream still says '{clips.CLASSES[best]}', {100 * last[best]:.0f} %"
    right = record["online"].argmax(1) == record["label"]
    if not right[-1]:
        return f"{who} '{clips.CLASSES[record['label']]}'. The stream says '{clips.CLASSES[best]}', {100 * last[best]:.0f} %: wrong"
    since = 8 - int(right[::-1].cumprod().sum()) + 1
    return f"{who} '{clips.CLASSES[record['label']]}'. The stream says so from frame {since} on, in the end with {100 * last[best]:.0f} %"


def gesture_describe(record: dict) -> str:
    def says(values: np.ndarray) -> str:
        order = np.argsort(-values)
        return " or ".join(f"'{clips.CLASSES[k]}' {100 * values[k]:.0f} %" for k in order[:2] if values[k] >= 0.1)
    early = record["online"][1]
    return (f"{gesture_finding(record)}. After two frames the stream says {says(early)}. From the whole clip the two-way network says {says(record['both'])}, "
            f"the one without shift {says(record['none'])}.")


PANELS = (
    Panel("tsm.shift", (Choice("mode", "shift", tuple(MODES), "one way"), Slider("fraction", "channels moved in a direction, of 16", (1, 2, 4, 8), 2)),
          shift_compute, shift_draw, shift_describe, uses=("tsm.temporal_shift", "tsm.bytes_moved"), figsize=(7.4, 4.2)),
    Panel("tsm.stream", (Slider("clip", "clip (number)", tuple(range(1, 17)), 3), Slider("frame", "frames seen", tuple(range(1, 9)), 3),
                         Choice("beside", "beside it, offline", tuple(MODES), "no shift")),
          stream_compute, stream_draw, stream_describe, uses=("tsm.streaming_shift",), figsize=(7.4, 4.6)),
    Panel("tsm.gesture", (Drag("stroke", "draw here", DRAWN, clips.SIDE, sprite, gesture.HOME[2]),
                          Slider("motion", "or without a mouse", gesture.GUIDED, "right"),
                          Slider("speed", "speed (1: as trained)", (0.25, 0.5, 0.75, 1.0, 1.25, 1.5), 1.0)),
          gesture_compute, gesture_draw, gesture_describe, uses=("tsm.streaming_shift",), figsize=(8.6, 4.6)),
)
