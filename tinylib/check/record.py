"""The learner's own record: one JSON object a line, only ever appended to. Losing it is harmless; no lab depends on it."""

import contextlib
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from tinylib.core.paths import records_dir


def record_file() -> Path:
    """Where the record is."""
    return records_dir() / "record.jsonl"


def append(kind: str, id: str, **fields) -> str:
    """Add one entry with the time; returns "" or a note why it was not kept. Never raises.

    `kind`: "check", "answer" or "prediction"; `fields`: learner, status, value, property ...
    """
    entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "kind": kind, "id": id, **fields}
    try:
        line = (json.dumps(entry, default=repr) + "\n").encode()
        record_file().parent.mkdir(parents=True, exist_ok=True)
        _append_line(record_file(), line)
        return ""
    except (OSError, ValueError) as error:
        return f"Your progress could not be saved ({getattr(error, 'strerror', None) or error}). The lab works without it."


def _append_line(path: Path, line: bytes) -> None:
    """One write at the end; a half line left by a crash is closed first, so that it spoils only itself. Two kernels take turns."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(OSError):      # some network folders know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read() -> tuple[list[dict], list[str]]:
    """All good entries in order, and one note for each line that was skipped."""
    try:
        text = record_file().read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"The record {record_file()} cannot be read ({error.strerror})."]
    entries, notes = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        entry = _entry(line)
        if entry is not None:
            entries.append(entry)
        elif line.strip():
            notes.append(f"Line {number} of {record_file().name} is damaged and was skipped.")
    return entries, notes


def _entry(line: str) -> dict | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    good = isinstance(entry, dict) and isinstance(entry.get("id"), str) and isinstance(entry.get("kind"), str)
    return entry if good else None
