"""Linear quantizers: what must hold for any numbers, and against a search by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.quantize import linear
from tinylib.quantize.linear import activation_grid, activation_range, affine, dequantise, quantise, round_trip, symmetric, weight_grid

numbers = st.floats(-1e4, 1e4).map(lambda v: 0.0 if abs(v) < 1e-6 else v)
bit_counts = st.integers(2, 10)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(numbers, numbers, bit_counts)
def test_affine_grid(a, b, bits):
    low, high = min(a, b), max(a, b)
    grid = affine(low, high, bits)
    assert grid.levels == 2**bits and grid.low <= float(grid.zero_point) <= grid.high and float(grid.scale) > 0
    assert dequantise(quantise(torch.zeros(3), grid), grid).eq(0).all()          # zero is exact: padding and ReLU rely on it
    x = torch.linspace(low, high, 50, dtype=torch.float64)
    assert ((round_trip(x, grid) - x).abs() <= float(grid.scale) * 1.001 + 1e-6 * max(abs(low), abs(high))).all()


@given(numbers, bit_counts)
def test_symmetric_grid_is_odd_and_within_half_a_step(limit, bits):
    limit = abs(limit)
    grid = symmetric(limit, bits)
    x = torch.linspace(0.01, limit, 40, dtype=torch.float64) if limit > 0.01 else torch.zeros(4, dtype=torch.float64)
    q = quantise(x, grid)
    away = (x / grid.scale - torch.floor(x / grid.scale) - 0.5).abs() > 1e-9      # ties go upwards, so they are not odd
    assert torch.equal(quantise(-x, grid)[away], -q[away])
    assert ((round_trip(x, grid) - x).abs() <= 0.5 * float(grid.scale) + 1e-6 * limit).all()


@given(st.integers(0, 1000), bit_counts, st.booleans())
def test_a_second_trip_changes_nothing(seed, bits, per_channel):
    w = draw(seed, 5, 3, 2)
    once = round_trip(w, weight_grid(w, bits, per_channel=per_channel))
    twice = round_trip(once, weight_grid(once, bits, per_channel=per_channel))
    assert torch.allclose(once, twice, rtol=1e-6, atol=0)
    assert all(len(row.unique()) <= 2**bits - 1 for row in once) if per_channel else len(once.unique()) <= 2**bits - 1


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), bit_counts)
def test_quantise_is_the_nearest_level(values, bits):
    x = torch.tensor(values, dtype=torch.float64)
    grid = affine(float(x.min()), float(x.max()), bits)
    levels = float(grid.scale) * (np.arange(grid.low, grid.high + 1) - float(grid.zero_point))
    best = np.abs(x.numpy()[:, None] - levels).min(1)
    got = np.abs(x.numpy() - float(grid.scale) * (quantise(x, grid).numpy() - float(grid.zero_point)))
    assert np.allclose(got, best, atol=1e-9)


def test_halves_go_upwards():
    grid = symmetric(127.0, 8)
    assert quantise(torch.tensor([0.5, -0.5, 1.5, -1.5, 2.5]), grid).tolist() == [1, 0, 2, -1, 3]


def test_per_channel_is_each_channel_alone():
    w = draw(0, 4, 3, 3, 3) * torch.tensor([0.01, 1.0, 10.0, 0.0]).reshape(4, 1, 1, 1)
    grid = weight_grid(w, 4)
    for k in range(4):
        alone = weight_grid(w[k:k + 1], 4, per_channel=False)
        assert torch.equal(quantise(w[k:k + 1], alone), quantise(w, grid)[k:k + 1])


def mse(x, grid):
    return float(((round_trip(x, grid) - x) ** 2).mean())


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_mse_calibration_beats_the_extremes_on_long_tails(bits):
    x = draw(1, 4000) ** 3
    assert mse(x, activation_grid(x, bits, method="mse")) < mse(x, activation_grid(x, bits))
    assert mse(x, weight_grid(x[None], bits, method="mse")) < mse(x, weight_grid(x[None], bits))


def test_percentile_leaves_out_the_rare_and_keeps_the_rest():
    x = torch.cat([torch.linspace(-1, 1, 20000), torch.tensor([500.0])])
    low, high = activation_range(x, 8, "percentile")
    assert -1 <= low < -0.99 and 0.99 < high <= 1
    assert activation_range(x, 8) == (-1.0, 500.0)


def test_constant_and_empty_ranges():
    for value in (0.0, 3.0, -3.0):
        grid = affine(value, value)
        assert abs(float(round_trip(torch.tensor([value]), grid)) - value) < 1e-6


def test_wrong_arguments_are_named():
    with pytest.raises(TinylibError, match="2 to 16 bits"):
        symmetric(1.0, 1)
    with pytest.raises(TinylibError, match="minmax, percentile, mse"):
        activation_range(torch.ones(3), 8, "entropy")
    with pytest.raises(TinylibError, match="minmax, percentile, mse"):
        weight_grid(torch.ones(2, 3), 8, method="entropy")


@pytest.mark.parametrize("wrong", [
    lambda x, grid: torch.round(x / grid.scale),
    lambda x, grid: torch.floor(x / grid.scale + 0.5) + grid.zero_point,
], ids=["no zero point", "no clamp"])
def test_a_planted_bug_is_seen(wrong, monkeypatch):
    monkeypatch.setattr(linear, "quantise", wrong)
    grid = affine(0.0, 1.0, 4)
    with pytest.raises(AssertionError):
        assert round_trip(torch.tensor([0.5]), grid).allclose(torch.tensor([0.5]), atol=0.04)
        assert int(wrong(torch.tensor([9.0]), grid)[0]) == grid.high
