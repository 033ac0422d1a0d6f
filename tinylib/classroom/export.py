"""Grades as CSV: plain, and with the columns that Canvas and Moodle import."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

from tinylib.classroom.assignment import Assignment
from tinylib.classroom.judge import Result


@dataclass(frozen=True)
class Row:
    """A student's total of one lab. `open`: points that a person has not given yet."""

    learner: str
    lab: str
    points: float
    max_points: float
    open: float
    parts: dict
    notes: str = ""


def row(result: Result, assignment: Assignment, hand: dict | None = None) -> Row:
    """Machine and hand points together."""
    hand = {p.id: (hand or {}).get(p.id, {}).get("points") for p in assignment.by_hand}
    parts = {s.id: s.points for s in result.scores} | {k: v for k, v in hand.items() if v is not None}
    still = assignment.points(p for p in assignment.by_hand if hand[p.id] is None)
    return Row(result.learner, assignment.stem, round(sum(map(float, parts.values())), 6), assignment.points(), still, parts, " ".join(result.notes))


def plain(rows: list[Row]) -> str:
    """One line a student and lab, one column a part."""
    names = list(dict.fromkeys(name for r in rows for name in r.parts))
    table = [["student", "lab", "points", "max_points", "open_by_hand", *names, "notes"]]
    return _csv(table + [[_safe(r.learner), r.lab, r.points, r.max_points, r.open, *(r.parts.get(n, "") for n in names), _safe(r.notes)] for r in rows])


def canvas(rows: list[Row]) -> str:
    """Canvas gradebook import: its five identity columns, one column a lab, the row of possible points first."""
    labs = {r.lab: r.max_points for r in rows}
    table = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *labs], ["    Points Possible", "", "", "", "", *labs.values()]]
    return _csv(table + [[_safe(name), "", "", _safe(name), "", *(points.get(lab, "") for lab in labs)] for name, points in _by_learner(rows)])


def moodle(rows: list[Row]) -> str:
    """Moodle grade import: the user name to map by, one column a lab."""
    labs = list(dict.fromkeys(r.lab for r in rows))
    return _csv([["username", *labs]] + [[_safe(name), *(points.get(lab, "") for lab in labs)] for name, points in _by_learner(rows)])


FORMATS: dict[str, Callable[[list[Row]], str]] = {"csv": plain, "canvas": canvas, "moodle": moodle}


def _by_learner(rows):
    found: dict = {}
    for r in rows:
        found.setdefault(r.learner, {})[r.lab] = r.points
    return found.items()


def _safe(text: str) -> str:
    """A spreadsheet must not take a student's text for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _csv(table) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    return out.getvalue()
