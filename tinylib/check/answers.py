"""Verifiers of literal answers: what `Item.verify` is made of. Each gives None for a right answer, else one helpful sentence."""

from collections.abc import Callable, Mapping

from tinylib.check.facts import is_number


def number(truth: float, sentence: str, tolerance: float = 0.0) -> Callable[[object], str | None]:
    """One number within `tolerance` of `truth`, else `sentence`."""
    def verify(value: object) -> str | None:
        if not is_number(value) or isinstance(value, bool | complex):
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
    return None if is_number(value) and not isinstance(value, bool | complex) else "Give one number."
