"""Attack by level: no points at either level; at bubblewrap no harm either: files, sockets, other processes, the next exercise."""

import textwrap

import numpy as np
import pytest
from attacks import ATTACKS
from classes import LEVELS, OTHER_STYLE, RIGHT, ROOT, course, lab, score
from traps import attack, sandbox_processes

from tinylib.classroom.judge import judge


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
    attack(ATTACKS[name], course(level, slack=1, cpu=0.2), traps)


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
