"""Builds the notebooks of a lab from its source, and tells which are out of date."""

from dataclasses import dataclass
from pathlib import Path

import nbformat

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root
from tinylib.course import ledger
from tinylib.course.execute import execute, refuse
from tinylib.course.generate import dumps, generate
from tinylib.course.known import Known
from tinylib.course.source import Lab, find_sources, read_lab


@dataclass(frozen=True)
class Course:
    """A folder with `solutions/` (sources) and `labs/`; the project itself unless a test says otherwise."""

    root: Path

    @property
    def sources(self) -> Path:
        """Folder of the sources and the solved notebooks."""
        return self.root / "solutions"

    @property
    def labs(self) -> Path:
        """Folder of the notebooks with stubs."""
        return self.root / "labs"

    def pick(self, slugs: list[str] | tuple[str, ...] = ()) -> list[Lab]:
        """The labs with these slugs ("pruning" or "02_pruning"), all when none is given. Raises TinylibError for an unknown one."""
        paths = find_sources(self.sources)
        have = {path.stem[3:]: path for path in paths} | {path.stem: path for path in paths}
        unknown = [slug for slug in slugs if slug not in have]
        if unknown:
            raise TinylibError(f"No lab {unknown[0]!r}. There are: {', '.join(path.stem[3:] for path in paths) or 'none yet'}.")
        labs = [read_lab(path) for path in (dict.fromkeys(have[s] for s in slugs) if slugs else paths)]
        numbers = [path.stem[:2] for path in paths]
        twice = next((n for n in numbers if numbers.count(n) > 1), None)
        if twice:
            raise TinylibError(f"Two lab sources have the number {twice}.")
        return labs


def project() -> Course:
    """The course of this repository."""
    return Course(project_root())


def build(course: Course, lab: Lab, known: Known | None = None) -> ledger.Run:
    """Write both notebooks of the lab, the solved one executed. Raises TinylibError and leaves the solved one as it was when it fails."""
    learner, solved = generate(lab, known)
    course.labs.mkdir(exist_ok=True)
    (course.labs / f"{lab.stem}.ipynb").write_text(dumps(learner), encoding="utf-8", newline="\n")
    done, run = execute(solved, course.sources)
    text = dumps(done)
    refuse(done, text)
    wrong = ledger.complaints(run, lab.named("check"))
    if wrong:
        raise TinylibError("\n".join(wrong))
    (course.sources / f"{lab.stem}.ipynb").write_text(text, encoding="utf-8", newline="\n")
    return run


def drift(course: Course, lab: Lab, known: Known | None = None) -> list[str]:
    """What is out of date; empty when both notebooks belong to the source as it is. Executes nothing."""
    learner, solved = generate(lab, known)
    remedy = f"run `python -m tinylib.cli build {lab.slug}`"
    found, notebook = [], course.labs / f"{lab.stem}.ipynb"
    if not notebook.exists():
        found.append(f"labs/{notebook.name} is missing: {remedy}")
    elif notebook.read_bytes() != dumps(learner).encode():
        found.append(f"labs/{notebook.name} differs from its source: {remedy}")
    executed = course.sources / f"{lab.stem}.ipynb"
    return found + [f"solutions/{executed.name} {problem}: {remedy}" for problem in stale(executed, solved)]


def stale(path: Path, fresh: nbformat.NotebookNode) -> list[str]:
    """What is wrong with an executed notebook, given its fresh cells without outputs."""
    if not path.exists():
        return ["is missing"]
    try:
        book = nbformat.reads(path.read_text(encoding="utf-8"), as_version=nbformat.NO_CONVERT)
        same = [strip(c) for c in book.cells] == [strip(c) for c in fresh.cells] and book.metadata == fresh.metadata
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError):
        return ["is no readable notebook"]
    if not same:
        return ["was executed from another version of its source"]
    counts = [c.execution_count for c in book.cells if c.cell_type == "code"]
    return [] if counts == list(range(1, len(counts) + 1)) else ["was not executed from top to bottom"]


def strip(cell: nbformat.NotebookNode) -> dict:
    """What the source decides about a cell."""
    return {key: cell[key] for key in ("id", "cell_type", "source", "metadata")}


def strays(course: Course) -> list[str]:
    """Notebooks without a source."""
    stems = {path.stem for path in find_sources(course.sources)}
    return [f"{p.parent.name}/{p.name} has no source solutions/{p.stem}.py: delete it, or restore the source"
            for folder in (course.labs, course.sources) for p in sorted(folder.glob("*.ipynb")) if p.stem not in stems]
