"""Panels of the lab `torchsparse`: pairs of one kernel offset, and a street scan whose offsets are grouped."""

import functools
import time

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinylib.core.seed import rng
from tinylib.core.units import KIB
from tinylib.datasets.street_scene import scene
from tinylib.datasets.streetsim import Scan, scan
from tinylib.show.panel import Panel, Slider
from tinylib.show.style import COLOURS, SEQUENTIAL
from tinylib.sparse.tensor import quantize
from tinylib.sparse.traffic import buffer_bytes

VOXELS = (0.4, 0.6, 0.8, 1.2, 1.6)
TOLERANCES = (0, 10, 20, 30, 40, 50, 60, 80, 100)       # %
NO_LIMIT = 10**9
FLAT = ((0, 0), (1, 0), (1, 1), (3, 0), (4, 1), (4, 2), (4, 3), (2, 4), (1, 4), (0, 4), (6, 3), (6, 4), (7, 4), (7, 1))     # x, y of the first panel

# --- pairs of one offset ------------------------------------------------------------------------------------------------


def pairs_compute(params: dict, functions: dict) -> dict:
    """The pairs of one offset on a flat cloud, from the function's kernel map, and the number of pairs of all nine flat offsets."""
    places = torch.tensor([(0, x, y, 0) for x, y in FLAT])
    made = functions["torchsparse.kernel_map"](places, places, 3, 1, params["dilation"])
    number = (params["x"] + 1) * 9 + (params["y"] + 1) * 3 + 1
    return {**params, "pairs": torch.as_tensor(made[number]).reshape(2, -1).numpy(), "all": sum(len(p[0]) for p in made)}


def pairs_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    for x, y in FLAT:
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor="#e8e8e8", edgecolor="#999999"))
    for j, k in record["pairs"].T:
        (x, y), end = FLAT[j], FLAT[k]
        if j == k:
            ax.plot(x, y, "o", color=COLOURS["ours"], markersize=9)
        else:
            ax.annotate("", end, (x, y), arrowprops={"arrowstyle": "-|>", "color": COLOURS["ours"], "linewidth": 2})
    ax.set(xlim=(-1, 8), ylim=(-1, 5), xlabel="x (voxels)", ylabel="y (voxels)", title=pairs_finding(record), aspect="equal", xticks=range(8), yticks=range(5))
    ax.grid(False)


def pairs_finding(record: dict) -> str:
    """Title: the offset and its pairs."""
    step = record["dilation"]
    return f"Offset ({record['x'] * step}, {record['y'] * step}): {record['pairs'].shape[1]} pairs of {record['all']}"


def pairs_describe(record: dict) -> str:
    listed = ", ".join(f"{FLAT[j]} to {FLAT[k]}" for j, k in record["pairs"].T)
    return f"{pairs_finding(record)}. Input to output: {listed or 'none'}. All nine offsets on the 8 x 5 grid, dense: {9 * 40} products."


# --- a scan and its groups ----------------------------------------------------------------------------------------------


@functools.cache
def example() -> Scan:
    """The lab's scan: 32 beams x 360 azimuths, 60 m into a street."""
    street = scene(rng(0, "street"))
    return scan(street, street.road.pose(60.0), rng(0, "scan"))


@functools.cache
def voxels(size: float) -> torch.Tensor:
    """Coordinates (n, 4) of the scan's voxels."""
    return quantize(torch.from_numpy(example().points), size)[0]


@functools.lru_cache(maxsize=16)
def mapped(kernel_map, size: float) -> list[torch.Tensor]:
    """3 x 3 x 3 map of the scan by a function, one (2, pairs) tensor for each offset; kept, since a map is made once for all layers of a stride."""
    return list(kernel_map(voxels(size), voxels(size), 3, 1, 1))


def milliseconds(function) -> float:
    """Fastest of three calls."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return min(times)


@torch.no_grad()
def scan_compute(params: dict, functions: dict) -> dict:
    """Groups, counts, bytes, and milliseconds of the grouped products and of the whole convolution at one voxel size, tolerance and width."""
    size, channels = params["voxel"], params["channels"]
    places, pairs = voxels(size), mapped(functions["torchsparse.kernel_map"], size)
    sizes = [p.shape[1] for p in pairs]
    around = [0 if d == 13 else s for d, s in enumerate(sizes)]
    groups = functions["torchsparse.group_offsets"](around, params["tolerance"] / 100, NO_LIMIT)
    generator = torch.Generator().manual_seed(0)
    feats, weight = torch.randn(len(places), channels, generator=generator), torch.randn(27, channels, channels, generator=generator)
    batches = [(torch.nn.utils.rnn.pad_sequence([feats[pairs[d][0]] for d in group], batch_first=True), weight[list(group)]) for group in groups]
    ground = places[:, 1:3].numpy()
    return {"voxel": size, "tolerance": params["tolerance"], "channels": channels, "sizes": sizes, "groups": [list(g) for g in groups],
            "cells": int((places[:, 1:].max(0).values - places[:, 1:].min(0).values + 1).prod()), "ground": ground,
            "bytes": buffer_bytes(sizes, channels, channels),
            "products_ms": milliseconds(lambda: [torch.bmm(*batch) for batch in batches]),
            "conv_ms": milliseconds(lambda: functions["torchsparse.sparse_conv"](feats, weight, pairs, len(places)))}


def rows(record: dict) -> tuple[int, int]:
    """(useful rows, rows with padding) of the grouped products."""
    sizes = record["sizes"]
    return sum(sizes[d] for g in record["groups"] for d in g), sum(len(g) * max(sizes[d] for d in g) for g in record["groups"])


def scan_draw(figure: Figure, record: dict) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    low, size = record["ground"].min(0), record["voxel"]
    count = np.zeros(record["ground"].max(0) - low + 1)
    np.add.at(count, tuple((record["ground"] - low).T), 1)
    (x0, y0), (x1, y1) = low * size, (low + count.shape) * size
    left.imshow(np.where(count > 0, count, np.nan)[::-1, ::-1], extent=(-y1, -y0, x0, x1), cmap=SEQUENTIAL, vmin=0, vmax=6)
    left.set(xlim=(-45, 45), ylim=(-45, 45), xlabel="to the right (m)", ylabel="ahead (m)")
    occupied = 100 * len(record["ground"]) / record["cells"]
    left.set_title(f"{len(record['ground']):,} voxels, {occupied:.2g} % of the box\n(brighter: more above each other)", fontsize=9)
    left.grid(False)
    draw_groups(right, record)


def draw_groups(ax, record: dict) -> None:
    """One bar for each offset, groups apart; the padded part is hatched."""
    order = [d for group in record["groups"] for d in group]
    place = np.arange(len(order)) + 0.8 * np.repeat(np.arange(len(record["groups"])), [len(g) for g in record["groups"]])
    size = np.array([record["sizes"][d] for d in order])
    full = np.array([max(record["sizes"][d] for d in group) for group in record["groups"] for _ in group])
    ax.bar(place, size, 0.9, color=COLOURS["compute"], label="pairs")
    ax.bar(place, full - size, 0.9, bottom=size, color="white", edgecolor=COLOURS["failure"], hatch="////", linewidth=0.5, label="padding")
    ax.set(xlabel="offsets, side by side in groups", ylabel="rows to multiply", xticks=[])
    ax.set_title(groups_finding(record), fontsize=10)
    ax.set_ylim(0, 1.25 * full.max(initial=1))
    ax.legend(ncols=2, loc="upper right", fontsize=8)


def groups_finding(record: dict) -> str:
    """Title: launches and padding."""
    useful, padded = rows(record)
    return f"{len(record['groups'])} launches, {100 * (1 - useful / max(padded, 1)):.0f} % padding: {record['products_ms']:.2f} ms"


def scan_describe(record: dict) -> str:
    useful, padded = rows(record)
    square, pairs = record["channels"] ** 2 / 1e6, sum(record["sizes"])
    return (f"Voxels of {record['voxel']} m, tolerance {record['tolerance']} %, {record['channels']} channels: {len(record['ground']):,} voxels, "
            f"{pairs:,} pairs, {pairs * square:.1f} MMAC, {100 * pairs / (27 * record['cells']):.2g} % of the dense {27 * record['cells'] * square:,.0f} MMAC. "
            f"Beside the middle offset: {groups_finding(record)}, {(padded - useful) * square:.1f} MMAC of it padding. "
            f"Gather and scatter move {record['bytes'] / KIB:,.0f} KiB. The whole convolution takes {record['conv_ms']:.1f} ms here.")


PANELS = (
    Panel("torchsparse.pairs",
          (Slider("x", "offset along x", (-1, 0, 1), 1), Slider("y", "offset along y", (-1, 0, 1), 0), Slider("dilation", "dilation", (1, 2), 1)),
          pairs_compute, pairs_draw, pairs_describe, uses=("torchsparse.kernel_map",), figsize=(6.4, 3.8)),
    Panel("torchsparse.scan",
          (Slider("voxel", "voxel size (m)", VOXELS, 0.8), Slider("tolerance", "tolerance (%)", TOLERANCES, 30),
           Slider("channels", "channels", (16, 32, 64), 16)),
          scan_compute, scan_draw, scan_describe, uses=("torchsparse.kernel_map", "torchsparse.sparse_conv", "torchsparse.group_offsets"), figsize=(9.0, 3.6)),
)
