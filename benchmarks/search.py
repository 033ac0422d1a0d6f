"""At equal evaluations and one budget, does our evolution find better networks than random search and than pymoo's NSGA-II?

All three maximise the same score over the same space of two million networks under the same table (emulated or modelled). The score is
synthetic, fixed by the seed, with interactions between blocks, so that nothing has to be trained. NSGA-II minimises (-score, cost); its best within the
budget counts.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import subprocess
import sys

import numpy as np
import torch

from benchmarks.rivals.environment import ensure
from tinylib.core.seed import rng
from tinylib.measure.latency_table import load_tables
from tinylib.nas.once_for_all import Shape, table_keys
from tinylib.search.evolution import evolve, random_search

POPULATION, GENERATIONS = 64, 20
SHARES = {"microcontroller": 0.35, "mobile GPU": 0.6}       # budget as a share of the full network's cost


def landscape(space, seed):
    """Candidate -> score: a value for each choice plus products of neighbouring choices, fixed by the seed."""
    draw = rng(seed, "landscape")
    length = sum(len(g.values) for g in space.genes)
    single, pair = np.sort(draw.normal(size=length)), 0.3 * draw.normal(size=(length, length))

    def score(candidate):
        code = space.encode(candidate)
        return float(single @ code + code @ pair @ code)

    return score


def rival_nsga2(space, score, cost, budget, seed, evaluations):
    """Best score within the budget of every network that pymoo's NSGA-II looked at."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    upper = np.array([len(g.values) - 1 for g in space.genes])
    seen = []

    class Networks(ElementwiseProblem):
        def __init__(self):
            super().__init__(n_var=len(upper), n_obj=2, n_ieq_constr=1, xl=np.zeros(len(upper)), xu=upper, vtype=int)

        def _evaluate(self, x, out, *args, **kwargs):
            chosen = space.canonical({g.name: g.values[int(v)] for g, v in zip(space.genes, x)})
            value, price = score(chosen), cost(chosen)
            seen.append((value, price))
            out["F"], out["G"] = [-value, price], [price - budget]

    algorithm = NSGA2(pop_size=POPULATION, sampling=IntegerRandomSampling(), crossover=SBX(prob=0.9, eta=3, vtype=float, repair=RoundingRepair()),
                      mutation=PM(eta=3, vtype=float, repair=RoundingRepair()), eliminate_duplicates=True)
    minimize(Networks(), algorithm, ("n_eval", evaluations), seed=seed, verbose=False)
    return max((value for value, price in seen[:evaluations] if price <= budget), default=float("nan"))


def main():
    """Print a table; with --json one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    if importlib.util.find_spec("pymoo") is None:
        return subprocess.run([str(ensure("search")), "-m", "benchmarks.search", *sys.argv[1:]]).returncode
    torch.set_num_threads(1)
    shape = Shape()
    space, tables = shape.space(), load_tables("once_for_all-latency", "once_for_all-instructions")
    rows = []
    for device, share in SHARES.items():
        def cost(chosen, table=tables[device]):
            return table(table_keys(shape, chosen))

        budget, found = share * cost(shape.largest()), []
        for seed in range(args.seeds):
            score = landscape(space, seed)
            ours = evolve(space, score, cost, budget, rng=rng(seed, "evolve"), population=POPULATION, generations=GENERATIONS)
            blind = random_search(space, score, cost, budget, rng=rng(seed, "random"), evaluations=ours.evaluations)
            found.append((ours.score, blind.score, rival_nsga2(space, score, cost, budget, seed, ours.evaluations)))
        ours, blind, rival = np.mean(found, axis=0)
        for name, other in (("random search", blind), ("pymoo NSGA-II", rival)):
            rows.append({"case": f"{device}, best score within the budget, {name}",
                         "ours": round(float(ours), 3), "rival": round(float(other), 3), "unit": "score", "ratio": round(float(ours / other), 3)})
    for row in rows:
        print(f"{row['case']:<95} ours {row['ours']:>8} rival {row['rival']:>8} ratio {row['ratio']}")
    if args.json:
        versions = {"pymoo": importlib.metadata.version("pymoo"), "numpy": np.__version__, "python": platform.python_version()}
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": rows, "machine": f"{platform.machine()}, one thread", "versions": versions}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
