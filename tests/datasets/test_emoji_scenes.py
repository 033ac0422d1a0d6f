"""Scenes and streams: classes in balance, nothing from outside the given rows, the same for the same generator."""

import numpy as np
import torch

from tinylib.datasets import emoji
from tinylib.datasets.emoji_scenes import Stream, one_a_concept, scenes


def test_scenes_repeat_and_differ():
    data = emoji.load()
    rows = one_a_concept(data, "val")[:5]
    first, again, other = (scenes(data, "google", rows, np.random.default_rng(s)) for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (5, 3, 32, 32) and first.is_contiguous(memory_format=torch.channels_last) and first.min() >= -1 and first.max() <= 1


def test_a_stream_is_balanced_over_classes():
    data = emoji.load()
    stream = Stream(data, "twitter", data.part("train"), 20, 50, np.random.default_rng(0))
    counts = np.bincount(torch.cat([y for _, y in stream]).numpy(), minlength=10)
    assert len(stream) == 20 and counts.min() > 60 and counts.max() < 150
    by_row = np.bincount(data.labels[data.part("train")], minlength=10)         # planted bug: rows drawn alike
    assert by_row.max() > 10 * by_row.min()


def test_one_row_a_concept_without_tones():
    data = emoji.load()
    rows = one_a_concept(data, "test")
    assert len(np.unique(data.groups[rows])) == len(rows) and (data.tones[rows] == 0).all()
