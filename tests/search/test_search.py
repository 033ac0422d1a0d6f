"""Spaces, evolution, fronts and predictors against brute force; each oracle sees a planted bug."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.search.evolution import cheapest, evolve, random_search
from tinylib.search.pareto import front
from tinylib.search.predictor import fit_predictor, rank_correlation
from tinylib.search.space import Gene, Space

SPACE = Space((
    Gene("resolution", (16, 24)), Gene("depth", (1, 2, 3)),
    Gene("kernel0", (3, 5)), Gene("kernel1", (3, 5, 7), needs=("depth", 2)), Gene("kernel2", (3, 5), needs=("depth", 3)),
))


def cost(c):
    return c["resolution"] / 8 + sum(k for name, k in c.items() if name.startswith("kernel") and k)


def score(c):
    return cost(c) - 3 * (c["kernel1"] == 7) + 2 * (c["kernel2"] == 5)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_size_by_formula_is_the_number_of_networks():
    every = list(SPACE.all())
    assert SPACE.size() == len(every) == 2 * 2 * (1 + 3 + 3 * 2)
    assert len({SPACE.encode(c).tobytes() for c in every}) == len(every), "one code per network"


def test_size_of_nested_needs_is_counted():
    nested = Space((Gene("a", (1, 2)), Gene("b", (1, 2), needs=("a", 2)), Gene("c", (1, 2, 3), needs=("b", 2))))
    assert nested.size() == len(list(nested.all())) == 1 + 1 + 3


@given(st.integers(0, 2**32 - 1))
def test_codes_round_trip_and_children_are_networks(seed):
    r = rng(seed)
    one, other = SPACE.sample(r), SPACE.sample(r)
    for c in (one, SPACE.mutate(one, r, rate=0.5), SPACE.cross(one, other, r)):
        assert SPACE.decode(SPACE.encode(c)) == c == SPACE.canonical(c)


def test_candidates_that_differ_only_in_skipped_genes_are_one():
    a = {"resolution": 16, "depth": 1, "kernel0": 3, "kernel1": 3, "kernel2": 5}
    assert np.array_equal(SPACE.encode(a), SPACE.encode({**a, "kernel1": 7, "kernel2": 3}))


def test_a_code_of_no_network_is_refused():
    code = SPACE.encode({"resolution": 16, "depth": 1, "kernel0": 3})
    code[-1] = 1
    with pytest.raises(TinylibError, match="no network"):
        SPACE.decode(code)


@pytest.mark.parametrize(("genes", "word"), [
    ((Gene("a", (1,)), Gene("a", (1,))), "twice"), ((Gene("a", ()),), "no values"), ((Gene("a", (1,), needs=("b", 1)),), "before"),
])
def test_a_broken_space_is_refused(genes, word):
    with pytest.raises(TinylibError, match=word):
        Space(genes)


@pytest.mark.parametrize("budget", [6, 10, 14, 100])
def test_evolution_finds_the_best_of_a_small_space(budget):
    best = max((c for c in SPACE.all() if cost(c) <= budget), key=score)
    found = evolve(SPACE, score, cost, budget, rng=rng(), population=24, generations=12, rate=0.3)
    assert found.score == score(best) and found.cost <= budget


def test_every_scored_candidate_keeps_the_budget():
    seen = []

    def watched(c):
        seen.append(cost(c))
        return score(c)

    found = evolve(SPACE, watched, cost, 9, rng=rng(1), population=16, generations=6)
    assert max(seen) <= 9 and len(seen) == found.evaluations
    seen.clear()
    assert random_search(SPACE, watched, cost, 9, rng=rng(1), evaluations=30).evaluations == len(seen) == 30
    assert max(seen) <= 9


def test_an_infeasible_budget_names_the_cheapest():
    least = min(cost(c) for c in SPACE.all())
    assert cheapest(SPACE, cost, rng())[0] == least
    with pytest.raises(TinylibError, match=f"cheapest found costs {least:g}"):
        evolve(SPACE, score, cost, least - 0.5, rng=rng())
    assert evolve(SPACE, score, cost, least, rng=rng(), population=8, generations=2).cost == least


def searched(seed, **options):
    return evolve(SPACE, score, cost, 12, rng=rng(seed), population=12, generations=4, **options)


def test_the_seed_decides():
    runs = [searched(s) for s in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0].history != runs[2].history or runs[0].best == runs[2].best


def test_scores_may_come_from_other_processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert searched(3, map=pool.map) == searched(3)
        blind = random_search(SPACE, score, cost, 12, rng=rng(3), evaluations=9, map=pool.map)
    assert blind == random_search(SPACE, score, cost, 12, rng=rng(3), evaluations=9)


def test_scores_may_come_from_a_dask_cluster():
    from distributed import Client, LocalCluster

    def far(c):         # travels by value: the workers know nothing of this file
        import os
        return os.getpid(), c["resolution"] + 3 * c["depth"]

    workers = set()
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1") as cluster, Client(cluster) as client:
        client.wait_for_workers(2)

        def across(function, candidates):
            found = client.gather(client.map(far, list(candidates), pure=False))
            workers.update(pid for pid, _ in found)
            return [value for _, value in found]

        mapped = evolve(SPACE, far, cost, 12, rng=rng(3), population=12, generations=4, map=across)
    assert mapped == evolve(SPACE, lambda c: far(c)[1], cost, 12, rng=rng(3), population=12, generations=4)
    assert os.getpid() not in workers and len(workers) == 2


def test_a_map_that_loses_the_order_would_be_seen():
    assert searched(3, map=lambda f, xs: reversed([f(x) for x in xs])) != searched(3)


def test_the_front_is_what_brute_force_keeps():
    r = rng(5)
    for _ in range(50):
        c, s = r.integers(0, 6, 12), r.integers(0, 6, 12)
        kept = front(c, s)
        beaten = [any((c[j] <= c[i] and s[j] >= s[i]) and (c[j] < c[i] or s[j] > s[i] or j < i) for j in range(12) if j != i) for i in range(12)]
        assert sorted(kept) == [i for i in range(12) if not beaten[i]]
        assert (np.diff(c[kept]) > 0).all() and (np.diff(s[kept]) > 0).all()
    assert front([], []).size == 0


def test_the_predictor_learns_an_additive_score_and_tau_sees_a_reversal():
    r = rng(7)
    codes = (r.random((400, 12)) < 0.5).astype(np.float32)
    truth = 0.5 + codes @ np.linspace(-0.05, 0.05, 12)
    model = fit_predictor(codes[:200], truth[:200], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        guess = model(torch.from_numpy(codes[200:])).numpy()
    assert rank_correlation(guess, truth[200:]) > 0.8
    assert rank_correlation(-guess, truth[200:]) < -0.8


def test_a_predictor_needs_pairs():
    with pytest.raises(TinylibError, match="two or more"):
        fit_predictor(np.zeros((1, 3)), np.zeros(1), generator=torch.Generator())
