"""Takes the answers out of a submitted notebook, whatever state it is in. Nothing of the submission is executed here."""

import ast
import codecs
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from tinylib.classroom.assignment import Assignment, Part

MAX_FILE_BYTES = 100 << 20      # reading hostile JSON takes up to thirty times as much memory
MAX_ANSWER_CHARACTERS = 200_000
MAX_DEPTH = 200


@dataclass
class Answers:
    """`sources`: part id -> text of its answer cell. `notes`: one clear line for everything odd. `kind` says whether there is anything to judge."""

    learner: str
    sources: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    kind: str = "notebook"          # or "missing", "unreadable", "other lab"

    def digest(self) -> str:
        """Hash of what can change the grade."""
        return hashlib.sha256(json.dumps([self.learner, self.sources, self.kind], sort_keys=True).encode()).hexdigest()


def read_folder(folder: Path, assignment: Assignment, learner: str) -> Answers:
    """The answers in a student's folder; with several notebooks the named one, else the newest of this lab, is taken."""
    found = sorted(p for p in folder.rglob("*.ipynb") if p.is_file() and not p.is_symlink() and ".ipynb_checkpoints" not in p.parts) if folder.is_dir() else []
    if not found:
        return Answers(learner, notes=["No notebook was handed in."], kind="missing")
    named = [p for p in found if p.stem == assignment.stem]
    if len(found) == 1 or len(named) == 1:
        path = (named or found)[0]
        answers = read_file(path, assignment, learner)
        if len(found) > 1:
            answers.notes.append(f"{len(found)} notebooks; {path.name} was graded.")
        return _renamed(answers, path, assignment)
    readings = [(read_file(p, assignment, learner), p) for p in named or found]
    usable = [(a, p) for a, p in readings if a.kind == "notebook"] or readings
    answers, path = max(usable, key=lambda pair: (pair[1].stat().st_mtime, str(pair[1])))
    answers.notes.append(f"{len(found)} notebooks; the newest of this lab, {path.relative_to(folder)}, was graded.")
    return _renamed(answers, path, assignment)


def _renamed(answers, path, assignment):
    if answers.kind == "notebook" and path.stem != assignment.stem:
        answers.notes.append(f"The file was named {path.name!r}.")
    return answers


def read_file(path: Path, assignment: Assignment, learner: str) -> Answers:
    """The answers of one file."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return Answers(learner, notes=[f"The file has {path.stat().st_size >> 20} MiB, more than {MAX_FILE_BYTES >> 20}."], kind="unreadable")
        data = path.read_bytes()
    except OSError as error:
        return Answers(learner, notes=[f"The file cannot be read ({error.strerror})."], kind="unreadable")
    return read_bytes(data, assignment, learner)


def read_bytes(data: bytes, assignment: Assignment, learner: str) -> Answers:
    """The answers of a notebook's bytes."""
    answers = Answers(learner)
    book = _parse(data, answers)
    if book is None:
        answers.kind = "unreadable"
        return answers
    cells = list(_cells(book, answers))
    _match(cells, assignment, answers)
    other = _slug(book)
    if other and other != assignment.slug and not answers.sources:
        answers.kind = "other lab"
        answers.notes.append(f"This notebook belongs to the lab {other!r}, not to {assignment.slug!r}.")
    elif not answers.sources:
        answers.notes.append("None of the lab's answer cells is in this notebook.")
    release = _ours(book).get("release", "")
    if answers.sources and assignment.release and release != assignment.release:
        answers.notes.append("The notebook comes from another release of the lab; its answer cells were graded as they are.")
    return answers


def _parse(data: bytes, answers: Answers):
    if not data.strip():
        answers.notes.append("The file is empty.")
        return None
    try:
        book = json.loads(_decode(data, answers))
    except (ValueError, RecursionError) as error:
        answers.notes.append(f"The file is no notebook: broken JSON ({str(error)[:80]}).")
        return None
    if not isinstance(book, dict) or not isinstance(book.get("cells", book.get("worksheets")), list):
        answers.notes.append("The file is no notebook: it has no cells.")
        return None
    return book


def _decode(data: bytes, answers: Answers) -> str:
    for mark, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        answers.notes.append("The file is not UTF-8; it was read as Latin-1.")
        return data.decode("latin-1")


def _cells(book, answers):
    """Every cell as (metadata, id, type, text); format 3 keeps them in worksheets under other names."""
    groups = [book["cells"]] if isinstance(book.get("cells"), list) else [w.get("cells") for w in book["worksheets"] if isinstance(w, dict)]
    if "worksheets" in book and "cells" not in book:
        answers.notes.append("The notebook is in the old format 3.")
    cells = [c for group in groups if isinstance(group, list) for c in group]
    whole = [c for c in cells if isinstance(c, dict)]
    if len(whole) < len(cells):
        answers.notes.append(f"Left out as damaged: {len(cells) - len(whole)} of the cells.")
    for cell in whole:
        text = cell.get("source", cell.get("input", ""))
        if isinstance(text, list):
            text = "".join(t for t in text if isinstance(t, str))
        if not isinstance(text, str):
            continue
        metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
        yield metadata, cell.get("id"), cell.get("cell_type"), text.replace("\r\n", "\n").replace("\r", "\n")


def _ours(book) -> dict:
    metadata = book.get("metadata")
    ours = metadata.get("tinylib") if isinstance(metadata, dict) else None
    return ours if isinstance(ours, dict) else {}


def _slug(book) -> str:
    slug = _ours(book).get("slug", "")
    return slug[:60] if isinstance(slug, str) else ""


def _match(cells, assignment: Assignment, answers: Answers) -> None:
    """Fill `sources` by grade_id, else by cell id, else by what a cell defines or asks."""
    by_grade_id: dict = {}
    for metadata, cell_id, kind, text in cells:
        grader = metadata.get("nbgrader")
        name = grader.get("grade_id") if isinstance(grader, dict) else None
        by_grade_id.setdefault(name if isinstance(name, str) else None, []).append((cell_id, kind, text))
    for part in assignment.parts:
        same = by_grade_id.get(part.grade_id, [])
        if not same:
            same = _elsewhere(part, by_grade_id)
            answers.notes.append(f"{part.id}: its cell had lost its mark; it was found by its content." if same else f"{part.id}: its cell is missing.")
        if same:
            answers.sources[part.id] = _choose(part, same, answers)


def _elsewhere(part: Part, by_grade_id: dict) -> list:
    unmarked = by_grade_id.get(None, [])
    found = [c for c in unmarked if c[0] == part.cell_id]
    if not found and part.kind == "exercise":
        found = [c for c in unmarked if re.search(rf"^(?:def|class)\s+{re.escape(part.entry)}\b", c[2], re.M)]
    if not found and part.kind != "reason":
        found = [c for c in unmarked if re.search(rf"""^[ \t]*(?:answer|predict)\(\s*["']{re.escape(part.id)}["']""", c[2], re.M)]
    return found


def _choose(part: Part, cells: list, answers: Answers) -> str:
    """Of several cells for one part the last that was changed."""
    changed = [c for c in cells if c[2].strip() != part.stub.strip()] or cells
    if len(cells) > 1:
        answers.notes.append(f"{part.id}: {len(cells)} cells claim it; the last changed one was graded.")
    _, kind, text = changed[-1]
    if kind not in (None, "code") and part.kind != "reason":
        answers.notes.append(f"{part.id}: its cell was no code cell any more; its text was graded all the same.")
    if len(text) > MAX_ANSWER_CHARACTERS:
        answers.notes.append(f"{part.id}: {len(text):,} characters are too many; it was left out.")
        return ""
    return text


def literal(source: str, question: str):
    """(found, value) of the last `answer("id", VALUE)` or `predict("id", VALUE)` in a cell whose value is one literal."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False, None
    value = (False, None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("answer", "predict") and len(node.args) == 2 and not node.keywords:
            if isinstance(node.args[0], ast.Constant) and node.args[0].value == question:
                try:
                    value = True, ast.literal_eval(node.args[1])
                except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                    value = False, None
    return value
