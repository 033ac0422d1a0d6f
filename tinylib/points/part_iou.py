"""How well parts are found: intersection over union by part and object, as ShapeNet's part benchmark averages it."""

from collections.abc import Sequence

import torch
from torch import Tensor


def predicted(logits: Tensor, kinds: Tensor, of_class: Sequence[Sequence[int]]) -> Tensor:
    """Part of each point, int64 (b, n): the best of the parts that objects of the cloud's class `kinds` (b,) have. Logits (b, parts, n)."""
    allowed = torch.zeros(len(of_class), logits.shape[1], dtype=torch.bool)
    for kind, parts in enumerate(of_class):
        allowed[kind, list(parts)] = True
    return logits.masked_fill(~allowed[kinds][:, :, None], -torch.inf).argmax(1)


def part_ious(guess: Tensor, truth: Tensor, parts: Sequence[int]) -> Tensor:
    """IoU (b, len(parts)) of each part in each cloud; guess and truth (b, n). A part in neither counts as 1, the benchmark's rule."""
    found = []
    for part in parts:
        union = ((guess == part) | (truth == part)).sum(1)
        both = ((guess == part) & (truth == part)).sum(1)
        found.append(torch.where(union == 0, 1.0, both / union.clamp_min(1)))
    return torch.stack(found, 1)


def mean_iou(guess: Tensor, truth: Tensor, kinds: Tensor, of_class: Sequence[Sequence[int]]) -> tuple[float, dict[int, float]]:
    """(mIoU over objects, IoU by part): each object's mean over the parts of its class, averaged over objects; and each part's mean over its objects."""
    by_object, by_part = torch.zeros(len(kinds)), {}
    for kind, parts in enumerate(of_class):
        here = kinds == kind
        if here.any():
            ious = part_ious(guess[here], truth[here], parts)
            by_object[here] = ious.mean(1)
            by_part |= dict(zip(parts, ious.mean(0).tolist()))
    return by_object.mean().item(), by_part
