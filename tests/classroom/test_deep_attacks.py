"""Every attack again in many forms, at every level that there is here, a real container engine included; `make test-long`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attacks import ATTACKS
from classes import LEVELS, RIGHT, ROOT, course, handed_in, lab
from deep_attacks import DEEP
from traps import attack, until

from tinylib.classroom.judge import judge

pytestmark = pytest.mark.long


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", DEEP)
def test_a_deep_attack_earns_nothing_and_harms_nothing(name, level, traps):
    attack(DEEP[name], course(level, slack=1, cpu=0.2), traps)


@pytest.mark.parametrize("name", ATTACKS | DEEP)
def test_an_attack_in_a_container(name, traps, engine):
    attack((ATTACKS | DEEP)[name], engine(slack=1, cpu=0.2), traps)


def test_a_right_answer_in_a_container(engine):
    result = judge(handed_in(RIGHT), lab(), engine())
    assert result.points == 2 and "isolation: container" in result.level


def test_a_container_ends_with_its_grader(engine):
    """An answer that sleeps; the grader is killed: nothing of the container is left."""
    course = engine()
    grader = subprocess.Popen([sys.executable, "-c", SLEEPER, str(Path(__file__).parent), course.level.command], env=os.environ | {"PYTHONPATH": str(ROOT)})
    running = lambda: [p for p in Path("/proc").glob("[0-9]*") if b"worker.py" in command_line(p) and f"judge-{grader.pid}-".encode() in command_line(p)]
    until(running)
    grader.kill()
    grader.wait()
    until(lambda: not running())


SLEEPER = """
import sys
sys.path.insert(0, sys.argv[1])
from classes import *
judge(handed_in("import time; time.sleep(600)"), lab(), Course("s", sandbox.choose("container", sys.argv[2]), limits=sandbox.Limits(slack=100)))
"""


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
