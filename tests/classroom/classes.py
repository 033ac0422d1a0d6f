"""Material for the tests: the lab start_here without its torch imports (quick sandboxes), notebooks made from it, a course."""

import copy
import dataclasses
import json
from functools import cache

from tinylib.classroom import assignment, sandbox
from tinylib.classroom.answers import Answers
from tinylib.classroom.judge import Course, judge
from tinylib.core.paths import project_root

ROOT = project_root()
LEVELS = ("process", "bubblewrap")
TARGET = "start_here.output_size"
RIGHT = "def output_size(n, kernel, stride, padding, dilation):\n    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1\n"
OTHER_STYLE = """import sys, warnings
class Line:
    def __init__(self, length): self.length = length
    def places(self, cover, step): return len(range(0, self.length - cover + 1, step))
output_size = lambda n, kernel, stride, padding, dilation: (print("working", file=sys.stderr), warnings.warn("noise"),
    Line(n + 2 * padding).places(dilation * (kernel - 1) + 1, stride))[-1]
"""


@cache
def lab(slug="start_here", quick=True):
    found = assignment.find(slug)
    return dataclasses.replace(found, prelude=()) if quick else found


def course(level="process", secret="class secret", **limits):
    return Course(secret, sandbox.choose(level), limits=sandbox.Limits(**limits))


def handed_in(source, part=TARGET, learner="ada"):
    return Answers(learner, {part: source})


def score(source, level="process", part=TARGET, learner="ada"):
    result = judge(handed_in(source, part, learner), lab(), course(level))
    return next(s for s in result.scores if s.id == part)


def book(solved=False, slug="start_here"):
    name = lab(slug).stem
    made = json.loads((ROOT / ("solutions" if solved else "labs") / f"{name}.ipynb").read_text())
    return copy.deepcopy(made)


def cell_of(notebook, grade_id):
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)
