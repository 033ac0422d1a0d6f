"""A street drawn at random: a bending road with kerbs, buildings on both sides, cars, pedestrians, poles and trees.

Where the painted lines lie is drawn apart from where the kerbs lie, so that nobody can infer the paint from the geometry.
"""

from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.datasets.street_rays import Boxes, Cylinders, cast, plane_distance
from tinylib.datasets.street_road import STEP, Line, Pose, Road, road

CLASSES = ("road", "pavement", "building", "car", "pedestrian", "pole", "tree", "line", "sky")
ROAD, PAVEMENT, BUILDING, CAR, PEDESTRIAN, POLE, TREE, LINE, SKY = range(len(CLASSES))
KERB = 0.15             # height of the pavement above the road, metres
PAVEMENT_WIDTH = 3.5
FAR = 1e3               # metres: ground beyond is not drawn


@dataclass(frozen=True)
class Scene:
    """A road and the solids beside and on it; solid number i is box i, then cylinder i - len(boxes)."""

    road: Road
    boxes: Boxes
    cylinders: Cylinders

    @property
    def labels(self) -> np.ndarray:
        """Class of every solid."""
        return np.concatenate([self.boxes.label, self.cylinders.label])


@dataclass(frozen=True)
class Seen:
    """What rays from one point hit: distance (r,) in metres (inf: sky), label (r,), solid (r,) (-1: ground or sky), cosine (r,) to the surface's normal."""

    distance: np.ndarray
    label: np.ndarray
    solid: np.ndarray
    cosine: np.ndarray


def scene(rng: np.random.Generator, *, length: float = 160.0, bend: float = 1 / 40, cars: int = 16, pedestrians: int = 16, poles: int = 10,
          trees: int = 10) -> Scene:
    """A street of `length` metres whose curvature stays within +-bend (1/m); TinylibError when the counts do not fit."""
    if max(cars, poles, trees, pedestrians) > length // 4 or length < 40:
        raise TinylibError("too many things for this street: raise length (40 m at least) or lower the counts (one of a kind in four metres)")
    way = _random_road(rng, length, bend)
    boxes = [*_buildings(rng, way, 1), *_buildings(rng, way, -1), *_cars(rng, way, cars)]
    rounds = [*_pedestrians(rng, way, pedestrians), *_poles(rng, way, poles), *_trees(rng, way, trees)]
    return Scene(way, Boxes(*map(np.array, zip(*boxes))), Cylinders(*map(np.array, zip(*rounds))) if rounds else
                 Cylinders(np.zeros((0, 2)), *np.zeros((3, 0)), np.zeros(0, int)))


def look(scene: Scene, origin: np.ndarray, directions: np.ndarray, *, paint: bool) -> Seen:
    """First thing that each ray (unit directions (r, 3)) from a point (3,) of the world meets; lines count as road unless `paint`."""
    hits = cast(scene.boxes, scene.cylinders, origin, directions)
    distance, label = _ground(scene.road, origin, directions, hits.distance, paint)
    nearer = hits.distance < distance
    found = np.where(np.isfinite(distance), label, SKY)
    return Seen(np.minimum(hits.distance, distance), np.where(nearer, np.append(scene.labels, SKY)[hits.solid], found).astype(np.uint8),
                np.where(nearer, hits.solid, -1).astype(np.int16), np.where(nearer, hits.cosine, np.abs(directions[:, 2])))


def _ground(way: Road, origin: np.ndarray, directions: np.ndarray, limit: np.ndarray, paint: bool) -> tuple[np.ndarray, np.ndarray]:
    """(distance, label) of the ground nearer than `limit`: pavement at KERB height beside the asphalt at 0, and between them the kerb's upright face."""
    distance, label = np.full(len(directions), np.inf), np.full(len(directions), PAVEMENT)
    upper = plane_distance(KERB, origin, directions)
    down = np.flatnonzero(upper < np.minimum(limit, FAR))
    if not len(down):
        return distance, label
    upper, lower = upper[down], plane_distance(0.0, origin, directions[down])
    flat = directions[down, :2]
    over = np.abs(way.locate(origin[:2] + upper[:, None] * flat)[1])
    s, d = way.locate(origin[:2] + lower[:, None] * flat)
    under, edge = np.abs(d), way.half_width
    part = np.clip((edge - over) / np.where(under > over, under - over, 1), 0, 1)
    distance[down] = np.where(over > edge, upper, np.where(under > edge, upper + part * (lower - upper), lower))
    asphalt = (over <= edge) & (under <= edge)
    label[down[asphalt]] = ROAD
    if paint:
        label[down[asphalt & way.painted(s, d)]] = LINE
    return distance, label


def ground_label(way: Road, xy: np.ndarray) -> np.ndarray:
    """Class (n,) of the ground at world points (n, 2): road, line or pavement."""
    s, d = way.locate(xy)
    return np.where(np.abs(d) > way.half_width, PAVEMENT, np.where(way.painted(s, d), LINE, ROAD))


def things(scene: Scene, pose: Pose, *, within: float) -> tuple[Boxes, np.ndarray]:
    """(boxes, solids): cars and pedestrians nearer than `within` metres as boxes in the vehicle's frame, and their numbers as solids."""
    c = scene.cylinders
    middle = np.column_stack([c.centre, (c.bottom + c.top) / 2])
    size = np.column_stack([2 * c.radius, 2 * c.radius, c.top - c.bottom])
    every = Boxes(np.concatenate([scene.boxes.centre, middle]), np.concatenate([scene.boxes.size, size]),
                  np.concatenate([scene.boxes.yaw, np.full(len(c), pose.yaw)]), scene.labels)
    here = pose.to_vehicle(every.centre)
    kept = np.flatnonzero(np.isin(every.label, (CAR, PEDESTRIAN)) & (np.hypot(here[:, 0], here[:, 1]) < within))
    return Boxes(here[kept], every.size[kept], (every.yaw[kept] - pose.yaw + np.pi) % (2 * np.pi) - np.pi, every.label[kept]), kept


def _random_road(rng: np.random.Generator, length: float, bend: float) -> Road:
    knots = np.arange(0, length + STEP, STEP)
    corners = np.arange(0, length + 20, 20)
    curvature = np.interp(knots, corners, rng.uniform(-bend, bend, len(corners)))
    half = rng.uniform(5.6, 7.0)
    middle, edge = rng.uniform(-0.8, 0.8), rng.uniform(2.9, 3.4)          # lanes need not lie in the middle between the kerbs
    borders = [Line(middle + side * edge) for side in (-1, 1) if rng.random() < 0.7]
    return road(curvature, half_width=half, lines=(Line(middle, dashed=bool(rng.random() < 0.6)), *borders), lane=middle - edge / 2)


def _slots(rng: np.random.Generator, way: Road, count: int, spacing: float, sides: tuple[int, ...] = (-1, 1)) -> list[tuple[float, int]]:
    """`count` places (s, side) of a grid along the sides, no two the same (fewer when the grid is smaller)."""
    grid = [(s, side) for s in np.arange(spacing / 2, way.length, spacing) for side in sides]
    return [grid[i] for i in rng.permutation(len(grid))[:count]]


def _beside(way: Road, s: float, d: float) -> tuple[np.ndarray, float]:
    pose = way.pose(float(s), float(d))
    return np.array([pose.x, pose.y]), pose.yaw


def _buildings(rng: np.random.Generator, way: Road, side: int):
    s = -15.0
    while s < way.length + 15:
        size = np.array([rng.uniform(8, 15), rng.uniform(7, 10), rng.uniform(4, 14)])
        back = rng.uniform(0, 1.5)
        xy, yaw = _beside(way, s + size[0] / 2, side * (way.half_width + PAVEMENT_WIDTH + back + size[1] / 2))
        yield np.array([*xy, size[2] / 2]), size, yaw, BUILDING
        s += size[0] + rng.choice([0.3, 2.0, 6.0])


def _cars(rng: np.random.Generator, way: Road, count: int):
    """Three in four are parked at a kerb; the others come towards us in the left lane."""
    oncoming = count // 4
    left = way.lines[0].d * 2 - way.lane
    places = [(s, side * (way.half_width - 1.1), 0.03) for s, side in _slots(rng, way, count - oncoming, 6.5)]
    places += [(s, left, 0.02) for s, _ in _slots(rng, way, oncoming, 9.0, (1,))]
    for s, d, sway in places:
        size = np.array([rng.uniform(3.8, 4.8), rng.uniform(1.65, 1.9), rng.uniform(1.4, 1.75)])
        xy, yaw = _beside(way, s, d)
        yield np.array([*xy, 0.2 + size[2] / 2]), size, yaw + rng.normal(0, sway), CAR


def _pedestrians(rng: np.random.Generator, way: Road, count: int):
    for s, side in _slots(rng, way, count, 3.0):
        d = side * (way.half_width + rng.uniform(0.6, PAVEMENT_WIDTH - 0.4)) if rng.random() < 0.85 else way.half_width - rng.uniform(2.5, 4)
        xy, _ = _beside(way, s + rng.uniform(-1, 1), d)
        yield xy, rng.uniform(0.25, 0.35), 0.0, rng.uniform(1.5, 1.9), PEDESTRIAN


def _poles(rng: np.random.Generator, way: Road, count: int):
    for s, side in _slots(rng, way, count, 8.0):
        yield _beside(way, s, side * (way.half_width + 0.4))[0], rng.uniform(0.06, 0.12), 0.0, rng.uniform(3, 6), POLE


def _trees(rng: np.random.Generator, way: Road, count: int):
    """A trunk, and a crown above the heads."""
    for s, side in _slots(rng, way, count, 10.0):
        xy, _ = _beside(way, s + 2, side * (way.half_width + rng.uniform(0.8, 1.6)))
        stem = rng.uniform(2.2, 3)
        yield xy, rng.uniform(0.12, 0.22), 0.0, stem, TREE
        yield xy, rng.uniform(0.9, 1.6), stem, stem + rng.uniform(1.5, 3), TREE
