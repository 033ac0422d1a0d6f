"""Harness of the fake lab: in a file of its own, as in the course."""

import numpy as np
import torch


def mask(fn, args):
    """fn(weight, sparsity) -> bool mask."""
    weight = torch.from_numpy(args["weight"])
    before = weight.clone()
    result = fn(weight, args["sparsity"])
    return {"mask": result, "kept": result.sum(), "mutated": not torch.equal(weight, before)}


def counter(cls, args):
    """A class with add(n) and total()."""
    counter = cls()
    for n in args["numbers"]:
        counter.add(n)
    return {"total": counter.total(), "trace": np.cumsum(args["numbers"]) * 0}
