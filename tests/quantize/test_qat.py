"""Training through the rounding, and from the trained network to the integer graph; counts of bytes and bits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylib.quantize import qat
from tinylib.quantize.convert import quantise_input, quantize_model
from tinylib.quantize.cost import bit_operations, graph_bytes, layer_costs, op_macs, scale_bytes, weight_bytes
from tinylib.quantize.integer import run
from tinylib.quantize.linear import affine, round_trip, symmetric
from tinylib.quantize.qat import finish, prepare, straight_through
from tinylib.quantize.trace import fold_model


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU6(),
                              nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    model[1].running_mean.copy_(draw(1, 6) * 0.1)
    model[1].running_var.copy_(draw(2, 6).abs() + 0.5)
    return model.eval()


def gradient(function):
    """Gradient on values inside, at the ends and outside of the grid."""
    grid = affine(-1.0, 2.0, 4)
    x = torch.tensor([-5.0, -1.0, -0.3, 0.0, 0.55, 1.99, 9.0], requires_grad=True)
    function(x, grid).mul(torch.arange(1.0, 8.0)).sum().backward()
    return x.grad.tolist()


def test_forward_is_the_grid_and_backward_is_the_mask():
    x = draw(0, 200) * 2
    assert torch.allclose(straight_through(x, symmetric(1.5, 4)), round_trip(x, symmetric(1.5, 4)), atol=1e-6)
    assert gradient(straight_through) == [0, 2, 3, 4, 5, 6, 0]


def test_a_gradient_of_zero_or_without_mask_is_seen():
    assert gradient(lambda x, g: x + (round_trip(x, g) - x).detach()) != [0, 2, 3, 4, 5, 6, 0]
    assert gradient(lambda x, g: torch.floor(x / g.scale.float() + 0.5) * g.scale.float()) != [0, 2, 3, 4, 5, 6, 0]


def test_no_bits_is_the_folded_network():
    model, x = network(), draw(3, 8, 1, 9, 9)
    assert torch.equal(prepare(model, x, weight_bits=None, activation_bits=None)(x), fold_model(model, x)(x))


def test_bits_go_to_the_layers_named():
    model, x = network(), draw(3, 8, 1, 9, 9)
    prepared = prepare(model, x, weight_bits={"0": 3, "7": 2}, activation_bits={"3": 4}, per_channel=False)
    assert len(prepared[0].weight.unique()) <= 7 and len(prepared[7].weight.unique()) <= 3 and len(prepared[3].weight.unique()) > 30
    assert hasattr(prepared[3], "rounded_input") and not hasattr(prepared[0], "rounded_input")


def test_training_lowers_the_loss_and_finish_keeps_the_function():
    model, x = network(), draw(3, 64, 1, 9, 9)
    y = (x.mean((1, 2, 3)) > 0).long() + 2 * (x.std((1, 2, 3)) > 1).long()
    prepared = prepare(model, x, weight_bits=3, activation_bits=None).train()
    optimiser = torch.optim.Adam(prepared.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(prepared(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    plain = finish(prepared)
    assert set(plain.state_dict()) == {"0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias"}
    assert torch.equal(plain(x), prepared.eval()(x))


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_the_integer_graph_carries_the_trained_integers(bits):
    model, x = network(), draw(3, 64, 1, 9, 9)
    plain = finish(prepare(model, x, weight_bits=bits))
    graph = quantize_model(plain, x, weight_bits=bits)
    tensor = graph.tensors[graph.output]
    real = tensor.scale * (run(graph, quantise_input(graph, x)).astype(float) - tensor.zero_point)
    assert np.abs(real - plain(x).detach().numpy()).max() < 4 * tensor.scale      # only activations are rounded anew


def test_rounded_inputs_are_rounded():
    model, x = network(), draw(3, 16, 1, 9, 9)
    prepared = prepare(model, x, activation_bits=2)
    seen = []
    prepared[3].register_forward_pre_hook(lambda m, a: seen.append(a[0]))
    prepared(x)
    assert len(seen[0].unique()) <= 4


def test_counts_are_exact():
    model, x = network(), draw(3, 2, 1, 9, 9)
    costs = layer_costs(model, x)
    assert [(c.name, c.weights, c.biases, c.macs) for c in costs] == [("0", 54, 6, 54 * 81), ("3", 54, 6, 54 * 49), ("7", 24, 4, 24)]
    assert weight_bytes(costs, 8) == 132 and weight_bytes(costs, {"0": 3, "7": 4}) == 21 + 54 + 12
    assert bit_operations(costs, {"0": 4}, 8) == 54 * 81 * 32 + 54 * 49 * 64 + 24 * 64
    assert scale_bytes(costs) == 64 and scale_bytes(costs, per_channel=False) == 12
    graph = quantize_model(model, x)
    assert sum(op_macs(op, graph) for op in graph.ops) == sum(c.macs for c in costs)
    assert graph_bytes(graph) == 132 + 16 * 9 + 5


def test_a_planted_bug_in_the_straight_through_gradient_is_seen(monkeypatch):
    monkeypatch.setattr(qat.StraightThrough, "backward", staticmethod(lambda ctx, g: (g, None, None, None, None)))
    assert gradient(straight_through) != [0, 2, 3, 4, 5, 6, 0]
