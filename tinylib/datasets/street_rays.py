"""Rays from one point against boxes, upright cylinders and planes: closed forms, vectorised, for the street's LiDAR and cameras alike.

Every solid is an intersection of slabs; a ray is inside each slab for an interval of distances, so it hits the solid where the last interval
begins, when that is before the first one ends. An origin inside a solid sees through it.
"""

from dataclasses import dataclass

import numpy as np

TINY = 1e-12            # stands for a zero component of a direction: the quotient is then far outside the scene


@dataclass(frozen=True)
class Boxes:
    """Boxes turned about the vertical: centre (n, 3) and size (n, 3) in metres (length, width, height), yaw (n,) in radians, label (n,) of the class."""

    centre: np.ndarray
    size: np.ndarray
    yaw: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.yaw)

    @property
    def reach(self) -> np.ndarray:
        """Radius (n,) of the upright cylinder around each box."""
        return np.hypot(self.size[:, 0], self.size[:, 1]) / 2

    def take(self, index: np.ndarray) -> "Boxes":
        """The boxes that an index array or a mask picks."""
        return Boxes(self.centre[index], self.size[index], self.yaw[index], self.label[index])


@dataclass(frozen=True)
class Cylinders:
    """Upright cylinders: centre (n, 2), radius (n,), bottom (n,) and top (n,) in metres, label (n,) of the class."""

    centre: np.ndarray
    radius: np.ndarray
    bottom: np.ndarray
    top: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.radius)

    @property
    def reach(self) -> np.ndarray:
        return self.radius


@dataclass(frozen=True)
class Hits:
    """First hit of each ray: distance (r,) in metres (inf: none), solid (r,) as its number (-1: none), cosine (r,) of the angle to the surface's normal."""

    distance: np.ndarray
    solid: np.ndarray
    cosine: np.ndarray


def turned(vectors: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors (n, 2) turned by an angle (n,) or a number, in radians, counter-clockwise."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)


def away_from_zero(value: np.ndarray) -> np.ndarray:
    """The value, with magnitudes below TINY replaced by TINY."""
    return np.where(np.abs(value) < TINY, TINY, value)


def box_interval(boxes: Boxes, index: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(enter, leave, cosine) of pairs: ray i with directions[i] (m, 3) against box index[i]."""
    offset = origin - boxes.centre
    start = np.column_stack([turned(offset[:, :2], -boxes.yaw), offset[:, 2]]).T[:, index]
    half = boxes.size.T[:, index] / 2
    cos, sin = np.cos(boxes.yaw)[index], np.sin(boxes.yaw)[index]
    x, y, z = directions.T
    along = away_from_zero(np.stack([cos * x + sin * y, cos * y - sin * x, z]))
    middle, reach = -start / along, half / np.abs(along)
    near = middle - reach
    enter = near.max(axis=0)
    facing = np.where(near[0] == enter, along[0], np.where(near[1] == enter, along[1], along[2]))
    return enter, (middle + reach).min(axis=0), np.abs(facing)


def cylinder_interval(cylinders: Cylinders, index: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(enter, leave, cosine) of pairs: ray i with directions[i] (m, 3) against cylinder index[i]; a ray past it has enter > leave."""
    (from_x, from_y), radius = (origin[:2] - cylinders.centre).T[:, index], cylinders.radius[index]
    x, y, _ = directions.T
    a = np.maximum(x * x + y * y, TINY)
    b, c = from_x * x + from_y * y, from_x**2 + from_y**2 - radius**2
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    missed = b * b < a * c
    safe = away_from_zero(directions[:, 2])
    ends = np.stack([(cylinders.bottom[index] - origin[2]) / safe, (cylinders.top[index] - origin[2]) / safe])
    side, lid = np.where(missed, np.inf, (-b - root) / a), ends.min(0)
    leave = np.minimum(np.where(missed, -np.inf, (-b + root) / a), ends.max(0))
    return np.maximum(side, lid), leave, np.where(side > lid, root / radius, np.abs(directions[:, 2]))


def candidates(centre: np.ndarray, reach: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ray, solid) of all pairs whose azimuths allow a hit: a solid's shadow on the horizon is an interval of the sorted azimuths."""
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    order = np.argsort(azimuth, kind="stable")
    twice = np.concatenate([azimuth[order], azimuth[order] + 2 * np.pi])
    offset = centre[:, :2] - origin[:2]
    away = np.hypot(offset[:, 0], offset[:, 1])
    half = np.where(away > reach, np.arcsin(np.minimum(reach / np.maximum(away, TINY), 1)) + 1e-9, np.pi)
    low = (np.arctan2(offset[:, 1], offset[:, 0]) - half + np.pi) % (2 * np.pi) - np.pi
    first, last = np.searchsorted(twice, low), np.searchsorted(twice, low + 2 * half, side="right")
    count = np.minimum(last - first, len(order))
    solid = np.repeat(np.arange(len(centre)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return order[(first[solid] + step) % len(order)], solid


def cast(boxes: Boxes, cylinders: Cylinders, origin: np.ndarray, directions: np.ndarray) -> Hits:
    """First hit of rays from `origin` (3,) along unit `directions` (r, 3); solids are numbered boxes first, then cylinders."""
    distance, solid, cosine = np.full(len(directions), np.inf), np.full(len(directions), -1), np.zeros(len(directions))
    for shapes, interval, base in ((boxes, box_interval, 0), (cylinders, cylinder_interval, len(boxes))):
        if not len(shapes):
            continue
        ray, index = candidates(shapes.centre, shapes.reach, origin, directions)
        enter, leave, facing = interval(shapes, index, origin, directions[ray])
        hit = (enter > 0) & (enter < leave)
        ray, index, enter, facing = ray[hit], index[hit], enter[hit], facing[hit]
        np.minimum.at(distance, ray, enter)
        first = enter == distance[ray]
        solid[ray[first]], cosine[ray[first]] = base + index[first], facing[first]
    return Hits(distance, solid, cosine)


def plane_distance(height: float, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Distance (r,) to the horizontal plane at `height`; inf where the ray does not go down to it."""
    down = directions[:, 2] < -TINY
    return np.where(down & (origin[2] > height), (height - origin[2]) / np.where(down, directions[:, 2], -1), np.inf)
