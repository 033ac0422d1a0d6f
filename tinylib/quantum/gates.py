"""Gates as data: a name, how many wires and angles, the matrix as a function of the angles, and the rule that differentiates it.

Matrices follow qiskit's conventions for phases (so U3 has a real upper left entry), in our bit order: the first wire is the most significant bit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError


@dataclass(frozen=True)
class Gate:
    """One kind of gate.

    `matrix(angles)`: real angles [..., n_angles] -> complex [..., 2^k, 2^k]. `shifts`: for each angle 2 or 4, the number of shifted circuits that give
    its exact derivative (parameter shift). `diagonal`: whether the matrix is diagonal for every angle.
    """

    name: str
    n_wires: int
    n_angles: int
    matrix: Callable[[Tensor], Tensor]
    shifts: tuple[int, ...] = ()
    diagonal: bool = False


def complex_of(dtype: torch.dtype) -> torch.dtype:
    """Complex type of the same precision."""
    return {torch.float32: torch.complex64, torch.float64: torch.complex128}[dtype]


def _square(*entries: Tensor) -> Tensor:
    side = math.isqrt(len(entries))
    parts = torch.broadcast_tensors(*entries)
    return torch.stack(parts, dim=-1).reshape(*parts[0].shape, side, side)


def _phase(angle: Tensor) -> Tensor:
    return torch.complex(angle.cos(), angle.sin())


def _constant(rows: list[list[complex]]) -> Callable[[Tensor], Tensor]:
    values = torch.tensor(rows, dtype=torch.complex128)
    return lambda angles: values.to(complex_of(angles.dtype)).expand(*angles.shape[:-1], *values.shape)


def _u3(angles: Tensor) -> Tensor:
    """[..., 3] (theta, phi, lambda) -> [[cos, -e^(i lambda) sin], [e^(i phi) sin, e^(i (phi + lambda)) cos]] of theta / 2."""
    theta, phi, lam = (angles / torch.tensor([2.0, 1.0, 1.0], dtype=angles.dtype)).unbind(-1)
    c, s = theta.cos(), theta.sin()
    zero = torch.zeros_like(c)
    return _square(torch.complex(c, zero), -_phase(lam) * s, _phase(phi) * s, _phase(phi + lam) * c)


def _u2(angles: Tensor) -> Tensor:
    phi, lam = angles.unbind(-1)
    return _u3(torch.stack([torch.full_like(phi, math.pi / 2), phi, lam], dim=-1))


def _rotation(generator: list[list[complex]]) -> Callable[[Tensor], Tensor]:
    """exp(-i angle/2 G) = cos(angle/2) 1 - i sin(angle/2) G for any G with G G = 1."""
    g = -1j * torch.tensor(generator, dtype=torch.complex128)
    one = torch.eye(g.shape[0], dtype=torch.complex128)

    def matrix(angles: Tensor) -> Tensor:
        half = angles[..., 0, None, None] / 2
        dtype = complex_of(angles.dtype)
        return half.cos() * one.to(dtype) + half.sin() * g.to(dtype)

    return matrix


def _p(angles: Tensor) -> Tensor:
    one = torch.ones_like(angles[..., 0])
    zero = torch.zeros_like(one)
    return torch.diag_embed(torch.stack([torch.complex(one, zero), _phase(angles[..., 0])], dim=-1))


def _controlled(matrix: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The first wire switches the gate on: identity in the upper left block, the matrix in the lower right."""

    def controlled(angles: Tensor) -> Tensor:
        inner = matrix(angles)
        side = inner.shape[-1]
        mask = torch.zeros(2 * side, 2 * side, dtype=inner.dtype)
        mask[:side, :side] = torch.eye(side)
        return mask + torch.nn.functional.pad(inner, (side, 0, side, 0))

    return controlled


def _kron(a: list[list[complex]], b: list[list[complex]]) -> list[list[complex]]:
    return torch.kron(torch.tensor(a, dtype=torch.complex128), torch.tensor(b, dtype=torch.complex128)).tolist()


R = 1 / math.sqrt(2)
PAULI = {"I": [[1, 0], [0, 1]], "X": [[0, 1], [1, 0]], "Y": [[0, -1j], [1j, 0]], "Z": [[1, 0], [0, -1]]}
_FIXED = {
    "id": PAULI["I"], "x": PAULI["X"], "y": PAULI["Y"], "z": PAULI["Z"], "h": [[R, R], [R, -R]],
    "s": [[1, 0], [0, 1j]], "sdg": [[1, 0], [0, -1j]], "t": [[1, 0], [0, R + R * 1j]], "tdg": [[1, 0], [0, R - R * 1j]],
    "sx": [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]], "sxdg": [[0.5 - 0.5j, 0.5 + 0.5j], [0.5 + 0.5j, 0.5 - 0.5j]],
    "swap": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
    "iswap": [[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]],
}
_ROTATIONS = {"rx": "X", "ry": "Y", "rz": "Z", "rxx": "XX", "ryy": "YY", "rzz": "ZZ", "rzx": "ZX"}


def _table() -> dict[str, Gate]:
    gates = {}

    def add(name: str, n_wires: int, n_angles: int, matrix: Callable, shifts: tuple[int, ...] = (), diagonal: bool = False) -> None:
        gates[name] = Gate(name, n_wires, n_angles, matrix, shifts, diagonal)

    for name, rows in _FIXED.items():
        add(name, len(rows).bit_length() - 1, 0, _constant(rows), diagonal=name in {"id", "z", "s", "sdg", "t", "tdg"})
    for name, paulis in _ROTATIONS.items():
        generator = PAULI[paulis] if len(paulis) == 1 else _kron(PAULI[paulis[0]], PAULI[paulis[1]])
        add(name, len(paulis), 1, _rotation(generator), (2,), diagonal=set(paulis) == {"Z"})
    add("p", 1, 1, _p, (2,), diagonal=True)
    add("u2", 1, 2, _u2, (2, 2))
    add("u3", 1, 3, _u3, (2, 2, 2))
    for name, inner in {"cx": "x", "cy": "y", "cz": "z", "ch": "h", "crx": "rx", "cry": "ry", "crz": "rz", "cp": "p", "cu3": "u3",
                        "ccx": "cx", "ccz": "cz", "cswap": "swap"}.items():
        base = gates[inner]
        shifts = {"cp": (2,), "cu3": (4, 2, 2)}.get(name, (4,) * base.n_angles)
        add(name, base.n_wires + 1, base.n_angles, _controlled(base.matrix), shifts, base.diagonal)
    return gates


GATES: dict[str, Gate] = _table()


def gate(name: str) -> Gate:
    """The gate of that name, or one clear error."""
    if name not in GATES:
        raise TinylibError(f"No gate named {name!r}. Known gates: {', '.join(sorted(GATES))}.")
    return GATES[name]


def matrix(name: str, *angles: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """One gate's matrix [2^k, 2^k] for given angles in radians."""
    g = gate(name)
    if len(angles) != g.n_angles:
        raise TinylibError(f"Gate {name} takes {g.n_angles} angles, got {len(angles)}.")
    return g.matrix(torch.tensor(angles, dtype=dtype))
