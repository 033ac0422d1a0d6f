"""Frozen layers against the stock ones: same outputs, same gradients, and the meter sees the bytes that the text promises."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.saved import saved_by_model, saved_bytes
from tinylib.train.frozen import FrozenConv2d, FrozenNorm2d, MeanPool2d, PackedReLU, PackedReLU6, frozen_conv2d, mask_bytes, packed_relu

CONVS = [  # c_in, c_out, kernel, stride, padding, dilation, groups, bias
    (3, 4, 1, 1, 0, 1, 1, True), (3, 4, 1, 2, 0, 1, 1, False), (4, 6, 3, 2, 1, 1, 2, True), (4, 4, 5, 3, 2, 1, 4, True), (2, 2, 3, 1, 2, 2, 1, False),
    (4, 8, (3, 1), (1, 2), (1, 0), 1, 4, True)]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(forward, *leaves):
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    y = forward(*leaves)
    y.backward(draw(*y.shape, seed=9))
    return y.detach(), [leaf.grad for leaf in leaves]


def same(first, second, tolerance=1e-12):
    scale = max(second.abs().max().item(), 1)
    return torch.allclose(first, second, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("case", CONVS)
@pytest.mark.parametrize("size", [(7, 6), (5, 5)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_frozen_convolution_equals_the_stock_one(case, size, layout):
    c_in, c_out, kernel, stride, padding, dilation, groups, has_bias = case
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, has_bias).double().to(memory_format=layout)
    x = draw(2, c_in, *size).contiguous(memory_format=layout)
    conv.weight.requires_grad_(False)
    leaves = [x] + ([conv.bias] if has_bias else [])
    run = lambda f: gradients(lambda x, *b: f(x, conv.weight, b[0] if b else None, conv.stride, conv.padding, conv.dilation, groups), *leaves)
    (y, grads), (y0, grads0) = run(frozen_conv2d), run(F.conv2d)
    assert torch.equal(y, y0)
    assert all(same(g, g0) for g, g0 in zip(grads, grads0, strict=True))


def test_a_wrong_input_gradient_would_be_seen(monkeypatch):
    conv, x = nn.Conv2d(3, 4, 3, stride=2, padding=1).double(), draw(1, 3, 6, 6)
    right = gradients(lambda x: F.conv2d(x, conv.weight, None, 2, 1), x)[1][0]
    monkeypatch.setattr(F, "conv_transpose2d", lambda g, w, *rest: torch.conv_transpose2d(g, w.flip(2, 3), *rest))
    assert not same(gradients(lambda x: frozen_conv2d(x, conv.weight, None, 2, 1), x)[1][0], right)


def test_used_twice_the_gradients_add_up():
    conv, x = nn.Conv2d(3, 3, 3, padding=1).double().requires_grad_(False), draw(1, 3, 5, 5)
    assert same(*(gradients(lambda x, b, f=f: f(f(x, conv.weight, b, 1, 1), conv.weight, b, 1, 1), x, conv.bias)[1][1] for f in (frozen_conv2d, F.conv2d)))


def test_bytes_of_a_convolution():
    conv, x = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8)
    conv.weight.requires_grad_(False)
    assert saved_by_model(conv, x.clone().requires_grad_()).bytes == x.numel() * 4      # stock keeps the input of a frozen convolution
    assert saved_by_model(FrozenConv2d(conv), x.clone().requires_grad_()).bytes == 0


@pytest.mark.parametrize("shape", [(1,), (7,), (8,), (2, 3, 5, 5), (0,)])
@pytest.mark.parametrize("top", [None, 6.0])
def test_a_packed_relu_equals_the_stock_one(shape, top):
    x = draw(*shape) * 8
    x.flatten()[:3] = torch.tensor([0.0, 6.0, -0.0], dtype=torch.float64)[:x.numel()]
    (y, (g,)), (y0, (g0,)) = gradients(lambda x: packed_relu(x, top), x), gradients(F.relu if top is None else F.relu6, x)
    assert torch.equal(y, y0) and torch.equal(g, g0)
    assert saved_bytes(lambda: packed_relu(x.float().requires_grad_(), top)).bytes == mask_bytes(x.numel()) == -(-x.numel() // 8)


def test_a_mask_in_another_memory_order_would_be_seen():
    x = draw(2, 3, 4, 5)
    want = gradients(F.relu, x)[1][0]
    assert torch.equal(gradients(lambda x: packed_relu(x.contiguous(memory_format=torch.channels_last)), x)[1][0], want)
    scrambled = want.permute(0, 2, 3, 1).reshape(want.shape)
    assert not torch.equal(scrambled, want)


@pytest.mark.parametrize("make", [lambda x: x.transpose(2, 3), lambda x: x[:, :, ::2], lambda x: x.expand(4, -1, -1, -1)[:2]])
def test_a_packed_relu_takes_views_with_gaps(make):
    x = draw(1, 3, 6, 6)
    assert torch.equal(*(gradients(lambda x, f=f: f(make(x)), x)[1][0] for f in (packed_relu, F.relu)))


def test_nothing_is_kept_where_no_gradient_passes():
    x = torch.randn(2, 3, 4, 4)
    assert saved_bytes(lambda: packed_relu(x)).bytes == 0
    assert saved_by_model(PackedReLU6(), x).bytes == 0 and PackedReLU().top is None


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_frozen_norm_equals_batch_norm_in_eval_mode(layout):
    norm = nn.BatchNorm2d(3).double()
    norm(draw(8, 3, 4, 4) * 2 + 1)
    norm.eval().weight.data.copy_(draw(3))
    norm.weight.requires_grad_(False)
    x = draw(2, 3, 4, 4).contiguous(memory_format=layout)
    frozen = FrozenNorm2d(norm)
    (y, (g,)), (y0, (g0,)) = gradients(frozen, x), gradients(norm, x)
    assert torch.equal(y, y0) and same(g, g0)
    frozen.bias.grad = None
    frozen.train()(x).sum().backward()
    assert frozen.bias.grad.tolist() == [32.0] * 3 and saved_by_model(frozen, x.requires_grad_()).bytes == 0
    assert saved_by_model(norm, x).bytes == x.numel() * 8
    assert norm.load_state_dict(frozen.state_dict())


@pytest.mark.parametrize("size", [(4, 4), (5, 3), (1, 1), (2, 7)])
def test_mean_pool_by_windows(size):
    x = draw(2, 3, *size)
    y, (g,) = gradients(MeanPool2d(2), x)
    h, w = -(-size[0] // 2), -(-size[1] // 2)
    slow = torch.stack([x[:, :, 2 * i:2 * i + 2, 2 * j:2 * j + 2].mean((2, 3)) for i in range(h) for j in range(w)], -1).reshape(2, 3, h, w)
    assert same(y, slow)
    assert same(g, gradients(lambda x: F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False), x)[1][0])
    assert saved_by_model(MeanPool2d(2), x.float().requires_grad_()).bytes == 0


def test_what_cannot_be_frozen_is_said():
    with pytest.raises(TinylibError, match="padding"):
        FrozenConv2d(nn.Conv2d(1, 1, 3, padding="same"))
    with pytest.raises(TinylibError, match="running statistics"):
        FrozenNorm2d(nn.BatchNorm2d(3, track_running_stats=False))
