"""From a PyTorch network to the integer graph: every operator close to its float twin, and clear words for what cannot be done."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.quantize import convert
from tinylib.quantize.convert import accuracy, add_multipliers, multiplier_and_shift, quantise_input, quantize_model
from tinylib.quantize.integer import run, trace
from tinylib.quantize.trace import fold_model, run_float
from tinylib.quantize.trace import trace as trace_layers


def draw(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 0.7


class Everything(nn.Module):
    """Every operator: asymmetric padding, strides, dilation, depth-wise, residual, concat, both pools, standalone norm and ReLU."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 2, 1))
        self.stem = nn.Conv2d(2, 6, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.wide = nn.Conv2d(6, 6, 5, padding="same", groups=6, bias=False)
        self.wide_norm = nn.BatchNorm2d(6)
        self.holes = nn.Conv2d(6, 6, (3, 1), padding=(2, 0), dilation=(2, 1))
        self.late_norm = nn.BatchNorm2d(12)
        self.narrow = nn.Conv2d(12, 5, 1)
        self.classifier = nn.Linear(5 * 5 * 3, 7)

    def forward(self, x):
        x = F.relu6(self.norm(self.stem(self.pad(x))))
        y = x + self.wide_norm(self.wide(x))
        z = F.relu(y) + self.holes(y)
        x = self.late_norm(torch.cat([z, x], 1))
        x = F.max_pool2d(F.relu(x), 3, stride=2, padding=1)
        x = F.avg_pool2d(self.narrow(x), 2, stride=1, padding=1)
        return self.classifier(F.dropout(x.flatten(1), 0.5, self.training))


def settled(model, seed):
    """Weights and norms away from their start, so that nothing is trivially right."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.3 if parameter.dim() > 1 else 0.2))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(torch.randn(module.num_features, generator=generator) * 0.3)
                module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
                module.weight.add_(1)
    return model.eval()


@pytest.fixture(scope="module")
def network():
    return settled(Everything(), 0), draw(1, 40, 2, 12, 9)


def real(op, values, graph, layer):
    """Float64 output of one operator from its integer inputs, with real weights as the integers stand for."""
    xs = []
    for name in op.inputs:
        q = torch.from_numpy(values[name].astype(np.float64))
        r = graph.tensors[name].scale * (q - graph.tensors[name].zero_point)
        xs.append(r.permute(0, 3, 1, 2) if r.dim() == 4 else r)
    x, y = xs[0], graph.tensors[op.output]
    top, left, bottom, right = op.pad
    if op.kind in ("conv", "depthwise", "linear"):
        scale = y.scale * op.multiplier / 2.0**op.shift / graph.tensors[op.inputs[0]].scale
        bias = torch.from_numpy(op.bias * scale * graph.tensors[op.inputs[0]].scale)
        weight = torch.from_numpy(op.weight * scale.reshape(-1, *[1] * (op.weight.ndim - 1)))
    if op.kind == "conv":
        out = F.conv2d(F.pad(x, (left, right, top, bottom)), weight.permute(0, 3, 1, 2), bias, op.stride, 0, op.dilation)
    elif op.kind == "depthwise":
        out = F.conv2d(F.pad(x, (left, right, top, bottom)), weight[:, None], bias, op.stride, 0, op.dilation, x.shape[1])
    elif op.kind == "linear":
        out = x @ weight.T + bias
    elif op.kind == "avgpool":
        out = F.avg_pool2d(F.pad(x, (left, right, top, bottom)), op.kernel, op.stride)
    elif op.kind == "maxpool":
        out = F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-1e9), op.kernel, op.stride)
    elif op.kind == "add":
        out = xs[0] + xs[1]
    elif op.kind == "concat":
        out = torch.cat(xs, 1)
    elif op.kind == "flatten":
        return torch.from_numpy(values[op.inputs[0]]).reshape(len(x), -1).numpy()
    out = out.clamp(*layer.limits).permute(0, 2, 3, 1) if out.dim() == 4 else out.clamp(*layer.limits)
    return (out / y.scale + y.zero_point).clamp(-128, 127).numpy()


def test_every_operator_is_its_float_twin_within_half_a_step(network):
    model, x = network
    graph, layers = quantize_model(model, x), trace_layers(model, x).layers
    values = trace(graph, quantise_input(graph, x))
    assert {op.kind for op in graph.ops} == {"conv", "depthwise", "linear", "avgpool", "maxpool", "add", "concat", "flatten"}
    for op, layer in zip(graph.ops, layers):
        expected = real(op, values, graph, layer)
        limit = 1.01 if layer.limits[1] < 1e9 else 0.501        # the high limit of ReLU6 is itself rounded
        assert np.abs(values[op.output] - expected).max() <= limit, op.name


def test_weights_are_within_half_a_step_of_the_folded_floats(network):
    model, x = network
    graph = quantize_model(model, x)
    for op, layer in zip(graph.ops, trace_layers(model, x).layers):
        if op.kind == "conv":
            scale = graph.tensors[op.output].scale * op.multiplier / 2.0**op.shift / graph.tensors[op.inputs[0]].scale
            got = (op.weight * scale[:, None, None, None]).transpose(0, 3, 1, 2)
            assert (np.abs(got - layer.weight.numpy()) <= 0.501 * scale[:, None, None, None]).all()
            assert np.abs(op.bias * graph.tensors[op.inputs[0]].scale * scale - layer.bias.numpy()).max() < 1e-3


def test_the_traced_layers_are_the_network(network):
    model, x = network
    found = trace_layers(model, x)
    with torch.no_grad():
        assert torch.allclose(run_float(found, x)[found.output], model(x), atol=1e-5)       # 1e-5: float32 sums in another order
        assert torch.allclose(fold_model(model, x)(x), model(x), atol=1e-5)


def test_whole_network_is_close(network):
    model, x = network
    graph = quantize_model(model, x)
    tensor = graph.tensors[graph.output]
    with torch.no_grad():
        error = tensor.scale * (run(graph, quantise_input(graph, x)).astype(float) - tensor.zero_point) - model(x).numpy()
        assert np.abs(error).max() < 0.1 * model(x).std()


@pytest.mark.parametrize("plant", ["columns stay CHW", "no fused activation", "count forgotten"])
def test_planted_bugs_are_seen(plant, network, monkeypatch):
    if plant == "columns stay CHW":
        monkeypatch.setattr(convert, "picture_behind", lambda found, tensor: None)
        with pytest.raises(AssertionError):
            test_whole_network_is_close(network)
        return
    if plant == "no fused activation":
        monkeypatch.setattr(convert, "_clamp", lambda layer, output: (-128, 127))
        monkeypatch.setattr(convert, "activation_range", lambda v, bits, method: (-3.0, 3.0))
    else:
        monkeypatch.setattr(convert.math, "prod", lambda kernel: 1)
    with pytest.raises(AssertionError):
        test_every_operator_is_its_float_twin_within_half_a_step(network)


@given(st.floats(1e-9, 1e6))
def test_multiplier_and_shift_are_near(value):
    m, s = multiplier_and_shift(value)
    assert 2**30 <= m < 2**31 and 1 <= s <= 62
    assert abs(m / 2.0**s / value - 1) <= 2.0**-30


@given(st.floats(1e-3, 500), st.floats(1e-3, 500))
def test_add_multipliers_fit_in_32_bits(a, b):
    (m_a, m_b), s = add_multipliers((a, b))
    assert 256 * (m_a + m_b) + 2 ** (s - 1) < 2**31
    assert abs(m_a / 2**s - a) <= max(a, b) * 2.0**-19 and abs(m_b / 2**s - b) <= max(a, b) * 2.0**-19


def test_extreme_scales():
    assert multiplier_and_shift(0.0) == (0, 1)
    assert multiplier_and_shift(1 - 2.0**-40) == (2**30, 30)
    assert multiplier_and_shift(2.0**-40) == (2**22, 62)
    with pytest.raises(TinylibError, match="too large"):
        multiplier_and_shift(2.0**31)


def test_silent_and_weak_channels_keep_their_bias():
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU()).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([0.0, 1.0, 1e-12]).reshape(3, 1, 1, 1))
        model[0].bias.copy_(torch.tensor([0.5, 0.0, 0.25]))
    x = torch.linspace(0, 1, 16).reshape(1, 1, 4, 4)
    graph = quantize_model(model, x)
    tensor = graph.tensors[graph.output]
    y = tensor.scale * (run(graph, quantise_input(graph, x)).astype(float) - tensor.zero_point)
    assert np.allclose(y[..., 0], 0.5, atol=tensor.scale) and np.allclose(y[..., 2], 0.25, atol=tensor.scale)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weight_bits_by_name(network, bits):
    model, x = network
    graph = quantize_model(model, x, weight_bits={"stem": bits})
    weights = {op.name: op.weight for op in graph.ops if op.weight is not None}
    assert np.abs(weights["stem"]).max() == 2 ** (bits - 1) - 1
    assert np.abs(weights["narrow"]).max() == 127


@pytest.mark.parametrize("head", ["argmax", "softmax"])
def test_heads_agree_with_the_logits(network, head):
    model, x = network
    logits = run(quantize_model(model, x), quantise_input(quantize_model(model, x), x))
    graph = quantize_model(model, x, head=head)
    labels = torch.from_numpy(logits.argmax(1))
    assert accuracy(graph, x, labels) == 1.0


class Odd(nn.Module):
    def __init__(self, forward, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.call = forward

    def forward(self, x):
        return self.call(self, x)


@pytest.mark.parametrize("forward, modules, words", [
    (lambda s, x: torch.sigmoid(s.first(x)), {"first": nn.Conv2d(2, 4, 3)}, "sigmoid"),
    (lambda s, x: s.act(s.first(x)), {"first": nn.Conv2d(2, 4, 3), "act": nn.SiLU()}, "silu in act"),
    (lambda s, x: s.odd(x), {"odd": nn.Conv2d(2, 4, 3, groups=2)}, "in odd .*groups=2"),
    (lambda s, x: s.first(x) * s.first(x), {"first": nn.Conv2d(2, 4, 3)}, "mul"),
    (lambda s, x: F.max_pool2d(x, 2, ceil_mode=True), {}, "ceil_mode"),
    (lambda s, x: s.first(x) + 1.0, {"first": nn.Conv2d(2, 4, 3)}, "adding a constant"),
    (lambda s, x: F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 2), {}, "zero padding"),
    (lambda s, x: s.first(x).permute(0, 2, 3, 1), {"first": nn.Conv2d(2, 4, 3)}, "permute"),
    (lambda s, x: s.head(x), {"head": nn.Linear(9, 4)}, "in head .*flatten it first"),
])
def test_what_cannot_be_quantized_is_named(forward, modules, words):
    with pytest.raises(TinylibError, match=words):
        quantize_model(Odd(forward, **modules).eval(), draw(0, 4, 2, 12, 9))


def test_the_network_is_left_as_it_was():
    model = settled(Everything(), 3).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    quantize_model(model, draw(1, 8, 2, 12, 9))
    assert model.training and all(torch.equal(before[k], v) for k, v in model.state_dict().items())
