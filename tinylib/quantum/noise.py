"""Noise of real devices: channels as superoperators, three devices as data, circuits run on density matrices.

A channel on k wires is a matrix [4^k, 4^k] that acts on the row-major vector of the 2^k x 2^k density matrix.
The device model is the usual one (Qiskit Aer builds the same): after each gate, depolarising noise and then relaxation of every wire for the gate's
duration, with the depolarising strength chosen so that both together have the gate's calibrated average fidelity; misreading at the end.
It leaves out crosstalk, leakage, drift and idle time.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir
from tinylib.quantum.circuit import Circuit, gate_matrix
from tinylib.quantum.gates import complex_of
from tinylib.quantum.readout import expect_z_of, misread, probabilities_density
from tinylib.quantum.state import apply_superoperator, density, zero_state

DEVICES = ("lima", "santiago", "yorktown")


def superoperator_of_matrix(u: Tensor) -> Tensor:
    """rho -> U rho U^dagger as a superoperator: [..., d, d] -> [..., d^2, d^2], the Kronecker product of U and its conjugate."""
    d = u.shape[-1]
    return (u[..., :, None, :, None] * u.conj()[..., None, :, None, :]).reshape(*u.shape[:-2], d * d, d * d)


def superoperator_of_kraus(kraus: Sequence[Tensor]) -> Tensor:
    """rho -> sum of K rho K^dagger."""
    return sum(superoperator_of_matrix(k) for k in kraus)


def depolarizing(probability: float, n_wires: int = 1) -> Tensor:
    """With this probability the wires are replaced by the fully mixed state."""
    d = 2**n_wires
    mixed = torch.eye(d, dtype=torch.complex128).flatten()
    return (1 - probability) * torch.eye(d * d, dtype=torch.complex128) + probability / d * mixed[:, None] * mixed[None, :]


def relaxation(duration: float, t1: float, t2: float) -> Tensor:
    """One wire left alone for `duration`: |1> decays to |0> with time constant t1, coherence with t2 (at most 2 t1; larger values are cut)."""
    alive, coherent = torch.exp(torch.tensor([-duration / t1, -duration / min(t2, 2 * t1)], dtype=torch.float64)).tolist()
    return torch.tensor([[1, 0, 0, 1 - alive], [0, coherent, 0, 0], [0, 0, coherent, 0], [0, 0, 0, alive]], dtype=torch.complex128)


def pauli_channel(p_x: float, p_y: float, p_z: float) -> Tensor:
    """One wire suffers X, Y or Z with the given probabilities."""
    from tinylib.quantum.gates import PAULI
    weights = {"I": 1 - p_x - p_y - p_z, "X": p_x, "Y": p_y, "Z": p_z}
    if min(weights.values()) < 0:
        raise TinylibError(f"Probabilities {p_x}, {p_y}, {p_z} must be at least 0 and sum to at most 1.")
    return sum(p * superoperator_of_matrix(torch.tensor(PAULI[k], dtype=torch.complex128)) for k, p in weights.items())


def side_by_side(channels: Sequence[Tensor]) -> Tensor:
    """One-wire channels [4, 4] or [b, 4, 4] on k different wires as one channel [..., 4^k, 4^k] in row-major order of the joint matrix."""
    joint, k = channels[0], len(channels)
    for channel in channels[1:]:
        pairs = joint[..., :, None, :, None] * channel[..., None, :, None, :]
        joint = pairs.reshape(*pairs.shape[:-4], joint.shape[-1] * 4, joint.shape[-1] * 4)
    order = [*range(0, 2 * k, 2), *range(1, 2 * k, 2)]      # (row, column) pairs per wire -> all rows, then all columns
    lead = joint.dim() - 2
    split = joint.reshape(*joint.shape[:-2], *[2] * (4 * k))
    return split.permute(*range(lead), *(lead + a for a in order), *(lead + 2 * k + a for a in order)).reshape(joint.shape)


def average_fidelity(superoperator: Tensor) -> float:
    """Mean over all pure states of how much of the state survives the channel: (tr S / d + 1) / (d + 1)."""
    d = round(superoperator.shape[-1] ** 0.5)
    return (superoperator.diagonal().sum().real.item() / d + 1) / (d + 1)


@dataclass(frozen=True)
class Device:
    """Calibration of one machine. Times in ns; `gates` maps (name, wires) to (error, duration_ns); `confusion[q]` is P(read | prepared)."""

    name: str
    n_wires: int
    basis: tuple[str, ...]
    couplings: tuple[tuple[int, int], ...]
    t1_ns: tuple[float, ...]
    t2_ns: tuple[float, ...]
    gates: dict[tuple[str, tuple[int, ...]], tuple[float, float]]
    confusion: tuple[tuple[tuple[float, float], tuple[float, float]], ...]

    def scaled(self, factor: float) -> "Device":
        """The same machine with all noise `factor` times as strong (0: none): errors and rates multiplied, capped where they stop being physical."""
        gates = {k: (min(e * factor, 0.5), d) for k, (e, d) in self.gates.items()}
        slower = 1 / max(factor, 1e-12)
        confusion = tuple(tuple((1 - f, f) if i == 0 else (f, 1 - f) for i, f in enumerate((min(c[0][1] * factor, 0.5), min(c[1][0] * factor, 0.5))))
                          for c in self.confusion)
        return replace(self, gates=gates, t1_ns=tuple(t * slower for t in self.t1_ns), t2_ns=tuple(t * slower for t in self.t2_ns), confusion=confusion)

    def channel(self, name: str, wires: tuple[int, ...]) -> Tensor | None:
        """What follows the gate on these physical wires, or None for a gate done in software (rz)."""
        if (name, wires) not in self.gates:
            raise TinylibError(f"{self.name} has no {name} on wires {wires}: transpile the circuit for it first (quantum.convert).")
        error, duration = self.gates[name, wires]
        if not error and not duration:
            return None
        relax = side_by_side([relaxation(duration, self.t1_ns[w], self.t2_ns[w]) for w in wires])
        d, fidelity = 2 ** len(wires), average_fidelity(relax)
        missing = min(error, d / (d + 1)) - (1 - fidelity)
        strength = d * missing / (d * fidelity - 1) if missing > 0 else 0.0
        return relax @ depolarizing(min(strength, 4 ** len(wires) / (4 ** len(wires) - 1)), len(wires))


def load_device(name: str) -> Device:
    """One of the snapshots in `data/devices/` ("lima", "santiago", "yorktown")."""
    path = data_dir() / "devices" / f"{name}.json"
    if not path.is_file():
        raise TinylibError(f"No device {name!r} in {path.parent}. Known: {', '.join(DEVICES)}.")
    d = json.loads(path.read_text())
    confusion = tuple(((1 - q["read_1_prepared_0"], q["read_1_prepared_0"]), (q["read_0_prepared_1"], 1 - q["read_0_prepared_1"])) for q in d["qubits"])
    gates = {(g["name"], tuple(g["wires"])): (g["error"], g["duration_ns"]) for g in d["gates"]}
    return Device(name, len(d["qubits"]), tuple(d["basis"]), tuple(map(tuple, d["couplings"])), tuple(q["t1_ns"] for q in d["qubits"]),
                  tuple(q["t2_ns"] for q in d["qubits"]), gates, confusion)


@dataclass(frozen=True)
class NoisyMachine:
    """A device and where the circuit's wires lie on it: wire w of the circuit is the device's wire mapping[w]."""

    device: Device
    mapping: tuple[int, ...]

    def run(self, circuit: Circuit, angles: Tensor) -> Tensor:
        """Slots [b, n_slots] -> density matrices [b, 2, ..., 2]; every gate is followed by the device's channel for it."""
        rho = density(zero_state(circuit.n_wires, angles.shape[0], complex_of(angles.dtype)))
        for number, operation in enumerate(circuit.operations):
            rho = apply_superoperator(rho, self._step(circuit, number, angles), operation.wires)
        return rho

    def run_fused(self, circuit: Circuit, angles: Tensor) -> Tensor:
        """The same, faster: gates on one wire are multiplied up and applied together with the next gate on two wires."""
        rho = density(zero_state(circuit.n_wires, angles.shape[0], complex_of(angles.dtype)))
        waiting: dict[int, Tensor] = {}
        for number, operation in enumerate(circuit.operations):
            step, wires = self._step(circuit, number, angles), operation.wires
            if len(wires) == 1:
                waiting[wires[0]] = step @ waiting[wires[0]] if wires[0] in waiting else step
                continue
            first = [waiting.pop(w, torch.eye(4, dtype=rho.dtype)) for w in wires]
            rho = apply_superoperator(rho, step @ side_by_side(first), wires)
        for wire, step in waiting.items():
            rho = apply_superoperator(rho, step, (wire,))
        return rho

    def _step(self, circuit: Circuit, number: int, angles: Tensor) -> Tensor:
        """Superoperator of one gate with its noise: [4^k, 4^k] when the gate has no angle, else [b, 4^k, 4^k]."""
        operation = circuit.operations[number]
        channel = self._channel(operation.name, tuple(self.mapping[w] for w in operation.wires))
        step = superoperator_of_matrix(gate_matrix(circuit, number, angles))
        return step if channel is None else channel.to(step.dtype) @ step

    @cached_property
    def _channels(self) -> dict:
        return {}

    def _channel(self, name: str, wires: tuple[int, ...]) -> Tensor | None:
        if (name, wires) not in self._channels:
            self._channels[name, wires] = self.device.channel(name, wires)
        return self._channels[name, wires]

    def probabilities(self, circuit: Circuit, angles: Tensor) -> Tensor:
        """Probability of each *read* outcome [b, 2^n], misreading included."""
        confusion = torch.tensor([self.device.confusion[q] for q in self.mapping[: circuit.n_wires]], dtype=angles.dtype)
        return misread(probabilities_density(self.run_fused(circuit, angles)), confusion)

    def expect_z(self, circuit: Circuit, angles: Tensor) -> Tensor:
        """<Z> of every wire as the machine reads it [b, n], without shot noise."""
        return expect_z_of(self.probabilities(circuit, angles))
