"""Predictions, quiz items and decisions: one literal answer each, with per-learner numbers where the author wants them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Item:
    """A question as one learner sees it.

    `verify(value)` returns None when the answer is right, else one sentence that helps without giving it away.
    `choices`: for multiple choice, letter -> text; the answer is the letter.
    """

    prompt: str
    verify: Callable[[object], str | None]
    explain: str
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Question:
    """`id` is "slug.quiz.1", "slug.decide", or a prediction "slug.name"; `ask(rng)` builds the item from the learner's own numbers.

    `kind`: "quiz", "decision" or "prediction". A prediction earns its points for being made; its `verify` is used by reveal only.
    """

    id: str
    kind: str
    points: int
    ask: Callable[[np.random.Generator], Item]
