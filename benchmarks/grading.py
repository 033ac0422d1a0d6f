"""How much faster does the judge grade a class than stock nbgrader autograde, on the same submissions of `pruning`, side by side?

Stock: nbgrader executes every cell of every submission in a kernel, one after another. Ours: two graders at a time, every answer cell on
private instances in a sandbox. Submissions alternate between solved, half solved and untouched notebooks. The two take turns, two submissions
a turn, so that whatever else the machine does meets both; who begins changes from turn to turn. Ours also pays for starting its graders and
for writing grades, feedback and report; stock does not pay for its start.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

from tinylib.classroom import assignment, gradebook, plain, sandbox
from tinylib.classroom.answers import read_folder
from tinylib.classroom.grade import Cache, grade_all
from tinylib.classroom.judge import Course, new_secret
from tinylib.core.paths import project_root

LAB = "pruning"
GRADERS = 2
STOCK = '''c = get_config()
c.GenerateAssignment.preprocessors = ["nbgrader.preprocessors." + n for n in
    ("LockCells", "ClearOutput", "CheckCellMetadata", "ComputeChecksums", "SaveCells", "CheckCellMetadata")]
c.Execute.timeout = 600
c.Execute.iopub_timeout = 600
'''


def submissions(folder: Path, count: int, found) -> list[str]:
    """`count` students: solved, half solved, untouched in turn; their names."""
    root = project_root()
    solved = json.loads((root / "solutions" / f"{found.stem}.ipynb").read_text(encoding="utf-8"))
    empty = json.loads((root / "labs" / f"{found.stem}.ipynb").read_text(encoding="utf-8"))
    answered = [c for c in solved["cells"] if c["metadata"].get("tinylib", {}).get("role") not in (None, "check")]
    sources = {c["metadata"]["tinylib"]["id"]: "".join(c["source"]) for c in answered}
    half = {p.id: sources[p.id] for p in found.parts[::2]}
    names = [f"student{number:02d}" for number in range(count)]
    for number, name in enumerate(names):
        book = gradebook.filled(empty, (sources, half, {})[number % 3], found)
        gradebook.write_book(folder / name / f"{found.stem}.ipynb", book)
    return names


def stock(folder: Path, sent: Path, found):
    """A function (names) that grades them as stock nbgrader does."""
    gradebook.write_book(folder / "source" / found.stem / f"{found.stem}.ipynb", json.loads(
        (project_root() / "labs" / f"{found.stem}.ipynb").read_text(encoding="utf-8")))
    (folder / "nbgrader_config.py").write_text(STOCK)
    for student in sorted(sent.iterdir()):
        shutil.copytree(student, folder / "submitted" / student.name / found.stem)
    api = gradebook.api(folder)
    gradebook.sure(lambda: api.generate_assignment(found.stem), "generate_assignment")

    def grade(names):
        for name in names:
            gradebook.sure(lambda name=name: api.autograde(found.stem, name), "autograde")

    return grade


def ours(folder: Path, sent: Path, found, level, pool):
    """A function (names) that reads, judges and keeps them; it gives their answers and results."""
    course, cache = Course(new_secret(), level), Cache(folder / ".cache")

    def grade(names):
        answers = [read_folder(sent / name, found, name) for name in names]
        return answers, grade_all(answers, found, course, cache, executor=pool)

    return grade


def peak_mib(_) -> int:
    """Memory of a grader, asked in its own process."""
    time.sleep(0.5)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def seconds_of(grade, names):
    """(seconds, what it gave)."""
    start = time.perf_counter()
    got = grade(names)
    return time.perf_counter() - start, got


def duel(folder: Path, count: int, found, level) -> dict:
    """Both over all submissions in turns: seconds a submission of each turn, ours' fixed seconds, memory, points."""
    names, mine, rival, answers, results = submissions(folder / "sent", count, found), [], [], [], []
    by_stock = stock(folder / "stock", folder / "sent", found)
    start = time.perf_counter()
    with ProcessPoolExecutor(GRADERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        graders = max(pool.map(peak_mib, range(GRADERS)))
        fixed = time.perf_counter() - start
        by_judge = ours(folder / "ours", folder / "sent", found, level, pool)
        for turn, first in enumerate(range(0, count, GRADERS)):
            pair = names[first:first + GRADERS]
            for side in ("judge", "stock") if turn % 2 else ("stock", "judge"):
                seconds, got = seconds_of(by_judge if side == "judge" else by_stock, pair)
                (mine if side == "judge" else rival).append(seconds / len(pair))
                if got:
                    answers += got[0]
                    results += got[1]
            print(f"turn {turn + 1}: judge {mine[-1]:.2f} s, stock {rival[-1]:.2f} s a submission, ratio {rival[-1] / mine[-1]:.1f}", flush=True)
        graders = max(graders, *pool.map(peak_mib, range(GRADERS)))
    start = time.perf_counter()
    plain.write_out(folder / "ours", answers, results, found)
    fixed += time.perf_counter() - start
    return {"mine": mine, "rival": rival, "fixed": fixed, "points": sum(r.points for r in results), "mib": max(r.mib for r in results), "grader": graders}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=20, help="submissions")
    args = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    found, level = assignment.find(LAB), sandbox.choose()
    print(level.words(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        got = duel(Path(folder), args.count, found, level)
    ratios = sorted(b / a for a, b in zip(got["mine"], got["rival"]))
    mean = lambda numbers: sum(numbers) / len(numbers)
    mine, theirs = mean(got["mine"]) + got["fixed"] / args.count, mean(got["rival"])
    print(f"judge: {mine:.2f} s a submission with {got['fixed']:.1f} s of start and writing shared by {args.count}; {got['points']:g} points in all")
    print(f"memory: {got['mib']} MiB a warm sandbox, {got['grader']} MiB a grader, {GRADERS} of each at a time")
    print(f"stock nbgrader: {theirs:.2f} s a submission")
    print(f"ratio of the means {theirs / mine:.2f}; of the turns {ratios[0]:.1f} to {ratios[-1]:.1f}, median {statistics.median(ratios):.1f}")
    if args.json:
        case = f"{LAB}, {args.count} submissions in turns, {level.name}, {got['mib']} MiB a sandbox and {got['grader']} MiB a grader"
        row = {"case": case, "ours": round(mine, 3), "rival": round(theirs, 3), "unit": "s", "ratio": round(theirs / mine, 2),
               "ratio_median": round(statistics.median(ratios), 2), "ratio_low": round(ratios[0], 2), "ratio_high": round(ratios[-1], 2)}
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": [row], "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                          "versions": {name: version(name) for name in ("nbgrader", "torch")}}))


if __name__ == "__main__":
    main()
