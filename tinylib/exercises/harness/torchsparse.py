"""Runs the learner's functions of `torchsparse` on one instance and reports plain facts."""

import numpy as np
import torch


def coarser(fn, args):
    coords = torch.tensor(args["coords"], dtype=torch.int64).reshape(-1, 4)
    before = coords.clone()
    out = fn(coords, args["factor"])
    return {"coords": out, "mutated": not torch.equal(coords, before)}


def kernel_map(fn, args):
    """Each offset's pairs as columns (input, output), ordered by output here, so that their order is free; or that ValueError was raised."""
    source, target = (torch.tensor(args[name], dtype=torch.int64).reshape(-1, 4) for name in ("source", "target"))
    before = source.clone(), target.clone()
    try:
        pairs = fn(source, target, args["kernel"], args["stride"], args["dilation"])
    except ValueError:
        return {"raised": True, "offsets": 0, "pairs": [], "mutated": False}
    mutated = not (torch.equal(source, before[0]) and torch.equal(target, before[1]))
    tables = [np.asarray(p).reshape(2, -1) if np.asarray(p).size == 0 else np.asarray(p) for p in pairs]
    if all(t.ndim == 2 and len(t) == 2 for t in tables):
        tables = [t[:, np.lexsort(t)].astype(np.int64) for t in tables]
    return {"raised": False, "offsets": len(tables), "pairs": tables, "mutated": mutated}


def sparse_conv(fn, args):
    """Output, its type, and the gradients of features and weight under a given upstream (none for half precision)."""
    kind = {"float16": torch.float16, "float64": torch.float64}[args["dtype"]]
    feats, weight = torch.tensor(args["feats"], dtype=kind), torch.tensor(args["weight"], dtype=kind)
    pairs = [torch.tensor(p, dtype=torch.int64).reshape(2, -1) for p in args["pairs"]]
    before = feats.clone(), weight.clone()
    out = fn(feats, weight, pairs, args["n_outputs"])
    facts = {"out": out.detach().double().numpy().copy(), "type": str(out.dtype).removeprefix("torch."), "feats_gradient": np.zeros(0),
             "weight_gradient": np.zeros(0), "mutated": not (torch.equal(feats, before[0]) and torch.equal(weight, before[1]))}
    if kind is torch.float64:
        leaves = before[0].clone().requires_grad_(), before[1].clone().requires_grad_()
        again = fn(*leaves, pairs, args["n_outputs"])
        upstream = torch.tensor(args["upstream"], dtype=kind)
        grads = torch.autograd.grad((again * upstream).sum(), leaves, allow_unused=True) if again.requires_grad else (None, None)
        grads = [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(grads, leaves)]
        facts |= {"feats_gradient": grads[0].numpy(), "weight_gradient": grads[1].numpy()}
    return facts


def group_offsets(fn, args):
    sizes = list(args["sizes"])
    groups = fn(sizes, args["tolerance"], args["threshold"])
    return {"groups": [[int(d) for d in group] for group in groups], "mutated": sizes != args["sizes"]}
