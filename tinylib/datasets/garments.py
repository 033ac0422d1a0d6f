"""Garments: a part of Fashion-MNIST, real photographs of clothes, grey, 28x28, ten classes.

17,000 training and 3,000 validation images drawn from the official training set, and the whole official test set (10,000).
Xiao, Rasul, Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms.
"""

import gzip
import tempfile
from pathlib import Path

import numpy as np

from tinylib.core.seed import rng
from tinylib.datasets.files import Split, Splits, debian_package, load_set, save_set, stratified

CLASSES = ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
PACKAGE = "dataset-fashion-mnist"
SEED = 2017
TRAIN, VAL = 17_000, 3_000


def load() -> Splits:
    """Training (17,000), validation (3,000) and test (10,000) split; images uint8 (n, 28, 28), labels uint8 (n,)."""
    arrays, card = load_set("garments")
    images, labels = arrays["images"], arrays["labels"]
    train, val, test = slice(0, TRAIN), slice(TRAIN, TRAIN + VAL), slice(TRAIN + VAL, None)
    return Splits(*(Split(images[part], labels[part]) for part in (train, val, test)), CLASSES, card["kind"])


def read_idx(path: Path) -> np.ndarray:
    """Array of a gzip-compressed IDX file of unsigned bytes (big-endian header: type, number of axes, sizes)."""
    raw = gzip.decompress(path.read_bytes())
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def make() -> Path:
    """Remake `data/sets/garments.npz` from the Debian package; returns its path."""
    with tempfile.TemporaryDirectory() as folder:
        tree = debian_package(PACKAGE, Path(folder)) / "usr/share/datasets/fashion-mnist"
        train_images, train_labels, test_images, test_labels = (
            read_idx(tree / f"{part}-ubyte.gz") for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"))
    draw = stratified(train_labels, (TRAIN + VAL) // 10, rng(SEED, "garments"))
    val = draw[stratified(train_labels[draw], VAL // 10, rng(SEED, "validation"))]
    order = np.concatenate([draw[~np.isin(draw, val)], val])
    return save_set(
        "garments", {"images": np.concatenate([train_images[order], test_images]), "labels": np.concatenate([train_labels[order], test_labels])},
        title="Garments (20,000 + 10,000 images of Fashion-MNIST)", source=f"Debian package {PACKAGE} 0.0~git20200523.55506a9-1", licence="MIT",
        attribution="Copyright 2017 Zalando SE, https://tech.zalando.com", kind="real",
        made="2,000 training images a class drawn with a fixed seed, 300 of them for validation; the official test set whole and in its order")
