"""Linear quantizers: a real range onto a few evenly spaced integers, per tensor or per channel, with three ways to choose the range.

`q = clip(floor(x / scale + 1/2) + zero_point, low, high)` and back `x = scale * (q - zero_point)`. Halves go upwards, as everywhere here.
Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError

METHODS = ("minmax", "percentile", "mse")


@dataclass(frozen=True, eq=False)
class Grid:
    """The integers low..high and what they stand for. `scale` and `zero_point` broadcast against the tensor (one value, or one per channel)."""

    scale: Tensor
    zero_point: Tensor
    low: int
    high: int

    @property
    def levels(self) -> int:
        """Number of integers."""
        return self.high - self.low + 1


def affine(low: Tensor | float, high: Tensor | float, bits: int = 8) -> Grid:
    """Grid over [low, high], widened to hold 0 exactly: integers -2**(b-1) .. 2**(b-1)-1, scale > 0, zero point among them."""
    _check_bits(bits)
    low, high = (torch.as_tensor(v, dtype=torch.float64) for v in (low, high))
    low, high = low.clamp(max=0), high.clamp(min=0)
    first, last = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    scale = (high - low) / (last - first)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = (torch.floor(first - low / scale + 0.5)).clamp(first, last)
    return Grid(scale, zero, first, last)


def symmetric(limit: Tensor | float, bits: int = 8) -> Grid:
    """Grid over [-limit, limit]: integers -(2**(b-1)-1) .. 2**(b-1)-1, zero point 0."""
    _check_bits(bits)
    limit = torch.as_tensor(limit, dtype=torch.float64)
    last = 2 ** (bits - 1) - 1
    scale = torch.where(limit > 0, limit / last, torch.ones_like(limit))
    return Grid(scale, torch.zeros_like(scale), -last, last)


def quantise(x: Tensor, grid: Grid) -> Tensor:
    """int32 integers of `x` on the grid, saturating."""
    q = torch.floor(x.double() / grid.scale + 0.5) + grid.zero_point
    return q.clamp(grid.low, grid.high).to(torch.int32)


def dequantise(q: Tensor, grid: Grid) -> Tensor:
    """Real values (float32) of integers `q`."""
    return (grid.scale * (q.double() - grid.zero_point)).float()


def round_trip(x: Tensor, grid: Grid) -> Tensor:
    """`x` as the grid sees it: quantised and back, in x's own type."""
    return dequantise(quantise(x, grid), grid).to(x.dtype)


def weight_grid(weight: Tensor, bits: int = 8, *, per_channel: bool = True, method: str = "minmax") -> Grid:
    """Symmetric grid for weights (k, ...): one scale for all, or one per output channel (first axis)."""
    rows = weight.detach().double().reshape(len(weight), -1) if per_channel else weight.detach().double().reshape(1, -1)
    limit = rows.abs().amax(1) if method == "minmax" else torch.stack([_limit(row, bits, method) for row in rows])
    return symmetric(limit.reshape(-1, *[1] * (weight.dim() - 1)) if per_channel else limit[0], bits)


def activation_grid(values: Tensor, bits: int = 8, *, method: str = "minmax") -> Grid:
    """Affine grid for activations, one scale, from a sample of their values."""
    low, high = activation_range(values, bits, method)
    return affine(low, high, bits)


def activation_range(values: Tensor, bits: int = 8, method: str = "minmax") -> tuple[float, float]:
    """(low, high) by `method`: the extremes; the 0.05 % and 99.95 % quantiles; or the shrunken extremes with least squared error."""
    flat = values.detach().double().flatten()
    low, high = min(0.0, float(flat.min())), max(0.0, float(flat.max()))
    if method == "minmax":
        return low, high
    if method == "percentile":
        ordered = flat.sort().values
        cut = int(0.0005 * (len(flat) - 1))
        return min(0.0, float(ordered[cut])), max(0.0, float(ordered[-1 - cut]))
    _check_method(method)
    errors = [(float(((round_trip(flat, affine(low * f, high * f, bits)) - flat) ** 2).sum()), f) for f in _fractions()]
    fraction = min(errors)[1]
    return low * fraction, high * fraction


def _limit(row: Tensor, bits: int, method: str) -> Tensor:
    """Largest magnitude that the grid must reach."""
    size = row.abs()
    if method == "percentile":
        return size.sort().values[-1 - int(0.001 * (len(size) - 1))]
    _check_method(method)
    limits = size.max() * torch.tensor(_fractions(), dtype=torch.float64)
    grid = symmetric(limits.unsqueeze(1), bits)
    errors = ((round_trip(row.unsqueeze(0), grid) - row) ** 2).sum(1)
    return limits[errors.argmin()]


def _fractions() -> list[float]:
    return [i / 40 for i in range(40, 7, -1)]


def _check_bits(bits: int) -> None:
    if not 2 <= bits <= 16:
        raise TinylibError(f"A linear grid needs 2 to 16 bits, got {bits}.")


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise TinylibError(f"No calibration {method!r}; there are {', '.join(METHODS)}.")
