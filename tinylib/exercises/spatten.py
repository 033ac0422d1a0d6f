"""Exercises and questions of the lab `spatten`: attention that fetches less."""

import math

import numpy as np
import torch

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.check.question import Question
from tinylib.exercises.harness import spatten as harness
from tinylib.exercises.questions.spatten import (
    ask_bits,
    ask_cascade,
    ask_decide,
    ask_factor,
    ask_generation,
    ask_keys,
    ask_ties,
    ask_tokens,
)

# --- importance and the cascade -----------------------------------------------------------------------------------------


def step_case(rng: np.random.Generator, n: int, heads: int, gone: int, keep: int, high: int = 9) -> Args:
    alive = np.ones(n, bool)
    alive[rng.permutation(np.arange(1, n))[:gone]] = False
    return {"importance": rng.integers(0, high, n).astype(float), "alive": alive, "probs": rng.integers(0, high, (heads, n, n)).astype(float),
            "keep": min(keep, int(alive.sum()))}


def random_step(rng: np.random.Generator) -> Args:
    n = int(rng.integers(3, 12))
    return step_case(rng, n, int(rng.integers(1, 4)), int(rng.integers(0, n - 1)), int(rng.integers(1, n + 1)), int(rng.choice([2, 9])))


def step_instances(rng: np.random.Generator) -> list[Args]:
    past = step_case(rng, 4, 1, 0, 2) | {"importance": np.array([0.0, 0.0, 50.0, 0.0])}
    past["probs"][:] = [[[0, 9, 1, 1]] * 4]
    back = step_case(rng, 4, 1, 0, 2) | {"importance": np.array([0.0, 99.0, 0.0, 0.0]), "alive": np.array([True, False, True, True])}
    fixed = [past, back, step_case(rng, 3, 1, 0, 2), step_case(rng, 4, 1, 1, 2), step_case(rng, 4, 2, 2, 1), step_case(rng, 5, 2, 1, 4, 2)]
    return sorted(fixed + [random_step(rng) for _ in range(16)], key=size_of)


def step_oracle(args: Args) -> Facts:
    """Token by token; the first always stays, then the best one is picked again and again."""
    n, alive = len(args["alive"]), args["alive"]
    total = [float(v) for v in args["importance"]]
    for head in args["probs"]:
        for i in range(n):
            for j in range(n):
                total[j] += float(head[i][j]) if alive[i] and alive[j] else 0.0
    chosen = [0]
    while len(chosen) < args["keep"]:
        best = None
        for j in range(n):
            if alive[j] and j not in chosen and (best is None or total[j] > total[best]):
                best = j
        chosen.append(best)
    return {"importance": np.array(total), "alive": np.array([j in chosen for j in range(n)]), "mutated": []}


def _step(importance, alive, probs, keep, *, rows=True, columns=True, protect=True, fresh=False, last=False, revive=False):
    """One step with one of its parts left out."""
    both = (alive[:, None] if rows else True) & (alive[None, :] if columns else True) & torch.ones(len(alive), len(alive), dtype=torch.bool)
    added = (probs * both).sum((0, 1))
    total = importance + added
    scores = (added if fresh else total).clone()
    if not revive:
        scores[~alive] = -math.inf
    if protect:
        scores[0] = math.inf
    order = torch.sort(scores.flip(0) if last else scores, descending=True, stable=True).indices[:keep]
    stay = torch.zeros_like(alive)
    stay[len(alive) - 1 - order if last else order] = True
    return total, stay


def prune_step(importance, alive, probs, keep):
    return _step(importance, alive, probs, keep)


def dead_queries(importance, alive, probs, keep):
    return _step(importance, alive, probs, keep, rows=False)


def this_layer_only(importance, alive, probs, keep):
    return _step(importance, alive, probs, keep, fresh=True)


def revives(importance, alive, probs, keep):
    return _step(importance, alive, probs, keep, revive=True)


def first_may_go(importance, alive, probs, keep):
    return _step(importance, alive, probs, keep, protect=False)


STEP = Exercise(
    "spatten.prune_step", 5, 15, harness.prune_step, step_instances, step_oracle,
    (agrees("importance"), shape_and_dtype("alive"), agrees("alive"), no_mutation(group="manners")),
    (Misconception(dead_queries, "A pruned token asks no more: its row of probabilities must not add to the others' importance."),
     Misconception(this_layer_only, "Importance adds up over all layers so far, not over this layer alone."),
     Misconception(revives, "A token that is gone stays gone, however large its old importance is."),
     Misconception(first_may_go, "The first token carries the answer: it stays, whatever its importance.")),
    ("Two parts: add to the importance, then choose among the tokens that are still there.",
     "Column j, summed over heads and over rows of living queries, is what token j earned in this layer.",
     "Give dead tokens -inf and the first one inf, sort downwards with stable=True, and keep the first `keep` places."), prune_step)

# --- top-k --------------------------------------------------------------------------------------------------------------


def random_values(rng: np.random.Generator) -> Args:
    n = int(rng.integers(1, 30))
    return {"values": rng.integers(0, int(rng.choice([4, 100])), n).tolist(), "k": int(rng.integers(0, n + 1))}


def top_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [{"values": [5, 7], "k": 1}, {"values": [2, 2, 1], "k": 1}, {"values": [3, 3, 3, 3], "k": 2}, {"values": [1, 4, 2, 4, 3], "k": 4},
             {"values": [6], "k": 0}]
    return sorted(fixed + [random_values(rng) for _ in range(20)], key=size_of)


def top_oracle(args: Args) -> Facts:
    """Kept places by a full sort. Comparisons by looking at each round's interval of values, with no list carried on."""
    values, k = args["values"], args["k"]
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    low, high, compared = -math.inf, math.inf, 0
    while k:
        inside = [v for v in values if low < v < high]
        compared += len(inside)
        pivot = inside[len(inside) // 2]
        above, upto = sum(v > pivot for v in values), sum(v >= pivot for v in values)
        if above < k <= upto:
            break
        low, high = (pivot, high) if above >= k else (low, pivot)
    return {"kept": sorted(order[:k]), "compared": compared, "mutated": False}


def _select(values, k, *, ties="first"):
    """(places, compared) with one rule for ties."""
    left, wanted, compared, limit = list(values), k, 0, math.inf
    while wanted:
        compared += len(left)
        limit = left[len(left) // 2]
        larger, equal = [v for v in left if v > limit], left.count(limit)
        if len(larger) >= wanted:
            left = larger
        elif len(larger) + equal >= wanted:
            wanted -= len(larger)
            break
        else:
            wanted -= len(larger) + equal
            left = [v for v in left if v < limit]
    places = [i for i, v in enumerate(values) if v == limit]
    chosen = {"first": places[:wanted], "last": places[len(places) - wanted:], "all": places}[ties]
    return sorted([i for i, v in enumerate(values) if v > limit] + chosen), compared


def top_k(values, k):
    return _select(values, k)


def all_ties(values, k):
    return _select(values, k, ties="all")


def last_ties(values, k):
    return _select(values, k, ties="last")


def full_sort(values, k):
    return sorted(sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]), len(values) ** 2


TOP = Exercise(
    "spatten.top_k", 5, 15, harness.top_k, top_instances, top_oracle,
    (agrees("kept"), agrees("compared", group="cost"), no_mutation(group="manners")),
    (Misconception(all_ties, "With ties, 'all that reach the limit' keeps too many. Exactly k may stay."),
     Misconception(last_ties, "Among equal numbers the first ones stay."),
     Misconception(full_sort, "That is the cost of a full sort. The engine goes on with one side only.")),
    ("Compare all candidates with one of them and go on with the side that holds the k-th.",
     "If at least `wanted` are larger, go on with those. Else count the equal ones; if still too few, go on with the smaller side.",
     "At the end: all places above the limit, and the first ones equal to it until k are found."), top_k)

# --- progressive quantization -------------------------------------------------------------------------------------------


LEVEL = {"q": np.zeros((1, 1, 4)), "k": np.ones((1, 4, 4)), "threshold": 0.25}      # every probability is exactly the threshold


def fetch_case(rng: np.random.Generator, shape: tuple, m: int, threshold: float) -> Args:
    h, n, d = shape
    return {"q": rng.integers(-2, 3, (h, n, d)).astype(float), "k": rng.integers(-2, 3, (h, m, d)).astype(float), "threshold": threshold}


def random_fetch(rng: np.random.Generator) -> Args:
    return fetch_case(rng, (int(rng.integers(1, 4)), int(rng.integers(1, 7)), int(rng.choice([4, 16]))), int(rng.integers(1, 9)), float(rng.uniform(0.2, 0.9)))


def fetch_instances(rng: np.random.Generator) -> list[Args]:
    peaked = {"q": np.array([[[2.0, 0, 0, 0], [0, 0, 0, 0]]]), "k": np.array([[[2.0, 0, 0, 0], [-2.0, 0, 0, 0]]]), "threshold": 0.6}
    soft = {"q": np.array([[[1.0, 0, 0, 0]]]), "k": np.array([[[2.0, 0, 0, 0], [0, 0, 0, 0]]]), "threshold": 0.8}
    return sorted([LEVEL, peaked, soft, *(random_fetch(rng) for _ in range(12))], key=size_of)


def fetch_oracle(args: Args) -> Facts:
    """Query by query with plain exponentials."""
    out = []
    for queries, keys in zip(args["q"].tolist(), args["k"].tolist()):
        row = []
        for query in queries:
            weights = [math.exp(sum(a * b for a, b in zip(query, key)) / math.sqrt(len(query))) for key in keys]
            row.append(max(weights) / sum(weights) < args["threshold"])
        out.append(row)
    return {"asked": np.array(out)}


def largest(q, k, scale=True):
    scores = q @ k.transpose(-1, -2)
    return (scores / math.sqrt(q.shape[-1]) if scale else scores).softmax(-1).amax(-1)


def fetch_more(q, k, threshold):
    return largest(q, k) < threshold


def when_sure(q, k, threshold):
    return largest(q, k) > threshold


def unscaled(q, k, threshold):
    return largest(q, k, scale=False) < threshold


def at_the_threshold(q, k, threshold):
    return largest(q, k) <= threshold


def whole_head(q, k, threshold):
    asked = largest(q, k) < threshold
    return asked.any(-1, keepdim=True).expand_as(asked).clone()


FETCH = Exercise(
    "spatten.fetch_more", 3, 10, harness.fetch_more, fetch_instances, fetch_oracle, (shape_and_dtype("asked"), agrees("asked")),
    (Misconception(when_sure, "The other way round: a large probability is safe with few bits, a flat row is not."),
     Misconception(unscaled, "Divide the scores by the square root of the head's size before the softmax."),
     Misconception(at_the_threshold, "A query exactly at the threshold fetches nothing: below means strictly below."),
     Misconception(whole_head, "The decision is made for each query, not once for the head.")),
    ("When is a row of probabilities harmed by rounding: when it is flat or when it has a peak?",
     "The largest probability of each query, compared with the threshold.", "softmax(q k^T / sqrt(d)) over the keys, amax(-1), < threshold"), fetch_more)

# --- DRAM bytes ---------------------------------------------------------------------------------------------------------

NAMES = ("queries", "keys", "value_rows", "asked", "head_size", "msb", "lsb")


def random_bytes(rng: np.random.Generator) -> Args:
    n, m = int(rng.integers(1, 50)), int(rng.integers(1, 50))
    return {"queries": m, "keys": n, "value_rows": int(rng.integers(0, n + 1)), "asked": int(rng.integers(0, m + 1)),
            "head_size": int(rng.choice([5, 16, 64])), "msb": int(rng.integers(3, 9)), "lsb": int(rng.integers(0, 5))}


def bytes_instances(rng: np.random.Generator) -> list[Args]:
    rows = [(1, 2, 2, 0, 8, 8, 0), (4, 4, 3, 0, 16, 8, 4), (4, 4, 3, 1, 16, 8, 4), (4, 4, 3, 2, 5, 6, 4), (4, 4, 0, 0, 16, 8, 4)]
    return [dict(zip(NAMES, row)) for row in rows] + [random_bytes(rng) for _ in range(14)]


def bytes_oracle(args: Args) -> Facts:
    """Row by row, bit by bit."""
    def row(bits: int) -> int:
        count = 0
        for number in range(args["head_size"] * bits):
            count += number % 8 == 0
        return count

    total = 0
    if args["value_rows"]:
        for query in range(args["queries"]):
            total += row(args["msb"]) + row(args["msb"] + args["lsb"]) + (row(args["lsb"]) if query < args["asked"] else 0)
        for _ in range(args["keys"] + args["value_rows"]):
            total += row(args["msb"]) + (row(args["lsb"]) if args["asked"] else 0)
    return {"bytes": total}


def _bytes(queries, keys, value_rows, asked, head_size, msb, lsb, *, each=False, parts=False, pruned=True, alone=False):
    """Bytes of one head, with one part counted otherwise."""
    if pruned and not value_rows:
        return 0
    row = (lambda bits: round(head_size * bits / 8)) if parts else (lambda bits: -(-head_size * bits // 8))
    again = asked if each else int(asked > 0) * (not alone)
    return queries * (row(msb) + row(msb + lsb)) + asked * row(lsb) + (keys + value_rows) * (row(msb) + again * row(lsb))


def dram_bytes(queries, keys, value_rows, asked, head_size, msb, lsb):
    return _bytes(queries, keys, value_rows, asked, head_size, msb, lsb)


def again_for_each(queries, keys, value_rows, asked, head_size, msb, lsb):
    return _bytes(queries, keys, value_rows, asked, head_size, msb, lsb, each=True)


def query_alone(queries, keys, value_rows, asked, head_size, msb, lsb):
    return _bytes(queries, keys, value_rows, asked, head_size, msb, lsb, alone=True)


def dead_head(queries, keys, value_rows, asked, head_size, msb, lsb):
    return _bytes(queries, keys, value_rows, asked, head_size, msb, lsb, pruned=False)


BYTES = Exercise(
    "spatten.dram_bytes", 4, 12, harness.dram_bytes, bytes_instances, bytes_oracle, (shape_and_dtype("bytes"), agrees("bytes")),
    (Misconception(again_for_each, "The low bits of keys and values are fetched once, however many queries ask for them."),
     Misconception(query_alone, "A query that asks needs the low bits of the keys and of the values too, not only its own."),
     Misconception(dead_head, "A head without a value row is pruned: it moves nothing.")),
    ("Four matrices move: queries, keys and values in, outputs out. How many rows has each?",
     "A row of so many bits a number takes ceil(head_size * bits / 8) bytes; outputs have all bits.",
     "Low bits: one row for each query that asks, and one for every key and value row if any query asks. No value rows: 0 bytes."), dram_bytes)

EXERCISES = (STEP, TOP, FETCH, BYTES)

QUESTIONS = (
    Question("spatten.factor", "prediction", 1, ask_factor),
    Question("spatten.tokens", "prediction", 1, ask_tokens),
    Question("spatten.decide", "decision", 3, ask_decide),
    Question("spatten.quiz.1", "quiz", 1, ask_keys),
    Question("spatten.quiz.2", "quiz", 1, ask_ties),
    Question("spatten.quiz.3", "quiz", 1, ask_bits),
    Question("spatten.quiz.4", "quiz", 1, ask_cascade),
    Question("spatten.quiz.5", "quiz", 1, ask_generation),
)
