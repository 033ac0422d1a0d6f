"""The learner's map of the course, from the record of checks and answers."""

from dataclasses import dataclass
from pathlib import Path

from tinylib.check import record
from tinylib.check.learner import current_learner
from tinylib.course.manifest import Entry, manifest


@dataclass(frozen=True)
class Progress:
    """How far a learner is in one lab."""

    lab: Entry
    exercises: int      # passed
    questions: int      # answered rightly, or predicted
    tries: int          # checks made


def progress_of(lab: Entry, entries: list[dict]) -> Progress:
    """What the record says about one lab. Passed once is passed; ids that the lab does not have are ignored."""
    passed = {e["id"] for e in entries if e.get("status") == "passed"}
    tries = sum(e["kind"] == "check" and e["id"] in lab.exercises for e in entries)
    return Progress(lab, len(passed & set(lab.exercises)), len(passed & set(lab.questions)), tries)


def course_map(root: Path | None = None) -> str:
    """The map as text: a line a lab, the next step, and a note for each damaged line of the record."""
    labs = manifest(root)
    if not labs:
        return "There are no labs here yet."
    learner = current_learner()
    entries, notes = record.read()
    entries = [e for e in entries if e.get("learner", learner) == learner]
    states = [progress_of(lab, entries) for lab in labs]
    return "\n".join([f"Progress of {learner}", *map(line, states), "", next_step(states), *notes])


def line(state: Progress) -> str:
    """One lab: a bar over its exercises and questions."""
    total = len(state.lab.exercises) + len(state.lab.questions)
    done = state.exercises + state.questions
    bar = "#" * done + "." * (total - done)
    return (f"  {state.lab.number:02d} {state.lab.title:40s} [{bar}] {state.exercises}/{len(state.lab.exercises)} exercises, "
            f"{state.questions}/{len(state.lab.questions)} questions")


def next_step(states: list[Progress]) -> str:
    """The first lab that is begun and not finished, else the first untouched one."""
    finished = lambda s: s.exercises == len(s.lab.exercises) and s.questions == len(s.lab.questions)
    open_labs = [s for s in states if not finished(s)]
    if not open_labs:
        return "Every lab is done."
    begun = [s for s in open_labs if s.tries or s.questions]
    return f"Next: tinylib lab {(begun or open_labs)[0].lab.slug}"
