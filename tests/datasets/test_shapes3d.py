"""Shapes3d: surfaces are where they should be, points go by area, clouds are seeded and inside the ball."""

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.datasets import shapes3d
from tinylib.datasets.shapes3d import CLASSES, JITTER, PARTS, bow, box, cloud, disc, in_unit_ball, make_split, shares, tube, turned


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_box_has_points_on_its_faces_by_area():
    surface = box("x", (1, 2, 4), (5, 6, 7))
    points = np.abs(surface.sample(20_000, rng()) - (5, 6, 7)) / (0.5, 1, 2)
    assert np.allclose(points.max(1), 1) and surface.area == 2 * (2 + 4 + 8)
    share = np.isclose(points, 1).mean(0)
    assert np.allclose(share, np.array([8, 4, 2]) / 14, atol=0.015)
    even = np.full(3, 1 / 3)                    # planted bug: every face alike
    assert not np.allclose(share, even, atol=0.05)


def test_tubes_discs_and_bows_lie_on_their_surfaces():
    wall = tube("x", (0, 0, 1), (0, 0, 4), 0.5, 1.5)
    points = wall.sample(30_000, rng())
    radius, height = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
    assert np.allclose(radius, 0.5 + (height - 1) / 3) and wall.area == pytest.approx(np.pi * 2 * np.hypot(3, 1))
    assert (height > 2.5).mean() == pytest.approx((1.5 + 1.0) / 2 / ((0.5 + 1.0) / 2 + (1.5 + 1.0) / 2), abs=0.01), "wide half: more points"
    plate = disc("x", (1, 1, 1), 2).sample(20_000, rng()) - 1
    assert np.allclose(plate[:, 2], 0) and (np.hypot(*plate[:, :2].T) < 1).mean() == pytest.approx(1 / 4, abs=0.01)
    ring = bow("x", (0, 0, 0), 2, 0.3).sample(1000, rng())
    assert np.allclose(np.hypot(np.hypot(ring[:, 0], ring[:, 2]) - 2, ring[:, 1]), 0.3) and ring[:, 0].min() > -1e-9


def test_rotations_are_rotations():
    matrix = turned(rng())
    assert np.allclose(matrix @ matrix.T, np.eye(3)) and np.linalg.det(matrix) == pytest.approx(1)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_cloud_has_all_parts_of_its_class_and_no_others(kind):
    points, parts = cloud(kind, 512, rng())
    assert points.shape == (3, 512) and points.dtype == np.float32
    assert {PARTS[p] for p in parts} == {f"{kind} {part}" for part in shapes3d.PARTS_OF[kind]}
    assert np.linalg.norm(points, axis=0).max() < 1 + 6 * JITTER
    still, _ = cloud(kind, 512, rng(), jitter=0.0)
    assert np.linalg.norm(still, axis=0).max() == pytest.approx(1, abs=1e-6) and np.abs(still.mean(1)).max() < 1e-6


def test_the_same_seed_gives_the_same_clouds_and_another_others():
    one, same, other = make_split(5, rng(3)), make_split(5, rng(3)), make_split(5, rng(4))
    assert np.array_equal(one.points, same.points) and np.array_equal(one.parts, same.parts)
    assert not np.array_equal(one.points, other.points) and sorted(one.kinds) == list(range(5))


def test_shares_sum_up_and_leave_none_out():
    counts = shares(np.array([1.0, 1.0, 98.0]), 100)
    assert counts.sum() == 100 and counts.min() >= 2
    assert shares(np.array([3.0, 1.0]), 400).tolist() == [300, 100]


def test_splits_differ_and_thin_parts_are_parts():
    train, val, test = shapes3d.load(train=5, val=5, test=10)
    assert (len(train), len(val), len(test)) == (5, 5, 10) and not np.array_equal(train.points, val.points)
    assert set(shapes3d.THIN) <= set(PARTS)


def test_degenerate_and_unknown():
    assert np.array_equal(in_unit_ball(np.ones((4, 3))), np.zeros((4, 3)))
    with pytest.raises(TinylibError, match="table"):
        cloud("sofa", 10, rng())
