"""Augmentation, distance, projection, search and one training step."""

import numpy as np
import pytest
import torch
from scipy import linalg

from tinylib.core.errors import TinylibError
from tinylib.core.seed import generator, rng
from tinylib.gan.augment import augmented, coloured, cut_out, moved
from tinylib.gan.frechet import EmojiFeatures, features_of, frechet_distance
from tinylib.gan.generator import FULL, Config, Generator, macs
from tinylib.gan.project import ATTRIBUTES, direction, mean_w, project
from tinylib.gan.search import FULL_SIZE, as_config, search, squared_error
from tinylib.gan.train import Recipe, Trainer, drawn, equalised, sampled, scales, start


def gaussian(seed, n=400, d=5):
    r = rng(seed, "rows")
    return r.normal(size=(n, d)) @ r.normal(size=(d, d)) + r.normal(size=d)


def by_scipy(one, other):
    """The textbook formula with a matrix square root."""
    a, b = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    return np.square(one.mean(0) - other.mean(0)).sum() + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)


def test_the_distance_is_that_of_a_matrix_root():
    one, other = gaussian(1), gaussian(2)
    assert frechet_distance(one, other) == pytest.approx(by_scipy(one, other), rel=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(one, one + 3) == pytest.approx(9 * 5)


def test_a_distance_without_the_covariances_is_seen():
    one, other = gaussian(1), gaussian(2)
    assert np.square(one.mean(0) - other.mean(0)).sum() != pytest.approx(by_scipy(one, other), rel=0.01)


def test_one_row_has_no_spread():
    with pytest.raises(TinylibError, match="two rows"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_features_of_every_resolution():
    net = EmojiFeatures().eval()
    for side in (8, 16, 32):
        assert features_of(net, torch.zeros(3, 3, side, side)).shape == (3, 32)


def test_no_strength_changes_nothing():
    x, g = torch.randn(4, 3, 8, 8, generator=generator(1)), generator(2)
    torch.testing.assert_close(coloured(x, g, 0.0), x)
    assert torch.equal(moved(x, g, 0.0), x) and torch.equal(cut_out(x, g, 0.0), x)


def test_each_picture_moves_by_its_own():
    x = torch.zeros(64, 1, 16, 16)
    x[:, :, 8, 8] = 1
    places = {tuple(p.nonzero()[0, 1:].tolist()) for p in moved(x, generator(3), 1 / 8)}
    assert len(places) > 10 and all(6 <= v <= 10 for place in places for v in place)


def test_a_cut_is_a_square_that_may_reach_over_the_border():
    areas = (cut_out(torch.ones(200, 1, 16, 16), generator(4)) == 0).sum((1, 2, 3))
    assert areas.max() == 64 and areas.min() < 64 and areas.float().mean() < 64


def test_gradients_pass_through():
    x = torch.randn(3, 3, 8, 8, generator=generator(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: augmented(x, generator(7)), x)


def test_real_pictures_shrink_by_means():
    x = torch.arange(32.0 * 32).view(1, 1, 32, 32)
    assert scales(x)[8][0, 0, 0, 0] == x[0, 0, :4, :4].mean()


def test_sampling_is_uniform_or_free():
    drawn_ = [sampled(rng(1, i)) for i in range(300)]
    same = np.mean([len(set(c)) == 1 for c in drawn_])
    assert 0.4 < same < 0.62 and {r for c in drawn_ for r in c} == {0.25, 0.5, 0.75, 1.0}


def test_rates_are_equalised():
    net = Generator()
    rates = {id(p): group["lr"] for group in equalised(net, 1.0) for p in group["params"]}
    assert rates[id(net.convs[0].weight)] == 1 and rates[id(net.convs[0].style.weight)] == pytest.approx(1 / 8)
    assert rates[id(net.mapping[0].weight)] == pytest.approx(0.1 / 8) and len(rates) == len(list(net.parameters()))


@pytest.mark.parametrize("recipe", [Recipe(steps=2, batch=4), Recipe(steps=2, batch=4, consistency=1.0), Recipe(steps=1, batch=4, only=Config(resolution=16))])
def test_a_training_runs_and_repeats(recipe):
    pictures = torch.rand(6, 3, 32, 32, generator=generator(1)) * 2 - 1
    runs = [Trainer(start(seed=2), pictures, recipe, seed=5).run() for _ in range(2)]
    for one, other in zip(*(r.generator.parameters() for r in runs)):
        assert torch.equal(one, other) and torch.isfinite(one).all()
    assert any(not torch.equal(p, q) for p, q in zip(runs[0].generator.parameters(), start(seed=2).generator.parameters()))


def test_a_batch_mirrors_half_of_its_pictures():
    picture = torch.zeros(1, 1, 1, 2)
    picture[..., 0] = 1
    share = drawn(picture, 400, generator(3))[:, 0, 0, 1].mean()
    assert 0.4 < share < 0.6


def test_projection_finds_a_picture_of_its_own():
    net = Generator(seed=1).eval()
    with torch.no_grad():
        target = net(torch.randn(1, 64, generator=generator(9)))
    begin, losses = mean_w(net, generator(1)), []
    w = project(net, target, begin, steps=40, on_step=lambda i, loss: losses.append(loss))
    assert losses[-1] < losses[0] / 3 and w.shape == (1, 5, 64)
    assert all(p.grad is None for p in net.parameters())


def test_a_direction_raises_its_score():
    w = torch.randn(500, 8, generator=generator(1))
    truth = torch.zeros(8)
    truth[2] = 1
    found = direction(w, w @ truth * 3 + 1)
    assert found @ truth > 0.99 and found.norm() == pytest.approx(1)
    pictures = torch.rand(4, 3, 32, 32, generator=generator(2))
    assert all(f(pictures).shape == (4,) for f in ATTRIBUTES.values())


def test_the_search_keeps_its_budget_and_beats_its_worst():
    net, z = Generator(seed=1).eval(), torch.randn(4, 64, generator=generator(1))
    budget = macs() // 2
    found = search(net, z, budget, rng=rng(1), population=8, generations=2)
    assert macs(as_config(found.best)) == found.cost <= budget and found.history[-1] >= found.history[0]
    assert -found.score == pytest.approx(squared_error(net, as_config(found.best), z).mean().item(), rel=1e-4)
    with pytest.raises(TinylibError, match="cheapest"):
        search(net, z, 10, rng=rng(1), population=4, generations=1)
    assert FULL_SIZE.size() == 1024


def test_the_full_one_has_no_error():
    net, z = Generator(seed=1).eval(), torch.randn(2, 64, generator=generator(1))
    assert squared_error(net, FULL, z).max() == 0 and squared_error(net, Config.uniform(1 / 2, 16), z).min() > 0
