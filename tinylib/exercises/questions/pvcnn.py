"""Predictions, decision and quiz of the lab `pvcnn`."""

import numpy as np

from tinylib.check.answers import guess, letter, number
from tinylib.check.question import Item
from tinylib.core.checkpoint import load_record
from tinylib.core.units import KIB

TIE = 0.01          # differences in mIoU below this are no difference


def ask_alone(rng: np.random.Generator) -> Item:
    return Item("512 points of a table, mug, lamp, plane or chair, in a grid of 6 x 6 x 6 cells. How many per cent of the points have their cell for "
                "themselves?", guess, "216 cells for 512 points, and most cells of an object's box are empty air.")


def ask_match(rng: np.random.Generator) -> Item:
    return Item("Points and voxels together work on grids of 6 and 4 cells a side. Voxels alone, with as many parameters, may take a finer grid: 4, 6, 9 or 12 "
                "cells. From which side on are they as good?", guess, "A grid with twice the cells a side has eight times the cells.")


def sizes() -> dict[str, dict]:
    """Measured networks of both branches by name: "r x width" -> resolution, width, bytes, mIoU on validation clouds (one seed)."""
    return {f"{s['resolutions'][0]} x {s['widths'][0]}": s for s in load_record("pvcnn-effects")["sizes"]}


def ask_decide(rng: np.random.Generator) -> Item:
    found = sizes()
    costs = sorted(s["bytes"] for s in found.values())
    spot = int(rng.integers(2, len(costs) - 1))
    budget = int(rng.integers(costs[spot], costs[spot + 1]))

    def verify(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != {"resolution", "width"} or not all(type(v) is int for v in value.values()):
            return "Answer with a dictionary of two whole numbers: {'resolution': ..., 'width': ...}."
        chosen = found.get(f"{value['resolution']} x {value['width']}")
        if chosen is None:
            return "That network was not measured: take one from the table above."
        if chosen["bytes"] > budget:
            return f"Its blocks make {chosen['bytes']:,} bytes a cloud, {chosen['bytes'] - budget:,} over the budget."
        best = max(s["miou"] for s in found.values() if s["bytes"] <= budget)
        return None if chosen["miou"] >= best - TIE else "It fits, but another one that fits is better by more than a point of mIoU."

    return Item(f"A handheld scanner names parts while you walk round an object. Grids and point features of the two blocks may take {budget:,} bytes "
                f"({budget / KIB:.0f} KiB) a cloud. Choose resolution and width of a point-voxel network from the table, as good as any that fits (within a "
                "point of mIoU).", verify, "Bytes grow with the cube of the resolution and only in proportion to the width.")


def ask_twice(rng: np.random.Generator) -> Item:
    c_in, c_out, r = int(rng.choice([4, 8])), int(rng.choice([16, 24])), int(rng.choice([8, 16]))
    truth = 8 * 4 * r**3 * (c_in + 2 * c_out) / KIB
    return Item(f"A block with {c_in} channels in and {c_out} out works on {r} cells a side. The input grid and both results are float32. How many KiB do "
                f"these three grids take at {2 * r} cells a side?",
                number(truth, "Numbers: r^3 (c_in + 2 c_out), at the *new* r; 4 bytes each; 1 KiB is 1,024 bytes."), "Twice the side, eight times the bytes.")


def ask_mean(rng: np.random.Generator) -> Item:
    return Item("Why does a cell hold the mean of its points and not their sum?",
                letter("b", {"a": "Both need the same additions.", "c": "A sum has a gradient too.", "d": "Neither keeps points of a cell apart."}),
                "A scanner sees near surfaces with many points and far ones with few. The mean says what is there, not how often it was hit.",
                (("a", "a mean is cheaper"), ("b", "a sum would change with the number of points that happen to fall into a cell"),
                 ("c", "a sum has no gradient"), ("d", "only the mean keeps points of one cell apart")))


def ask_eight(rng: np.random.Generator) -> Item:
    shares, value = [int(v) for v in rng.choice([1, 3], 3)], int(rng.choice([64, 128]))
    x, y, z = (s / 4 for s in shares)
    return Item(f"Cell (1, 1, 1) of a grid holds {value}, all others 0. What is read at place ({x}, {y}, {z})?",
                number(value * x * y * z, "The upper cell's weight along one axis is the distance from the lower cell. Multiply the three."),
                "Trilinear: 1 minus distance along each axis, multiplied.")


def ask_last(rng: np.random.Generator) -> Item:
    r = int(rng.choice([5, 6, 10, 12]))
    return Item(f"Published PVCNN code takes coordinates from 0 to 1 times r, cuts at r - 1 and rounds. With r = {r}: which part of the axis ends in the "
                "*last* cell? (A number between 0 and 1; an even share would be 1 / r.)",
                number(1.5 / r, "Which coordinates times r round to r - 1, or are cut to it? Everything from r - 1.5 to r.", 0.002),
                "The last cell takes one and a half cells' worth, the first half a cell's: a quirk, harmless and worth knowing.")


def ask_nan(rng: np.random.Generator) -> Item:
    return Item("A scanner returns the same point 512 times. Coordinates are centred and divided by twice the largest norm, with nothing added. "
                "What happens?", letter("d", {"a": "The norm of the centred cloud is 0. What is 0 / 0?", "b": "They would, if the division gave a number.",
                             "c": "PyTorch divides floats by zero without a word."}),
                "0 / 0 is NaN, and one NaN in a batch ends a training. A small eps in the denominator puts such a cloud in the middle of the grid.",
                (("a", "nothing: the points lie in the middle"), ("b", "all points fall into cell 0"), ("c", "an error is raised"),
                 ("d", "all places are NaN")))
