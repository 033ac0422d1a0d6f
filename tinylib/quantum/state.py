"""State vectors and density matrices as plain tensors, and the one kernel that acts on them.

A batch of states of n wires is a complex tensor [b, 2, ..., 2]; axis 1 + w belongs to wire w. Flattened, wire 0 is the most significant
bit: |q0 q1 q2> has index 4 q0 + 2 q1 + q2. (Qiskit counts the other way round; see `convert`.)
A density matrix is [b, 2, ..., 2, 2, ..., 2]: n row axes, then n column axes. It is a state of 2n wires, so the same kernel serves both.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError


def zero_state(n_wires: int, batch: int = 1, dtype: torch.dtype = torch.complex64) -> Tensor:
    """[b, 2, ..., 2]: every sample in |00...0>."""
    state = torch.zeros(batch, 2**n_wires, dtype=dtype)
    state[:, 0] = 1
    return state.reshape(batch, *[2] * n_wires)


def from_amplitudes(amplitudes: Tensor) -> Tensor:
    """[b, 2^n] real or complex -> normalised states [b, 2, ..., 2] (amplitude encoding)."""
    n_wires = amplitudes.shape[1].bit_length() - 1
    if amplitudes.shape[1] != 2**n_wires:
        raise TinylibError(f"{amplitudes.shape[1]} amplitudes are not a power of two: pad with zeros to {2 ** (n_wires + 1)}.")
    amplitudes = amplitudes if amplitudes.is_complex() else torch.complex(amplitudes, torch.zeros_like(amplitudes))
    norm = amplitudes.norm(dim=1, keepdim=True)
    if bool((norm == 0).any()):
        raise TinylibError("A row of zeros has no direction: it cannot be a quantum state.")
    return (amplitudes / norm).reshape(-1, *[2] * n_wires)


def apply_matrix(state: Tensor, matrix: Tensor, wires: Sequence[int]) -> Tensor:
    """Act with a matrix on some wires of a state.

    state [b, 2, ..., 2]; matrix [2^k, 2^k] for all samples or [b, 2^k, 2^k] for each its own; the first of the k wires is the most significant bit
    of the matrix's index. Returns [b, 2, ..., 2]; b may grow from 1 to the batch of the matrix. The wires come to the front, the rest is one long
    axis, one matrix product, and everything goes back.
    """
    wires, k = list(wires), len(wires)
    n_wires = state.dim() - 1
    if len(set(wires)) != k or not all(0 <= w < n_wires for w in wires):
        raise TinylibError(f"Wires {wires} must be different and between 0 and {n_wires - 1}.")
    if matrix.shape[-1] != 2**k:
        raise TinylibError(f"A matrix of size {matrix.shape[-1]} does not fit {k} wires.")
    order = [0, *(w + 1 for w in wires), *(a for a in range(1, n_wires + 1) if a - 1 not in wires)]
    front = state.permute(order).reshape(state.shape[0], 2**k, -1)
    back = (matrix @ front).reshape(-1, *[2] * n_wires)
    inverse = [order.index(a) for a in range(n_wires + 1)]
    return back.permute(inverse)


def density(state: Tensor) -> Tensor:
    """|psi><psi|: state [b, 2, ..., 2] -> density matrix [b, 2, ..., 2, 2, ..., 2]."""
    flat = state.flatten(1)
    return (flat[:, :, None] * flat[:, None, :].conj()).reshape(state.shape[0], *[2] * (2 * (state.dim() - 1)))


def apply_matrix_density(rho: Tensor, matrix: Tensor, wires: Sequence[int]) -> Tensor:
    """U rho U^dagger: the matrix acts on the rows, its complex conjugate on the columns."""
    n_wires = (rho.dim() - 1) // 2
    rho = apply_matrix(rho, matrix, wires)
    return apply_matrix(rho, matrix.conj(), [n_wires + w for w in wires])


def apply_superoperator(rho: Tensor, superoperator: Tensor, wires: Sequence[int]) -> Tensor:
    """Act with a linear map on density matrices: [4^k, 4^k] (or [b, 4^k, 4^k]) on the row-major vector of the k-wire matrix."""
    n_wires = (rho.dim() - 1) // 2
    return apply_matrix(rho, superoperator, [*wires, *(n_wires + w for w in wires)])


def density_as_matrix(rho: Tensor) -> Tensor:
    """[b, 2, ..., 2] with 2n axes -> [b, 2^n, 2^n]."""
    side = 2 ** ((rho.dim() - 1) // 2)
    return rho.reshape(rho.shape[0], side, side)


def reduced(state_or_rho: Tensor, wire: int, is_density: bool = False) -> Tensor:
    """What one wire looks like alone: its density matrix [b, 2, 2], the others traced out."""
    if not is_density:
        front = state_or_rho.movedim(wire + 1, 1).reshape(state_or_rho.shape[0], 2, -1)
        return front @ front.mH
    n_wires = (state_or_rho.dim() - 1) // 2
    rho = state_or_rho.movedim((wire + 1, n_wires + wire + 1), (1, 2))
    rest = 2 ** (n_wires - 1)
    return rho.reshape(rho.shape[0], 2, 2, rest, rest).diagonal(dim1=3, dim2=4).sum(-1)


def bloch_vector(rho: Tensor) -> Tensor:
    """[b, 2, 2] one-wire density matrices -> [b, 3]: <X>, <Y>, <Z>. Length 1 for a pure state, 0 for a fully mixed one."""
    return torch.stack([2 * rho[:, 1, 0].real, 2 * rho[:, 1, 0].imag, (rho[:, 0, 0] - rho[:, 1, 1]).real], dim=1)
