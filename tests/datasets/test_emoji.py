"""Emoji: aligned pairs, splits without leaks, honest compositing."""

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.datasets import emoji
from tinylib.datasets.emoji import CLASSES, PARTS, UNLABELLED, concept_of, halve, label_of, on_colour


@pytest.fixture(scope="module")
def data():
    return emoji.load()


def leaks(groups, parts):
    return sum(len(np.intersect1d(groups[a], groups[b])) for i, a in enumerate(parts) for b in parts[:i])


def test_pairs_are_aligned_in_shape_and_in_content(data):
    assert data.google.shape == data.twitter.shape == (len(data.names), 32, 32, 4) and len(data.names) > 3400
    alphas = [data.art(v)[..., 3].reshape(len(data.names), -1) / 255 for v in emoji.VENDORS]
    own = np.abs(alphas[0] - alphas[1]).mean()
    shifted = np.abs(alphas[0] - np.roll(alphas[1], 500, axis=0)).mean()
    assert own < 0.6 * shifted


def test_no_base_concept_is_in_two_parts(data):
    parts = [data.part(name) for name in PARTS]
    assert leaks(data.groups, parts) == 0
    assert sum(map(len, parts)) == (data.labels != UNLABELLED).sum()
    by_row = np.array_split(np.random.default_rng(0).permutation(len(data.groups)), 3)     # planted bug: rows dealt out one by one
    assert leaks(data.groups, by_row) > 100


def test_skin_tones_and_genders_of_one_picture_stay_together(data):
    for names in (("runner", "man-running", "woman-running"), ("male-cook", "female-cook", "cook")):
        assert len(np.unique(data.groups[np.isin(data.names, names)])) == 1


def test_every_part_holds_every_class(data):
    for name in PARTS:
        assert set(data.labels[data.part(name)]) == set(range(len(CLASSES)))
    assert len(data.part("train", labelled=False)) > len(data.part("train"))


def test_wrong_names_are_refused(data):
    with pytest.raises(TinylibError, match="google"):
        data.art("apple")
    with pytest.raises(TinylibError, match="train"):
        data.part("holdout")


def test_labels_by_category():
    entry = lambda category, sub: {"category": category, "subcategory": sub}
    assert CLASSES[label_of(entry("People & Body", "hand-prop"))] == "hand"
    assert CLASSES[label_of(entry("People & Body", "person-role"))] == "person"
    assert label_of(entry("People & Body", "person-symbol")) == label_of(entry("Symbols", "arrow")) == UNLABELLED


def test_concepts_drop_tone_gender_and_direction():
    key = lambda unified: concept_of({"unified": unified, "subcategory": "person-role", "short_name": "x"})
    assert key("1F468-1F3FD-200D-1F373") == key("1F469-200D-1F373") == key("1F9D1-200D-1F373") != key("1F469-200D-1F692")
    assert key("1F3C3-1F3FB-200D-2640-FE0F-200D-27A1-FE0F") == key("1F3C3")


def test_halving_weights_colours_by_alpha():
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[0, 0] = (200, 100, 50, 255)         # one opaque pixel of four
    picture[0, 1] = (9, 9, 9, 0)                # an invisible one must not darken it
    small = halve(picture)
    assert small[0, 0].tolist() == [200, 100, 50, 64] and not small[1:].any()
    plain = picture.reshape(32, 2, 32, 2, 4).mean((1, 3))       # planted bug: a mean without the weights
    assert plain[0, 0, 0] < 60


def test_compositing_is_exact_at_the_ends():
    rgba = np.array([[[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]]], np.uint8)
    assert on_colour(rgba, np.array([100, 110, 120])).tolist() == [[[[10, 20, 30], [100, 110, 120], [80, 88, 96]]]]
