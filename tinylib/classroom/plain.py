"""Grading without nbgrader: a folder or zip in; CSV, feedback and a report out."""

import os
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from tinylib.classroom import collect, export, feedback, report
from tinylib.classroom.answers import Answers
from tinylib.classroom.assignment import Assignment
from tinylib.classroom.grade import Cache, grade_all, hand_points, write_whole
from tinylib.classroom.judge import Course, Result, new_secret
from tinylib.core.errors import TinylibError


@dataclass(frozen=True)
class Graded:
    """What one run made."""

    submissions: list[Answers]
    results: list[Result]
    rows: list
    fresh: int


def grade_folder(source: Path, out: Path, assignment: Assignment, course: Course, listed: list[str] | None = None,
                 executor: Executor | None = None, workers: int = 2, say=print) -> Graded:
    """Grade every student's folder of `source`. Started again after a kill it takes up what was done and repeats nothing.

    Writes OUT/grades.csv, canvas.csv, moodle.csv, report.txt, feedback/STUDENT/LAB.{md,html}. Points given by hand are read from
    OUT/by_hand.json: {"student": {"slug.decide.reason": {"points": 2, "comment": "..."}}}.
    """
    fresh = 0

    def told(result: Result, new: bool) -> None:
        nonlocal fresh
        fresh += new
        notes = f"  ({' '.join(result.notes)})" if result.notes else ""
        say(f"{result.learner}: {result.points:g}{'' if new else ' (graded before)'}{notes}")

    with collect.opened(source) as folder:
        submissions = collect.read_all(folder, assignment, listed)
    results = grade_all(submissions, assignment, course, Cache(out / ".cache"), executor, workers, told)
    return write_out(out, submissions, results, assignment, fresh)


def write_out(out: Path, submissions, results, assignment, fresh: int = 0) -> Graded:
    """All files of a graded class."""
    by_hand = hand_points(out / "by_hand.json")
    rows = [export.row(r, assignment, by_hand.get(r.learner)) for r in results]
    for result in results:
        text = feedback.markdown(result, assignment, by_hand.get(result.learner))
        folder = out / "feedback" / result.learner
        write_whole(folder / f"{assignment.stem}.md", text)
        write_whole(folder / f"{assignment.stem}.html", feedback.page(text, f"{assignment.stem}: {result.learner}"))
    write_whole(out / "report.txt", report.text(results, submissions, assignment) + "\n")
    for name, make in export.FORMATS.items():
        write_whole(out / ("grades.csv" if name == "csv" else f"{name}.csv"), make(rows))
    return Graded(submissions, results, rows, fresh)


def secret_of(out: Path) -> str:
    """The secret kept beside the grades, made on first use; only its owner may read it."""
    path = out / ".secret"
    try:
        found = path.read_text(encoding="ascii").strip()
        if len(found) < 32:
            raise TinylibError(f"{path} is damaged. Put the class secret back, or delete it: all private instances will then be new ones.")
        return found
    except FileNotFoundError:
        out.mkdir(parents=True, exist_ok=True)
    made = new_secret()
    draft = out / f".secret.{os.getpid()}"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(made + "\n")
    draft.replace(path)
    return made
