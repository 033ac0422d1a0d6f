"""Reads the source of a lab: `solutions/NN_slug.py` in percent format, the only file an author edits.

The format is described in `docs/authoring.md`. Every error names the file and the line.
"""

import ast
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tinylib.core.errors import TinylibError

FILE_NAME = re.compile(r"(\d\d)_([a-z][a-z0-9_]*)\.py")
MARKER = re.compile(r"# %%(?:\s+(.*))?$")
ATTRIBUTE = re.compile(r'([a-z]+)=(?:"([^"]*)"|(\S+))\s*')
ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
HEADER_KEYS = ("title", "minutes", "prerequisites", "systems", "passport")
ALLOWED = {  # attributes of a cell by (kind, first attribute)
    ("code", ""): set(),
    ("code", "exercise"): {"exercise"},
    ("code", "check"): {"check", "points"},
    ("code", "volatile"): {"volatile"},
    ("markdown", ""): set(),
    ("markdown", "reason"): {"reason", "points"},
}


class SourceError(TinylibError):
    """A lab source that breaks the format; the message starts with file and line."""

    def __init__(self, path: Path, line: int, message: str):
        super().__init__(f"{path.name}:{line}: {message}")
        self.line = line


@dataclass(frozen=True)
class Cell:
    """One cell. `line` is the line of its marker in the source, `attributes` what the marker says besides the kind."""

    kind: str               # "markdown" or "code"
    text: str               # markdown without the comment signs, or code
    line: int
    attributes: dict[str, str]

    @property
    def role(self) -> str:
        """exercise, check or reason for marked cells, else text or code."""
        for role in ("exercise", "check", "reason"):
            if role in self.attributes:
                return role
        return "text" if self.kind == "markdown" else "code"

    @property
    def id(self) -> str | None:
        """The exercise id that the cell names, or None."""
        return self.attributes.get(self.role)

    @property
    def points(self) -> int:
        """Points of a check or reason cell, else 0."""
        return int(self.attributes.get("points", 0))

    @property
    def volatile(self) -> bool:
        """True where outputs differ from run to run (timings)."""
        return self.attributes.get("volatile") == "true"


@dataclass(frozen=True)
class Lab:
    """A parsed lab source."""

    path: Path
    number: int
    slug: str
    title: str
    minutes: int
    prerequisites: tuple[str, ...]
    systems: tuple[str, ...]
    passport: bool
    cells: tuple[Cell, ...]
    sha256: str             # of the source text with LF line ends

    @property
    def stem(self) -> str:
        """Name of the notebooks without suffix: "02_pruning"."""
        return self.path.stem

    @cached_property
    def calls(self) -> tuple[tuple[str, str, int], ...]:
        """Every `check("id", ...)`, `ready`, `predict`, `answer`, `reveal`, `panel` and `start` call: (function, id, line)."""
        return tuple(call for cell in self.cells if cell.kind == "code" for call in facade_calls(cell))

    def named(self, function: str) -> tuple[str, ...]:
        """Ids that `function` is called with, in order, each once: `lab.named("panel")`."""
        return tuple(dict.fromkeys(name for called, name, _ in self.calls if called == function))

    def error(self, line: int, message: str) -> SourceError:
        """An error at a line of this source."""
        return SourceError(self.path, line, message)


FACADE = ("start", "check", "ready", "predict", "answer", "reveal", "panel")


def facade_calls(cell: Cell) -> list[tuple[str, str, int]]:
    """(function, id, line in the source) of the calls of the lab's own functions with a literal first argument."""
    found = []
    for node in ast.walk(ast.parse(cell.text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FACADE and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append((node.lineno, node.col_offset, node.func.id, first.value))
    return [(function, name, cell.line + line) for line, _, function, name in sorted(found)]


def find_sources(folder: Path) -> list[Path]:
    """Lab sources in `folder`, by number."""
    return sorted(p for p in folder.glob("*.py") if FILE_NAME.fullmatch(p.name))


def read_lab(path: Path) -> Lab:
    """Parse one source file. Raises SourceError."""
    path = Path(path)
    name = FILE_NAME.fullmatch(path.name)
    if not name:
        raise SourceError(path, 1, "a lab source is named NN_slug.py, for example 02_pruning.py")
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise SourceError(path, 1, "not a text file in UTF-8") from None
    lines = text.split("\n")
    header, after = read_header(path, lines)
    cells = tuple(read_cells(path, lines, after))
    if not cells:
        raise SourceError(path, after + 1, "no cells: start one with '# %% [markdown]' or '# %%'")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Lab(path, int(name[1]), name[2], **header, cells=cells, sha256=digest)


def read_header(path: Path, lines: list[str]) -> tuple[dict, int]:
    """The front matter as typed values, and the index of the first line after it."""
    if lines[0].rstrip() != "# ---":
        raise SourceError(path, 1, "the file starts with the front matter between two lines '# ---'")
    values = {}
    for index, line in enumerate(lines[1:], 1):
        if line.rstrip() == "# ---":
            return typed_header(path, values, index + 1), index + 1
        key, colon, value = line.removeprefix("#").partition(":")
        key = key.strip()
        if not line.startswith("#") or not colon or key not in HEADER_KEYS or key in values:
            raise SourceError(path, index + 1, f"front matter has each of {', '.join(HEADER_KEYS)} once, as '# key: value'")
        values[key] = (value.strip(), index + 1)
    raise SourceError(path, len(lines), "the front matter is not closed by '# ---'")


def typed_header(path: Path, values: dict, end: int) -> dict:
    """Checked and converted front matter."""
    missing = [key for key in HEADER_KEYS if key not in values]
    if missing:
        raise SourceError(path, end, f"front matter lacks {', '.join(missing)}")
    (title, title_line), (minutes, minutes_line) = values["title"], values["minutes"]
    passport, passport_line = values["passport"]
    if not title:
        raise SourceError(path, title_line, "the title is empty")
    if not minutes.isdecimal() or int(minutes) == 0:
        raise SourceError(path, minutes_line, "minutes is a whole number above 0")
    if passport not in ("yes", "no"):
        raise SourceError(path, passport_line, "passport is yes or no")
    split = lambda key: tuple(part.strip() for part in values[key][0].split(",") if part.strip() not in ("", "none"))
    return {"title": title, "minutes": int(minutes), "prerequisites": split("prerequisites"),
            "systems": split("systems"), "passport": passport == "yes"}


def read_cells(path: Path, lines: list[str], start: int) -> list[Cell]:
    """The cells from line index `start` on."""
    marks = [i for i in range(start, len(lines)) if lines[i].startswith("# %%")]
    for index in range(start, marks[0] if marks else len(lines)):
        if lines[index].strip():
            raise SourceError(path, index + 1, "text before the first cell marker '# %%'")
    cells = [read_cell(path, lines[a:b], a + 1) for a, b in zip(marks, [*marks[1:], len(lines)])]
    seen = {}
    for cell in cells:
        key = (cell.role, cell.id)
        if cell.id and seen.setdefault(key, cell.line) != cell.line:
            raise SourceError(path, cell.line, f"{cell.role} {cell.id!r} was already given in line {seen[key]}")
    return cells


def read_cell(path: Path, lines: list[str], line: int) -> Cell:
    """One cell from its marker line and its body."""
    kind, attributes = read_marker(path, lines[0], line)
    body = lines[1:]
    while body and not body[-1].strip():
        body.pop()
    while body and not body[0].strip():
        body.pop(0)
        line += 1
    if not body:
        raise SourceError(path, line, "empty cell")
    if kind == "markdown":
        body = [uncomment(path, text, line + n) for n, text in enumerate(body, 1)]
    text = "\n".join(part.rstrip() for part in body)
    if kind == "code":
        try:
            ast.parse(text)
        except SyntaxError as error:
            raise SourceError(path, line + (error.lineno or 1), f"code does not parse: {error.msg}") from None
    return Cell(kind, text, line, attributes)


def read_marker(path: Path, marker: str, line: int) -> tuple[str, dict[str, str]]:
    """Kind and attributes of a '# %%' line."""
    match = MARKER.match(marker.rstrip())
    if not match:
        raise SourceError(path, line, "a cell marker is '# %%', a blank, then its attributes")
    rest = match[1] or ""
    kind = "markdown" if rest.startswith("[markdown]") else "code"
    rest = rest.removeprefix("[markdown]").strip()
    attributes = {m[1]: m[2] if m[2] is not None else m[3] for m in ATTRIBUTE.finditer(rest)}
    if ATTRIBUTE.sub("", rest):
        raise SourceError(path, line, f"cannot read {ATTRIBUTE.sub('', rest)!r}: attributes are name=\"value\" or points=3 or volatile=true")
    first = next((a for a in ("exercise", "check", "volatile", "reason") if a in attributes), "")
    allowed = ALLOWED.get((kind, first))
    if allowed is None or set(attributes) != allowed:
        raise SourceError(path, line, f"a {kind} cell cannot have exactly the attributes {sorted(attributes)}; "
                          f"see docs/authoring.md (check and reason need points)")
    if first not in ("", "volatile") and not ID.fullmatch(attributes[first]):
        raise SourceError(path, line, f"{attributes[first]!r} is no id like slug.name (lower case, digits, underscores)")
    if "points" in attributes and not attributes["points"].isdecimal():
        raise SourceError(path, line, "points is a whole number")
    if attributes.get("volatile", "true") != "true":
        raise SourceError(path, line, "volatile=true, or nothing")
    return kind, attributes


def uncomment(path: Path, text: str, line: int) -> str:
    """A markdown line without its comment sign."""
    if text.startswith("# "):
        return text[2:]
    if text.strip() in ("", "#"):
        return ""
    raise SourceError(path, line, "a line of a markdown cell starts with '# '")
