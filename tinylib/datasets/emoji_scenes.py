"""Emoji as training pictures: placed on random colours, moved, mirrored; batches balanced over classes and concepts."""

import numpy as np
import torch

from tinylib.datasets.emoji import CLASSES, Emoji, on_colour


def scenes(data: Emoji, vendor: str, rows: np.ndarray, random: np.random.Generator) -> torch.Tensor:
    """Pictures of `rows` on random colours, moved by up to 4 pixels and mirrored at random: float (n, 3, 32, 32) in [-1, 1]."""
    art = np.pad(data.art(vendor)[rows], ((0, 0), (4, 4), (4, 4), (0, 0)))
    moved = np.empty((len(rows), 32, 32, 4), np.uint8)
    for i, (dy, dx, mirrored) in enumerate(zip(*random.integers(0, 9, (2, len(rows))), random.random(len(rows)) < 0.5)):
        picture = art[i, dy:dy + 32, dx:dx + 32]
        moved[i] = picture[:, ::-1] if mirrored else picture
    pixels = on_colour(moved, random.integers(0, 256, (len(rows), 3)))
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 127.5 - 1
    return images.contiguous(memory_format=torch.channels_last)


class Stream:
    """Batches (scenes, labels) drawn anew in each pass: a class at random, one of its concepts, one of its pictures. Has a length; for `nn.fit`."""

    def __init__(self, data: Emoji, vendor: str, rows: np.ndarray, steps: int, batch: int, random: np.random.Generator):
        self.data, self.vendor, self.steps, self.batch, self.random = data, vendor, steps, batch, random
        own = [rows[data.labels[rows] == c] for c in range(len(CLASSES))]
        self.tree = [[r[data.groups[r] == g] for g in np.unique(data.groups[r])] for r in own if len(r)]

    def __len__(self):
        return self.steps

    def __iter__(self):
        pick = lambda items: items[self.random.integers(len(items))]
        for _ in range(self.steps):
            rows = np.array([pick(pick(self.tree[self.random.integers(len(self.tree))])) for _ in range(self.batch)])
            yield scenes(self.data, self.vendor, rows, self.random), torch.from_numpy(self.data.labels[rows].astype(np.int64))


def one_a_concept(data: Emoji, part: str) -> np.ndarray:
    """The first row of each labelled concept of a part: no skin tones, no variants."""
    rows = data.part(part)
    return rows[np.unique(data.groups[rows], return_index=True)[1]]
