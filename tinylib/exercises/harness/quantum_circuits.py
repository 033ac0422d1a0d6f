"""Runs the learner's functions of `quantum_circuits` on one instance and reports plain facts."""

import numpy as np
import torch


def _tensor(array, turned=False):
    """Complex tensor; `turned`: the same values in another memory order, so that it is not contiguous."""
    t = torch.from_numpy(np.array(array))
    return t.permute(*reversed(range(t.dim()))).contiguous().permute(*reversed(range(t.dim()))) if turned else t


def _result(value, before, *inputs):
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"return a tensor, not {type(value).__name__}")
    return value.detach().resolve_conj().resolve_neg().numpy().copy(), any(not torch.equal(a, b) for a, b in zip(before, inputs))


def apply_gate(fn, args):
    state, gate = _tensor(args["state"], args["turned"]), _tensor(args["gate"])
    before = state.clone(), gate.clone()
    out, mutated = _result(fn(state, gate, list(args["wires"])), before, state, gate)
    return {"state": out, "mutated": mutated}


def u3(fn, args):
    out, _ = _result(fn(args["theta"], args["phi"], args["lam"]), ())
    return {"matrix": out.astype(np.complex128)}


def expect_pauli(fn, args):
    state = _tensor(args["state"])
    before = state.clone()
    out, mutated = _result(fn(state, args["paulis"]), (before,), state)
    return {"value": out, "mutated": mutated}


def to_little_endian(fn, args):
    amplitudes = _tensor(args["amplitudes"])
    before = amplitudes.clone()
    out, mutated = _result(fn(amplitudes), (before,), amplitudes)
    return {"amplitudes": out, "mutated": mutated}
