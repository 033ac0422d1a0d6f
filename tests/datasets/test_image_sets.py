"""The shipped image sets: sizes, balance, no picture in two splits."""

import numpy as np
import pytest

from tinylib.datasets import digits, garments


def pictures(split):
    return {image.tobytes() for image in split.images}


def shared(first, second):
    return len(pictures(first) & pictures(second))


@pytest.mark.parametrize(("module", "sizes", "side"), [(garments, (17_000, 3_000, 10_000), 28), (digits, (1_000, 297, 500), 8)])
def test_sizes_types_classes(module, sizes, side):
    data = module.load()
    splits = data.train, data.val, data.test
    assert tuple(map(len, splits)) == sizes and data.kind == "real" and len(data.classes) == 10
    for split in splits:
        assert split.images.shape[1:] == (side, side) and split.images.dtype == np.uint8 and split.images.max() == 255
        assert set(np.unique(split.labels)) == set(range(10))


def test_garments_are_balanced_shuffled_and_apart():
    data = garments.load()
    for split, count in ((data.train, 1700), (data.val, 300), (data.test, 1000)):
        assert (np.bincount(split.labels) == count).all()
        assert len(np.unique(split.labels[:50])) > 5
    assert shared(data.train, data.val) <= 2        # the source itself holds a few equal pictures
    assert shared(data.train, data.train.take(100)) >= 100 - 2      # a leak would be seen


def test_digits_repeat():
    assert np.array_equal(digits.load().test.labels, digits.load().test.labels)
