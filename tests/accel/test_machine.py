"""Queue, DRAM, SRAM and array against slow loops; the five checks and the audit, each shown to fail."""

from dataclasses import replace

import numpy as np
import pytest

from tinylib.accel import machine as parts
from tinylib.accel.audit import audit
from tinylib.accel.machine import Events, load_machine
from tinylib.core.errors import TinylibError

SMALL = load_machine("spatten_sixteenth")


def slow_schedule(rows, units, groups):
    out, ends = [], []
    for i, (unit, cycles, _, after, also) in enumerate(rows):
        waits = [0] + [e for (u, *_), (_, e) in zip(rows, ends) if u == unit]
        waits += [e for (_, _, g, *_), (_, e) in zip(rows[:i], ends) if g in (after, also) and g >= 0]
        ends.append((max(waits), max(waits) + cycles))
        out.append(ends[-1])
    return out


@pytest.mark.parametrize("seed", range(5))
def test_schedule_is_the_slow_one(seed):
    rng = np.random.default_rng(seed)
    rows = [(int(rng.integers(3)), int(rng.integers(6)), i // 3, int(rng.integers(-1, max(i // 3, 1))) if i >= 3 else -1, -1) for i in range(40)]
    unit, cycles, group, after, also = np.array(rows).T.copy()
    start, end = parts.schedule(unit, cycles, group, after, also, 3, 20)
    assert list(zip(start.tolist(), end.tolist())) == slow_schedule(rows, 3, 20)


def test_queue_of_depth_one_and_of_endless_depth():
    arrival, service = np.array([0, 0, 5, 100]), np.array([4, 4, 4, 4])
    start, end = parts.queue(arrival, service, 1)
    assert start.tolist() == [0, 4, 8, 100] and end.tolist() == [4, 8, 12, 104]
    assert parts.queue(arrival, service, 99)[1].tolist() == end.tolist()


def test_sram_limits_and_monotone():
    reads = [parts.sram_reads(10, 7, room) for room in range(12)]
    assert reads[0] == 70 and reads[10] == reads[11] == 10 and reads == sorted(reads, reverse=True)
    assert parts.sram_reads(10, 0, 3) == 0


def test_units_round_up():
    assert parts.dram_cycles(SMALL, 9) == 2 and parts.array_cycles(SMALL, 33) == 2 and parts.array_cycles(SMALL, 0) == 0


def log_of(change=None):
    events = Events()
    first, second = events.group(), events.group()
    events.add(0, parts.READ, 2, np.full(3, 16), first)
    events.add(4, parts.MAC, 5, 64, second, first)
    events.add(5, parts.PARTIAL_WRITE, 1, 8, second, second)
    events.add(5, parts.PARTIAL_READ, 1, 8, second, second)
    events.add(1, parts.WRITE, 2, 16, second, second)
    log = events.run(8)
    return replace(log, **change(log)) if change else log


def verdict(log, ideal_bytes=64, none_bytes=64):
    return parts.conservation(log, SMALL, compulsory_bytes=64, required_macs=64, ideal=log_of(), none=log_of(), no_reuse_bytes=none_bytes)


def test_a_sound_log_passes_both():
    assert verdict(log_of()) == [] and audit(log_of(), read_bytes=48, written_bytes=16, macs=64) == []


@pytest.mark.parametrize(("bug", "word"), [
    (lambda log: {"amount": np.where(log.kind == parts.READ, 8, log.amount)}, "compulsory"),
    (lambda log: {"amount": np.where(log.kind == parts.PARTIAL_READ, 4, log.amount)}, "read back"),
    (lambda log: {"amount": np.where(log.kind == parts.MAC, 63, log.amount)}, "MACs"),
    (lambda log: {"end": log.end * 0}, "bound")])
def test_planted_bugs_are_seen(bug, word):
    assert any(word in sentence for sentence in verdict(log_of(bug)))


def test_a_wrong_limit_is_seen():
    assert any("without a buffer" in sentence for sentence in verdict(log_of(), none_bytes=65))


@pytest.mark.parametrize("bug", [
    lambda log: {"start": log.start - (log.kind == parts.MAC) * 3}, lambda log: {"start": log.start * 0}, lambda log: {"end": log.start - 1},
    lambda log: {"amount": log.amount + (log.kind == parts.MAC)}])
def test_the_audit_sees_planted_bugs(bug):
    assert audit(log_of(bug), read_bytes=48, written_bytes=16, macs=64)


def test_machines_are_read_with_care(tmp_path, monkeypatch):
    with pytest.raises(TinylibError, match="no readable machine"):
        load_machine("nowhere")
    assert load_machine("spatten").bytes_per_cycle == 512
    assert SMALL.bytes_per_cycle * 16 == 512 and SMALL.multipliers * 16 == 512
