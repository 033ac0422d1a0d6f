"""The learner's copies: made once, never overwritten, reset and updated with the old one kept."""

import json
from pathlib import Path

import pytest

from tinylib.core.errors import TinylibError
from tinylib.course.workspace import Workspace, answers


def notebook(release, **cells):
    """A released notebook with answer cells slug-<name> and a text."""
    made = [{"cell_type": "markdown", "id": "t", "metadata": {}, "source": [f"release {release}"]}]
    made += [{"cell_type": "code", "id": name, "metadata": {"nbgrader": {"grade_id": f"demo-{name}", "solution": True}}, "source": [text],
              "outputs": [], "execution_count": None} for name, text in cells.items()]
    return {"cells": made, "metadata": {"tinylib": {"slug": "demo", "release": release}}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def space(tmp_path):
    """A workspace over one released lab."""
    (tmp_path / "labs").mkdir()
    space = Workspace(tmp_path / "labs", tmp_path / "my_labs")
    publish(space, notebook("one", a="stub a", b="stub b", gone="stub c"))
    return space


def publish(space, book):
    (space.labs / "07_demo.ipynb").write_text(json.dumps(book))


def mine(space):
    return json.loads((space.folder / "07_demo.ipynb").read_text())


def solve(space, **texts):
    """Write answers into the learner's copy."""
    book = mine(space)
    for cell in book["cells"]:
        if cell["id"] in texts:
            cell["source"] = [texts[cell["id"]]]
    (space.folder / "07_demo.ipynb").write_text(json.dumps(book))


def test_labs_are_copied_once_with_the_name(space):
    before = (space.labs / "07_demo.ipynb").read_bytes()
    assert space.fill("Ada") == ["07_demo"] and mine(space)["metadata"]["tinylib"]["learner"] == "Ada"
    solve(space, a="mine")
    kept = (space.folder / "07_demo.ipynb").read_bytes()
    assert space.fill("Ada") == [] and (space.folder / "07_demo.ipynb").read_bytes() == kept
    assert (space.labs / "07_demo.ipynb").read_bytes() == before


def test_update_carries_answers_and_takes_new_stubs(space):
    space.fill("Ada")
    solve(space, a="my a", gone="my c")
    publish(space, notebook("two", a="new stub a", b="new stub b", d="new d"))
    done = space.update("demo", "Ada")
    assert answers(mine(space)) == {"demo-a": "my a", "demo-b": "new stub b", "demo-d": "new d"}
    assert done.carried == ("demo-a",) and done.lost == ("demo-gone",)
    assert answers(json.loads(Path(done.old).read_text()))["demo-gone"] == "my c"
    assert mine(space)["metadata"]["tinylib"] == {"slug": "demo", "release": "two", "learner": "Ada"}
    assert space.update("demo", "Ada").old == ""


def test_update_without_the_pristine_twin_keeps_every_cell(space):
    space.fill("Ada")
    space.pristine(space.folder / "07_demo.ipynb").unlink()
    publish(space, notebook("two", a="new stub a"))
    space.update("demo", "Ada")
    assert answers(mine(space)) == {"demo-a": "stub a"}


def test_reset_keeps_every_old_copy(space):
    space.fill("Ada")
    assert space.reset("demo", "Ada") != space.reset("07_demo", "Ada")
    solve(space, a="mine")
    kept = space.reset("demo", "Ada")
    assert answers(json.loads(kept.read_text()))["demo-a"] == "mine" and answers(mine(space))["demo-a"] == "stub a"
    assert len(list((space.folder / "old").iterdir())) == 3


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"nbformat": 3, "metadata": {}, "worksheets": []}', '{"nbformat": 4, "metadata": {}, "cells": [{}]}'])
def test_a_broken_notebook_is_never_touched_without_a_copy(space, damage):
    space.fill("Ada")
    (space.folder / "07_demo.ipynb").write_text(damage)
    publish(space, notebook("two", a="new"))
    with pytest.raises(TinylibError, match="--reset demo"):
        space.update("demo", "Ada")
    assert space.fill("Ada") == [] and (space.folder / "07_demo.ipynb").read_text() == damage
    assert space.reset("demo", "Ada").read_text() == damage and answers(mine(space))["demo-a"] == "new"


def test_a_duplicated_and_an_extra_cell_do_no_harm(space):
    space.fill("Ada")
    book = mine(space)
    book["cells"] += [dict(book["cells"][1], source="again"), {"cell_type": "code", "metadata": {}, "source": "x"}]
    (space.folder / "07_demo.ipynb").write_text(json.dumps(book))
    publish(space, notebook("two", a="new"))
    assert space.update("demo", "Ada").carried == ("demo-a",)


def test_an_unknown_lab_is_named(space):
    with pytest.raises(TinylibError, match="There are: demo"):
        space.find("nonsense")
