"""What labs there are, computed from their sources and generated notebooks. Does not import torch."""

import json
from dataclasses import dataclass
from pathlib import Path

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root
from tinylib.course.source import Lab, find_sources, read_lab


@dataclass(frozen=True)
class Entry:
    """One lab as the tables show it. `points`: exercises, hand-graded reasons and questions together."""

    slug: str
    number: int
    title: str
    minutes: int
    prerequisites: tuple[str, ...]
    exercises: tuple[str, ...]
    questions: tuple[str, ...]
    points: int
    panels: tuple[str, ...]
    systems: tuple[str, ...]
    passport: bool

    @property
    def stem(self) -> str:
        """File name of its notebooks without suffix: "02_pruning"."""
        return f"{self.number:02d}_{self.slug}"


def manifest(root: Path | None = None) -> list[Entry]:
    """The labs of the course at `root`, by number. Raises TinylibError for a source or notebook that cannot be read."""
    root = root or project_root()
    return [entry_of(read_lab(path), root) for path in find_sources(root / "solutions")]


def entry_of(lab: Lab, root: Path) -> Entry:
    """The manifest entry of one lab."""
    points = sum(notebook_points(root / "labs" / f"{lab.stem}.ipynb").values())
    questions = tuple(dict.fromkeys(name for called, name, _ in lab.calls if called in ("predict", "answer")))
    return Entry(lab.slug, lab.number, lab.title, lab.minutes, lab.prerequisites, lab.named("check"), questions, points,
                 lab.named("panel"), lab.systems, lab.passport)


def notebook_points(path: Path) -> dict[str, int]:
    """grade_id ("slug-name-check") -> points of a generated notebook: check and reason cells by nbgrader's metadata, questions by our own."""
    if not path.exists():
        return {}
    try:
        metadata = [cell["metadata"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    except (ValueError, KeyError, TypeError):
        raise TinylibError(f"{path} is no readable notebook; `python -m tinylib.cli build {path.stem[3:]}` writes it anew.") from None
    graded = [(m["nbgrader"], m.get("tinylib", {})) for m in metadata if "nbgrader" in m]
    return {grader["grade_id"]: grader.get("points", ours.get("points", 0)) for grader, ours in graded}
