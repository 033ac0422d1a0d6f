"""A second, differently written right answer for each exercise of `quantum_circuits`."""

import torch


def apply_gate(state, gate, wires):
    n, k = state.dim() - 1, len(wires)
    small = gate.reshape([2] * (2 * k))
    out = torch.tensordot(small, state, dims=(list(range(k, 2 * k)), [w + 1 for w in wires]))
    rest = [a for a in range(n + 1) if a - 1 not in wires]
    order = [w + 1 for w in wires] + rest
    return out.permute([order.index(a) for a in range(n + 1)])


def u3(theta, phi, lam):
    half = torch.tensor(theta / 2, dtype=torch.float64)
    rotation = torch.stack([half.cos(), -half.sin(), half.sin(), half.cos()]).reshape(2, 2)
    phase = lambda angle: torch.polar(torch.ones(2, dtype=torch.float64), torch.tensor([0.0, angle], dtype=torch.float64)).diag()
    return phase(phi) @ rotation.to(torch.complex128) @ phase(lam)


def expect_pauli(state, paulis):
    table = {"X": [[0, 1], [1, 0]], "Y": [[0, -1j], [1j, 0]], "Z": [[1, 0], [0, -1]]}
    acted = state
    for wire, p in enumerate(paulis):
        if p != "I":
            acted = torch.tensordot(torch.tensor(table[p], dtype=state.dtype), acted, dims=([1], [wire + 1])).movedim(0, wire + 1)
    return (state.conj() * acted).flatten(1).sum(1).real


def to_little_endian(amplitudes):
    n = amplitudes.shape[1].bit_length() - 1
    index = torch.arange(2**n)
    back = sum(((index >> i) & 1) << (n - 1 - i) for i in range(n))
    return amplitudes[:, back]


ALTERNATIVES = {
    "quantum_circuits.apply_gate": apply_gate,
    "quantum_circuits.u3": u3,
    "quantum_circuits.expect_pauli": expect_pauli,
    "quantum_circuits.to_little_endian": to_little_endian,
}
