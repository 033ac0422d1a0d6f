"""Wall-clock time with a warm-up, a median and a spread. On a shared machine one timing means nothing."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Times of `runs` calls in milliseconds: the median, the quartiles around it, the fastest."""

    median_ms: float
    low_ms: float
    high_ms: float
    fastest_ms: float
    runs: int

    def __str__(self) -> str:
        return f"{self.median_ms:.3g} ms (half of {self.runs} runs between {self.low_ms:.3g} and {self.high_ms:.3g})"


def latency(function: Callable[[], object], *, runs: int = 30, warmup: int = 3, seconds: float = 2.0) -> Latency:
    """Time `function()`: `warmup` calls unseen, then up to `runs` calls, stopping after `seconds` (at least 3 calls)."""
    return race({"": function}, runs=runs, warmup=warmup, seconds=seconds)[""]


def race(functions: Mapping[str, Callable[[], object]], *, runs: int = 30, warmup: int = 3, seconds: float = 2.0) -> dict[str, Latency]:
    """Time several functions turn by turn, so that a busy moment of the machine hits all of them alike.

    `seconds` is the budget of all together; every function gets the same number of runs, at least 3.
    """
    for function in functions.values():
        for _ in range(warmup):
            function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    end = time.perf_counter() + seconds
    for turn in range(runs):
        if turn >= 3 and time.perf_counter() > end:
            break
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: summary(values) for name, values in times.items()}


def summary(times_s: list[float]) -> Latency:
    """Median and quartiles of times given in seconds."""
    low, median, high = np.percentile(np.asarray(times_s) * 1e3, [25, 50, 75])
    return Latency(float(median), float(low), float(high), min(times_s) * 1e3, len(times_s))
