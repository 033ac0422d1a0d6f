"""Machines as data, an event log, models of DRAM, SRAM, queue and array, and five checks that every simulator must pass.

An event occupies one unit for some cycles. It starts when its unit is free (events of a unit run in the order of the list) and when
every event of the two groups it waits for has ended. That is all the timing there is; the rest is which events a design makes.
"""

import tomllib
from dataclasses import dataclass, fields

import numba
import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir

KINDS = ("read", "write", "mac", "softmax", "top_k", "partial_write", "partial_read")
READ, WRITE, MAC, SOFTMAX, TOP_K, PARTIAL_WRITE, PARTIAL_READ = range(7)


@dataclass(frozen=True)
class Machine:
    """A design in numbers; see `data/machines/`. Bytes a cycle are of one channel; `buffers` is how many blocks may be under way."""

    name: str
    kind: str
    source: str
    checked: str
    clock_hz: int
    channels: int
    channel_bytes_per_cycle: int
    multipliers: int
    softmax_lanes: int
    softmax_latency: int
    comparators: int
    round_latency: int
    buffer_bytes: int
    buffers: int

    @property
    def bytes_per_cycle(self) -> int:
        """All channels together."""
        return self.channels * self.channel_bytes_per_cycle


def load_machine(name: str) -> Machine:
    """Machine of `data/machines/<name>.toml`; TinylibError when the file is missing or a number is missing or not above 0."""
    path = data_dir() / "machines" / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TinylibError(f"no readable machine {path.name} in {path.parent}") from error
    wanted = {f.name: f.type for f in fields(Machine)}
    if set(values) != set(wanted):
        raise TinylibError(f"{path.name}: missing or unknown {sorted(set(values) ^ set(wanted))}")
    if not all(values[key] > 0 for key, kind in wanted.items() if kind is int):
        raise TinylibError(f"{path.name}: every number must be above 0")
    return Machine(**values)


def ceil_div(a, b):
    """a / b rounded up, for whole numbers."""
    return -(-a // b)


def dram_cycles(machine: Machine, n_bytes):
    """Cycles one channel is busy with a row of n_bytes (whole beats)."""
    return ceil_div(n_bytes, machine.channel_bytes_per_cycle)


def sram_reads(rows: int, uses: int, capacity: int) -> int:
    """Rows read from DRAM when each of `rows` is used `uses` times and `capacity` of them can stay: those once, the others every time."""
    held = min(rows, max(capacity, 0))
    return held + (rows - held) * uses if uses else 0


def array_cycles(machine: Machine, macs):
    """Cycles of a multiplier array for a number of MACs, full but for the last cycle."""
    return ceil_div(macs, machine.multipliers)


@numba.njit(cache=True)
def queue(arrival, service, depth):
    """(start, end) of jobs through one server behind a queue: job i may enter once job i - depth has left."""
    n = len(arrival)
    start, end = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        begin = arrival[i]
        if i and end[i - 1] > begin:
            begin = end[i - 1]
        if i >= depth and end[i - depth] > begin:
            begin = end[i - depth]
        start[i], end[i] = begin, begin + service[i]
    return start, end


@numba.njit(cache=True)
def schedule(unit, cycles, group, after, also_after, units, groups):
    """(start, end) of each event in list order; group -1 waits for nothing."""
    free, done = np.zeros(units, np.int64), np.zeros(groups, np.int64)
    n = len(unit)
    start, end = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        begin = free[unit[i]]
        if after[i] >= 0 and done[after[i]] > begin:
            begin = done[after[i]]
        if also_after[i] >= 0 and done[also_after[i]] > begin:
            begin = done[also_after[i]]
        start[i], end[i] = begin, begin + cycles[i]
        free[unit[i]] = end[i]
        if end[i] > done[group[i]]:
            done[group[i]] = end[i]
    return start, end


@dataclass(frozen=True)
class Log:
    """One row an event: unit, kind, start, end, amount (bytes, MACs or numbers), group, the two groups it waited for."""

    unit: np.ndarray
    kind: np.ndarray
    start: np.ndarray
    end: np.ndarray
    amount: np.ndarray
    group: np.ndarray
    after: np.ndarray
    also_after: np.ndarray

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def cycles(self) -> int:
        """End of the last event."""
        return int(self.end.max()) if len(self) else 0

    def total(self, *kinds: int) -> int:
        """Sum of the amounts of some kinds."""
        return int(self.amount[np.isin(self.kind, kinds)].sum())


class Events:
    """Collects events in blocks of arrays; `run` gives each its time."""

    def __init__(self):
        self.blocks, self.groups = [], 0

    def group(self) -> int:
        """A new group."""
        self.groups += 1
        return self.groups - 1

    def many(self, count: int) -> np.ndarray:
        """So many new groups, one for each of some events that others wait for one by one."""
        self.groups += count
        return np.arange(self.groups - count, self.groups)

    def add(self, unit, kind, cycles, amount, group, after=-1, also_after=-1) -> None:
        """Some events; numbers, or arrays of one length."""
        values = (unit, kind, cycles, amount, group, after, also_after)
        self.blocks.append((max(len(v) if isinstance(v, np.ndarray) else 1 for v in values), values))

    def run(self, units: int) -> Log:
        """Schedule all events."""
        rows, place = np.empty((7, sum(count for count, _ in self.blocks)), np.int64), 0
        for count, values in self.blocks:
            for row, value in zip(rows, values):
                row[place:place + count] = value
            place += count
        unit, kind, cycles, amount, group, after, also_after = rows
        start, end = schedule(unit, cycles, group, after, also_after, units, max(self.groups, 1))
        return Log(unit, kind, start, end, amount, group, after, also_after)


def conservation(log: Log, machine: Machine, *, compulsory_bytes: int, required_macs: int, ideal: Log, none: Log, no_reuse_bytes: int) -> list[str]:
    """What is wrong with a simulation, in sentences; empty when the five checks pass.

    1 at least the compulsory bytes move; 2 partial results written == read back; 3 MACs counted == required; 4 cycles >= compute and
    bandwidth bounds; 5 with an ideal buffer (`ideal`) exactly the compulsory bytes move, with none exactly those without reuse.
    """
    moved, wrong = log.total(READ, WRITE), []
    if moved < compulsory_bytes:
        wrong.append(f"{moved} bytes moved, {compulsory_bytes} are compulsory")
    if log.total(PARTIAL_WRITE) != log.total(PARTIAL_READ):
        wrong.append(f"{log.total(PARTIAL_WRITE)} bytes of partial results written, {log.total(PARTIAL_READ)} read back")
    if log.total(MAC) != required_macs:
        wrong.append(f"{log.total(MAC)} MACs counted, {required_macs} required")
    bound = max(moved / machine.bytes_per_cycle, log.total(MAC) / (2 * machine.multipliers))
    if log.cycles < bound:
        wrong.append(f"{log.cycles} cycles, below the bound of {bound:.1f}")
    limits = (ideal.total(READ, WRITE), none.total(READ, WRITE))
    if limits != (compulsory_bytes, no_reuse_bytes):
        wrong.append(f"{limits} bytes with an ideal and without a buffer, {(compulsory_bytes, no_reuse_bytes)} expected")
    return wrong
