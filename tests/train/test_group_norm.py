"""Weight standardisation by closed forms and stock autograd; group norm in place of batch norm trains at a batch of one, picture by picture."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.saved import saved_by_model
from tinylib.nn.models import build
from tinylib.train import group_norm as module
from tinylib.train.group_norm import FrozenStandardConv2d, StandardConv2d, standardise, standardise_gradient, with_group_norm
from tinylib.train.memory import saved_by_rule, trace_layers, training_memory
from tinylib.train.tinytl import METHODS, LiteResidual, add_lite, drop_lite, lean, set_method

CONVS = [  # c_in, c_out, kernel, stride, padding, dilation, groups, bias
    (3, 4, 1, 1, 0, 1, 1, True), (4, 6, 3, 2, 1, 1, 2, False), (4, 4, 5, 3, 2, 1, 4, True), (2, 2, 3, 1, 2, 2, 1, False),
    (4, 8, (3, 1), (1, 2), (1, 0), 1, 4, True)]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stock(conv, x, eps=module.EPS):
    """The layer by plain torch operations, filter by filter."""
    filters = [(f - f.mean()) / ((f - f.mean()).square().sum() / f.numel() + eps).sqrt() for f in conv.weight]
    return F.conv2d(x, torch.stack(filters), conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)


def gradients(forward, x, conv):
    x = x.clone().requires_grad_()
    y = forward(x)
    return [y.detach(), *torch.autograd.grad(y, [x, *conv.parameters()], draw(*y.shape, seed=9))]


def layer(case):
    c_in, c_out, kernel, stride, padding, dilation, groups, bias = case
    return nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias).double()


def agrees(case, size=(7, 6)):
    conv, x = layer(case), draw(2, case[0], *size)
    pairs = zip(gradients(StandardConv2d(conv), x, conv), gradients(lambda x: stock(conv, x), x, conv), strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=1e-12 * max(1, b.abs().max().item())) for a, b in pairs)


@pytest.mark.parametrize("case", CONVS)
@pytest.mark.parametrize("size", [(7, 6), (5, 5)])
def test_outputs_and_all_gradients_are_those_of_stock_autograd(case, size):
    assert agrees(case, size)


def test_a_filter_has_mean_zero_and_the_stated_variance():
    weight = 0.3 * draw(5, 4, 3, 3) + 2
    s, v = standardise(weight, 1e-2), weight.var((1, 2, 3), correction=0)
    assert s.mean((1, 2, 3)).abs().max() < 1e-12 and torch.allclose(s.var((1, 2, 3), correction=0), v / (v + 1e-2), rtol=1e-12)
    assert torch.allclose(standardise(7 * weight - 3, 49e-2), s, rtol=0, atol=1e-12)        # scale and shift of a filter do not matter
    g = standardise_gradient(draw(5, 4, 3, 3, seed=1), weight, 0.0)         # so the gradient stands on both
    assert g.sum((1, 2, 3)).abs().max() < 1e-11 and (g * weight).sum((1, 2, 3)).abs().max() < 1e-11


def test_two_weights_by_hand():
    assert torch.equal(standardise(torch.tensor([1.0, 5.0]).reshape(1, 2, 1, 1), 0.0).flatten(), torch.tensor([-1.0, 1.0]))


BUGS = {"deviation of a sample": ("filter_statistics", lambda w, eps: (w.mean((1, 2, 3), keepdim=True), (w.var((1, 2, 3), keepdim=True) + eps).sqrt())),
        "mean over the layer": ("filter_statistics", lambda w, eps: (w.mean(), (w.var((1, 2, 3), keepdim=True, correction=0) + eps).sqrt())),
        "gradient passed straight": ("standardise_gradient", lambda g, w, eps: g),
        "gradient of the scale forgotten": (
            "standardise_gradient", lambda g, w, eps: (g - g.mean((1, 2, 3), keepdim=True)) / module.filter_statistics(w, eps)[1]),
        "raw weight on the way back": ("input_gradient", None)}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_seen(monkeypatch, bug):
    name, broken = BUGS[bug]
    right = getattr(module, name)
    monkeypatch.setattr(module, name, broken or (lambda grad, weight, *rest: right(grad, weight + 0.1, *rest)))
    assert not agrees(CONVS[1])


@pytest.mark.parametrize("case", CONVS)
def test_the_frozen_layer_computes_the_same_and_keeps_nothing(case):
    conv = StandardConv2d(layer(case).float())
    x = draw(2, case[0], 7, 6).float().requires_grad_()
    assert saved_by_model(conv, x).bytes == x.numel() * 4
    conv.weight.requires_grad_(False)
    frozen = FrozenStandardConv2d(conv)
    assert torch.equal(frozen(x), conv(x)) and saved_by_model(conv, x).bytes == saved_by_model(frozen, x).bytes == 0
    grads = [torch.autograd.grad(f(x).square().sum(), x)[0] for f in (conv, frozen)]
    assert torch.equal(*grads)


def test_state_dicts_hold_the_raw_weight():
    conv = StandardConv2d(layer(CONVS[1]))
    conv.weight.requires_grad_(False)
    frozen, raw = FrozenStandardConv2d(conv), conv.weight.detach().clone()
    assert torch.allclose(frozen.state_dict()["weight"], raw, rtol=0, atol=1e-14) and not torch.allclose(frozen.weight, raw)
    frozen.load_state_dict({"weight": 2 * raw + 1})
    assert torch.allclose(frozen.weight, standardise(2 * raw + 1), rtol=0, atol=1e-14)


def garment(dtype=torch.float64):
    model = build("garment_net", generator=torch.Generator().manual_seed(0), c_in=3, stages=((3, 16, 1, 1), (4, 24, 2, 2)), head=32)
    for p in model.parameters():
        p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return model.to(dtype)


def weight_gradients(model, x, labels):
    model.train().zero_grad()
    F.cross_entropy(model(x), labels).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def distance_one_by_one(model, x, labels):
    """Largest difference between the gradient of a batch and the mean over its pictures alone, relative to the largest entry."""
    whole = weight_gradients(model, x, labels)
    alone = torch.stack([weight_gradients(model, x[i:i + 1], labels[i:i + 1]) for i in range(len(x))]).mean(0)
    return ((whole - alone).abs().max() / whole.abs().max()).item()


def test_a_batch_is_the_mean_of_its_pictures_and_for_batch_norm_it_is_not():
    x, labels = draw(4, 3, 16, 16, seed=1), torch.tensor([0, 1, 2, 3])
    assert distance_one_by_one(with_group_norm(garment()), x, labels) < 1e-12
    assert distance_one_by_one(garment(), x, labels) > 0.05


def test_one_step_at_a_batch_of_one():
    x, label = draw(1, 3, 4, 4, seed=1), torch.tensor([2])          # so small that the last maps have one pixel
    norm_of_one = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Flatten()).double()
    with pytest.raises(ValueError, match="more than 1 value"):
        norm_of_one.train()(x)
    for model in (with_group_norm(norm_of_one), with_group_norm(garment())):
        lr, before = 1e-6, F.cross_entropy(model.train()(x), label)
        before.backward()
        steepness = sum(p.grad.square().sum() for p in model.parameters())
        torch.optim.SGD(model.parameters(), lr=lr).step()
        fall = before - F.cross_entropy(model(x), label)
        assert steepness > 0 and fall.item() == pytest.approx(lr * steepness.item(), rel=0.05)        # what a small step down must bring


def test_group_norm_by_hand():
    x, norm = draw(2, 16, 3, 3), with_group_norm(nn.Sequential(nn.BatchNorm2d(16)).double())[0]
    groups = x.reshape(2, 2, 72)
    expected = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    assert norm.num_groups == 2 and torch.allclose(norm(x), expected.reshape(x.shape), rtol=0, atol=1e-12)


def test_what_the_conversion_replaces():
    model = garment()
    converted = with_group_norm(model)
    kinds = lambda net, *types: [n for n, m in net.named_modules() if type(m) in types]
    assert kinds(model, nn.BatchNorm2d) == kinds(converted, nn.GroupNorm) and kinds(model, nn.Conv2d) == kinds(converted, StandardConv2d)
    assert not kinds(converted, nn.BatchNorm2d, nn.Conv2d) and kinds(model, nn.BatchNorm2d)         # the original is untouched
    missing, extra = converted.load_state_dict(model.state_dict(), strict=False)
    assert not missing and all("running" in n or "tracked" in n for n in extra)
    for norm in (m for m in converted.modules() if isinstance(m, nn.GroupNorm)):
        assert norm.num_channels // norm.num_groups == (8 if norm.num_channels % 8 == 0 else norm.num_channels)
    bare = with_group_norm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, affine=False), nn.Conv2d(8, 2, 1)), 4)
    assert bare[1].num_groups == 2 and bare[1].weight is None and type(bare[2]) is nn.Conv2d         # no norm after it: stays


def test_a_shared_layer_stays_shared():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.again, self.norm_again = self.conv, self.norm

    converted = with_group_norm(Twice())
    assert type(converted.again) is StandardConv2d and converted.again.weight is converted.conv.weight
    assert type(converted.norm_again) is nn.GroupNorm and converted.norm_again.bias is converted.norm.bias


def test_what_cannot_be_converted_is_named():
    net = nn.Sequential(nn.Conv2d(4, 4, 1, groups=4), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.BatchNorm1d(3))
    with pytest.raises(TinylibError, match=r"4 \(a BatchNorm1d.*0 \(one weight a filter.*2 \(padding 'same'"):
        with_group_norm(net)
    with pytest.raises(TinylibError, match="convert before"):
        with_group_norm(lean(set_method(garment(), "bias")))
    with pytest.raises(TinylibError, match="at least one channel"):
        with_group_norm(garment(), 0)
    with pytest.raises(TinylibError, match="one weight a filter"):
        StandardConv2d(nn.Conv2d(4, 4, 1, groups=4))


def with_lite():
    x = torch.zeros(1, 3, 16, 16)
    model = add_lite(with_group_norm(garment(torch.float32)), x, torch.Generator().manual_seed(3))
    for lite in (m for m in model.modules() if isinstance(m, LiteResidual)):
        nn.init.normal_(lite.scale.weight, generator=torch.Generator().manual_seed(4))
    return model


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2])
def test_rule_and_meter_agree_to_the_byte(method, n):
    x, base = draw(n, 3, 16, 16, seed=1).float(), with_lite()
    thick = set_method(base if "lite" in method else drop_lite(base), method).train()
    slim = lean(thick)
    assert torch.allclose(slim(x), thick(x), atol=1e-5)
    kept = saved_by_model(slim, x).bytes
    assert kept == sum(saved_by_rule(trace_layers(slim, x)).values()) <= saved_by_model(thick, x).bytes
    assert training_memory(slim, kept) == training_memory(thick, kept)
    again = copy.deepcopy(thick)
    again.load_state_dict(slim.state_dict())
    assert torch.allclose(again(x), thick(x), atol=1e-5)


def test_a_convolution_that_keeps_too_much_would_be_seen():
    class Careless(StandardConv2d):
        def forward(self, x):
            return F.conv2d(x, standardise(self.weight, self.eps), self.bias, self.stride, self.padding, self.dilation, self.groups)

    conv, x = Careless(nn.Conv2d(3, 8, 3)), draw(1, 3, 9, 9).float()
    assert saved_by_model(conv, x).bytes > sum(saved_by_rule(trace_layers(conv, x)).values())
