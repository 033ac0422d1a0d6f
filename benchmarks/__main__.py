"""Runs benchmarks: `python -m benchmarks [NAME ...] [--json]`. Rivals are installed first, each set in its own environment."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.rivals.environment import ROOT, ensure

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """Every benchmark: one file, one question."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*names(), []], help="which (default: all)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    failed = []
    for name in args.name or names():
        print(f"\n== {name}", flush=True)
        python = ensure(name) if (HERE / "rivals" / f"{name}.txt").exists() else Path(sys.executable)
        command = [str(python), "-m", f"benchmarks.{name}", *(["--json"] if args.json else [])]
        if subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
