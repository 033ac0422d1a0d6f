"""Evolution and random search under a budget: every candidate that is ever scored keeps the budget.

Scores are maximised. `map` may be any ordered map (a process pool's, a Dask client's `lambda f, xs: client.gather(client.map(f, xs))`),
so that scoring runs elsewhere; the result depends on the seed only. Lab: once_for_all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.search.space import Candidate, Space

TRIES = 200         # rejections before a child is replaced by its parent


@dataclass(frozen=True)
class Found:
    """The best candidate, its score and cost, how many candidates were scored, and the best score after each generation."""

    best: Candidate
    score: float
    cost: float
    evaluations: int
    history: tuple[float, ...]


def cheapest(space: Space, cost: Callable[[Candidate], float], rng: np.random.Generator, *, starts: int = 4) -> tuple[float, Candidate]:
    """Lowest cost found by walking downhill one gene at a time from several starts (exact when genes add up)."""
    best = None
    for _ in range(starts):
        here = space.sample(rng)
        price, better = cost(here), True
        while better:
            better = False
            for gene in space.genes:
                for value in gene.values:
                    there = space.canonical(_filled(space, {**here, gene.name: value}, rng)) if here[gene.name] is not None else here
                    if cost(there) < price:
                        here, price, better = there, cost(there), True
        if best is None or price < best[0]:
            best = (price, here)
    return best


def evolve(space: Space, score: Callable[[Candidate], float], cost: Callable[[Candidate], float], budget: float, *,
           rng: np.random.Generator, population: int = 64, generations: int = 20, parents: float = 0.25, rate: float = 0.1,
           map: Callable[[Callable, Iterable], Iterable] = map) -> Found:
    """Regularised by nothing but the budget: the top share breeds, half the children by mutation, half by crossover and mutation.

    Raises TinylibError with the cheapest cost found when no candidate keeps the budget.
    """
    pool = _feasible(space, cost, budget, rng, population)
    scored = _scored(pool, score, map)
    history, evaluations = [scored[0][0]], len(pool)
    for _ in range(generations):
        elite = [c for _, c in scored[:max(2, round(parents * population))]]
        children = [_child(space, elite, cost, budget, rng, rate, breed=i % 2 == 1) for i in range(population - len(elite))]
        scored = sorted([*scored[:len(elite)], *_scored(children, score, map)], key=lambda pair: -pair[0])
        evaluations += len(children)
        history.append(scored[0][0])
    value, best = scored[0]
    return Found(best, value, cost(best), evaluations, tuple(history))


def random_search(space: Space, score: Callable[[Candidate], float], cost: Callable[[Candidate], float], budget: float, *,
                  rng: np.random.Generator, evaluations: int, map: Callable[[Callable, Iterable], Iterable] = map) -> Found:
    """The rival: as many candidates within the budget, drawn blindly."""
    pool = _feasible(space, cost, budget, rng, evaluations)
    values = list(map(score, pool))
    best = int(np.argmax(values))
    return Found(pool[best], values[best], cost(pool[best]), len(pool), tuple(np.maximum.accumulate(values)))


def _scored(pool: list[Candidate], score: Callable, map: Callable) -> list[tuple[float, Candidate]]:
    return sorted(zip(map(score, pool), pool), key=lambda pair: -pair[0])


def _feasible(space: Space, cost: Callable, budget: float, rng: np.random.Generator, count: int) -> list[Candidate]:
    """`count` candidates within the budget: drawn blindly, and where that fails grown by mutation from the cheapest."""
    pool = []
    for _ in range(count):
        tries = (space.sample(rng) for _ in range(TRIES if not pool else 20))
        found = next((c for c in tries if cost(c) <= budget), None)
        if found is None:
            if not pool:
                price, least = cheapest(space, cost, rng)
                if price > budget:
                    raise TinylibError(f"no candidate costs {budget:g} or less; the cheapest found costs {price:g}")
                found = least
            else:
                found = _child(space, pool[-4:], cost, budget, rng, 0.2, breed=False)
        pool.append(found)
    return pool


def _child(space: Space, elite: list[Candidate], cost: Callable, budget: float, rng: np.random.Generator, rate: float, *, breed: bool) -> Candidate:
    for _ in range(TRIES):
        one, other = (elite[int(i)] for i in rng.integers(len(elite), size=2))
        child = space.mutate(space.cross(one, other, rng) if breed else one, rng, rate=rate)
        if cost(child) <= budget:
            return child
    return one


def _filled(space: Space, candidate: Candidate, rng: np.random.Generator) -> Candidate:
    """The candidate with a value for every gene, so that a gene that wakes up has one."""
    return {g.name: candidate[g.name] if candidate[g.name] is not None else g.values[int(rng.integers(len(g.values)))] for g in space.genes}
