"""Private instances of `spatten`. Public here, because this copy is for self-study; a class keeps its own."""

from tinylib.check.facts import size_of
from tinylib.exercises.spatten import LEVEL, random_bytes, random_fetch, random_step, random_values


def drawn(make, count, *fixed):
    """Fixed instances and those of one maker, smallest first."""
    return lambda rng: sorted([*fixed, *(make(rng) for _ in range(count))], key=size_of)


INSTANCES = {"spatten.prune_step": drawn(random_step, 30), "spatten.top_k": drawn(random_values, 40), "spatten.fetch_more": drawn(random_fetch, 20, LEVEL),
             "spatten.dram_bytes": drawn(random_bytes, 30)}
