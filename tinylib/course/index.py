"""Writes what is computed: the tables of labs and claims in README.md, and data/LICENSES.md from the cards."""

from pathlib import Path

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root
from tinylib.course.cards import read_cards
from tinylib.course.claims import load_claims
from tinylib.course.claims import table as claims_table
from tinylib.course.manifest import Entry, manifest


def write_index(root: Path | None = None) -> list[str]:
    """Bring README.md and data/LICENSES.md up to date; gives the names of the files that changed."""
    root = root or project_root()
    return [path.name for path, text in fresh_files(root).items() if write_if_changed(path, text)]


def index_drift(root: Path | None = None) -> list[str]:
    """The files that `write_index` would change."""
    root = root or project_root()
    return [f"{path.relative_to(root)} is out of date: run `python -m tinylib.cli build --index`"
            for path, text in fresh_files(root).items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def fresh_files(root: Path) -> dict[Path, str]:
    """Path -> the text that it should have."""
    files, readme = {}, root / "README.md"
    if readme.exists():
        text = readme.read_text(encoding="utf-8")
        text = between(text, "labs", labs_table(manifest(root)))
        claims = load_claims(root)
        files[readme] = between(text, "claims", claims_table(claims) if claims else "")
    if read_cards(root / "data"):
        files[root / "data" / "LICENSES.md"] = licences(root)
    return files


def write_if_changed(path: Path, text: str) -> bool:
    """Write the file unless it has this text; True when it was written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8", newline="\n")
    return True


def between(text: str, name: str, body: str) -> str:
    """The text with `body` between `<!-- name -->` and `<!-- /name -->`; unchanged where there are no such markers."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if start not in text and end not in text:
        return text
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise TinylibError(f"README.md has only one of the markers {start.strip()} and {end}")
    return before + start + (body + "\n" if body else "") + end + after


def labs_table(labs: list[Entry]) -> str:
    """The labs as a Markdown table, by number."""
    if not labs:
        return ""
    lines = ["| lab | what it is about | minutes | exercises | points | passport |", "|---|---|---|---|---|---|"]
    for lab in labs:
        lines.append(f"| [{lab.number:02d} {lab.title}](labs/{lab.stem}.ipynb) | {', '.join(lab.systems)} | {lab.minutes} "
                     f"| {len(lab.exercises)} | {lab.points} | {'yes' if lab.passport else 'no'} |")
    return "\n".join(lines)


def licences(root: Path) -> str:
    """Text of data/LICENSES.md."""
    cards = read_cards(root / "data")
    sets = [(card.path, card.fields) for card in cards if "licence" in card.fields]
    ours = [card for card in cards if "licence" not in card.fields]
    lines = ["# Licences of the data", "", "Written by `tinylib build --index` from the cards beside the files.", "",
             "| file | source | licence | kind |", "|---|---|---|---|"]
    cell = lambda value: str(value).replace("|", "\\|").replace("\n", " ")
    lines += [f"| {p.relative_to(root / 'data').as_posix()} | {cell(c.get('source', ''))} | {cell(c['licence'])} | {cell(c.get('kind', ''))} |"
              for p, c in sets]
    if ours:
        lines += ["", f"Made by the recipes of this course, MIT licence: {len(ours)} checkpoints and records "
                      "(`checkpoints/`, `records/`); each card names its recipe."]
    return "\n".join(lines) + "\n"
