"""Clips: what moves where, and that a reversed clip is a clip of the other class of its pair."""

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.datasets import clips

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[6:22, 10:18] = 255


class Fixed:
    """Draws the middle of every range and no noise."""

    def uniform(self, low, high, size=None):
        return (low + high) / 2

    def normal(self, mean, sd, shape):
        return np.zeros(shape)


def drawn(name):
    return clips.render(IMAGE, clips.CLASSES.index(name), Fixed()).astype(float)


def centre(frame):
    rows, columns = np.indices(frame.shape)
    return (rows * frame).sum() / frame.sum(), (columns * frame).sum() / frame.sum()


def slant(frame):
    """Angle of the long axis, counted clockwise on the screen from the vertical."""
    rows, columns = (i - c for i, c in zip(np.indices(frame.shape), centre(frame)))
    return 0.5 * np.arctan2(-2 * (rows * columns * frame).sum(), ((rows**2 - columns**2) * frame).sum())


@pytest.mark.parametrize(("name", "measure"), [
    ("right", lambda f: centre(f)[1]), ("down", lambda f: centre(f)[0]), ("grow", lambda f: f.sum()), ("turn right", slant),
    ("left", lambda f: -centre(f)[1]), ("up", lambda f: -centre(f)[0]), ("shrink", lambda f: -f.sum()), ("turn left", lambda f: -slant(f)),
])
def test_a_clip_moves_as_its_class_says(name, measure):
    values = [measure(f) for f in drawn(name)]
    assert (np.diff(values) > 0).all(), values


def test_a_reversed_clip_is_the_other_class():
    for label in range(8):
        assert clips.reversed_label(clips.reversed_label(label)) == label
        a, b = drawn(clips.CLASSES[label]), drawn(clips.CLASSES[clips.reversed_label(label)])
        assert np.abs(a[::-1] - b).max() <= 1 and np.abs(a - b).max() > 50


def test_splits_are_balanced_and_seeded():
    one, again, other = (clips.load(train=16, val=8, test=8, seed=s).train for s in (0, 0, 1))
    assert one.images.shape == (16, 8, 24, 24) and one.images.dtype == np.uint8
    assert np.array_equal(np.bincount(one.labels), [2] * 8)
    assert np.array_equal(one.images, again.images) and not np.array_equal(one.images, other.images)
    with pytest.raises(TinylibError, match="multiple of 8"):
        clips.load(train=10)
