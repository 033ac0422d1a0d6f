"""Which single weights to keep: exact counts, one layer or the whole network, 2:4 groups, masks that last through training."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def kept_count(n: int, sparsity: float) -> int:
    """How many of `n` weights stay at this sparsity: round((1 - sparsity) * n), halves to the even number as Python rounds."""
    if not 0.0 <= sparsity <= 1.0:
        raise TinylibError(f"Sparsity is the share of weights removed, between 0 and 1; got {sparsity}.")
    return round((1.0 - sparsity) * n)


def magnitude_mask(weight: Tensor, sparsity: float) -> Tensor:
    """Bool mask of weight's shape, True where kept: exactly round((1 - sparsity) * n) of the largest magnitudes.

    Equal magnitudes: the first in memory order stay. Cost: one sort, n log n.
    Paper: Learning both Weights and Connections (NeurIPS 2015). Lab: pruning.
    """
    return _largest(weight.detach().abs().flatten(), kept_count(weight.numel(), sparsity)).view(weight.shape)


def _largest(magnitude: Tensor, keep: int) -> Tensor:
    if not torch.isfinite(magnitude).all():
        raise TinylibError("The weights hold NaN or infinity, so they cannot be ranked. Train with a smaller step first.")
    mask = torch.zeros_like(magnitude, dtype=torch.bool)
    mask[torch.sort(magnitude, descending=True, stable=True).indices[:keep]] = True
    return mask


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weights that pruning may touch, by name: those of convolutions and linear layers; biases and norms stay dense."""
    found = {f"{name}.weight" if name else "weight": m.weight for name, m in model.named_modules() if isinstance(m, WEIGHTED)}
    if not found:
        raise TinylibError("The model has no convolution or linear layer to prune.")
    return found


def layer_masks(model: nn.Module, sparsity: float | dict[str, float]) -> dict[str, Tensor]:
    """One mask a weight, each layer at its own sparsity. With a dict, layers that it does not name stay dense and get no mask."""
    weights = prunable(model)
    wanted = sparsity if isinstance(sparsity, dict) else dict.fromkeys(weights, sparsity)
    if unknown := set(wanted) - set(weights):
        raise TinylibError(f"No prunable weight is called {sorted(unknown)[0]!r}. Known: {', '.join(weights)}.")
    return {name: magnitude_mask(weights[name], share) for name, share in wanted.items()}


def global_masks(model: nn.Module, sparsity: float) -> dict[str, Tensor]:
    """One mask a weight, all layers ranked together: exactly round((1 - sparsity) * n) of all n weights stay; ties keep the earlier layer."""
    weights = prunable(model)
    flat = torch.cat([w.detach().abs().flatten() for w in weights.values()])
    parts = _largest(flat, kept_count(flat.numel(), sparsity)).split([w.numel() for w in weights.values()])
    return {name: part.view(w.shape) for (name, w), part in zip(weights.items(), parts)}


def n_of_m_mask(weight: Tensor, n: int = 2, m: int = 4) -> Tensor:
    """Bool mask that keeps the n largest magnitudes of every m neighbours along the input channels (dimension 1).

    Neighbours share an output channel and a kernel position: the order in which a sparse tensor core reads them.
    Equal magnitudes: the first stays. Raises TinylibError when the input channels do not divide by m.
    Paper: Accelerating Sparse Deep Neural Networks (arXiv 2104.08378). Lab: pruning.
    """
    if not 0 < n <= m:
        raise TinylibError(f"n:m keeps n of m, so 0 < n <= m is needed; got {n}:{m}.")
    if weight.dim() < 2 or weight.shape[1] % m:
        raise TinylibError(f"{n}:{m} groups lie along dimension 1; its size must divide by {m}, shape is {tuple(weight.shape)}.")
    rows = weight.detach().abs().movedim(1, -1)                              # (k, h, w, c)
    groups = rows.reshape(-1, m)
    order = torch.sort(groups, dim=1, descending=True, stable=True).indices[:, :n]
    mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, order, True)
    return mask.view(rows.shape).movedim(-1, 1).contiguous()


def n_of_m_masks(model: nn.Module, n: int = 2, m: int = 4) -> dict[str, Tensor]:
    """n:m masks of every weight whose input channels divide by m; the others (a stem, depth-wise filters) stay dense and get no mask."""
    return {name: n_of_m_mask(w, n, m) for name, w in prunable(model).items() if w.shape[1] % m == 0}


def apply_masks_(model: nn.Module, masks: dict[str, Tensor]) -> None:
    """Set the weights outside the masks to zero, in place."""
    weights = prunable(model)
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].masked_fill_(~mask, 0.0)


def keep_masks(model: nn.Module, masks: dict[str, Tensor]) -> Callable[..., None]:
    """A callback for the end of each training step that sets removed weights back to zero. Whatever it is called with is ignored.

    The optimizer's momentum and weight decay move removed weights too; only a reset after the step keeps them exactly zero.
    """
    apply_masks_(model, masks)
    return lambda *_, **__: apply_masks_(model, masks)


def sparsity_of(model: nn.Module) -> float:
    """Share of prunable weights that are exactly zero."""
    weights = prunable(model).values()
    return 1.0 - sum(int(w.count_nonzero()) for w in weights) / sum(w.numel() for w in weights)
