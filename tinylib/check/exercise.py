"""What an exercise is: instances, an oracle, named properties, typical wrong answers. Declared once, used by check and judge."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Args = dict     # one instance: names to arrays (numpy), numbers, strings, lists of these
Facts = dict    # what a harness reports of one call: names to arrays, numbers, strings, lists of these


@dataclass(frozen=True)
class Property:
    """One named demand on the facts.

    `test(args, got, expected)` returns None when it holds, else one kind sentence that says what is wrong.
    `group`: properties of one group earn their points together (partial credit in a class).
    """

    name: str
    test: Callable[[Args, Facts, Facts], str | None]
    group: str = "core"


@dataclass(frozen=True)
class Misconception:
    """A typical wrong function and the sentence that helps the learner who wrote it."""

    function: Callable
    sentence: str


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lab. `id` is "slug.name".

    `harness(fn, args)` runs the learner's function or class on one instance and returns plain facts; it lives in
    `tinylib/exercises/harness/<slug>.py`, knows no expected value and imports only numpy and torch (and `needs`).
    `instances(rng)` lists instances from small to large; the first that fails is the one shown.
    `oracle(args)` returns the expected facts by slow and obvious code that shares nothing with `reference`.
    """

    id: str
    points: int
    minutes: int
    harness: Callable[[Callable, Args], Facts]
    instances: Callable[[np.random.Generator], list[Args]]
    oracle: Callable[[Args], Facts]
    properties: tuple[Property, ...]
    misconceptions: tuple[Misconception, ...]
    hints: tuple[str, str, str]
    reference: Callable
    needs: tuple[str, ...] = ()
    seconds: float = 5.0        # time limit for all instances together
