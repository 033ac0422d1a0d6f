"""A second right answer to each exercise of the lab once_for_all, written another way."""

import torch
from torch import nn


def active_kernel(weight, transforms, size):
    """Recursion and an einsum over the flat centre."""
    side = weight.shape[2]
    if side == size:
        return weight
    small = side - 2
    flat = weight.narrow(2, 1, small).narrow(3, 1, small).flatten(2)
    moved = torch.einsum("ij,coj->coi", transforms[small], flat)
    return active_kernel(moved.unflatten(2, (small, small)), transforms, size)


def sort_channels(expand, bn1, depthwise, bn2, project, kept):
    """Python's sort on pairs of segment and score; tensors replaced through .data."""
    scores = project.weight.detach().abs().sum(0).flatten().tolist()
    order = sorted(range(len(scores)), key=lambda i: (sum(i >= k for k in kept), -scores[i], i))
    for module in (expand, bn1, depthwise, bn2):
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensor = getattr(module, name, None)
            if tensor is not None:
                tensor.data = tensor.data[order]
    project.weight.data = project.weight.data[:, order]
    return torch.tensor(order)


def recalibrate(model, batches):
    """Keeps every input, and computes mean and variance over their concatenation."""
    modes = {m: m.training for m in model.modules()}
    norms = [m for m in modes if isinstance(m, nn.BatchNorm2d)]
    inputs = {m: [] for m in norms}
    handles = [m.register_forward_pre_hook(lambda m, x: inputs[m].append(x[0].detach())) for m in norms]
    for m in modes:
        m.training = m in inputs
    with torch.no_grad():
        for x in batches:
            model(x)
        for m in norms:
            values = torch.cat(inputs[m])
            m.running_var.copy_(values.var((0, 2, 3)))
            m.running_mean.copy_(values.mean((0, 2, 3)))
    for handle in handles:
        handle.remove()
    for m, mode in modes.items():
        m.training = mode


def evolve(sample, mutate, cross, score, cost, budget, rng, population, generations):
    """Tournaments and a steady replacement of the worst."""
    def draw(make, tries):
        return next((c for c in (make() for _ in range(tries)) if cost(c) <= budget), None)

    def parent():
        return max((pool[int(i)] for i in rng.integers(population, size=4)), key=lambda p: p[0])[1]

    pool = []
    for _ in range(population):
        candidate = draw(lambda: sample(rng), 300)
        if candidate is None:
            raise ValueError(f"nothing costs {budget} or less")
        pool.append([score(candidate), candidate])
    for step in range(population * generations):
        candidate = draw(lambda breed=step % 2: mutate(cross(parent(), parent(), rng) if breed else parent(), rng), 20)
        if candidate is None or any(candidate == c for _, c in pool):
            continue
        worst = min(range(population), key=lambda i: pool[i][0])
        value = score(candidate)
        if value > pool[worst][0]:
            pool[worst] = [value, candidate]
    value, best = max(pool, key=lambda p: p[0])
    return best, value


ALTERNATIVES = {
    "once_for_all.active_kernel": active_kernel, "once_for_all.sort_channels": sort_channels,
    "once_for_all.recalibrate": recalibrate, "once_for_all.evolve": evolve,
}
