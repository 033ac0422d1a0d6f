"""Gestures: what the camera sees of a stroke, which trained motion it is, and honesty about all the others."""

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.core.seed import rng
from tinylib.datasets import clips
from tinylib.video.gesture import GUIDED, HOME, by_hand, guided, in_words, motion_of, path_of_stroke

STROKE = np.array([[0, -5, 0, 0.5, 0], [10, -4, 1, 0.5, 0], [200, 3, 1, 0.5, 0.1], [700, 5, 0, 0.6, 0.2]])      # quick at first: rows are no clock


def by_walking(stroke, frames):
    """Each frame's time, the two rows around it, the point between them."""
    rows = []
    for i in range(frames):
        when = stroke[0][0] + (stroke[-1][0] - stroke[0][0]) * i / (frames - 1)
        k = max(j for j in range(len(stroke) - 1) if stroke[j][0] <= when)
        share = (when - stroke[k][0]) / (stroke[k + 1][0] - stroke[k][0])
        rows.append([a + share * (b - a) for a, b in zip(stroke[k][1:], stroke[k + 1][1:])])
    return np.array(rows)


def test_a_path_is_the_stroke_at_equal_times():
    for frames in (2, 8, 13):
        np.testing.assert_allclose(path_of_stroke(STROKE, frames), by_walking(STROKE, frames), atol=1e-12)
    by_rows = np.stack([np.interp(np.linspace(0, 3, 8), range(4), column) for column in STROKE.T[1:]], 1)
    assert np.abs(by_rows - by_walking(STROKE, 8)).max() > 1, "frames by row number, not by time, are seen"


def test_every_training_path_is_named_by_its_class():
    for label in range(8):
        for i in range(50):
            path = clips.path_of(label, rng(0, label, i))
            assert motion_of(path) == label
            assert motion_of(path[::-1]) == clips.reversed_label(label)


@pytest.mark.parametrize("name", GUIDED)
def test_guided_motions_say_what_they_are(name):
    path = path_of_stroke(guided(name, 1.0))
    assert motion_of(path) == (clips.CLASSES.index(name) if name in clips.CLASSES else None)
    assert in_words(path) == (name if name in (*clips.CLASSES, "right and up") else "back to its start")
    assert motion_of(path_of_stroke(guided(name, 0.25))) is None and in_words(path_of_stroke(guided(name, 0.25))) == "hardly anything"


def test_a_training_clip_is_among_the_guided():
    """The middle of the training draws and the guided stroke are one path, but for how evenly a garment grows."""
    class Middle:
        def uniform(self, low, high):
            return (low + high) / 2

    for label in (0, 1, 2, 3, 6, 7):
        np.testing.assert_allclose(path_of_stroke(guided(clips.CLASSES[label], 1.0)), clips.path_of(label, Middle()), atol=1e-12)
    for label in (4, 5):
        np.testing.assert_allclose(path_of_stroke(guided(clips.CLASSES[label], 1.0)), clips.path_of(label, Middle()), atol=0.11)


def test_a_mixture_and_a_detour_belong_to_no_class():
    right = path_of_stroke(guided("right", 1.0))
    growing = right.copy()
    growing[:, 2] = np.linspace(0.4, 0.9, 8)
    assert motion_of(growing) is None and in_words(growing) == "right and grow"
    back = right.copy()
    back[:, 0] = [-5, 0, 5, 0, -5, 0, 3, 5]
    assert motion_of(right) == 1 and motion_of(back) is None


def test_hand_strokes_tremble_but_nearly_all_mean_their_class():
    named = [motion_of(path_of_stroke(by_hand(i % 8, rng(1, i)))) == i % 8 for i in range(400)]
    assert np.mean(named) > 0.95
    paths = [path_of_stroke(by_hand(1, rng(2, i))) for i in range(5)]
    assert np.std([p[4, 1] for p in paths]) > 0.1 and np.ptp(np.diff(paths[0][:, 0])) > 0.5, "askew, and slow at both ends"


@pytest.mark.parametrize("stroke", [[], [[0, 0, 0, 1, 0]], [[0, 0, 0, 1], [1, 0, 0, 1]], [[5, 0, 0, 1, 0], [1, 0, 0, 1, 0]], [[0, 0, 0, 0, 0], [1, 0, 0, 1, 0]],
                                    [[0, np.nan, 0, 1, 0], [1, 0, 0, 1, 0]]])
def test_a_broken_stroke_is_refused(stroke):
    with pytest.raises(TinylibError, match="draw it again"):
        path_of_stroke(stroke)


def test_an_unknown_motion_is_refused():
    with pytest.raises(TinylibError, match="no motion 'jump'"):
        guided("jump", 1.0)
    assert HOME[2] > 0
