"""A road as a curve with a curvature, its lanes and paint; poses on the ground plane; a car that steers (kinematic bicycle).

World frame: metres, x and y on the ground, z up, angles in radians counter-clockwise. Along the road: s from its start, d to the left of its middle.
"""

from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.datasets.street_rays import turned

STEP = 0.5              # metres between the knots of a road
MARK = 4                # knots between two marks, from which places are found
PAINT = 0.3             # width of a painted line, metres
DASH = 3.0              # a dash and the gap after it, each


@dataclass(frozen=True)
class Pose:
    """Where a vehicle's rear axle stands: x and y in metres, yaw in radians (0 looks along x)."""

    x: float
    y: float
    yaw: float

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) or (n, 3) of the vehicle's frame (x ahead, y left, z up) in the world."""
        return np.column_stack([turned(points[:, :2], self.yaw) + [self.x, self.y], points[:, 2:]])

    def to_vehicle(self, points: np.ndarray) -> np.ndarray:
        """World points (n, 2) or (n, 3) in this vehicle's frame."""
        return np.column_stack([turned(points[:, :2] - [self.x, self.y], -self.yaw), points[:, 2:]])


@dataclass(frozen=True)
class Line:
    """A painted line at d metres left of the road's middle."""

    d: float
    dashed: bool = False


@dataclass(frozen=True)
class Road:
    """Knots every STEP metres: place (n, 2), heading (n,), curvature (n,) in 1/m; half the width of the asphalt; the lines; d of the lane to drive in."""

    place: np.ndarray
    heading: np.ndarray
    curvature: np.ndarray
    half_width: float
    lines: tuple[Line, ...]
    lane: float

    @property
    def length(self) -> float:
        """Metres from the first knot to the last."""
        return STEP * (len(self.heading) - 1)

    def at(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(place (n, 2), heading (n,), curvature (n,)) of the middle at s (n,); straight on beyond both ends."""
        s = np.asarray(s, float)
        inside = np.clip(s, 0, self.length)
        low = np.minimum((inside / STEP).astype(int), len(self.heading) - 2)
        part = inside - low * STEP
        change = (self.curvature[low + 1] - self.curvature[low]) / STEP
        curvature = self.curvature[low] + change * part
        turn = part * self.curvature[low] + change * part**2 / 2
        place = self.place[low] + _chord(self.heading[low], self.curvature[low], change, part)
        heading = self.heading[low] + turn
        beyond = s - inside
        return place + beyond[:, None] * _unit(heading), heading, np.where(beyond == 0, curvature, 0.0)

    def locate(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(s, d) of world points (n, 2), on the circle that touches the road at the nearest of its marks (every MARK knots): right to a millimetre."""
        marks = np.append(np.arange(0, len(self.heading) - 1, MARK), len(self.heading) - 1)
        place = self.place[marks]
        near = ((place**2).sum(1) - 2 * xy @ place.T).argmin(axis=1)
        (right, up), (x, y) = _unit(self.heading[marks]).T[:, near], (xy - place[near]).T
        along, left = right * x + up * y, right * y - up * x
        straight = ((near == 0) & (along < 0)) | ((near == len(marks) - 1) & (along > 0))
        k = np.where(straight, 0.0, self.curvature[marks][near])
        angle = np.arctan2(k * along, 1 - k * left)
        s = np.where(np.abs(k) < 1e-9, along, angle / np.where(np.abs(k) < 1e-9, 1, k))
        d = (2 * left - k * (along**2 + left**2)) / (1 + np.hypot(k * along, 1 - k * left))
        return STEP * marks[near] + s, d

    def pose(self, s: float, d: float | None = None) -> Pose:
        """Pose along the road at s, d metres left of its middle (None: in the lane)."""
        place, heading, _ = self.at(np.array([s]))
        x, y = place[0] + (self.lane if d is None else d) * _unit(heading + np.pi / 2)[0]
        return Pose(float(x), float(y), float(heading[0]))

    def painted(self, s: np.ndarray, d: np.ndarray) -> np.ndarray:
        """True (n,) where a line's paint covers (s, d)."""
        on = np.zeros(len(s), bool)
        for line in self.lines:
            on |= (np.abs(d - line.d) <= PAINT / 2) & ((s % (2 * DASH) < DASH) if line.dashed else True)
        return on

    def curvature_ahead(self, pose: Pose, distances: np.ndarray, d: float | None = None) -> np.ndarray:
        """Curvature (k,) in 1/m of the path at constant d (None: the lane), `distances` metres ahead of a pose, measured along the road's middle."""
        s, _ = self.locate(np.array([[pose.x, pose.y]]))
        curvature = self.at(s[0] + np.asarray(distances, float))[2]
        return curvature / (1 - curvature * (self.lane if d is None else d))


def road(curvature: np.ndarray, *, half_width: float, lines: tuple[Line, ...], lane: float) -> Road:
    """Road from the curvature (n,) at knots STEP apart, linear between them; starts at the origin, along x."""
    curvature = np.asarray(curvature, float)
    if len(curvature) < 2 or np.abs(curvature).max() * half_width >= 1:
        raise TinylibError("a road needs two knots or more and a radius above half its width: give a gentler curvature")
    change = np.diff(curvature)
    heading = np.concatenate([[0], np.cumsum(STEP * (curvature[:-1] + curvature[1:]) / 2)])
    place = np.concatenate([[[0, 0]], np.cumsum(_chord(heading[:-1], curvature[:-1], change / STEP, STEP), axis=0)])
    return Road(place, heading, curvature, half_width, tuple(lines), lane)


def drive(pose: Pose, *, speed: float, steering: float, seconds: float, wheelbase: float = 2.7) -> Pose:
    """Pose of a kinematic bicycle (rear axle) after `seconds` at constant speed (m/s) and steering angle (radians): an exact arc, for any length of step."""
    turn = speed * seconds * curvature_of(steering, wheelbase=wheelbase)
    chord = speed * seconds * np.sinc(turn / 2 / np.pi)
    return Pose(float(pose.x + chord * np.cos(pose.yaw + turn / 2)), float(pose.y + chord * np.sin(pose.yaw + turn / 2)), float(pose.yaw + turn))


def curvature_of(steering: float, *, wheelbase: float = 2.7) -> float:
    """Curvature in 1/m of the circle that a steering angle drives."""
    return float(np.tan(steering) / wheelbase)


def steering_of(curvature: float, *, wheelbase: float = 2.7) -> float:
    """Steering angle in radians for a curvature in 1/m."""
    return float(np.arctan(curvature * wheelbase))


def _unit(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _chord(heading: np.ndarray, curvature: np.ndarray, change: np.ndarray, length: np.ndarray | float) -> np.ndarray:
    """Vector (n, 2) from the start to the end of a piece of road whose curvature grows by `change` a metre; exact for a circle."""
    turn = curvature * length + change * length**2 / 2
    mean = heading + curvature * length / 2 + change * length**2 / 6
    return (length * np.sinc(turn / 2 / np.pi))[..., None] * _unit(mean)

