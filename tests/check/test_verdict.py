"""The verdict is a function of facts: smallest failing case, first failing property, groups, misconceptions."""

from dataclasses import replace

import fake_lab
import numpy as np
import pytest

from tinylib.check.exercise import Misconception, Property
from tinylib.check.learner import learner_rng
from tinylib.check.question import Item
from tinylib.check.run import Run, run_instances
from tinylib.check.verdict import group_results, verdict, verify_answer

MASK = fake_lab.MASK
INSTANCES = MASK.instances(learner_rng("demo", MASK.id))


def runs_of(fn, exercise=MASK):
    return run_instances(exercise.harness, fn, INSTANCES, 10).runs


def test_pure():
    runs = runs_of(fake_lab.inverted)
    first, second = verdict(MASK, INSTANCES, runs), verdict(MASK, INSTANCES, runs)
    assert (first.sentence, first.failure.index, first.groups) == (second.sentence, second.failure.index, second.groups)


def test_the_smallest_failing_case_and_its_first_property():
    runs = list(runs_of(fake_lab.reference))
    for index in (3, 6):
        runs[index] = Run("facts", {**runs[index].facts, "mask": ~runs[index].facts["mask"], "mutated": True})
    result = verdict(MASK, INSTANCES, tuple(runs))
    assert (result.status, result.kind, result.failure.index, result.failure.property) == ("not yet", "wrong", 3, "`mask` agrees with the slow and obvious "
                                                                                          "computation exactly")
    assert result.groups == {"core": False, "manners": False}


def test_partial_credit_is_all_or_nothing_within_a_group():
    runs = list(runs_of(fake_lab.reference))
    assert group_results(MASK, INSTANCES, tuple(runs)) == {"core": True, "manners": True}
    runs[-1] = Run("facts", {**runs[-1].facts, "mutated": True})
    assert group_results(MASK, INSTANCES, tuple(runs)) == {"core": True, "manners": False}


@pytest.mark.parametrize("runs", [(), (Run("time", sentence="slow"),)])
def test_missing_runs_are_failures(runs):
    result = verdict(MASK, INSTANCES, runs)
    assert not result.passed and result.groups == {"core": False, "manners": False}


def test_missing_facts_are_a_sentence():
    result = verdict(MASK, INSTANCES, tuple(Run("facts", {}) for _ in INSTANCES))
    assert result.sentence == "`mask` is None: is a `return` missing?"


def test_a_property_that_stumbles_becomes_a_sentence():
    odd = replace(MASK, properties=(Property("odd", lambda args, got, expected: got["mask"].shape[7]),))
    runs = tuple(Run("facts", {**r.facts, "mask": 1}) for r in runs_of(fake_lab.reference))
    assert verdict(odd, INSTANCES, runs).sentence == "`mask` should be an array of shape [4] and type bool, but it is a whole number."


@pytest.mark.parametrize("wrong", MASK.misconceptions, ids=lambda m: m.function.__name__)
def test_misconceptions_are_recognised(wrong):
    assert verdict(MASK, INSTANCES, runs_of(wrong.function)).misconception == wrong.sentence


def test_a_misconception_must_match_on_every_failing_case():
    def other(weight, sparsity):
        return fake_lab.without_abs(weight, sparsity) if weight.numel() < 16 else ~weight.bool()

    assert verdict(MASK, INSTANCES, runs_of(other)).misconception == ""


def test_a_misconception_that_raises_is_recognised():
    def flat(weight, sparsity):
        return weight[sparsity]

    exercise = replace(MASK, misconceptions=(Misconception(flat, "Sparsity is a share, not an index."),))

    def mine(weight, sparsity):
        return weight[sparsity]

    assert verdict(exercise, INSTANCES, runs_of(mine)).misconception == "Sparsity is a share, not an index."


def test_planted_bug_in_the_oracle_is_seen():
    """Were the oracle wrong in one entry, the reference would fail: the comparison is not empty."""
    def wrong(args):
        facts = fake_lab.oracle(args)
        facts["mask"].flat[0] ^= True
        return facts

    assert not verdict(replace(MASK, oracle=wrong), INSTANCES, runs_of(fake_lab.reference)).passed


def test_the_oracle_works_on_a_copy():
    def greedy(args):
        facts = fake_lab.oracle(args)
        args["weight"][:] = 0
        return facts

    verdict(replace(MASK, oracle=greedy), INSTANCES, runs_of(fake_lab.reference))
    assert all(args["weight"].any() for args in INSTANCES)


def test_verify_answer():
    number = Item("2 + 2?", lambda v: None if v == 4 else "No.", "Four.")
    assert verify_answer(number, 4) is None and verify_answer(number, np.int64(4)) is None and verify_answer(number, 5) == "No."
    fussy = Item("list?", lambda v: None if v[0] == 1 else "No.", "One first.")
    assert verify_answer(fussy, 3) == "This question cannot take a whole number as its answer."
