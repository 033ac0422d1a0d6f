"""A panel on the page: sliders, one picture, one line of text, and a switch between the learner's function and the reference.

A figure is drawn off screen into PNG bytes, so a panel needs no plotting back end and the same code serves the
browser, the executed notebook (`render_static`) and the tests (`set`, `text`, `figure_png`).
"""

import base64
import html
import io
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout

import ipywidgets
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from traitlets import TraitError

from tinylib.core.errors import TinylibError
from tinylib.show.panel import Choice, Drag, Panel, Slider, Text, Toggle
from tinylib.show.style import COLOURS, RC

Ready = Callable[[str, Callable | None], tuple[Callable | None, Callable]]
DPI = 110
MAX_PRINTED = 4000     # characters of the learner's own prints that the panel keeps


def start_values(panel: Panel) -> dict:
    """Each control's name and its starting value."""
    return {control.name: control.start for control in panel.controls}


def render(panel: Panel, params: dict, functions: dict[str, Callable]) -> tuple[bytes, str]:
    """PNG bytes and the text line of the panel at the given values. Whatever the functions raise comes through."""
    record = panel.compute(dict(params), functions)
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=panel.figsize, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        panel.draw(figure, record)
        buffer = io.BytesIO()
        canvas.print_png(buffer)
    return buffer.getvalue(), panel.describe(record)


def render_static(panel: Panel, functions: dict[str, Callable]) -> tuple[bytes, str]:
    """PNG bytes and the text line at the starting values, for a notebook that is run without a browser."""
    return render(panel, start_values(panel), functions)


def static_html(png: bytes, text: str, panel_id: str) -> str:
    """Picture and text line as one piece of HTML: what the live panel shows, without its controls."""
    return _picture(png, panel_id, stale=False) + _line(text, COLOURS["original"])


def build(panel: Panel, functions: dict[str, Callable] | None = None, ready: Ready | None = None) -> "Handle":
    """The live panel. Display `handle.widget` (or the handle itself).

    `ready(exercise_id, function or None)` returns (function if it passes in this kernel else None, the reference). It is
    asked for every id in `panel.uses`. When all of the learner's functions pass, the switch starts at "yours"; when
    one does not, the panel runs on the references and says which exercise is open.
    """
    given = functions or {}
    unknown = set(given) - set(panel.uses)
    if unknown:
        raise TinylibError(f"Panel {panel.id} does not use {', '.join(sorted(unknown))}; it uses {', '.join(panel.uses) or 'no exercise'}.")
    if panel.uses and ready is None:
        raise TinylibError(f"Panel {panel.id} runs on exercises, so build() needs `ready`.")
    pairs = {name: ready(name, given.get(name)) for name in panel.uses}
    return Handle(panel, {n: p[0] for n, p in pairs.items()}, {n: p[1] for n, p in pairs.items()})


class Handle:
    """A panel being shown. `controls` name -> ipywidget; `text` and `figure_png` are what the learner sees now.

    `set(name, value)` moves a control as the learner would. `source` is "yours" or "reference".
    """

    def __init__(self, panel: Panel, yours: dict[str, Callable | None], reference: dict[str, Callable]) -> None:
        self.panel, self._reference = panel, reference
        self.open_exercises = sorted(name for name, function in yours.items() if function is None)
        self._yours = yours if yours and not self.open_exercises else None
        self.controls = {control.name: _control(control) for control in panel.controls}
        self._drags = [control.name for control in panel.controls if isinstance(control, Drag)]
        self.text, self.figure_png, self.error = "", b"", None
        self._figure_html, self._text_html = ipywidgets.HTML(), ipywidgets.HTML()
        self._switch = ipywidgets.ToggleButtons(
            options=["yours", "reference"] if self._yours else ["reference"], value="yours" if self._yours else "reference",
            description="function", tooltips=["runs on your function", "runs on the reference"][0 if self._yours else 1:])
        for control in [*self.controls.values(), self._switch]:
            control.observe(lambda change: self._moved(change["owner"]), names="value")
        self.turns = {control.name: _turn(control, self.controls[control.name]) for control in panel.controls if getattr(control, "turn", False)}
        self.widget = ipywidgets.VBox([self._controls_box(), *self._badge(), self._figure_html, self._text_html, *self.turns.values()])
        self.widget.add_class("tinylib-panel")
        self.refresh()

    @property
    def source(self) -> str:
        """Whose functions drive the panel now: "yours" or "reference"."""
        return self._switch.value

    def set(self, name: str, value: object) -> None:
        """Move the control `name` to `value`; "source" moves the switch. Raises TinylibError for a value that is no stop."""
        control = self._switch if name == "source" else self.controls.get(name)
        if control is None:
            raise TinylibError(f"Panel {self.panel.id} has no control {name!r}; it has {', '.join(self.controls)}.")
        if name in self._drags:
            value = list(value)
        else:
            stops = getattr(control, "options", (value,) if isinstance(control, ipywidgets.Text) and isinstance(value, str) else (True, False))
            if value not in [s[1] if isinstance(s, tuple) else s for s in stops]:
                raise TinylibError(f"{value!r} is no value of {name!r}.")
        try:
            control.value = value
        except TraitError as error:
            raise TinylibError(f"That is no value of {name!r}: {error}") from error

    def _moved(self, control: ipywidgets.Widget) -> None:
        """The last hand counts: another control than the field wipes a stroke, whose own change then draws the picture."""
        stale = [] if control is self._switch else [self.controls[d] for d in self._drags if self.controls[d] is not control and self.controls[d].value]
        for field in stale:
            field.value = []
        if not stale:
            self.refresh()

    def refresh(self) -> None:
        """Compute and draw again. An error in a function is shown in the panel; the last picture stays, faded."""
        functions = self._yours if self.source == "yours" else self._reference
        params = {name: control.value for name, control in self.controls.items()}
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                self.figure_png, self.text = render(self.panel, params, functions)
            self.error = None
        except (Exception, SystemExit) as error:      # the learner's code may raise anything; a silent panel would be worse
            self.error = error
            self.text = _complaint(error, self.source)
        where = "".join(traceback.format_exception(self.error)) if self.error else ""
        self._figure_html.value = _picture(self.figure_png, self.panel.id, stale=self.error is not None)
        self._text_html.value = _line(self.text, COLOURS["budget"] if self.error else COLOURS["original"], printed.getvalue()[-MAX_PRINTED:] + where)

    def _controls_box(self) -> ipywidgets.Box:
        """The controls in a row that wraps; beside a field to draw on, the others stand in a column."""
        fields, others = ([c for name, c in self.controls.items() if (name in self._drags) == drag] for drag in (True, False))
        if fields:
            for control in others:
                control.layout.width = "440px"
            others = [ipywidgets.VBox(others)]
        return ipywidgets.Box([*fields, *others], layout=ipywidgets.Layout(flex_flow="row wrap"))

    def _badge(self) -> list:
        """The switch when the panel runs on exercises; beside it, what is still open."""
        if not self.panel.uses:
            return []
        if self._yours:
            return [self._switch]
        names = " and ".join(f"<code>{html.escape(name.partition('.')[2] or name)}</code>" for name in self.open_exercises)
        note = f"<small>Running on the reference. Yours takes over once {names} passed.</small>"
        return [ipywidgets.HTML(note)]

    def _ipython_display_(self) -> None:
        from IPython.display import display
        display(self.widget)


def _control(control: Slider | Choice | Toggle | Text | Drag) -> ipywidgets.Widget:
    """The ipywidget of one control; the slider recomputes when it is let go or a key moves it, a text when Enter is pressed or it is left."""
    if isinstance(control, Drag):
        from tinylib.show.drag import DragField
        sprite = np.ascontiguousarray(control.sprite(), np.uint8)
        return DragField(side=control.side, shape=list(sprite.shape), sprite=sprite.tobytes(), home=control.home)
    style, layout = {"description_width": "initial"}, ipywidgets.Layout(width="auto", min_width="330px", margin="2px 16px 2px 0")
    if isinstance(control, Slider):
        layout = ipywidgets.Layout(width="520px", max_width="100%", margin="2px 16px 2px 0")     # a long label leaves room for the track
        return ipywidgets.SelectionSlider(options=[(_stop(v), v) for v in control.values], value=control.start, description=control.label,
                                          continuous_update=False, style=style, layout=layout)
    if isinstance(control, Choice):
        return ipywidgets.Dropdown(options=list(control.values), value=control.start, description=control.label, style=style, layout=layout)
    if isinstance(control, Text):
        wide = ipywidgets.Layout(width="740px", max_width="100%", margin="2px 16px 2px 0")
        return ipywidgets.Text(value=control.start, description=control.label, continuous_update=False, style=style, layout=wide)
    return ipywidgets.Checkbox(value=control.start, description=control.label, indent=False, style=style, layout=layout)


def _turn(control: Slider, slider: ipywidgets.SelectionSlider) -> ipywidgets.DOMWidget:
    """What moves the slider while the picture is dragged."""
    from tinylib.show.turn import PictureTurn

    def follow(change: dict) -> None:
        stops = control.values
        slider.value = stops[(stops.index(slider.value) + change["new"] - change["old"]) % len(stops)]

    turn = PictureTurn()
    turn.observe(follow, names="steps")
    return turn


def _stop(value: object) -> str:
    """A slider stop as the learner reads it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _picture(png: bytes, panel_id: str, *, stale: bool) -> str:
    if not png:
        return ""
    source = base64.b64encode(png).decode()
    fade = "opacity:0.25;" if stale else ""
    return (f'<img class="tinylib-figure" style="max-width:100%;width:760px;{fade}" src="data:image/png;base64,{source}" '
            f'alt="Picture of the panel {html.escape(panel_id)}; the line below says what it shows.">')


def _line(text: str, colour: str, detail: str = "") -> str:
    """The text line; a screen reader announces it when it changes. Prints and traceback are folded."""
    more = f"<details><summary>details</summary><pre>{html.escape(detail)}</pre></details>" if detail else ""
    return (f'<div class="tinylib-text" role="status" aria-live="polite" style="border-left:4px solid {colour};padding:2px 10px;'
            f'max-width:740px;line-height:1.4">{html.escape(text)}{more}</div>')


def _complaint(error: Exception, source: str) -> str:
    """One sentence about an exception raised while the panel was computed."""
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    if source == "yours":
        return f"Your function raised {what}. Switch to reference to go on, or mend it and run this cell again."
    return f"This panel failed with {what}. That is our mistake, not yours."
