"""The hydrogen molecule of data/recipes/quantum_circuits.py: textbook integrals, and a second way to the exact energy."""

import importlib.util
import json

import numpy as np
import pytest

from tinylib.core.checkpoint import load_record
from tinylib.core.paths import project_root


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("recipe", project_root() / "data" / "recipes" / "quantum_circuits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_integrals_are_the_textbooks(recipe):
    """Szabo and Ostlund, chapter 3, H2 at 1.4 bohr in STO-3G, four digits."""
    overlap, _ = recipe.one_electron(0.0, 1.4, (0.0, 1.4))
    assert overlap == pytest.approx(0.6593, abs=1e-4)
    for places, value in (((0, 0, 0, 0), 0.7746), ((0, 0, 1.4, 1.4), 0.5697), ((0, 1.4, 0, 1.4), 0.2970), ((0, 0, 0, 1.4), 0.4441)):
        assert recipe.repulsion(*places) == pytest.approx(value, abs=1e-4)


def second_quantised(h, g):
    """Ground energy of two electrons on four spin orbitals, with creation operators as 16 x 16 matrices (Jordan-Wigner)."""
    lower, z, one = np.array([[0, 1], [0, 0]]), np.diag([1, -1]), np.eye(2)
    def operator(k):
        result = np.ones((1, 1))
        for j in range(4):
            result = np.kron(result, z if j < k else lower if j == k else one)
        return result
    a = [operator(k) for k in range(4)]                      # orbitals 0 up, 0 down, 1 up, 1 down
    total = np.zeros((16, 16))
    for p in range(4):
        for q in range(4):
            if p % 2 == q % 2:
                total += h[p // 2, q // 2] * a[p].T @ a[q]
            for r in range(4):
                for s in range(4):
                    if p % 2 == s % 2 and q % 2 == r % 2:
                        total += 0.5 * g[p // 2, s // 2, q // 2, r // 2] * a[p].T @ a[q].T @ a[r] @ a[s]
    count = sum(x.T @ x for x in a)
    two = np.isclose(np.diag(count), 2)
    return np.linalg.eigvalsh(total[np.ix_(two, two)])[0]


def test_two_wires_hold_the_same_molecule_as_four_spin_orbitals(recipe):
    for bohr in (0.9, 1.4, 3.0):
        h, g = recipe.orbital_integrals(bohr)
        expected = second_quantised(h, g) + 1 / bohr
        assert np.linalg.eigvalsh(recipe.two_wire_hamiltonian(bohr))[0] == pytest.approx(expected, abs=1e-10)
        assert abs(second_quantised(h, np.swapaxes(g, 1, 2)) + 1 / bohr - expected) > 1e-3          # planted: other order of the integrals


def test_far_apart_two_atoms_remain(recipe):
    """Twice the energy of one atom in this basis, -0.4666 hartree each."""
    _, alone = recipe.one_electron(0.0, 0.0, (0.0, 1e6))
    assert np.linalg.eigvalsh(recipe.two_wire_hamiltonian(200.0))[0] == pytest.approx(2 * alone, abs=1e-4)


def test_pauli_weights_sum_to_the_matrix_and_the_record_is_current(recipe):
    from tinylib.quantum.readout import pauli_matrix
    for row in load_record("quantum_circuits-h2")["rows"][::8]:
        matrix = recipe.two_wire_hamiltonian(row["angstrom"] * recipe.BOHR_PER_ANGSTROM)
        total = sum(v * pauli_matrix(k).numpy() for k, v in row["terms"].items())
        assert np.abs(total - matrix).max() < 1e-11
        assert row["exact"] == pytest.approx(np.linalg.eigvalsh(matrix)[0], abs=1e-10) and row["exact"] <= row["mean_field"]


def test_snapshots_keep_units(recipe):
    item = lambda name, value, unit="": {"name": name, "value": value, "unit": unit}
    qubit = [item("T1", 50.0, "us"), item("T2", 70_000.0, "ns"), item("prob_meas1_prep0", 0.01), item("prob_meas0_prep1", 0.03)]
    gate = {"gate": "sx", "qubits": [0], "parameters": [item("gate_error", 1e-3), item("gate_length", 35.5, "ns")]}
    reset = {"gate": "reset", "qubits": [0], "parameters": []}
    made = recipe.snapshot({"backend_name": "x", "last_update_date": "d", "qubits": [qubit], "gates": [gate, reset]},
                           {"basis_gates": ["sx", "reset"], "coupling_map": []}, "0")
    assert made["qubits"][0] == {"t1_ns": 50_000.0, "t2_ns": 70_000.0, "read_1_prepared_0": 0.01, "read_0_prepared_1": 0.03}
    assert made["gates"] == [{"name": "sx", "wires": [0], "error": 1e-3, "duration_ns": 35.5}] and made["basis"] == ["sx"]
    json.dumps(made)
