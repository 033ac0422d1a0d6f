"""Channels: physical, with known limits, equal to Kraus sums; devices as data."""

import math

import pytest
import torch
from circuits import rng

from tinylib.core.errors import TinylibError
from tinylib.quantum.circuit import Circuit, encoder, op, stack
from tinylib.quantum.noise import (
    DEVICES,
    NoisyMachine,
    average_fidelity,
    depolarizing,
    load_device,
    pauli_channel,
    relaxation,
    side_by_side,
    superoperator_of_kraus,
    superoperator_of_matrix,
)
from tinylib.quantum.state import density_as_matrix


def choi(superoperator):
    """Positive when the channel is physical; its partial trace is the identity when probability is kept."""
    d = round(superoperator.shape[-1] ** 0.5)
    return superoperator.reshape(d, d, d, d).permute(0, 2, 1, 3).reshape(d * d, d * d)


def is_physical(superoperator):
    d = round(superoperator.shape[-1] ** 0.5)
    c = choi(superoperator)
    kept = torch.einsum("aiaj->ij", c.reshape(d, d, d, d))
    return bool(torch.linalg.eigvalsh(c).min() > -1e-12 and (kept - torch.eye(d)).abs().max() < 1e-12)


def test_channels_are_physical():
    for channel in (depolarizing(0.2), depolarizing(0.1, 2), relaxation(10, 50, 70), relaxation(10, 50, 500), pauli_channel(0.1, 0.2, 0.05),
                    side_by_side([relaxation(10, 50, 70), depolarizing(0.3)])):
        assert is_physical(channel)
    assert not is_physical(depolarizing(0.2) * 0.9) and not is_physical(2 * depolarizing(0.2) - depolarizing(1.0))


def test_relaxation_equals_its_kraus_sum():
    """Amplitude damping, then dephasing, written with Kraus operators."""
    t, t1, t2 = 10.0, 50.0, 70.0
    gamma = 1 - math.exp(-t / t1)
    keep = math.exp(-t / t2) / math.exp(-t / (2 * t1))
    damping = [torch.tensor([[1, 0], [0, math.sqrt(1 - gamma)]], dtype=torch.complex128), torch.tensor([[0, math.sqrt(gamma)], [0, 0]], dtype=torch.complex128)]
    dephasing = pauli_channel(0, 0, (1 - keep) / 2)
    torch.testing.assert_close(dephasing @ superoperator_of_kraus(damping), relaxation(t, t1, t2), atol=1e-14, rtol=0)


def test_limits():
    torch.testing.assert_close(relaxation(0, 50, 70), torch.eye(4, dtype=torch.complex128))
    torch.testing.assert_close(depolarizing(0.0, 2), torch.eye(16, dtype=torch.complex128))
    torch.testing.assert_close(pauli_channel(0.25, 0.25, 0.25), depolarizing(1.0))
    assert average_fidelity(torch.eye(4)) == 1 and average_fidelity(depolarizing(1.0)) == pytest.approx(0.5)


def test_side_by_side_is_the_kronecker_product_for_unitaries():
    a, b = (torch.linalg.qr(torch.tensor(rng(s).normal(size=(2, 2)) + 1j * rng(s + 9).normal(size=(2, 2))))[0] for s in (0, 1))
    expected = superoperator_of_matrix(torch.kron(a, b))
    torch.testing.assert_close(side_by_side([superoperator_of_matrix(a), superoperator_of_matrix(b)]), expected, atol=1e-14, rtol=0)
    assert (side_by_side([superoperator_of_matrix(b), superoperator_of_matrix(a)]) - expected).abs().max() > 0.1


@pytest.mark.parametrize("name", DEVICES)
def test_gate_channels_have_the_calibrated_fidelity(name):
    device = load_device(name)
    for (gate, wires), (error, duration) in device.gates.items():
        channel = device.channel(gate, wires)
        if channel is None:
            assert gate == "rz" and not error and not duration
            continue
        assert is_physical(channel)
        relax = side_by_side([relaxation(duration, device.t1_ns[w], device.t2_ns[w]) for w in wires])
        assert 1 - average_fidelity(channel) == pytest.approx(max(error, 1 - average_fidelity(relax)), abs=1e-10)


def test_scaling_the_noise():
    device = load_device("yorktown")
    quiet, loud = device.scaled(0.0), device.scaled(2.0)
    assert (quiet.channel("cx", (0, 1)) - torch.eye(16)).abs().max() < 1e-9
    assert quiet.confusion[0] == ((1, 0), (0, 1))
    for f in (0.5, 1.0, 2.0, 5.0):
        assert 1 - average_fidelity(device.scaled(f).channel("cx", (0, 1))) == pytest.approx(f * device.gates["cx", (0, 1)][0], rel=1e-6)
    assert loud.confusion[0][0][1] == pytest.approx(2 * device.confusion[0][0][1])
    torch.testing.assert_close(torch.tensor(device.scaled(1.0).confusion), torch.tensor(device.confusion))


def test_noise_shrinks_expectations_and_keeps_probability():
    machine = NoisyMachine(load_device("lima").scaled(3.0), (0, 1, 2))
    circuit = Circuit(3, (op("sx", 0), op("cx", 0, 1), op("cx", 1, 2), op("x", 2)))
    rho = density_as_matrix(machine.run(circuit, torch.zeros(1, 0, dtype=torch.float64)))
    torch.testing.assert_close(rho.diagonal(dim1=1, dim2=2).sum().real, torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(rho, rho.mH)
    assert (rho @ rho).diagonal(dim1=1, dim2=2).sum().real < 0.95
    assert machine.probabilities(circuit, torch.zeros(1, 0, dtype=torch.float64)).sum() == pytest.approx(1.0)


def test_errors():
    with pytest.raises(TinylibError):
        load_device("atlantis")
    with pytest.raises(TinylibError):
        pauli_channel(0.5, 0.5, 0.5)
    machine = NoisyMachine(load_device("lima"), (0, 1, 2, 3))
    with pytest.raises(TinylibError, match="transpile"):
        circuit = encoder(4, ["ry"]) + stack(4, ["u3"])
        machine.run(circuit, circuit.angles(torch.zeros(12), torch.zeros(1, 4)))
