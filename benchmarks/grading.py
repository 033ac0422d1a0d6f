"""How much faster does the judge grade a class than stock nbgrader autograde, on the same submissions of `pruning`, side by side?

Stock: nbgrader executes every cell of every submission in a kernel, one after another. Ours: `tinylib class grade --plain`, two graders at a
time, every answer cell on private instances in a sandbox. Submissions alternate between solved, partly solved and untouched notebooks.
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

from tinylib.classroom import assignment, gradebook, plain, sandbox
from tinylib.classroom.judge import Course, new_secret
from tinylib.core.paths import project_root

LAB = "pruning"
STOCK = '''c = get_config()
c.GenerateAssignment.preprocessors = ["nbgrader.preprocessors." + n for n in
    ("LockCells", "ClearOutput", "CheckCellMetadata", "ComputeChecksums", "SaveCells", "CheckCellMetadata")]
c.ExecuteOptions.timeout = 300
'''


def submissions(folder: Path, count: int, found) -> None:
    """`count` students: solved, half solved, untouched in turn."""
    root = project_root()
    solved = json.loads((root / "solutions" / f"{found.stem}.ipynb").read_text(encoding="utf-8"))
    empty = json.loads((root / "labs" / f"{found.stem}.ipynb").read_text(encoding="utf-8"))
    answered = [c for c in solved["cells"] if c["metadata"].get("tinylib", {}).get("role") not in (None, "check")]
    sources = {c["metadata"]["tinylib"]["id"]: "".join(c["source"]) for c in answered}
    half = {p.id: sources[p.id] for p in found.parts[::2]}
    for number in range(count):
        book = gradebook.filled(empty, (sources, half, {})[number % 3], found)
        gradebook.write_book(folder / f"student{number:02d}" / f"{found.stem}.ipynb", book)


def stock(folder: Path, sent: Path, found) -> list[float]:
    """Seconds of each submission in stock nbgrader."""
    gradebook.write_book(folder / "source" / found.stem / f"{found.stem}.ipynb", json.loads(
        (project_root() / "labs" / f"{found.stem}.ipynb").read_text(encoding="utf-8")))
    (folder / "nbgrader_config.py").write_text(STOCK)
    for student in sorted(sent.iterdir()):
        shutil.copytree(student, folder / "submitted" / student.name / found.stem)
    api = gradebook.api(folder)
    gradebook.sure(lambda: api.generate_assignment(found.stem), "generate_assignment")
    seconds = []
    for student in sorted(p.name for p in sent.iterdir()):
        start = time.perf_counter()
        gradebook.sure(lambda name=student: api.autograde(found.stem, name), "autograde")
        seconds.append(time.perf_counter() - start)
    return seconds


def ours(folder: Path, sent: Path, found, level) -> tuple[float, float, int]:
    """(seconds a submission with two graders, points of the class, MiB of a warm worker)."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        done = plain.grade_folder(sent, folder, found, Course(new_secret(), level))
    return (time.perf_counter() - start) / len(done.results), sum(r.points for r in done.results), max(r.mib for r in done.results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=20, help="submissions")
    args = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    found, level = assignment.find(LAB), sandbox.choose()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sent = folder / "sent"
        submissions(sent, args.count, found)
        mine, points, mib = ours(folder / "ours", sent, found, level)
        print(f"judge: {mine:.2f} s a submission, {args.count} submissions, two graders, {points:g} points in all, {mib} MiB a warm worker")
        print(level.words(), flush=True)
        rival = stock(folder / "stock", sent, found)
        print(f"stock nbgrader: {sum(rival) / len(rival):.2f} s a submission ({min(rival):.1f} to {max(rival):.1f})")
    theirs = sum(rival) / len(rival)
    row = {"case": f"{LAB}, {args.count} submissions, {level.name}, {mib} MiB a worker", "ours": round(mine, 3), "rival": round(theirs, 3), "unit": "s",
           "ratio": round(theirs / mine, 2)}
    print(f"ratio {row['ratio']}")
    if args.json:
        versions = {name: importlib.metadata.version(name) for name in ("nbgrader", "torch")}
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": [row], "machine": machine, "versions": versions}))


if __name__ == "__main__":
    main()
