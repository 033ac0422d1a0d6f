"""Ray casting against closed forms and against walking along each ray in small steps."""

import numpy as np
import pytest

from tinylib.datasets import street_rays
from tinylib.datasets.street_rays import Boxes, Cylinders, cast, plane_distance

NO_BOXES = Boxes(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, int))
NO_CYLINDERS = Cylinders(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, int))
WALL = Boxes(np.array([[5.0, 0, 1]]), np.array([[2.0, 4, 2]]), np.array([0.0]), np.array([2]))
POLE = Cylinders(np.array([[0.0, 6]]), np.array([0.5]), np.array([0.0]), np.array([3.0]), np.array([5]))
EYE = np.array([0.0, 0, 1])


def unit(*direction):
    return np.array([direction], float) / np.linalg.norm(direction)


def one(direction, boxes=WALL, cylinders=POLE, eye=EYE):
    hits = cast(boxes, cylinders, np.array(eye, float), unit(*direction))
    return hits.distance[0], hits.solid[0], hits.cosine[0]


def test_closed_forms():
    assert one((1, 0, 0)) == (4, 0, 1)                                           # the wall's face at x = 4
    assert one((0, 1, 0)) == (5.5, 1, 1)                                         # the pole's side, solid number after the boxes
    assert np.allclose(one((4, 1, 0)), (np.hypot(4, 1), 0, 4 / np.hypot(4, 1)))
    assert np.allclose(one((0, 1, -0.1), eye=(0, 0, 3.57))[:2], (5.7 * np.hypot(1, 0.1), 1))      # falls on the lid from above
    assert one((-1, 0, 0))[1] == one((4, 2.1, 0))[1] == one((0, 0, 1))[1] == -1   # behind, beside, up
    assert one((1, 0, 0), eye=(5, 0, 1))[1] == -1                                # from inside nothing is hit
    assert one((0, 0, -1), eye=(5, 0, 9))[:2] == (7, 0) and one((0, 0, -1), eye=(0, 6, 9))[:2] == (6, 1)
    diamond = Boxes(WALL.centre, np.array([[2.0, 2, 2]]), np.array([np.pi / 4]), WALL.label)
    assert np.allclose(one((1, 0, 0), diamond), (5 - np.sqrt(2), 0, np.sqrt(0.5)))


def test_plane():
    down = np.concatenate([unit(3, 0, -4), unit(1, 0, 0), unit(1, 0, 1)])
    assert np.allclose(plane_distance(0.0, np.array([0, 0, 2.0]), down), [2.5, np.inf, np.inf])
    assert np.isinf(plane_distance(3.0, np.array([0, 0, 2.0]), down)).all()


def drawn(seed):
    rng = np.random.default_rng(seed)
    boxes = Boxes(rng.uniform(-12, 12, (8, 3)), rng.uniform(0.5, 5, (8, 3)), rng.uniform(-4, 4, 8), np.zeros(8, int))
    cylinders = Cylinders(rng.uniform(-12, 12, (8, 2)), rng.uniform(0.3, 2, 8), rng.uniform(-6, 0, 8), rng.uniform(1, 6, 8), np.ones(8, int))
    directions = rng.normal(size=(300, 3))
    return boxes, cylinders, rng.uniform(-3, 3, 3), directions / np.linalg.norm(directions, axis=1, keepdims=True)


def inside(boxes, cylinders, points):
    """Bool (solids, m): which of the points (m, 3) are in which solid? One solid at a time, by the meaning of the words."""
    answer = []
    for centre, size, yaw in zip(boxes.centre, boxes.size, boxes.yaw):
        x, y, z = (points - centre).T
        along, across = x * np.cos(yaw) + y * np.sin(yaw), -x * np.sin(yaw) + y * np.cos(yaw)
        answer.append((abs(along) < size[0] / 2) & (abs(across) < size[1] / 2) & (abs(z) < size[2] / 2))
    for centre, radius, bottom, top in zip(cylinders.centre, cylinders.radius, cylinders.bottom, cylinders.top):
        x, y, z = points.T
        answer.append((np.hypot(x - centre[0], y - centre[1]) < radius) & (bottom < z) & (z < top))
    return np.array(answer)


STEP, REACH = 0.01, 25.0


def walked(boxes, cylinders, origin, direction):
    """(distance, solid) of the first solid entered, walking; solids around the origin do not count."""
    t = np.arange(STEP, REACH, STEP)
    within = inside(boxes, cylinders, origin + t[:, None] * direction) & ~inside(boxes, cylinders, origin[None])
    steps = np.flatnonzero(within.any(0))
    return (t[steps[0]], int(within[:, steps[0]].argmax())) if len(steps) else (np.inf, -1)


def disagreements(boxes, cylinders, origin, directions, hits):
    """Rays whose hit is not the walked one within a step. A corner thinner than a step may be walked past: then the hit must lie in its solid."""
    wrong = 0
    for direction, distance, solid in zip(directions, hits.distance, hits.solid):
        t, truth = walked(boxes, cylinders, origin, direction)
        same = truth == solid and (solid < 0 or -1e-9 <= t - distance <= STEP + 1e-9)
        past = distance < t and inside(boxes, cylinders, origin[None] + (distance + 1e-6) * direction)[solid, 0]
        wrong += not same and not past and not distance > REACH
    return wrong


def test_casting_equals_walking_and_a_wrong_turn_is_seen():
    boxes, cylinders, origin, directions = drawn(0)
    hits = cast(boxes, cylinders, origin, directions)
    assert (hits.solid >= 8).any() and ((hits.solid >= 0) & (hits.solid < 8)).any() and (hits.solid < 0).any()
    assert disagreements(boxes, cylinders, origin, directions, hits) == 0
    other_way = Boxes(boxes.centre, boxes.size, -boxes.yaw, boxes.label)
    assert disagreements(boxes, cylinders, origin, directions, cast(other_way, cylinders, origin, directions)) > 0


def every_pair(centre, reach, origin, directions):
    solid, ray = np.divmod(np.arange(len(centre) * len(directions)), len(directions))
    return ray, solid


@pytest.mark.parametrize("seed", range(6))
def test_leaving_out_pairs_loses_no_hit(seed, monkeypatch):
    case = drawn(seed)
    quick, chosen = cast(*case), street_rays.candidates
    monkeypatch.setattr(street_rays, "candidates", every_pair)
    slow = cast(*case)
    assert all(np.array_equal(getattr(quick, name), getattr(slow, name)) for name in ("distance", "solid", "cosine"))
    monkeypatch.setattr(street_rays, "candidates", lambda centre, reach, *rest: chosen(centre, reach / 2, *rest))
    assert not np.array_equal(cast(*case).solid, slow.solid), "half the reach must be noticed"


def test_no_solids():
    hits = cast(NO_BOXES, NO_CYLINDERS, EYE, unit(1, 0, 0))
    assert np.isinf(hits.distance).all() and (hits.solid == -1).all()
