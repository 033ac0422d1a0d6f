"""Panels as widgets: what a learner sees when a control moves, when their function fails, and without a browser."""

import subprocess
import sys

import pytest

from tinylib.core.errors import TinylibError
from tinylib.show.panel import Choice, Panel, Slider, Text, Toggle
from tinylib.show.widget import build, render_static, static_html

PNG = b"\x89PNG"


def double(x):
    return 2 * x


def make_panel(uses=("demo.double",)):
    def compute(params, functions):
        f = functions.get("demo.double", double)
        return {"y": f(params["x"]), **params}

    def draw(figure, record):
        figure.add_subplot().bar(["y"], [record["y"]])

    controls = (Slider("x", "width (px)", (1, 2, 3), 2), Choice("kind", "kind", ("a", "b"), "a"), Toggle("on", "residual"))
    return Panel("demo.panel", controls, compute, draw, lambda r: f"y is {r['y']} <{r['kind']}>, {r['on']}", uses)


def passing(name, function):
    return function, double


def failing(name, function):
    return None, double


def test_a_control_changes_picture_and_text():
    handle = build(make_panel(()))
    before = handle.figure_png
    assert before.startswith(PNG) and handle.text == "y is 4 <a>, False"
    handle.set("x", 3)
    handle.set("on", True)
    assert handle.text == "y is 6 <a>, True" and handle.figure_png != before
    assert "&lt;a&gt;" in handle._text_html.value and 'role="status"' in handle._text_html.value
    assert not handle.controls["x"].continuous_update
    assert handle.controls["x"].layout.width == "520px", "a slider without a width of its own shrinks to its label"


def test_a_typed_line_reaches_compute():
    panel = Panel("demo.typed", (Text("line", "type", ("", "<i>"), "word"),), lambda params, functions: params["line"],
                  lambda figure, record: figure.add_subplot().set_title(str(len(record))), lambda record: f"you typed {record!r}")
    handle = build(panel)
    assert handle.text == "you typed 'word'" and not handle.controls["line"].continuous_update
    handle.set("line", "<i>")
    assert handle.text == "you typed '<i>'" and "&lt;i&gt;" in handle._text_html.value
    with pytest.raises(TinylibError, match="no value"):
        handle.set("line", 3)


def test_dragging_the_picture_turns_the_slider_and_goes_round():
    panel = make_panel(())
    turning = Panel(panel.id, (Slider("x", "angle (degrees)", (1, 2, 3), 2, turn=True), *panel.controls[1:]), panel.compute, panel.draw, panel.describe)
    handle, still = build(turning), build(panel)
    assert still.turns == {} and list(handle.turns) == ["x"] and handle.turns["x"] in handle.widget.children
    for steps, shown in ((1, 3), (2, 1), (0, 2), (-4, 1)):          # steps are counted from the start: +1, +1, -2, -4
        handle.turns["x"].steps = steps
        assert handle.controls["x"].value == shown and handle.text.startswith(f"y is {2 * shown} ")


def test_yours_and_reference_can_be_switched():
    handle = build(make_panel(), {"demo.double": lambda x: x + 100}, passing)
    assert handle.source == "yours" and handle.text.startswith("y is 102")
    handle.set("source", "reference")
    assert handle.text.startswith("y is 4")


@pytest.mark.parametrize("functions", [None, {}, {"demo.double": lambda x: 0}])
def test_a_function_that_has_not_passed_is_not_run(functions):
    handle = build(make_panel(), functions, failing)
    assert handle.source == "reference" and handle.text.startswith("y is 4") and handle.open_exercises == ["demo.double"]
    assert "<code>double</code> passed" in handle.widget.children[1].value
    with pytest.raises(TinylibError):
        handle.set("source", "yours")


def boom(x):
    print("here I am")
    raise ValueError("no <b> width")


@pytest.mark.parametrize("function", [boom, lambda x: exit()])
def test_an_error_is_shown_and_the_reference_still_works(function):
    handle = build(make_panel(), {"demo.double": function}, passing)
    assert "Your function raised" in handle.text and "<b>" not in handle._text_html.value
    assert handle.error is not None and "<details>" in handle._text_html.value
    handle.set("source", "reference")
    assert handle.text.startswith("y is 4") and handle.error is None
    handle.set("source", "yours")
    assert "opacity" in handle._figure_html.value


def test_prints_of_a_failing_function_are_kept():
    assert "here I am" in build(make_panel(), {"demo.double": boom}, passing)._text_html.value


def test_static_picture_and_text():
    png, text = render_static(make_panel(), {"demo.double": double})
    assert png.startswith(PNG) and text == "y is 4 <a>, False"
    page = static_html(png, text, "demo.panel")
    assert 'alt="' in page and "y is 4 &lt;a&gt;" in page


def test_bad_calls_are_named():
    with pytest.raises(TinylibError, match="demo.other"):
        build(make_panel(), {"demo.other": double}, passing)
    with pytest.raises(TinylibError, match="ready"):
        build(make_panel(), {})
    handle = build(make_panel(()))
    with pytest.raises(TinylibError, match="no control"):
        handle.set("nope", 1)
    with pytest.raises(TinylibError, match="no value"):
        handle.set("x", 17)


def test_show_loads_no_torch():
    modules = "panel, style, plots, widget, progress"
    code = f"import sys\nfrom tinylib.show import {modules}\nassert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    planted = subprocess.run([sys.executable, "-c", "import sys, torch\n" + code], capture_output=True)
    assert planted.returncode != 0
