"""Private instances of `quantum_circuits`. Public here, because this copy is for self-study; a class keeps its own."""

from tinylib.check.facts import size_of
from tinylib.exercises.quantum_circuits import gate_case, random_states


def gates(rng):
    cases = [gate_case(rng, 3, 3, [2, 0], True), gate_case(rng, 1, 5, [4, 1, 2]),
             gate_case(rng, 2, 4, [2, 3]), gate_case(rng, 2, 5, [0]), gate_case(rng, 1, 1, [0])]
    return sorted(cases, key=size_of)


def angles(rng):
    return [{"theta": float(a), "phi": float(b), "lam": float(c)} for a, b, c in rng.uniform(-12, 12, (10, 3))]


def strings(rng):
    cases = [{"state": random_states(rng, int(rng.integers(1, 4)), len(p)), "paulis": p} for p in ("Y", "YX", "IIX", "ZYX", "XIYZ", "YYIXZ")]
    return sorted(cases, key=size_of)


def orders(rng):
    return [{"amplitudes": random_states(rng, int(rng.integers(1, 4)), n).reshape(-1, 2**n)} for n in (1, 3, 4, 6)]


INSTANCES = {
    "quantum_circuits.apply_gate": gates,
    "quantum_circuits.u3": angles,
    "quantum_circuits.expect_pauli": strings,
    "quantum_circuits.to_little_endian": orders,
}
