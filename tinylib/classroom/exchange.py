"""nbgrader's exchange: what students submitted there becomes a submission of ours, and feedback finds its way back."""

import json
import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from tinylib.classroom import gradebook
from tinylib.classroom.answers import read_folder
from tinylib.classroom.grade import write_whole
from tinylib.classroom.late import in_utc

STAMP, SECRET = "timestamp.txt", "submission_secret.txt"        # nbgrader's own names
MAX_STAMP = 100


def take_over(folder: Path, found, say=print) -> list[str]:
    """Students whose raw submission nbgrader has put into submitted/: it moves to collected/, a clean copy takes its place. Killed anywhere: run again."""
    names = sorted(p.parent.name for p in (folder / "submitted").glob(f"*/{found.stem}") if p.is_dir())
    raw = [name for name in names if not is_ours(folder, found, name)]
    for name in raw:
        place = folder / "submitted" / name / found.stem
        keep(folder, found, name, place, stamp_of(place, missing_is_now=True, say=say, name=name))
    return raw


def is_ours(folder: Path, found, name: str) -> bool:
    """Whether submitted/ holds the clean copy that `keep` wrote, and no raw notebook."""
    place, mark = folder / "submitted" / name / found.stem, mark_of(folder, found, name)
    try:
        return mark.read_text(encoding="utf-8") == (place / f"{found.stem}.ipynb").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def mark_of(folder: Path, found, name: str) -> Path:
    """Where we note what we wrote into submitted/."""
    return folder / ".class" / "clean" / found.stem / f"{name}.ipynb"


def keep(folder: Path, found, name: str, sent: Path, stamp: str = "") -> None:
    """One student's notebooks into collected/ as they are, a clean copy with the answers into submitted/ for nbgrader. A later collection replaces both."""
    target, place = folder / "collected" / found.stem / name, folder / "submitted" / name / found.stem
    fresh = target.with_name(f".{name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for path in sorted(sent.rglob("*.ipynb")) if sent.is_dir() else []:
        if path.is_file() and not path.is_symlink():
            copy = fresh / path.relative_to(sent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
    token = secret_in(sent)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    book = json.dumps(clean_book(folder, found, read_folder(target, found, name).sources), indent=1, sort_keys=True) + "\n"
    write_whole(mark_of(folder, found, name), book)
    ready = place.with_name(f".{found.stem}.new")
    shutil.rmtree(ready, ignore_errors=True)
    write_whole(ready / f"{found.stem}.ipynb", book)
    if stamp:
        write_whole(ready / STAMP, stamp)
    if token:
        write_whole(ready / SECRET, token)
    shutil.rmtree(place, ignore_errors=True)
    ready.rename(place)


def clean_book(folder: Path, found, sources: dict) -> dict:
    """nbgrader's source with these answers."""
    path = folder / "source" / found.stem / f"{found.stem}.ipynb"
    return gradebook.filled(json.loads(path.read_text(encoding="utf-8")), sources, found)


def secret_in(sent: Path) -> str:
    """The word by which nbgrader's `fetch_feedback` finds the feedback; "" without one."""
    try:
        with open(sent / SECRET, encoding="ascii") as file:
            return file.read(1000)
    except (OSError, ValueError):
        return ""


def stamp_of(sent: Path, missing_is_now: bool, say=print, name: str = "") -> str:
    """When it was handed in, as nbgrader writes it. A damaged time stamp, and in the exchange a missing one, counts as now: it gains no time."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    path = sent / STAMP
    if not os.path.lexists(path):
        return now if missing_is_now else ""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(MAX_STAMP).strip()
        return f"{in_utc(text):%Y-%m-%d %H:%M:%S.%f} UTC"
    except (OSError, ValueError, OverflowError, TypeError, AttributeError, RecursionError):
        say(f"{name}: its {STAMP} cannot be read; it counts as handed in now.")
        return now


def feedback_files(folder: Path, found, name: str) -> None:
    """The two files by which `nbgrader release_feedback` sends feedback back, beside the feedback; made up where nothing came by the exchange."""
    place, beside = folder / "submitted" / name / found.stem, folder / "feedback" / name / found.stem
    for file, other in ((STAMP, "none"), (SECRET, secrets.token_hex(32))):
        path = place / file
        write_whole(beside / file, path.read_text(encoding="utf-8") if path.is_file() else other)


def own_names(folder: Path, found, name: str) -> list[str]:
    """The names of the student's own notebooks: nbgrader looks for feedback under them."""
    return sorted({found.stem, *(p.stem for p in (folder / "collected" / found.stem / name).glob("*.ipynb"))})
