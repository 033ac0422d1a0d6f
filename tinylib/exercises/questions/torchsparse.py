"""Predictions, decision and quiz of the lab `torchsparse`."""

import numpy as np

from tinylib.check.answers import as_number, guess, letter, number
from tinylib.check.question import Item
from tinylib.core.checkpoint import load_record
from tinylib.sparse.traffic import buffer_bytes
from tinylib.sparse.tune import group_offsets, launches, padded_macs, useful_macs

CHANNELS = 32                       # of the decision's layer, in and out, float32
TOLERANCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
VOXELS = (0.4, 0.6, 0.8, 1.2, 1.6)
PADDING = 15                        # most padding allowed, % of the multiplications carried out
NO_LIMIT = 10**9


def ask_empty(rng: np.random.Generator) -> Item:
    return Item("A dense 3D convolution visits every cell of the box around the scan, 27 products for each. The sparse one multiplies only where a neighbour "
                "exists. At a voxel size of 0.4 m: how many per cent of the dense multiplications are left?", guess,
                "The share of occupied cells, times the share of occupied neighbours of an occupied cell.")


def ask_optimum(rng: np.random.Generator) -> Item:
    return Item("Tolerance 0 groups only equal sizes (no padding, many launches); tolerance 100 % puts all 26 offsets into one padded launch. "
                "Which tolerance (%) will be quickest here: voxels of 1.6 m, 16 channels, on this CPU?", guess,
                "Padding grows slowly at first, because sizes differ little, while the number of launches falls at once.")


def settings() -> dict[float, dict]:
    """Voxel size in metres to the recorded {"voxels": n, "cells": n, "sizes": [27 numbers]} of the lab's scan."""
    return {size: load_record("torchsparse-layers")["layers"][str(size)] for size in VOXELS}


def cost(sizes: list[int], tolerance: float) -> tuple[int, float]:
    """(launches, padding in % of the multiplications carried out) of all offsets but the middle one, every group batched."""
    groups = group_offsets([0 if d == len(sizes) // 2 else s for d, s in enumerate(sizes)], tolerance, NO_LIMIT)
    return launches(groups), 100 * (1 - useful_macs(groups, 1, 1) / padded_macs(groups, 1, 1))


def ask_decide(rng: np.random.Generator) -> Item:
    layers = settings()
    finest_first = sorted(layers)
    finest = int(rng.integers(1, len(finest_first) - 1))
    fine, coarse = (buffer_bytes(layers[finest_first[i]]["sizes"], CHANNELS, CHANNELS) for i in (finest - 1, finest))
    budget = int(rng.integers(coarse, fine)) // 1024
    budget = max(budget, -(-coarse // 1024))
    right = finest_first[finest]
    fits = [cost(layers[right]["sizes"], t) for t in TOLERANCES]
    fewest = min(n for n, padding in fits if padding <= PADDING)

    def verify(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != {"voxel", "tolerance"} or any(as_number(v) is None for v in value.values()):
            return "Answer with a dictionary of numbers: {'voxel': ..., 'tolerance': ...}."
        if value["voxel"] not in layers or value["tolerance"] not in TOLERANCES:
            return f"Choose a voxel size from {tuple(finest_first)} and a tolerance from {TOLERANCES}."
        kib = buffer_bytes(layers[value["voxel"]]["sizes"], CHANNELS, CHANNELS) / 1024
        if kib > budget:
            return f"Voxels of {value['voxel']} m move {kib:,.0f} KiB, more than the {budget:,} KiB allowed."
        if value["voxel"] != right:
            return "A smaller voxel still fits the bytes: you would see more."
        count, padding = cost(layers[right]["sizes"], value["tolerance"])
        if padding > PADDING:
            return f"At this tolerance {padding:.1f} % of the multiplications are padding."
        return None if count <= fewest else f"That needs {count} launches; {fewest} are allowed."

    return Item(f"A layer of a car (3 x 3 x 3, {CHANNELS} to {CHANNELS} channels, float32) may move {budget:,} KiB in gather and scatter, spend "
                f"{PADDING} % of its multiplications on padding, and launch {fewest} products besides the middle one. Choose the smallest voxel from "
                f"{VOXELS} m that fits the bytes, and a tolerance from {TOLERANCES} that fits the rest (no threshold).",
                verify, "Bytes: all pairs but the middle offset's, times channels in and out, times 4. Launches and padding: the groups at that tolerance.")


def ask_pairs(rng: np.random.Generator) -> Item:
    voxels, more, c_in, c_out = int(rng.integers(20, 60)) * 100, int(rng.integers(2, 8)), int(rng.choice([8, 16])), int(rng.choice([16, 32]))
    pairs = voxels * (1 + more)
    return Item(f"{voxels:,} voxels; each has {more} neighbours within the 3 x 3 x 3 kernel on average, itself not counted. {c_in} channels in, {c_out} out. "
                "How many MACs does the sparse convolution need?",
                number(pairs * c_in * c_out, "Every pair costs channels in x channels out, and each voxel is also its own neighbour."),
                "Pairs: voxels x (neighbours + 1). Times channels in, times channels out.")


def ask_collision(rng: np.random.Generator) -> Item:
    return Item("A hash table keeps only the hash of a coordinate, not the coordinate. Two voxels far apart get the same hash. What does the network see?",
                letter("b", {"a": "Nothing is compared, so nothing can be noticed.", "c": "The look-up finds an entry, so it does not say 'none'.",
                             "d": "The table returns at once; time is not the trouble."}),
                "The look-up finds the far voxel and takes it for the neighbour. No error, just features from somewhere else.",
                (("a", "an error"), ("b", "features of a far voxel, taken for a neighbour's"), ("c", "a neighbour is missing"), ("d", "the same, only later")))


def ask_padding(rng: np.random.Generator) -> Item:
    sizes = [int(s) for s in rng.integers(20, 90, 4)]
    listed = ", ".join(map(str, sizes))
    return Item(f"Four offsets with {listed} pairs run as one padded batch. How many rows of zeros are multiplied?",
                number(4 * max(sizes) - sum(sizes), "Every offset is filled up to the largest of the group."), "4 x the largest, less what is there.")


def ask_floor(rng: np.random.Generator) -> Item:
    factor = int(rng.choice([2, 4]))
    place = -int(rng.integers(1, 5)) * factor - int(rng.integers(1, factor))
    return Item(f"Voxel x = {place} goes to a grid that is coarser by {factor}. Which cell does it fall into?",
                number(place // factor, "Round down, also below zero."), "floor(x / factor).")


def ask_order(rng: np.random.Generator) -> Item:
    return Item("Gather writes 27 buffers from one table of features. Offset after offset, it walks the table 27 times. What does 'input-stationary' change?",
                letter("c", {"a": "The pairs are the same; so are the MACs.", "b": "Every buffer row is still written.",
                             "d": "The map is made before, and once."}),
                "It walks the voxels once: each row of features is read once and copied to all buffers that want it, while it is in the cache.",
                (("a", "fewer multiplications"), ("b", "fewer rows are written"), ("c", "each feature row is read once"), ("d", "the map need not be built")))
