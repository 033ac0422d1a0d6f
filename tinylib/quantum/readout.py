"""What a measurement gives: probabilities, Pauli expectations, counts from finitely many shots, readout errors."""

from collections.abc import Mapping

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.quantum.gates import PAULI
from tinylib.quantum.state import apply_matrix, density_as_matrix


def probabilities(state: Tensor) -> Tensor:
    """State [b, 2, ..., 2] -> probability of each outcome [b, 2^n]; index with wire 0 as the most significant bit."""
    flat = state.flatten(1)
    return flat.real**2 + flat.imag**2


def probabilities_density(rho: Tensor) -> Tensor:
    """Density matrix [b, 2, ..., 2] -> [b, 2^n]: the diagonal."""
    return density_as_matrix(rho).diagonal(dim1=1, dim2=2).real


def z_signs(n_wires: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """[2^n, n]: +1 where the wire's bit is 0, -1 where it is 1."""
    bits = (torch.arange(2**n_wires)[:, None] >> torch.arange(n_wires - 1, -1, -1)) & 1
    return (1 - 2 * bits).to(dtype)


def expect_z_of(probs: Tensor) -> Tensor:
    """Outcome probabilities (or frequencies) [b, 2^n] -> <Z> of every wire [b, n]."""
    n_wires = probs.shape[1].bit_length() - 1
    return probs @ z_signs(n_wires, probs.dtype)


def expect_z(state: Tensor) -> Tensor:
    """State [b, 2, ..., 2] -> <Z> of every wire [b, n], each between -1 and 1."""
    return expect_z_of(probabilities(state))


def _factors(paulis: str, n_wires: int) -> list[tuple[int, str]]:
    if len(paulis) != n_wires or set(paulis) - set("IXYZ"):
        raise TinylibError(f"{paulis!r} must have one of I, X, Y, Z for each of the {n_wires} wires; wire 0 comes first.")
    return [(w, p) for w, p in enumerate(paulis) if p != "I"]


def expect_pauli(state: Tensor, paulis: str) -> Tensor:
    """<psi| P |psi> [b] of a Pauli string such as "XIZ", wire 0 first."""
    acted = state
    for wire, p in _factors(paulis, state.dim() - 1):
        acted = apply_matrix(acted, torch.tensor(PAULI[p], dtype=state.dtype), [wire])
    return (state.conj() * acted).flatten(1).sum(1).real


def expect_pauli_density(rho: Tensor, paulis: str) -> Tensor:
    """tr(P rho) [b]."""
    acted = rho
    for wire, p in _factors(paulis, (rho.dim() - 1) // 2):
        acted = apply_matrix(acted, torch.tensor(PAULI[p], dtype=rho.dtype), [wire])
    return density_as_matrix(acted).diagonal(dim1=1, dim2=2).sum(1).real


def expect_sum(state: Tensor, terms: Mapping[str, float]) -> Tensor:
    """<H> [b] of a weighted sum of Pauli strings, such as a molecule's energy."""
    return sum(value * expect_pauli(state, paulis) for paulis, value in terms.items())


def expect_sum_density(rho: Tensor, terms: Mapping[str, float]) -> Tensor:
    """tr(H rho) [b]."""
    return sum(value * expect_pauli_density(rho, paulis) for paulis, value in terms.items())


def parity(probs: Tensor, paulis: str) -> Tensor:
    """Mean [b] of the product of signs (+1 for 0, -1 for 1) over the wires whose letter is not I, from probabilities or frequencies [b, 2^n]."""
    n_wires = probs.shape[1].bit_length() - 1
    wires = [w for w, _ in _factors(paulis, n_wires)]
    return probs @ z_signs(n_wires, probs.dtype)[:, wires].prod(dim=1)


def pauli_matrix(paulis: str, dtype: torch.dtype = torch.complex128) -> Tensor:
    """The whole matrix [2^n, 2^n] of a Pauli string; for exact diagonalisation of small systems."""
    result = torch.ones(1, 1, dtype=dtype)
    for p in paulis:
        result = torch.kron(result, torch.tensor(PAULI[p], dtype=dtype))
    return result


def to_measured_basis(state: Tensor, paulis: str) -> Tensor:
    """Turn the state so that measuring bits measures the string: H for X, S-dagger then H for Y. The string's value is then the product of signs."""
    h = torch.tensor([[1, 1], [1, -1]], dtype=state.dtype) / 2**0.5
    turn = {"X": h, "Y": h @ torch.tensor([[1, 0], [0, -1j]], dtype=state.dtype)}
    for wire, p in _factors(paulis, state.dim() - 1):
        state = apply_matrix(state, turn[p], [wire]) if p != "Z" else state
    return state


def sample_counts(probs: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Counts of each outcome [b, 2^n] after `shots` measurements; each row sums to `shots`."""
    if shots < 1:
        raise TinylibError(f"shots must be at least 1, got {shots}.")
    clean = probs.detach().clamp(min=0)
    outcomes = torch.multinomial(clean.to(torch.float64), shots, replacement=True, generator=generator)
    return torch.zeros_like(clean).scatter_add_(1, outcomes, torch.ones_like(outcomes, dtype=clean.dtype))


def expect_z_shots(probs: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """<Z> of every wire [b, n] estimated from `shots` measurements: unbiased, variance (1 - <Z>^2) / shots."""
    return expect_z_of(sample_counts(probs, shots, generator) / shots)


def misread(probs: Tensor, confusion: Tensor) -> Tensor:
    """Readout error. confusion [n, 2, 2] with confusion[w, prepared, read] = P(read | prepared), rows sum to 1; probs [b, 2^n] -> [b, 2^n]."""
    n_wires = confusion.shape[0]
    out = probs.reshape(-1, *[2] * n_wires)
    for wire in range(n_wires):
        out = apply_matrix(out, confusion[wire].T.to(probs.dtype), [wire])
    return out.reshape(probs.shape)
