"""Typical wrong answers of the lab once_for_all."""

import torch
import torch.nn.functional as F
from torch import nn

from tinylib.nas.elastic import sorted_order


def kernel_in_one_jump(weight, transforms, size):
    cut = (weight.shape[-1] - size) // 2
    if not cut:
        return weight
    centre = weight[:, :, cut:-cut, cut:-cut].reshape(len(weight), 1, -1)
    return F.linear(centre, transforms[size]).view(len(weight), 1, size, size)


def kernel_without_transform(weight, transforms, size):
    cut = (weight.shape[-1] - size) // 2
    return weight[:, :, cut:-cut, cut:-cut].clone() if cut else weight


def kernel_transposed(weight, transforms, size):
    while weight.shape[-1] > size:
        s = weight.shape[-1] - 2
        weight = (weight[:, :, 1:-1, 1:-1].reshape(len(weight), 1, s * s) @ transforms[s]).view(len(weight), 1, s, s)
    return weight


def kernel_detached(weight, transforms, size):
    while weight.shape[-1] > size:
        s = weight.shape[-1] - 2
        weight = F.linear(weight.detach()[:, :, 1:-1, 1:-1].reshape(len(weight), 1, s * s), transforms[s]).view(len(weight), 1, s, s)
    return weight


def sort_reference(expand, bn1, depthwise, bn2, project, kept, *, scores=None, norms=True, statistics=True, rising=False, segments=True):
    """In place; returns the order. The switches plant the typical mistakes."""
    found = project.weight.detach().abs().sum((0, 2, 3)) if scores is None else scores(expand, project)
    order = sorted_order(-found if rising else found, kept=kept if segments else ())
    with torch.no_grad():
        for module in (expand, depthwise):
            module.weight.copy_(module.weight[order].clone())
        project.weight.copy_(project.weight[:, order].clone())
        for norm in (bn1, bn2) if norms else ():
            for tensor in (norm.weight, norm.bias, *((norm.running_mean, norm.running_var) if statistics else ())):
                tensor.copy_(tensor[order].clone())
    return order


def sort_without_statistics(*args):
    return sort_reference(*args, statistics=False)


def sort_without_norms(*args):
    return sort_reference(*args, norms=False)


def sort_by_own_filter(*args):
    return sort_reference(*args, scores=lambda expand, project: expand.weight.detach().abs().sum((1, 2, 3)))


def sort_rising(*args):
    return sort_reference(*args, rising=True)


def sort_over_all(*args):
    return sort_reference(*args, segments=False)


def recalibrate_like_training(model, batches):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for m, mode in modes:
        m.training = mode


def statistics_reference(model, batches, *, weigh=True, between=True, restore=True, unbiased=True, whole_mode=False):
    """Statistics from sums over all batches. The switches plant the typical mistakes."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    modes = [(m, m.training) for m in model.modules()]
    rows = {m: [] for m in norms}
    handles = [m.register_forward_pre_hook(lambda m, inputs: rows[m].append(inputs[0].detach().transpose(0, 1).flatten(1))) for m in norms]
    model.train(whole_mode)
    for m in norms:
        m.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for handle in handles:
        handle.remove()
    for m in norms:
        values = torch.cat(rows[m], 1)
        mean, var = values.mean(1), values.var(1, unbiased=unbiased)
        if not weigh:
            mean = torch.stack([r.mean(1) for r in rows[m]]).mean(0)
        if not between:
            sizes = torch.tensor([r.shape[1] for r in rows[m]], dtype=values.dtype)
            var = (torch.stack([r.var(1) for r in rows[m]]) * (sizes / sizes.sum())[:, None]).sum(0)
        m.running_mean.copy_(mean)
        m.running_var.copy_(var)
    for m, mode in modes if restore else ():
        m.training = mode


def recalibrate_unweighted(model, batches):
    statistics_reference(model, batches, weigh=False)


def recalibrate_within_batches(model, batches):
    statistics_reference(model, batches, between=False)


def recalibrate_leaves_training(model, batches):
    statistics_reference(model, batches, restore=False)


def recalibrate_with_dropout(model, batches):
    torch.manual_seed(0)
    statistics_reference(model, batches, whole_mode=True)


def evolve_reference(sample, mutate, cross, score, cost, budget, rng, population, generations, *, check=True, give_up=True, blind=False, clean=True):
    """Best quarter breeds; every scored candidate keeps the budget. The switches plant the typical mistakes."""
    pool, misses = [], 0
    while len(pool) < population:
        candidate = sample(rng)
        if cost(candidate) <= budget or not clean:
            pool.append(candidate)
            misses = 0
        else:
            misses += 1
            if give_up and misses == 200:
                raise ValueError("no candidate keeps the budget")
    ranked = sorted(((score(c), c) for c in pool), key=lambda pair: -pair[0])
    for _ in range(generations):
        parents = [c for _, c in ranked[:population // 4]]
        children = [_child(sample if blind else None, parents, mutate, cross, cost, budget, rng, i % 2, check) for i in range(population - len(parents))]
        ranked = sorted([*ranked[:len(parents)], *((score(c), c) for c in children)], key=lambda pair: -pair[0])
    fitting = ranked if clean else [p for p in ranked if cost(p[1]) <= budget] or ranked
    return fitting[0][1], fitting[0][0]


def _child(blind, parents, mutate, cross, cost, budget, rng, breed, check):
    parent = parents[0]
    for _ in range(20):
        one, other = (parents[int(i)] for i in rng.integers(len(parents), size=2))
        parent = one
        child = blind(rng) if blind else mutate(cross(one, other, rng) if breed else one, rng)
        if not check or cost(child) <= budget:
            return child
    return parent


def evolve_children_unchecked(*args):
    return evolve_reference(*args, check=False)


def evolve_checks_at_the_end(*args):
    return evolve_reference(*args, check=False, clean=False)


def evolve_never_gives_up(*args):
    return evolve_reference(*args, give_up=False)


def evolve_blind(*args):
    return evolve_reference(*args, blind=True)
