"""A progress bar for training loops, for `nn.fit(..., on_step=)`. `nn` draws nothing itself."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm


def is_static() -> bool:
    """Whether this notebook is run by our pipeline, without anyone watching (`TINYLIB_STATIC` is set)."""
    return bool(os.environ.get("TINYLIB_STATIC"))


@contextmanager
def bar(total: int, what: str = "training") -> Iterator[Callable[[int, float], None]]:
    """Give `on_step(step, loss)` that moves a bar of `total` steps; the bar goes away at the end. Silent when `is_static()`.

    `step` counts from 0. A step may be skipped or repeated; the bar follows the largest seen.
    """
    with tqdm(total=total, desc=what, unit="step", leave=False, disable=is_static()) as progress:
        def on_step(step: int, loss: float) -> None:
            progress.update(max(0, step + 1 - progress.n))
            progress.set_postfix(loss=f"{loss:.3f}", refresh=False)
        yield on_step
