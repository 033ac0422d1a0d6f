"""The street simulator's sensors: a LiDAR and cameras that look along the same rays into one scene, and the map of it from above.

    rng = np.random.default_rng(0)
    street = scene(rng)                                 # street_scene: a road, boxes, cylinders
    pose = street.road.pose(60.0)                       # in the lane, 60 m from the start
    points = scan(street, pose, rng).points             # (n, 3) in the vehicle's frame: x ahead, y left, z up, origin on the ground
    views = [camera(street, pose, eye) for eye in rig(4)]
    masks = bev(street, pose)

Fully synthetic. Lines are paint: cameras see them, the LiDAR does not. Moving the vehicle: `street_road.drive`.
"""

from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.datasets.street_rays import turned
from tinylib.datasets.street_road import Pose
from tinylib.datasets.street_scene import CAR, LINE, PEDESTRIAN, ROAD, Scene, ground_label, look, scene, things

COLOURS = np.array([[92, 92, 98], [158, 150, 140], [176, 112, 84], [52, 96, 190], [212, 62, 72], [60, 60, 64], [58, 128, 62], [236, 232, 210], [172, 206, 236]])
REFLECTIVITY = np.array([0.25, 0.35, 0.55, 0.7, 0.45, 0.65, 0.4, 0.25, 0.0])          # of a LiDAR's pulse: paint reflects like the asphalt around it


@dataclass(frozen=True)
class Lidar:
    """Spinning LiDAR: beams between two elevations (degrees), azimuths a turn, height above ground, range, range noise and share of lost returns."""

    beams: int = 32
    azimuths: int = 360
    lowest: float = -25.0
    highest: float = 8.0
    height: float = 1.8
    reach: float = 60.0
    noise: float = 0.02
    dropout: float = 0.05

    def directions(self) -> np.ndarray:
        """Unit directions (beams * azimuths, 3) in the vehicle's frame; all azimuths of the lowest beam first, straight ahead at azimuth 0."""
        up = np.deg2rad(np.linspace(self.lowest, self.highest, self.beams))[:, None]
        round_ = 2 * np.pi * np.arange(self.azimuths)[None] / self.azimuths
        parts = np.cos(up) * np.cos(round_), np.cos(up) * np.sin(round_), np.sin(up) * np.ones_like(round_)
        return np.stack(parts, axis=-1).reshape(-1, 3)


@dataclass(frozen=True)
class Scan:
    """Returns of one turn: points (n, 3) float32 in the vehicle's frame; label (n,); intensity (n,) in [0, 1]; ray (n,) = beam * azimuths + azimuth; solid (n,)
    as numbered by the scene, -1 for the ground."""

    points: np.ndarray
    label: np.ndarray
    intensity: np.ndarray
    ray: np.ndarray
    solid: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def scan(scene: Scene, pose: Pose, rng: np.random.Generator, lidar: Lidar = Lidar()) -> Scan:
    """One turn of the LiDAR at a pose: noisy ranges, lost returns, labels of what was really hit (paint counts as road)."""
    local = lidar.directions()
    seen = look(scene, np.array([pose.x, pose.y, lidar.height]), pose.to_world(local) - [pose.x, pose.y, 0], paint=False)
    kept = np.flatnonzero((seen.distance < lidar.reach) & (rng.random(len(local)) >= lidar.dropout))
    distance = seen.distance[kept] + rng.normal(0, lidar.noise, len(kept))
    points = local[kept] * distance[:, None] + [0, 0, lidar.height]
    strength = REFLECTIVITY[seen.label[kept]] * (0.3 + 0.7 * seen.cosine[kept]) + rng.normal(0, 0.02, len(kept))
    return Scan(points.astype(np.float32), seen.label[kept], strength.clip(0, 1).astype(np.float32), kept, seen.solid[kept])


def merged(scene: Scene, rng: np.random.Generator, lidar: Lidar = Lidar(), *, start: float = 40.0, spacing: float = 2.0, count: int = 4) -> Scan:
    """`count` scans, `spacing` metres apart along the lane from s = `start`, as one cloud in the frame of the first pose."""
    first = scene.road.pose(start)
    poses = [scene.road.pose(start + i * spacing) for i in range(count)]
    parts = [scan(scene, pose, rng, lidar) for pose in poses]
    points = np.concatenate([first.to_vehicle(pose.to_world(part.points)) for pose, part in zip(poses, parts)]).astype(np.float32)
    return Scan(points, *(np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "intensity", "ray", "solid")))


CLOUDS = {7_500: (Lidar(), 0.25, 1), 38_000: (Lidar(64, 800), 0.1, 1), 76_000: (Lidar(64, 680), 0.1, 3)}       # voxels: LiDAR, voxel size, scans


def cloud(voxels: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(points (n, 3), voxel size in metres) of a fresh street with about so many occupied voxels, one of CLOUDS; within 15 % of it."""
    if voxels not in CLOUDS:
        raise TinylibError(f"voxels must be one of {tuple(CLOUDS)}, not {voxels}")
    lidar, size, count = CLOUDS[voxels]
    return merged(scene(rng), rng, lidar, spacing=4.0, count=count).points, size


@dataclass(frozen=True)
class Camera:
    """Pin-hole camera in the vehicle's frame: place (m), yaw and pitch (radians, pitch down positive), picture size in pixels, horizontal angle of view."""

    yaw: float = 0.0
    pitch: float = 0.1
    place: tuple[float, float, float] = (0.0, 0.0, 1.6)
    rows: int = 48
    columns: int = 96
    view_degrees: float = 90.0

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3): focal lengths and centre in pixels; pixel (row r, column c) has its middle at (c + 0.5, r + 0.5)."""
        focal = self.columns / 2 / np.tan(np.deg2rad(self.view_degrees) / 2)
        return np.array([[focal, 0, self.columns / 2], [0, focal, self.rows / 2], [0, 0, 1.0]])

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3): rows are the camera's axes right, down and forward in the vehicle's frame."""
        (cy, sy), (cp, sp) = ((np.cos(a), np.sin(a)) for a in (self.yaw, self.pitch))
        return np.array([[sy, -cy, 0], [-cy * sp, -sy * sp, -cp], [cy * cp, sy * cp, -sp]])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(pixels (n, 2) as column and row, depth (n,) along the axis in metres) of vehicle-frame points; behind the camera depth is negative."""
        seen = (points - np.array(self.place)) @ self.rotation.T
        flat = seen @ self.intrinsics.T
        depth = seen[:, 2]
        return flat[:, :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[:, None], depth

    def directions(self) -> np.ndarray:
        """Directions (rows * columns, 3) through the pixels' middles in the vehicle's frame, of depth 1 (not unit length)."""
        row, column = np.meshgrid(np.arange(self.rows) + 0.5, np.arange(self.columns) + 0.5, indexing="ij")
        pixels = np.stack([column, row, np.ones_like(row)], axis=-1).reshape(-1, 3)
        return pixels @ np.linalg.inv(self.intrinsics).T @ self.rotation


@dataclass(frozen=True)
class View:
    """A picture: image (h, w, 3) uint8, depth (h, w) float32 along the camera's axis in metres (inf: sky), label (h, w)."""

    image: np.ndarray
    depth: np.ndarray
    label: np.ndarray


def rig(count: int = 4) -> tuple[Camera, ...]:
    """Cameras all round: the first looks ahead, the next ones to its left in equal steps."""
    return tuple(Camera(yaw=2 * np.pi * i / count) for i in range(count))


def camera(scene: Scene, pose: Pose, eye: Camera = Camera()) -> View:
    """The picture of one camera: a colour for each class, darker where the surface turns away, a shade of its own for each solid."""
    local = eye.directions()
    length = np.linalg.norm(local, axis=1)
    origin = pose.to_world(np.array([eye.place]))[0]
    world = np.column_stack([turned(local[:, :2], pose.yaw), local[:, 2]]) / length[:, None]
    seen = look(scene, origin, world, paint=True)
    own = 0.82 + 0.18 * np.cos(2.4 * seen.solid)                                    # golden angle: neighbours differ
    light = np.where(seen.solid >= 0, (0.55 + 0.45 * seen.cosine) * own, 1.0)
    image = (COLOURS[seen.label] * light[:, None]).clip(0, 255).astype(np.uint8)
    shape = (eye.rows, eye.columns)
    return View(image.reshape(*shape, 3), (seen.distance / length).reshape(shape).astype(np.float32), seen.label.reshape(shape))


@dataclass(frozen=True)
class Grid:
    """Cells on the ground around the vehicle: row i covers x from (i - rows / 2) * cell, column j covers y from (j - columns / 2) * cell, plus `ahead` in x."""

    rows: int = 48
    columns: int = 48
    cell: float = 0.5
    ahead: float = 0.0

    def centres(self) -> np.ndarray:
        """(rows, columns, 2): x and y of the cells' middles in the vehicle's frame."""
        x = (np.arange(self.rows) + 0.5 - self.rows / 2) * self.cell + self.ahead
        y = (np.arange(self.columns) + 0.5 - self.columns / 2) * self.cell
        return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)


@dataclass(frozen=True)
class Bev:
    """Masks (rows, columns) from above, hidden parts too: half of the cell or more is asphalt; any of it is line, car, pedestrian."""

    drivable: np.ndarray
    line: np.ndarray
    car: np.ndarray
    pedestrian: np.ndarray

    def stacked(self) -> np.ndarray:
        """Bool (4, rows, columns) in the order drivable, line, car, pedestrian."""
        return np.stack([self.drivable, self.line, self.car, self.pedestrian])


def bev(scene: Scene, pose: Pose, grid: Grid = Grid(), *, samples: int = 3) -> Bev:
    """What lies where around a pose, judged at samples x samples places in each cell."""
    fine = Grid(grid.rows * samples, grid.columns * samples, grid.cell / samples, grid.ahead).centres()
    flat = fine.reshape(-1, 2)
    label = ground_label(scene.road, pose.to_world(flat))
    whole = lambda values: values.reshape(grid.rows, samples, grid.columns, samples)
    boxes, _ = things(scene, pose, within=float(np.hypot(*flat.T).max()) + 5)
    cover = {kind: _covered(flat, boxes.take(boxes.label == kind), round_=kind == PEDESTRIAN) for kind in (CAR, PEDESTRIAN)}
    return Bev(whole(np.isin(label, (ROAD, LINE))).mean((1, 3)) >= 0.5, whole(label == LINE).any((1, 3)),
               whole(cover[CAR]).any((1, 3)), whole(cover[PEDESTRIAN]).any((1, 3)))


def _covered(points: np.ndarray, boxes, *, round_: bool) -> np.ndarray:
    """True (n,) where a footprint covers points (n, 2)."""
    inside = np.zeros(len(points), bool)
    for centre, size, yaw in zip(boxes.centre, boxes.size, boxes.yaw):
        near = np.flatnonzero((np.abs(points - centre[:2]) <= size[:2].max()).all(1))
        offset = turned(points[near] - centre[:2], -yaw)
        inside[near] |= (offset**2).sum(1) <= (size[0] / 2) ** 2 if round_ else (np.abs(offset) <= size[:2] / 2).all(1)
    return inside
