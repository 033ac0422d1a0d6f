"""The six methods by name; lite residuals start as nothing; lean networks compute the same and keep what the rule says."""

import dataclasses

import pytest
import torch
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.saved import saved_by_model
from tinylib.nn.fit import fit
from tinylib.nn.models import build
from tinylib.train import memory
from tinylib.train.memory import layers_as_dicts, saved_by_rule, trace_layers, training_memory
from tinylib.train.tinytl import (
    METHODS,
    LiteResidual,
    add_lite,
    drop_lite,
    expected_names,
    hold_statistics,
    lean,
    lite_garment_net,
    set_method,
    trainable_names,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=2, c=3, side=16, seed=1):
    return torch.randn(n, c, side, side, generator=seeded(seed))


def garment():
    model = build("garment_net", generator=seeded(), c_in=3, stages=((3, 16, 1, 1), (4, 24, 2, 2)), head=32)
    for p in model.parameters():        # no scale of exactly one, no bias of exactly zero
        p.data += 0.05 * torch.randn(p.shape, generator=seeded(p.numel()))
    return model


def with_lite():
    model = add_lite(garment(), images(), seeded(3))
    for module in model.modules():
        if isinstance(module, LiteResidual):
            nn.init.normal_(module.scale.weight, generator=seeded(4))
    return model


class Other(nn.Module):
    """Not ours: ReLU, biased convolutions, no norm, a SiLU at the end."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.SiLU())
        self.pool, self.flat, self.top = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)

    def forward(self, x):
        y = self.body[1](self.body[0](x))
        return self.top(self.flat(self.pool(y + self.body[2:](y))))


def test_lite_residuals_change_nothing_at_first():
    plain, x = garment().eval(), images()
    assert torch.equal(add_lite(plain, x, seeded())(x), plain(x))
    assert not torch.equal(with_lite().eval()(x), plain(x))         # a branch whose scale is not zero would be seen
    assert torch.equal(drop_lite(with_lite().eval())(x), plain(x))


MAPS = [((8, 8), 1, (8, 8)), ((7, 5), 1, (7, 5)), ((7, 7), 2, (4, 4)), ((1, 1), 1, (1, 1)), ((2, 2), 2, (1, 1)), ((3, 3), 1, (3, 3))]


@pytest.mark.parametrize(("size", "stride", "out"), MAPS)
def test_lite_residuals_take_odd_and_tiny_maps(size, stride, out):
    lite = LiteResidual(16, 24, size, stride=stride)
    assert lite(torch.randn(2, 16, *size), out).shape == (2, 24, *out)
    assert lite.conv.kernel_size[0] % 2 == 1 and lite.conv.kernel_size[0] <= max(1, -(-min(size) // 2))


def by_hand(model, method):
    """The expected parameter names, written out from the text."""
    names = {"classifier.weight", "classifier.bias"}
    lite = {n for n, _ in model.named_parameters() if ".lite." in n}
    norm_of = {"bn+last": (".bn.weight", ".bn.bias"), "bias": (".bn.bias",), "lite+bias": (".bn.bias",)}
    names |= {n for n, _ in model.named_parameters() if n.endswith(norm_of.get(method, ("-",)))} - lite
    names |= lite if "lite" in method else set()
    return {n for n, _ in model.named_parameters()} if method == "full" else names


@pytest.mark.parametrize("method", METHODS)
def test_each_method_trains_its_parameters_and_no_others(method):
    model = set_method(with_lite(), method)
    assert trainable_names(model) == expected_names(model, method) == by_hand(model, method)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    stored = [b.clone() for b in model.buffers()]
    fit(model, [(images(4), torch.tensor([0, 1, 2, 3]))] * 2, epochs=1, lr=0.1, generator=seeded())
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == by_hand(model, method)
    assert all(torch.equal(a, b) for a, b in zip(stored, model.buffers(), strict=True))     # no statistics move


def test_the_known_slip_of_training_every_bias_is_not_ours():
    model = set_method(with_lite(), "bias")
    assert not any(".lite." in n for n in trainable_names(model)) and any(".lite." in n and n.endswith("bias") for n, _ in model.named_parameters())


def gradients(model, x):
    model.train()(x).square().sum().backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [garment, with_lite])
def test_a_lean_network_computes_the_same_and_keeps_what_the_rule_says(method, make):
    if make is garment and "lite" in method:
        return
    stock = set_method(make(), method)
    slim, x = lean(stock), images()
    assert torch.allclose(stock.train()(x), slim.train()(x), atol=1e-5)
    theirs, ours = gradients(stock, x), gradients(slim, x)
    assert theirs.keys() == ours.keys()
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-5 * theirs[name].abs().max().item() + 1e-6), name
    layers = trace_layers(slim, x)
    assert saved_by_model(slim, x).bytes == sum(saved_by_rule(layers).values())
    assert saved_by_model(slim, x).bytes <= saved_by_model(stock, x).bytes
    assert stock.load_state_dict(slim.state_dict())


@pytest.mark.parametrize("method", ["full", "last", "bias"])
def test_other_networks_too(method):
    stock = set_method(Other(), method)
    slim, x = lean(stock), images(side=9)
    theirs, ours = gradients(stock, x), gradients(slim, x)
    assert all(torch.allclose(ours[n], theirs[n], atol=1e-4) for n in theirs)
    assert saved_by_model(slim, x).bytes == sum(saved_by_rule(trace_layers(slim, x)).values())


def test_memory_grows_from_last_to_full():
    x = images(8, side=32)
    kept = {}
    for method in METHODS:
        model = lite_garment_net(c_in=3)
        kept[method] = saved_by_model(lean(set_method(model if "lite" in method else drop_lite(model), method)).train(), x).bytes
    assert kept["last"] < kept["bias"] < kept["lite+bias"] < kept["bn+last"] < kept["full"] and kept["full"] >= 4 * kept["lite+bias"]


def test_stock_layers_save_almost_nothing():
    model, x = drop_lite(lite_garment_net(c_in=3)), images(8, side=32)
    full, bias = (saved_by_model(set_method(model, m).train(), x).bytes for m in ("full", "bias"))
    assert full < 1.2 * bias


@pytest.mark.parametrize("change", [{"size_out": 1}, {"kind": "relu"}, {"inputs": ("other",)}])
def test_a_wrong_rule_or_trace_would_be_seen(change):
    slim, x = lean(set_method(with_lite(), "lite+bias")).train(), images()
    layers = trace_layers(slim, x)
    index = next(i for i, layer in enumerate(layers) if layer.kind == "packed relu" and saved_by_rule(layers)[layer.name])
    broken = [dataclasses.replace(layer, **change) if i == index else layer for i, layer in enumerate(layers)]
    assert sum(saved_by_rule(broken).values()) != saved_by_model(slim, x).bytes


def test_a_tensor_kept_twice_counts_once(monkeypatch):
    fork = nn.ModuleList([nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)])

    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = fork

        def forward(self, x):
            return self.a(x) + self.b(x)

    model, x = Fork(), images()
    assert sum(saved_by_rule(trace_layers(model, x)).values()) == saved_by_model(model, x).bytes == x.numel() * 4


def test_group_norm_keeps_its_input_even_when_frozen():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8))
    model[0].weight.requires_grad_(False)
    model[1].requires_grad_(False)
    slim, x = lean(model), images()
    assert saved_by_model(slim, x).bytes == sum(saved_by_rule(trace_layers(slim, x)).values()) == 2 * 8 * 256 * 4 + 2 * 2 * 8


def test_parts_of_the_memory():
    model = set_method(drop_lite(lite_garment_net(c_in=3)), "last")
    parts = training_memory(model, 100)
    assert parts.gradients == parts.momentum == 970 * 4 and parts.total == parts.weights + 2 * 3880 + 100
    assert training_memory(lean(model), 100).weights == parts.weights == 4 * sum(p.numel() for p in model.parameters())


def test_bad_input_says_what_to_do():
    with pytest.raises(TinylibError, match="lite\\+bias"):
        set_method(garment(), "lora")
    with pytest.raises(TinylibError, match="add_lite"):
        set_method(garment(), "lite")
    with pytest.raises(TinylibError, match="names"):
        add_lite(Other(), images(), seeded())
    with pytest.raises(TinylibError, match="Hardswish"):
        trace_layers(nn.Sequential(nn.Hardswish()), images())
    assert add_lite(Other(), images(), seeded(), names=["body.2"]).body[2].lite is not None


def test_held_statistics_stay_in_train_mode():
    model = garment()
    hold_statistics(model)
    assert torch.equal(model.train()(images())[:1], model(images()[:1])) or torch.allclose(model(images())[:1], model(images()[:1]), atol=1e-5)


def test_layers_travel_as_plain_data():
    plain = layers_as_dicts(trace_layers(lean(set_method(garment(), "bias")), images()))
    assert [memory.Layer(**(layer | {"inputs": tuple(layer["inputs"])})) for layer in plain] == trace_layers(lean(set_method(garment(), "bias")), images())
