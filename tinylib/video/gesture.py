"""Gestures: a garment dragged over the field by hand, as the path of a clip, and which trained motion it is, if any.

A stroke is (n, 5): time (ms), right, down (pixels of the clip from its centre), size, turn (radians, clockwise on screen). A path is what the
camera sees of it, (8, 4): one row a frame without the time. Lab: tsm.
"""

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.datasets.clips import CLASSES, FRAMES

TRAINED = np.array([11.0, 11.0, np.log(1.45 / 0.55), 2.2])        # what a training clip changes, first to last frame: pixels, pixels, log size, radians
HOME = (0.0, 0.0, 0.56, 0.0)                                    # the garment at rest
WORDS = (("left", "right"), ("up", "down"), ("shrink", "grow"), ("turn left", "turn right"))
ENOUGH, STRAY, DETOUR = 0.5, 0.4, 1.4
GUIDED = (*CLASSES, "right and up", "there and back", "circle")
SLOW_MS = 100


def path_of_stroke(stroke, frames: int = FRAMES) -> np.ndarray:
    """Path (frames, 4): the stroke seen at equal times from its first to its last row."""
    rows = np.asarray(stroke, float)
    if rows.ndim != 2 or rows.shape[1] != 5 or len(rows) < 2 or not np.isfinite(rows).all() or (np.diff(rows[:, 0]) < 0).any() or (rows[:, 3] <= 0).any():
        raise TinylibError("a stroke needs at least two rows of rising time, right, down, size above 0, and turn; draw it again")
    seen = np.linspace(rows[0, 0], rows[-1, 0], frames)
    return np.stack([np.interp(seen, rows[:, 0], column) for column in rows.T[1:]], 1)


def amounts(path: np.ndarray) -> np.ndarray:
    """(t, 4): right, down, growth and turn since the first frame; 1 is what a training clip changes in all."""
    values = np.array(path, float)
    values[:, 2] = np.log(values[:, 2])
    return (values - values[0]) / TRAINED


def motion_of(path: np.ndarray) -> int | None:
    """The trained class that a path belongs to; None when it belongs to none.

    It does when one kind of change reaches half of what a training clip has, no other kind exceeds 0.4 of it, and its way there and back is
    at most 1.4 times the way itself. These limits are ours.
    """
    change = amounts(path)
    main = int(np.abs(change[-1]).argmax())
    size, way = abs(change[-1, main]), np.abs(np.diff(change[:, main])).sum()
    others = np.delete(np.ptp(change, axis=0), main)
    if size < ENOUGH or others.max() > STRAY * size or way > DETOUR * size:
        return None
    return CLASSES.index(WORDS[main][int(change[-1, main] > 0)])


def in_words(path: np.ndarray) -> str:
    """What a path does, in words: 'right', 'right and down', 'back to its start', 'hardly anything'."""
    change = amounts(path)
    last, reach = change[-1], np.ptp(change, axis=0)
    if reach.max() < ENOUGH:
        return "hardly anything"
    if np.abs(last).max() < 0.5 * reach.max():
        return "back to its start"
    kinds = [WORDS[k][int(last[k] > 0)] for k in range(4) if abs(last[k]) > STRAY * np.abs(last).max()]
    return " and ".join(kinds)


def guided(name: str, speed: float) -> np.ndarray:
    """Stroke of a named motion, for those who have no mouse: `speed` 1 is the middle of the training clips."""
    pace = np.linspace(-1, 1, 41) * speed
    x, y, size, turn = (np.full(41, v) for v in HOME)
    if name == "circle":
        x, y = 5.5 * speed * np.sin(np.pi * np.linspace(-1, 1, 41)), 5.5 * speed * np.cos(np.pi * np.linspace(-1, 1, 41))
    elif name == "there and back":
        x = 5.5 * speed * (1 - 2 * np.abs(np.linspace(-1, 1, 41)))
    elif name == "right and up":
        x, y = 5.5 * pace, -5.5 * pace
    elif name in CLASSES:
        label = CLASSES.index(name)
        along = pace if label % 2 else -pace
        x, y, size, turn = ((5.5 * along, y, size, turn), (x, 5.5 * along, size, turn), (x, y, size * np.exp(-TRAINED[2] / 2 * along), turn),
                            (x, y, size, 1.1 * along))[label // 2]
    else:
        raise TinylibError(f"no motion {name!r}; there are {', '.join(GUIDED)}")
    return np.stack([np.linspace(0, 8 * SLOW_MS, 41), x, y, size, turn], 1)


def by_hand(label: int, rng: np.random.Generator) -> np.ndarray:
    """Stroke of a class as a hand draws it (modelled): slow at both ends, askew by some 8 degrees, bent, trembling, reach 0.7 to 1.3.

    The pace is the minimum-jerk curve of arm movements (Flash and Hogan, 1985).
    """
    time = np.linspace(0, 1, int(rng.integers(25, 80)))
    pace = 2 * (10 * time**3 - 15 * time**4 + 6 * time**5) - 1
    along = rng.uniform(0.7, 1.3) * pace * (1 if label % 2 else -1)
    bend, tremor = rng.normal(0, 0.1) * (1 - pace**2), lambda scale: np.convolve(rng.normal(0, scale, len(time) + 4), np.ones(5) / 5, "valid")
    x, y, size, turn = rng.uniform(-2, 2), rng.uniform(-2, 2), rng.uniform(0.48, 0.64), rng.uniform(-0.35, 0.35)
    if label < 4:
        askew = rng.normal(0, 0.14)
        ahead, aside = 5.5 * (along * np.cos(askew) - bend * np.sin(askew)), 5.5 * (along * np.sin(askew) + bend * np.cos(askew))
        right, down = (ahead, aside) if label < 2 else (aside, ahead)
        rows = (x + right + tremor(0.3), y + down + tremor(0.3), size + 0 * time, turn + 0 * time)
    elif label < 6:
        rows = (x + 0 * time, y + 0 * time, size * np.exp(-TRAINED[2] / 2 * along + tremor(0.05)), turn + 0 * time)
    else:
        rows = (x + 0 * time, y + 0 * time, size + 0 * time, turn + 1.1 * along + tremor(0.05))
    return np.stack([1000 * time, *rows], 1)
