"""Exercises of the lab quantum_circuits; its questions are in `questions/quantum_circuits.py`."""

import itertools

import numpy as np
import torch

from tinylib.check.exercise import Exercise, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.exercises.harness import quantum_circuits as harness
from tinylib.exercises.questions.quantum_circuits import QUESTIONS

__all__ = ["EXERCISES", "QUESTIONS"]

TOLERANCE = 1e-10       # complex128; a few hundred roundings


def random_states(rng, batch, n):
    """Complex array [batch, 2, ..., 2], every row of norm 1."""
    a = rng.normal(size=(batch, 2**n)) + 1j * rng.normal(size=(batch, 2**n))
    return (a / np.linalg.norm(a, axis=1, keepdims=True)).reshape(batch, *[2] * n)


def random_unitary(rng, k):
    q, r = np.linalg.qr(rng.normal(size=(2**k, 2**k)) + 1j * rng.normal(size=(2**k, 2**k)))
    return q * (np.diag(r) / np.abs(np.diag(r)))


# 1. apply_gate

X = np.array([[0, 1], [1, 0]], complex)
CX = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], complex)


def gate_case(rng, batch, n, wires, turned=False):
    return {"state": random_states(rng, batch, n), "gate": random_unitary(rng, len(wires)), "wires": list(wires), "turned": turned}


def basis_state(n, index):
    state = np.zeros((1, *[2] * n), complex)
    state.reshape(-1)[index] = 1
    return state


def gate_instances(rng):
    fixed = [{"state": basis_state(1, 0), "gate": X, "wires": [0], "turned": False}, {"state": basis_state(2, 2), "gate": CX, "wires": [0, 1], "turned": False},
             gate_case(rng, 1, 1, [0]), gate_case(rng, 2, 2, [1, 0])]
    drawn = [gate_case(rng, int(rng.integers(1, 4)), n, [int(w) for w in rng.permutation(n)[: int(rng.integers(1, min(n, 3) + 1))]], bool(rng.integers(2)))
             for n in (2, 3, 3, 4)]
    return sorted([*fixed, gate_case(rng, 2, 3, [2, 0]), gate_case(rng, 2, 4, [3, 0, 1], True), *drawn], key=size_of)


def gate_oracle(args):
    """Every amplitude of the result, summed by hand over what the gate's wires were before."""
    state, gate, wires = args["state"], args["gate"], args["wires"]
    n, out = state.ndim - 1, np.zeros_like(state)
    for bits in itertools.product((0, 1), repeat=n):
        row = int("".join(str(bits[w]) for w in wires), 2)
        for column, old in enumerate(itertools.product((0, 1), repeat=len(wires))):
            source = list(bits)
            for w, bit in zip(wires, old):
                source[w] = bit
            out[(slice(None), *bits)] += gate[row, column] * state[(slice(None), *source)]
    return {"state": out, "mutated": False}


def apply_gate(state, gate, wires):
    n, k = state.dim() - 1, len(wires)
    axes = [w + 1 for w in wires]
    front = state.movedim(axes, list(range(1, k + 1)))
    out = (gate @ front.reshape(len(state), 2**k, -1)).reshape(len(state), *[2] * n)
    return out.movedim(list(range(1, k + 1)), axes)


def order_lost(state, gate, wires):
    return apply_gate(state, gate, sorted(wires))


def transposed(state, gate, wires):
    return apply_gate(state, gate.T, wires)


def left_in_front(state, gate, wires):
    n, k = state.dim() - 1, len(wires)
    front = state.movedim([w + 1 for w in wires], list(range(1, k + 1)))
    return (gate @ front.reshape(len(state), 2**k, -1)).reshape(len(state), *[2] * n)


def from_the_right(state, gate, wires):
    n = state.dim() - 1
    return apply_gate(state, gate, [n - 1 - w for w in wires])


APPLY = Exercise(
    "quantum_circuits.apply_gate", 5, 20, harness.apply_gate, gate_instances, gate_oracle,
    (shape_and_dtype("state"), agrees("state", atol=TOLERANCE), no_mutation()),
    (Misconception(left_in_front, "The gate's wires are still in front: move every axis back to where it was."),
     Misconception(order_lost, "The order of the wires is lost. wires = [2, 0] means: wire 2 is the first bit of the gate's index."),
     Misconception(transposed, "Rows and columns of the gate are swapped: new = gate @ old, the gate's columns meet the old amplitudes."),
     Misconception(from_the_right, "Wires are counted from the right here. Wire 0 is axis 1, the first after the batch.")),
    ("Bring the axes of the wires to the front, right behind the batch. `movedim` takes lists.",
     "Then reshape to (batch, 2**k, the rest), multiply, reshape back to (batch, 2, ..., 2).",
     "Undo the move with the two lists exchanged: `out.movedim([1, ..., k], axes)`."), apply_gate)

# 2. u3


def u3_instances(rng):
    fixed = [(0.0, 0.0, 0.0), (np.pi, 0.0, 0.0), (0.0, np.pi / 2, 0.0), (np.pi / 2, 0.0, np.pi), (np.pi / 2, np.pi / 2, 0.0)]
    drawn = [tuple(float(v) for v in rng.uniform(-7, 7, 3)) for _ in range(8)]
    return [{"theta": float(a), "phi": float(b), "lam": float(c)} for a, b, c in fixed + drawn]


def exponential(generator, angle):
    """exp(-i angle/2 G) by its series, sixty terms."""
    term = total = np.eye(2, dtype=complex)
    for j in range(1, 80):
        term = term @ (-0.5j * angle * generator) / j
        total = total + term
    return total


def u3_oracle(args):
    """Rz(phi) Ry(theta) Rz(lambda), each as a power series, times the phase that makes the upper left entry real: e^(i (phi + lambda) / 2)."""
    y, z = np.array([[0, -1j], [1j, 0]]), np.diag([1.0 + 0j, -1])
    product = exponential(z, args["phi"]) @ exponential(y, args["theta"]) @ exponential(z, args["lam"])
    return {"matrix": product * np.exp(0.5j * (args["phi"] + args["lam"]))}


def u3(theta, phi, lam):
    c, s = np.cos(theta / 2), np.sin(theta / 2)
    return torch.tensor([[c, -np.exp(1j * lam) * s], [np.exp(1j * phi) * s, np.exp(1j * (phi + lam)) * c]], dtype=torch.complex128)


def whole_angle(theta, phi, lam):
    return u3(2 * theta, phi, lam)


def phases_swapped(theta, phi, lam):
    return u3(theta, lam, phi)


def other_phase(theta, phi, lam):
    return u3(theta, phi, lam) * np.exp(-0.5j * (phi + lam))


def minus_forgotten(theta, phi, lam):
    return u3(theta, phi, lam) * torch.tensor([[1, -1], [1, 1]])


U3 = Exercise(
    "quantum_circuits.u3", 3, 10, harness.u3, u3_instances, u3_oracle, (shape_and_dtype("matrix"), agrees("matrix", atol=TOLERANCE)),
    (Misconception(whole_angle, "A turn by theta on the Bloch sphere needs the cosine and sine of theta / 2."),
     Misconception(other_phase, "Alone, this gate does the same. But the agreed phase makes the upper left entry real; under a control, one can measure it."),
     Misconception(minus_forgotten, "One of the two sines has a minus sign, or the columns are not orthogonal."),
     Misconception(phases_swapped, "phi belongs to the second row (what |0> gets when it becomes |1>), lambda to the second column.")),
    ("The first column is what |0> becomes: cos(theta/2) and e^(i phi) sin(theta/2).",
     "The second column carries e^(i lambda) and must be orthogonal to the first.",
     "[[c, -e^(i lam) s], [e^(i phi) s, e^(i (phi + lam)) c]], as torch.complex128."), u3)

# 3. expect_pauli


def pauli_instances(rng):
    plus_i = np.array([[1, 1j]]) / np.sqrt(2)
    bell = np.array([[1, 0, 0, 1]]).reshape(1, 2, 2) / np.sqrt(2) + 0j
    fixed = [{"state": basis_state(1, 1), "paulis": "Z"}, {"state": plus_i, "paulis": "Y"}, {"state": bell, "paulis": "XX"}, {"state": bell, "paulis": "YY"}]
    drawn = [{"state": random_states(rng, int(rng.integers(1, 4)), len(p)), "paulis": p}
             for p in ("X", "ZI", "XY", "IZX", "YZI", "".join(rng.permutation(list("XYZI"))))]
    return sorted(fixed + drawn, key=size_of)


def pauli_oracle(args):
    """<psi| P |psi> with the whole matrix of the string."""
    single = {"I": np.eye(2), "X": X, "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}
    matrix = np.eye(1)
    for p in args["paulis"]:
        matrix = np.kron(matrix, single[p])
    rows = args["state"].reshape(len(args["state"]), -1)
    return {"value": np.array([(r.conj() @ matrix @ r).real for r in rows]), "mutated": False}


def expect_pauli(state, paulis, conjugate=True, basis="IXYZ"):
    h = torch.tensor([[1, 1], [1, -1]], dtype=state.dtype) / 2**0.5
    turn = {"X": h, "Y": h @ torch.tensor([[1, 0], [0, -1j if conjugate else 1j]], dtype=state.dtype)}
    signs = torch.ones((), dtype=torch.float64)
    for wire, p in enumerate(paulis):
        if p in turn and p in basis:
            state = apply_gate(state, turn[p], [wire])
        signs = torch.kron(signs, torch.tensor([1.0, 1.0 if p == "I" else -1.0], dtype=torch.float64))
    return (state.abs() ** 2).reshape(len(state), -1) @ signs


def reversed_string(state, paulis):
    return expect_pauli(state, paulis[::-1])


def only_z(state, paulis):
    return expect_pauli(state, paulis, basis="")


def y_like_x(state, paulis):
    return expect_pauli(state, paulis.replace("Y", "X"))


def wrong_sign_of_y(state, paulis):
    return expect_pauli(state, paulis, conjugate=False)


MEASURE = Exercise(
    "quantum_circuits.expect_pauli", 5, 20, harness.expect_pauli, pauli_instances, pauli_oracle,
    (shape_and_dtype("value"), agrees("value", atol=TOLERANCE), no_mutation()),
    (Misconception(only_z, "You measured Z everywhere. For X and Y, first turn the wire so that the question becomes one about Z."),
     Misconception(y_like_x, "Y is not X: before the H of the X case, Y needs S-dagger, diag(1, -i)."),
     Misconception(wrong_sign_of_y, "Y has the wrong sign: S-dagger is diag(1, -i), not diag(1, i). The state (|0> + i |1>) / sqrt 2 must give +1."),
     Misconception(reversed_string, "The first letter belongs to wire 0.")),
    ("Two ways: <psi| P |psi> with P applied wire by wire, or turn each wire to its basis and add up probabilities with signs.",
     "To apply P wire by wire use the matrices of X, Y and Z and any way to act on one axis (einsum, movedim). Then sum conj(state) * acted.",
     "For each letter but I: acted = tensordot of its 2x2 matrix with axis wire + 1, axis moved back. Return (state.conj() * acted).flatten(1).sum(1).real."),
    expect_pauli)

# 4. to_little_endian


def endian_instances(rng):
    fixed = [np.array([[0, 1, 0, 0]], complex), np.eye(8, dtype=complex)[[1]], np.eye(8, dtype=complex)[[6]], np.array([[1, 1j]]) / np.sqrt(2)]
    drawn = [random_states(rng, int(rng.integers(1, 4)), n).reshape(-1, 2**n) for n in (2, 3, 3, 4, 5)]
    return [{"amplitudes": a} for a in sorted(fixed + drawn, key=lambda a: a.size)]


def endian_oracle(args):
    """Write each index in binary and read it backwards."""
    a = args["amplitudes"]
    n, out = a.shape[1].bit_length() - 1, np.zeros_like(a)
    for index in range(a.shape[1]):
        out[:, int(format(index, f"0{n}b")[::-1], 2)] = a[:, index]
    return {"amplitudes": out, "mutated": False}


def to_little_endian(amplitudes):
    n = amplitudes.shape[1].bit_length() - 1
    return amplitudes.reshape(-1, *[2] * n).permute(0, *range(n, 0, -1)).reshape(amplitudes.shape)


def flipped(amplitudes):
    return amplitudes.flip(1)


def one_wire_moved(amplitudes):
    return amplitudes.reshape(len(amplitudes), 2, -1).transpose(1, 2).reshape(amplitudes.shape)


def ends_swapped(amplitudes):
    n = amplitudes.shape[1].bit_length() - 1
    return amplitudes.reshape(-1, *[2] * n).transpose(1, n).reshape(amplitudes.shape)


ENDIAN = Exercise(
    "quantum_circuits.to_little_endian", 3, 10, harness.to_little_endian, endian_instances, endian_oracle,
    (shape_and_dtype("amplitudes"), agrees("amplitudes"), no_mutation()),
    (Misconception(flipped, "That turns every bit over (index i becomes 2^n - 1 - i). The bits keep their values; their order is reversed."),
     Misconception(one_wire_moved, "That moves one wire to the other end. With three wires, the middle one shows the difference."),
     Misconception(ends_swapped, "Only the first and the last wire changed places. All must be reversed.")),
    ("Which index does |100> have when the first bit counts most? And when it counts least?", "Give every wire its own axis: reshape to (batch, 2, ..., 2).",
     "Then permute to the batch axis followed by the wires in reverse, and flatten again."), to_little_endian)

EXERCISES = (APPLY, U3, MEASURE, ENDIAN)
