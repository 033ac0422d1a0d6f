"""Shapes3d: tables, mugs, lamps, planes and chairs as labelled point clouds, drawn from a seed; nothing is shipped.

Each object is a few surfaces (boxes, tubes, bent tubes) with random proportions; points are spread over them by area. Then the cloud is
turned about the upright axis, tilted, centred, scaled into the unit ball, and jittered. Synthetic: surfaces may pass through each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError

CLASSES = ("table", "mug", "lamp", "plane", "chair")
PARTS_OF = {"table": ("top", "leg"), "mug": ("body", "handle"), "lamp": ("base", "pole", "shade"), "plane": ("fuselage", "wing", "tail"),
            "chair": ("seat", "back", "leg")}
PARTS = tuple(f"{kind} {part}" for kind in CLASSES for part in PARTS_OF[kind])
THIN = ("table leg", "mug handle", "lamp pole", "chair leg")
JITTER, LEAST_SHARE = 0.01, 0.04


@dataclass(frozen=True)
class Clouds:
    """`points` float32 (n, 3, p) in the unit ball, `parts` int64 (n, p) into `names`, `kinds` int64 (n,) into `classes`."""

    points: np.ndarray
    parts: np.ndarray
    kinds: np.ndarray
    classes: tuple[str, ...] = CLASSES
    names: tuple[str, ...] = PARTS
    of_class: tuple[tuple[int, ...], ...] = tuple(tuple(PARTS.index(f"{kind} {part}") for part in PARTS_OF[kind]) for kind in CLASSES)

    def __len__(self) -> int:
        return len(self.kinds)


@dataclass(frozen=True)
class Surface:
    """Part of an object: its name, its area, and points spread evenly over it (count, rng) -> (count, 3)."""

    part: str
    area: float
    sample: Callable[[int, np.random.Generator], np.ndarray]


def box(part: str, size: tuple, centre: tuple) -> Surface:
    """Surface of an upright box."""
    size, centre = np.asarray(size, float), np.asarray(centre, float)
    faces = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        inside = rng.uniform(-0.5, 0.5, (n, 3))
        axis = rng.choice(3, n, p=faces / faces.sum())
        inside[np.arange(n), axis] = rng.choice([-0.5, 0.5], n)
        return centre + inside * size

    return Surface(part, float(2 * faces.sum()), sample)


def tube(part: str, start: tuple, end: tuple, radius: float, radius_end: float | None = None) -> Surface:
    """Wall of a cylinder or cone frustum from `start` to `end`, without lids."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    last = radius if radius_end is None else radius_end
    along = end - start
    length = np.linalg.norm(along)
    side = np.cross(along, [1.0, 0, 0] if abs(along[0]) < 0.9 * length else [0, 1.0, 0])
    side /= np.linalg.norm(side)
    other = np.cross(along / length, side)

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        u, turn = rng.uniform(0, 1, n), rng.uniform(0, 2 * np.pi, n)
        if radius != last:      # more points where the frustum is wide
            u = (np.sqrt(radius**2 + u * (last**2 - radius**2)) - radius) / (last - radius)
        r = (radius + u * (last - radius))[:, None]
        return start + u[:, None] * along + r * (np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other)

    return Surface(part, float(np.pi * (radius + last) * np.hypot(length, radius - last)), sample)


def disc(part: str, centre: tuple, radius: float) -> Surface:
    """A flat round plate."""
    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        r, turn = radius * np.sqrt(rng.uniform(0, 1, n)), rng.uniform(0, 2 * np.pi, n)
        return np.asarray(centre, float) + np.stack([r * np.cos(turn), r * np.sin(turn), np.zeros(n)], 1)

    return Surface(part, float(np.pi * radius**2), sample)


def bow(part: str, centre: tuple, reach: float, radius: float) -> Surface:
    """A half ring in the x-z plane, open towards -x: a handle."""
    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        bend, turn = rng.uniform(-np.pi / 2, np.pi / 2, n), rng.uniform(0, 2 * np.pi, n)
        r = reach + radius * np.cos(turn)
        return np.asarray(centre, float) + np.stack([r * np.cos(bend), radius * np.sin(turn), r * np.sin(bend)], 1)

    return Surface(part, float(2 * np.pi**2 * reach * radius), sample)


def legs(width: float, depth: float, height: float, thick: float) -> list[Surface]:
    """Four legs under the corners of a plate at z = 0."""
    x, y = (width - thick) / 2, (depth - thick) / 2
    return [box("leg", (thick, thick, height), (sx * x, sy * y, -height / 2)) for sx in (-1, 1) for sy in (-1, 1)]


def table(rng: np.random.Generator) -> list[Surface]:
    """A plate on four legs."""
    width, depth, height, thick = rng.uniform(1, 1.8), rng.uniform(0.7, 1.2), rng.uniform(0.5, 1.1), rng.uniform(0.05, 0.12)
    return [box("top", (width, depth, rng.uniform(0.04, 0.1)), (0, 0, 0)), *legs(width, depth, height, thick)]


def chair(rng: np.random.Generator) -> list[Surface]:
    """A seat, a back, four legs."""
    width, depth, height, thick = rng.uniform(0.7, 1), rng.uniform(0.7, 1), rng.uniform(0.5, 1), rng.uniform(0.05, 0.12)
    tall, plate = rng.uniform(0.6, 1.2), rng.uniform(0.05, 0.1)
    return [box("seat", (width, depth, plate), (0, 0, 0)), box("back", (width, plate, tall), (0, (depth - plate) / 2, tall / 2)),
            *legs(width, depth, height, thick)]


def mug(rng: np.random.Generator) -> list[Surface]:
    """A round wall with a floor, and a handle."""
    radius, height = rng.uniform(0.35, 0.55), rng.uniform(0.8, 1.3)
    reach = rng.uniform(0.2, 0.36) * height
    return [tube("body", (0, 0, 0), (0, 0, height), radius), disc("body", (0, 0, 0), radius),
            bow("handle", (radius, 0, height * rng.uniform(0.42, 0.58)), reach, rng.uniform(0.04, 0.07))]


def lamp(rng: np.random.Generator) -> list[Surface]:
    """A foot, a thin pole, a shade."""
    foot, height, wide = rng.uniform(0.25, 0.45), rng.uniform(1, 1.8), rng.uniform(0.3, 0.6)
    rise, shade = rng.uniform(0.05, 0.12), rng.uniform(0.3, 0.6)
    return [tube("base", (0, 0, 0), (0, 0, rise), foot), disc("base", (0, 0, rise), foot),
            tube("pole", (0, 0, rise), (0, 0, height), rng.uniform(0.025, 0.05)),
            tube("shade", (0, 0, height - shade / 2), (0, 0, height + shade / 2), wide, wide * rng.uniform(0.4, 0.9))]


def plane(rng: np.random.Generator) -> list[Surface]:
    """A fuselage with a nose, two wings, a fin with a stabiliser."""
    radius, length = rng.uniform(0.08, 0.14), rng.uniform(1.5, 2.1)
    span, chord, back = rng.uniform(1.2, 2), rng.uniform(0.25, 0.45), length / 2
    at, tail, fin = rng.uniform(-0.15, 0.25), rng.uniform(0.15, 0.25), rng.uniform(0.25, 0.4)
    return [tube("fuselage", (-back, 0, 0), (back, 0, 0), radius), tube("fuselage", (back, 0, 0), (back + 2 * radius, 0, 0), radius, 0.01),
            box("wing", (chord, span, 0.04), (at, 0, 0)), box("tail", (tail, 0.04, fin), (tail / 2 - back, 0, fin / 2 + radius)),
            box("tail", (tail, 0.4 * span, 0.04), (tail / 2 - back, 0, radius))]


MAKERS = {"table": table, "mug": mug, "lamp": lamp, "plane": plane, "chair": chair}


def shares(areas: np.ndarray, n: int) -> np.ndarray:
    """How many of n points each surface gets: by area, none below LEAST_SHARE of the whole; they sum to n."""
    part = np.maximum(areas / areas.sum(), LEAST_SHARE)
    ends = np.rint(np.cumsum(part / part.sum()) * n).astype(int)
    return np.diff(ends, prepend=0)


def cloud(kind: str, n: int, rng: np.random.Generator, *, jitter: float = JITTER) -> tuple[np.ndarray, np.ndarray]:
    """Points float32 (3, n) in the unit ball (before jitter) and their parts int64 (n,), in random order."""
    if kind not in MAKERS:
        raise TinylibError(f"no object {kind!r}; there are {CLASSES}")
    surfaces = MAKERS[kind](rng)
    counts = shares(np.array([s.area for s in surfaces]), n)
    points = np.concatenate([s.sample(count, rng) for s, count in zip(surfaces, counts)])
    parts = np.repeat([PARTS.index(f"{kind} {s.part}") for s in surfaces], counts)
    order = rng.permutation(n)
    return (in_unit_ball(points @ turned(rng)) + rng.normal(0, jitter, points.shape))[order].T.astype(np.float32), parts[order]


def turned(rng: np.random.Generator) -> np.ndarray:
    """Rotation (3, 3): up to 45 degrees about the upright axis, then a tilt of some ten degrees about two others."""
    yaw, (roll, pitch) = rng.uniform(-np.pi / 4, np.pi / 4), rng.normal(0, 0.17, 2)
    def about(axis: int, angle: float) -> np.ndarray:
        matrix, (i, j) = np.eye(3), [a for a in range(3) if a != axis]
        matrix[i, i] = matrix[j, j] = np.cos(angle)
        matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
        return matrix

    return about(2, yaw) @ about(0, roll) @ about(1, pitch)


def in_unit_ball(points: np.ndarray) -> np.ndarray:
    """Points (n, 3) centred on their mean and scaled so that the farthest has norm 1."""
    centred = points - points.mean(0)
    return centred / max(np.linalg.norm(centred, axis=1).max(), 1e-12)


def make_split(count: int, rng: np.random.Generator, *, points: int = 512) -> Clouds:
    """`count` objects, as many of each class as of any other (the first classes one more), shuffled."""
    kinds = rng.permutation(np.arange(count) % len(CLASSES))
    made = [cloud(CLASSES[kind], points, rng) for kind in kinds]
    return Clouds(np.stack([p for p, _ in made]), np.stack([parts for _, parts in made]).astype(np.int64), kinds.astype(np.int64))


def load(*, train: int = 800, val: int = 200, test: int = 400, points: int = 512, seed: int = 0) -> tuple[Clouds, Clouds, Clouds]:
    """Training, validation and test clouds, made now (about a second)."""
    return tuple(make_split(n, r, points=points) for n, r in zip((train, val, test), np.random.default_rng(seed).spawn(3)))
