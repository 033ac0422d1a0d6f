"""Batch norm folded into the convolution before it: at inference it is one more multiplication and addition per channel."""

import torch
from torch import Tensor


def fold_batch_norm(weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(weight, bias) of the convolution that equals convolution then batch norm; `weight` (k, ...), the rest (k,). Computed in float64."""
    factor = gamma.double() / torch.sqrt(var.double() + eps)
    folded = weight.double() * factor.reshape(-1, *[1] * (weight.dim() - 1))
    shift = (bias.double() - mean.double()) * factor + beta.double()
    return folded.to(weight.dtype), shift.to(weight.dtype)
