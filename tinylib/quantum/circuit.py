"""Circuits as data: gates on wires, and angles that are linear in trainable weights and in input features.

Each gate angle is one *slot*. All slots of a circuit form a vector: angles = offset + weights @ W + features @ F. So a weight may sit in many gates,
scaled or shifted, and whoever wants to move one slot alone (parameter shift does) adds to that column. `run_angles` is the path to read;
`fusion.compile_circuit` is the fast one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.quantum.gates import complex_of, gate
from tinylib.quantum.state import apply_matrix, apply_matrix_density, density, zero_state


@dataclass(frozen=True)
class Angle:
    """offset + sum of scale * weights[i] + sum of scale * features[j], in radians."""

    weights: tuple[tuple[int, float], ...] = ()
    features: tuple[tuple[int, float], ...] = ()
    offset: float = 0.0


def weight(index: int, scale: float = 1.0, offset: float = 0.0) -> Angle:
    """An angle that is trained."""
    return Angle(weights=((index, scale),), offset=offset)


def feature(index: int, scale: float = 1.0, offset: float = 0.0) -> Angle:
    """An angle that carries input."""
    return Angle(features=((index, scale),), offset=offset)


@dataclass(frozen=True)
class Operation:
    """One gate on some wires; `angles` has one entry for each of the gate's angles."""

    name: str
    wires: tuple[int, ...]
    angles: tuple[Angle, ...] = ()


def op(name: str, *wires: int, angles: Sequence[Angle | float] = ()) -> Operation:
    """`op("cx", 0, 1)`, `op("ry", 2, angles=[weight(0)])`, `op("rz", 1, angles=[0.3])`."""
    g = gate(name)
    if len(wires) != g.n_wires or len(set(wires)) != len(wires):
        raise TinylibError(f"Gate {name} needs {g.n_wires} different wires, got {wires}.")
    if len(angles) != g.n_angles:
        raise TinylibError(f"Gate {name} takes {g.n_angles} angles, got {len(angles)}.")
    return Operation(name, tuple(wires), tuple(a if isinstance(a, Angle) else Angle(offset=float(a)) for a in angles))


@dataclass(frozen=True)
class Circuit:
    """Gates in the order in which they act, on `n_wires` wires that start in |0>."""

    n_wires: int
    operations: tuple[Operation, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        for operation in self.operations:
            if max(operation.wires) >= self.n_wires or min(operation.wires) < 0:
                raise TinylibError(f"{operation.name} acts on wires {operation.wires}, the circuit has wires 0 to {self.n_wires - 1}.")

    def __add__(self, other: "Circuit") -> "Circuit":
        """First this circuit, then the other; weight numbers are kept as they are."""
        return Circuit(max(self.n_wires, other.n_wires), self.operations + other.operations)

    @cached_property
    def slots(self) -> tuple[tuple[int, int, Angle], ...]:
        """(operation number, position in the gate, angle) of every slot, in order."""
        return tuple((i, j, a) for i, o in enumerate(self.operations) for j, a in enumerate(o.angles))

    @cached_property
    def first_slot(self) -> tuple[int, ...]:
        """Number of the first slot of each operation."""
        starts, total = [], 0
        for operation in self.operations:
            starts.append(total)
            total += len(operation.angles)
        return tuple(starts)

    @cached_property
    def n_weights(self) -> int:
        return 1 + max((i for _, _, a in self.slots for i, _ in a.weights), default=-1)

    @cached_property
    def n_features(self) -> int:
        return 1 + max((i for _, _, a in self.slots for i, _ in a.features), default=-1)

    @cached_property
    def linear_map(self) -> tuple[Tensor, Tensor, Tensor]:
        """(W [n_weights, n_slots], F [n_features, n_slots], offset [n_slots]) in float64."""
        n = len(self.slots)
        w, f = torch.zeros(self.n_weights, n, dtype=torch.float64), torch.zeros(self.n_features, n, dtype=torch.float64)
        for s, (_, _, angle) in enumerate(self.slots):
            for i, scale in angle.weights:
                w[i, s] += scale
            for i, scale in angle.features:
                f[i, s] += scale
        return w, f, torch.tensor([a.offset for _, _, a in self.slots], dtype=torch.float64)

    def angles(self, weights: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """All slots [b, n_slots] from weights [n_weights] or [b, n_weights] and features [b, n_features]; b is 1 when neither has a batch."""
        w, f, offset = self.linear_map
        if self.n_weights and (weights is None or weights.shape[-1] < self.n_weights):
            raise TinylibError(f"The circuit needs {self.n_weights} weights, got {None if weights is None else weights.shape[-1]}.")
        if self.n_features and (features is None or features.shape[-1] < self.n_features):
            raise TinylibError(f"The circuit needs {self.n_features} features a sample, got {None if features is None else features.shape[-1]}.")
        dtype = next((t.dtype for t in (weights, features) if t is not None), torch.float64)
        slots = offset.to(dtype)[None]
        if self.n_weights:
            slots = slots + torch.atleast_2d(weights)[:, : self.n_weights] @ w.to(dtype)
        if self.n_features:
            slots = slots + torch.atleast_2d(features)[:, : self.n_features] @ f.to(dtype)
        return slots


def gate_matrix(circuit: Circuit, number: int, angles: Tensor) -> Tensor:
    """Matrix of one operation: [2^k, 2^k] when it has no angle, else [b, 2^k, 2^k] from the slots [b, n_slots]."""
    g, start = gate(circuit.operations[number].name), circuit.first_slot[number]
    return g.matrix(angles[:, start : start + g.n_angles] if g.n_angles else angles[0, :0])


def run_angles(circuit: Circuit, angles: Tensor, state: Tensor | None = None) -> Tensor:
    """Gate by gate: slots [b, n_slots] -> states [b, 2, ..., 2]."""
    if state is None:
        state = zero_state(circuit.n_wires, angles.shape[0], complex_of(angles.dtype))
    for number, operation in enumerate(circuit.operations):
        state = apply_matrix(state, gate_matrix(circuit, number, angles), operation.wires)
    return state


def run(circuit: Circuit, weights: Tensor | None = None, features: Tensor | None = None, state: Tensor | None = None) -> Tensor:
    """States [b, 2, ..., 2] of the circuit, gate by gate; differentiable in weights and features."""
    return run_angles(circuit, circuit.angles(weights, features), state)


def run_density(circuit: Circuit, angles: Tensor, rho: Tensor | None = None) -> Tensor:
    """The same without noise on density matrices: slots [b, n_slots] -> [b, 2, ..., 2] with 2n axes."""
    if rho is None:
        rho = density(zero_state(circuit.n_wires, angles.shape[0], complex_of(angles.dtype)))
    for number, operation in enumerate(circuit.operations):
        rho = apply_matrix_density(rho, gate_matrix(circuit, number, angles), operation.wires)
    return rho


def rotation_layer(n_wires: int, name: str, first_weight: int = 0) -> Circuit:
    """One trained gate of a kind on every wire; its angles take the next free weights in order."""
    k = gate(name).n_angles
    return Circuit(n_wires, tuple(op(name, q, angles=[weight(first_weight + q * k + j) for j in range(k)]) for q in range(n_wires)))


def ring(n_wires: int, name: str = "cx", first_weight: int = 0) -> Circuit:
    """A two-wire gate on (0, 1), (1, 2), ..., (n - 1, 0); no last link for two wires, nothing for one."""
    k, links = gate(name).n_angles, [(q, (q + 1) % n_wires) for q in range(n_wires if n_wires > 2 else n_wires - 1)]
    return Circuit(n_wires, tuple(op(name, *link, angles=[weight(first_weight + i * k + j) for j in range(k)]) for i, link in enumerate(links)))


def stack(n_wires: int, names: Sequence[str], first_weight: int = 0) -> Circuit:
    """Layers one after the other: a one-wire gate makes a rotation layer, a two-wire gate a ring; every angle its own weight."""
    circuit = Circuit(n_wires)
    for name in names:
        layer = (rotation_layer if gate(name).n_wires == 1 else ring)(n_wires, name, first_weight)
        circuit, first_weight = circuit + layer, first_weight + len(layer.slots)
    return circuit


def encoder(n_wires: int, names: Sequence[str], scale: float = math.pi) -> Circuit:
    """Angle encoding: feature j turns wire j mod n by gate names[j // n]; `["ry", "rz", "rx", "ry"]` on 4 wires takes a 4 x 4 image."""
    return Circuit(n_wires, tuple(op(name, q, angles=[feature(i * n_wires + q, scale)]) for i, name in enumerate(names) for q in range(n_wires)))
