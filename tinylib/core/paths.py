"""Where the project's files are."""

import os
from pathlib import Path

from tinylib.core.errors import TinylibError


def project_root() -> Path:
    """Folder that holds `tinylib/`, `labs/` and `data/` (the install is editable)."""
    return Path(__file__).resolve().parents[2]


def data_dir() -> Path:
    """Folder of the shipped data: `TINYLIB_DATA` when set, else `data/` beside the package."""
    folder = Path(os.environ.get("TINYLIB_DATA", project_root() / "data"))
    if not folder.is_dir():
        raise TinylibError(f"No data folder at {folder}. Set TINYLIB_DATA to the folder 'data' of the course.")
    return folder


def records_dir() -> Path:
    """Folder of the learner's own records: `TINYLIB_HOME` when set, else `my_labs/.tinylib/`."""
    return Path(os.environ.get("TINYLIB_HOME", project_root() / "my_labs" / ".tinylib"))
