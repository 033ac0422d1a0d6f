"""Attack by level: no points at either level; at bubblewrap no harm either: files, sockets, other processes, the next exercise."""

import os
import socket
import textwrap
from pathlib import Path

import numpy as np
import pytest
from attacks import ATTACKS
from classes import LEVELS, OTHER_STYLE, RIGHT, ROOT, TARGET, course, lab, score

from tinylib.check import find
from tinylib.check.learner import learner_rng
from tinylib.classroom.answers import Answers
from tinylib.classroom.judge import judge

CALL = "def output_size(n, kernel, stride, padding, dilation):\n"


def visible_only():
    instances = find.exercise(TARGET).instances(learner_rng("ada", TARGET))
    table = {tuple(a[k] for k in ("n", "kernel", "stride", "padding", "dilation")): find.exercise(TARGET).oracle(a)["size"] for a in instances}
    right = "(n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1"
    return {"visible": f"T = {set(table)!r}\n{CALL}    return {right} if (n, kernel, stride, padding, dilation) in T else 0",
            "by_heart": f"T = {table!r}\n{CALL}    return T.get((n, kernel, stride, padding, dilation), 3)"}


@pytest.fixture
def traps(tmp_path):
    """A file anybody may write, another student's right answer that anybody may read, a listening socket."""
    canary, other = tmp_path / "canary", tmp_path / "other.py"
    for folder in [tmp_path, *tmp_path.parents]:
        if folder != Path("/") and folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(0o755)
    canary.write_text("untouched")
    canary.chmod(0o666)
    other.write_text(RIGHT)
    other.chmod(0o644)
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    yield {"canary": str(canary), "other": str(other), "port": server.getsockname()[1], "root": str(ROOT), "server": server, **visible_only()}
    server.close()


def sandbox_processes():
    """Processes, whoever their parent is, that started as a worker of one of this test's sandboxes: a fork keeps its command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if f"judge-{os.getpid()}-".encode() in words:
            found.add(path.name)
    return found


def test_a_left_process_would_be_seen():
    """Planted bug: while a sandbox is open its worker is found."""
    from tinylib.classroom.sandbox import Sandbox, choose
    for level in LEVELS:
        with Sandbox(choose(level), "tinylib.exercises.harness.start_here", warm=()):
            assert sandbox_processes()
        assert not sandbox_processes()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_nothing_and_harms_nothing(name, level, traps):
    source = ATTACKS[name]
    for trap, value in traps.items():
        source = source.replace("{" + trap + "}", str(value))
    before = (ROOT / "DECISIONS.md").read_bytes(), (ROOT / "tinylib" / "check" / "verdict.py").read_bytes()
    result = judge(Answers("ada", {TARGET: source, "start_here.conv_params": PARAMS}), lab(), course(level, slack=0.3, cpu=0.2))
    scores = {s.id: s for s in result.scores}
    assert scores[TARGET].points == 0, scores[TARGET]
    assert ("NOT safe" in result.level) == (level == "process")
    assert before == ((ROOT / "DECISIONS.md").read_bytes(), (ROOT / "tinylib" / "check" / "verdict.py").read_bytes())
    assert not sandbox_processes()
    if level == "bubblewrap":
        assert scores["start_here.conv_params"].points == 3, "the attack must not cost another exercise"
        assert Path(traps["canary"]).read_text() == "untouched"
        with pytest.raises(TimeoutError):
            traps["server"].accept()


PARAMS = "def conv_params(c, k, kernel, groups, bias):\n    return k * (c // groups) * kernel[0] * kernel[1] + (k if bias else 0)\n"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("source", [RIGHT, OTHER_STYLE], ids=["plain", "another style"])
def test_a_right_answer_gets_full_points(level, source):
    found = score(source, level)
    assert (found.points, found.kind) == (2, "passed"), found


@pytest.mark.parametrize("level", LEVELS)
def test_a_real_lab_at_this_level(level):
    """pruning, torch warm: right answers from solutions/, one of them broken."""
    from tinylib.classroom.answers import read_file
    assignment = lab("pruning", quick=False)
    answers = read_file(ROOT / "solutions" / "02_pruning.ipynb", assignment, "demo")
    answers.sources["pruning.two_four_mask"] = "def two_four_mask(weight)\n    return weight"
    result = judge(answers, assignment, course(level))
    lost = {s.id: s for s in result.scores if s.points < s.max_points}
    assert set(lost) == {"pruning.two_four_mask"}, lost
    assert "SyntaxError" in lost["pruning.two_four_mask"].sentence and lost["pruning.two_four_mask"].points == 0


def test_the_attack_table_can_fail():
    """Planted bug: with the reference in place of the attack the same judge gives points, so the zeros mean something."""
    assert score(RIGHT, "process").points == 2
    assert score(textwrap.dedent(RIGHT).replace("// stride + 1", "// stride"), "process").points == 0
    assert np.isfinite(score(RIGHT, "bubblewrap").seconds)
