"""From facts to a verdict. Pure: same exercise, instances and runs give the same result; the learner's code is never called here.

`check` calls it in the kernel; the judge calls it in the parent process on the facts that its worker sent.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

from tinylib.check.exercise import Args, Exercise, Facts, Property
from tinylib.check.facts import NotPlain, a_kind, plain, plain_facts, same
from tinylib.check.question import Item
from tinylib.check.run import Run

PASSED, NOT_YET = "passed", "not yet"


@dataclass(frozen=True)
class Failure:
    """One property that one instance breaks; `expected` and `got` hold the facts, `got` is empty when there are none."""

    index: int
    property: str
    group: str
    sentence: str
    args: Args
    expected: Facts
    got: Facts


@dataclass(frozen=True)
class CheckResult:
    """What a card shows and a record keeps.

    `status` is "passed" or "not yet". `kind` says why: "passed", "wrong", "not started", "error", "time", "value", "unknown",
    "broken" (the check itself failed) or "unanswered". `sentence` is the one thing to read.
    """

    id: str
    status: str
    kind: str
    sentence: str
    failure: Failure | None = None
    misconception: str = ""
    line: str = ""
    line_number: int = 0
    groups: dict = field(default_factory=dict)      # group name -> bool
    instances: int = 0
    properties: int = 0
    hints: tuple = ()
    output: str = ""

    @property
    def passed(self) -> bool:
        return self.status == PASSED

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{self.id}: {self.status}"

    def _ipython_display_(self) -> None:
        """Nothing: `check` has shown the card already, and a cell that ends in `check(...)` should not show it twice."""


def verdict(exercise: Exercise, instances: list[Args], runs: tuple[Run, ...], output: str = "") -> CheckResult:
    """The result of `runs` (one per instance; a run without facts is the last one)."""
    failure = next(failures(exercise, instances, runs), None)
    shared = dict(groups=group_results(exercise, instances, runs), instances=len(instances), properties=len(exercise.properties),
                  hints=tuple(exercise.hints), output=output)
    if failure is None:
        return CheckResult(exercise.id, PASSED, "passed", f"{_all(exercise.properties)} on {len(instances)} cases.", **shared)
    run = runs[failure.index] if failure.index < len(runs) else Run("error")
    kind = "wrong" if run.kind == "facts" else run.kind
    recognised = "" if kind == "not started" else recognise(exercise, instances, runs, failure.index)
    return CheckResult(exercise.id, NOT_YET, kind, failure.sentence, failure, recognised, run.line, run.line_number, **shared)


def _all(properties) -> str:
    return "The property holds" if len(properties) == 1 else f"All {len(properties)} properties hold"


def failures(exercise: Exercise, instances: list[Args], runs: tuple[Run, ...]) -> Iterator[Failure]:
    """Every broken property, smallest instance first, properties in the order of the exercise."""
    for index, args in enumerate(instances):
        run = runs[index] if index < len(runs) else Run("error", sentence="This case was not run.")
        expected = expected_facts(exercise, args)
        if run.kind != "facts":
            for group in dict.fromkeys(p.group for p in exercise.properties):
                yield Failure(index, "runs to its end", group, run.sentence, args, expected, {})
            return
        for prop in exercise.properties:
            sentence = apply(prop, args, run.facts, expected)
            if sentence:
                yield Failure(index, prop.name, prop.group, sentence, args, expected, run.facts)


def group_results(exercise: Exercise, instances: list[Args], runs: tuple[Run, ...]) -> dict[str, bool]:
    """Group name -> whether all its properties hold on all instances: a group earns its points together."""
    broken = {f.group for f in failures(exercise, instances, runs)}
    return {p.group: p.group not in broken for p in exercise.properties}


def expected_facts(exercise: Exercise, args: Args) -> Facts:
    """The oracle's facts on a copy of `args`, as plain data."""
    return plain_facts(exercise.oracle(copy.deepcopy(args)))


def apply(prop: Property, args: Args, got: Facts, expected: Facts) -> str | None:
    """The property's sentence or None; a property that stumbles over what it got becomes a sentence about its type."""
    try:
        return prop.test(args, got, expected)
    except Exception as error:
        return _type_difference(got, expected) or f"The result cannot be compared ({type(error).__name__}: {error})."


def _type_difference(got: Facts, expected: Facts) -> str | None:
    for key, want in expected.items():
        if key not in got:
            return f"There is no `{key}` in the result."
        if a_kind(got[key]) != a_kind(want):
            return f"`{key}` should be {a_kind(want)}, but it is {a_kind(got[key])}."
    return None


def recognise(exercise: Exercise, instances: list[Args], runs: tuple[Run, ...], first: int) -> str:
    """Sentence of the first misconception that gives what the learner's code gave on every failing instance, else "".

    Misconceptions are our own functions, so they may run here.
    """
    failing = sorted({f.index for f in failures(exercise, instances, runs)} | {first})
    for wrong in exercise.misconceptions:
        if all(i < len(runs) and _alike(_outcome(exercise, wrong.function, instances[i]), runs[i]) for i in failing):
            return wrong.sentence
    return ""


def _outcome(exercise, function, args) -> Run:
    try:
        return Run("facts", plain_facts(exercise.harness(function, copy.deepcopy(args))))
    except NotPlain as error:
        return Run("value", sentence=str(error))
    except Exception as error:
        return Run("error", sentence=f"{type(error).__name__}: {error}".strip().splitlines()[0])


def _alike(ours: Run, theirs: Run) -> bool:
    if ours.kind != theirs.kind:
        return False
    if ours.kind == "facts":
        return same(ours.facts, theirs.facts)
    return ours.sentence == theirs.sentence or (ours.kind == "error" and ours.sentence in theirs.sentence)


def verify_answer(item: Item, value) -> str | None:
    """None when `value` answers the item, else one sentence. Never raises; used by `answer` and by the judge."""
    try:
        value = plain(value, "Your answer")
        if item.choices:
            value = chosen(item, value)
        return item.verify(value)
    except NotPlain as error:
        return str(error)
    except Exception:
        return f"This question cannot take {a_kind(value)} as its answer."


def chosen(item: Item, value) -> str:
    """The letter of `item` that `value` names, whatever its case; NotPlain lists the letters."""
    letters = {letter.lower(): letter for letter, _ in item.choices}
    if type(value) is not str or value.strip().lower() not in letters:
        raise NotPlain(f"Answer with one of these letters: {', '.join(letters.values())}.")
    return letters[value.strip().lower()]
