"""Runs the learner's functions of `qoc` on one instance and reports plain facts."""

import math

import numpy as np
import torch


class Circuit:
    """Stands for a machine: maps slot angles to one measured value, counts its runs.

    The value is a sum of products over slots. A rotation's angle enters with frequency 1, a controlled rotation's with 1/2 and 1: the only
    functions that such circuits can make.
    """

    def __init__(self, terms, kinds):
        self.terms, self.kinds, self.runs = terms, kinds, 0

    def __call__(self, slots):
        self.runs += 1
        if self.runs > 4000:
            raise RuntimeError("the machine was asked more than 4,000 times")
        slots = [float(s) for s in slots]
        if len(slots) != len(self.kinds):
            raise ValueError(f"the circuit has {len(self.kinds)} slots, it was given {len(slots)} angles")
        return sum(t["size"] * math.prod(math.cos(f * s + p) for f, s, p in zip(t["frequency"], slots, t["phase"])) for t in self.terms)


def param_shift(fn, args):
    slots = np.array(args["slots"])
    uses = [[tuple(use) for use in weight] for weight in args["uses"]]
    before, circuit = slots.copy(), Circuit(args["terms"], args["kinds"])
    gradient = fn(circuit, slots, uses, list(args["kinds"]))
    return {"gradient": np.asarray(gradient, dtype=np.float64), "runs": circuit.runs, "mutated": not np.array_equal(before, slots)}


def chain_rule(fn, args):
    jacobian, upstream = torch.from_numpy(args["jacobian"].copy()), torch.from_numpy(args["upstream"].copy())
    out = fn(jacobian, upstream)
    if not isinstance(out, torch.Tensor):
        raise TypeError(f"return a tensor, not {type(out).__name__}")
    return {"gradient": out.detach().numpy().copy()}


def sample_weights(fn, args):
    magnitude, n, keep = np.array(args["magnitude"]), len(args["magnitude"]), args["keep"]
    rng, seen, kinds = np.random.default_rng(args["seed"]), np.zeros(n), []
    for _ in range(args["draws"]):
        chosen = [int(i) for i in fn(magnitude.copy(), keep, rng)]
        if any(not 0 <= i < n for i in chosen):
            raise ValueError(f"an index is outside 0 to {n - 1}: {chosen}")
        kinds.append(len(chosen) == keep == len(set(chosen)))
        for i in chosen:
            seen[i] += 1
    again = [[int(i) for i in fn(magnitude.copy(), keep, np.random.default_rng(args["seed"]))] for _ in range(2)]
    return {"share": seen / args["draws"], "distinct": all(kinds), "repeats": again[0] == again[1]}


def frozen_adam_step(fn, args):
    n = len(args["weights"])
    weights, state = np.array(args["weights"]), {"m": np.zeros(n), "v": np.zeros(n), "t": np.zeros(n)}
    path = []
    for grad, chosen in zip(args["grads"], args["chosen"]):
        weights, state = fn(weights.copy(), np.array(grad), list(chosen), {k: v.copy() for k, v in state.items()}, args["lr"])
        weights, state = np.asarray(weights, dtype=np.float64), {k: np.asarray(state[k], dtype=np.float64) for k in ("m", "v", "t")}
        path.append(weights)
    return {"weights": np.stack(path), "m": state["m"], "v": state["v"], "t": state["t"]}
