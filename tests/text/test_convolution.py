"""Lightweight and dynamic convolution against grouped convolution and loops; padding, even kernels, kernels longer than the text, one word at a time."""

import pytest
import torch
import torch.nn.functional as F

from tinylib.core.errors import TinylibError
from tinylib.text.convolution import ConvolutionBranch, convolve, convolve_each, dynamic_convolution, light_convolution, reach


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_grouped_convolution(x, kernel, causal, keep):
    """torch's own convolution, channel by channel, after padding by hand."""
    heads, k = kernel.shape
    if keep is not None:
        x = torch.where(keep[..., None], x, torch.zeros_like(x))
    left = k - 1 if causal else k // 2
    padded = F.pad(x.transpose(1, 2), (left, k - 1 - left))
    each = x.shape[2] // heads
    weight = torch.stack([torch.softmax(kernel[channel // each], 0) for channel in range(x.shape[2])])
    return F.conv1d(padded, weight[:, None], groups=x.shape[2]).transpose(1, 2)


def by_loops(x, kernel, causal, keep):
    """The definition with a kernel (b, n, h, k) for each word."""
    (b, n, c), (h, k) = x.shape, kernel.shape[2:]
    out, left = torch.zeros_like(x), k - 1 if causal else k // 2
    for i in range(b):
        for t in range(n):
            for channel in range(c):
                taps = torch.exp(kernel[i, t, channel // (c // h)])
                for j in range(k):
                    s = t + j - left
                    if 0 <= s < n and (keep is None or keep[i, s]):
                        out[i, t, channel] += taps[j] / taps.sum() * x[i, s, channel]
    return out


KEEP = torch.tensor([[True] * 4 + [False] * 2, [False] + [True] * 5])
SIZES = [(2, 6, 8, 2, 3), (2, 6, 8, 4, 4), (2, 6, 4, 1, 1), (2, 6, 8, 8, 31), (2, 6, 8, 2, 2), (2, 1, 4, 2, 5), (0, 6, 4, 2, 3)]


@pytest.mark.parametrize("padded", [False, True], ids=["all", "padded"])
@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_both_convolutions_equal_their_oracles(size, causal, padded):
    b, n, c, h, k = size
    x, kernel = drawn(b, n, c), drawn(h, k, seed=1)
    keep = KEEP[:b, :n] if padded else None
    before = x.clone()
    expected = by_grouped_convolution(x, kernel, causal, keep)
    assert torch.allclose(light_convolution(x, kernel, causal=causal, keep=keep), expected, rtol=0, atol=1e-12)
    same = kernel.expand(b, n, h, k)
    assert torch.allclose(dynamic_convolution(x, same, causal=causal, keep=keep), expected, rtol=0, atol=1e-12), "dynamic with one kernel is light"
    own = drawn(b, n, h, k, seed=2)
    assert torch.allclose(dynamic_convolution(x, own, causal=causal, keep=keep), by_loops(x, own, causal, keep), rtol=0, atol=1e-12)
    assert torch.allclose(light_convolution(x.float(), kernel.float(), causal=causal, keep=keep), expected.float(), rtol=0, atol=1e-5)
    strided = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.allclose(light_convolution(strided, kernel, causal=causal, keep=keep), expected, rtol=0, atol=1e-12)
    assert torch.equal(x, before)


def test_the_oracles_see_planted_bugs():
    x, kernel, own = drawn(2, 6, 8), drawn(2, 4, seed=1), drawn(2, 6, 2, 4, seed=2)
    light, dynamic = by_grouped_convolution(x, kernel, True, KEEP), by_loops(x, own, True, KEEP)
    quiet = x.masked_fill(~KEEP[..., None], 0.0)
    for wrong in (convolve(quiet, kernel.softmax(-1), left=2), convolve(quiet, kernel.softmax(0), left=3), convolve(x, kernel.softmax(-1), left=3),
                  convolve(quiet, kernel.softmax(-1).flip(1), left=3), convolve(quiet.roll(1, 2), kernel.softmax(-1), left=3)):
        assert not torch.allclose(wrong, light, atol=1e-3)
    for wrong in (convolve_each(quiet, own.softmax(-1), left=2), convolve_each(quiet, own.softmax(2), left=3), convolve_each(x, own.softmax(-1), left=3),
                  convolve_each(quiet, own.roll(1, 1).softmax(-1), left=3)):
        assert not torch.allclose(wrong, dynamic, atol=1e-3)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_are_right(causal):
    x, kernel, own = drawn(2, 4, 4).requires_grad_(), drawn(2, 3, seed=1).requires_grad_(), drawn(2, 4, 2, 6, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, k: light_convolution(a, k, causal=causal, keep=KEEP[:, 1:5]), (x, kernel))
    assert torch.autograd.gradcheck(lambda a, k: dynamic_convolution(a, k, causal=causal, keep=KEEP[:, 1:5]), (x, own))


def test_a_constant_sentence_stays_constant_inside():
    out = light_convolution(torch.ones(1, 9, 4, dtype=torch.float64), drawn(2, 5), causal=False)
    assert torch.allclose(out[:, 2:-2], torch.ones(1, 5, 4, dtype=torch.float64), rtol=0, atol=1e-12), "taps sum to 1"
    assert (out[:, 0] < 0.999).all() and reach(5, False) == 2 and reach(4, False) == 2 and reach(4, True) == 3


def branch(*, seed=3, **options):
    layer = ConvolutionBranch(8, 2, **options).double()
    with torch.no_grad():
        for i, p in enumerate(layer.parameters()):
            p.copy_(drawn(*p.shape, seed=seed + i) * 0.5)
    return layer.eval()


KINDS = [{"dynamic": dynamic, "glu": glu} for dynamic in (False, True) for glu in (False, True)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("taps", [1, 2, 3, 9])
@torch.no_grad()
def test_one_word_at_a_time_equals_the_whole_sentence(taps, kind):
    layer, x = branch(taps=taps, causal=True, **kind), drawn(3, 6, 8)
    whole, window = layer(x), layer.start(3)
    for i in range(6):
        assert torch.allclose(window.step(x[:, i]), whole[:, i], rtol=0, atol=1e-12), f"word {i}"
        assert window.words.shape == (3, taps - 1, 8)


@torch.no_grad()
def test_a_window_not_reordered_or_not_empty_at_the_start_is_seen():
    layer, x, index = branch(taps=4, causal=True), drawn(3, 6, 8), torch.tensor([2, 0, 0])
    window, stale = layer.start(3), layer.start(3)
    for i in range(3):
        window.step(x[:, i])
        stale.step(x[:, i])
    window.reorder(index)
    picked = torch.cat([x[index, :3], x[:, 3:]], 1)
    right = layer(picked)[:, 3]
    assert torch.allclose(window.step(picked[:, 3]), right, rtol=0, atol=1e-12)
    assert not torch.allclose(stale.step(picked[:, 3]), right, atol=1e-3)
    assert not torch.allclose(stale.step(x[:, 0]), layer(x)[:, 0], atol=1e-3)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@torch.no_grad()
def test_padding_is_silent(kind):
    layer, x = branch(taps=3, causal=False, **kind), drawn(2, 6, 8)
    noise = torch.where(KEEP[..., None], x, 9 * drawn(2, 6, 8, seed=8))
    a, b = layer(x, keep=KEEP), layer(noise, keep=KEEP)
    assert torch.allclose(a[KEEP], b[KEEP], rtol=0, atol=1e-12)
    assert not torch.allclose(layer(x)[KEEP], layer(noise)[KEEP], atol=1e-3)
    assert torch.allclose(layer(x[:1], keep=KEEP[:1])[:, :4], layer(x[:1, :4]), rtol=0, atol=1e-12), "padding at the end changes nothing"


def test_dropped_taps_keep_the_others_at_their_size():
    layer, x = branch(taps=4, causal=True, dropout=0.5), torch.ones(1, 4, 8, dtype=torch.float64)
    generator = lambda: torch.Generator().manual_seed(0)
    assert torch.equal(layer(x), layer(x, generator=generator())), "nothing is dropped in eval mode"
    layer.train()
    a, b = layer(x, generator=generator()), layer(x, generator=generator())
    assert torch.equal(a, b) and not torch.equal(a, layer.eval()(x))
    mean = torch.stack([layer.train()(x, generator=torch.Generator().manual_seed(i)) for i in range(400)]).mean(0)
    assert torch.allclose(mean, layer.eval()(x), atol=0.35)
    with pytest.raises(TinylibError, match="generator"):
        layer.train()(x)


def test_mistakes_are_named():
    for call in (lambda: ConvolutionBranch(10, 4, 3, causal=True), lambda: ConvolutionBranch(8, 4, 0, causal=True),
                 lambda: light_convolution(torch.zeros(1, 2, 5), torch.zeros(2, 3), causal=True), lambda: branch(taps=3, causal=False).start(1)):
        with pytest.raises(TinylibError):
            call()
