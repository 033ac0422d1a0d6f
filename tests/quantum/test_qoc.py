"""Gradients from circuits alone equal autograd; every circuit is counted; the sampler and the frozen Adam do what they say."""

import itertools
import math

import pytest
import torch
from circuits import random_circuit, rng

from tinylib.core.errors import TinylibError
from tinylib.quantum import qoc
from tinylib.quantum.circuit import Circuit, encoder, op, run, stack, weight
from tinylib.quantum.convert import transpile
from tinylib.quantum.noise import load_device
from tinylib.quantum.qoc import (
    DeviceMachine,
    FrozenAdam,
    GradientPruner,
    ShotMachine,
    gradient,
    jacobian,
    sample_by_magnitude,
    shifts,
    train,
)
from tinylib.quantum.readout import expect_z


def autograd_jacobian(circuit, weights, features):
    return torch.autograd.functional.jacobian(lambda w: expect_z(run(circuit, w, features)), weights)


def worst_error(circuit, seed=0):
    g = rng(seed)
    weights, features = torch.tensor(g.normal(size=max(circuit.n_weights, 1))), torch.tensor(g.normal(size=(2, max(circuit.n_features, 1))))
    ours, _ = jacobian(circuit, weights, features, ShotMachine())
    theirs = autograd_jacobian(circuit, weights, features)[..., : circuit.n_weights]
    return (ours - theirs).abs().max().item()


@pytest.mark.parametrize("seed", range(8))
def test_measured_jacobian_equals_autograd(seed):
    """Random gates, weights shared by many of them and scaled; 1e-11 leaves room for the sum of many terms."""
    assert worst_error(random_circuit(rng(seed), 1 + seed % 4, 20), seed) < 1e-11


def test_shared_scaled_and_controlled():
    shared = (op("cry", 0, 1, angles=[weight(0, 2.0)]), op("ry", 1, angles=[weight(0)]), op("crx", 1, 0, angles=[weight(0, -0.5)]))
    circuit = stack(2, ["u3", "cx"]) + Circuit(2, shared)
    assert worst_error(circuit + stack(2, ["u3"], 1)) < 1e-12


def test_planted_bugs_are_seen(monkeypatch):
    circuit = stack(3, ["u3", "cu3", "u3"])
    with monkeypatch.context() as m:
        m.setitem(qoc.RULES, 4, qoc.RULES[2])                                       # two terms for controlled rotations
        assert worst_error(circuit) > 1e-3
    with monkeypatch.context() as m:
        m.setitem(qoc.RULES, 2, ((math.pi / 2, 1.0), (-math.pi / 2, -1.0)))         # the half forgotten
        assert worst_error(circuit) > 1e-3
    real = shifts
    with monkeypatch.context() as m:                                                # the first occurrence only
        m.setattr(qoc, "shifts", lambda c, chosen=None: [s for s in real(c, chosen) if s.slot < 5])
        assert worst_error(circuit) > 1e-3
    assert worst_error(circuit) < 1e-12


def test_circuits_are_counted():
    circuit = encoder(3, ["ry"]) + stack(3, ["ry", "crx", "cx"])
    calls = []

    def machine(c, slots):
        calls.append(len(slots))
        return torch.zeros(len(slots), 3)

    _, runs = jacobian(circuit, torch.zeros(6), torch.zeros(5, 3), machine)
    assert runs == sum(calls) == 5 * (3 * 2 + 3 * 4)
    _, runs = jacobian(circuit, torch.zeros(6), torch.zeros(5, 3), machine, torch.tensor([1, 4]))
    assert runs == 5 * (2 + 4)


def test_encoder_angles_are_not_shifted():
    circuit = encoder(2, ["ry", "rz"]) + stack(2, ["ry"])
    assert {s.slot for s in shifts(circuit)} == {4, 5}


def test_chain_rule_equals_backprop_through_everything():
    circuit = encoder(3, ["ry"]) + stack(3, ["u3", "cx"])
    w, x, y = torch.tensor(rng(0).normal(size=9), requires_grad=True), torch.tensor(rng(1).normal(size=(4, 3))), torch.tensor([0, 2, 1, 0])
    loss = torch.nn.functional.cross_entropy(expect_z(run(circuit, w, x)), y)
    (expected,) = torch.autograd.grad(loss, w)
    z = expect_z(run(circuit, w.detach(), x)).requires_grad_()
    (upstream,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, y), z)
    ours = gradient(jacobian(circuit, w.detach(), x, ShotMachine())[0], upstream)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


def test_shift_is_the_derivative_of_what_the_noisy_device_does():
    """On a transpiled circuit the rule stays exact: it differentiates the noisy machine itself. Checked by central differences."""
    circuit = encoder(2, ["ry"]) + stack(2, ["ry", "cx", "ry"])
    physical, machine, read = transpile(circuit, load_device("yorktown"), (0, 1))
    device, w, x = DeviceMachine(machine, read), torch.tensor(rng(0).normal(size=4)), torch.tensor(rng(1).normal(size=(2, 2)))
    ours, _ = jacobian(physical, w, x, device)
    for i in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[i] = 1e-5
        slope = (device(physical, physical.angles(w + step, x)) - device(physical, physical.angles(w - step, x))) / 2e-5
        torch.testing.assert_close(ours[:, :, i], slope, atol=1e-8, rtol=0)
    assert (ours - jacobian(circuit, w, x, ShotMachine())[0]).abs().max() > 1e-3       # and it is not the noise-free derivative


def test_shot_gradient_is_unbiased():
    circuit, w = stack(2, ["ry", "cx", "ry"]), torch.tensor(rng(0).normal(size=4))
    machine, copies, shots = ShotMachine(64, torch.Generator().manual_seed(0)), 400, 64
    noisy, _ = jacobian(circuit, w.expand(copies, -1), None, machine)
    exact, _ = jacobian(circuit, w, None, ShotMachine())
    sigma = 1 / math.sqrt(2 * shots)                                                     # two circuits, each at most 1 / sqrt(shots), halved
    assert ((noisy.mean(0) - exact[0]).abs() < 4 * sigma / math.sqrt(copies)).all()
    assert (noisy.std(0) < 1.2 * sigma).all()


def inclusion(magnitude, keep):
    """Exact chance of each index to be among `keep` draws without replacement, by all orders."""
    chance = [0.0] * len(magnitude)
    for order in itertools.permutations(range(len(magnitude)), keep):
        p, left = 1.0, sum(magnitude)
        for i in order:
            p, left = p * magnitude[i] / left, left - magnitude[i]
        for i in order:
            chance[i] += p
    return chance


@pytest.mark.parametrize("magnitude, keep", [([1.0, 2.0, 3.0, 4.0], 2), ([0.1, 5.0, 1.0], 1), ([1.0, 1.0, 1.0, 9.0, 2.0], 3)])
def test_sampler_follows_the_exact_chances(magnitude, keep):
    g, n = torch.Generator().manual_seed(0), 4000
    seen = torch.zeros(len(magnitude))
    for _ in range(n):
        seen[sample_by_magnitude(torch.tensor(magnitude), keep, g)] += 1
    expected = torch.tensor(inclusion(magnitude, keep))
    sigma = (expected * (1 - expected) / n).sqrt()
    assert ((seen / n - expected).abs() < 4 * sigma + 1e-9).all()


def test_sampler_with_zeros_and_seeds():
    m = torch.tensor([0.0, 1.0, 0.0, 2.0])
    g = torch.Generator().manual_seed(0)
    assert all(set(sample_by_magnitude(m, 3, g).tolist()) >= {1, 3} for _ in range(20))
    assert sample_by_magnitude(torch.zeros(3), 2, g).unique().numel() == 2
    first, second = (sample_by_magnitude(torch.arange(9.0), 4, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    with pytest.raises(TinylibError):
        sample_by_magnitude(m, 5, g)


def test_pruner_keeps_its_calendar():
    pruner = GradientPruner(8, ratio=0.5, accumulate=1, prune=2, generator=torch.Generator().manual_seed(0))
    counts = []
    for _ in range(6):
        chosen = pruner.choose()
        counts.append(len(chosen))
        grad = torch.zeros(8)
        grad[chosen] = 1.0
        pruner.observe(grad)
    assert counts == [8, 4, 4, 8, 4, 4]
    assert pruner.magnitude.tolist() == [1.0] * 8                       # reset at each accumulation; pruning steps do not count
    for bad in ({"ratio": 1.0}, {"accumulate": 0}, {"prune": -1}):
        with pytest.raises(TinylibError):
            GradientPruner(8, **bad)


def test_adam_equals_torch_where_nothing_is_frozen_and_leaves_frozen_alone():
    g = rng(0)
    w, adam = torch.tensor(g.normal(size=3)), FrozenAdam(3, lr=0.05)
    theirs = w.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.05)
    for _ in range(5):
        grad = torch.tensor(g.normal(size=3))
        w = adam.step(w, grad, torch.arange(3))
        theirs.grad = grad
        optimizer.step()
    torch.testing.assert_close(w, theirs.detach(), atol=1e-12, rtol=0)
    before = (adam.m.clone(), adam.v.clone(), adam.t.clone())
    moved = adam.step(w, torch.ones(3, dtype=torch.float64), torch.tensor([1]))
    assert torch.equal(moved[[0, 2]], w[[0, 2]]) and moved[1] != w[1]
    for old, new in zip(before, (adam.m, adam.v, adam.t)):
        assert torch.equal(old[[0, 2]], new[[0, 2]]) and old[1] != new[1]


def test_training_lowers_the_loss_within_its_budget():
    circuit, g = encoder(2, ["ry"]) + stack(2, ["ry", "cx", "ry"]), torch.Generator().manual_seed(0)
    x = torch.rand(32, 2, generator=g)
    y = (x[:, 0] > x[:, 1]).long()
    pruner = GradientPruner(4, 0.5, generator=g)
    history = train(circuit, torch.rand(4, generator=g), (x, y), ShotMachine(256, g), torch.nn.functional.cross_entropy, pruner, 3000, 8, 0.2, g)
    assert history[-1].circuits <= 3000 and [h.measured for h in history[:4]] == [4, 2, 2, 4]
    assert sum(h.loss for h in history[-5:]) < sum(h.loss for h in history[:5])
    assert history[0].circuits == 8 * (1 + 8)
