"""Bytes counted again pair by pair, the cache against an ordered dictionary, and the locality-aware order."""

from collections import OrderedDict

import numpy as np
import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.sparse.kernel_map import kernel_map
from tinylib.sparse.tensor import downsample
from tinylib.sparse.traffic import gather_trace, lru_misses, scatter_trace, traffic


def slow_misses(trace, capacity):
    cache, misses = OrderedDict(), 0
    for block in trace.tolist():
        if block in cache:
            cache.move_to_end(block)
            continue
        misses += 1
        cache[block] = True
        if len(cache) > capacity:
            cache.popitem(last=False)
    return misses


@pytest.mark.parametrize("seed", range(4))
def test_cache_equals_the_slow_one(seed):
    rng = np.random.default_rng(seed)
    trace = rng.integers(0, 30, 500)
    counts = [lru_misses(trace, capacity) for capacity in range(0, 34)]
    assert counts[1:] == [slow_misses(trace, capacity) for capacity in range(1, 34)]
    assert counts[0] == 500 and counts[33] == len(set(trace.tolist())), "no cache: every access; endless cache: every block once"
    assert counts == sorted(counts, reverse=True) and lru_misses(trace[:0], 5) == 0


def maps():
    coords = torch.unique(torch.randint(0, 9, (400, 4), generator=torch.Generator().manual_seed(0)) * torch.tensor([0, 1, 1, 1]), dim=0)
    return kernel_map(coords, coords, kernel=3), kernel_map(coords, downsample(coords, 2), kernel=3, stride=2)


def recount(kmap, c_in, c_out, order):
    """Reads and writes one pair at a time, without numpy."""
    pairs = [(j, k) for d in range(len(kmap.sizes)) if d != kmap.centre for j, k in zip(*(a.tolist() for a in kmap.offset(d)))]
    read, written, seen_in, seen_out = 0, 0, set(), set()
    for j, k in pairs:
        read += c_in * 4 if order == "offset" or j not in seen_in else 0
        written += c_out * 4 if order == "offset" or k not in seen_out else 0
        seen_in.add(j), seen_out.add(k)
    products = len(pairs) * c_out * 4
    return read, len(pairs) * c_in * 4, products + (written if order == "offset" else 0), written


@pytest.mark.parametrize("order", ["offset", "row"])
def test_bytes_equal_a_recount(order):
    for kmap in maps():
        t = traffic(kmap, 5, 7, order=order)
        assert (t.gather_read, t.gather_write, t.scatter_read, t.scatter_write) == recount(kmap, 5, 7, order)
        assert t.total == sum(recount(kmap, 5, 7, order))
        assert traffic(kmap, 5, 7, order=order, bytes_each=2).total * 2 == t.total


def test_traces_touch_every_pair_once_in_both_orders():
    for kmap in maps():
        skipped = 0 if kmap.centre is None else int(kmap.sizes[kmap.centre])
        for trace in (gather_trace, scatter_trace):
            a, b = (np.sort(trace(kmap, order=order)) for order in ("offset", "row"))
            assert np.array_equal(a, b) and len(a) == 2 * (kmap.pairs - skipped)


def test_without_a_cache_both_orders_miss_alike_and_an_endless_cache_misses_once():
    kmap = maps()[0]
    for trace in (gather_trace, scatter_trace):
        a, b = (trace(kmap, order=order) for order in ("offset", "row"))
        assert lru_misses(a, 0) == lru_misses(b, 0) == len(a)
        assert lru_misses(a, 10**6) == lru_misses(b, 10**6) == len(np.unique(a))
        assert lru_misses(b, 4) == len(np.unique(a)), "one row stays while it is in use: only the first touch misses"
        assert lru_misses(a, 4) > lru_misses(b, 4)


def test_bad_order_is_named():
    kmap = maps()[0]
    for call in (lambda: traffic(kmap, 1, 1, order="best"), lambda: gather_trace(kmap, order="best"), lambda: scatter_trace(kmap, order="best")):
        with pytest.raises(TinylibError, match="order"):
            call()
