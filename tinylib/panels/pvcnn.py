"""Panel of the lab `pvcnn`: a cloud to turn, the same cloud in voxels, and what the grid costs and forgets."""

import functools

import numpy as np
import torch
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from tinylib.core.checkpoint import load_record
from tinylib.core.seed import rng
from tinylib.core.units import KIB
from tinylib.datasets import shapes3d
from tinylib.points.pvconv import places
from tinylib.show.panel import Choice, Panel, Slider
from tinylib.show.style import COLOURS, MARKERS

POINTS, C_IN, C_OUT = 512, 3, 16                    # the first block of the lab's networks
RESOLUTIONS = (2, 3, 4, 6, 9, 12, 16, 24, 32)
MEANINGS = ("ours", "second", "compute")            # colours of an object's parts
ELEVATION = np.deg2rad(25)
FACES = {axis: np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 for axis in range(3)}


@functools.cache
def example(kind: str) -> tuple[torch.Tensor, np.ndarray]:
    """Points (1, 3, 512) of one object and its parts, numbered from 0 within its class."""
    points, parts = shapes3d.cloud(kind, POINTS, rng(3, kind))
    return torch.from_numpy(points)[None], parts - parts.min()


def measured(kind: str, r: int) -> tuple[int, float]:
    """(resolution, mean mIoU in per cent on test clouds) of the measured networks of a kind whose resolution is nearest to r."""
    runs = load_record("pvcnn-effects")["runs"]
    sides = sorted(int(name.split()[1]) for name in runs if name.startswith(kind + " "))
    side = min(sides, key=lambda s: abs(np.log(s / r)))
    return side, 100 * float(np.mean([run["miou"] for run in runs[f"{kind} {side}"]]))


@torch.no_grad()
def cloud_compute(params: dict, functions: dict) -> dict:
    """Parts as features into the grid and back again: which points still know their part? With cells, shares and costs."""
    coords, parts = example(params["object"])
    r = params["resolution"]
    at = places(coords, r, normalize=False)
    names = torch.nn.functional.one_hot(torch.from_numpy(parts)).T[None].float()
    grid = functions["pvcnn.voxelise"](names, at, r)
    back = functions["pvcnn.devoxelise"](grid, at)[0].argmax(0).numpy()
    filled = grid[0].sum(0) > 0.5
    macs, size = functions["pvcnn.block_cost"](C_IN, C_OUT, r, POINTS)
    return {"object": params["object"], "resolution": r, "angle": params["angle"], "points": coords[0].numpy().astype(float), "parts": parts,
            "cells": filled.nonzero().numpy(), "cell_parts": grid[0][:, filled].argmax(0).numpy(),
            "together": 100 * (1 - float(functions["pvcnn.alone"](at, r))), "known": 100 * float((back == parts).mean()),
            "macs": int(macs), "bytes": int(size), "curve": [int(functions["pvcnn.block_cost"](C_IN, C_OUT, s, POINTS)[1]) for s in RESOLUTIONS],
            "measured": [(kind, *measured(kind, r)) for kind in ("both", "voxel")]}


def camera(angle: float) -> np.ndarray:
    """Rotation (3, 3) whose rows are right, up and towards the viewer, who stands `angle` degrees round the upright axis."""
    a, cos, sin = np.deg2rad(angle), np.cos(ELEVATION), np.sin(ELEVATION)
    right = np.array([-np.sin(a), np.cos(a), 0])
    near = np.array([np.cos(a) * cos, np.sin(a) * cos, sin])
    return np.stack([right, np.cross(near, right), near])


def cubes(centres: np.ndarray, side: float, view: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seen faces of cubes, far ones first: polygons (3 m, 4, 2), the cube (3 m,) and the brightness (3 m,) of each."""
    polygons, owner, light, depth = [], [], [], []
    for axis, shade in zip(range(3), (0.78, 0.6, 1.0)):
        sign = 1 if view[2, axis] >= 0 else -1
        corners = np.insert(FACES[axis], axis, sign / 2, axis=1) * side
        place = (centres[:, None] + corners) @ view.T
        polygons.append(place[..., :2])
        depth.append(place[..., 2].mean(1))
        owner.append(np.arange(len(centres)))
        light.append(np.full(len(centres), shade))
    order = np.concatenate(depth).argsort()
    return np.concatenate(polygons)[order], np.concatenate(owner)[order], np.concatenate(light)[order]


def rgb(meaning: str) -> np.ndarray:
    """Colour of a meaning as three numbers from 0 to 1."""
    return np.array([int(COLOURS[meaning][i:i + 2], 16) for i in (1, 3, 5)]) / 255


def cloud_draw(figure: Figure, record: dict) -> None:
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.05))
    view, names = camera(record["angle"]), shapes3d.PARTS_OF[record["object"]]
    x, y, depth = view @ record["points"]
    for part in range(len(names)):
        here = record["parts"] == part
        left.scatter(x[here], y[here], s=8 + 5 * depth[here], color=COLOURS[MEANINGS[part]], marker=MARKERS[MEANINGS[part]], label=names[part], linewidth=0)
    left.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, fontsize=8, handletextpad=0.1, columnspacing=0.8)
    r = record["resolution"]
    centres = 2 * record["cells"] / r - 1                   # back from places to the ball
    polygons, owner, light = cubes(centres, 2 / r, view)
    shades = np.stack([rgb(MEANINGS[part]) for part in record["cell_parts"]])
    middle.add_collection(PolyCollection(polygons, facecolor=shades[owner] * light[:, None], edgecolor="white", linewidth=0.4))
    for ax, title in ((left, f"{POINTS} points of a {record['object']}"), (middle, f"{len(centres)} of {r**3:,} cells are filled")):
        ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
        ax.set_title(title, fontsize=9, fontweight="normal", loc="center")
        ax.set_axis_off()
    draw_costs(right, record)
    figure.suptitle(finding(record), x=0.02, ha="left", fontweight="bold", fontsize=11)


def draw_costs(ax, record: dict) -> None:
    """Bytes of a block over the resolution, where we stand, and what the measured networks near it reach."""
    ax.plot(RESOLUTIONS, np.array(record["curve"]) / KIB, color=COLOURS["memory"], marker=MARKERS["memory"], markersize=3)
    ax.plot(record["resolution"], record["bytes"] / KIB, marker="o", markersize=10, color=COLOURS["memory"], markeredgecolor="black")
    ax.set(xscale="log", yscale="log", xticks=RESOLUTIONS[::2], xticklabels=[str(r) for r in RESOLUTIONS[::2]], xlabel="cells a side (log scale)",
           ylabel="memory of a block (KiB, log scale)")
    ax.minorticks_off()
    lines = [f"{'points + voxels' if kind == 'both' else 'voxels alone'}, side {side}: {value:.1f} %" for kind, side, value in record["measured"]]
    ax.text(0.03, 0.98, "mIoU measured nearest\n" + "\n".join(lines), transform=ax.transAxes, va="top", fontsize=8)


def finding(record: dict) -> str:
    """Title: who shares a cell, what reading back keeps, and the price."""
    return (f"{record['resolution']} cells a side: {record['together']:.0f} % of the points share a cell; the grid costs "
            f"{record['bytes'] / KIB:,.0f} KiB and {record['macs'] / 1e6:,.1f} MMAC")


def cloud_describe(record: dict) -> str:
    (_, side, both), (_, _, voxel) = record["measured"]
    return (f"{finding(record)}. {len(record['cells'])} of {record['resolution']**3:,} cells are filled. Parts written into the grid and read back: right for "
            f"{record['known']:.0f} % of the points of the {record['object']}, seen from {record['angle']} degrees. Measured at side {side}: points and voxels "
            f"{both:.1f} % mIoU, voxels alone {voxel:.1f} %.")


PANELS = (
    Panel("pvcnn.cloud", (Slider("resolution", "cells a side", RESOLUTIONS, 6), Slider("angle", "turn (degrees)", tuple(range(0, 360, 15)), 300, turn=True),
                          Choice("object", "object", shapes3d.CLASSES, "chair")),
          cloud_compute, cloud_draw, cloud_describe, uses=("pvcnn.voxelise", "pvcnn.devoxelise", "pvcnn.block_cost", "pvcnn.alone"), figsize=(9.0, 3.7)),
)
