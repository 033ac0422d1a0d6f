"""How well parts are found: intersection over union by part and object, as ShapeNet's part benchmark averages it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
            for part, column in zip(parts, ious.T.tolist()):        # classes may share a part
                by_part.setdefault(part, []).extend(column)
    return by_object.mean().item(), {part: sum(values) / len(values) for part, values in by_part.items()}


@torch.no_grad()
def evaluate(net: nn.Module, x: Tensor, parts: Tensor, kinds: Tensor, of_class: Sequence[Sequence[int]], *, batch: int = 50) -> tuple[float, dict[int, float]]:
    """`mean_iou` of a network on clouds x (b, c, n) with parts (b, n) and classes (b,), in the mode the network is in."""
    guess = torch.cat([predicted(net(a), k, of_class) for a, k in zip(x.split(batch), kinds.split(batch))])
    return mean_iou(guess, parts, kinds, of_class)
