"""Counting and order of the runs; no clock is asserted."""

import pytest

from tinylib.measure.latency import latency, race, summary


def test_warmup_then_turns():
    calls = []
    result = race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, runs=4, warmup=2, seconds=60)
    assert "".join(calls) == "aabb" + "ab" * 4
    assert result["a"].runs == result["b"].runs == 4


def test_a_spent_budget_still_runs_three_times():
    assert latency(lambda: None, runs=50, seconds=0).runs == 3


def test_summary_by_hand():
    result = summary([0.001, 0.003, 0.002, 0.005, 0.100])
    assert [result.median_ms, result.low_ms, result.high_ms, result.fastest_ms] == pytest.approx([3, 2, 5, 1])
    assert result.median_ms != pytest.approx(sum([1, 3, 2, 5, 100]) / 5)     # a mean would follow the one slow run
    assert "3 ms" in str(result)
