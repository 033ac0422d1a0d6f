"""Digits: 1,797 real handwritten digits, 8x8, grey, that come with scikit-learn (UCI optical digits, CC BY 4.0); nothing to ship."""

import numpy as np

from tinylib.core.seed import rng
from tinylib.datasets.files import Split, Splits

SEED = 1998
VAL, TEST = 297, 500


def load() -> Splits:
    """Training (1,000), validation (297) and test (500) split; images uint8 (n, 8, 8) scaled from 0..16 to 0..255, labels uint8."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = rng(SEED, "digits").permutation(len(bunch.target))
    images = np.rint(bunch.images[order] * (255 / 16)).astype(np.uint8)
    labels = bunch.target[order].astype(np.uint8)
    train = len(order) - VAL - TEST
    parts = slice(0, train), slice(train, train + VAL), slice(train + VAL, None)
    return Splits(*(Split(images[part], labels[part]) for part in parts), tuple("0123456789"), "real")
