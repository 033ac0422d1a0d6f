"""How a circuit is cut into stages for the fast path, and which gates only relabel or only turn phases."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tinylib.quantum.circuit import Circuit
from tinylib.quantum.gates import gate


@dataclass
class Stage:
    """One-wire gates by wire, then many-wire gates, as operation numbers."""

    product: dict[int, list[int]] = field(default_factory=dict)
    entangle: list[int] = field(default_factory=list)


def schedule(circuit: Circuit) -> list[Stage]:
    """As early as possible: a one-wire gate joins the stage its wire has reached, a many-wire gate the latest of its wires."""
    stages, reached, entangled = [Stage()], [0] * circuit.n_wires, [False] * circuit.n_wires
    for number, operation in enumerate(circuit.operations):
        level = max(reached[w] + (entangled[w] and len(operation.wires) == 1) for w in operation.wires)
        while level >= len(stages):
            stages.append(Stage())
        for w in operation.wires:
            reached[w], entangled[w] = level, len(operation.wires) > 1
        if len(operation.wires) == 1:
            stages[level].product.setdefault(operation.wires[0], []).append(number)
        else:
            stages[level].entangle.append(number)
    return stages


def permutation_of(name: str, wires: tuple[int, ...], n_wires: int) -> Tensor | None:
    """[2^n] `index` with new_state = state[index] when the gate only relabels basis states, else None."""
    g = gate(name)
    if g.n_angles:
        return None
    small = g.matrix(torch.zeros(0, dtype=torch.float64))
    if not torch.equal(small, small.real.round().clamp(0, 1).to(small.dtype)):
        return None
    source = small.real.argmax(dim=1)
    labels = torch.arange(2**n_wires)
    bits = torch.stack([(labels >> (n_wires - 1 - w)) & 1 for w in wires])
    weights = 2 ** torch.arange(len(wires) - 1, -1, -1)
    target = source[(bits * weights[:, None]).sum(0)]
    for position, w in enumerate(wires):
        bit = (target >> (len(wires) - 1 - position)) & 1
        labels = (labels & ~(1 << (n_wires - 1 - w))) | (bit << (n_wires - 1 - w))
    return labels


def phase_pattern(name: str, wires: tuple[int, ...], n_wires: int) -> Tensor | None:
    """[2^n] phase of each basis state per radian of the gate's angle (of the gate itself when it has none), or None when it is not diagonal."""
    g = gate(name)
    if not g.diagonal:
        return None
    small = g.matrix(torch.ones(g.n_angles, dtype=torch.float64)).diagonal().angle()
    labels = torch.arange(2**n_wires)
    index = sum(((labels >> (n_wires - 1 - w)) & 1) << (len(wires) - 1 - p) for p, w in enumerate(wires))
    return small[index]
