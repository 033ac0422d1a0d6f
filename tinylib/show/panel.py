"""What a panel is: at most three controls and three plain functions. The widget around it is in `show.widget`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Slider:
    """A number with its unit in the label; `values` is the full list of stops (so corners and sweeps are known).

    `turn=True`: dragging the picture sideways turns the slider too, and beyond the last stop it goes on at the first (an angle).
    """

    name: str
    label: str
    values: tuple
    start: object
    turn: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several named values."""

    name: str
    label: str
    values: tuple[str, ...]
    start: str


@dataclass(frozen=True)
class Toggle:
    """On or off."""

    name: str
    label: str
    start: bool = False


@dataclass(frozen=True)
class Text:
    """A line that the learner types; `values` are examples of what may come, for tests: an empty and an odd one among them."""

    name: str
    label: str
    values: tuple[str, ...]
    start: str


@dataclass(frozen=True)
class Drag:
    """A picture that the learner drags, grows and turns over a field of `side` x `side` pixels; its value is a stroke, or () for none.

    `sprite()` gives the picture, uint8 (h, w), drawn at `home` of its size. `values`: no stroke, and strokes that tests draw. The last hand
    counts: moving any other control wipes the stroke, so the others can be the way for those who have no mouse.
    """

    name: str
    label: str
    values: tuple
    side: int
    sprite: Callable[[], np.ndarray]
    home: float = 1.0
    start: tuple = ()


@dataclass(frozen=True)
class Panel:
    """An interactive picture driven by plain functions.

    `id` is "slug.name". `uses` lists the exercise ids whose functions drive it.
    `compute(params, functions)` gets the controls' values by name and the functions by exercise id; at most 100 ms.
    `draw(figure, record)` draws into an empty matplotlib Figure and says the finding in its title.
    `describe(record)` is one or two sentences for those who cannot see the picture.
    """

    id: str
    controls: tuple[Slider | Choice | Toggle | Text | Drag, ...]
    compute: Callable[[dict, dict], object]
    draw: Callable[[Figure, object], None]
    describe: Callable[[object], str]
    uses: tuple[str, ...] = ()
    figsize: tuple[float, float] = (7.0, 3.6)
