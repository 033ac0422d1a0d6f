"""What the cells of a lab may name: the exercises, questions and panels that the lab's modules declare.

The same facts are checked against the source here, so that a lab and its modules cannot drift apart.
"""

import ast
import importlib
from dataclasses import dataclass
from importlib.util import find_spec

from tinylib.course.source import Cell, Lab


@dataclass(frozen=True)
class Known:
    """Declared ids of one lab: exercise -> points, question -> (kind, points), panels."""

    exercises: dict[str, int]
    questions: dict[str, tuple[str, int]]
    panels: frozenset[str]


def declared(slug: str) -> Known:
    """What `tinylib.exercises.<slug>` and `tinylib.panels.<slug>` declare; a module that is missing declares nothing."""
    exercises, panels = leaf("exercises", slug), leaf("panels", slug)
    return Known({e.id: e.points for e in getattr(exercises, "EXERCISES", ())},
                 {q.id: (q.kind, q.points) for q in getattr(exercises, "QUESTIONS", ())},
                 frozenset(p.id for p in getattr(panels, "PANELS", ())))


def leaf(room: str, slug: str):
    """Module `tinylib.<room>.<slug>`, or None where no such file is. An error inside the module comes through."""
    name = f"tinylib.{room}.{slug}"
    return importlib.import_module(name) if find_spec(name) else None


def entry(lab: Lab, exercise: str) -> str | None:
    """Name of the function or class that the exercise asks for: what its check cell hands to `check`."""
    for cell in lab.cells:
        if cell.role == "check" and cell.id == exercise:
            for node in ast.walk(ast.parse(cell.text)):
                if is_call(node, "check", exercise) and len(node.args) == 2 and isinstance(node.args[1], ast.Name):
                    return node.args[1].id
    return None


def is_call(node: ast.AST, function: str, name: str) -> bool:
    """True for `function("name", ...)`."""
    return (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function
            and bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == name)


def verify(lab: Lab, known: Known) -> None:
    """Raise SourceError when a cell names what the modules do not declare, or leaves out what they declare."""
    verify_start(lab)
    for cell in lab.cells:
        if cell.role in ("exercise", "check"):
            verify_marked(lab, cell, known)
        if cell.role == "reason" and not cell.id.startswith(f"{lab.slug}."):
            raise lab.error(cell.line, f"{cell.id!r} does not start with '{lab.slug}.'")
    verify_calls(lab, known)
    verify_complete(lab, known)


def verify_start(lab: Lab) -> None:
    """The first code cell calls `start` with the slug."""
    code = [cell for cell in lab.cells if cell.kind == "code"]
    if not code or not any(is_call(node, "start", lab.slug) for node in ast.walk(ast.parse(code[0].text))):
        raise lab.error(code[0].line if code else 1, f'the first code cell calls start("{lab.slug}")')


def verify_marked(lab: Lab, cell: Cell, known: Known) -> None:
    """An exercise or check cell: known id, right points, a check of the name that the exercise cell defines."""
    if cell.id not in known.exercises:
        raise lab.error(cell.line, f"{cell.id!r} is no exercise of tinylib/exercises/{lab.slug}.py (it has {names(known.exercises)})")
    if cell.role == "check":
        if cell.points != known.exercises[cell.id]:
            raise lab.error(cell.line, f"points={cell.points}, but tinylib/exercises/{lab.slug}.py gives {known.exercises[cell.id]}")
        if entry(lab, cell.id) is None:
            raise lab.error(cell.line, f'the check cell calls check("{cell.id}", NAME) with the name of the function or class')
        return
    name = entry(lab, cell.id)
    defined = {n.name for n in ast.parse(cell.text).body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    if name is not None and name not in defined:
        raise lab.error(cell.line, f"the check cell of {cell.id!r} checks {name}, which this cell does not define")


def verify_calls(lab: Lab, known: Known) -> None:
    """Every id that a call names is declared, and of the right kind."""
    predictions = {q for q, (kind, _) in known.questions.items() if kind == "prediction"}
    allowed = {"start": {lab.slug}, "check": set(known.exercises), "ready": set(known.exercises), "predict": predictions,
               "reveal": predictions, "answer": set(known.questions) - predictions, "panel": set(known.panels)}
    for function, name, line in lab.calls:
        slug = name.partition(".")[0]
        if function == "ready" and slug != lab.slug and name in declared(slug).exercises:
            continue
        if name not in allowed[function]:
            where = "panels" if function == "panel" else "exercises"
            raise lab.error(line, f'{function}("{name}"): tinylib/{where}/{lab.slug}.py declares {names(allowed[function])}')


def verify_complete(lab: Lab, known: Known) -> None:
    """Every declared exercise has an answer cell and then a check cell; every question is asked."""
    for exercise in known.exercises:
        lines = {cell.role: cell.line for cell in lab.cells if cell.id == exercise}
        if not {"exercise", "check"} <= set(lines) or lines["exercise"] > lines["check"]:
            raise lab.error(1, f"{exercise!r} needs an exercise cell and, after it, a check cell")
    asked = {*lab.named("predict"), *lab.named("answer")}
    for question in known.questions:
        if question not in asked:
            raise lab.error(1, f"question {question!r} is declared but never asked")


def names(ids) -> str:
    """Ids for an error message."""
    return ", ".join(sorted(ids)) or "none"
