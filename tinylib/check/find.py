"""Finds an exercise or a question by its id. The one place where `check` reaches up to a lab's declarations."""

import importlib

from tinylib.check.exercise import Exercise
from tinylib.check.question import Question
from tinylib.core.errors import TinylibError


def exercise(name: str) -> Exercise:
    """The exercise `slug.name`; TinylibError names the known ones."""
    return _find(name, "EXERCISES", "exercise")


def question(name: str) -> Question:
    """The question `slug.quiz.1`, decision or prediction; TinylibError names the known ones."""
    return _find(name, "QUESTIONS", "question")


def _find(name, table, word):
    slug = str(name).split(".")[0]
    module_name = f"tinylib.exercises.{slug}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise TinylibError(f"No {word} '{name}': there is no lab '{slug}'.") from None
    known = {entry.id: entry for entry in getattr(module, table, ())}
    if name not in known:
        raise TinylibError(f"No {word} '{name}'. The lab has: {', '.join(known) or 'none'}.")
    return known[name]
