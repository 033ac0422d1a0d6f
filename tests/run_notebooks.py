"""Runs every notebook as a learner would meet it (nbval: labs/ untouched, solutions/ solved), then reads what the runs noted.

    python tests/run_notebooks.py [SLUG ...]

Fails when a cell raises, when a text marked exact differs, when a check in solutions/ does not pass or one in labs/ does, or
when a notebook takes over 60 s of CPU time (a tolerance of 1.5 for a loaded machine) or over 1.5 GiB.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300", "--dist", "loadfile", "-p", "no:cacheprovider", "-W", "ignore"]


def main(slugs: list[str]) -> int:
    """Run, then judge; 0 when all is well."""
    from tinylib.course import ledger
    from tinylib.course.build import project
    labs = project().pick(slugs)
    books = [str(ROOT / folder / f"{lab.stem}.ipynb") for folder in ("labs", "solutions") for lab in labs]
    if not books:
        print("There are no labs to run.")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results"
        env = os.environ | {ledger.VARIABLE: str(results), "TINYLIB_HOME": f"{scratch}/home", "TINYLIB_LEARNER": "demo",
                            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "PYTHONHASHSEED": "0",
                            "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        workers = ["-n", os.environ.get("NOTEBOOK_WORKERS", "2")]
        code = subprocess.call([sys.executable, "-m", "pytest", "-q", *workers, *NBVAL, *books], env=env, cwd=ROOT)
        runs = ledger.read_runs(results) if results.exists() else []
    ledger.keep(runs)
    found = judge(labs, runs)
    print("\n".join([*map(line, runs), *found]))
    return code or bool(found)


def judge(labs, runs) -> list[str]:
    """Complaints about all runs; a notebook that left no note is one."""
    from tinylib.course.ledger import complaints
    by_name = {(run.folder, run.slug): run for run in runs}
    found = []
    for lab in labs:
        for folder in ("labs", "solutions"):
            run = by_name.get((folder, lab.slug))
            found += complaints(run, lab.named("check")) if run else [f"{folder}/{lab.slug} left no note: did start() run?"]
    return found


def line(run) -> str:
    """One row of the ledger."""
    return f"{run.folder + '/' + run.slug:32s} {run.cpu_seconds:6.1f} s of CPU time {run.peak_bytes / 2**20:6.0f} MiB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
