"""A notebook in any state: no crash, a clear line, and the points that the readable answers deserve."""

import json
import os

import pytest
from classes import RIGHT, book, cell_of, course, lab

from tinylib.classroom.answers import literal, read_bytes, read_folder
from tinylib.classroom.judge import judge

GRADE_ID = "start_here-output_size"


def right():
    made = book()
    cell_of(made, GRADE_ID)["source"] = RIGHT
    return made


def without_cell(made):
    made["cells"].remove(cell_of(made, GRADE_ID))
    return made


def duplicated(made):
    stub = json.loads(json.dumps(cell_of(made, GRADE_ID))) | {"source": cell_of(book(), GRADE_ID)["source"]}
    made["cells"].append(stub)
    return made


def retyped(made):
    cell_of(made, GRADE_ID)["cell_type"] = "markdown"
    return made


def unmarked(made):
    for cell in made["cells"]:
        cell["metadata"] = {}
        cell["id"] = "x"
    return made


def rich(made):
    cell_of(made, GRADE_ID)["metadata"]["nbgrader"] |= {"points": 1000, "grade": True}
    cell_of(made, "start_here-output_size-check")["metadata"]["nbgrader"]["points"] = 1000
    return made


def version_3(made):
    cells = []
    for cell in made["cells"]:
        lines = "".join(cell["source"]).splitlines(keepends=True)
        cells.append({"cell_type": cell["cell_type"], "metadata": cell["metadata"], "input" if cell["cell_type"] == "code" else "source": lines})
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}


def old_release(made):
    made["metadata"]["tinylib"]["release"] = "0" * 16
    return made


def spoofed(made):
    """The check cell's grade_id on a wrong answer cell, and a right answer under a made-up id."""
    made["cells"].append({"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "start_here-output_size-check", "solution": True, "points": 99}},
                          "source": "2", "outputs": [{"output_type": "execute_result", "data": {"text/plain": "99"}}]})
    return made


def dump(made):
    return json.dumps(made).encode()


STATES = {                                                      # name -> (bytes, points of the exercise, word in a note)
    "untouched": (lambda: dump(book()), 0, ""),
    "right": (lambda: dump(right()), 2, ""),
    "empty file": (lambda: b"", 0, "empty"),
    "only blanks": (lambda: b" \n ", 0, "empty"),
    "broken JSON": (lambda: dump(right())[:-200], 0, "broken JSON"),
    "JSON without end": (lambda: b"[" * 200_000, 0, "broken JSON"),
    "a list": (lambda: b"[1, 2]", 0, "no cells"),
    "cells that are none": (lambda: b'{"cells": [1, null, {"source": 3}, {"metadata": 5, "source": "x"}], "metadata": []}', 0, "damaged"),
    "many cells that are none": (lambda: json.dumps({"cells": [1] * 10**6}).encode(), 0, "left out as damaged: 1000000"),
    "blank lines without end": (lambda: dump({"cells": [{"cell_type": "code", "metadata": {}, "source": "\n" * 10**6}]}), 0, "missing"),
    "format 3": (lambda: dump(version_3(right())), 2, "format 3"),
    "cell deleted": (lambda: dump(without_cell(right())), 0, "missing"),
    "cell duplicated": (lambda: dump(duplicated(right())), 2, "2 cells claim it"),
    "cells reordered": (lambda: dump(right() | {"cells": right()["cells"][::-1]}), 2, ""),
    "cell retyped": (lambda: dump(retyped(right())), 2, "no code cell any more"),
    "marks lost": (lambda: dump(unmarked(right())), 2, "lost its mark"),
    "points edited": (lambda: dump(rich(right())), 2, ""),
    "grade ids spoofed": (lambda: dump(spoofed(book())), 0, ""),
    "Windows line ends": (lambda: dump(right()).replace(b"\\n", b"\\r\\n"), 2, ""),
    "not UTF-8": (lambda: json.dumps(right(), ensure_ascii=False).replace("# ", "# \u00e9", 1).encode("latin-1", "replace"), 2, "not UTF-8"),
    "with a byte order mark": (lambda: b"\xef\xbb\xbf" + dump(right()), 2, ""),
    "UTF-16": (lambda: json.dumps(right()).encode("utf-16"), 2, ""),
    "old release": (lambda: dump(old_release(right())), 2, "another release"),
    "another lab": (lambda: dump(book(slug="pruning")), 0, "belongs to the lab"),
    "50 MB of output": (lambda: dump(right() | {"cells": [*right()["cells"], {"cell_type": "code", "metadata": {}, "source": "", "outputs": [
        {"output_type": "stream", "name": "stdout", "text": "x" * (50 << 20)}]}]}), 2, ""),
}


@pytest.mark.parametrize("name", STATES)
def test_a_notebook_in_this_state(name):
    data, points, word = STATES[name]
    answers = read_bytes(data(), lab(), "ada")
    result = judge(answers, lab(), course())
    assert sum(s.points for s in result.scores) == points, result.scores
    assert all(s.max_points < 10 for s in result.scores)
    assert word.lower() in " ".join(result.notes).lower() and len(result.notes) < 40, result.notes
    assert word or not result.notes


def test_folders(tmp_path):
    """No folder, no notebook, a renamed one, a name with spaces and accents, two submissions, a link to somebody else's."""
    assert read_folder(tmp_path / "none", lab(), "ada").kind == "missing"
    folder = tmp_path / "Zo\u00eb van der M\u00fcller"
    (folder / "deep").mkdir(parents=True)
    assert "No notebook" in read_folder(folder, lab(), folder.name).notes[0]
    (folder / "deep" / "my try (1).ipynb").write_bytes(dump(right()))
    found = read_folder(folder, lab(), folder.name)
    assert found.sources and "was named" in found.notes[0] and found.learner == folder.name
    newer = folder / "other try.ipynb"
    newer.write_bytes(dump(book()))
    os.utime(folder / "deep" / "my try (1).ipynb", (1, 1))
    found = read_folder(folder, lab(), folder.name)
    assert "2 notebooks" in found.notes[0] and found.sources["start_here.output_size"] == lab().parts[2].stub
    (folder / "other try.ipynb").unlink()
    (folder / "zz.ipynb").symlink_to("/etc/hostname")
    assert "2 notebooks" not in " ".join(read_folder(folder, lab(), folder.name).notes)


@pytest.mark.parametrize(("source", "found"), [
    ('answer("q.1", 3)', (True, 3)), ('answer("q.1", -3.5)', (True, -3.5)), ('answer("q.1", ["a", {"b": 1}])', (True, ["a", {"b": 1}])),
    ('answer("q.1", None)', (True, None)), ('answer("q.2", 3)', (False, None)), ('answer("q.1", open("x"))', (False, None)),
    ('answer("q.1", 3', (False, None)), ('answer("q.1", 1); answer("q.1", 2)', (True, 2)), ("", (False, None)), ("(" * 5000, (False, None)),
])
def test_an_answer_is_a_literal(source, found):
    assert literal(source, "q.1") == found


def test_stderr_and_warnings_cost_nothing():
    from classes import OTHER_STYLE, score
    assert score(OTHER_STYLE).points == 2
