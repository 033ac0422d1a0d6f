"""Expectations against whole matrices, shots against their variance, misreading against the table."""

import itertools

import pytest
import torch
from circuits import inputs, random_circuit, rng
from scipy import stats

from tinylib.core.errors import TinylibError
from tinylib.quantum.circuit import run
from tinylib.quantum.readout import (
    expect_pauli,
    expect_pauli_density,
    expect_sum,
    expect_sum_density,
    expect_z,
    expect_z_of,
    expect_z_shots,
    misread,
    parity,
    pauli_matrix,
    probabilities,
    sample_counts,
    to_measured_basis,
)
from tinylib.quantum.state import density, from_amplitudes


def some_state(n, seed=0):
    g = rng(seed)
    circuit = random_circuit(g, n, 20)
    return run(circuit, *inputs(circuit, g, 2)).detach()


def wrong_pauli_strings(expect):
    """Strings on which a function disagrees with <psi| matrix |psi>."""
    state = some_state(3)
    flat = state.flatten(1)
    return [p for p in map("".join, itertools.product("IXYZ", repeat=3))
            if ((flat.conj() * (flat @ pauli_matrix(p).T)).sum(1).real - expect(state, p)).abs().max() > 1e-12]


def test_every_string_of_three_wires():
    assert wrong_pauli_strings(expect_pauli) == []
    assert wrong_pauli_strings(lambda s, p: expect_pauli_density(density(s), p)) == []


def test_planted_bugs_are_seen():
    assert wrong_pauli_strings(lambda s, p: expect_pauli(s, p[::-1]))                                       # bit order
    assert wrong_pauli_strings(lambda s, p: expect_pauli(s.conj(), p))                                      # sign of Y


def test_measured_basis_turns_strings_into_signs():
    state = some_state(3, 1)
    for p in ("XYZ", "YIX", "IYI"):
        turned = to_measured_basis(state, p)
        torch.testing.assert_close(expect_pauli(turned, "".join("I" if c == "I" else "Z" for c in p)), expect_pauli(state, p), atol=1e-12, rtol=0)


def test_parity_of_measured_bits_is_the_string_of_z():
    state = some_state(3, 1)
    for p in ("XYZ", "YIX", "III", "ZZI"):
        torch.testing.assert_close(parity(probabilities(to_measured_basis(state, p)), p), expect_pauli(state, p), atol=1e-12, rtol=0)


def test_sum_and_z():
    state, terms = some_state(2, 2), {"ZI": 0.5, "XX": -1.25, "II": 2.0}
    expected = sum(v * expect_pauli(state, p) for p, v in terms.items())
    torch.testing.assert_close(expect_sum(state, terms), expected)
    torch.testing.assert_close(expect_sum_density(density(state), terms), expected)
    torch.testing.assert_close(expect_z(state), torch.stack([expect_pauli(state, "ZI"), expect_pauli(state, "IZ")], dim=1))


def test_y_plus_state_has_positive_y():
    assert expect_pauli(from_amplitudes(torch.tensor([[1, 1j]])), "Y").item() == pytest.approx(1.0)


def test_counts_fit_the_probabilities_and_repeat_with_the_seed():
    probs = probabilities(some_state(3, 3))
    counts = sample_counts(probs, 4000, torch.Generator().manual_seed(0))
    assert counts.sum(1).tolist() == [4000, 4000]
    seen = probs[0] > 1e-9
    assert stats.chisquare(counts[0][seen], probs[0][seen] / probs[0][seen].sum() * 4000).pvalue > 1e-3
    assert torch.equal(counts, sample_counts(probs, 4000, torch.Generator().manual_seed(0)))


def test_shot_noise_is_unbiased_with_variance_one_over_shots():
    probs, shots = probabilities(some_state(2, 4))[:1], 50
    z = expect_z_shots(probs.expand(4000, -1), shots, torch.Generator().manual_seed(1))
    truth = expect_z_of(probs)[0]
    sigma = ((1 - truth**2) / shots).sqrt()
    assert ((z.mean(0) - truth).abs() < 4 * sigma / 4000**0.5).all()
    assert ((z.var(0) / sigma**2 - 1).abs() < 4 * (2 / 4000) ** 0.5).all()


def test_misreading_follows_the_table():
    confusion = torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[0.8, 0.2], [0.4, 0.6]]], dtype=torch.float64)
    probs = torch.tensor([[0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)      # prepared |10>
    torch.testing.assert_close(misread(probs, confusion), torch.tensor([[0.3 * 0.8, 0.3 * 0.2, 0.7 * 0.8, 0.7 * 0.2]], dtype=torch.float64))
    mixed = probabilities(some_state(2, 5))
    assert misread(mixed, confusion).sum(1).allclose(torch.ones(2, dtype=torch.float64))
    assert not misread(mixed, confusion).allclose(misread(mixed, confusion.mT))                             # the transposed table is another one


@pytest.mark.parametrize("paulis", ["Z", "ZZZ", "ZQ"])
def test_bad_strings(paulis):
    with pytest.raises(TinylibError):
        expect_pauli(some_state(2), paulis)


def test_no_shots():
    with pytest.raises(TinylibError):
        sample_counts(torch.ones(1, 2) / 2, 0, torch.Generator())
