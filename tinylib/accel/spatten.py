"""The SpAtten machine (Wang, Zhang, Han, HPCA 2021): bytes and cycles of attention, from a trace of counts. Simulated, not measured.

Only attention is counted (queries, keys, values, outputs), as in the paper; the fully connected layers run elsewhere. Blocks are
heads: while one is computed, the next one's keys are fetched.
"""

import functools
from dataclasses import dataclass

import numpy as np

from tinylib.accel.machine import (
    MAC,
    PARTIAL_READ,
    PARTIAL_WRITE,
    READ,
    SOFTMAX,
    TOP_K,
    WRITE,
    Events,
    Log,
    Machine,
    array_cycles,
    ceil_div,
    dram_cycles,
    sram_reads,
)
from tinylib.core.errors import TinylibError

IMPORTANCE_BYTES = 4


@dataclass(frozen=True)
class Work:
    """One passage: for each layer (L,) queries and keys; for each layer and head (L, h) value_rows, value_uses, refetched queries.

    A head with no value row is pruned. `msb`: bits fetched at once, `lsb`: bits that only `refetched` queries fetch.
    """

    queries: np.ndarray
    keys: np.ndarray
    value_rows: np.ndarray
    value_uses: np.ndarray
    refetched: np.ndarray
    head_size: int
    msb: int
    lsb: int

    def row_bytes(self, bits: int) -> int:
        """Bytes of one row of a head at so many bits a number."""
        return ceil_div(self.head_size * bits, 8)


def dense_work(n: int, layers: int, heads: int, head_size: int, *, queries: int | None = None, bits: int = 32) -> Work:
    """Dense attention: n keys in every layer, as many queries unless told otherwise."""
    m = n if queries is None else queries
    full = np.full((layers, heads), n)
    return Work(np.full(layers, m), np.full(layers, n), full, full * m, np.zeros((layers, heads), int), head_size, bits, 0)


def dram_bytes(work: Work) -> dict[str, int]:
    """Compulsory bytes of DRAM, in closed form: q, k, v read, out written. Low bits of K are fetched once if any query asks for them."""
    live, asked = work.value_rows > 0, work.refetched > 0
    high, low, full = (work.row_bytes(b) for b in (work.msb, work.lsb, work.msb + work.lsb))
    queries, keys = work.queries[:, None], work.keys[:, None]
    return {"q": int((queries * live).sum() * high + work.refetched.sum() * low), "k": int((keys * live).sum() * high + (keys * asked).sum() * low),
            "v": int(work.value_rows.sum() * high + (work.value_rows * asked).sum() * low), "out": int((queries * live).sum() * full)}


def macs(work: Work) -> int:
    """MACs of scores (again for refetched queries) and of weighted values."""
    live = work.value_rows > 0
    return int((((work.queries[:, None] * live + work.refetched) * work.keys[:, None]).sum() + work.value_uses.sum()) * work.head_size)


def no_reuse_bytes(work: Work) -> int:
    """Bytes when nothing can be kept: every use of a row of K or V reads it again."""
    live = work.value_rows > 0
    high, low, full = (work.row_bytes(b) for b in (work.msb, work.lsb, work.msb + work.lsb))
    uses = work.queries[:, None] * work.keys[:, None] * live
    again = work.refetched * work.keys[:, None]
    wide = np.where(work.refetched > 0, high + low, high)
    qs = work.queries[:, None] * live
    return int((uses * high + again * low + work.value_uses * wide + qs * (high + full) + work.refetched * low).sum())


def simulate(work: Work, machine: Machine, *, buffer_bytes: int | None = None) -> Log:
    """Event log of one passage. `buffer_bytes` replaces the machine's buffer (of K and, as large again, of V): 0 = none."""
    room = machine.buffer_bytes if buffer_bytes is None else buffer_bytes
    if room < 0:
        raise TinylibError("a buffer has at least 0 bytes")
    events, layer_done, finished = Events(), -1, []
    for layer in range(len(work.queries)):
        scored, written, outputs, pending = events.group(), events.group(), [], None
        for head in np.flatnonzero(work.value_rows[layer]):
            waits = finished[-machine.buffers] if len(finished) >= machine.buffers else -1
            block = _block(events, work, machine, room, (layer, int(head)), (layer_done, waits), scored)
            outputs.append(next(block))
            finished.append(outputs[-1])
            next(pending or iter(()), None)         # the head before goes on once this head's keys are asked for
            pending = block
        next(pending or iter(()), None)
        for done in outputs:                # behind all reads, so that a channel never waits for a result with reads to do
            _fetch(events, machine, int(work.queries[layer]), work.row_bytes(work.msb + work.lsb), written, done, kind=WRITE)
        layer_done = _token_choice(events, work, machine, layer, scored, written)
    return events.run(machine.channels + 6)


def _fetch(events, machine, rows, n_bytes, group, after, also_after=-1, kind=READ):
    """Rows over the channels in turn; as many events as rows."""
    if rows and n_bytes:
        events.add(np.arange(rows) % machine.channels, kind, dram_cycles(machine, n_bytes), n_bytes, group, after, also_after)


def _block(events, work, machine, room, place, waits, scored):
    """One head of one layer, its queries in a pipeline: score, softmax, (low bits,) top-k, weighted values.

    A generator: yields the group of its end once the scores are made, so that the next head's keys can be asked for before this
    head's low bits and values, which wait for the scores.
    """
    (layer, head), c = place, machine.channels
    m, n, size = int(work.queries[layer]), int(work.keys[layer]), work.head_size
    rows, asked = int(work.value_rows[layer, head]), int(work.refetched[layer, head])
    high, low = work.row_bytes(work.msb), work.row_bytes(work.lsb)
    fetched, ready, done = (events.group() for _ in range(3))
    _fetch(events, machine, m, high, fetched, *waits)
    _fetch(events, machine, sram_reads(n, m, room // high), high, fetched, *waits)
    if rows == n and not asked:             # every value is needed at these bits: no need to wait for the scores
        _fetch(events, machine, _value_reads(work, place, room // high), high, ready, *waits)
    final = _scores(events, machine, m, n, size, fetched, ready)
    yield done
    if asked:
        again = events.group()
        _fetch(events, machine, asked, low, again, int(final[m - asked]))
        _fetch(events, machine, sram_reads(n, asked, room // low if low else n), low, again, int(final[m - asked]))
        final[m - asked:] = _scores(events, machine, asked, n, size, again, ready)
    events.add(c + 4, SOFTMAX, 0, 0, scored, int(final[-1]))
    uses = _spread(int(work.value_uses[layer, head]), m)
    picked = final
    if uses[0] < n:
        picked = events.many(m)
        events.add(c + 2, TOP_K, expected_top_k_cycles(n, int(uses[0]), machine), np.full(m, n), picked, final)
    if rows < n or asked:
        wide = high + low if asked else high
        _fetch(events, machine, _value_reads(work, place, room // wide), wide, ready, int(picked[-1]))
    events.add(c + 3, MAC, array_cycles(machine, uses * size), uses * size, done, ready, picked)


def _scores(events, machine, m, n, size, fetched, ready) -> np.ndarray:
    """m queries against n keys, then softmax, one behind the other; returns the group of each query's probabilities."""
    c, scores, probs = machine.channels, events.many(m), events.many(m)
    events.add(c, MAC, array_cycles(machine, n * size), np.full(m, n * size), scores, fetched)
    events.add(c + 1, SOFTMAX, machine.softmax_latency, 0, ready, int(scores[0]))
    events.add(c + 1, SOFTMAX, ceil_div(n, machine.softmax_lanes), np.full(m, n), probs, scores)
    return probs


def _spread(total: int, parts: int) -> np.ndarray:
    """total in whole parts that differ by at most one."""
    return (np.arange(1, parts + 1) * total) // parts - (np.arange(parts) * total) // parts


def _value_reads(work: Work, place: tuple[int, int], capacity: int) -> int:
    """Reads of V's rows: those that can stay once; of the others every use (uses are spread evenly over the rows)."""
    rows, uses = int(work.value_rows[place]), int(work.value_uses[place])
    held = min(rows, capacity)
    return held + uses - uses * held // rows


def _token_choice(events, work, machine, layer, scored, written) -> int:
    """Top-k over the tokens after a layer, and its importance table put away and read back; returns the group that ends the layer."""
    end, c = events.group(), machine.channels
    n = int(work.keys[layer])
    events.add(c + 4, TOP_K, 0, 0, end, written)
    if layer + 1 < len(work.keys):
        if work.keys[layer + 1] < n:
            events.add(c + 2, TOP_K, expected_top_k_cycles(n, int(work.keys[layer + 1]), machine), n, end, scored)
        table = int(work.keys[layer + 1]) * IMPORTANCE_BYTES
        events.add(c + 5, PARTIAL_WRITE, 1, table, end, scored, written)
        events.add(c + 5, PARTIAL_READ, 1, table, end, scored, written)
    return end


def quick_select(values, k: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """(positions of the k largest, ascending; numbers that entered each round): the top-k engine, ties keep the first.

    Each round compares all candidates with one of them, drawn by `rng`, and keeps the larger or the smaller side.
    """
    values = list(values)
    if not 0 <= k <= len(values):
        raise TinylibError(f"cannot keep {k} of {len(values)}")
    left, wanted, rounds, limit = values, k, [], float("inf")
    while wanted:
        rounds.append(len(left))
        limit = left[int(rng.integers(len(left)))]
        larger = [v for v in left if v > limit]
        if len(larger) >= wanted:
            left = larger
            continue
        equal = sum(v == limit for v in left)
        if len(larger) + equal >= wanted:
            wanted -= len(larger)
            break
        wanted -= len(larger) + equal
        left = [v for v in left if v < limit]
    kept, ties = [], wanted if k else 0
    for place, value in enumerate(values):
        if value > limit or (value == limit and ties > 0):
            ties -= value == limit
            kept.append(place)
    return kept, rounds


def top_k_cycles(rounds: list[int], machine: Machine) -> int:
    """Cycles of the engine: each round takes ceil(n / comparators) and a fixed latency."""
    return sum(ceil_div(n, machine.comparators) + machine.round_latency for n in rounds)


def expected_top_k_cycles(n: int, k: int, machine: Machine) -> int:
    """Mean cycles for distinct numbers: Knuth's mean count of comparisons of Find, and one round latency for each of its rounds."""
    if not 0 < k <= n:
        return 0
    h = _harmonic(n), _harmonic(k), _harmonic(n + 1 - k)
    entered = 2 * ((n + 1) * h[0] - (n + 3 - k) * h[2] - (k + 2) * h[1] + n + 3)
    rounds = h[1] + h[2] - 1
    return round((entered + rounds) / machine.comparators + rounds * (machine.round_latency + 0.5))


@functools.cache
def _harmonic(n: int) -> float:
    return float((1 / np.arange(1, n + 1)).sum())


def required_bytes(work: Work) -> int:
    """All compulsory bytes."""
    return sum(dram_bytes(work).values())


def simulated(work: Work, machine: Machine) -> dict:
    """What a lab prints: DRAM bytes, MACs, cycles, and the two bounds on cycles. All simulated."""
    log = simulate(work, machine)
    n_bytes, n_macs = log.total(READ, WRITE), log.total(MAC)
    return {"dram_bytes": n_bytes, "macs": n_macs, "cycles": log.cycles, "bandwidth_bound": n_bytes / machine.bytes_per_cycle,
            "compute_bound": n_macs / (2 * machine.multipliers)}


