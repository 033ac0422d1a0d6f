"""How runs become points: groups all or nothing, the first one first; each student's own numbers; what a report may say of an error."""

import json

import pytest
from classes import ROOT, course, handed_in, lab

from tinylib.check.exercise import Exercise, Property
from tinylib.check.run import Run
from tinylib.classroom.answers import Answers, read_bytes
from tinylib.classroom.assignment import Part
from tinylib.classroom.judge import judge, public_sentence, runs_of, score_runs

IS = lambda key: lambda args, got, expected: None if got[key] == expected[key] else f"{key} differs"
TWO = Exercise("x.y", 4, 1, harness=lambda fn, args: {}, instances=lambda rng: [], oracle=lambda args: {"value": args["n"], "dtype": "i", "macs": 2},
               properties=(Property("value", IS("value")), Property("dtype", IS("dtype")), Property("macs", IS("macs"), "cost")),
               misconceptions=(), hints=("", "", ""), reference=lambda n: n)
PART = Part("x.y", "exercise", 4.0, "x-y", "id", "", "y")
INSTANCES = [{"n": 1}, {"n": 2}]


def facts(*values, **more):
    return tuple(Run("facts", {"value": v, "dtype": "i", "macs": 2} | more) for v in values)


@pytest.mark.parametrize(("runs", "points", "kind"), [
    (facts(1, 2), 4, "passed"), (facts(1, 2, macs=3), 2, "partly"), (facts(1, 2, dtype="f"), 0, "wrong"), (facts(1, 3), 0, "wrong"),
    (facts(1), 0, "wrong"), (facts(1) + (Run("time"),), 0, "time"), (facts(1, 2, 3), 0, "error"), ((Run("error"),), 0, "error"),
    ((Run("not started"),), 0, "not started"), (facts(1, 2, value=None), 0, "wrong"), ((Run("facts", {}),) * 2, 0, "wrong"),
])
def test_a_group_is_all_or_nothing_and_the_first_comes_first(runs, points, kind):
    """Right on the easy case only is nothing; right at too high a cost is half; a cheap wrong answer is nothing."""
    score = score_runs(PART, TWO, INSTANCES, runs)
    assert (score.points, score.kind) == (points, kind)


@pytest.mark.parametrize("reply", [{}, {"runs": []}, {"runs": 3}, {"runs": [None]}, {"runs": [{"kind": "passed", "facts": {}}]}, {"lost": "what?"},
                                   {"runs": [{"kind": "facts", "facts": 3}]}, {"points": 99}, {"runs": [{"kind": ["facts"], "facts": {}}]}])
def test_a_reply_that_is_none_is_an_error(reply):
    assert [r.kind for r in runs_of(reply, 9)] == ["error"]


def test_a_report_says_the_kind_of_an_error_and_a_line_that_there_is():
    said = lambda **entry: public_sentence(runs_of({"runs": [{"kind": "error", "facts": {}} | entry]}, 9)[0])
    assert said(sentence="ValueError: 765431", line_number=9) == "The code stopped with ValueError (line 9 of the cell)."
    assert said(sentence="LEAK765431", line_number=765431) == said(sentence=765431, line_number="9") == "The code stopped with an error."


def test_quiz_numbers_are_each_students_own():
    """The solution's answers are demo's. Under another name some are wrong, choices and predictions are not."""
    solved = (ROOT / "solutions" / "01_start_here.ipynb").read_bytes()
    only = lambda name: Answers(name, {k: v for k, v in read_bytes(solved, lab(), name).sources.items() if ".quiz." in k})
    points = {name: sum(s.points for s in judge(only(name), lab(), course()).scores) for name in ("demo", "ada", "bob")}
    assert points["demo"] == 5 and 0 < points["ada"] < 5 and points["bob"] < 5


def test_other_cells_and_points_of_a_submission_count_for_nothing():
    """A notebook of our metadata only: no source of a known answer cell, so nothing to judge."""
    book = {"cells": [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "start_here-questions", "points": 99, "grade": True}}, "source": "32",
                       "outputs": [{"output_type": "execute_result", "data": {"text/plain": "32"}}]}], "metadata": {"points": 34}}
    result = judge(read_bytes(json.dumps(book).encode(), lab(), "ada"), lab(), course())
    assert result.points == 0 and all(s.kind == "missing" for s in result.scores)
    assert judge(handed_in("x = 1"), lab(), course()).points == 0
