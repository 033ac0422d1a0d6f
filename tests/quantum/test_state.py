"""The kernel against one big matrix, index by index."""

import itertools

import pytest
import torch
from circuits import rng

from tinylib.core.errors import TinylibError
from tinylib.quantum.state import (
    apply_matrix,
    apply_matrix_density,
    bloch_vector,
    density,
    density_as_matrix,
    from_amplitudes,
    reduced,
    zero_state,
)


def big_matrix(matrix, wires, n):
    """[2^n, 2^n] by asking, for every pair of basis states, whether the other wires agree."""
    full = torch.zeros(2**n, 2**n, dtype=matrix.dtype)
    for out, inp in itertools.product(itertools.product((0, 1), repeat=n), repeat=2):
        if all(out[w] == inp[w] for w in range(n) if w not in wires):
            row, column = (int("".join(str(bits[w]) for w in wires), 2) for bits in (out, inp))
            full[int("".join(map(str, out)), 2), int("".join(map(str, inp)), 2)] = matrix[row, column]
    return full


def random_state(n, batch, seed):
    g = rng(seed)
    return from_amplitudes(torch.tensor(g.normal(size=(batch, 2**n)) + 1j * g.normal(size=(batch, 2**n))))


def random_matrix(k, seed):
    g = rng(seed)
    return torch.linalg.qr(torch.tensor(g.normal(size=(2**k, 2**k)) + 1j * g.normal(size=(2**k, 2**k))))[0]


CASES = [(1, [0]), (2, [1]), (2, [1, 0]), (3, [2, 0]), (4, [3, 0, 2]), (5, [4, 1]), (5, [0, 1, 2, 3, 4])]


def disagreement(apply):
    worst = 0.0
    for seed, (n, wires) in enumerate(CASES):
        state, matrix = random_state(n, 3, seed), random_matrix(len(wires), seed)
        expected = state.flatten(1) @ big_matrix(matrix, wires, n).T
        worst = max(worst, (apply(state, matrix, wires).flatten(1) - expected).abs().max().item())
    return worst


def test_kernel_equals_the_big_matrix():
    assert disagreement(apply_matrix) < 1e-12


def test_planted_bugs_are_seen():
    assert disagreement(lambda s, m, w: apply_matrix(s, m, w[::-1])) > 0.01                     # wires reversed
    assert disagreement(lambda s, m, w: apply_matrix(s, m.T, w)) > 0.01                         # rows and columns swapped
    assert disagreement(lambda s, m, w: apply_matrix(s, m, sorted(w))) > 0.01                   # order of wires lost


def test_own_matrix_per_sample_and_views_that_are_not_contiguous():
    state = random_state(3, 4, 0)
    matrices = torch.stack([random_matrix(2, s) for s in range(4)])
    rows = torch.cat([apply_matrix(state[i : i + 1], matrices[i], [2, 0]) for i in range(4)])
    torch.testing.assert_close(apply_matrix(state, matrices, [2, 0]), rows, atol=1e-14, rtol=0)
    flipped = state.permute(0, 3, 2, 1)
    torch.testing.assert_close(apply_matrix(flipped, matrices, [0, 2]), apply_matrix(flipped.contiguous(), matrices, [0, 2]), atol=0, rtol=0)
    assert apply_matrix(zero_state(3, 1, torch.complex128), matrices, [0, 1]).shape == (4, 2, 2, 2)


def test_density_is_the_state_seen_twice():
    state, matrix = random_state(3, 2, 1), random_matrix(2, 2)
    torch.testing.assert_close(apply_matrix_density(density(state), matrix, [2, 0]), density(apply_matrix(state, matrix, [2, 0])), atol=1e-14, rtol=0)
    torch.testing.assert_close(density_as_matrix(density(state)).diagonal(dim1=1, dim2=2).sum(1).real, torch.ones(2, dtype=torch.float64))


def test_reduced_and_bloch():
    state = random_state(3, 2, 3)
    for wire in range(3):
        torch.testing.assert_close(reduced(state, wire), reduced(density(state), wire, is_density=True), atol=1e-14, rtol=0)
        assert bloch_vector(reduced(state, wire)).norm(dim=1).max() <= 1 + 1e-12
    bell = from_amplitudes(torch.tensor([[1.0, 0, 0, 1]]))
    torch.testing.assert_close(bloch_vector(reduced(bell, 0)), torch.zeros(1, 3))
    y = from_amplitudes(torch.tensor([[1, 1j]]))
    torch.testing.assert_close(bloch_vector(reduced(y, 0)), torch.tensor([[0.0, 1, 0]]))


@pytest.mark.parametrize("wires, matrix", [([0, 0], torch.eye(4)), ([3], torch.eye(2)), ([0], torch.eye(4))])
def test_bad_input_has_one_clear_error(wires, matrix):
    with pytest.raises(TinylibError):
        apply_matrix(zero_state(2), matrix.to(torch.complex64), wires)


def test_amplitudes_must_fit():
    with pytest.raises(TinylibError):
        from_amplitudes(torch.ones(1, 3))
    with pytest.raises(TinylibError):
        from_amplitudes(torch.zeros(1, 4))
