"""Our parts of an nbgrader course: its configuration, the source and released notebooks, totals out of its gradebook."""

import copy
import json
import os
import re
import sysconfig
import warnings
from pathlib import Path

from tinylib.classroom.assignment import Assignment
from tinylib.classroom.grade import write_whole
from tinylib.core.errors import TinylibError

CONFIG = '''# nbgrader configuration of this course; written by `tinylib class init`.
from nbgrader.preprocessors import (AssignLatePenalties, CheckCellMetadata, ClearOutput, ComputeChecksums, LimitOutput, LockCells, SaveAutoGrades,
                                    SaveCells)

from tinylib.classroom.preprocessor import Judge

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {name!r}
# Our labs hold stubs already: ClearSolutions would wipe their docstrings.
c.GenerateAssignment.preprocessors = [LockCells, ClearOutput, CheckCellMetadata, ComputeChecksums, SaveCells, CheckCellMetadata]
# The judge in place of Execute: no test cell of a submission is ever run.
c.Autograde.autograde_preprocessors = [Judge, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
# Late policy, one of nbgrader's or ours; due dates: tinylib class release --due, or the formgrader.
# c.LateSubmissionPlugin.penalty_method = "zero"
# c.AssignLatePenalties.plugin_class = "tinylib.classroom.late.PerDay"
# c.PerDay.percent = 10
{exchange}'''


def questions_id(assignment: Assignment) -> str:
    """grade_id of the one cell that carries the points of predictions, decision and quiz in the gradebook."""
    return f"{assignment.slug}-questions"


def question_parts(assignment: Assignment) -> list:
    """Parts whose points that cell carries."""
    return [p for p in assignment.by_machine if p.kind != "exercise"]


def source_book(released: dict, assignment: Assignment) -> dict:
    """The lab as nbgrader's source: with one more locked cell, so that the gradebook knows the questions' points. Students never get it."""
    book = copy.deepcopy(released)
    points = assignment.points(question_parts(assignment))
    if points:
        book["cells"].append({"cell_type": "code", "id": questions_id(assignment)[:64], "execution_count": None, "outputs": [],
                              "source": "# predictions, decision and quiz", "metadata": {"nbgrader": {
                                  "schema_version": 3, "grade_id": questions_id(assignment), "grade": True, "solution": False, "locked": True,
                                  "task": False, "points": points}}})
    return book


def filled(source: dict, sources: dict[str, str], assignment: Assignment) -> dict:
    """The source notebook with a student's answers in it: what nbgrader gets to see, whatever was handed in."""
    book = copy.deepcopy(source)
    answers = {p.grade_id: inert(sources[p.id]) if p.kind == "reason" else sources[p.id] for p in assignment.parts if p.id in sources}
    for cell in book["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in answers:
            cell["source"] = answers[name].encode("utf-8", "replace").decode()
    return book


def inert(text: str) -> str:
    """A student's Markdown without HTML, links and formulas that link: the formgrader would run their scripts with the grader's rights."""
    text = text.replace("<", "&lt;").replace("](", "] (").replace("]:", "] :").replace("][", "] [")
    return re.sub(r"\\(href|url|require|html\w*)\b", r"\\mathrm", text, flags=re.I)


def write_book(path: Path, book: dict) -> None:
    """A notebook file, in one step."""
    write_whole(path, json.dumps(book, indent=1, sort_keys=True) + "\n")


def api(course: Path):
    """nbgrader's API for this course folder."""
    own_programs()
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    config.CourseDirectory.root = str(course)
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def own_programs() -> None:
    """nbgrader calls `alembic` by its bare name; let it find the one beside this Python."""
    scripts = sysconfig.get_path("scripts")
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", "")])


def sure(step, what: str) -> None:
    """Make an nbgrader step; TinylibError with the end of its log when it fails. Its own library's warnings are no news for an instructor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = step()
    if not done.get("success"):
        tail = "\n".join((done.get("log") or done.get("error") or "").strip().splitlines()[-12:])
        raise TinylibError(f"{what} failed:\n{tail}")


def takes(name: str) -> bool:
    """Whether nbgrader can have a student of this name: it looks for folders by pattern, and "*" would be everybody."""
    return not set(name) & set("*?[]/\\")


def open_gradebook(course: Path):
    """The gradebook as a context."""
    own_programs()
    from nbgrader.api import Gradebook

    return Gradebook(f"sqlite:///{course / 'gradebook.db'}")


def by_hand(course: Path, assignment: Assignment, learner: str) -> dict:
    """What a person gave in the formgrader: part id -> {"points", "comment"}.

    Points are None where a reason is still open, and where the judge's points of another part stand.
    """
    found = {}
    with open_gradebook(course) as book:
        for part in assignment.parts:
            grade = _entry(book.find_grade, part.grade_id + ("-check" if part.kind == "exercise" else ""), assignment, learner)
            comment = _entry(book.find_comment, part.grade_id, assignment, learner)
            points = None if grade is None else grade.manual_score
            if part.kind == "reason" and grade is not None:
                points = None if grade.needs_manual_grade else grade.score
            found[part.id] = {"points": points, "comment": (comment.manual_comment or "") if comment is not None else ""}
    return found


def _entry(find, name, assignment, learner):
    from nbgrader.api import MissingEntry

    try:
        return find(name, assignment.stem, assignment.stem, learner)
    except MissingEntry:
        return None


def total(course: Path, assignment: Assignment, learner: str) -> float | None:
    """The gradebook's total with everything that a person changed and the late penalty; None where nothing is recorded."""
    return {name: points for name, _, points in table(course, assignment)}.get(learner)


def table(course: Path, assignment: Assignment) -> list[tuple]:
    """(student, points of each graded cell by name, total with late penalty) of every submission, sorted: two runs can be compared."""
    with open_gradebook(course) as book:
        rows = []
        for submission in book.assignment_submissions(assignment.stem):
            grades = tuple(sorted((g.name, g.auto_score, g.manual_score, bool(g.needs_manual_grade)) for n in submission.notebooks for g in n.grades))
            rows.append((submission.student.id, grades, max(0.0, submission.score - submission.late_submission_penalty)))
        return sorted(rows)


def set_due(course: Path, assignment: Assignment, due: str) -> str:
    """Set the lab's due date ("2026-12-01 18:00 +0100"; UTC without an offset) and say it in UTC. TinylibError for what is no date."""
    from tinylib.classroom.late import in_utc

    try:
        when = in_utc(due)
    except (ValueError, OverflowError, TypeError):
        raise TinylibError(f"{due!r} is no date. For example: --due '2026-12-01 18:00 +0100'") from None
    with open_gradebook(course) as book:
        book.update_or_create_assignment(assignment.stem, duedate=when)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def penalise(course: Path, assignment: Assignment) -> dict[str, float]:
    """Ask the configured late policy again, with today's points and due date (nbgrader does so only in autograde); student -> points lost."""
    from nbgrader.preprocessors import AssignLatePenalties

    policy = AssignLatePenalties(parent=api(course))
    policy.init_plugin()
    lost = {}
    with open_gradebook(course) as book:
        for submission in book.assignment_submissions(assignment.stem):
            late = submission.total_seconds_late
            for notebook in submission.notebooks:
                asked = policy.plugin_inst.late_submission_penalty(submission.student.id, notebook.score, late) if late > 0 else None
                notebook.late_submission_penalty = None if asked is None else policy._check_late_penalty(notebook, asked)
                if asked:
                    lost[submission.student.id] = lost.get(submission.student.id, 0.0) + notebook.late_submission_penalty
        book.db.commit()
    return lost
