"""Runs the learner's functions of `spatten` on one instance and reports plain facts."""

import numpy as np
import torch


def prune_step(fn, args):
    importance, probs = (torch.tensor(args[name], dtype=torch.float64) for name in ("importance", "probs"))
    alive = torch.tensor(np.asarray(args["alive"], dtype=bool))
    before = importance.clone(), alive.clone(), probs.clone()
    total, stay = fn(importance, alive, probs, args["keep"])
    mutated = [name for name, new, old in zip(("importance", "alive", "probs"), (importance, alive, probs), before) if not torch.equal(new, old)]
    return {"importance": total.double().numpy().copy(), "alive": stay.numpy().copy(), "mutated": mutated}


def top_k(fn, args):
    values = list(args["values"])
    kept, compared = fn(values, args["k"])
    return {"kept": [int(i) for i in kept], "compared": int(compared), "mutated": values != list(args["values"])}


def fetch_more(fn, args):
    q, k = (torch.tensor(args[name], dtype=torch.float64) for name in ("q", "k"))
    return {"asked": fn(q, k, args["threshold"]).numpy().copy()}


def dram_bytes(fn, args):
    return {"bytes": fn(*(args[name] for name in ("queries", "keys", "value_rows", "asked", "head_size", "msb", "lsb")))}
