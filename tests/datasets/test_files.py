"""Packing, cards, splits."""

import gzip
import io

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.datasets.files import Split, load_set, pack, save_set, stratified
from tinylib.datasets.garments import read_idx

FACTS = {"title": "t", "source": "s", "licence": "MIT", "attribution": "a", "made": "m"}


def test_the_same_arrays_give_the_same_bytes_that_numpy_reads():
    arrays = {"a": np.arange(100, dtype=np.uint8).reshape(4, 25), "b": np.eye(3)[:, ::-1]}
    raw = pack(arrays)
    assert raw == pack(arrays)
    with np.load(io.BytesIO(raw)) as archive:
        assert all(np.array_equal(archive[k], arrays[k]) for k in arrays)


def test_a_set_comes_back_and_damage_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLIB_DATA", str(tmp_path))
    path = save_set("toy", {"x": np.arange(9)}, kind="synthetic", **FACTS)
    arrays, card = load_set("toy")
    assert np.array_equal(arrays["x"], np.arange(9)) and card["kind"] == "synthetic" and card["arrays"] == {"x": [9]}
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TinylibError, match="tinylib data make toy"):
        load_set("toy")
    with pytest.raises(TinylibError, match="tinylib data make other"):
        load_set("other")


def test_share_alike_sets_have_their_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLIB_DATA", str(tmp_path))
    path = save_set("parts", {"x": np.ones(2)}, kind="real", share_alike=True, **FACTS)
    assert path.parent.name == "share_alike" and load_set("parts")[0]["x"].sum() == 2


def test_the_kind_must_be_said(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLIB_DATA", str(tmp_path))
    with pytest.raises(TinylibError, match="real"):
        save_set("toy", {}, kind="photo", **FACTS)


def test_a_stratified_draw_is_exact_and_without_repeats():
    labels = np.repeat([0, 1, 2], [50, 20, 10])
    draw = stratified(labels, 10, np.random.default_rng(0))
    assert len(set(draw)) == 30 and np.array_equal(np.bincount(labels[draw]), [10, 10, 10])
    assert not np.array_equal(labels[draw], np.sort(labels[draw]))
    plain = np.random.default_rng(0).choice(80, 30, replace=False)      # planted bug: a draw that ignores the classes
    assert not np.array_equal(np.bincount(labels[plain]), [10, 10, 10])
    with pytest.raises(TinylibError, match="11 wanted"):
        stratified(labels, 11, np.random.default_rng(0))


def test_grey_and_colour_images_become_scaled_tensors():
    grey = Split(np.array([[[0, 255]]], np.uint8), np.array([3], np.uint8)).tensors()
    assert grey[0].tolist() == [[[[-1.0, 1.0]]]] and grey[1].tolist() == [3]
    colour = Split(np.zeros((2, 4, 5, 3), np.uint8), np.zeros(2, np.uint8)).tensors()[0]
    assert colour.shape == (2, 3, 4, 5)


def test_idx_files(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])))
    assert read_idx(path).tolist() == [[1, 2, 3], [4, 5, 6]]
