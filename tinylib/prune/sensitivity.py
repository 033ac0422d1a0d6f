"""How much each layer minds being pruned, and the ratios that follow from it."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.prune.magnitude import kept_count, magnitude_mask, prunable


@contextmanager
def _one_layer_pruned(weight: nn.Parameter, sparsity: float):
    """The weight with its smallest magnitudes at zero; bit for bit as before on leaving, also after an error."""
    before = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.mul_(magnitude_mask(weight, sparsity))
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


def sensitivity_scan(model: nn.Module, evaluate: Callable[[nn.Module], float], sparsities: Sequence[float]) -> dict[str, list[float]]:
    """Score of the model with one weight tensor pruned at a time: name of the weight -> one score a sparsity.

    `evaluate(model)` gives the score, for instance accuracy on a validation split. The model ends as it began.
    Cost: layers x sparsities evaluations. Paper: Learning both Weights and Connections (NeurIPS 2015). Lab: pruning.
    """
    curves = {}
    for name, weight in prunable(model).items():
        curves[name] = []
        for sparsity in sparsities:
            with _one_layer_pruned(weight, sparsity):
                curves[name].append(float(evaluate(model)))
    return curves


def choose_ratios(curves: dict[str, Sequence[float]], sparsities: Sequence[float], sizes: dict[str, int], target: float) -> dict[str, float]:
    """One sparsity a layer, so that at least `target` of all weights go and the worst single-layer score is as high as it can be.

    For a floor on the score every layer takes the largest sparsity (in steps of 0.01, straight lines between the scanned points)
    whose score stays at or above the floor, 0 when none does; the highest floor that meets the target wins.
    Raises TinylibError when even the largest scanned sparsities do not meet the target. Lab: pruning.
    """
    grid = np.arange(round(100 * min(sparsities)), round(100 * max(sparsities)) + 1) / 100
    scores = {name: np.interp(grid, sparsities, curve) for name, curve in curves.items()}
    total = sum(sizes[name] for name in curves)

    def ratios(floor):
        return {name: float(max((s for s, y in zip(grid, ys) if y >= floor), default=0.0)) for name, ys in scores.items()}

    def meets(chosen):
        return total - sum(kept_count(sizes[name], s) for name, s in chosen.items()) >= target * total

    floors = np.unique(np.concatenate(list(scores.values())))          # ascending; a lower floor prunes at least as much
    if not meets(ratios(floors[0])):
        raise TinylibError(f"The scanned sparsities reach {max(sparsities):.0%} at most; a target of {target:.0%} needs a longer scan.")
    low, high = 0, len(floors)                                          # floors[low] meets the target, floors[high] does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if meets(ratios(floors[middle])) else (low, middle)
    return ratios(floors[low])
