"""Exercises of the lab qoc; its questions are in `questions/qoc.py`."""

import cmath
import itertools
import math

import numpy as np
import torch

from tinylib.check.exercise import Exercise, Misconception, Property
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, at_most, holds, no_mutation, shape_and_dtype
from tinylib.exercises.harness import qoc as harness
from tinylib.exercises.questions.qoc import QUESTIONS

__all__ = ["EXERCISES", "QUESTIONS"]

# 1. param_shift


def shift_case(rng, kinds, uses, terms=6):
    """A random function that a circuit with these slots can make. uses[w] lists (slot, scale) of weight w."""
    made = []
    for _ in range(terms):
        frequency = [float(rng.choice([0, 1] if kind == "rotation" else [0, 0.5, 1])) for kind in kinds]
        phase = [float(p) if f else 0.0 for p, f in zip(rng.uniform(-3, 3, len(kinds)), frequency)]
        made.append({"size": float(rng.normal()), "frequency": frequency, "phase": phase})
    made.append({"size": 1.0, "frequency": [1.0 if k == "rotation" else 0.5 for k in kinds], "phase": [float(p) for p in rng.uniform(-3, 3, len(kinds))]})
    return {"slots": rng.uniform(-3, 3, len(kinds)), "kinds": list(kinds), "uses": [[list(u) for u in w] for w in uses], "terms": made}


R, C = "rotation", "controlled"


def shift_instances(rng):
    cases = [
        shift_case(rng, [R], [[(0, 1.0)]]),
        shift_case(rng, [C], [[(0, 1.0)]]),
        shift_case(rng, [R, R], [[(0, 1.0)], [(1, 2.0)]]),
        shift_case(rng, [R, R], [[(0, 1.0), (1, 1.0)]]),
        shift_case(rng, [R, C, R], [[(0, 1.0), (2, -0.5)], [(1, 1.5)]]),
        shift_case(rng, [R, R, R, C], [[(0, 1.0), (1, 2.0), (3, 1.0)]]),             # slot 2 carries input: no weight
        shift_case(rng, [C, R, C, R, R], [[(0, 2.0)], [(1, 1.0), (4, -1.0)], [(2, 0.5)]]),
    ]
    return sorted(cases, key=size_of)


def shift_oracle(args):
    """Derivative by a complex step: f(x + i h) / h has no cancellation. The formula of the function itself is known here."""
    def value(slots):
        return sum(t["size"] * math_prod(cmath.cos(f * s + p) for f, s, p in zip(t["frequency"], slots, t["phase"])) for t in args["terms"])

    gradient, h = [], 1e-30
    for uses in args["uses"]:
        slots = [complex(s) for s in args["slots"]]
        for slot, scale in uses:
            slots[slot] += 1j * h * scale
        gradient.append(value(slots).imag / h)
    runs = sum(2 if args["kinds"][slot] == R else 4 for uses in args["uses"] for slot, _ in uses)
    return {"gradient": np.array(gradient), "runs": runs, "mutated": False}


def math_prod(values):
    result = 1 + 0j
    for v in values:
        result *= v
    return result


PLUS, MINUS = (math.sqrt(2) + 1) / (4 * math.sqrt(2)), (math.sqrt(2) - 1) / (4 * math.sqrt(2))
RULES = {R: ((math.pi / 2, 0.5), (-math.pi / 2, -0.5)),
         C: ((math.pi / 2, PLUS), (-math.pi / 2, -PLUS), (1.5 * math.pi, -MINUS), (-1.5 * math.pi, MINUS))}


def param_shift(run, slots, uses, kinds, rules=RULES, scaled=True):
    gradient = []
    for weight in uses:
        total = 0.0
        for slot, scale in weight:
            for by, factor in rules[kinds[slot]]:
                moved = np.array(slots, dtype=float)
                moved[slot] += by
                total += (scale if scaled else 1.0) * factor * run(moved)
        gradient.append(total)
    return np.array(gradient)


def always_two(run, slots, uses, kinds):
    return param_shift(run, slots, uses, kinds, {R: RULES[R], C: RULES[R]})


def scale_forgotten(run, slots, uses, kinds):
    return param_shift(run, slots, uses, kinds, scaled=False)


def half_forgotten(run, slots, uses, kinds):
    return 2 * param_shift(run, slots, uses, kinds)


def all_at_once(run, slots, uses, kinds):
    """Moves the weight itself by a quarter turn, so all its slots together, each by its scale."""
    gradient = []
    for weight in uses:
        rule = RULES[C] if any(kinds[slot] == C for slot, _ in weight) else RULES[R]
        total = 0.0
        for by, factor in rule:
            moved = np.array(slots, dtype=float)
            for slot, scale in weight:
                moved[slot] += scale * by
            total += factor * run(moved)
        gradient.append(total)
    return np.array(gradient)


def finite_differences(run, slots, uses, kinds):
    tiny = {kind: ((1e-4, 5e3), (-1e-4, -5e3)) for kind in (R, C)}
    return param_shift(run, slots, uses, kinds, tiny)


SHIFT = Exercise(
    "qoc.param_shift", 6, 25, harness.param_shift, shift_instances, shift_oracle,
    (shape_and_dtype("gradient"), agrees("gradient", atol=1e-10), at_most("runs", "runs", "circuits", group="cost"), no_mutation(group="manners")),
    (Misconception(always_two, "A controlled rotation has two frequencies, 1/2 and 1. Two shifted circuits cannot tell them apart: it needs four."),
     Misconception(scale_forgotten, "The gate's angle is scale * weight + ...: by the chain rule, the slope with respect to the weight carries the scale."),
     Misconception(half_forgotten, "The difference of the two circuits is twice the slope: sin(x + pi/2) - sin(x - pi/2) = 2 cos(x)."),
     Misconception(all_at_once, "All slots of a weight were moved together. The rule holds for one slot: move each alone, and add up."),
     Misconception(finite_differences, "That is a small step. It is only nearly exact, and shot noise is multiplied by 1 / (2 * 0.0001).")),
    ("For one slot with a rotation: (run(slot + pi/2) - run(slot - pi/2)) / 2.",
     "A weight's gradient is the sum over its (slot, scale) pairs of scale times the slot's slope.",
     "Controlled: c * (run(+pi/2) - run(-pi/2)) - d * (run(+3pi/2) - run(-3pi/2)), with c, d = (sqrt 2 + 1, sqrt 2 - 1) / (4 sqrt 2)."),
    param_shift, seconds=10.0)

# 2. chain_rule


def chain_instances(rng):
    sizes = [(1, 1, 1), (1, 2, 3), (3, 1, 2), (2, 3, 2), (5, 4, 6), (8, 4, 18)]
    simple = {"jacobian": np.array([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]]]), "upstream": np.array([[1.0, 0.0], [0.0, -1.0]])}
    return sorted([simple, *({"jacobian": rng.normal(size=s), "upstream": rng.normal(size=s[:2])} for s in sizes)], key=size_of)


def chain_oracle(args):
    """Three nested loops."""
    j, u = args["jacobian"], args["upstream"]
    gradient = np.zeros(j.shape[2])
    for b, o, w in itertools.product(*map(range, j.shape)):
        gradient[w] += u[b, o] * j[b, o, w]
    return {"gradient": gradient}


def chain_rule(jacobian, upstream):
    return torch.einsum("bow,bo->w", jacobian, upstream)


def mean_of_both(jacobian, upstream):
    return len(jacobian) * jacobian.mean(0).T @ upstream.mean(0)


def upstream_forgotten(jacobian, upstream):
    return jacobian.sum((0, 1))


def averaged(jacobian, upstream):
    return chain_rule(jacobian, upstream) / len(jacobian)


CHAIN = Exercise(
    "qoc.chain_rule", 3, 10, harness.chain_rule, chain_instances, chain_oracle, (shape_and_dtype("gradient"), agrees("gradient", atol=1e-12, rtol=1e-12)),
    (Misconception(mean_of_both, "The mean of products is not the product of means: multiply sample by sample, then add."),
     Misconception(upstream_forgotten, "Each output counts as much as the loss cares about it: weight it by upstream."),
     Misconception(averaged, "If the loss is a mean over the batch, upstream already carries the 1 / batch. Do not divide again.")),
    ("For one sample and one output: upstream times the row of the Jacobian.", "Add over samples and over outputs; only the weights remain.",
     'One einsum: "bow,bo->w".'), chain_rule)

# 3. sample_weights

DRAWS = 1200
FOUR_SIGMA = 4 * 0.5 / math.sqrt(DRAWS)      # share of a fair coin; others are narrower


def sample_case(rng, magnitude, keep):
    return {"magnitude": np.array(magnitude, dtype=float), "keep": keep, "seed": int(rng.integers(2**31)), "draws": DRAWS}


def sample_instances(rng):
    drawn = [float(v) for v in rng.permutation([0.2, 1.0, 4.0, 9.0])]
    cases = [sample_case(rng, [1.0, 9.0], 1), sample_case(rng, drawn, 2), sample_case(rng, [0.0, 3.0, 0.0], 2), sample_case(rng, [0.0, 0.0, 0.0, 0.0], 2),
             sample_case(rng, [float(v) for v in rng.permutation([8.0, 1.0, 0.3, 3.0, 0.0])], 3)]
    return sorted(cases, key=size_of)


def sample_oracle(args):
    """The chance of every ordered draw, one after the other; when only zeros are left, all of them are alike."""
    m, keep = args["magnitude"], args["keep"]
    share = np.zeros(len(m))
    for order in itertools.permutations(range(len(m)), keep):
        chance, left = 1.0, list(range(len(m)))
        for i in order:
            total = sum(m[j] for j in left)
            chance *= m[i] / total if total > 0 else 1 / len(left)
            left.remove(i)
        for i in order:
            share[i] += chance
    return {"share": share, "distinct": True, "repeats": True}


def sample_weights(magnitude, keep, rng):
    left, chosen = list(range(len(magnitude))), []
    for _ in range(keep):
        p = np.array([magnitude[i] for i in left], dtype=float)
        p = p / p.sum() if p.sum() > 0 else np.full(len(left), 1 / len(left))
        chosen.append(left.pop(int(rng.choice(len(left), p=p))))
    return sorted(chosen)


def largest(magnitude, keep, rng):
    return sorted(np.argsort(-magnitude, kind="stable")[:keep].tolist())


def uniform(magnitude, keep, rng):
    return sorted(rng.choice(len(magnitude), keep, replace=False).tolist())


def with_replacement(magnitude, keep, rng):
    p = magnitude / magnitude.sum() if magnitude.sum() > 0 else np.full(len(magnitude), 1 / len(magnitude))
    return sorted(rng.choice(len(magnitude), keep, replace=True, p=p).tolist())


def zeros_crash(magnitude, keep, rng):
    return sorted(rng.choice(len(magnitude), keep, replace=False, p=magnitude / magnitude.sum()).tolist())


def shares(args, got, expected):
    gap = np.abs(got["share"] - expected["share"])
    worst = int(gap.argmax())
    if gap[worst] <= FOUR_SIGMA:
        return None
    return (f"With magnitudes {[round(float(v), 3) for v in args['magnitude']]} and keep {args['keep']}, weight {worst} should be drawn in "
            f"{100 * expected['share'][worst]:.0f} % of the draws; it was in {100 * got['share'][worst]:.0f} % of {args['draws']}.")


SAMPLE = Exercise(
    "qoc.sample_weights", 4, 20, harness.sample_weights, sample_instances, sample_oracle,
    (holds("distinct", "exactly `keep` different weights each time", "Draw exactly `keep` different weights: without replacement."),
     Property("each weight is drawn as often as its magnitude demands (four standard errors)", shares),
     holds("repeats", "the same generator gives the same draw", "All randomness must come from `rng`.")),
    (Misconception(largest, "That always keeps the largest. Weights with small sums would never be measured again; draw with probabilities."),
     Misconception(uniform, "All weights are drawn alike. A weight's chance should be proportional to its magnitude."),
     Misconception(with_replacement, "A weight was drawn twice. Draw without replacement: take a drawn weight out before the next draw."),
     Misconception(zeros_crash, "With fewer non-zero magnitudes than `keep`, or none at all, probabilities no longer work. Draw evenly among the zeros then.")),
    ("Draw one weight with probability magnitude / sum, take it out, repeat.", "What if all that are left have magnitude 0? Then every one of them is as good.",
     "rng.choice(len(left), p=...) in a loop over keep, with p uniform when the sum is 0."), sample_weights, seconds=20.0)

# 4. frozen_adam_step


def adam_case(rng, n, steps, share):
    chosen = [sorted(int(i) for i in rng.choice(n, max(1, round(share * n)), replace=False)) for _ in range(steps)]
    grads = rng.normal(size=(steps, n))
    for g, c in zip(grads, chosen):
        g[[i for i in range(n) if i not in c]] = 0.0
    return {"weights": rng.normal(size=n), "grads": grads, "chosen": chosen, "lr": float(rng.uniform(0.01, 0.3))}


def adam_instances(rng):
    fixed = {"weights": np.array([1.0, 2.0]), "grads": np.array([[1.0, 1.0], [1.0, 0.0], [1.0, -1.0]]), "chosen": [[0, 1], [0], [0, 1]], "lr": 0.1}
    cases = [adam_case(rng, 1, 2, 1.0), fixed, adam_case(rng, 3, 4, 0.67), adam_case(rng, 5, 8, 0.4), adam_case(rng, 8, 10, 0.25)]
    return sorted(cases, key=size_of)


def adam_oracle(args):
    """One weight at a time: an Adam of its own that sees only the steps in which it was chosen."""
    n, steps = len(args["weights"]), len(args["grads"])
    path, end = np.zeros((steps, n)), {k: np.zeros(n) for k in "mvt"}
    for i in range(n):
        w, m, v, t = float(args["weights"][i]), 0.0, 0.0, 0
        for s in range(steps):
            if i in args["chosen"][s]:
                g, t = float(args["grads"][s][i]), t + 1
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                w -= args["lr"] * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
            path[s, i] = w
        end["m"][i], end["v"][i], end["t"][i] = m, v, t
    return {"weights": path, **end}


def frozen_adam_step(weights, grad, chosen, state, lr, move=None, decay=None, count=None):
    """`move`, `decay`, `count`: which weights move, forget and count; all `chosen` when right."""
    move, decay, count = (np.array(chosen if k is None else k, dtype=int) for k in (move, decay, count))
    m, v, t, w = (np.array(a, dtype=float) for a in (state["m"], state["v"], state["t"], weights))
    t[count] += 1
    m[decay] = 0.9 * m[decay] + 0.1 * grad[decay]
    v[decay] = 0.999 * v[decay] + 0.001 * grad[decay] ** 2
    age = np.maximum(t[move], 1)
    w[move] -= lr * (m[move] / (1 - 0.9**age)) / (np.sqrt(v[move] / (1 - 0.999**age)) + 1e-8)
    return w, {"m": m, "v": v, "t": t}


def zero_gradient(weights, grad, chosen, state, lr):
    every = range(len(weights))
    return frozen_adam_step(weights, grad, chosen, state, lr, every, every, every)


def moments_fade(weights, grad, chosen, state, lr):
    return frozen_adam_step(weights, grad, chosen, state, lr, decay=range(len(weights)))


def one_clock(weights, grad, chosen, state, lr):
    return frozen_adam_step(weights, grad, chosen, state, lr, count=range(len(weights)))


def no_correction(weights, grad, chosen, state, lr):
    _, new = frozen_adam_step(weights, grad, chosen, state, lr)
    w = np.array(weights)
    w[chosen] -= lr * new["m"][chosen] / (np.sqrt(new["v"][chosen]) + 1e-8)
    return w, new


ADAM = Exercise(
    "qoc.frozen_adam_step", 4, 15, harness.frozen_adam_step, adam_instances, adam_oracle,
    (shape_and_dtype("weights"), agrees("weights", atol=1e-10), agrees("m", atol=1e-12, group="state"), agrees("v", atol=1e-12, group="state"),
     agrees("t", group="state")),
    (Misconception(zero_gradient, "A zero gradient is not a frozen weight: the momentum still moves it. Leave weights that are not chosen untouched."),
     Misconception(moments_fade, "The weights are frozen, but m and v still fade. Nothing was learned about them in this step: leave both."),
     Misconception(one_clock, "The step count t belongs to each weight: a frozen weight has not made a step, and its bias correction must not age."),
     Misconception(no_correction, "The first steps are biased towards 0: divide m by (1 - 0.9^t) and v by (1 - 0.999^t).")),
    ("Index everything with `chosen`: t, m, v, and the weights.", "t[chosen] += 1 first; then both moments; then the corrected step.",
     "w[c] -= lr * (m[c] / (1 - 0.9**t[c])) / (sqrt(v[c] / (1 - 0.999**t[c])) + 1e-8)."), frozen_adam_step)

EXERCISES = (SHIFT, CHAIN, SAMPLE, ADAM)
