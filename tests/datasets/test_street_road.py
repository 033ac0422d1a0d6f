"""Roads and driving: circles where circles are due, and places found again."""

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.datasets.street_road import Line, Pose, curvature_of, drive, road, steering_of

BENT = np.interp(np.arange(0, 160, 0.5), np.arange(0, 180, 20), np.random.default_rng(0).uniform(-1 / 40, 1 / 40, 9))


def made(curvature, **changes):
    return road(curvature, **({"half_width": 6.0, "lines": (Line(0.0),), "lane": -1.6} | changes))


def test_constant_curvature_is_a_circle():
    way = made(np.full(201, 1 / 30))
    s = np.linspace(0, way.length, 77)
    place, heading, curvature = way.at(s)
    assert np.allclose(place, 30 * np.column_stack([np.sin(s / 30), 1 - np.cos(s / 30)]), atol=1e-9)
    assert np.allclose(heading, s / 30, atol=1e-12) and np.allclose(curvature, 1 / 30)
    found_s, d = way.locate(place + 3 * np.column_stack([-np.sin(heading), np.cos(heading)]))
    assert np.allclose(found_s, s, atol=1e-9) and np.allclose(d, 3, atol=1e-9)


def by_small_steps(curvature, s):
    """Heading and place by Euler steps of a millimetre."""
    fine = np.arange(0, s, 1e-3)
    heading = np.concatenate([[0], np.cumsum(np.interp(fine, np.arange(len(curvature)) * 0.5, curvature) * 1e-3)])
    return heading[-1], np.array([np.cos(heading[:-1]).sum(), np.sin(heading[:-1]).sum()]) * 1e-3


@pytest.mark.parametrize("s", [0.7, 33.3, 120.0])
def test_a_bending_road_equals_small_steps(s):
    place, heading, _ = made(BENT).at([s])
    slow_heading, slow_place = by_small_steps(BENT, s)
    assert abs(heading[0] - slow_heading) < 1e-4 and np.abs(place[0] - slow_place).max() < 2e-3
    assert np.abs(by_small_steps(-BENT, s)[1] - place[0]).max() > 2e-3 or s < 1


def test_places_are_found_again():
    way, rng = made(BENT), np.random.default_rng(1)
    s, d = rng.uniform(-20, way.length + 20, 500), rng.uniform(-12, 12, 500)
    place, heading, _ = way.at(s)
    found_s, found_d = way.locate(place + d[:, None] * np.column_stack([-np.sin(heading), np.cos(heading)]))
    assert np.abs(found_d - d).max() < 2e-3 and np.abs(found_s - s).max() < 0.02
    pose = way.pose(50.0)
    assert np.allclose(way.locate(np.array([[pose.x, pose.y]])), [[50], [-1.6]], atol=2e-3)


def test_paint():
    way = made(np.zeros(100), lines=(Line(0.0, dashed=True), Line(-3.0)))
    s, d = np.array([1.0, 4, 1, 1, 4]), np.array([0.1, 0, 0.2, -3.1, -2.9])
    assert way.painted(s, d).tolist() == [True, False, False, True, True]


def test_the_path_curves_more_on_the_inside():
    way = made(np.full(201, 1 / 30), lane=2.0)
    assert np.allclose(way.curvature_ahead(way.pose(10.0), [0, 5, 20]), 1 / 28)
    assert np.allclose(way.curvature_ahead(way.pose(95.0), [10.0]), 0), "straight beyond the end"


def test_constant_steering_drives_a_circle():
    steering, start = 0.2, Pose(1.0, 2, 0.5)
    radius = 2.7 / np.tan(steering)
    centre = np.array([1 - radius * np.sin(0.5), 2 + radius * np.cos(0.5)])
    pose = start
    for _ in range(40):
        pose = drive(pose, speed=7.0, steering=steering, seconds=0.1)
        assert np.hypot(*(np.array([pose.x, pose.y]) - centre)) == pytest.approx(radius, abs=1e-9)
    whole = drive(start, speed=7.0, steering=steering, seconds=4.0)
    assert np.allclose([pose.x, pose.y, pose.yaw], [whole.x, whole.y, whole.yaw], atol=1e-9), "small steps and one step agree"
    round_ = drive(start, speed=2 * np.pi * radius, steering=steering, seconds=1.0)
    assert np.allclose([round_.x, round_.y, round_.yaw - 2 * np.pi], [1, 2, 0.5], atol=1e-9)
    back = drive(drive(start, speed=5.0, steering=0.0, seconds=2.0), speed=-5.0, steering=0.0, seconds=2.0)
    assert np.allclose([back.x, back.y], [1, 2])
    assert curvature_of(steering_of(0.04)) == pytest.approx(0.04)


def test_frames_go_there_and_back():
    pose, points = Pose(3.0, -2, 2.1), np.random.default_rng(0).normal(size=(20, 3))
    assert np.allclose(pose.to_vehicle(pose.to_world(points)), points)
    assert np.allclose(pose.to_world(np.array([[1.0, 0, 5]])), [[3 + np.cos(2.1), -2 + np.sin(2.1), 5]])
    assert pose.to_vehicle(points[:, :2]).shape == (20, 2)


def test_too_tight_a_road_is_refused():
    with pytest.raises(TinylibError, match="gentler"):
        made(np.full(10, 0.2))
