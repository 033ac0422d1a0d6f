"""Sensors of the street: labels that fit the places, pictures that project back, paint that only cameras see, masks counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.datasets import streetsim
from tinylib.datasets.street_rays import Boxes, Cylinders
from tinylib.datasets.street_road import Line, Pose, road
from tinylib.datasets.street_scene import BUILDING, CAR, CLASSES, KERB, LINE, PAVEMENT, PEDESTRIAN, ROAD, SKY, Scene, look, scene, things
from tinylib.datasets.streetsim import Camera, Grid, Lidar, bev, camera, merged, rig, scan

EXACT = Lidar(noise=0.0, dropout=0.0)
STREET = scene(np.random.default_rng(0))
POSE = STREET.road.pose(60.0)


def plain(boxes=(), lines=(Line(0.0),)):
    """A straight, empty road of half width 6 with the boxes given as (centre, size, yaw, label)."""
    made = Boxes(*map(np.array, zip(*boxes))) if boxes else Boxes(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, int))
    none = Cylinders(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, int))
    return Scene(road(np.zeros(200), half_width=6.0, lines=lines, lane=-1.6), made, none)


def test_the_kerb():
    across = np.array([[0, 10.0, -1.8], [0, 5.0, -1.8], [0, 6.0, -1.7]])
    seen = look(plain(), np.array([20.0, 0, 1.8]), across / np.linalg.norm(across, axis=1, keepdims=True), paint=True)
    hit = seen.distance[:, None] * across / np.linalg.norm(across, axis=1, keepdims=True) + [0, 0, 1.8]
    assert seen.label.tolist() == [PAVEMENT, ROAD, PAVEMENT]
    assert np.allclose(hit, [[0, 1.65 / 0.18, KERB], [0, 5, 0], [0, 6, 0.1]]), "top, road, and the upright face"


def test_every_return_lies_on_what_its_label_says():
    got = scan(STREET, POSE, np.random.default_rng(1), EXACT)
    world = POSE.to_world(got.points.astype(float))
    s, d = STREET.road.locate(world[:, :2])
    road_, pavement = got.label == ROAD, got.label == PAVEMENT
    assert np.abs(world[road_, 2]).max() < 1e-5 and np.abs(d[road_]).max() <= STREET.road.half_width + 1e-3
    assert (np.abs(d[pavement]) >= STREET.road.half_width - 0.01).all() and (world[pavement, 2] <= KERB + 1e-5).all()
    solid = got.solid >= 0
    assert np.array_equal(STREET.labels[got.solid[solid]], got.label[solid]) and not (road_ | pavement)[solid].any()
    boxed = solid & (got.solid < len(STREET.boxes))
    index = got.solid[boxed]
    offset, yaw = world[boxed] - STREET.boxes.centre[index], STREET.boxes.yaw[index]
    local = np.column_stack([offset[:, 0] * np.cos(yaw) + offset[:, 1] * np.sin(yaw), -offset[:, 0] * np.sin(yaw) + offset[:, 1] * np.cos(yaw), offset[:, 2]])
    assert np.abs((np.abs(local) / (STREET.boxes.size[index] / 2)).max(1) - 1).max() < 1e-4, "on a face"
    assert set(np.unique(got.label)) == set(range(ROAD, LINE)), "every class but paint and sky"


def test_noise_and_lost_returns():
    clean = scan(STREET, POSE, np.random.default_rng(1), EXACT)
    noisy = scan(STREET, POSE, np.random.default_rng(1), Lidar(noise=0.05, dropout=0.3))
    assert abs(1 - len(noisy) / len(clean) - 0.3) < 0.02
    both = np.isin(clean.ray, noisy.ray)
    assert np.array_equal(clean.ray[both], noisy.ray)
    error = np.linalg.norm(noisy.points - clean.points[both], axis=1)
    assert abs(np.sqrt((error**2).mean()) - 0.05) < 0.003
    again = scan(STREET, POSE, np.random.default_rng(1), Lidar(noise=0.05, dropout=0.3))
    assert np.array_equal(again.points, noisy.points) and np.array_equal(again.intensity, noisy.intensity)


def test_the_lidar_does_not_see_paint():
    painted, bare = plain(lines=(Line(0.0), Line(2.0), Line(-2.0))), plain(lines=())
    one, other = (scan(s, Pose(20, 0, 0), np.random.default_rng(3)) for s in (painted, bare))
    assert np.array_equal(one.points, other.points) and np.array_equal(one.intensity, other.intensity) and LINE not in one.label
    assert (camera(painted, Pose(20, 0, 0)).label == LINE).sum() > 20 and not (camera(bare, Pose(20, 0, 0)).label == LINE).any()


@pytest.mark.parametrize("eye", [*rig(4), Camera(yaw=0.7, pitch=-0.2, place=(1.0, 0.4, 1.2), rows=20, columns=60, view_degrees=70)])
def test_pixels_project_back(eye):
    view = camera(STREET, POSE, eye)
    assert view.image.shape == (eye.rows, eye.columns, 3) and view.image.dtype == np.uint8
    row, column = np.nonzero(np.isfinite(view.depth))
    points = eye.directions().reshape(eye.rows, eye.columns, 3)[row, column] * view.depth[row, column, None] + eye.place
    pixels, depth = eye.project(points)
    assert np.allclose(pixels, np.column_stack([column, row]) + 0.5, atol=1e-6) and np.allclose(depth, view.depth[row, column])
    label, height = view.label[row, column], points[:, 2]
    assert (np.abs(height[np.isin(label, (ROAD, LINE))]) < 1e-4).all() and (view.label[~np.isfinite(view.depth)] == SKY).all()
    s, d = STREET.road.locate(POSE.to_world(points)[:, :2])
    sure = np.isin(label, (ROAD, LINE))
    assert (STREET.road.painted(s, d) == (label == LINE))[sure].mean() > 0.999


def test_left_is_left():
    eye = Camera()
    pixels, depth = eye.project(np.array([[10.0, 0, 0.6], [10, 2, 0.6], [10, 0, 3.0], [-10, 0, 1]]))
    assert abs(pixels[0, 0] - 48) < 1e-9 and pixels[1, 0] < 48 and pixels[2, 1] < pixels[0, 1] and depth[3] < 0 < depth[0]
    assert np.allclose([c.yaw for c in rig(4)], np.arange(4) * np.pi / 2)
    assert np.allclose(eye.rotation @ eye.rotation.T, np.eye(3)) and np.linalg.det(eye.rotation) == pytest.approx(1)


def by_loops(street, pose, grid, samples):
    """The masks, one place at a time."""
    out = np.zeros((4, grid.rows, grid.columns))
    boxes, _ = things(street, pose, within=100)
    for i in range(grid.rows):
        for j in range(grid.columns):
            for a in range(samples):
                for b in range(samples):
                    x = (i - grid.rows / 2 + (a + 0.5) / samples) * grid.cell + grid.ahead
                    y = (j - grid.columns / 2 + (b + 0.5) / samples) * grid.cell
                    s, d = street.road.locate(pose.to_world(np.array([[x, y]])))
                    out[0, i, j] += abs(d[0]) <= street.road.half_width
                    out[1, i, j] += abs(d[0]) <= street.road.half_width and street.road.painted(s, d)[0]
                    for centre, size, yaw, label in zip(boxes.centre, boxes.size, boxes.yaw, boxes.label):
                        u, v = x - centre[0], y - centre[1]
                        along, across = u * np.cos(yaw) + v * np.sin(yaw), -u * np.sin(yaw) + v * np.cos(yaw)
                        inside = np.hypot(u, v) <= size[0] / 2 if label == PEDESTRIAN else abs(along) <= size[0] / 2 and abs(across) <= size[1] / 2
                        out[2 if label == CAR else 3, i, j] += inside
    return np.stack([out[0] >= samples**2 / 2, *(out[1:] > 0)])


def test_masks_equal_loops_and_a_mirrored_map_is_seen():
    grid = Grid(14, 20, 1.0, ahead=-8.0)
    slow, quick = by_loops(STREET, POSE, grid, 2), bev(STREET, POSE, grid, samples=2).stacked()
    assert np.array_equal(slow, quick) and quick.any((1, 2)).all()
    assert not np.array_equal(slow, quick[:, :, ::-1])


def test_cars_stand_where_the_lidar_hits_them():
    grid = Grid(80, 80, 0.5)
    got, mask = scan(STREET, POSE, np.random.default_rng(1), EXACT), bev(STREET, POSE, grid).car
    cell = np.floor(got.points[:, :2] / grid.cell + [40, 40]).astype(int)
    on = (got.label == CAR) & ((cell >= 1) & (cell < 79)).all(1)
    near = np.stack([mask[cell[on, 0] + a, cell[on, 1] + b] for a in (-1, 0, 1) for b in (-1, 0, 1)]).any(0)
    assert on.sum() > 20 and near.all()


def test_merged_scans_agree_on_the_walls():
    cloud = merged(STREET, np.random.default_rng(0), EXACT, start=50.0, spacing=3.0, count=3)
    assert len(cloud) > 2 * len(scan(STREET, STREET.road.pose(50.0), np.random.default_rng(0), EXACT))
    world = STREET.road.pose(50.0).to_world(cloud.points.astype(float))
    assert np.abs(world[cloud.label == ROAD, 2]).max() < 1e-4
    _, d = STREET.road.locate(world[cloud.label == ROAD][:, :2])
    assert np.abs(d).max() <= STREET.road.half_width + 1e-3


@pytest.mark.parametrize("seed", range(8))
def test_the_lane_is_free_and_the_counts_hold(seed):
    street = scene(np.random.default_rng(seed), cars=12, pedestrians=9, poles=5, trees=4)
    counts = np.bincount(street.labels, minlength=len(CLASSES))
    assert (counts[CAR], counts[PEDESTRIAN], counts[5], counts[6]) == (12, 9, 5, 8) and counts[BUILDING] > 10
    for s in np.arange(0, street.road.length, 0.5):
        pose = street.road.pose(float(s))
        for centre, size, yaw, label in zip(street.boxes.centre, street.boxes.size, street.boxes.yaw, street.boxes.label):
            u, v = pose.x - centre[0], pose.y - centre[1]
            along, across = u * np.cos(yaw) + v * np.sin(yaw), -u * np.sin(yaw) + v * np.cos(yaw)
            assert abs(along) > size[0] / 2 or abs(across) > size[1] / 2 + 0.3, (CLASSES[label], s)
        assert (np.hypot(*(street.cylinders.centre - [pose.x, pose.y]).T) > street.cylinders.radius + 0.8).all(where=street.cylinders.bottom == 0)


def test_paint_is_not_tied_to_the_kerb():
    middles = np.array([scene(np.random.default_rng(seed)).road.lines[0].d for seed in range(40)])
    assert middles.std() > 0.3


def test_an_overfull_street_is_refused():
    with pytest.raises(TinylibError, match="too many"):
        scene(np.random.default_rng(0), length=80.0, cars=40)


def test_a_street_without_people():
    empty = scene(np.random.default_rng(0), cars=0, pedestrians=0, poles=0, trees=0)
    assert len(scan(empty, empty.road.pose(60.0), np.random.default_rng(0))) > 5000
    assert not bev(empty, empty.road.pose(60.0)).stacked()[2:].any()


@pytest.mark.parametrize("voxels", streetsim.CLOUDS)
def test_clouds_have_the_promised_size(voxels):
    points, size = streetsim.cloud(voxels, np.random.default_rng(7))
    assert abs(len(np.unique(np.floor(points / size), axis=0)) / voxels - 1) < 0.15


def test_lidar_rays_start_ahead_and_low():
    rays = replace(EXACT, beams=4, azimuths=8).directions()
    assert np.allclose(rays[0], [np.cos(np.deg2rad(-25)), 0, np.sin(np.deg2rad(-25))]) and rays[2, 1] > 0.9 and np.allclose(np.linalg.norm(rays, axis=1), 1)
    assert len(streetsim.COLOURS) == len(streetsim.REFLECTIVITY) == len(CLASSES)
