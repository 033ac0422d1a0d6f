"""Building a lab: executed as CI does, drift seen, failures told, nothing half-written."""

import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest

from tinylib.core.errors import TinylibError
from tinylib.course.build import build, drift, strays
from tinylib.course.execute import execute, joined_streams, refuse
from tinylib.course.generate import dumps, generate
from tinylib.course.ledger import Run, complaints, keep, read_ledger


def edit(course, old, new):
    path = course.sources / "07_demo.py"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


def outputs(book):
    return [o for cell in book.cells if cell.cell_type == "code" for o in cell.outputs]


def test_a_lab_is_built_and_untouched_labs_run_too(course):
    [lab] = course.pick()
    assert len(drift(course, lab)) == 2
    run = build(course, lab)
    assert run.checks == {"demo.twice": True} and run.cpu_seconds > 0 and run.peak_bytes > 2**24
    assert drift(course, lab) == [] and strays(course) == []
    book = nbformat.read(course.sources / "07_demo.ipynb", nbformat.NO_CONVERT)
    nbformat.validate(book)
    assert [c.execution_count for c in book.cells if c.cell_type == "code"] == list(range(1, 9))
    assert book.metadata["tinylib"]["source"] == lab.sha256
    kinds = [set(o.get("data", {})) for o in outputs(book)]
    assert {"image/png", "text/plain"} in kinds and not any("widget" in key for kind in kinds for key in kind)
    assert any("The value is 4." in o.get("text", "") for o in outputs(book))
    learner, _ = generate(lab)
    done, run = execute(learner, course.labs)
    assert run.checks == {"demo.twice": False} and complaints(run, ("demo.twice",)) == []
    assert not any(o.output_type == "error" for o in outputs(done))


@pytest.mark.parametrize(("old", "new", "message"), [
    ("doubled_value = x + x", "doubled_value = x + x + 1", "demo.twice said 'not yet'"),
    ("print(double(21))", "print(double(21) / 0)", "demo-code-3 raised(.|\n)*ZeroDivisionError"),
    ("print(double(21))", "import os; os._exit(1)", "kernel died"),
])
def test_a_lab_that_fails_leaves_the_solved_notebook_as_it_was(course, old, new, message):
    (course.sources / "07_demo.ipynb").write_text("before")
    edit(course, old, new)
    with pytest.raises(TinylibError, match=message):
        build(course, course.pick()[0])
    assert (course.sources / "07_demo.ipynb").read_text() == "before"


def test_streams_are_joined_and_progress_bars_kept_in_their_last_state():
    pieces = [("stdout", "a\n"), ("stdout", "1%\r50"), ("stdout", "%\r100%\r\nb"), ("stderr", "c"), ("stdout", "d")]
    out = joined_streams([nbformat.v4.new_output("stream", name=name, text=text) for name, text in pieces])
    assert [(o.name, o.text) for o in out] == [("stdout", "a\n100%\nb"), ("stderr", "c"), ("stdout", "d")]


def fake_build(course):
    """Both notebooks as if executed, without a kernel."""
    [lab] = course.pick()
    learner, solved = generate(lab)
    course.labs.mkdir(exist_ok=True)
    (course.labs / "07_demo.ipynb").write_text(dumps(learner))
    for number, cell in enumerate((c for c in solved.cells if c.cell_type == "code"), 1):
        cell.execution_count = number
    (course.sources / "07_demo.ipynb").write_text(dumps(solved))
    return lab


@pytest.mark.parametrize(("folder", "damage", "message"), [
    ("labs", None, "labs/07_demo.ipynb is missing"),
    ("labs", lambda t: t.replace("Two times x", "Twice x"), "labs/07_demo.ipynb differs"),
    ("labs", lambda t: t + "\n", "labs/07_demo.ipynb differs"),
    ("solutions", None, "solutions/07_demo.ipynb is missing"),
    ("solutions", lambda t: t.replace("x + x", "2 * x"), "another version"),
    ("solutions", lambda t: t.replace('"execution_count": 2', '"execution_count": 9'), "top to bottom"),
    ("solutions", lambda t: "{", "no readable notebook"),
    ("solutions", lambda t: "", "no readable notebook"),
    ("solutions", lambda t: json.dumps({"cells": [{}], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}), "no readable notebook|another version"),
])
def test_drift_is_seen(course, folder, damage, message):
    lab = fake_build(course)
    assert drift(course, lab) == []
    path = course.root / folder / "07_demo.ipynb"
    path.unlink() if damage is None else path.write_text(damage(path.read_text()))
    [found] = drift(course, lab)
    assert re.search(message, found)


def test_a_changed_source_is_stale(course):
    fake_build(course)
    edit(course, "doubled_value = x + x", "doubled_value = x * 2")
    assert ["solutions/07_demo.ipynb was executed from another version" in d for d in drift(course, course.pick()[0])] == [True]


def test_a_notebook_without_source_is_a_stray(course):
    course.labs.mkdir()
    (course.labs / "08_gone.ipynb").write_text("{}")
    assert len(strays(course)) == 1


def test_labs_are_picked_by_slug(course):
    assert course.pick(["demo"])[0].slug == course.pick(["07_demo"])[0].slug == "demo"
    with pytest.raises(TinylibError, match="There are: demo"):
        course.pick(["nonsense"])
    (course.sources / "07_other.py").write_text((course.sources / "07_demo.py").read_text())
    with pytest.raises(TinylibError, match="number 07"):
        course.pick()


@pytest.mark.parametrize(("run", "count"), [
    (Run("solutions", "demo", {"demo.a": True}, 1.0, 10), 0),
    (Run("labs", "demo", {"demo.a": False}, 1.0, 10), 0),
    (Run("solutions", "demo", {"demo.a": False}, 1.0, 10), 1),
    (Run("labs", "demo", {"demo.a": True}, 1.0, 10), 1),
    (Run("labs", "demo", {}, 1.0, 10), 1),
    (Run("labs", "demo", {"demo.a": False}, 100.0, 2 * 2**30), 2),
])
def test_what_a_run_must_hold(run, count):
    assert len(complaints(run, ("demo.a",))) == count


def test_the_ledger_keeps_the_last_run(tmp_path):
    file = tmp_path / "a" / "ledger.json"
    keep([Run("labs", "demo", {}, 1.0, 10), Run("labs", "other", {}, 3.0, 10)], file)
    keep([Run("labs", "demo", {}, 2.0, 10)], file)
    assert {k: v["cpu_seconds"] for k, v in read_ledger(file).items()} == {"labs/demo": 2.0, "labs/other": 3.0}
    file.write_text("{")
    with pytest.raises(TinylibError, match="damaged"):
        read_ledger(file)


OUTPUT = nbformat.v4.new_output


@pytest.mark.parametrize(("output", "message"), [
    (OUTPUT("stream", name="stderr", text="x.py:1: UserWarning: old"), "shows a warning"),
    (OUTPUT("execute_result", {"text/plain": "<object at 0x7f3a>"}), "object at 0x"),
    (OUTPUT("stream", name="stdout", text="x" * 1_600_000), r"1\.6\d MB, at most 1\.5"),
    (OUTPUT("stream", name="stderr", text="50 % done"), None),
    (OUTPUT("display_data", {"text/html": "<b>x</b>", "text/plain": "<IPython.core.display.HTML object at 0x7f3a>"}), None),
])
def test_outputs_that_must_not_be_kept(course, output, message):
    _, solved = generate(course.pick()[0])
    refuse(solved, dumps(solved))
    solved.cells[1].outputs = [output]
    if message is None:
        return refuse(solved, dumps(solved))
    with pytest.raises(TinylibError, match=message):
        refuse(solved, dumps(solved))


def test_a_notebook_run_is_judged(course):
    spec = importlib.util.spec_from_file_location("run_notebooks", Path(__file__).resolve().parents[1] / "run_notebooks.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    good = [Run("labs", "demo", {"demo.twice": False}, 1.0, 10), Run("solutions", "demo", {"demo.twice": True}, 1.0, 10)]
    assert script.judge(course.pick(), good) == []
    assert "left no note" in script.judge(course.pick(), good[:1])[0]
    cheat = Run("labs", "demo", {"demo.twice": True}, 1.0, 10)
    assert script.judge(course.pick(), [cheat, good[1]]) == ["labs/demo: demo.twice passed"]
