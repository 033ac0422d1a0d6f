"""The gesture panel: the learner's stream against the clip network, and honest words for motions that no class has."""

import numpy as np
import pytest
import torch

from tinylib.check import find
from tinylib.datasets import clips
from tinylib.panels import tsm
from tinylib.video.gesture import GUIDED, guided

FUNCTIONS = {"tsm.streaming_shift": find.exercise("tsm.streaming_shift").reference}


def record(stroke=(), motion="right", speed=1.0, functions=FUNCTIONS):
    return tsm.gesture_compute({"stroke": stroke, "motion": motion, "speed": speed}, functions)


def test_the_last_column_is_the_one_way_network_on_the_whole_clip():
    got = record(motion="grow")
    clip = torch.from_numpy(got["images"]).float()[None, :, None] / 127.5 - 1
    with torch.no_grad():
        want = tsm.network("past")(clip)[0].softmax(0).numpy()
    np.testing.assert_allclose(got["online"][-1], want, atol=1e-5)
    np.testing.assert_allclose(got["online"].sum(1), 1, atol=1e-5)


def test_a_stream_without_memory_shows_in_the_panel():
    class Forgets:
        def __init__(self, fraction):
            self.fraction = fraction

        def __call__(self, frame):
            out = frame.clone()
            out[:, :int(frame.shape[1] * self.fraction)] = 0
            return out

    broken = {"tsm.streaming_shift": Forgets}
    assert np.abs(record(functions=broken)["online"] - record()["online"]).max() > 0.3


def test_a_drawn_stroke_is_what_the_sliders_draw():
    drawn, slid = record(tuple(map(tuple, guided("left", 1.0)))), record(motion="left")
    assert np.array_equal(drawn["images"], slid["images"]) and (drawn["drawn"], slid["drawn"]) == (True, False)
    assert tsm.gesture_finding(drawn).startswith("You drew 'left'") and tsm.gesture_finding(slid).startswith("Sliders draw 'left'")
    assert drawn["images"].shape == (clips.FRAMES, clips.SIDE, clips.SIDE)


@pytest.mark.parametrize("motion", GUIDED)
@pytest.mark.parametrize("speed", [0.25, 1.0])
def test_only_trained_motions_are_judged(motion, speed):
    text, trained = tsm.gesture_describe(record(motion=motion, speed=speed)), motion in clips.CLASSES and speed == 1.0
    assert ("no trained motion" in text) == (not trained) and (f"draw '{motion}'. " in text) == trained


def test_without_shift_the_two_of_a_pair_share():
    """The blind network, on a motion and its reversal: the same probabilities, up to the noise of the frames."""
    there, back = record(motion="left"), record(motion="right")
    flipped = torch.from_numpy(there["images"][::-1].copy()).float()[None, :, None] / 127.5 - 1
    with torch.no_grad():
        np.testing.assert_allclose(tsm.network("none")(flipped)[0].softmax(0).numpy(), there["none"], atol=1e-5)
    assert there["online"][-1].argmax() == 0 and back["online"][-1].argmax() == 1
