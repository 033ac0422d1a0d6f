"""What a lab calls: check, ready, predict, answer, reveal. None of them raises for a learner; each shows a card."""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from tinylib.check import card as cards
from tinylib.check import find, record
from tinylib.check.card import Card
from tinylib.check.exercise import Exercise
from tinylib.check.facts import NotPlain, plain
from tinylib.check.fingerprint import fingerprint
from tinylib.check.learner import current_learner, learner_rng
from tinylib.check.reveal import reveal_card
from tinylib.check.run import run_instances
from tinylib.check.verdict import NOT_YET, PASSED, CheckResult, chosen, verdict, verify_answer
from tinylib.core.errors import TinylibError


@dataclass
class Session:
    """What this kernel remembers; nothing of it decides a grade."""

    results: dict = field(default_factory=dict)         # (exercise id, fingerprint, learner) -> CheckResult
    tries: dict = field(default_factory=dict)           # exercise id -> failed tries
    predictions: dict = field(default_factory=dict)     # question id -> value or None
    save_note_shown: bool = False


SESSION = Session()


def _never_raises(function):
    """A fault of the engine or of a lab's declarations becomes a card that says that it is not the learner's."""
    @functools.wraps(function)
    def call(id, *args, **kwargs):
        try:
            return function(id, *args, **kwargs)
        except TinylibError as error:
            return _report(CheckResult(str(id), NOT_YET, "unknown", str(error)))
        except Exception as error:
            result = CheckResult(str(id), NOT_YET, "broken", f"This check itself has a fault ({type(error).__name__}: {error}). It is not your code.",
                                 output=traceback.format_exc())
            return _report(result)

    return call


@_never_raises
def check(id: str, fn: Callable) -> CheckResult:
    """Run the learner's function or class on all instances, show the card, keep a record line, return the result."""
    exercise = find.exercise(id)
    result = _result(exercise, fn, fresh=True)
    if not result.passed and result.kind != "not started":
        SESSION.tries[id] = SESSION.tries.get(id, 0) + 1
    _report(result)
    _keep("check", id, status=result.status, why=result.kind, property=result.failure.property if result.failure else "",
          misconception=result.misconception, points=exercise.points if result.passed else 0)
    return result


def ready(id: str, fn: Callable) -> Callable:
    """`fn` itself if it passes in this kernel, else the reference with a badge. A stored record is never trusted."""
    try:
        exercise = find.exercise(id)
        if _result(exercise, fn, fresh=False).passed:
            return fn
    except Exception as error:
        show(cards.card("quiet", "note", str(id), [f"`ready` found no exercise to compare with ({error}). Your own function is used."]))
        return fn
    name = getattr(exercise.reference, "__name__", "it")
    show(cards.card("quiet", "reference in use", id, ["Until yours passes its check, the cells below use the reference."],
                    data={"id": id, "reference": name}))
    return exercise.reference


def passes(id: str, fn: Callable) -> bool:
    """Whether `fn` passes in this kernel; shows nothing. Raises TinylibError for an unknown id."""
    return _result(find.exercise(id), fn, fresh=False).passed


def _result(exercise: Exercise, fn, fresh: bool) -> CheckResult:
    """The verdict on `fn`, from this kernel's memory when the code has not changed."""
    wrong = _unusable(exercise, fn)
    if wrong:
        return CheckResult(exercise.id, NOT_YET, "value", wrong, hints=tuple(exercise.hints))
    learner = current_learner()
    code = fingerprint(fn)
    key = (exercise.id, code, learner)
    if fresh or code is None or key not in SESSION.results:
        instances = exercise.instances(learner_rng(learner, exercise.id))
        report = run_instances(exercise.harness, fn, instances, exercise.seconds)
        SESSION.results[key] = verdict(exercise, instances, report.runs, report.output)
    return SESSION.results[key]


def _unusable(exercise: Exercise, fn) -> str:
    wants_class = inspect.isclass(exercise.reference)
    if not callable(fn):
        return f"Pass the {'class' if wants_class else 'function'} itself, without calling it: `check(\"{exercise.id}\", name)`."
    if wants_class != inspect.isclass(fn):
        return f"This exercise wants a {'class' if wants_class else 'function'}, but it got a {'class' if inspect.isclass(fn) else 'function'}."
    return ""


@_never_raises
def predict(id: str, value) -> CheckResult:
    """Store a prediction; with None show the question. `reveal` compares later."""
    item = find.question(id).ask(learner_rng(current_learner(), id))
    SESSION.predictions[id] = None
    if value is None:
        return _report(CheckResult(id, NOT_YET, "unanswered", "No prediction yet."), cards.question_card(id, "prediction", item))
    try:
        value = chosen(item, value) if item.choices else plain(value, "Your prediction")
    except NotPlain as error:
        return _report(CheckResult(id, NOT_YET, "value", str(error)))
    SESSION.predictions[id] = value
    _keep("prediction", id, value=value, status=PASSED)
    result = CheckResult(id, PASSED, "passed", f"Your prediction: {cards.argument_text(value)}. It is kept until the result is shown.")
    return _report(result, cards.card("note", "predicted", id, [item.prompt, result.sentence], data={"id": id, "status": PASSED, "kind": "passed"}))


@_never_raises
def answer(id: str, value) -> CheckResult:
    """Show the question (None), or check the answer to a quiz item or a decision and show the card."""
    question = find.question(id)
    item = question.ask(learner_rng(current_learner(), id))
    if value is None:
        return _report(CheckResult(id, NOT_YET, "unanswered", "No answer yet."), cards.question_card(id, question.kind, item))
    wrong = verify_answer(item, value)
    result = CheckResult(id, NOT_YET, "wrong", wrong) if wrong else CheckResult(id, PASSED, "passed", item.explain)
    _report(result, cards.answer_card(result, item, value))
    _keep("answer", id, value=value, status=result.status, points=0 if wrong else question.points)
    return result


@_never_raises
def reveal(id: str, truth, unit: str = "") -> None:
    """Show the prediction beside what was measured, and how far off it was as a factor."""
    item = find.question(id).ask(learner_rng(current_learner(), id))
    prediction = SESSION.predictions[id] if id in SESSION.predictions else _recorded_prediction(id)
    show(reveal_card(id, item, prediction, truth, unit))


def _recorded_prediction(id):
    learner = current_learner()
    values = [e.get("value") for e in record.read()[0] if e["kind"] == "prediction" and e["id"] == id and e.get("learner") == learner]
    return values[-1] if values else None


def _report(result: CheckResult, card: Card | None = None) -> CheckResult:
    show(card or cards.result_card(result, hints_in_text=max(0, SESSION.tries.get(result.id, 0) - 1)))
    return result


def _keep(kind, id, **fields) -> None:
    note = record.append(kind, id, learner=current_learner(), **fields)
    if note and not SESSION.save_note_shown:
        SESSION.save_note_shown = True
        show(cards.card("quiet", "note", "record", [note]))


def show(card: Card) -> None:
    """Display in a notebook, print elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        print(card.text)
        return
    from IPython.display import display

    display({"text/html": card.html, "text/plain": card.text, "application/vnd.tinylib.check+json": card.data}, raw=True)
