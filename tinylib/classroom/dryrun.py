"""A made-up class, from release to export: fails if anyone gets what they should not."""

import argparse
import copy
import importlib.util
import inspect
import json
import shutil
import tempfile
import textwrap
from pathlib import Path

from tinylib.classroom import gradebook, report, term
from tinylib.classroom.grade import write_whole
from tinylib.core.paths import project_root

CHEATS = {
    "cheat_equal": "class E:\n    __eq__ = lambda s, o: True\n    __hash__ = None\ndef {entry}(*a, **k):\n    return E()\n",
    "cheat_exit": "import os\ndef {entry}(*a, **k):\n    os._exit(0)\n",
    "cheat_reference": "def {entry}(*a, **k):\n    from tinylib.exercises.{slug} import {entry} as f\n    return f(*a, **k)\n",
}


def run(slug: str, isolation: str | None, container: str, keep: Path | None) -> int:
    """Make, grade and check the class; 0 when everybody got what they should."""
    folder = keep or Path(tempfile.mkdtemp(prefix="dryrun-"))
    try:
        wrong = rehearse(slug, isolation, container, folder / "course", folder / "sent")
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(f"WRONG: {line}" for line in wrong) or "Everybody got what they should.")
    return 1 if wrong else 0


def rehearse(slug, isolation, container, course: Path, sent: Path) -> list[str]:
    """What went wrong, one line each."""
    print(term.init(course))
    klass = term.open_course(course)
    usual = {"lab": slug, "isolation": isolation, "container": container, "hidden": None, "workers": 2, "due": None, "exchange": False}
    ask = lambda **more: argparse.Namespace(**usual | more)
    term.release(klass, ask())
    found = klass.assignment(slug)
    expected = make_class(found, sent)
    term.collect(klass, ask(source=str(sent)))
    term.grade(klass, ask())
    klass = term.open_course(course)
    term.feedback(klass, ask())
    for form in ("csv", "canvas", "moodle"):
        term.export(klass, ask(format=form))
    answers, results = term.results_of(klass, found)
    print("\n" + report.text(results, answers, found) + "\n")
    return verdicts(results, expected, answers, found) + in_the_book(klass, found, results)


def make_class(found, sent: Path) -> dict[str, tuple[float, float]]:
    """Write the submissions; learner -> (fewest, most) machine points that are right."""
    solved = json.loads((project_root() / "solutions" / f"{found.stem}.ipynb").read_text(encoding="utf-8"))
    empty = json.loads((project_root() / "labs" / f"{found.stem}.ipynb").read_text(encoding="utf-8"))
    full = found.points(found.by_machine)
    code = found.points(p for p in found.parts if p.kind == "exercise")
    predictions = found.points(p for p in found.parts if p.kind == "prediction")
    first = next(p for p in found.parts if p.kind == "exercise")
    expected = {"demo": (full, full), "empty": (0, 0), "broken_json": (0, 0), "nobody": (0, 0)}
    put(sent, "demo", found, solved)
    put(sent, "empty", found, empty)
    write_whole(sent / "broken_json" / f"{found.stem}.ipynb", '{"cells": [')
    (sent / "nobody").mkdir(parents=True, exist_ok=True)
    for name in ("copied_1", "copied_2"):                       # copied code is right, copied per-learner numbers may be wrong
        put(sent, name, found, solved)
        expected[name] = (code + predictions, full)
    other = answered(empty, {p.id: different(p) for p in found.parts if p.kind == "exercise"}, found)
    put(sent, "other_style", found, other)
    expected["other_style"] = (code, code)
    put(sent, "one_broken", found, answered(solved, {first.id: f"def {first.entry}(:\n    pass"}, found))
    expected["one_broken"] = (code + predictions - first.points, full - first.points)
    put(sent, "first_only", found, answered(empty, {first.id: different(first)}, found))
    expected["first_only"] = (first.points, first.points)
    for name, text in CHEATS.items():
        put(sent, name, found, answered(empty, {p.id: text.format(entry=p.entry, slug=found.slug) for p in found.parts if p.kind == "exercise"}, found))
        expected[name] = (0, 0)
    return expected


def different(part) -> str:
    """A right answer that is not the solution's: the file of second answers, with the entry's name bound to it."""
    path = project_root() / "solutions" / "alternatives" / f"{part.id.partition('.')[0]}.py"
    spec = importlib.util.spec_from_file_location("alternatives", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = module.ALTERNATIVES[part.id]
    text = path.read_text(encoding="utf-8")
    text = text[:text.index("ALTERNATIVES")] if "\nALTERNATIVES" in text else text
    name = getattr(function, "__name__", "")
    if name in ("", "<lambda>"):
        text += "\n" + textwrap.dedent(inspect.getsource(function))
    return text + ("" if name == part.entry else f"\n\n{part.entry} = {name}\n")


def answered(book: dict, sources: dict, found) -> dict:
    """A copy with these answers."""
    return gradebook.filled(copy.deepcopy(book), sources, found)


def put(sent: Path, learner: str, found, book: dict) -> None:
    """One submission."""
    gradebook.write_book(sent / learner / f"{found.stem}.ipynb", book)


def verdicts(results, expected, answers, found) -> list[str]:
    """Who got what they should not, and copies that were not seen."""
    wrong = [f"{r.learner} got {r.points:g}, right would be {expected[r.learner][0]:g} to {expected[r.learner][1]:g}"
             for r in results if not expected[r.learner][0] <= r.points <= expected[r.learner][1]]
    if not any({a, b} == {"copied_1", "copied_2"} for a, b, _ in report.alike(answers, results, found)):
        wrong.append("two copies were not reported as alike")
    return wrong + [f"{name} is not in the results" for name in expected if name not in {r.learner for r in results}]


def in_the_book(klass, found, results) -> list[str]:
    """Whether nbgrader's gradebook says the same."""
    book = {name: sum(auto or 0 for _, auto, _, _ in grades) for name, grades, _ in gradebook.table(klass.folder, found)}
    return [f"{r.learner}: gradebook {book.get(r.learner)}, judge {r.points:g}" for r in results if abs((book.get(r.learner) or 0) - r.points) > 1e-9]
