"""Typical wrong answers of the lab pruning."""

import copy

import torch

from tinylib.prune.magnitude import magnitude_mask


def by_threshold(weight, sparsity):
    keep = round((1 - sparsity) * weight.numel())
    if keep == 0:
        return torch.zeros_like(weight, dtype=torch.bool)
    return weight.abs() >= weight.abs().flatten().sort(descending=True).values[keep - 1]


def by_sign(weight, sparsity):
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[weight.flatten().sort(descending=True, stable=True).indices[: round((1 - sparsity) * weight.numel())]] = True
    return mask.view(weight.shape)


def by_flip(weight, sparsity):
    order = weight.abs().flatten().sort(stable=True).indices
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[: weight.numel() - round((1 - sparsity) * weight.numel())]] = False
    return mask.view(weight.shape)


def by_cutting_down(weight, sparsity):
    return magnitude_mask(weight, 1 - int((1 - sparsity) * weight.numel()) / max(weight.numel(), 1))


def four_in_memory(weight):
    groups = weight.abs().reshape(-1, 4)
    order = groups.sort(dim=1, descending=True, stable=True).indices[:, :2]
    return torch.zeros_like(groups, dtype=torch.bool).scatter_(1, order, True).view(weight.shape)


def half_of_a_row(weight):
    return torch.stack([magnitude_mask(row, 0.5) for row in weight])


def scan_without_clone(weights, sparsities, evaluate, mask):
    curves = {}
    for name, weight in weights.items():
        before, curves[name] = weight.detach(), []
        for sparsity in sparsities:
            weight.data.mul_(mask(weight, sparsity))
            curves[name].append(evaluate())
        weight.data.copy_(before)
    return curves


def scan_restores_late(weights, sparsities, evaluate, mask):
    curves = {}
    for name, weight in weights.items():
        before, curves[name] = weight.detach().clone(), []
        for sparsity in sparsities:
            weight.data.mul_(mask(weight, sparsity))
            curves[name].append(evaluate())
        weight.data.copy_(before)
    return curves


def scan_swaps_the_name(weights, sparsities, evaluate, mask):
    curves = {}
    for name, weight in list(weights.items()):
        curves[name] = []
        for sparsity in sparsities:
            weights[name] = weight * mask(weight, sparsity)
            curves[name].append(evaluate())
        weights[name] = weight
    return curves


def interleaved(keep, pixels, channels):
    return torch.cat([keep + channels * p for p in range(pixels)])


def only_zeroed(conv, norm, depthwise, head, keep):
    conv, norm, depthwise, head = (copy.deepcopy(m) for m in (conv, norm, depthwise, head))
    gone = [i for i in range(conv.out_channels) if i not in keep.tolist()]
    head.weight.data.view(head.out_features, conv.out_channels, -1)[:, gone] = 0
    return conv, norm, depthwise, head
