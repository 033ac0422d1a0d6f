"""The SpAtten machine: bytes by hand, five checks, audit, top-k engine against sort, Monte Carlo of its rounds."""

from dataclasses import replace

import numpy as np
import pytest

from tinylib.accel.audit import audit
from tinylib.accel.machine import MAC, READ, WRITE, conservation, load_machine
from tinylib.accel.spatten import (
    Work,
    dense_work,
    dram_bytes,
    expected_top_k_cycles,
    macs,
    no_reuse_bytes,
    quick_select,
    required_bytes,
    simulate,
    simulated,
    top_k_cycles,
)
from tinylib.core.errors import TinylibError

SMALL = load_machine("spatten_sixteenth")


def random_work(rng):
    layers, heads = 3, 4
    n = np.sort(rng.integers(2, 30, layers))[::-1].copy()
    m = n if rng.random() < 0.5 else np.ones(layers, int)
    live = np.cumprod(rng.random((layers, heads)) < 0.8, 0)
    live[:, 0] = 1
    uses = np.maximum(n // 2, 1)[:, None] * m[:, None] * live
    rows = np.minimum(n[:, None], uses) * live
    asked = rng.integers(0, 2, (layers, heads)) * m[:, None] * live
    return Work(m, n, rows, uses, asked, 16, 8, 4)


def by_hand_work():
    """Four tokens, one layer, two heads of 16 numbers; the second head is pruned; one of four queries fetches 4 more bits."""
    return Work(np.array([4]), np.array([4]), np.array([[3, 0]]), np.array([[8, 0]]), np.array([[1, 0]]), 16, 8, 4)


def test_four_tokens_by_hand():
    # rows: 16 bytes high, 8 low, 24 full. q 4*16 + 1*8; k 4*16 + 4*8; v 3*16 + 3*8; out 4*24
    assert dram_bytes(by_hand_work()) == {"q": 72, "k": 96, "v": 72, "out": 96}
    assert macs(by_hand_work()) == (4 * 4 + 1 * 4 + 8) * 16
    log = simulate(by_hand_work(), SMALL)
    assert log.total(READ) == 240 and log.total(WRITE) == 96 and log.total(MAC) == macs(by_hand_work())


@pytest.mark.parametrize("seed", range(12))
def test_five_checks_and_the_audit(seed):
    work = random_work(np.random.default_rng(seed))
    log, ideal, none = (simulate(work, SMALL, buffer_bytes=b) for b in (None, 10**9, 0))
    assert conservation(log, SMALL, compulsory_bytes=required_bytes(work), required_macs=macs(work), ideal=ideal, none=none,
                        no_reuse_bytes=no_reuse_bytes(work)) == []
    parts = dram_bytes(work)
    assert audit(log, read_bytes=parts["q"] + parts["k"] + parts["v"], written_bytes=parts["out"], macs=macs(work)) == []
    assert log.cycles <= (log.end - log.start).sum()


def test_a_lost_row_is_seen():
    work = by_hand_work()
    log = simulate(work, SMALL)
    short = replace(log, amount=np.where(np.arange(len(log)) == 0, 0, log.amount))
    assert audit(short, read_bytes=240, written_bytes=96, macs=macs(work))


def test_traffic_falls_as_the_buffer_grows():
    work = random_work(np.random.default_rng(3))
    moved = [simulate(work, SMALL, buffer_bytes=b).total(READ) for b in (0, 64, 128, 256, 512, 10**6)]
    assert moved == sorted(moved, reverse=True)


def test_generation_waits_for_memory_and_reading_for_multipliers():
    """The roofline: with one query the bandwidth bound is above the compute bound, with many below."""
    one = simulated(dense_work(1024, 1, 4, 64, queries=1, bits=12), load_machine("spatten"))
    many = simulated(dense_work(1024, 1, 4, 64, queries=256, bits=12), load_machine("spatten"))
    assert one["bandwidth_bound"] > one["compute_bound"] and many["bandwidth_bound"] < many["compute_bound"]
    assert one["cycles"] <= 1.5 * one["bandwidth_bound"]


def by_sort(values, k):
    return sorted(sorted(range(len(values)), key=lambda i: (-values[i], i))[:k])


@pytest.mark.parametrize("seed", range(20))
def test_top_k_engine_is_sort_with_ties(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, int(rng.integers(1, 40))).tolist()
    for k in range(len(values) + 1):
        assert quick_select(values, k, rng)[0] == by_sort(values, k)


def test_top_k_engine_extremes():
    rng = np.random.default_rng(0)
    assert quick_select([], 0, rng) == ([], []) and quick_select([5, 5, 5], 2, rng)[0] == [0, 1]
    with pytest.raises(TinylibError, match="cannot keep"):
        quick_select([1], 2, rng)


def test_a_threshold_would_keep_too_many():
    assert by_sort([2, 2, 1], 1) != [i for i, v in enumerate([2, 2, 1]) if v >= 2]


@pytest.mark.parametrize(("n", "k"), [(48, 24), (200, 20), (200, 100), (64, 1)])
def test_expected_rounds_agree_with_monte_carlo(n, k):
    rng = np.random.default_rng(n + k)
    cycles = [top_k_cycles(quick_select(rng.permutation(n).tolist(), k, rng)[1], SMALL) for _ in range(400)]
    assert expected_top_k_cycles(n, k, SMALL) == pytest.approx(np.mean(cycles), rel=0.1)
