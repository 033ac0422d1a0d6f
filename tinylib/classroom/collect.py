"""Submissions from a folder or a zip of `student/notebook.ipynb`; a zip is unpacked without trust."""

import shutil
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tinylib.classroom.answers import MAX_FILE_BYTES, Answers, read_folder
from tinylib.classroom.assignment import Assignment
from tinylib.core.errors import TinylibError

MAX_ZIP_BYTES = 4 << 30


@contextmanager
def opened(source: Path):
    """The folder of submissions: `source` itself, or a zip's notebooks in a temporary folder."""
    if source.is_dir():
        yield source
        return
    if not zipfile.is_zipfile(source):
        raise TinylibError(f"{source} is neither a folder nor a zip file of student/notebook.ipynb.")
    folder = Path(tempfile.mkdtemp(prefix="submissions-"))
    try:
        unpack(source, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(source: Path, folder: Path) -> None:
    """The notebooks of a zip; no path leaves `folder`, no link is made, sizes are capped."""
    total = 0
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
            if entry.is_dir() or not entry.filename.endswith(".ipynb") or ".." in parts or not parts or parts[0].startswith("/") or "__MACOSX" in parts:
                continue
            total += min(entry.file_size, MAX_FILE_BYTES + 1)
            if total > MAX_ZIP_BYTES:
                raise TinylibError(f"{source} unpacks to more than {MAX_ZIP_BYTES >> 30} GiB.")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as file, open(target, "wb") as out:
                out.write(file.read(MAX_FILE_BYTES + 1))


def students(folder: Path, listed: list[str] | None = None) -> list[str]:
    """Names of the students: the folders, and those of the list who handed in nothing."""
    found = {p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")}
    return sorted(found | set(listed or ()))


def read_all(folder: Path, assignment: Assignment, listed: list[str] | None = None) -> list[Answers]:
    """The answers of every student, in the order of their names."""
    names = students(folder, listed)
    if not names:
        raise TinylibError(f"No student folders in {folder}; expected {folder}/STUDENT/{assignment.stem}.ipynb.")
    return [read_folder(folder / name, assignment, name) for name in names]
