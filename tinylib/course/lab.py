"""What a lab imports: `from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start`."""

import base64
import os
import random
from collections.abc import Callable

import numpy as np

from tinylib.check import find, notebook
from tinylib.check.notebook import answer, predict, ready, reveal
from tinylib.core.errors import TinylibError
from tinylib.course import ledger
from tinylib.course.known import leaf

__all__ = ["answer", "check", "panel", "predict", "ready", "reveal", "start"]
SEED = 0


def start(slug: str) -> None:
    """Make the lab run the same everywhere: seeds, one torch thread, plot style. Prints one line."""
    import torch

    from tinylib.show import style
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    style.use()
    ledger.begin(slug)
    print(f"Lab {slug} is ready: one thread, seed {SEED}, no network needed.")


def check(exercise: str, function: Callable):
    """Check the learner's function or class and show the card; gives the result. Never raises."""
    result = notebook.check(exercise, function)
    ledger.note_check(exercise, result.passed)
    return result


def panel(name: str, functions: dict[str, Callable] | None = None):
    """Show the panel `slug.name`, driven by the learner's functions (by exercise id) where they pass, else by the references.

    In a run without a browser (TINYLIB_STATIC) the figure at its starting values and its text line are shown instead.
    Raises TinylibError for an unknown panel or a function that the panel does not use.
    """
    from tinylib.show import widget
    shown = widget.build(find_panel(name), functions or {}, pair)
    if not os.environ.get(ledger.STATIC):
        return shown
    from IPython.display import display
    if shown.error is not None:
        raise shown.error
    display({"image/png": base64.b64encode(shown.figure_png).decode(), "text/plain": shown.text}, raw=True)
    print(shown.text)
    return None


def find_panel(name: str):
    """The Panel `slug.name`."""
    slug = name.partition(".")[0]
    known = {p.id: p for p in getattr(leaf("panels", slug), "PANELS", ())}
    if name not in known:
        raise TinylibError(f"No panel {name!r}. tinylib/panels/{slug}.py has: {', '.join(known) or 'none'}.")
    return known[name]


def pair(exercise: str, function: Callable | None) -> tuple[Callable | None, Callable]:
    """(the learner's function if it passes in this kernel else None, the reference), in silence."""
    reference = find.exercise(exercise).reference
    theirs = function is not None and function is not reference and notebook.passes(exercise, function)
    return (function if theirs else None), reference
