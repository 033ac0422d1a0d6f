"""Runs the learner's functions and classes of `lite_transformer` on one instance and reports plain facts."""

import torch
from torch import nn


def double(array):
    return torch.tensor(array, dtype=torch.float64)


def light_convolution(fn, args):
    x, kernel = double(args["x"]), double(args["kernel"])
    keep = None if args["keep"] is None else torch.tensor(args["keep"])
    given = [t.clone() for t in (x, kernel) + (() if keep is None else (keep,))]
    out = fn(x, kernel, args["causal"], keep)
    mutated = not all(torch.equal(a, b) for a, b in zip(given, (x, kernel) + (() if keep is None else (keep,))))
    leaves = [t.clone().requires_grad_() for t in given[:2]]
    again = fn(*leaves, args["causal"], keep)
    grads = torch.autograd.grad((again * double(args["upstream"])).sum(), leaves)
    return {"out": out.detach().clone(), "gradient_x": grads[0], "gradient_kernel": grads[1], "mutated": mutated}


class Looks(nn.Module):
    """Attention with one matrix, so that anyone can follow it: softmax(x W x^T) x."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return (x @ self.weight @ x.transpose(-1, -2)).softmax(-1) @ x


class Slides(nn.Module):
    """Each word plus weighted channels of the word before."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
        return x + before * self.weight


def long_short(fn, args):
    """`fn` is a class made with (dim, make_attention, make_convolution); both makers take a width."""
    x, widths = double(args["x"]), {"attention": [], "convolution": []}

    def make_attention(width):
        widths["attention"].append(width)
        return Looks(double(args["far"])[:width, :width])

    def make_convolution(width):
        widths["convolution"].append(width)
        return Slides(double(args["near"])[:width])

    before, model = x.clone(), fn(args["x"].shape[2], make_attention, make_convolution)
    out = model(x)
    return {"out": out.detach().clone(), "parameters": sum(p.numel() for p in model.parameters()), "widths": widths, "mutated": not torch.equal(before, x)}


def layer_macs(fn, args):
    return {"macs": fn(args["n"], args["d"], args["near"], args["taps"], args["inner"])}


def convolution_stream(fn, args):
    """Two streams fed in turn; the first one's rows are picked anew in the middle."""
    kernel = double(args["kernel"])
    one, other = fn(kernel.clone()), fn(kernel.clone())
    index, outs, mutated = torch.tensor(args["index"]), {"before": [], "after": [], "other": []}, False

    def feed(stream, word, name):
        nonlocal mutated
        given = word.clone()
        outs[name].append(stream(given).clone())
        mutated = mutated or not torch.equal(given, word)

    for word, beside in zip(double(args["before"]), double(args["other"])):
        feed(one, word, "before")
        feed(other, beside, "other")
    one.reorder(index)
    for word in double(args["after"]):
        feed(one, word, "after")
    return {**{name: torch.stack(rows) for name, rows in outs.items()}, "mutated": mutated}
