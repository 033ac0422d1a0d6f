"""Memory of a network as buffers with lifetimes: how much must be alive at once, and where each buffer lies in one arena.

Pure Python and numpy; `nas` scores candidates with the lower bound, `deploy` places for real.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError


@dataclass(frozen=True)
class Buffer:
    """A tensor in the arena, alive from step `first` to step `last`, both included. `size` in bytes."""

    name: str
    size: int
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.size < 0 or self.first > self.last or self.first < 0:
            raise TinylibError(f"Buffer {self.name!r} needs size >= 0 and 0 <= first <= last, got {self.size}, {self.first}, {self.last}.")

    def meets(self, other: "Buffer") -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placement:
    """Byte offset of each buffer, in the order given, and the arena's size. Buffers may have equal names and lifetimes."""

    offsets: tuple[int, ...]
    arena_bytes: int


def live_bytes(buffers: Sequence[Buffer]) -> np.ndarray:
    """Bytes alive at each step, shape (steps,), int64; empty for no buffers."""
    change = np.zeros(max((b.last for b in buffers), default=-1) + 2, dtype=np.int64)
    for b in buffers:
        change[b.first] += b.size
        change[b.last + 1] -= b.size
    return np.cumsum(change)[:-1]


def peak_bytes(buffers: Sequence[Buffer]) -> int:
    """Largest sum of live sizes over all steps: no placement needs less. Zero for no buffers."""
    return int(live_bytes(buffers).max(initial=0))


def place(buffers: Sequence[Buffer], *, alignment: int = 1) -> Placement:
    """The smallest arena among three greedy orders: by size, by birth, by size times lifetime.

    Every placement is valid; it may exceed `peak_bytes`, since finding the best one is NP-hard. Offsets are multiples of `alignment`.
    """
    orders: tuple[Callable[[Buffer], tuple], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (b.first, -b.size),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
    )
    return min((place_in_order(buffers, order, alignment=alignment) for order in orders), key=lambda p: p.arena_bytes)


def place_in_order(buffers: Sequence[Buffer], order: Callable[[Buffer], tuple], *, alignment: int = 1) -> Placement:
    """Place buffers one by one, sorted by `order`, each at the lowest offset free during its whole life."""
    if alignment < 1:
        raise TinylibError(f"alignment must be at least 1, got {alignment}.")
    offsets: dict[int, int] = {}
    for i in sorted(range(len(buffers)), key=lambda i: (order(buffers[i]), i)):
        neighbours = sorted((offsets[j], buffers[j].size) for j in offsets if buffers[j].meets(buffers[i]))
        offsets[i] = lowest_gap(neighbours, buffers[i].size, alignment)
    ends = [offsets[i] + b.size for i, b in enumerate(buffers)]
    return Placement(tuple(offsets[i] for i in range(len(buffers))), max(ends, default=0))


def lowest_gap(taken: Sequence[tuple[int, int]], size: int, alignment: int = 1) -> int:
    """Lowest aligned offset where `size` bytes overlap none of `taken`, a list of (offset, size) sorted by offset."""
    at = 0
    for offset, length in taken:
        if length and at + size <= offset:
            break
        if length:
            at = max(at, -(-(offset + length) // alignment) * alignment)
    return at


def conflict(buffers: Sequence[Buffer], placement: Placement) -> str | None:
    """One sentence about the first thing wrong with a placement, or None when it is valid."""
    if len(placement.offsets) != len(buffers):
        return f"{len(placement.offsets)} offsets for {len(buffers)} buffers"
    for i, (a, start) in enumerate(zip(buffers, placement.offsets)):
        if start < 0 or start + a.size > placement.arena_bytes:
            return f"{a.name} leaves the arena: bytes {start} to {start + a.size} of {placement.arena_bytes}"
        for b, other in zip(buffers[:i], placement.offsets):
            if a.size and b.size and a.meets(b) and start < other + b.size and other < start + a.size:
                return f"{b.name} and {a.name} are alive together and overlap"
    return None
