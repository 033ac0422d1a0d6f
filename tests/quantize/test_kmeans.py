"""Codebooks: against k-means by hand, empty clusters, gradients of shared values."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.quantize import kmeans
from tinylib.quantize.kmeans import assign, cluster, codebook_bytes, share_weights, update
from tinylib.quantize.ordinary import make_ordinary


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(values, centroids, steps):
    """Lloyd's algorithm with Python lists."""
    values, centroids = [float(v) for v in values], [float(c) for c in centroids]
    for _ in range(steps):
        groups = [[] for _ in centroids]
        for v in values:
            groups[min(range(len(centroids)), key=lambda i: (abs(v - centroids[i]), i))].append(v)
        centroids = [sum(g) / len(g) if g else c for g, c in zip(groups, centroids)]
    return centroids


def check_update(function):
    values, centroids = draw(0, 60).double(), torch.tensor([-9.0, -1.0, 0.0, 0.1, 2.0, 40.0], dtype=torch.float64)
    got = function(values, assign(values, centroids), centroids)
    return np.allclose(got, by_hand(values, centroids, 1))


def test_update_is_the_mean_and_keeps_empty_clusters():
    assert check_update(update)


@pytest.mark.parametrize("wrong", [
    lambda v, codes, c: torch.stack([v[codes == i].mean() for i in range(len(c))]),
    lambda v, codes, c: torch.stack([v[codes == i].sum() / max(1, int((codes == i).sum())) for i in range(len(c))]),
], ids=["nan", "zero"])
def test_wrong_updates_are_seen(wrong):
    assert not check_update(wrong)


@given(st.integers(0, 500), st.integers(1, 5), st.sampled_from(["linear", "density"]))
def test_a_codebook_is_stable_and_small(seed, bits, start):
    w = draw(seed, 7, 11)
    book = cluster(w, bits, start=start, iterations=200)
    shared = book.weight()
    assert shared.shape == w.shape and len(shared.unique()) <= 2**bits and bool(torch.isfinite(book.centroids).all())
    assert torch.equal(assign(w.flatten(), book.centroids).to(torch.uint8), book.codes.flatten())
    assert float((shared - w).abs().max()) <= float(w.max() - w.min())


def test_every_step_lowers_the_error():
    w = draw(3, 400)
    errors = [float(((cluster(w, 3, iterations=n).weight() - w) ** 2).sum()) for n in range(8)]
    assert all(b <= a + 1e-9 for a, b in zip(errors, errors[1:])) and errors[-1] < errors[0]


def test_more_values_than_weights():
    w = torch.tensor([0.3, -0.2, 0.7])
    assert torch.allclose(cluster(w, 4).weight(), w)


def test_the_gradient_of_a_centroid_is_the_sum_over_its_cluster():
    layer = nn.Linear(6, 4)
    x = draw(1, 9, 6)
    codes = cluster(layer.weight, 2).codes
    share_weights(layer, 2)
    weight = layer.weight.detach().clone().requires_grad_()
    nn.functional.linear(x, weight, layer.bias).square().sum().backward()
    layer(x).square().sum().backward()
    expected = [weight.grad[codes == i].sum() for i in range(4)]
    assert torch.allclose(layer.parametrizations.weight[0].centroids.grad, torch.stack(expected), rtol=1e-4)


def test_training_moves_values_but_not_codes_and_make_ordinary_gives_an_ordinary_layer():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    before = {name: cluster(m.weight, 2).codes for name, m in model.named_modules() if hasattr(m, "weight")}
    share_weights(model, {"0": 2})
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    old = model[0].weight.detach().clone()
    model(draw(2, 5, 1, 3, 3)).square().sum().backward()
    optimiser.step()
    assert not torch.equal(model[0].weight, old)
    twin = copy.deepcopy(model)
    new = make_ordinary(model)[0].weight
    assert torch.equal(twin[0].weight, new)          # a copy is not touched
    assert type(new) is nn.Parameter and set(model.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    for code in before["0"].unique():
        assert len(new[before["0"] == code].unique()) == 1


def test_bytes_and_errors(monkeypatch):
    assert codebook_bytes(1001, 3) == 376 + 32
    with pytest.raises(TinylibError, match="1 to 8 bits"):
        cluster(torch.ones(3), 9)
    monkeypatch.setattr(kmeans, "STARTS", ("linear",))
    with pytest.raises(TinylibError, match="density"):
        cluster(torch.ones(3), 2, start="density")
