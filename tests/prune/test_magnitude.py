"""Exact counts, ties, groups of four, masks that last."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.prune import magnitude
from tinylib.prune.magnitude import (
    apply_masks_,
    global_masks,
    keep_masks,
    kept_count,
    layer_masks,
    magnitude_mask,
    n_of_m_mask,
    n_of_m_masks,
    prunable,
    sparsity_of,
)


def slow_mask(weight, sparsity):
    """The rule in words: rank by magnitude, earlier places first among equals, keep the first round((1 - s) n)."""
    flat = [abs(v) for v in weight.flatten().tolist()]
    order = sorted(range(len(flat)), key=lambda i: (-flat[i], i))
    kept = set(order[: round((1 - sparsity) * len(flat))])
    return torch.tensor([i in kept for i in range(len(flat))]).view(weight.shape)


weights = st.lists(st.integers(-3, 3), min_size=1, max_size=40).map(lambda v: torch.tensor(v, dtype=torch.float32))
shares = st.one_of(st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]), st.floats(0.0, 1.0))


@settings(max_examples=200, deadline=None)
@given(weights, shares)
def test_mask_equals_the_slow_one(weight, sparsity):
    mask = magnitude_mask(weight, sparsity)
    assert mask.dtype == torch.bool and torch.equal(mask, slow_mask(weight, sparsity))
    assert int(mask.sum()) == kept_count(weight.numel(), sparsity)


def test_a_threshold_mask_would_be_caught(monkeypatch):
    def by_threshold(size, keep):
        return size >= size.sort(descending=True).values[max(keep, 1) - 1]

    monkeypatch.setattr(magnitude, "_largest", by_threshold)
    weight = torch.tensor([1.0, -1.0, 1.0, 2.0])
    assert not torch.equal(magnitude_mask(weight, 0.5), slow_mask(weight, 0.5))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(8, 3))


def test_layer_and_global_masks():
    model = net()
    assert list(prunable(model)) == ["0.weight", "3.weight", "5.weight"]
    per_layer = layer_masks(model, {"0.weight": 0.75})
    assert list(per_layer) == ["0.weight"] and int(per_layer["0.weight"].sum()) == 72
    together = global_masks(model, 0.5)
    flat = torch.cat([w.detach().flatten() for w in prunable(model).values()])
    assert torch.equal(torch.cat([m.flatten() for m in together.values()]), slow_mask(flat, 0.5))
    apply_masks_(model, together)
    assert sparsity_of(model) == pytest.approx(0.5)


def test_a_kept_mask_outlives_momentum_and_decay():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    x = torch.randn(4, 4, 5, 5, generator=torch.Generator().manual_seed(1))

    def train(after_step):
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
            after_step()

    train(lambda: None)                                     # fills the momentum
    masks = layer_masks(model, 0.8)
    after = keep_masks(model, masks)
    train(after)
    assert all(torch.equal(prunable(model)[n] != 0, m) for n, m in masks.items())
    train(lambda: None)                                     # without the callback, removed weights come back
    assert any(not torch.equal(prunable(model)[n] != 0, m) for n, m in masks.items())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**31))
def test_two_of_four_keeps_two_of_every_four_inputs(k, quads, side, seed):
    weight = torch.from_numpy(np.random.default_rng(seed).integers(-2, 3, (k, 4 * quads, side, side)).astype(np.float32))
    mask = n_of_m_mask(weight)
    for row in range(k):
        for quad in range(quads):
            for y in range(side):
                for x in range(side):
                    group = weight[row, 4 * quad:4 * quad + 4, y, x]
                    assert torch.equal(mask[row, 4 * quad:4 * quad + 4, y, x], slow_mask(group, 0.5))


def test_n_of_m_leaves_what_does_not_divide():
    assert list(n_of_m_masks(net())) == ["0.weight", "5.weight"]
    with pytest.raises(TinylibError, match="divide by 4"):
        n_of_m_mask(torch.ones(2, 6))
    with pytest.raises(TinylibError, match="0 < n <= m"):
        n_of_m_mask(torch.ones(2, 8), 5, 4)


def test_errors():
    with pytest.raises(TinylibError, match="between 0 and 1"):
        magnitude_mask(torch.ones(3), 80)
    with pytest.raises(TinylibError, match="NaN"):
        magnitude_mask(torch.tensor([1.0, float("nan")]), 0.5)
    with pytest.raises(TinylibError, match="No prunable weight"):
        layer_masks(net(), {"9.weight": 0.5})
    with pytest.raises(TinylibError, match="no convolution"):
        prunable(nn.ReLU())
