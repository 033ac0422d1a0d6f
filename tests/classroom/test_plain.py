"""Folder in, CSV and feedback out; cache, kill and resume; zip; export columns; feedback that leaks nothing."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from classes import RIGHT, ROOT, TARGET, book, cell_of, course, lab

from tinylib.check import find
from tinylib.classroom import collect, export, feedback, plain, report, sandbox
from tinylib.classroom.answers import Answers
from tinylib.classroom.grade import Cache, grade_all
from tinylib.classroom.judge import Course, judge, private_instances
from tinylib.core.errors import TinylibError

WRONG = "def output_size(n, kernel, stride, padding, dilation):\n    return (n + padding - dilation * (kernel - 1) - 1) // stride + 1\n"


def hand_in(folder, learner, source=None):
    made = book()
    if source is not None:
        cell_of(made, "start_here-output_size")["source"] = source
    (folder / learner).mkdir(parents=True)
    (folder / learner / "01_start_here.ipynb").write_text(json.dumps(made))


@pytest.fixture
def sent(tmp_path):
    folder = tmp_path / "sent"
    for learner, source in (("ada", RIGHT), ("=bob", WRONG), ("cy", None), ("Zo\u00eb M", RIGHT.replace("return", "raise ValueError(str((n, kernel))) or"))):
        hand_in(folder, learner, source)
    return folder


def test_a_folder_is_graded(sent, tmp_path):
    done = plain.grade_folder(sent, tmp_path / "out", lab(), course(), listed=["dora"], workers=1, say=lambda text: None)
    points = {r.learner: r.points for r in done.results}
    assert points == {"ada": 2, "=bob": 0, "cy": 0, "Zo\u00eb M": 0, "dora": 0}
    rows = {r["student"]: r for r in csv.DictReader((tmp_path / "out" / "grades.csv").read_text(encoding="utf-8").splitlines())}
    assert rows["ada"]["points"] == "2.0" and rows["'=bob"][TARGET] == "0.0" and "No notebook" in rows["dora"]["notes"]
    bob = (tmp_path / "out" / "feedback" / "=bob" / "01_start_here.md").read_text()
    assert "both sides" in bob and "Hints" in bob and "does not hold yet" in bob
    again = plain.grade_folder(sent, tmp_path / "out", lab(), course(), listed=["dora"], workers=1, say=lambda text: None)
    assert again.fresh == 0 and [r.to_json() for r in again.results] == [r.to_json() for r in done.results]
    assert "Padding" in (tmp_path / "out" / "report.txt").read_text()


def test_feedback_holds_no_private_number():
    """An answer that raises its arguments as a text cannot carry private instances into the feedback."""
    leak = "def output_size(*a):\n    print(a)\n    raise ValueError('LEAK' + repr(a))\n"
    named = "def output_size(*a):\n    raise type('LEAK' + '_'.join(map(str, a)), (Exception,), {})\n"
    for source in (leak, named):
        result = judge(Answers("ada", {TARGET: source}), lab(), course())
        text = feedback.markdown(result, lab())
        assert "LEAK" not in text + result.to_json() and "Hints" in text
    wrong = judge(Answers("ada", {TARGET: WRONG}), lab(), course()).to_json()
    assert "expected" not in wrong and "instance" not in wrong


CANARY = 765_431
LEAKS = {
    "prints": "print(n, kernel, file=__import__('sys').stderr)\nprint(n)\nreturn -1",
    "raises": "raise ValueError(f'LEAK{n}')",
    "raises a key": "raise KeyError(n)",
    "names an error": "raise type(f'LEAK{n}', (ValueError,), {})()",
    "returns a text": "return f'LEAK{n}'",
    "returns it": "return n",
    "returns a list": "return [n, kernel]",
    "an error on line n": "exec(compile('\\n' * (n - 1) + 'raise ValueError', '<your answer>', 'exec'))",
    "a warning": "__import__('warnings').warn(f'LEAK{n}')\nreturn -1",
    "a note": "e = ValueError()\ne.add_note(f'LEAK{n}')\nraise e",
    "a forged frame": """import os, tinylib.classroom.wire as w
run = {'kind': 'error', 'facts': {}, 'sentence': f'ValueError LEAK{n}', 'line_number': n}
for d in range(64):
    try:
        os.write(d, w.pack({'runs': [run], 'notes': [f'LEAK{n}']}))
    except OSError:
        pass
os._exit(0)""",
}


@pytest.mark.parametrize("level", ["process", "bubblewrap"])
def test_nothing_that_is_written_holds_a_hidden_instance(level, tmp_path):
    """A private instance with a number that is met nowhere else; answers that try to carry it out; no file of the graded class has it or its answer."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "start_here.py").write_text(
        f"INSTANCES = {{{TARGET!r}: lambda rng: [{{'n': {CANARY}, 'kernel': 3, 'stride': 1, 'padding': 0, 'dilation': 1}}]}}\n")
    only = RIGHT.replace("    return", f"    if n != {CANARY}:\n        return")
    for name, body in LEAKS.items():
        hand_in(tmp_path / "sent", name, only + "".join(f"    {line}\n" for line in body.splitlines()))
    klass = Course("secret", sandbox.choose(level), hidden)
    done = plain.grade_folder(tmp_path / "sent", tmp_path / "out", lab(), klass, workers=1, say=lambda text: None)
    assert all(r.points == 0 and any(s.kind not in ("missing", "not started") for s in r.scores) for r in done.results)
    for path in (p for p in (tmp_path / "out").rglob("*") if p.is_file()):
        text = path.read_text(encoding="utf-8")
        assert not any(word in text for word in ("LEAK", str(CANARY), f"{CANARY:,}", str(CANARY - 2), f"{CANARY - 2:,}")), path
    assert any("ValueError" in p.read_text() for p in (tmp_path / "out").rglob("*.md")), "the kind of error is told"


def test_feedback_is_escaped():
    result = judge(Answers("<script>", {}, notes=["<b>**x"]), lab(), course())
    page = feedback.page(feedback.markdown(result, lab(), {"start_here.decide.reason": {"points": 1, "comment": "good <i>"}}), "<x>")
    assert "<script>" not in page and "<i>" not in page and "good" in page and "1 of 2" in page


def test_secret_seeds_differ_by_secret_and_student():
    exercise = find.exercise(TARGET)
    draw = lambda secret, learner: json.dumps(private_instances(exercise, course(secret=secret), learner), default=str)
    assert draw("a", "ada") == draw("a", "ada") and len({draw("a", "ada"), draw("b", "ada"), draw("a", "bob")}) == 3


def test_a_damaged_cache_entry_is_judged_again(tmp_path):
    cache, answers = Cache(tmp_path), [Answers("ada", {TARGET: RIGHT})]
    first, = grade_all(answers, lab(), course(), cache, workers=1)
    path, = tmp_path.rglob("*.json")
    path.write_text("{")
    second, = grade_all(answers, lab(), course(), cache, workers=1)
    assert first.points == second.points == 2 and json.loads(path.read_text())["learner"] == "ada"
    third, = grade_all(answers, lab(), course(secret="other"), cache, workers=1)
    assert third.points == 2 and len(list(tmp_path.rglob("*.json"))) == 2


def test_a_zip_is_opened_without_trust(sent, tmp_path):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(sent / "ada" / "01_start_here.ipynb", "ada/01_start_here.ipynb")
        archive.writestr("../evil.ipynb", "x")
        archive.writestr("/abs/evil.ipynb", "x")
        archive.writestr("ada/run.py", "x")
    with collect.opened(path) as folder:
        found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        assert found == ["ada/01_start_here.ipynb"]
    assert not (tmp_path / "evil.ipynb").exists()
    with pytest.raises(TinylibError, match="neither"):
        with collect.opened(sent / "ada" / "01_start_here.ipynb"):
            pass


def test_export_columns():
    result = judge(Answers("ada", {}), lab(), course())
    rows = [export.row(result, lab(), {"start_here.decide.reason": {"points": 2}})]
    canvas = list(csv.reader(export.canvas(rows).splitlines()))
    assert canvas[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_start_here"]
    assert canvas[1][0].strip() == "Points Possible" and canvas[1][-1] == "34.0" and canvas[2][-1] == "2.0"
    assert export.moodle(rows) == "username,01_start_here\nada,2.0\n"
    assert rows[0].open == 0 and export.row(result, lab()).open == 2


def test_report_sees_copies_and_hard_parts():
    same = ("def conv_params(c, k, kernel, groups, bias):\n    total = k * c // groups * kernel[0] * kernel[1]\n"
            "    if bias:\n        total += k\n    return total\n")
    people = [Answers(n, {"start_here.conv_params": same.replace("total", v), TARGET: WRONG.replace("stride + 1", "stride + 1 + 0 * n")})
              for n, v in (("ada", "x"), ("bob", "y"))]
    results = [judge(p, lab(), course()) for p in people]
    (a, b, parts), = report.alike(people, results, lab())
    assert (a, b) == ("ada", "bob") and len(parts) == 2
    hard = {i["part"]: i for i in report.items(results)}
    assert hard[TARGET]["mean"] == 0 and hard["start_here.conv_params"]["mean"] == 1


def command(sent, out):
    return [sys.executable, "-m", "tinylib.cli", "class", "grade", "--plain", str(sent), str(out), "--lab", "start_here", "--isolation", "process"]


def killed_and_resumed(sent, tmp_path, kills, longest):
    """Kill the grader and all it started `kills` times, resume; grades as undisturbed, nothing judged twice."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    for out in (calm, rough):
        out.mkdir()
        (out / ".secret").write_text("s" * 64 + "\n")
    subprocess.run(command(sent, calm), env=env, check=True, capture_output=True, cwd=ROOT)
    rng, seen = random.Random(7), {}
    for _ in range(kills):
        grader = subprocess.Popen(command(sent, rough), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT)
        time.sleep(rng.uniform(0.1, longest))
        os.killpg(grader.pid, signal.SIGKILL)
        grader.wait()
        now = {p.name: p.stat().st_mtime_ns for p in rough.rglob(".cache/*/*.json")}
        assert seen.items() <= now.items(), "a result was lost or judged again"
        seen = now
    subprocess.run(command(sent, rough), env=env, check=True, capture_output=True, cwd=ROOT)
    assert (calm / "grades.csv").read_text() == (rough / "grades.csv").read_text()
    assert seen.items() <= {p.name: p.stat().st_mtime_ns for p in rough.rglob(".cache/*/*.json")}.items()


def test_killed_and_resumed(sent, tmp_path):
    killed_and_resumed(sent, tmp_path, kills=3, longest=6)


@pytest.mark.long
def test_killed_twenty_times(sent, tmp_path):
    killed_and_resumed(sent, tmp_path, kills=20, longest=8)
