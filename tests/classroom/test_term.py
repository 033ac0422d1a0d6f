"""The class with nbgrader, once from release to export; hand grading; autograde through nbgrader itself; Dask; the command line."""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from classes import RIGHT, ROOT, TARGET, lab
from traps import until

from tinylib.classroom import assignment, dryrun, gradebook, plain, report, sandbox, term
from tinylib.classroom.answers import Answers
from tinylib.classroom.grade import Cache, grade_all
from tinylib.classroom.judge import Course
from tinylib.cli.__main__ import main
from tinylib.core.errors import TinylibError

pytestmark = pytest.mark.filterwarnings("ignore")           # nbgrader's and SQLAlchemy's own


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """One made-up class at bubblewrap, kept for all tests of this file."""
    folder = tmp_path_factory.mktemp("class")
    return folder / "course", dryrun.rehearse("start_here", "bubblewrap", "", folder / "course", folder / "sent"), folder / "sent"


def test_dryrun_gives_everybody_what_they_should_get(rehearsed):
    assert rehearsed[1] == []


def test_dryrun_sees_a_wrong_grade(rehearsed):
    """Planted bugs: a cheat with points, a right answer without, copies that nobody sees, a gradebook that says otherwise."""
    course, _, sent = rehearsed
    klass = term.open_course(course)
    found = klass.assignment("start_here")
    answers, results = term.results_of(klass, found)
    expected = dryrun.make_class(found, sent.parent / "again")
    assert dryrun.verdicts(results, expected, answers, found) == []
    spoiled = {r.learner: r for r in results}
    spoiled["cheat_exit"].scores[2].points = 2
    spoiled["demo"].scores[2].points = 0
    told = " ".join(dryrun.verdicts(results, expected, [], found) + dryrun.in_the_book(klass, found, results))
    assert "cheat_exit got 2" in told and "demo got 30" in told and "gradebook 32" in told
    assert "not reported" in " ".join(dryrun.verdicts(results[:1], expected, [], found))


@pytest.mark.long
def test_dryrun_fails_when_a_cheat_earns_points(monkeypatch, capsys):
    """Planted bug: what should be a cheat is a right answer."""
    monkeypatch.setitem(dryrun.CHEATS, "cheat_exit", RIGHT.replace("{", "{{"))
    assert dryrun.run("start_here", "process", "", None) == 1
    assert "WRONG: cheat_exit got 2, right would be 0 to 0" in capsys.readouterr().out


def test_the_release_is_our_bytes(rehearsed):
    name = "01_start_here"
    assert (rehearsed[0] / "release" / name / f"{name}.ipynb").read_bytes() == (ROOT / "labs" / f"{name}.ipynb").read_bytes()


def test_hand_grading_reaches_feedback_and_export(rehearsed):
    course = rehearsed[0]
    found = assignment.find("start_here")
    with gradebook.open_gradebook(course) as book:
        grade = book.find_grade("start_here-decide-reason", found.stem, found.stem, "demo")
        grade.manual_score, grade.needs_manual_grade = 1.5, False
        book.find_comment("start_here-decide-reason", found.stem, found.stem, "demo").manual_comment = "Say which budget <binds>."
        changed = book.find_grade("start_here-output_size-check", found.stem, found.stem, "empty")
        changed.manual_score, changed.extra_credit = 1, 0.5
        book.find_comment("start_here-quiz-1", found.stem, found.stem, "demo").manual_comment = "Nice quiz."
        book.db.commit()
    klass = term.open_course(course)
    ask = argparse.Namespace(lab="start_here", format="csv", isolation=None, container="", hidden=None, workers=1, exchange=False)
    term.grade(klass, ask)                                                      # a second run keeps what a person gave
    term.feedback(klass, ask)
    term.export(klass, ask)
    text = (course / "feedback" / "demo" / found.stem / f"{found.stem}.html").read_text()
    assert "<strong>33.5</strong> of 34" in text and "Nice quiz." in text and "Say which budget &lt;binds&gt;." in text
    assert "demo,01_start_here,33.5,34.0,0," in (course / "grades-csv.csv").read_text()
    assert "empty,01_start_here,1.5,34.0," in (course / "grades-csv.csv").read_text()
    assert "after a person's look: 1" in (course / "feedback" / "empty" / found.stem / f"{found.stem}.md").read_text()


def test_nbgrader_autograde_itself_uses_the_judge(rehearsed, tmp_path):
    """`nbgrader autograde` from a shell, without our command before it and with an empty cache."""
    course = tmp_path / "course"
    shutil.copytree(rehearsed[0], course)
    shutil.rmtree(course / ".class" / "cache")
    shutil.rmtree(course / "collected")
    before = dict((name, grades) for name, grades, _ in gradebook.table(course, lab()))
    env = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-m", "nbgrader", "autograde", "01_start_here", "--student", "first_only", "--force"], cwd=course, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list((course / ".class" / "cache").rglob("*.json"))
    assert dict((name, grades) for name, grades, _ in gradebook.table(course, lab()))["first_only"] == before["first_only"]


def test_dask_with_two_workers(tmp_path):
    """Any executor will do; Dask's gives the same results as one process."""
    from distributed import Client, LocalCluster

    people = [Answers(name, {TARGET: RIGHT if i % 2 else "x = 1"}) for i, name in enumerate("abcd")]
    course = Course("secret", sandbox.choose("process"))
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1") as cluster, Client(cluster) as client:
        client.wait_for_workers(2)
        far = grade_all(people, lab(), course, Cache(tmp_path / "far"), executor=client.get_executor())
    near = grade_all(people, lab(), course, Cache(tmp_path / "near"), workers=1)
    assert [r.points for r in far] == [r.points for r in near] == [0, 2, 0, 2]


@pytest.mark.parametrize(("argv", "word"), [
    (["grade", "--course", "/nowhere"], "no course folder"), (["grade", "--plain", "/nowhere", "{tmp}/o", "--lab", "start_here"], "neither a folder"),
    (["grade", "--plain", "{tmp}", "{tmp}/o"], "Which lab"), (["grade", "--plain", "{tmp}/empty", "{tmp}/o", "--lab", "start_here"], "No student folders"),
    (["grade", "--plain", "{tmp}", "{tmp}/o", "--lab", "nonsense"], "No lab"), (["release", "--course", "{tmp}/c"], "Release which lab"),
    (["collect", "--course", "{tmp}/c", "x"], "Which lab"), (["init", "{tmp}/c"], "already"),
    (["grade", "--plain", "{tmp}", "{tmp}/o", "--lab", "start_here", "--isolation", "container"], "needs a command"),
])
def test_a_wrong_call_is_one_sentence(argv, word, tmp_path, capsys):
    term.init(tmp_path / "c")
    (tmp_path / "empty").mkdir()
    assert main(["class", *(a.format(tmp=tmp_path) for a in argv)]) == 1
    error = capsys.readouterr().err
    assert word in error and "Traceback" not in error


def test_a_container_command(tmp_path):
    """The third level runs whatever command is given; here bwrap in place of a container engine (a real one: test_deep_attacks)."""
    shut_in = ("bwrap --unshare-all --unshare-user --uid 65534 --gid 65534 --die-with-parent --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp "
               f"--ro-bind {(home := os.path.realpath(sys.prefix))} {home} " "--ro-bind {stage} {stage} {python} -I -B {worker}")
    level = sandbox.choose(None, shut_in)
    assert level.name == "container"
    result, = grade_all([Answers("ada", {TARGET: RIGHT})], lab(), Course("s", level), Cache(tmp_path), workers=1)
    assert "container" in result.level and result.points == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a container as root")
def test_a_container_that_runs_as_root_is_refused(tmp_path):
    with pytest.raises(TinylibError, match="--user 65534"):
        grade_all([Answers("ada", {TARGET: RIGHT})], lab(), Course("s", sandbox.choose(None, "{python} -I -B {worker}")), Cache(tmp_path), workers=1)


def test_the_sandbox_refuses_needs_that_bring_answers(tmp_path):
    with pytest.raises(TinylibError, match="may not enter"):
        sandbox.stage("tinylib.exercises.harness.start_here", ("tinylib.exercises.start_here",), tmp_path)
    with pytest.raises(TinylibError, match="may not enter"):
        sandbox.stage("tinylib.exercises.start_here", (), tmp_path / "x")
    sandbox.stage("tinylib.exercises.harness.start_here", ("tinylib.core.units",), tmp_path / "y")
    staged = {p.stem for p in (tmp_path / "y").rglob("*.py")} - {"__init__"}
    assert staged == {"wire", "confine", "worker", "run", "facts", "limits", "start_here", "units"}


def test_folders_of_killed_graders_are_swept(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (f"judge-{gone.pid}-x", f"judge-{os.getpid()}-x", "judge-other"):
        (tmp_path / name / "code").mkdir(parents=True)
    sandbox.sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {f"judge-{os.getpid()}-x", "judge-other"}


def test_the_secret_is_the_owners(tmp_path):
    assert plain.secret_of(tmp_path) == plain.secret_of(tmp_path) and (tmp_path / ".secret").stat().st_mode & 0o077 == 0
    (tmp_path / ".secret").write_text("short")
    with pytest.raises(TinylibError, match="damaged"):
        plain.secret_of(tmp_path)


def test_skeletons():
    assert report.skeleton("def f(:") == "" and report.skeleton("x = 1") == ""
    assert importlib.import_module("tinylib.cli.class").HELP


def test_workers_end_with_a_grader_that_is_killed(tmp_path):
    """Only the grader gets SIGKILL: its pool and its sandbox end by themselves."""
    from test_plain import command, hand_in
    for name in "ab":
        hand_in(tmp_path / "sent", name, "import time\n" + RIGHT.replace("return", "time.sleep(600) or"))
    grader = subprocess.Popen(command(tmp_path / "sent", tmp_path / "out"), env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, cwd=ROOT)
    until(lambda: len(below(grader.pid)) >= 4)             # two graders, two sandboxes
    family = below(grader.pid)
    grader.kill()
    grader.wait()
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family))


def below(root):
    """Process ids below `root`."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {root}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {root}


@pytest.mark.long
def test_the_gradebook_survives_twenty_kills(rehearsed, tmp_path):
    """SIGKILL at random moments of `class grade`, resume: the gradebook equals that of the undisturbed run."""
    calm, _, sent = rehearsed
    rough = tmp_path / "rough"
    term.init(rough)
    shutil.copy(calm / ".class" / ".secret", rough / ".class" / ".secret")
    run = lambda *argv: [sys.executable, "-W", "ignore", "-m", "tinylib.cli", "class", *argv, "--course", str(rough), "--lab", "start_here"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(run("release"), env=env, check=True, cwd=ROOT, capture_output=True)
    subprocess.run([*run("collect"), str(sent)], env=env, check=True, cwd=ROOT, capture_output=True)
    rng = random.Random(3)
    for _ in range(20):
        grader = subprocess.Popen(run("grade"), env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(rng.uniform(0.5, 20))
        os.killpg(grader.pid, signal.SIGKILL)
        grader.wait()
    subprocess.run(run("grade"), env=env, check=True, cwd=ROOT, capture_output=True)
    machine = lambda course: [(name, [(g[0], g[1]) for g in grades]) for name, grades, _ in gradebook.table(course, lab())]
    assert json.dumps(machine(rough)) == json.dumps(machine(calm))
