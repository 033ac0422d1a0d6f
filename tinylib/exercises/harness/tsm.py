"""Runs the learner's functions of `tsm` on one instance and reports plain facts."""

import torch


def temporal_shift(fn, args):
    x = torch.tensor(args["x"], dtype=torch.float64)
    before = x.clone()
    out = fn(x, args["fraction"], args["mode"])
    leaf = before.clone().requires_grad_()
    again = fn(leaf, args["fraction"], args["mode"])
    grad = torch.autograd.grad((again * torch.tensor(args["upstream"], dtype=torch.float64)).sum(), leaf)[0]
    return {"out": out.detach().numpy().copy(), "gradient": grad.numpy(), "mutated": not torch.equal(x, before)}


def streaming_shift(fn, args):
    """Two streams, frame by frame in turn; then the first one again from its start, after reset()."""
    one, other = (torch.tensor(args[name], dtype=torch.float64) for name in ("one", "other"))
    streams = fn(args["fraction"]), fn(args["fraction"])
    outs = [[], []]
    mutated = False
    for t in range(one.shape[0]):
        for index, video in enumerate((one, other)):
            frame = video[t].clone()
            outs[index].append(streams[index](frame).clone())
            mutated = mutated or not torch.equal(frame, video[t])
    streams[0].reset()
    first_again = streams[0](one[0].clone())
    return {"one": torch.stack(outs[0]).numpy(), "other": torch.stack(outs[1]).numpy(), "after_reset": first_again.clone().numpy(), "mutated": mutated}


def order_gap(fn, args):
    clips, over_time = torch.tensor(args["clips"], dtype=torch.float64), torch.tensor(args["over_time"], dtype=torch.float64)
    weight = torch.tensor(args["weight"], dtype=torch.float64)
    before, calls = clips.clone(), []

    def model(x):
        """(b, t, c, h, w) -> (b, k): a weighted mean over frames, then a linear layer."""
        calls.append(tuple(x.shape))
        return torch.einsum("t,btchw->bchw", over_time, x).flatten(1) @ weight.T

    return {"gap": float(fn(model, clips)), "calls": len(calls), "mutated": not torch.equal(clips, before)}


def bytes_moved(fn, args):
    return {"bytes": fn(args["c"], args["t"], args["h"], args["w"], args["fraction"], args["mode"], args["bytes_each"])}
