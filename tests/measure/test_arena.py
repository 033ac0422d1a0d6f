"""Lower bound and placement against brute force; invalid placements are seen."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.measure.arena import Buffer, Placement, conflict, live_bytes, lowest_gap, peak_bytes, place, place_in_order

buffers_strategy = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 8), st.integers(0, 5)).map(lambda t: Buffer("b", t[0], t[1], t[1] + t[2])), max_size=12)


def slow_peak(buffers):
    end = max((b.last for b in buffers), default=0)
    return max(sum(b.size for b in buffers if b.first <= step <= b.last) for step in range(end + 1)) if buffers else 0


@given(buffers_strategy, st.sampled_from([1, 4, 16]))
@settings(max_examples=150, deadline=None)
def test_place_is_valid_and_between_bounds(buffers, alignment):
    placement = place(buffers, alignment=alignment)
    assert conflict(buffers, placement) is None
    assert peak_bytes(buffers) == slow_peak(buffers) <= placement.arena_bytes <= sum(b.size + alignment for b in buffers)
    assert all(o % alignment == 0 for o in placement.offsets)


def test_hand_made():
    chain = [Buffer("x", 4, 0, 0), Buffer("y", 6, 0, 1), Buffer("z", 2, 1, 1)]
    assert live_bytes(chain).tolist() == [10, 8] and peak_bytes(chain) == 10 == place(chain).arena_bytes
    assert peak_bytes([]) == 0 == place([]).arena_bytes and live_bytes([]).tolist() == []


def test_equal_buffers_get_places_of_their_own():
    same = [Buffer("a", 8, 2, 3)] * 3
    placement = place(same)
    assert sorted(placement.offsets) == [0, 8, 16] and placement.arena_bytes == peak_bytes(same) == 24


def test_greedy_meets_the_best_order_on_small_cases():
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(20):
        first = rng.integers(0, 4, 5)
        buffers = [Buffer(str(i), int(rng.integers(1, 9)), int(f), int(f + rng.integers(0, 3))) for i, f in enumerate(first)]
        best = min(place_in_order(buffers, lambda b, o=order: (o.index(int(b.name)),)).arena_bytes for order in permutations(range(5)))
        gaps.append(place(buffers).arena_bytes / best)
        assert gaps[-1] >= 1
    assert np.mean(gaps) < 1.05


def test_a_placement_that_ignores_lifetimes_is_seen():
    buffers = [Buffer("x", 4, 0, 1), Buffer("y", 4, 1, 2), Buffer("z", 4, 2, 2)]
    assert conflict(buffers, Placement((0, 0, 4), 8)) == "x and y are alive together and overlap"
    assert conflict(buffers, Placement((0, 4, 0), 8)) is None
    assert "leaves" in conflict(buffers, Placement((0, 6, 0), 8))
    assert "offsets" in conflict(buffers, Placement((0,), 8))


def test_gap_search_skips_empty_buffers():
    assert lowest_gap([(0, 4), (2, 0), (8, 4)], 4) == 4
    assert lowest_gap([(0, 3), (8, 4)], 4, alignment=4) == 4


@pytest.mark.parametrize("size, first, last", [(-1, 0, 0), (1, 2, 1), (1, -1, 0)])
def test_impossible_buffers(size, first, last):
    with pytest.raises(TinylibError):
        Buffer("x", size, first, last)
