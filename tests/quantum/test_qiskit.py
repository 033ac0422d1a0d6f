"""Against qiskit: every gate, random circuits of 1 to 10 wires, devices; and nothing imports qiskit before it is needed."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from circuits import inputs, random_circuit, rng
from qiskit.quantum_info import Operator, Statevector

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root
from tinylib.quantum.circuit import Circuit, encoder, op, run, run_angles, stack
from tinylib.quantum.convert import aer_density, aer_expect_z, from_qiskit, to_qiskit, to_qiskit_order, transpile
from tinylib.quantum.fusion import compile_circuit
from tinylib.quantum.gates import GATES, matrix
from tinylib.quantum.noise import DEVICES, NoisyMachine, load_device
from tinylib.quantum.readout import expect_z
from tinylib.quantum.state import density_as_matrix


def test_qiskit_is_not_imported():
    names = [p.stem for p in (project_root() / "tinylib" / "quantum").glob("*.py") if p.stem != "__init__"]
    code = "import sys\n" + "".join(f"import tinylib.quantum.{n}\n" for n in names) + "assert not [m for m in sys.modules if m.startswith('qiskit')]"
    assert len(names) >= 8
    subprocess.run([sys.executable, "-c", code], check=True, cwd=project_root())


@pytest.mark.parametrize("name", GATES)
def test_every_gate_equals_qiskits(name):
    g = GATES[name]
    angles = [0.7 - 1.3 * i for i in range(g.n_angles)]
    circuit = Circuit(g.n_wires, (op(name, *range(g.n_wires), angles=angles),))
    theirs = torch.tensor(Operator(to_qiskit(circuit, circuit.angles())).data)
    ours = to_qiskit_order(to_qiskit_order(matrix(name, *angles)).mT).mT
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


def distance(circuit, slots, simulate, order=to_qiskit_order):
    """Largest difference of amplitudes to qiskit's, over a batch."""
    ours = order(simulate(circuit, slots).flatten(1))
    theirs = np.stack([Statevector(to_qiskit(circuit, row)).data for row in slots])
    return np.abs(ours.numpy() - theirs).max()


@pytest.mark.parametrize("seed", range(30))
def test_random_circuits_equal_qiskit(seed):
    g, n = rng(seed), 1 + seed % 10
    circuit = random_circuit(g, n, 30)
    weights, features = (t.detach() for t in inputs(circuit, g, 3))
    slots = circuit.angles(weights, features).expand(3, -1)
    assert distance(circuit, slots, run_angles) < 1e-10
    assert distance(circuit, slots, lambda c, s: compile_circuit(c).state(weights, features).expand(3, *[2] * n)) < 1e-10


def test_planted_bugs_are_seen():
    circuit = random_circuit(rng(3), 4, 30)
    slots = circuit.angles(*(t.detach() for t in inputs(circuit, rng(3), 2))).expand(2, -1)
    assert distance(circuit, slots, run_angles, order=lambda x: x) > 1e-3                                   # bit order forgotten
    flipped = Circuit(4, tuple(o if len(o.wires) < 2 else type(o)(o.name, o.wires[::-1], o.angles) for o in circuit.operations))
    assert distance(circuit, slots, lambda c, s: run_angles(flipped, s)) > 1e-3                             # control and target swapped


def test_there_and_back_with_symbols():
    circuit = random_circuit(rng(0), 4, 40)
    weights, features = (t.detach() for t in inputs(circuit, rng(0), 2))
    back = from_qiskit(to_qiskit(circuit))
    torch.testing.assert_close(run(back, weights, features), run(circuit, weights, features), atol=1e-12, rtol=0)


def test_order_is_its_own_inverse():
    x = torch.rand(2, 16)
    assert torch.equal(to_qiskit_order(to_qiskit_order(x)), x) and to_qiskit_order(torch.eye(8)[1]).argmax() == 4


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("mapping", [None, (3, 4, 2), (0, 1, 4)])
def test_transpiled_circuit_is_the_same_without_noise(name, mapping):
    device, circuit = load_device(name), encoder(3, ["ry"]) + stack(3, ["u3", "cx", "rzz"])
    weights, features = (t.detach() for t in inputs(circuit, rng(1), 2))
    physical, machine, read = transpile(circuit, device, mapping)
    assert mapping is None or set(mapping) <= set(machine.mapping)
    for o in physical.operations:
        assert (o.name, tuple(machine.mapping[w] for w in o.wires)) in device.gates
    ours = expect_z(run(physical, weights, features))[:, list(read)]
    torch.testing.assert_close(ours, expect_z(run(circuit, weights, features)), atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", DEVICES)
def test_noisy_density_equals_aer(name):
    """The tolerance is the issue's 1e-8; Aer's own rounding of small Kraus terms is far below it."""
    device, circuit = load_device(name), encoder(4, ["ry"]) + stack(4, ["u3", "cx", "rzz"])
    weights, features = (t.detach() for t in inputs(circuit, rng(2), 2))
    physical, machine, _ = transpile(circuit, device, (0, 1, 2, 3))
    slots = physical.angles(weights, features)
    ours, theirs = density_as_matrix(machine.run(physical, slots)), aer_density(physical, machine, slots)
    assert (ours - theirs).abs().max() < 1e-8
    assert (density_as_matrix(machine.run_fused(physical, slots)) - theirs).abs().max() < 1e-8
    louder = NoisyMachine(device.scaled(1.01), machine.mapping)             # 1 % more noise is seen
    assert (density_as_matrix(louder.run(physical, slots)) - theirs).abs().max() > 1e-5


def test_shots_from_aer_agree_within_four_sigma():
    device, circuit, shots = load_device("yorktown"), encoder(3, ["ry"]) + stack(3, ["ry", "cx"]), 4000
    weights, features = (t.detach() for t in inputs(circuit, rng(3), 2))
    physical, machine, _ = transpile(circuit, device, (0, 1, 2))
    slots = physical.angles(weights, features)
    z = machine.expect_z(physical, slots)
    sigma = ((1 - z**2) / shots).sqrt()
    assert ((aer_expect_z(physical, machine, slots, shots, seed=1) - z).abs() < 4 * sigma + 1e-9).all()


def test_errors():
    from qiskit.circuit import Parameter, QuantumCircuit
    bent = QuantumCircuit(1)
    bent.rx(Parameter("w[0]") ** 2, 0)
    with pytest.raises(TinylibError, match="linear"):
        from_qiskit(bent)
    with pytest.raises(TinylibError, match="mapping"):
        transpile(stack(2, ["ry"]), load_device("lima"), (0, 0))
