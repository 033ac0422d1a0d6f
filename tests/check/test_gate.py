"""The gate of tests/test_exercises.py sees what it is for: each planted fault makes the matching gate test fail."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import fake_lab
import numpy as np
import pytest

from tinylib.check.exercise import Misconception
from tinylib.check.question import Item, Question

GATE = Path(__file__).resolve().parents[1] / "test_exercises.py"


def other_right_answer(weight, sparsity):
    return fake_lab.torch.from_numpy(fake_lab.oracle({"weight": weight.numpy(), "sparsity": sparsity})["mask"])


@pytest.fixture
def gate(monkeypatch):
    spec = importlib.util.spec_from_file_location("the_gate", GATE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "EXERCISES", {"fake.mask": fake_lab.MASK})
    tables = {"ALTERNATIVES": {"fake.mask": other_right_answer}, "INSTANCES": {"fake.mask": fake_lab.instances}}
    monkeypatch.setattr(module, "beside", lambda folder, slug, name: tables[name])
    module.tables = tables
    return module


def plant(gate, **changes):
    gate.EXERCISES["fake.mask"] = replace(fake_lab.MASK, **changes)


def fixed(rng):
    return fake_lab.instances(np.random.default_rng(0))


TESTS = ("test_instances_are_plain_and_small_first", "test_reference_agrees_with_the_oracle", "test_a_second_right_answer_passes", "test_stub_fails_quietly",
         "test_misconceptions_fail_and_are_recognised", "test_a_recorder_of_the_visible_instances_fails", "test_oracle_is_repeatable")


@pytest.mark.parametrize("test", TESTS)
def test_a_good_exercise_goes_through(gate, test):
    getattr(gate, test)("fake.mask")


def test_cheats_fail(gate):
    for cheat in gate.CHEATS:
        gate.test_cheats_fail("fake.mask", cheat)


def test_cheats_as_classes_fail(gate):
    for cheat in gate.CHEATS:
        assert not gate.judged(fake_lab.COUNTER, gate.as_asked(fake_lab.COUNTER, cheat), gate.visible(fake_lab.COUNTER)).passed
    assert gate.judged(fake_lab.COUNTER, gate.as_asked(fake_lab.COUNTER, gate.stub), gate.visible(fake_lab.COUNTER)).kind == "not started"


def shouts(weight, sparsity):
    return ~fake_lab.without_abs(weight, sparsity)


FAULTS = {
    "one set for all learners": ("test_a_recorder_of_the_visible_instances_fails", dict(instances=fixed)),
    "a misconception that is right": ("test_misconceptions_fail_and_are_recognised", dict(misconceptions=(Misconception(other_right_answer, "x"),))),
    "two misconceptions that look alike": ("test_misconceptions_fail_and_are_recognised", dict(
        misconceptions=(Misconception(shouts, "x"), Misconception(lambda w, s: shouts(w, s), "y")))),
    "a reference that is wrong": ("test_reference_agrees_with_the_oracle", dict(reference=fake_lab.inverted)),
    "no properties that bite": ("test_misconceptions_fail_and_are_recognised", dict(properties=fake_lab.MASK.properties[2:])),
    "large before small": ("test_instances_are_plain_and_small_first", dict(instances=lambda rng: fake_lab.instances(rng)[::-1])),
    "tensors for arguments": ("test_instances_are_plain_and_small_first", dict(instances=lambda rng: [{"w": fake_lab.torch.ones(1)}] * 3)),
    "an oracle that changes its instance": ("test_oracle_is_repeatable", dict(oracle=lambda args: fake_lab.oracle(args) if args["weight"].fill(0) else {})),
    "only one misconception": ("test_it_is_declared_in_full", dict(misconceptions=fake_lab.MASK.misconceptions[:1])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(gate, fault, monkeypatch):
    test, changes = FAULTS[fault]
    monkeypatch.setattr(gate, "declared", lambda slug: fake_lab)
    monkeypatch.setattr(fake_lab.fake_harness.mask, "__module__", "tinylib.exercises.harness.fake")
    plant(gate, **changes)
    with pytest.raises(AssertionError):
        getattr(gate, test)("fake.mask")


def test_a_missing_second_answer_or_hidden_set_is_seen(gate):
    gate.tables.update(ALTERNATIVES={}, INSTANCES={})
    for test in TESTS[1:3]:
        with pytest.raises(AssertionError):
            getattr(gate, test)("fake.mask")


def test_a_lab_without_exercises_is_seen(gate, monkeypatch, tmp_path):
    lab = tmp_path / "02_fake.py"
    lab.write_text('# %% exercise="fake.mask"\n')
    monkeypatch.setattr(gate, "LABS", {"fake": lab})
    monkeypatch.setattr(gate, "SLUGS", [])
    with pytest.raises(AssertionError, match="labs without"):
        gate.test_every_lab_declares_its_exercises()
    monkeypatch.setattr(gate, "SLUGS", ["fake"])
    gate.test_every_lab_declares_its_exercises()
    lab.write_text("# %%\n")
    with pytest.raises(AssertionError, match="cells name"):
        gate.test_every_lab_declares_its_exercises()


def test_a_question_that_takes_anything_is_seen(gate, monkeypatch):
    loose = Question("fake.quiz.1", "quiz", 1, lambda rng: Item("?", lambda v: None, "!"))
    monkeypatch.setattr(gate, "QUESTIONS", {"fake.quiz.1": loose, **{q.id: q for q in fake_lab.QUESTIONS[1:]}})
    with pytest.raises(AssertionError, match="takes"):
        gate.test_questions_can_be_asked_and_refuse_nonsense("fake.quiz.1")
    gate.test_questions_can_be_asked_and_refuse_nonsense("fake.quiz.2")
