"""Verifiers of literal answers: what `Item.verify` is made of. Each gives None for a right answer, else one helpful sentence."""

import math
from collections.abc import Callable, Mapping


def as_number(value: object) -> float | None:
    """The answer when it is a plain finite number, else None."""
    return value if type(value) in (int, float) and math.isfinite(value) else None


def number(truth: float, sentence: str, tolerance: float = 0.0) -> Callable[[object], str | None]:
    """One number within `tolerance` of `truth`, else `sentence`."""
    def verify(value: object) -> str | None:
        if as_number(value) is None:
            return "Answer with one number."
        return None if abs(value - truth) <= tolerance else sentence

    return verify


def letter(right: str, sentences: Mapping[str, str]) -> Callable[[object], str | None]:
    """The letter of the right choice; `sentences` says why each wrong one is wrong."""
    def verify(value: object) -> str | None:
        if type(value) is not str:
            return "Answer with one letter, in quotes."
        return None if value.strip().lower() == right else sentences.get(value.strip().lower(), "Answer with one of the letters.")

    return verify


def guess(value: object) -> str | None:
    """A prediction: any number counts as made."""
    return "Give one number." if as_number(value) is None else None
