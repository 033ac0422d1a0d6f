"""The fast path equals the gate-by-gate path: values and gradients, any gates, any wires."""

import pytest
import torch
from circuits import inputs, random_circuit, rng

from tinylib.core.errors import TinylibError
from tinylib.quantum import fusion
from tinylib.quantum.circuit import Circuit, encoder, op, run, stack
from tinylib.quantum.fusion import compile_circuit, kron_all, split_wires
from tinylib.quantum.gates import GATES
from tinylib.quantum.readout import expect_z
from tinylib.quantum.stages import permutation_of, schedule

FAST = ["ry", "u3", "rx", "h", "cx", "swap", "x", "cz", "rzz", "rz", "crz", "ccx"]


def difference(circuit, g, batch=3):
    """Largest difference of <Z> and of all gradients between both paths."""
    weights, features = inputs(circuit, g, batch)
    slow, fast = expect_z(run(circuit, weights, features)), compile_circuit(circuit).expect_z(weights, features)
    upstream = torch.tensor(g.normal(size=slow.shape))
    grads = [torch.autograd.grad((z.expand(upstream.shape) * upstream).sum(), (weights, features), allow_unused=True, materialize_grads=True)
             if z.requires_grad else () for z in (slow, fast)]
    return max([(slow - fast).abs().max().item(), *((a - b).abs().max().item() for a, b in zip(*grads))])


@pytest.mark.parametrize("seed", range(20))
def test_random_circuits(seed):
    g = rng(seed)
    assert difference(random_circuit(g, 1 + seed % 6, 25), g) < 1e-12


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 10])
def test_fused_layers_of_many_widths(n):
    circuit = encoder(n, ["ry", "rz", "rx"]) + stack(n, ["u3", "cx", "rzz", "ry", "cz", "u3", "swap"]) + random_circuit(rng(n), n, 10, FAST, n_features=1)
    assert difference(circuit, rng(n)) < 1e-12


def test_weights_shared_by_many_gates_and_none_at_all():
    circuit = Circuit(3, tuple(op("ry", q, angles=[0.3 * q + 0.1]) for q in range(3)) + (op("cx", 0, 2), op("h", 1), op("cz", 1, 2)))
    torch.testing.assert_close(compile_circuit(circuit).state(), run(circuit), atol=1e-14, rtol=0)
    torch.testing.assert_close(compile_circuit(Circuit(2)).state(), run(Circuit(2)))


def test_own_weights_per_sample():
    circuit = stack(3, ["u3", "cx"])
    weights = torch.rand(4, 9, dtype=torch.float64)
    torch.testing.assert_close(compile_circuit(circuit).expect_z(weights), expect_z(run(circuit, weights)))


def test_backward_twice_gives_the_same():
    circuit = encoder(4, ["ry"]) + stack(4, ["u3", "cx"] * 2)
    weights, features = inputs(circuit, rng(0), 2)
    z = compile_circuit(circuit).expect_z(weights, features).sum()
    first, second = (torch.autograd.grad(z, weights, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_single_precision():
    circuit = encoder(5, ["ry"]) + stack(5, ["u3", "cx"] * 3)
    weights, features = inputs(circuit, rng(0), 2)
    z = compile_circuit(circuit).expect_z(weights.float(), features.float())
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.double(), expect_z(run(circuit, weights, features)), atol=1e-5, rtol=0)


def test_permutations_move_the_basis_states_as_the_gate_does():
    for name in ("cx", "swap", "ccx", "cswap"):
        wires = (3, 0, 2)[: GATES[name].n_wires]
        circuit = stack(4, ["u3"]) + Circuit(4, (op(name, *wires),))
        weights = torch.tensor(rng(3).normal(size=12))
        expected = run(circuit, weights).flatten(1)
        torch.testing.assert_close(run(stack(4, ["u3"]), weights).flatten(1)[:, permutation_of(name, wires, 4)], expected)
    assert permutation_of("cy", (0, 1), 2) is None and permutation_of("h", (0,), 1) is None


def test_a_ring_becomes_one_permutation_and_layers_one_block_each():
    compiled = compile_circuit(encoder(4, ["ry"]) + stack(4, ["u3", "cx"] * 4))
    assert [step[0] for kind, program in compiled._plan for step in program] == ["rows", "blocks"] * 3 + ["rows"]
    assert len(schedule(stack(4, ["u3", "cx"] * 4))) == 4


def test_kron_and_split():
    m = torch.rand(5, 2, 3)
    expected = m[0]
    for x in m[1:]:
        expected = torch.kron(expected, x)
    torch.testing.assert_close(kron_all(m), expected)
    assert [split_wires(n) for n in (1, 4, 5, 10, 12)] == [[1], [4], [3, 2], [4, 3, 3], [4, 4, 4]]


def test_planted_bugs_are_seen(monkeypatch):
    circuit = encoder(3, ["ry"]) + stack(3, ["u3", "cx", "u3", "rzz", "ry"])
    real = fusion.permutation_of
    with monkeypatch.context() as m:            # the permutation turned round
        m.setattr(fusion, "permutation_of", lambda *a: None if real(*a) is None else real(*a).argsort().flip(0))
        assert difference(circuit, rng(0)) > 1e-3
    with monkeypatch.context() as m:            # right values, wrong gradient: conjugate forgotten
        m.setattr(fusion._ExpectZ, "backward", staticmethod(lambda ctx, g: (ctx.saved_tensors[0].conj() * (ctx.saved_tensors[1] @ (2 * g.T)), None)))
        assert difference(circuit, rng(0)) > 1e-3
    assert difference(circuit, rng(0)) < 1e-12


def test_missing_input_has_one_clear_error():
    with pytest.raises(TinylibError):
        compile_circuit(encoder(2, ["ry"])).state()
    with pytest.raises(TinylibError):
        compile_circuit(stack(2, ["ry"])).state(torch.zeros(1))
