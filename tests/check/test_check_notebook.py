"""A learner's wrong turns, one clear card each: what `check`, `ready`, `predict`, `answer` and `reveal` say."""

import builtins
import signal
import sys
import threading

import fake_lab
import numpy as np
import pytest
import torch

from tinylib.check import notebook, record
from tinylib.check.limits import OUTPUT_CHARACTERS
from tinylib.check.notebook import answer, check, passes, predict, ready, reveal


def raises(weight, sparsity):
    keep = 3
    return weight.no_such_method(keep)


def loops(weight, sparsity):
    while True:
        pass


def loops_and_swallows(weight, sparsity):
    while True:
        try:
            sum(range(1000))
        except:  # noqa: E722 (what a learner writes)
            pass


def recurses(weight, sparsity):
    return recurses(weight, sparsity)


def calls_exit(weight, sparsity):
    exit()


def calls_sys_exit(weight, sparsity):
    sys.exit("bye")


def asks(weight, sparsity):
    return input("sparsity? ")


def reads(weight, sparsity):
    return sys.stdin.readline()


def interrupts(weight, sparsity):
    raise KeyboardInterrupt


def mutates(weight, sparsity):
    mask = fake_lab.reference(weight, sparsity)
    weight *= mask
    return mask


class Equal:
    def __eq__(self, other):
        return True

    def sum(self):
        return self


def always_equal(weight, sparsity):
    return Equal()


def gives_list(weight, sparsity):
    return [True, False]


def gives_none(weight, sparsity):
    fake_lab.reference(weight, sparsity)


def gives_nan(weight, sparsity):
    return fake_lab.reference(weight, sparsity) * float("nan")


def needs_grad(weight, sparsity):
    return (weight * 1.0).requires_grad_()


def wrong_dtype(weight, sparsity):
    return fake_lab.reference(weight, sparsity).float()


def wrong_shape(weight, sparsity):
    return fake_lab.reference(weight, sparsity).reshape(1, -1)


def generates(weight, sparsity):
    yield weight


def sparse(weight, sparsity):
    return weight.to_sparse()


def bad_message(weight, sparsity):
    class Bad(Exception):
        def __str__(self):
            raise ValueError

    raise Bad


WRONG_TURNS = {
    raises: ("error", "Your code stopped with AttributeError: 'Tensor' object has no attribute 'no_such_method'"),
    loops: ("time", "Your code did not finish within 1 seconds. Is there a loop that never ends?"),
    loops_and_swallows: ("time", "Your code did not finish within 1 seconds. Is there a loop that never ends?"),
    recurses: ("error", "Your function calls itself without end (RecursionError). Which call should stop it?"),
    calls_exit: ("error", "Your code asked Python to exit. End the function with `return` instead."),
    calls_sys_exit: ("error", "Your code asked Python to exit. End the function with `return` instead."),
    asks: ("error", "Your code calls `input()`. A check gives none: use the arguments."),
    reads: ("error", "Your code waits for input. A check gives none: use the arguments."),
    interrupts: ("error", "The run was interrupted."),
    mutates: ("wrong", "Your code changes its input in place. Work on a copy (`.clone()`)."),
    always_equal: ("value", "`mask` is an object of type Equal; a plain array, tensor, number, text or list was expected."),
    gives_list: ("error", "Your function returned a list of 2, which the check could not use (AttributeError: 'list' object has no attribute 'sum')."),
    gives_none: ("error", "Your function returned None: is a `return` missing?"),
    gives_nan: ("wrong", "`mask` should have type bool, but it has type float32."),
    needs_grad: ("value", "`mask` still needs a gradient: compute it under `torch.no_grad()` or return `.detach()`."),
    wrong_dtype: ("wrong", "`mask` should have type bool, but it has type float32."),
    wrong_shape: ("wrong", "`mask` should have shape [4], but it has [1, 4]."),
    generates: ("error", "Your function returned an object of type generator, which the check could not use "
                         "(AttributeError: 'generator' object has no attribute 'sum')."),
    sparse: ("value", "`mask` is a tensor of layout torch.sparse_coo on cpu; a dense CPU tensor was expected."),
    bad_message: ("error", "Your code stopped with Bad: (its message cannot be shown)"),
}


@pytest.mark.parametrize("fn", WRONG_TURNS, ids=lambda f: f.__name__)
def test_one_clear_card_for_each_wrong_turn(fn, capsys):
    result = check("fake.mask", fn)
    kind, sentence = WRONG_TURNS[fn]
    shown = capsys.readouterr().out
    assert (result.status, result.kind, result.sentence) == ("not yet", kind, sentence)
    assert shown.startswith(f"[not yet] fake.mask\n  {sentence}\n")
    assert "Traceback" not in shown


def test_the_learners_line_is_shown(capsys):
    result = check("fake.mask", raises)
    assert result.line == "return weight.no_such_method(keep)"
    assert f"Line {result.line_number}: return weight.no_such_method(keep)" in capsys.readouterr().out


def test_a_million_lines_are_cut(capsys):
    def prints(weight, sparsity):
        for i in range(100_000):
            print("line", i)
        return None

    result = check("fake.mask", prints)
    assert len(result.output) < OUTPUT_CHARACTERS + 100
    assert "more characters were printed" in result.output
    shown = capsys.readouterr().out
    assert shown.count("\n") < 30 and "more lines)" in shown


def test_a_mutation_does_not_leak_into_the_next_case():
    def empties(weight, sparsity):
        mask = fake_lab.reference(weight, sparsity)
        weight.zero_()
        return mask

    result = check("fake.mask", empties)
    assert result.failure.index == 0 and result.groups == {"core": True, "manners": False}
    assert result.failure.args["weight"].any()


def test_everything_is_put_back():
    before = sys.stdout, sys.stderr, sys.stdin, builtins.input, signal.getsignal(signal.SIGALRM), np.allclose, builtins.len

    def vandal(weight, sparsity):
        np.allclose = builtins.len = lambda *a, **k: True
        sys.stdout = None
        raise ValueError

    check("fake.mask", vandal)
    check("fake.mask", loops)
    assert before == (sys.stdout, sys.stderr, sys.stdin, builtins.input, signal.getsignal(signal.SIGALRM), np.allclose, builtins.len)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_time_limit_works_outside_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(check("fake.mask", loops)))
    thread.start()
    thread.join(20)
    assert found[0].kind == "time"


def test_a_stub_is_quiet(capsys):
    def magnitude_mask(weight, sparsity):
        raise NotImplementedError

    result = check("fake.mask", magnitude_mask)
    assert (result.status, result.kind, result.sentence) == ("not yet", "not started", "`magnitude_mask` is not written yet.")
    assert capsys.readouterr().out == "[not started yet] fake.mask\n  `magnitude_mask` is not written yet.\n"


def test_torchs_own_not_implemented_is_an_error():
    def unsupported(weight, sparsity):
        raise NotImplementedError("no such kernel")

    assert check("fake.mask", unsupported).kind == "error"


def test_right_answers_pass_and_end_a_cell_without_an_echo(capsys):
    result = check("fake.mask", fake_lab.reference)
    assert result and result.status == "passed" and repr(result) == "fake.mask: passed"
    assert capsys.readouterr().out == "[passed] fake.mask\n  All 3 properties hold on 10 cases.\n"
    assert result._ipython_display_() is None


def test_classes(capsys):
    assert check("fake.counter", fake_lab.Counter).passed
    assert check("fake.counter", fake_lab.Last).misconception == "Only the last number is kept."
    assert check("fake.counter", fake_lab.reference).sentence == "This exercise wants a class, but it got a function."


def test_not_a_function_and_unknown_ids():
    assert check("fake.mask", 3).sentence == 'Pass the function itself, without calling it: `check("fake.mask", name)`.'
    assert check("fake.nope", raises).sentence == "No exercise 'fake.nope'. The lab has: fake.mask, fake.counter."
    assert check("nolab.x", raises).sentence == "No exercise 'nolab.x': there is no lab 'nolab'."
    assert check(None, raises).kind == "unknown"


def test_a_fault_of_the_engine_is_not_blamed_on_the_learner(monkeypatch):
    monkeypatch.setattr(notebook, "run_instances", lambda *a: 1 / 0)
    result = check("fake.mask", raises)
    assert result.kind == "broken" and "It is not your code." in result.sentence


def test_hints_come_one_by_one_in_plain_text(capsys):
    for _ in range(3):
        check("fake.mask", gives_none)
    cards = capsys.readouterr().out.split("[not yet]")[1:]
    assert [c.count("Hint") for c in cards] == [0, 1, 2]


def test_ready_gives_theirs_only_when_it_passes(capsys):
    def mine(weight, sparsity):
        return fake_lab.reference(weight, sparsity)

    assert ready("fake.mask", mine) is mine
    assert capsys.readouterr().out == ""
    assert ready("fake.mask", raises) is fake_lab.reference
    assert capsys.readouterr().out.startswith("[reference in use] fake.mask")
    assert ready("fake.counter", fake_lab.Last) is fake_lab.Counter
    assert ready("fake.nope", mine) is mine
    assert passes("fake.mask", mine) and not passes("fake.mask", raises) and not passes("fake.mask", None)


def test_ready_trusts_no_stored_record():
    record.append("check", "fake.mask", status="passed", learner="demo")
    assert ready("fake.mask", raises) is fake_lab.reference


def test_ready_runs_once_for_the_same_code(monkeypatch):
    calls = []
    monkeypatch.setattr(notebook, "run_instances", lambda *a, run=notebook.run_instances: calls.append(1) or run(*a))
    for source in ("def f(w, s): return mask(w, s)", "def f(w, s): return mask(w, s)", "def f(w, s):\n    return mask(w, -s)"):
        namespace = {"mask": fake_lab.reference}
        exec(source, namespace)
        ready("fake.mask", namespace["f"])
    assert len(calls) == 2
    exec("def mask(w, s): return None", namespace)      # a helper of the same notebook changed
    assert ready("fake.mask", namespace["f"]) is fake_lab.reference
    assert len(calls) == 3


def test_a_quiz_is_asked_and_answered(capsys):
    assert answer("fake.quiz.1", None).kind == "unanswered"
    assert "How many bytes do 80 float32 numbers take?" in capsys.readouterr().out
    assert answer("fake.quiz.1", 12).sentence == "Each float32 takes four bytes."
    assert answer("fake.quiz.1", 320).passed
    assert answer("fake.quiz.1", Equal()).sentence.startswith("Your answer is an object of type Equal")
    assert answer("fake.quiz.2", "x").sentence == "Answer with one of these letters: a, b."
    assert answer("fake.quiz.2", " B ").passed
    assert answer("fake.quiz.2", ["b"]).sentence == "Answer with one of these letters: a, b."
    assert answer("fake.quiz.9", 1).kind == "unknown"


def test_numbers_belong_to_the_learner(monkeypatch, capsys):
    answer("fake.quiz.1", None)
    monkeypatch.setenv("TINYLIB_LEARNER", "Zoë")
    answer("fake.quiz.1", None)
    first, second = capsys.readouterr().out.split("[quiz]")[1:]
    assert first != second


def test_prediction_and_reveal(capsys):
    assert predict("fake.speed", None).kind == "unanswered"
    reveal("fake.speed", 1.02, "x")
    assert "You made no prediction here." in capsys.readouterr().out
    assert predict("fake.speed", 3.0).passed
    reveal("fake.speed", torch.tensor(1.02), "x")
    shown = capsys.readouterr().out
    assert "Your prediction: 3 x." in shown and "Result: 1.02 x." in shown and "Too high by a factor of 2.94." in shown
    assert not predict("fake.speed", Equal()).passed
    assert reveal("fake.nope", 1) is not None


def test_a_prediction_of_an_earlier_session_is_found(monkeypatch, capsys):
    predict("fake.speed", 2.0)
    monkeypatch.setattr(notebook, "SESSION", notebook.Session())
    reveal("fake.speed", 2.0)
    assert "Exactly right." in capsys.readouterr().out


def test_what_was_done_is_kept():
    check("fake.mask", fake_lab.without_abs)
    check("fake.mask", fake_lab.reference)
    answer("fake.quiz.1", 320)
    predict("fake.speed", 3)
    entries, notes = record.read()
    assert [(e["kind"], e["id"], e["status"]) for e in entries] == [
        ("check", "fake.mask", "not yet"), ("check", "fake.mask", "passed"), ("answer", "fake.quiz.1", "passed"), ("prediction", "fake.speed", "passed")]
    assert entries[0]["misconception"] == "The sign decides here. Rank by `abs()`." and entries[1]["points"] == 3
    assert {e["learner"] for e in entries} == {"demo"} and not notes


def test_an_unwritable_folder_costs_one_note(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TINYLIB_HOME", str(tmp_path / "file"))
    assert check("fake.mask", fake_lab.reference).passed
    assert check("fake.mask", fake_lab.reference).passed
    assert capsys.readouterr().out.count("Your progress could not be saved") == 1
