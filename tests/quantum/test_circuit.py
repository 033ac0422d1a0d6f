"""Circuits, their slots and gradients: autograd against parameter shift of single slots and against finite differences."""

import math

import pytest
import torch
from circuits import inputs, random_circuit, rng

from tinylib.core.errors import TinylibError
from tinylib.quantum.circuit import Circuit, encoder, feature, op, ring, run, run_angles, run_density, stack, weight
from tinylib.quantum.gates import GATES, gate, matrix
from tinylib.quantum.layer import QuantumLayer
from tinylib.quantum.readout import expect_z, probabilities, probabilities_density


def test_every_gate_is_unitary_and_flags_tell_the_truth():
    for name, g in GATES.items():
        u = matrix(name, *[0.3 + 0.5 * i for i in range(g.n_angles)])
        torch.testing.assert_close(u @ u.mH, torch.eye(2**g.n_wires, dtype=u.dtype), atol=1e-14, rtol=0)
        assert g.diagonal == bool((u - torch.diag(u.diagonal())).abs().max() == 0), name
        assert len(g.shifts) == g.n_angles


def test_slots_are_linear_in_weights_and_features():
    circuit = Circuit(2, (op("ry", 0, angles=[weight(1, 2.0, 0.5)]), op("crx", 0, 1, angles=[feature(0, -1.0)]), op("rz", 1, angles=[0.25])))
    slots = circuit.angles(torch.tensor([9.0, 3.0]), torch.tensor([[4.0], [5.0]]))
    assert slots.tolist() == [[6.5, -4.0, 0.25], [6.5, -5.0, 0.25]]
    assert circuit.angles(torch.tensor([[0.0, 1.0], [0.0, 2.0]]), torch.tensor([[4.0]])).tolist() == [[2.5, -4.0, 0.25], [4.5, -4.0, 0.25]]


def test_gradient_equals_finite_differences():
    for seed in range(6):
        g = rng(seed)
        circuit = random_circuit(g, 1 + seed % 4, 12)
        weights, features = inputs(circuit, g, 2)
        assert torch.autograd.gradcheck(lambda w, f, c=circuit: expect_z(run(c, w, f)), (weights, features), eps=1e-6, atol=1e-7)


def shifted_derivative(f, angle, terms):
    """Exact derivative of f at the angle from 2 or 4 values."""
    half = math.pi / 2
    two = (f(angle + half) - f(angle - half)) / 2
    if terms == 2:
        return two
    c, d = (math.sqrt(2) + 1) / (4 * math.sqrt(2)), (math.sqrt(2) - 1) / (4 * math.sqrt(2))
    return c * (f(angle + half) - f(angle - half)) - d * (f(angle + 3 * half) - f(angle - 3 * half))


@pytest.mark.parametrize("name", [n for n, g in GATES.items() if g.n_angles])
def test_shift_rule_of_every_gate(name):
    g, n = gate(name), 3
    before = stack(n, ["u3", "cx"])
    after = Circuit(n, tuple(op("u3", q, angles=[0.4, 0.7 + q, 0.2]) for q in range(n)))
    circuit = before + Circuit(n, (op(name, *[2, 0][: g.n_wires], angles=[weight(before.n_weights + j) for j in range(g.n_angles)]),)) + after
    weights = torch.tensor(rng(1).normal(size=circuit.n_weights), requires_grad=True)
    mix = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(expect_z(run(circuit, weights))[0] @ mix, weights)
    for j, terms in enumerate(g.shifts):
        slot = before.n_weights + j

        def value(angle, slot=slot):
            slots = circuit.angles(weights.detach()).clone()
            slots[0, slot] = angle
            return (expect_z(run_angles(circuit, slots))[0] @ mix).item()

        assert shifted_derivative(value, weights[slot].item(), terms) == pytest.approx(gradient[slot].item(), abs=1e-12)
        if terms == 4:
            assert abs(shifted_derivative(value, weights[slot].item(), 2) - gradient[slot].item()) > 1e-4    # two terms are not enough


def test_density_path_equals_state_path():
    for seed in range(5):
        g = rng(seed)
        circuit = random_circuit(g, 1 + seed % 3, 10)
        angles = circuit.angles(*inputs(circuit, g, 2)).detach()
        expected = probabilities(run_angles(circuit, angles))
        torch.testing.assert_close(probabilities_density(run_density(circuit, angles)), expected.expand(len(angles), -1), atol=1e-13, rtol=0)


def test_layer_trains_and_both_paths_agree():
    circuit = encoder(4, ["ry", "rx"]) + stack(4, ["u3", "cx", "rzz"])
    fast = QuantumLayer(circuit, generator=torch.Generator().manual_seed(0))
    slow = QuantumLayer(circuit, fast=False, generator=torch.Generator().manual_seed(0))
    x = torch.rand(3, 8)
    torch.testing.assert_close(fast(x), slow(x), atol=2e-6, rtol=0)
    before = fast(x).sum().item()
    optimizer = torch.optim.Adam(fast.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        fast(x).sum().backward()
        optimizer.step()
    assert fast(x).sum().item() < before - 0.5


def test_rings():
    assert [o.wires for o in ring(4).operations] == [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert [o.wires for o in ring(2).operations] == [(0, 1)]
    assert ring(1).operations == ()


@pytest.mark.parametrize("make", [
    lambda: op("ry", 0), lambda: op("cx", 1, 1), lambda: op("nope", 0), lambda: Circuit(1, (op("x", 1),)),
    lambda: run(stack(2, ["ry"])), lambda: run(stack(2, ["ry"]), torch.zeros(1)), lambda: run(encoder(2, ["ry"]), None, torch.zeros(3, 1)),
])
def test_bad_input_has_one_clear_error(make):
    with pytest.raises(TinylibError):
        make()
