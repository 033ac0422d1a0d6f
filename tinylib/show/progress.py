"""A progress bar for training loops, for `nn.fit(..., on_step=)`. `nn` draws nothing itself."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tqdm.auto import tqdm


class Step(Protocol):
    """What the bar needs to know of a training step; `nn.fit`'s own record has it."""

    index: int      # from 0
    total: int      # steps in all
    loss: float


def is_static() -> bool:
    """Whether this notebook is run by our pipeline, without anyone watching (`TINYLIB_STATIC` is set)."""
    return bool(os.environ.get("TINYLIB_STATIC"))


@contextmanager
def bar(what: str = "training") -> Iterator[Callable[[Step], None]]:
    """Give an `on_step` that moves a bar; the bar goes away at the end. Silent when `is_static()`.

    `with bar("fine-tuning") as on_step: fit(model, data, ..., on_step=on_step)`. The first step tells the total; a step may be
    skipped or repeated, the bar follows the largest index.
    """
    if not isinstance(what, str):
        raise TypeError(f"a bar is named by text, not by {what!r}; fit tells it the number of steps")
    with tqdm(desc=what, unit="step", leave=False, disable=is_static()) as progress:
        def on_step(step: Step) -> None:
            progress.total = step.total
            progress.set_postfix(loss=f"{step.loss:.3f}", refresh=False)
            progress.update(max(0, step.index + 1 - progress.n))
        yield on_step
