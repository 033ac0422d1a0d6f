"""What a lab asks for and what each part is worth: read from the released notebook, never from a submission."""

import ast
import json
from dataclasses import dataclass
from pathlib import Path

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root


@dataclass(frozen=True)
class Part:
    """One thing that is answered. `kind`: "exercise", "quiz", "decision", "prediction" or "reason" (graded by hand).

    `grade_id` names the answer cell, `cell_id` is its id in the notebook; `entry` is the function or class of an exercise.
    """

    id: str
    kind: str
    points: float
    grade_id: str
    cell_id: str
    stub: str
    entry: str = ""


@dataclass(frozen=True)
class Assignment:
    """A released lab. `prelude`: the import lines of its own code cells, which an answer cell may rely on."""

    slug: str
    stem: str
    release: str
    parts: tuple[Part, ...]
    prelude: tuple[str, ...]

    @property
    def imported(self) -> tuple[str, ...]:
        """Libraries to have warm in the sandbox: the first names of the prelude's imports."""
        roots = {node.names[0].name if isinstance(node, ast.Import) else node.module for line in self.prelude for node in ast.parse(line).body}
        return tuple(sorted({root.partition(".")[0] for root in roots}))

    @property
    def by_hand(self) -> tuple[Part, ...]:
        """Parts that a person grades."""
        return tuple(p for p in self.parts if p.kind == "reason")

    @property
    def by_machine(self) -> tuple[Part, ...]:
        """Parts that the judge grades."""
        return tuple(p for p in self.parts if p.kind != "reason")

    def points(self, parts=None) -> float:
        """Points of these parts, or of all."""
        return sum(p.points for p in (self.parts if parts is None else parts))


def find(slug: str, folder: Path | None = None) -> Assignment:
    """The assignment of a lab's slug or stem in `folder` (default: labs/ of the course). TinylibError when there is none."""
    folder = folder or project_root() / "labs"
    paths = sorted(p for p in folder.glob("*.ipynb") if slug in (p.stem, p.stem.partition("_")[2]))
    if not paths:
        raise TinylibError(f"No lab {slug!r} in {folder}. There are: {', '.join(p.stem for p in sorted(folder.glob('*.ipynb'))) or 'none'}.")
    return read(paths[0])


def read(path: Path) -> Assignment:
    """The assignment of one released notebook."""
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        cells, ours = book["cells"], book["metadata"]["tinylib"]
    except (OSError, ValueError, KeyError, TypeError):
        raise TinylibError(f"{path} is no released lab; `tinylib build` writes it.") from None
    checks = {c["metadata"]["tinylib"]["id"]: c for c in cells if c["metadata"].get("tinylib", {}).get("role") == "check"}
    parts = tuple(_part(c, checks) for c in cells if c["metadata"].get("nbgrader", {}).get("solution") and c["metadata"].get("tinylib", {}).get("id"))
    return Assignment(ours["slug"], path.stem, ours.get("release", ""), parts, tuple(_imports(cells)))


def _part(cell: dict, checks: dict) -> Part:
    grader, ours = cell["metadata"]["nbgrader"], cell["metadata"]["tinylib"]
    common = dict(id=ours["id"], grade_id=grader["grade_id"], cell_id=cell["id"], stub=_text(cell))
    if ours["role"] == "exercise":
        check = checks[ours["id"]]
        return Part(kind="exercise", points=float(check["metadata"]["nbgrader"]["points"]), entry=_entry(check), **common)
    return Part(kind=ours["role"], points=float(grader.get("points", ours.get("points", 0))), **common)


def _text(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _entry(check: dict) -> str:
    """Name of what the check cell hands to `check`."""
    for node in ast.walk(ast.parse(_text(check))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check" and len(node.args) == 2:
            return node.args[1].id
    raise TinylibError("A check cell of the released lab checks nothing.")


def _imports(cells):
    """Import lines of the released code cells, without tinylib and drawing."""
    for cell in cells:
        if cell["cell_type"] != "code" or cell["metadata"].get("nbgrader"):
            continue
        for node in ast.parse(_text(cell)).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                roots = {(a.name if isinstance(node, ast.Import) else node.module or "").split(".")[0] for a in node.names}
                if not roots & {"tinylib", "matplotlib", "IPython", "ipywidgets", ""}:
                    yield ast.unparse(node)
