"""The elastic generator: exact identities, each also shown to fail on a planted bug."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tinylib.core.errors import TinylibError
from tinylib.core.seed import generator, rng
from tinylib.gan import modulated
from tinylib.gan.discriminator import Discriminator, code_of
from tinylib.gan.generator import FULL, LAST, RATIOS, RESOLUTIONS, SIDES, SPACE, Config, Generator, fresh_noise, macs
from tinylib.gan.order import extract, readers_of, reorder, sort_channels
from tinylib.measure.profile import profile


@pytest.fixture
def z():
    return torch.randn(3, 64, generator=generator(2), dtype=torch.float64)


def naive(x, weight, style, demodulate):
    """The definition, place by place."""
    b, c, h, w = x.shape
    k, side = weight.shape[0], weight.shape[-1]
    out, reach = np.zeros((b, k, h, w)), side // 2
    for n in range(b):
        for o in range(k):
            own = weight[o] * style[n][:, None, None]
            own = own / np.sqrt((own**2).sum() + 1e-8) if demodulate else own
            for y in range(h):
                for q in range(w):
                    for i in range(side):
                        for j in range(side):
                            if 0 <= y + i - reach < h and 0 <= q + j - reach < w:
                                out[n, o, y, q] += (own[:, i, j] * x[n, :, y + i - reach, q + j - reach]).sum()
    return out


def conv_case(side=3):
    g = generator(5, side)
    x, weight = torch.randn(2, 3, 4, 5, generator=g, dtype=torch.float64), torch.randn(4, 3, side, side, generator=g, dtype=torch.float64)
    return x, weight, torch.randn(2, 3, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("side", [1, 3])
def test_both_forms_are_the_naive_loop(side, demodulate):
    x, weight, style = conv_case(side)
    want = naive(x.numpy(), weight.numpy(), style.numpy(), demodulate)
    for form in (modulated.modulated_conv, modulated.grouped_conv):
        np.testing.assert_allclose(form(x, weight, style, demodulate=demodulate).numpy(), want, atol=1e-12 * np.abs(want).max())


def test_the_naive_loop_sees_a_demodulation_without_style():
    x, weight, style = conv_case()
    wrong = F.conv2d(x * style[:, :, None, None], weight, padding=1) * modulated.demodulation(weight, torch.ones_like(style))[:, :, None, None]
    assert np.abs(wrong.numpy() - naive(x.numpy(), weight.numpy(), style.numpy(), True)).max() > 0.1


@pytest.mark.parametrize("config", [Config((1 / 4, 1, 1 / 2, 3 / 4, 1 / 4)), Config.uniform(1 / 2, 16), Config.uniform(1 / 4, 8), FULL])
def test_an_extracted_generator_is_the_slice(net, z, config):
    with torch.no_grad():
        torch.testing.assert_close(extract(net, config)(z), net(z, config), atol=1e-12, rtol=0)


def test_demodulating_before_slicing_is_seen(net, z, monkeypatch):
    """The planted bug: factors from all input channels, then the slice."""
    config = Config.uniform(1 / 2)
    want = net(z, config)

    def before(layer, x, w, out=None):
        weight, bias = layer.sliced(x.shape[1], out)
        style = layer.style(w, x.shape[1])
        y = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if layer.demodulate:
            y = y * modulated.demodulation(layer.weight, layer.style(w))[:, :weight.shape[0], None, None]
        return y + bias[:, None, None]

    monkeypatch.setattr(modulated.ModulatedConv2d, "forward", before)
    assert (net(z, config) - want).abs().max() > 1e-3


def test_sorting_leaves_the_full_output_and_changes_the_slices(net, z):
    copy, half = Generator(seed=3).double(), Config.uniform(1 / 2)
    copy.load_state_dict(net.state_dict())
    with torch.no_grad():
        full, small = net(z), net(z, half)
        orders = sort_channels(net, net.mapping(z))
        torch.testing.assert_close(net(z), full, atol=1e-11, rtol=0)
        assert (net(z, half) - small).abs().max() > 1e-3
        reorder(copy, orders)
        torch.testing.assert_close(copy(z, half), net(z, half), atol=1e-12, rtol=0)


def test_sorting_without_the_style_rows_is_seen(net, z):
    with torch.no_grad():
        full = net(z)
        for layer in readers_of(net, 2):
            layer.weight.copy_(layer.weight.flip(1))
        net.convs[2].weight.copy_(net.convs[2].weight.flip(0))
        net.convs[2].bias.copy_(net.convs[2].bias.flip(0))
        assert (net(z) - full).abs().max() > 1e-3


def test_sorted_channels_fall_in_importance(net, z):
    from tinylib.gan.order import listened
    w = net.mapping(z)
    sort_channels(net, w)
    score = sum(listened(layer, w) for layer in readers_of(net, 3))
    assert (score.diff() <= 1e-12).all()


@pytest.mark.parametrize("config", [FULL, Config.uniform(1 / 4, 8), Config((1 / 2, 3 / 4, 1, 1 / 4, 1 / 2)), Config((1 / 2, 3 / 4, 1 / 4, 1, 1), 16)])
def test_macs_by_formula_are_those_measured(config):
    model = extract(Generator(), config)
    seen = profile(model, torch.zeros(1, 64))
    assert not seen.unknown and seen.macs == macs(config)


def test_a_formula_without_the_colour_layers_is_seen():
    without = macs(FULL) - sum(3 * c * s * s for c, s in ((64, 8), (48, 16), (32, 32)))
    assert without != profile(Generator(), torch.zeros(1, 64)).macs


def test_a_lower_resolution_is_a_prefix(net, z):
    with torch.no_grad():
        pictures = net.synthesis(net.mapping(z))
        for side, picture in zip(RESOLUTIONS, pictures):
            torch.testing.assert_close(net(z, Config(resolution=side)), picture, atol=0, rtol=0)


def test_noise_is_an_argument(net, z):
    one, other = fresh_noise(3, generator(1)), fresh_noise(3, generator(2))
    one, other = [n.double() for n in one], [n.double() for n in other]
    assert torch.equal(net(z, FULL, one), net(z, FULL, one)) and not torch.equal(net(z, FULL, one), net(z, FULL, other))
    assert torch.equal(net(z), net(z))


def test_a_w_for_each_layer(net, z):
    w = net.mapping(z)
    torch.testing.assert_close(net.synthesis(w[:, None].expand(-1, 5, -1))[-1], net(z), atol=0, rtol=0)


def test_the_space_counts_every_sub_generator():
    assert SPACE.size() == 4 + 4**3 + 4**5
    assert all(Config.of(c).candidate() == c for c in [SPACE.sample(rng(0, i)) for i in range(20)])


def test_bad_configurations_are_refused():
    for wrong in (((1,) * 4, 32), ((1,) * 5, 24), ((0, 1, 1, 1, 1), 32), ((2, 1, 1, 1, 1), 32)):
        with pytest.raises(TinylibError, match="ratios in"):
            Config(*wrong)
    with pytest.raises(TinylibError, match="ends at 16"):
        extract(Generator(), Config.uniform(1 / 2, 16))(torch.zeros(1, 64), FULL)


def test_the_discriminator_begins_deaf_to_the_code_and_learns_to_hear():
    net, x = Discriminator(seed=1), torch.randn(4, 3, 16, 16, generator=generator(4))
    one, other = code_of(Config.uniform(1 / 4, 16)), code_of(Config.uniform(1, 16))
    assert torch.equal(net(x, one), net(x, other))
    with torch.no_grad():
        net.conditions[0].scale.weight.add_(torch.randn(64, 23, generator=generator(6)))
    assert not torch.equal(net(x, one), net(x, other))


@pytest.mark.parametrize("side", RESOLUTIONS)
def test_every_resolution_reaches_both_conditions(side):
    net = Discriminator(seed=1)
    net(torch.randn(4, 3, side, side, generator=generator(4)), code_of(Config.uniform(1 / 2, side))).sum().backward()
    assert all(c.scale.weight.grad.abs().sum() > 0 for c in net.conditions)


def test_layers_and_sides_fit():
    assert LAST == {side: 1 + max(i for i, s in enumerate(SIDES) if s == side) for side in RESOLUTIONS} and RATIOS[-1] == 1
