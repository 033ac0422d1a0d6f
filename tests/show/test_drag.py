"""A field to draw on: a stroke drives the panel, the last hand counts, a broken stroke is refused."""

import numpy as np
import pytest
from traitlets import TraitError

from tinylib.core.errors import TinylibError
from tinylib.show.drag import MOST_ROWS, DragField
from tinylib.show.panel import Drag, Panel, Slider
from tinylib.show.widget import build

STROKE = ((0, -1.0, 0.0, 1.0, 0.0), (40, 3.0, 0.0, 1.0, 0.0))


def picture():
    return np.arange(12, dtype=np.uint8).reshape(3, 4)


def make_panel():
    """Says the end of the stroke, or else the slider."""
    def draw(figure, record):
        figure.add_subplot().set(title=record)

    return Panel("demo.drag", (Drag("stroke", "draw", ((), STROKE), 24, picture, 0.5), Slider("x", "x (px)", (1, 2), 1)),
                 lambda p, f: f"drawn to {p['stroke'][-1][1]}" if p["stroke"] else f"slider at {p['x']}", draw, str)


def test_a_stroke_drives_the_panel_and_the_last_hand_counts():
    handle = build(make_panel())
    assert handle.text == "slider at 1"
    before = handle.figure_png
    handle.set("stroke", STROKE)
    assert handle.text == "drawn to 3.0" and handle.figure_png != before
    handle.set("x", 2)
    assert handle.text == "slider at 2" and handle.controls["stroke"].value == []
    handle.set("stroke", STROKE)
    assert handle.text == "drawn to 3.0", "the same stroke again, after it was wiped"
    handle.set("stroke", ())
    assert handle.text == "slider at 2"


def test_the_field_holds_what_the_browser_needs():
    field = build(make_panel()).controls["stroke"]
    assert (field.side, field.shape, field.home, field.most) == (24, [3, 4], 0.5, MOST_ROWS)
    assert field.sprite == picture().tobytes()


@pytest.mark.parametrize("value", [[[0, 0, 0, 1, 0]], [[0, 0, 0, 1]] * 2, [[0, 0, 0, 1, float("nan")]] * 2, ["abcde"] * 2, [[0, 0, 0, 1, "0"]] * 2,
                                   [[0, 0, 0, 1, 0]] * (MOST_ROWS + 2)])
def test_a_broken_stroke_is_refused(value):
    with pytest.raises(TraitError):
        DragField(value=value)
    with pytest.raises(TinylibError, match="no value of 'stroke'"):
        build(make_panel()).set("stroke", value)
