"""The roofline: what a machine can reach at most, given how much work a layer does for each byte it moves.

Paper: Roofline, an insightful visual performance model (Williams, Waterman, Patterson, CACM 2009). There work is counted in
FLOP; here in MAC, as everywhere in this course.
"""

from dataclasses import dataclass

import torch

from tinylib.core.errors import TinylibError
from tinylib.measure.latency import latency


@dataclass(frozen=True)
class Machine:
    """Two numbers that bound every kernel: MAC/s of the best one measured, bytes/s of a long copy."""

    macs_per_second: float
    bytes_per_second: float

    @property
    def ridge(self) -> float:
        """Intensity (MAC per byte) at which the roof bends; below it memory decides, above it arithmetic."""
        return self.macs_per_second / self.bytes_per_second


def attainable(intensity: float, machine: Machine) -> float:
    """MAC/s that a kernel of this intensity (MAC per byte) can reach at most."""
    return min(machine.macs_per_second, intensity * machine.bytes_per_second)


def intensity(macs: int, moved_bytes: int) -> float:
    """MACs per byte moved. Raises TinylibError when nothing is moved."""
    if moved_bytes <= 0:
        raise TinylibError("A kernel moves at least one byte.")
    return macs / moved_bytes


def least_ms(macs: int, moved_bytes: int, machine: Machine) -> float:
    """Time that the work and the traffic need at least, in milliseconds, when both overlap perfectly."""
    return 1e3 * max(macs / machine.macs_per_second, moved_bytes / machine.bytes_per_second)


def measure_machine(*, seconds: float = 1.0, side: int = 384, copy_bytes: int = 64 * 2**20) -> Machine:
    """Measure this machine with the present number of torch threads, in about `seconds`.

    Arithmetic: a float32 matrix product, side^3 MACs. Memory: a copy of a block far larger than the caches; every byte is read once and
    written once (a write that first fetches its line is not counted). The fastest run of each counts: a roof is what was
    reached, and short runs find a quiet moment even on a busy machine.
    """
    a, b, out = torch.randn(side, side), torch.randn(side, side), torch.empty(side, side)
    source = torch.zeros(copy_bytes, dtype=torch.uint8)
    target = torch.zeros_like(source)
    product = latency(lambda: torch.mm(a, b, out=out), runs=2000, seconds=seconds / 2)
    copy = latency(lambda: target.copy_(source), runs=200, seconds=seconds / 2)
    return Machine(side**3 / (product.fastest_ms / 1e3), 2 * copy_bytes / (copy.fastest_ms / 1e3))
