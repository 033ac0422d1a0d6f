"""Every panel that exists: all corners of its controls and random values, without a browser."""

import importlib
import itertools
import pkgutil
import warnings
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import tinylib.panels
from tinylib.check import find
from tinylib.show.panel import Choice, Drag, Panel, Slider, Toggle

PANELS = [panel for module in pkgutil.iter_modules(tinylib.panels.__path__)
          for panel in getattr(importlib.import_module(f"tinylib.panels.{module.name}"), "PANELS", ())]
RANDOM_SETTINGS = 20
every_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)


def values(control: Slider | Choice | Toggle | Drag) -> tuple:
    """Every value of a control."""
    return (False, True) if isinstance(control, Toggle) else tuple(control.values)


def corners(panel: Panel) -> list[dict]:
    """First and last value of every control, in all combinations; all values of a choice."""
    ends = [values(c) if isinstance(c, Choice | Toggle) else (values(c)[0], values(c)[-1]) for c in panel.controls]
    return [dict(zip((c.name for c in panel.controls), setting)) for setting in itertools.product(*ends)]


def random_settings(panel: Panel) -> list[dict]:
    """Twenty settings drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    return [{c.name: values(c)[rng.integers(len(values(c)))] for c in panel.controls} for _ in range(RANDOM_SETTINGS)]


def start(panel: Panel) -> dict:
    """Each control at its start."""
    return {c.name: c.start for c in panel.controls}


def numbers(record) -> list[np.ndarray]:
    """Every number in a record: arrays, tensors, dataclasses, containers."""
    if is_dataclass(record):
        record = [getattr(record, f.name) for f in fields(record)]
    if isinstance(record, dict):
        record = list(record.values())
    if isinstance(record, list | tuple):
        return [n for part in record for n in numbers(part)]
    if hasattr(record, "detach"):
        record = record.detach().cpu().numpy()
    array = np.asarray(record) if isinstance(record, np.ndarray | np.generic | int | float | complex) else None
    return [array] if array is not None and array.dtype.kind in "fciub" else []


def complaints(panel: Panel, params: dict, functions: dict) -> list[str]:
    """What is wrong with one setting: not finite, a picture without words, a warning, an empty text."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = panel.compute(dict(params), functions)
        figure = Figure(figsize=panel.figsize)
        FigureCanvasAgg(figure)
        panel.draw(figure, record)
        figure.draw_without_rendering()
        text = panel.describe(record)
    found = [] if all(np.isfinite(n).all() for n in numbers(record)) else ["the record is not finite"]
    titles = [axes.get_title(loc=loc) for axes in figure.axes for loc in ("left", "center", "right")] + [figure.get_suptitle()]
    plots = [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]
    if not figure.axes:
        found.append("the picture is empty")
    if not any(titles):
        found.append("the picture has no title")
    found += [f"an {direction} axis has no label" for direction in "xy" if not all(explained(axes, direction) for axes in plots)]
    if not isinstance(text, str) or len(text) < 10:
        found.append(f"describe gave {text!r}")
    return found


def explained(axes, direction: str) -> bool:
    """True where an axis has a label, is hidden, names its ticks in words, or shares its scale with a labelled neighbour."""
    axis = getattr(axes, f"{direction}axis")
    ticks = [tick.get_text() for tick in axis.get_ticklabels() if tick.get_text()]
    in_words = bool(ticks) and all(any(letter.isalpha() for letter in tick.replace("mathdefault", "")) for tick in ticks)
    neighbours = getattr(axes, f"get_shared_{direction}_axes")().get_siblings(axes)
    labelled = any(getattr(other, f"{direction}axis").get_label_text() for other in neighbours)
    return labelled or in_words or not axis.get_visible() or not len(axis.get_ticklocs())


def references(panel: Panel) -> dict:
    """The reference of each exercise that the panel uses."""
    return {name: find.exercise(name).reference for name in panel.uses}


def deaf_controls(panel: Panel, functions: dict) -> list[str]:
    """Controls that never change the text, from the start or from any random setting."""
    def heard(control) -> bool:
        for base in [start(panel), *random_settings(panel)]:
            texts = {panel.describe(panel.compute(base | {control.name: v}, functions)) for v in (values(control)[0], values(control)[-1])}
            if len(texts) > 1:
                return True
        return False
    return [control.name for control in panel.controls if not heard(control)]


@every_panel
def test_a_panel_is_well_formed(panel):
    assert 1 <= len(panel.controls) <= 3
    assert len({c.name for c in panel.controls}) == len(panel.controls)
    assert all(c.start in values(c) and len(values(c)) >= 2 for c in panel.controls)


@every_panel
def test_corners_and_random_values(panel):
    functions = references(panel)
    found = {(str(params), problem) for params in [start(panel), *corners(panel), *random_settings(panel)]
             for problem in complaints(panel, params, functions)}
    assert found == set()


@every_panel
def test_every_control_changes_the_text(panel):
    assert deaf_controls(panel, references(panel)) == []


def test_ids_are_unique():
    assert len({panel.id for panel in PANELS}) == len(PANELS)


def make(compute=lambda p, f: {"y": p["x"]}, draw=None, describe=lambda r: f"The value is {r['y']}."):
    """A small right panel, or one with a planted fault."""
    def right(figure, record):
        figure.add_subplot().set(title="t", xlabel="x (px)", ylabel="y (px)")
    return Panel("demo.p", (Slider("x", "x (px)", (1, 2, 3), 1),), compute, draw or right, describe)


def draw_part(**labels):
    """A picture with only these labels."""
    return lambda figure, record: figure.add_subplot().set(**labels)


def test_a_right_panel_passes():
    assert complaints(make(), {"x": 1}, {}) == [] and deaf_controls(make(), {}) == []


@pytest.mark.parametrize(("panel", "word"), [
    (make(compute=lambda p, f: {"y": float("nan")}), "finite"),
    (make(compute=lambda p, f: {"y": 1, "z": [np.array([np.inf])]}), "finite"),
    (make(draw=draw_part(xlabel="x", ylabel="y")), "title"),
    (make(draw=draw_part(title="t", ylabel="y")), "x axis"),
    (make(draw=draw_part(title="t", xlabel="x")), "y axis"),
    (make(draw=lambda figure, record: None), "empty"),
    (make(describe=lambda r: ""), "describe"),
])
def test_a_planted_fault_is_seen(panel, word):
    assert word in " ".join(complaints(panel, {"x": 1}, {}))


def test_a_warning_and_a_deaf_control_are_seen():
    with pytest.raises(RuntimeWarning):
        complaints(make(compute=lambda p, f: {"y": np.log(np.float64(0))}), {"x": 1}, {})
    assert deaf_controls(make(describe=lambda r: "Always the same."), {}) == ["x"]
