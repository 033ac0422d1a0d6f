"""A second, differently written right answer for each exercise of `spatten`."""

import numpy as np
import torch


def prune_step(importance, alive, probs, keep):
    living = alive.double()
    earned = torch.einsum("i,hij,j->j", living, probs, living)
    total = importance + earned
    ranked = sorted(torch.arange(1, len(alive))[alive[1:]].tolist(), key=lambda j: (-float(total[j]), j))
    stay = torch.zeros(len(alive), dtype=torch.bool)
    stay[[0, *ranked[:keep - 1]]] = True
    return total, stay


def top_k(values, k):
    def descend(left, wanted):
        if not wanted:
            return [], 0
        limit = values[left[len(left) // 2]]
        above, level, below = ([i for i in left if test(values[i])] for test in (lambda v: v > limit, lambda v: v == limit, lambda v: v < limit))
        if len(above) >= wanted:
            kept, compared = descend(above, wanted)
            return kept, compared + len(left)
        kept = above + level[:wanted - len(above)]
        more, compared = descend(below, wanted - len(kept)) if len(kept) < wanted else ([], 0)
        return kept + more, compared + len(left)

    kept, compared = descend(list(range(len(values))), k)
    return sorted(kept), compared


def fetch_more(q, k, threshold):
    scores = torch.einsum("hnd,hmd->hnm", q, k) / q.shape[-1] ** 0.5
    top = scores.amax(-1, keepdim=True)
    return 1 / torch.exp(scores - top).sum(-1) < threshold


def dram_bytes(queries, keys, value_rows, asked, head_size, msb, lsb):
    if value_rows == 0:
        return 0
    high, low, full = (int(np.ceil(head_size * bits / 8)) for bits in (msb, lsb, msb + lsb))
    total = queries * high + keys * high + value_rows * high + queries * full
    if asked:
        total += (asked + keys + value_rows) * low
    return total


ALTERNATIVES = {"spatten.prune_step": prune_step, "spatten.top_k": top_k, "spatten.fetch_more": fetch_more, "spatten.dram_bytes": dram_bytes}
