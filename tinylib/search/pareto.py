"""The candidates that no other beats in both cost and score."""

from collections.abc import Sequence

import numpy as np


def front(cost: Sequence[float], score: Sequence[float]) -> np.ndarray:
    """Indices of the Pareto front (lower cost, higher score), by rising cost.

    Of equal points the first is kept; a point with the same cost and a lower score, or a higher cost and no higher score, is left out.
    """
    cost, score = np.asarray(cost, dtype=float), np.asarray(score, dtype=float)
    order = np.lexsort((np.arange(len(cost)), -score, cost))
    best, kept = -np.inf, []
    for i in order:
        if score[i] > best:
            kept.append(int(i))
            best = score[i]
    return np.array(kept, dtype=int)
