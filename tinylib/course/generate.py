"""From one source to two notebooks: `labs/` with stubs, `solutions/` with answers. Byte-identical for the same source.

Each raises SourceError with the line of the source: a solution line that leaked into the lab, a stub that does not
parse, a marker in the wrong place, a cell that names nothing known.
"""

import ast
import hashlib
import json
import re

import nbformat

from tinylib.course.known import Known, declared, verify
from tinylib.course.source import Cell, Lab

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
LINE = re.compile(r"\s*### SOLUTION:\s*(.*?)\s*$")
EXACT = "# NBVAL_CHECK_OUTPUT"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LONGEST_CELL_ID = 64
MAX_CODE_LINES = 40
SHORTEST_SECRET = 20        # shorter solution lines ("return mask") occur anywhere


def generate(lab: Lab, known: Known | None = None) -> tuple[nbformat.NotebookNode, nbformat.NotebookNode]:
    """(labs notebook, solutions notebook without outputs). `known` defaults to what the lab's modules declare."""
    verify(lab, known or declared(lab.slug))
    questions = (known or declared(lab.slug)).questions
    ids, metadata = cell_ids(lab), [cell_metadata(lab, cell, questions) for cell in lab.cells]
    stubs = [stub_text(lab, cell) for cell in lab.cells]
    refuse_leaks(lab, stubs)
    learner = notebook(lab, [new_cell(*parts) for parts in zip(lab.cells, stubs, ids, metadata)])
    learner.metadata["tinylib"]["release"] = release_hash(learner)
    solved = notebook(lab, [new_cell(*parts) for parts in zip(lab.cells, map(solved_text, lab.cells), ids, metadata)])
    solved.metadata["tinylib"] |= {"release": learner.metadata["tinylib"]["release"], "source": lab.sha256}
    return learner, solved


def dumps(book: nbformat.NotebookNode) -> str:
    """The notebook as text: sorted keys, one-blank indent, LF, a line end at the end."""
    return nbformat.writes(book, version=nbformat.NO_CONVERT) + "\n"


def notebook(lab: Lab, cells: list) -> nbformat.NotebookNode:
    """A version 4.5 notebook with fixed metadata."""
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}, "tinylib": {"slug": lab.slug}}
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})


def release_hash(book: nbformat.NotebookNode) -> str:
    """Sixteen hex digits over what the learner gets; unchanged when only a solution changes."""
    cells = [{key: cell[key] for key in ("id", "cell_type", "source", "metadata")} for cell in book.cells]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()[:16]


def new_cell(cell: Cell, text: str, cell_id: str, metadata: dict) -> dict:
    """The notebook cell."""
    made = {"cell_type": cell.kind, "id": cell_id, "metadata": metadata, "source": text}
    return made | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {})


def cell_ids(lab: Lab) -> list[str]:
    """An id a cell, from lab, kind and exercise id or running number: "pruning-check-magnitude_mask", "pruning-text-4"."""
    counts, ids = {"text": 0, "code": 0}, []
    for cell in lab.cells:
        if cell.id is None:
            counts[cell.role] += 1
        name = counts[cell.role] if cell.id is None else cell.id.partition(".")[2]
        made = re.sub(r"[^A-Za-z0-9_-]", "-", f"{lab.slug}-{cell.role}-{name}")
        if len(made) > LONGEST_CELL_ID:
            made = made[:LONGEST_CELL_ID - 9] + "-" + hashlib.sha256(made.encode()).hexdigest()[:8]
        if made in ids:
            raise lab.error(cell.line, f"two cells would have the id {made!r}: rename one exercise")
        ids.append(made)
    return ids


def question_of(lab: Lab, cell: Cell) -> str | None:
    """Id of the question that the cell asks. One a cell, so that an answer can be found, kept and graded."""
    if cell.kind != "code":
        return None
    first, last = cell.line, cell.line + cell.text.count("\n") + 1
    asked = [(name, line) for function, name, line in lab.calls if function in ("predict", "answer") and first < line <= last]
    if len(asked) > 1:
        raise lab.error(asked[1][1], "one predict or answer a cell: start a new cell here")
    if asked and cell.role != "code":
        raise lab.error(asked[0][1], "a question stands in a cell of its own, not in an exercise or check cell")
    return asked[0][0] if asked else None


def cell_metadata(lab: Lab, cell: Cell, questions: dict[str, tuple[str, int]]) -> dict:
    """nbgrader's metadata (schema 3) where the cell is answered or graded, and our own under "tinylib".

    A question cell is an nbgrader solution cell too: its answer is found by grade_id; its points stand under "tinylib".
    """
    question, metadata = question_of(lab, cell), {}
    if cell.role == "exercise":
        metadata["nbgrader"] = nbgrader(cell.id, solution=True)
    elif cell.role == "check":
        metadata["nbgrader"] = nbgrader(f"{cell.id}.check", grade=True, locked=True, points=cell.points)
    elif cell.role == "reason":
        metadata["nbgrader"] = nbgrader(cell.id, grade=True, solution=True, points=cell.points)
    elif question:
        kind, points = questions[question]
        metadata["nbgrader"] = nbgrader(question, solution=True)
        metadata["tinylib"] = {"role": kind, "id": question, "points": points}
    if cell.id:
        metadata["tinylib"] = {"role": cell.role, "id": cell.id}
    if cell.volatile:
        metadata["tags"] = ["nbval-ignore-output"]
    return metadata


def nbgrader(name: str, *, grade=False, solution=False, locked=False, points: int | None = None) -> dict:
    """A cell's "nbgrader" metadata. nbgrader allows no dot in a grade_id, so "slug.name" becomes "slug-name"."""
    made = {"schema_version": 3, "grade_id": name.replace(".", "-"), "grade": grade, "solution": solution, "locked": locked, "task": False}
    return made if points is None else made | {"points": points}


def solved_text(cell: Cell) -> str:
    """Text of the cell in solutions/: the line-level markers go, the regions stay marked."""
    return cell.text if cell.kind == "markdown" else "\n".join(LINE.sub("", line) for line in cell.text.split("\n"))


def stub_text(lab: Lab, cell: Cell) -> str:
    """Text of the cell in labs/."""
    if cell.kind == "markdown":
        if BEGIN in cell.text or "### SOLUTION:" in cell.text:
            raise lab.error(cell.line, "a solution marker in a markdown cell")
        return cell.text
    if cell.text.count("\n") >= MAX_CODE_LINES:
        raise lab.error(cell.line, f"{cell.text.count(chr(10)) + 1} lines of code in one cell; at most {MAX_CODE_LINES}")
    text = blank_regions(lab, cell) if cell.role == "exercise" else cell.text
    if BEGIN in text or END in text:
        raise lab.error(cell.line, "a solution region outside an exercise cell")
    text = blank_answers(lab, cell, text)
    text = "\n".join(line for line in text.split("\n") if line.strip() != EXACT)
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise lab.error(cell.line + (error.lineno or 0), f"the stub does not parse: {error.msg}") from None
    return text


def blank_regions(lab: Lab, cell: Cell) -> str:
    """The exercise cell with each solution region replaced by one `raise NotImplementedError`."""
    kept, begin = [], None
    for number, line in enumerate(cell.text.split("\n"), 1):
        mark = line.strip()
        if mark not in (BEGIN, END):
            if begin is None:
                kept.append(line)
            continue
        if (mark == BEGIN) == (begin is not None):
            raise lab.error(cell.line + number, f"{mark!r} without its partner")
        indent = line[:len(line) - len(line.lstrip())]
        if mark == BEGIN and not indent:
            raise lab.error(cell.line + number, "a solution region stands inside the body of a function, not around it")
        if mark == BEGIN:
            kept.append(f"{indent}raise NotImplementedError")
        begin = number if mark == BEGIN else None
    if begin is not None:
        raise lab.error(cell.line + begin, f"{BEGIN!r} without its partner")
    if kept == cell.text.split("\n"):
        raise lab.error(cell.line, f"an exercise cell has a region between '{BEGIN}' and '{END}'")
    return "\n".join(kept)


def blank_answers(lab: Lab, cell: Cell, text: str) -> str:
    """The cell with the value of each `predict(id, value)  ### SOLUTION: None` or `name = value  ### SOLUTION: 0` replaced by what the marker says."""
    lines = text.split("\n")
    marked = {number: match[1] for number, line in enumerate(lines, 1) if (match := LINE.search(line))}
    calls, assigned = answer_values(ast.parse(text))
    for number, value in calls.items():
        if number not in marked and not is_none(value):
            raise lab.error(cell.line + number, "the line of an answer ends with '### SOLUTION: None'")
    for number, value in marked.items():
        node = calls.get(number, assigned.get(number))
        if node is None or not is_literal(value):
            raise lab.error(cell.line + number, "'### SOLUTION: None' ends a line with predict(...), answer(...) or name = value, and gives a literal")
        replace_value(lines, node, value)
    return "\n".join(LINE.sub("", line) for line in lines if line is not None)


def answer_values(tree: ast.AST) -> tuple[dict[int, ast.expr], dict[int, ast.expr]]:
    """Last line -> value, of the predict and answer calls, and of the plain assignments."""
    calls = {node.end_lineno: node.args[1] for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2
             and isinstance(node.func, ast.Name) and node.func.id in ("predict", "answer")}
    assigned = {node.end_lineno: node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and len(node.targets) == 1}
    return calls, assigned


def replace_value(lines: list, node: ast.expr, value: str) -> None:
    """Put `value` where `node` stands; lines that it spanned besides its first become None. ast counts columns in bytes."""
    first, last = node.lineno - 1, node.end_lineno - 1
    before, after = lines[first].encode()[:node.col_offset], lines[last].encode()[node.end_col_offset:]
    lines[first:last + 1] = [None] * (last - first) + [(before + value.encode() + after).decode()]


def is_none(node: ast.expr) -> bool:
    """True for the literal None."""
    return isinstance(node, ast.Constant) and node.value is None


def is_literal(text: str) -> bool:
    """True when the text is one Python literal."""
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return True


def secrets(lab: Lab) -> list[tuple[str, int]]:
    """(solution line, line in the source) of all lines worth guarding: code of more than 20 characters, no block headers."""
    found = []
    for cell in lab.cells:
        inside = False
        for number, line in enumerate(cell.text.split("\n") if cell.role == "exercise" else [], 1):
            text = line.strip()
            inside = text == BEGIN or (inside and text != END)
            if inside and len(text) > SHORTEST_SECRET and not text.startswith("#") and not text.endswith(":"):
                found.append((text, cell.line + number))
    return found


def refuse_leaks(lab: Lab, stubs: list[str]) -> None:
    """Raise where a line of a solution is found in the text of the lab."""
    for text, line in secrets(lab):
        for cell, stub in zip(lab.cells, stubs):
            if text in stub:
                raise lab.error(line, f"this line of a solution also stands in the cell at line {cell.line} and would reach the learner")
