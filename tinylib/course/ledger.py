"""What a notebook run tells about itself: which checks passed, CPU seconds, peak memory.

When the folder TINYLIB_RESULTS is set, `start` and `check` leave notes in `<folder>-<slug>.jsonl` there, whoever runs the
kernel (nbclient at a build, nbval in a test). Without it nothing is written.
"""

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root

VARIABLE = "TINYLIB_RESULTS"
STATIC = "TINYLIB_STATIC"   # set: a panel shows its figure and text instead of a widget
LIMIT_CPU_SECONDS = 60.0
TOLERANCE = 1.5             # a loaded machine makes CPU seconds longer
LIMIT_BYTES = 1.5 * 2**30


@dataclass(frozen=True)
class Run:
    """One notebook run. `checks` holds exercise id -> passed (the last check counts)."""

    folder: str
    slug: str
    checks: dict[str, bool]
    cpu_seconds: float
    peak_bytes: int


def begin(slug: str) -> None:
    """Start the notes of this kernel's notebook and keep its CPU time up to date after every cell."""
    if not os.environ.get(VARIABLE):
        return
    file = notes_file(Path.cwd().name, slug)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    note_cost(slug)
    from IPython import get_ipython
    if get_ipython():
        get_ipython().events.register("post_run_cell", lambda result: note_cost(slug))


def note_check(exercise: str, passed: bool) -> None:
    """Note what a check said."""
    append(exercise.partition(".")[0], {"check": exercise, "passed": bool(passed)})


def note_cost(slug: str) -> None:
    """Note CPU seconds (this process and the children it has waited for) and peak memory so far."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    append(slug, {"cpu_seconds": round(seconds, 2), "peak_bytes": max(own.ru_maxrss, children.ru_maxrss) * unit})


def append(slug: str, note: dict) -> None:
    """One more line in the notes of the running notebook."""
    if os.environ.get(VARIABLE):
        with notes_file(Path.cwd().name, slug).open("a") as out:
            out.write(json.dumps(note) + "\n")


def notes_file(folder: str, slug: str) -> Path:
    """Where the notes of a run of `folder/NN_slug.ipynb` are."""
    return Path(os.environ[VARIABLE]) / f"{folder}-{slug}.jsonl"


def read_runs(results: Path) -> list[Run]:
    """Every run that left notes in `results`."""
    return [read_run(file) for file in sorted(results.glob("*.jsonl"))]


def read_run(file: Path) -> Run:
    """The run that one notes file tells of."""
    folder, _, slug = file.stem.partition("-")
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    costs = [n for n in notes if "cpu_seconds" in n] or [{"cpu_seconds": 0.0, "peak_bytes": 0}]
    return Run(folder, slug, {n["check"]: n["passed"] for n in notes if "check" in n}, costs[-1]["cpu_seconds"], costs[-1]["peak_bytes"])


def complaints(run: Run, exercises: tuple[str, ...]) -> list[str]:
    """What is wrong with a run of a notebook that has these exercises: solutions all pass, labs all say "not yet", costs in bounds."""
    found, want = [], run.folder == "solutions"
    for exercise in exercises:
        if run.checks.get(exercise) is not want:
            said = {True: "passed", False: "said 'not yet'", None: "was never checked"}[run.checks.get(exercise)]
            found.append(f"{run.folder}/{run.slug}: {exercise} {said}")
    if run.cpu_seconds > LIMIT_CPU_SECONDS * TOLERANCE:
        found.append(f"{run.folder}/{run.slug}: {run.cpu_seconds:.0f} s of CPU time, the limit is {LIMIT_CPU_SECONDS:.0f} s")
    if run.peak_bytes > LIMIT_BYTES:
        found.append(f"{run.folder}/{run.slug}: {run.peak_bytes / 2**30:.1f} GiB of memory, the limit is 1.5 GiB")
    return found


def ledger_file() -> Path:
    """The ledger of this machine; ignored by git."""
    return project_root() / ".cache" / "ledger.json"


def keep(runs: list[Run], file: Path | None = None) -> None:
    """Enter runs into the ledger: "solutions/pruning" -> CPU seconds and peak bytes."""
    file = file or ledger_file()
    ledger = read_ledger(file)
    ledger |= {f"{run.folder}/{run.slug}": {"cpu_seconds": run.cpu_seconds, "peak_bytes": run.peak_bytes} for run in runs}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(ledger, indent=1, sort_keys=True) + "\n")


def read_ledger(file: Path) -> dict:
    """The ledger; empty where there is none. Raises TinylibError when the file is damaged."""
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except json.JSONDecodeError:
        raise TinylibError(f"{file} is damaged; delete it, the next build writes it anew.") from None
