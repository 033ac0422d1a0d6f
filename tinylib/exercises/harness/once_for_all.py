"""Runs the learner's functions of the lab once_for_all and reports plain facts."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def active_kernel(fn, args):
    """fn(weight, transforms, size) -> kernel; also the gradients of (kernel * probe).sum()."""
    weight = torch.from_numpy(args["weight"].copy()).requires_grad_()
    transforms = {int(s): torch.from_numpy(args[f"transform{s}"].copy()).requires_grad_() for s in args["sizes"]}
    kernel = fn(weight, dict(transforms), args["size"])
    facts = {"kernel": kernel.detach().clone()}
    if kernel.requires_grad and kernel.shape == args["probe"].shape:
        (kernel * torch.from_numpy(args["probe"])).sum().backward()
    changed = not np.array_equal(weight.detach().numpy(), args["weight"])
    facts["gradient"] = torch.zeros_like(weight) if weight.grad is None else weight.grad
    facts["transform_gradients"] = [torch.zeros_like(t) if t.grad is None else t.grad for t in transforms.values()]
    return {**facts, "mutated": changed}


def sort_channels(fn, args):
    """fn(expand, bn1, depthwise, bn2, project, kept) -> order, the layers changed in place."""
    layers = build_block(args)
    x = torch.from_numpy(args["x"])
    with torch.no_grad():
        order = fn(*layers, list(args["kept"]))
        expand, bn1, depthwise, bn2, project = layers
        output = project(F.relu6(bn2(depthwise(F.relu6(bn1(expand(x)))))))
    return {"order": [int(i) for i in order], "output": output, "expand": expand.weight.detach()[:, :, 0, 0], "depthwise": depthwise.weight.detach(),
            "project": project.weight.detach()[:, :, 0, 0], "norms": torch.stack([t for n in (bn1, bn2) for t in norm_tensors(n)])}


def norm_tensors(norm):
    """Scale, shift, mean, variance."""
    return [norm.weight.detach(), norm.bias.detach(), norm.running_mean, norm.running_var]


def build_block(args):
    """Five float64 layers in eval mode from the instance's arrays."""
    hidden, c = args["expand"].shape
    expand, project = nn.Conv2d(c, hidden, 1, bias=False), nn.Conv2d(hidden, len(args["project"]), 1, bias=False)
    depthwise = nn.Conv2d(hidden, hidden, 3, stride=args["stride"], padding=1, groups=hidden, bias=False)
    norms = [nn.BatchNorm2d(hidden), nn.BatchNorm2d(hidden)]
    layers = [m.double().eval() for m in (expand, norms[0], depthwise, norms[1], project)]
    with torch.no_grad():
        expand.weight.copy_(torch.from_numpy(args["expand"])[:, :, None, None])
        project.weight.copy_(torch.from_numpy(args["project"])[:, :, None, None])
        depthwise.weight.copy_(torch.from_numpy(args["depthwise"]))
        for i, norm in enumerate(norms):
            for tensor, values in zip((norm.weight, norm.bias, norm.running_mean, norm.running_var), args["norms"][4 * i:4 * i + 4]):
                tensor.copy_(torch.from_numpy(values))
    return layers


def recalibrate(fn, args):
    """fn(model, batches) on conv, norm, ReLU, dropout, conv, norm; the statistics afterwards, and what else changed."""
    first, second = args["first"], args["second"]
    conv1 = nn.Conv2d(first.shape[1], first.shape[0], 1, bias=False)
    conv2 = nn.Conv2d(second.shape[1], second.shape[0], 1, bias=False)
    model = nn.Sequential(conv1, nn.BatchNorm2d(len(first), eps=args["eps"]), nn.ReLU(), nn.Dropout(0.5), conv2, nn.BatchNorm2d(len(second), eps=args["eps"]))
    model = model.double().train(args["training"])
    with torch.no_grad():
        conv1.weight.copy_(torch.from_numpy(first)[:, :, None, None])
        conv2.weight.copy_(torch.from_numpy(second)[:, :, None, None])
        for norm in (model[1], model[5]):
            norm.running_mean.fill_(7.0)
            norm.running_var.fill_(3.0)
    weights = [p.detach().clone() for p in model.parameters()]
    batches = [torch.from_numpy(args["images"][a:b].copy()) for a, b in zip(args["bounds"], args["bounds"][1:])]
    fn(model, batches)
    norms = [model[1], model[5]]
    return {"mean1": norms[0].running_mean, "var1": norms[0].running_var, "mean2": norms[1].running_mean, "var2": norms[1].running_var,
            "weights_kept": all(torch.equal(a, p.detach()) for a, p in zip(weights, model.parameters())),
            "mode_kept": all(m.training == args["training"] for m in model.modules()),
            "hooks_left": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())}


class _TooMany(RuntimeError):
    """More draws than any sensible search needs."""


def evolve(fn, args):
    """fn(sample, mutate, cross, score, cost, budget, rng, population, generations) -> (best, its score). Candidates are tuples of numbers."""
    values, prices = args["values"], args["prices"]
    genes, options = values.shape
    seen, draws = {"scored": [], "fresh": []}, [0]

    def counted():
        draws[0] += 1
        if draws[0] > args["draws"]:
            raise _TooMany

    def sample(rng):
        counted()
        return tuple(int(v) for v in rng.integers(options, size=genes))

    def mutate(candidate, rng):
        counted()
        return tuple(int(rng.integers(options)) if rng.random() < 0.15 else v for v in candidate)

    def cross(one, other, rng):
        counted()
        return tuple(a if rng.random() < 0.5 else b for a, b in zip(one, other))

    def price(candidate):
        return float(sum(prices[i, v] for i, v in enumerate(candidate)))

    def score(candidate):
        seen["scored"].append(tuple(candidate))
        return float(sum(values[i, v] for i, v in enumerate(candidate)))

    def once():
        seen["scored"], draws[0] = [], 0
        try:
            best, value = fn(sample, mutate, cross, score, price, args["budget"], np.random.default_rng(args["seed"]), args["population"], args["generations"])
        except ValueError:
            return None, 0.0, "ValueError"
        except _TooMany:
            return None, 0.0, "it never stops drawing"
        return tuple(int(v) for v in best), float(value), "an answer"

    best, value, ended = once()
    evaluations, over = len(seen["scored"]), sum(price(c) > args["budget"] for c in seen["scored"])
    again = once() == (best, value, ended)
    true = float(sum(values[i, v] for i, v in enumerate(best))) if best else 0.0
    return {"ended": ended, "score": true, "says": value, "best_cost": price(best) if best else 0.0, "over": over, "evaluations": evaluations, "repeats": again}
