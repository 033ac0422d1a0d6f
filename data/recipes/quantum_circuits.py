"""Recipes of the lab quantum_circuits: device snapshots and the hydrogen molecule."""

import importlib.util
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from tinylib.core.checkpoint import save_record
from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir
from tinylib.quantum.convert import transpile
from tinylib.quantum.digit_task import MAPPINGS, accuracy, load, loss, trained_layer, trained_regression
from tinylib.quantum.noise import DEVICES, NoisyMachine, load_device
from tinylib.quantum.readout import pauli_matrix

# --- devices -----------------------------------------------------------------------------------------------------------------------------------


def snapshot(properties: dict, configuration: dict, version: str) -> dict:
    """The part of one calibration that the noise model needs, in ns."""
    def value(items: list[dict], name: str) -> float:
        item = next(i for i in items if i["name"] == name)
        return item["value"] * {"us": 1000.0, "ns": 1.0, "": 1.0}[item["unit"]]

    qubits = [{"t1_ns": value(q, "T1"), "t2_ns": value(q, "T2"), "read_1_prepared_0": value(q, "prob_meas1_prep0"),
               "read_0_prepared_1": value(q, "prob_meas0_prep1")} for q in properties["qubits"]]
    basis = [g for g in configuration["basis_gates"] if g != "reset"]
    gates = [{"name": g["gate"], "wires": g["qubits"], "error": value(g["parameters"], "gate_error"),
              "duration_ns": value(g["parameters"], "gate_length")} for g in properties["gates"] if g["gate"] in basis]
    return {"machine": properties["backend_name"], "calibrated": properties["last_update_date"], "kind": "published calibration of a real machine",
            "source": f"fake backend in qiskit-ibm-runtime {version}", "licence": "Apache-2.0", "basis": basis,
            "couplings": configuration["coupling_map"], "qubits": qubits, "gates": gates}


def devices() -> None:
    """`data/devices/*.json` from the installed qiskit-ibm-runtime; reads its files, does not import it."""
    from importlib.metadata import version
    spec = importlib.util.find_spec("qiskit_ibm_runtime")
    if spec is None:
        raise TinylibError("The device models come with qiskit-ibm-runtime: pip install qiskit-ibm-runtime, then run this again.")
    folder = Path(spec.origin).parent / "fake_provider" / "backends"
    for name in DEVICES:
        parts = [json.loads((folder / name / f"{kind}_{name}.json").read_text()) for kind in ("props", "conf")]
        out = data_dir() / "devices" / f"{name}.json"
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(snapshot(*parts, version("qiskit-ibm-runtime")), indent=1) + "\n")


# --- H2 ----------------------------------------------------------------------------------------------------------------------------------------
# Each hydrogen atom carries one basis function, three s-type Gaussians fitted to a 1s orbital (STO-3G, Hehre, Stewart and Pople 1969).
# All integrals of s-type Gaussians have closed forms (Szabo and Ostlund, Modern Quantum Chemistry, appendix A). Atomic units inside.

EXPONENTS = np.array([3.425250914, 0.6239137298, 0.1688554040])
COEFFICIENTS = np.array([0.1543289673, 0.5353281423, 0.4446345422]) * (2 * EXPONENTS / math.pi) ** 0.75
BOHR_PER_ANGSTROM = 1 / 0.529177210903


def boys(t: float) -> float:
    """Integral of exp(-t u^2) for u from 0 to 1."""
    return 1 - t / 3 if t < 1e-8 else 0.5 * math.sqrt(math.pi / t) * math.erf(math.sqrt(t))


def gaussian_pair(a: float, x: float, b: float, y: float) -> tuple[float, float, float]:
    """Product of two Gaussians at x and y: its exponent, centre and prefactor."""
    p = a + b
    return p, (a * x + b * y) / p, math.exp(-a * b / p * (x - y) ** 2)


def one_electron(x: float, y: float, nuclei: tuple[float, float]) -> tuple[float, float]:
    """(overlap, kinetic energy + attraction by both nuclei) of the contracted functions at x and y."""
    overlap = energy = 0.0
    for a, ca in zip(EXPONENTS, COEFFICIENTS):
        for b, cb in zip(EXPONENTS, COEFFICIENTS):
            p, centre, k = gaussian_pair(a, x, b, y)
            s = ca * cb * k * (math.pi / p) ** 1.5
            reduced = a * b / p
            overlap += s
            energy += s * reduced * (3 - 2 * reduced * (x - y) ** 2)
            energy -= ca * cb * k * 2 * math.pi / p * sum(boys(p * (centre - c) ** 2) for c in nuclei)
    return overlap, energy


def repulsion(x: float, y: float, z: float, w: float) -> float:
    """(xy|zw): repulsion between the charge clouds of the pairs at x, y and z, w."""
    total = 0.0
    for a, ca in zip(EXPONENTS, COEFFICIENTS):
        for b, cb in zip(EXPONENTS, COEFFICIENTS):
            p, centre_p, kp = gaussian_pair(a, x, b, y)
            for c, cc in zip(EXPONENTS, COEFFICIENTS):
                for d, cd in zip(EXPONENTS, COEFFICIENTS):
                    q, centre_q, kq = gaussian_pair(c, z, d, w)
                    f = boys(p * q / (p + q) * (centre_p - centre_q) ** 2)
                    total += ca * cb * cc * cd * kp * kq * 2 * math.pi**2.5 / (p * q * math.sqrt(p + q)) * f
    return total


def orbital_integrals(bohr: float) -> tuple[np.ndarray, np.ndarray]:
    """(h [2, 2], (pq|rs) [2, 2, 2, 2]) in the molecule's own orbitals: sum and difference of the atoms' functions."""
    at = (0.0, bohr)
    pairs = [[one_electron(x, y, at) for y in at] for x in at]
    s, h = (np.array([[pair[k] for pair in row] for row in pairs]) for k in (0, 1))
    g = np.array([[[[repulsion(x, y, z, w) for w in at] for z in at] for y in at] for x in at])
    c = np.array([[1, 1], [1, -1]]) / np.sqrt(2 * (1 + s[0, 1] * np.array([1, -1])))
    return c.T @ h @ c, np.einsum("pqrs,pi,qj,rk,sl->ijkl", g, c, c, c, c)


def two_wire_hamiltonian(bohr: float) -> np.ndarray:
    """[4, 4]: wire 0 says which orbital the spin-up electron is in, wire 1 the spin-down one; nuclear repulsion included."""
    h, g = orbital_integrals(bohr)
    one = np.eye(2)
    both = np.einsum("ikjl->ijkl", g).reshape(4, 4)
    return np.kron(h, one) + np.kron(one, h) + both + np.eye(4) / bohr


def pauli_terms(matrix: np.ndarray) -> dict[str, float]:
    """Weights of the Pauli strings that sum to the matrix; those below 1e-12 are left out."""
    weights = {a + b: float((pauli_matrix(a + b).numpy() @ matrix).trace().real / 4) for a in "IXYZ" for b in "IXYZ"}
    return {k: v for k, v in weights.items() if abs(v) > 1e-12}


def h2() -> None:
    """Energies and Pauli weights of H2 at 34 distances."""
    start, rows = time.perf_counter(), []
    for angstrom in sorted({*np.round(np.arange(0.3, 2.51, 0.07), 3).tolist(), 0.735, 1.5}):
        matrix = two_wire_hamiltonian(angstrom * BOHR_PER_ANGSTROM)
        rows.append({"angstrom": angstrom, "terms": pauli_terms(matrix), "mean_field": float(matrix[0, 0]), "exact": float(np.linalg.eigvalsh(matrix)[0])})
    save_record("quantum_circuits-h2", {"unit": "hartree", "basis": "STO-3G", "rows": rows}, recipe="tinylib data make quantum_circuits-h2", seed=0,
                seconds=time.perf_counter() - start, note="computed here: closed-form integrals, exact diagonalisation")


# --- the network -------------------------------------------------------------------------------------------------------------------------------
# Chosen on the validation split with seeds 100 to 102: 300 steps, learning rate 0.05. Measured once on the test split with seeds 0 to 4.

SEEDS = tuple(range(5))


def networks() -> None:
    """Test accuracy of both kinds of network, and of the quantum one on three noisy machines; `quantum_circuits-networks`."""
    torch.set_num_threads(1)
    start, data, rows = time.process_time(), load(), []
    x, y = data["test"]
    for seed in SEEDS:
        layer, plain = trained_layer(seed, data["train"]), trained_regression(seed, data["train"])
        with torch.no_grad():
            z = layer(x)
            row = {"seed": seed, "quantum": accuracy(z, y), "classical": accuracy(plain(x), y), "loss": loss(z, y).item(), "devices": {}}
            for name, factor in ((n, f) for n in DEVICES for f in (1, 3)):
                noisy = on_device(layer, x, name, factor)
                row["devices"][f"{name} x{factor}"] = {"accuracy": accuracy(noisy, y), "loss": loss(noisy, y).item(),
                                                       "shrink": float((noisy * z).sum() / (z * z).sum())}
        rows.append(row)
        print(row, flush=True)
    save_record("quantum_circuits-networks", {"rows": rows}, recipe="tinylib data make quantum_circuits-networks", seed=0,
                seconds=time.process_time() - start, note="noise-free: computed here; devices: simulated with calibrations of March 2021")


def on_device(layer, x, name: str, factor: float):
    """<Z> of a trained layer on a device with its noise scaled."""
    circuit, machine, read = transpile(layer.circuit, load_device(name), MAPPINGS[name])
    loud = NoisyMachine(load_device(name).scaled(factor), machine.mapping)
    return loud.expect_z(circuit, circuit.angles(layer.weights, x))[:, list(read)]


def interval(values: list[float]) -> dict:
    """Mean and 95 % t-interval."""
    mean, half = float(np.mean(values)), float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return {"value": mean, "low": mean - half, "high": mean + half}


def _both(seed: int):
    data = load()
    return data["test"], trained_layer(seed, data["train"]), trained_regression(seed, data["train"])


def behind_classical() -> dict:
    """Points of test accuracy, quantum minus softmax regression, paired by seed."""
    gaps = []
    for seed in SEEDS:
        (x, y), layer, plain = _both(seed)
        with torch.no_grad():
            gaps.append(100 * (accuracy(layer(x), y) - accuracy(plain(x), y)))
    return interval(gaps)


def cost_of_noise(factor: float = 1) -> dict:
    """Points of test accuracy on yorktown minus noise-free, paired by seed."""
    gaps = []
    for seed in SEEDS:
        (x, y), layer, _ = _both(seed)
        with torch.no_grad():
            gaps.append(100 * (accuracy(on_device(layer, x, "yorktown", factor), y) - accuracy(layer(x), y)))
    return interval(gaps)


def cost_of_triple_noise() -> dict:
    """The same with three times the noise."""
    return cost_of_noise(3)
