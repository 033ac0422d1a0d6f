"""Codebook quantization: each weight becomes the index of one of 2**bits shared values, found by k-means, tuned by gradient.

Han, Mao, Dally 2016, Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman Coding.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tinylib.core.errors import TinylibError

STARTS = ("linear", "density")


@dataclass(frozen=True, eq=False)
class Codebook:
    """`centroids` (q,) shared values and `codes`, uint8 in the weight's shape."""

    centroids: Tensor
    codes: Tensor

    def weight(self) -> Tensor:
        """The weight with every entry replaced by its shared value."""
        return self.centroids[self.codes.long()]


def assign(values: Tensor, centroids: Tensor) -> Tensor:
    """int64 (n,) index of the nearest centroid of each value (n,); ties take the lower index."""
    return (values[:, None] - centroids).abs().argmin(1)


def update(values: Tensor, codes: Tensor, centroids: Tensor) -> Tensor:
    """New centroids (q,): the mean of each cluster's values; a cluster without members keeps its centroid."""
    count = torch.bincount(codes, minlength=len(centroids))
    total = torch.zeros(len(centroids), dtype=torch.float64).index_add_(0, codes, values.double())
    return torch.where(count > 0, total / count.clamp(min=1), centroids.double()).to(centroids.dtype)


def cluster(weight: Tensor, bits: int, *, iterations: int = 30, start: str = "linear") -> Codebook:
    """k-means over all entries of `weight`, from evenly spaced values ("linear") or quantiles ("density"); stops when nothing moves."""
    if not 1 <= bits <= 8 or start not in STARTS:
        raise TinylibError(f"A codebook has 1 to 8 bits and starts from {STARTS}; got {bits}, {start!r}.")
    values = weight.detach().flatten()
    q = 2**bits
    if start == "linear":
        centroids = torch.linspace(float(values.min()), float(values.max()), q)
    else:
        centroids = values.sort().values[torch.linspace(0, len(values) - 1, q).round().long()]
    codes = assign(values, centroids)
    for _ in range(iterations):
        moved = update(values, codes, centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
        codes = assign(values, centroids)
    return Codebook(centroids, codes.reshape(weight.shape).to(torch.uint8))


class SharedWeight(nn.Module):
    """Parametrization of a weight by a codebook: gradients of all weights of a cluster add up in its centroid."""

    def __init__(self, codebook: Codebook):
        super().__init__()
        self.centroids = nn.Parameter(codebook.centroids.clone())
        self.register_buffer("codes", codebook.codes)

    def forward(self, original: Tensor) -> Tensor:
        return self.centroids[self.codes.long()]


def share_weights(model: nn.Module, bits: int | Mapping[str, int], *, start: str = "linear") -> nn.Module:
    """Cluster the weight of every convolution and linear layer in place, one codebook a layer; centroids are then what trains.

    `bits` for all layers, or by layer name (others stay as they are). Returns the model; `ordinary.make_ordinary` ends the tie.
    """
    for name, module in model.named_modules():
        wanted = bits if isinstance(bits, int) else bits.get(name)
        if wanted is not None and isinstance(module, nn.Conv2d | nn.Linear):
            codebook = cluster(module.weight, wanted, start=start)
            parametrize.register_parametrization(module, "weight", SharedWeight(codebook), unsafe=True)
            module.parametrizations.weight.original.requires_grad_(False)
    return model


def codebook_bytes(weights: int, bits: int) -> int:
    """Bytes of a layer of `weights` entries: codes packed, plus 2**bits float32 values."""
    return -(-weights * bits // 8) + 4 * 2**bits
