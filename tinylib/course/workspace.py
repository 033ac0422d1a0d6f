"""The learner's own copies of the labs, in `my_labs/`. Nothing here ever overwrites or deletes a learner's work.

Beside each copy a pristine one is kept (`my_labs/.tinylib/released/`), so that an update can tell an answer from an untouched stub.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tinylib.core.errors import TinylibError


@dataclass(frozen=True)
class Update:
    """What `update` did: grade_ids carried over, answers whose exercise is gone, and where the old notebook is kept ("" when nothing changed)."""

    carried: tuple[str, ...]
    lost: tuple[str, ...]
    old: str


@dataclass(frozen=True)
class Workspace:
    """`labs`: the released notebooks, never written. `folder`: the learner's."""

    labs: Path
    folder: Path

    def fill(self, learner: str) -> list[str]:
        """Copy every lab that is not there yet; gives the names of the new ones."""
        new = [path for path in sorted(self.labs.glob("*.ipynb")) if not (self.folder / path.name).exists()]
        for path in new:
            self.copy(path, learner)
        return [path.stem for path in new]

    def find(self, slug: str) -> Path:
        """The released notebook of a lab, by slug or by NN_slug. Raises TinylibError for an unknown one."""
        have = {path.stem[3:]: path for path in sorted(self.labs.glob("*.ipynb"))}
        have |= {path.stem: path for path in have.values()}
        if slug not in have:
            raise TinylibError(f"No lab {slug!r}. There are: {', '.join(name for name in have if not name[0].isdigit()) or 'none'}.")
        return have[slug]

    def pristine(self, path: Path) -> Path:
        """Where the untouched twin of a workspace notebook is."""
        return self.folder / ".tinylib" / "released" / path.name

    def copy(self, released: Path, learner: str) -> Path:
        """A fresh copy with the learner's name in its metadata."""
        target = self.folder / released.name
        if target.exists():
            raise TinylibError(f"{target} is there already.")
        book = read_notebook(released)
        book["metadata"].setdefault("tinylib", {})["learner"] = learner
        write_notebook(target, book)
        write_notebook(self.pristine(target), read_notebook(released))
        return target

    def reset(self, slug: str, learner: str) -> Path | None:
        """Put a fresh copy in place; the old notebook, readable or not, moves to `my_labs/old/`. Gives its new place."""
        released = self.find(slug)
        kept = self.keep_old(self.folder / released.name)
        self.copy(released, learner)
        return kept

    def keep_old(self, path: Path) -> Path | None:
        """Move a notebook into `old/` under a name that is free."""
        if not path.exists():
            return None
        folder = path.parent / "old"
        folder.mkdir(exist_ok=True)
        stamp, number = datetime.now().strftime("%Y-%m-%d-%H%M%S"), 0
        while (kept := folder / f"{path.stem}-{stamp}{f'-{number}' if number else ''}.ipynb").exists():
            number += 1
        os.rename(path, kept)
        return kept

    def update(self, slug: str, learner: str) -> Update:
        """Bring a lab to the present release: answers are carried over by grade_id, the old notebook is kept in `my_labs/old/`."""
        released = self.find(slug)
        target = self.folder / released.name
        if not target.exists():
            self.copy(released, learner)
            return Update((), (), "")
        mine, new = read_notebook(target), read_notebook(released)
        if release(mine) == release(new):
            return Update((), (), "")
        learner = mine["metadata"].get("tinylib", {}).get("learner", learner)
        pristine = self.pristine(target)
        stubs = answers(read_notebook(pristine)) if pristine.exists() else {}
        given = {name: text for name, text in answers(mine).items() if text != stubs.get(name)}
        carried = []
        for cell in new["cells"]:
            name = answer_id(cell)
            if name in given:
                cell["source"] = given[name]
                carried.append(name)
        kept = self.keep_old(target)
        new["metadata"].setdefault("tinylib", {})["learner"] = learner
        write_notebook(target, new)
        write_notebook(pristine, read_notebook(released))
        return Update(tuple(carried), tuple(sorted(set(given) - set(carried))), str(kept))


def release(book: dict) -> str:
    """The release hash, "" where there is none."""
    return book["metadata"].get("tinylib", {}).get("release", "")


def answer_id(cell: dict) -> str | None:
    """grade_id of a cell that a learner answers in, else None."""
    meta = cell.get("metadata", {}).get("nbgrader", {})
    return meta.get("grade_id") if meta.get("solution") else None


def answers(book: dict) -> dict[str, str]:
    """grade_id -> text of every answer cell; of cells with one id (a duplicated cell) the last counts."""
    text = lambda source: source if isinstance(source, str) else "".join(source)
    return {name: text(cell["source"]) for cell in book["cells"] if (name := answer_id(cell))}


def read_notebook(path: Path) -> dict:
    """A notebook as plain data. Raises TinylibError with the remedy when it cannot be read."""
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        if book["nbformat"] != 4 or not isinstance(book["metadata"], dict):
            raise ValueError
        for cell in book["cells"]:
            cell["source"], cell["metadata"]
        return book
    except FileNotFoundError:
        raise TinylibError(f"There is no {path}.") from None
    except (ValueError, KeyError, TypeError):
        raise TinylibError(f"{path} is no readable notebook. `tinylib lab --reset {path.stem[3:]}` keeps it and gives you a fresh copy.") from None


def write_notebook(path: Path, book: dict) -> None:
    """Write in one step, so that a crash leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps(book, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    draft.replace(path)
