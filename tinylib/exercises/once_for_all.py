"""Exercises of the lab once_for_all; its questions are in `questions/once_for_all.py`."""

import numpy as np

from tinylib.check.exercise import Exercise, Misconception, Property
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, at_most, finite, holds, no_mutation, shape_and_dtype
from tinylib.exercises.harness import once_for_all as harness
from tinylib.exercises.questions.once_for_all import QUESTIONS
from tinylib.exercises.wrong import once_for_all as wrong
from tinylib.nas.elastic import active_kernel
from tinylib.nn.fit import recalibrate_bn

__all__ = ["EXERCISES", "QUESTIONS"]


def growing(instances):
    """Instances from small to large; the first that fails is the one shown."""
    return sorted(instances, key=size_of)


# 1. active_kernel

def kernel_instances(rng):
    def one(channels, largest, size, identity=False):
        sizes = list(range(3, largest, 2))
        draw = (lambda s: np.eye(s * s)) if identity else (lambda s: np.eye(s * s) + 0.3 * rng.normal(size=(s * s, s * s)))
        return {"weight": rng.normal(size=(channels, 1, largest, largest)), "sizes": sizes, "size": size, "probe": rng.normal(size=(channels, 1, size, size)),
                **{f"transform{s}": draw(s) for s in sizes}}

    return growing([one(1, 3, 3), one(1, 5, 3, identity=True), one(2, 5, 3), one(2, 5, 5), one(2, 7, 5), one(3, 7, 3), one(4, 7, 7)])


def kernel_oracle(args):
    """Loops forwards, then the chain rule by loops backwards."""
    steps, weight = [], args["weight"]
    while weight.shape[-1] > args["size"]:
        s = weight.shape[-1] - 2
        matrix, out = args[f"transform{s}"], np.zeros((len(weight), 1, s, s))
        for c in range(len(weight)):
            for i in range(s * s):
                out[c, 0, i // s, i % s] = sum(matrix[i, j] * weight[c, 0, j // s + 1, j % s + 1] for j in range(s * s))
        steps.append((s, weight))
        weight = out
    matrices = {s: np.zeros((s * s, s * s)) for s in args["sizes"]}
    gradient = args["probe"]
    for s, larger in reversed(steps):
        below = np.zeros_like(larger)
        for c in range(len(larger)):
            for i in range(s * s):
                for j in range(s * s):
                    matrices[s][i, j] += gradient[c, 0, i // s, i % s] * larger[c, 0, j // s + 1, j % s + 1]
                    below[c, 0, j // s + 1, j % s + 1] += gradient[c, 0, i // s, i % s] * args[f"transform{s}"][i, j]
        gradient = below
    return {"kernel": weight, "gradient": gradient, "transform_gradients": [matrices[s] for s in args["sizes"]]}


# 2. sort_channels

def sort_instances(rng):
    def one(c, hidden, out, kept=(), whole=False, stride=1):
        draw = (lambda *s: rng.integers(-2, 3, s).astype(float)) if whole else (lambda *s: rng.normal(size=s))
        norms = np.stack([draw(hidden), draw(hidden), draw(hidden), rng.uniform(0.5, 2.0, hidden)] * 2)
        norms[4:] = norms[4:][:, ::-1]
        return {"expand": draw(hidden, c), "depthwise": draw(hidden, 1, 3, 3), "project": draw(out, hidden), "norms": norms, "kept": list(kept),
                "stride": stride, "x": draw(2, c, 4, 4)}

    by_hand = one(1, 3, 1)
    by_hand["project"] = np.array([[1.0, -3.0, 2.0]])
    return growing([by_hand, one(2, 4, 2, whole=True), one(2, 6, 3), one(3, 8, 2, kept=[4]), one(3, 9, 4, kept=[3, 6], stride=2), one(4, 12, 2, whole=True)])


def sort_oracle(args):
    """The order by repeated search for the largest; the arrays picked one channel at a time; the output of the untouched block by loops."""
    hidden, order = args["expand"].shape[0], []
    scores = [sum(abs(row[i]) for row in args["project"]) for i in range(hidden)]
    bounds = [0, *args["kept"], hidden]
    for a, b in zip(bounds, bounds[1:]):
        left = list(range(a, b))
        while left:
            best = left[0]
            for i in left:
                if scores[i] > scores[best]:
                    best = i
            order.append(best)
            left.remove(best)
    return {"order": order, "output": block_by_loops(args), "expand": np.stack([args["expand"][i] for i in order]),
            "depthwise": np.stack([args["depthwise"][i] for i in order]), "project": np.stack([args["project"][:, i] for i in order], 1),
            "norms": np.stack([args["norms"][:, i] for i in order], 1)}


def block_by_loops(args):
    def norm(x, scale, shift, mean, var):
        return np.clip((x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None] * scale[:, None, None] + shift[:, None, None], 0, 6)

    wide = norm(np.einsum("kc,bchw->bkhw", args["expand"], args["x"]), *args["norms"][:4])
    padded, side, stride = np.pad(wide, ((0, 0), (0, 0), (1, 1), (1, 1))), args["x"].shape[-1], args["stride"]
    out = np.zeros((*wide.shape[:2], -(-side // stride), -(-side // stride)))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = (padded[:, :, i * stride:i * stride + 3, j * stride:j * stride + 3] * args["depthwise"][:, 0]).sum((2, 3))
    return np.einsum("ok,bkhw->bohw", args["project"], norm(out, *args["norms"][4:]))


# 3. recalibrate

def recalibrate_instances(rng):
    def one(c, k, out, bounds, side, training=False):
        drift = np.linspace(0, 3, bounds[-1])[:, None, None, None]
        return {"first": rng.normal(size=(k, c)), "second": rng.normal(size=(out, k)), "images": rng.normal(size=(bounds[-1], c, side, side)) + drift,
                "bounds": bounds, "eps": 1e-5, "training": training}

    return growing([one(1, 1, 1, [0, 2], 2), one(1, 2, 2, [0, 2, 4], 2), one(2, 3, 2, [0, 4, 5], 2), one(2, 3, 4, [0, 5, 10, 13], 2, training=True),
                    one(3, 4, 2, [0, 8, 16, 17], 3)])


def recalibrate_oracle(args):
    """Every value of every batch in plain lists: mean, then unbiased variance; the first norm passes on batches normalised by themselves."""
    rows1, rows2 = [], []
    for a, b in zip(args["bounds"], args["bounds"][1:]):
        one = np.einsum("kc,bchw->kbhw", args["first"], args["images"][a:b]).reshape(len(args["first"]), -1)
        rows1.append(one)
        means = np.array([sum(row) / len(row) for row in one])
        spread = np.array([sum((v - m) ** 2 for v in row) / len(row) for row, m in zip(one, means)])
        rows2.append(args["second"] @ np.maximum((one - means[:, None]) / np.sqrt(spread + args["eps"])[:, None], 0))
    facts = {}
    for i, rows in ((1, rows1), (2, rows2)):
        values = [[v for part in rows for v in part[k]] for k in range(len(rows[0]))]
        facts[f"mean{i}"] = np.array([sum(v) / len(v) for v in values])
        facts[f"var{i}"] = np.array([sum((x - m) ** 2 for x in v) / (len(v) - 1) for v, m in zip(values, facts[f"mean{i}"])])
    return {**facts, "weights_kept": True, "mode_kept": True, "hooks_left": 0}


# 4. evolve

def evolve_instances(rng):
    def one(genes, options, share, population, generations):
        prices = np.sort(rng.integers(1, 12, (genes, options)), axis=1)
        values = np.sort(rng.uniform(0, 1, (genes, options)), axis=1) * rng.uniform(0.2, 2, (genes, 1))
        low, high = int(prices.min(1).sum()), int(prices.max(1).sum())
        return {"values": values, "prices": prices, "budget": float(low - 1 if share < 0 else int(low + share * (high - low))), "seed": int(rng.integers(1000)),
                "population": population, "generations": generations, "draws": 20_000}

    return growing([one(2, 2, 1.0, 8, 3), one(3, 3, -1, 8, 3), one(4, 3, 0.5, 12, 8), one(24, 3, 0.4, 40, 25), one(28, 3, 0.45, 40, 25), one(12, 4, -1, 8, 5)])


def evolve_oracle(args):
    """The best score for every whole price, gene by gene (exact, since scores and prices add up)."""
    best = {0: 0.0}
    for values, prices in zip(args["values"], args["prices"]):
        larger = {}
        for spent, score in best.items():
            for value, price in zip(values, prices):
                larger[spent + int(price)] = max(larger.get(spent + int(price), -1.0), score + float(value))
        best = larger
    fitting = [score for spent, score in best.items() if spent <= args["budget"]]
    most = args["population"] * (1 + args["generations"])
    return {"ended": "an answer" if fitting else "ValueError", "score": max(fitting, default=0.0), "evaluations": most, "over": 0, "repeats": True}


def ends_well(args, got, expected):
    if got["ended"] == expected["ended"]:
        return None
    if expected["ended"] == "ValueError":
        return f"No candidate costs {args['budget']:g} or less, so raise ValueError. Your search ended with: {got['ended']}."
    return f"There are candidates within the budget, but your search ended with: {got['ended']}."


def keeps_budget(args, got, expected):
    if got["over"]:
        return f"You score {got['over']} candidates that cost more than the budget. Check the cost first: scoring is the expensive part."
    return None if got["best_cost"] <= args["budget"] else f"Your answer costs {got['best_cost']:g}; the budget is {args['budget']:g}."


def good_enough(args, got, expected):
    if expected["ended"] != "an answer":
        return None
    if abs(got["says"] - got["score"]) > 1e-9:
        return f"You say that the best scores {got['says']:.4g}, but it scores {got['score']:.4g}."
    share = got["score"] / expected["score"]
    if share >= 0.94 or len(args["values"]) < 24:
        return None
    return f"Your best reaches {share:.0%} of the optimum; breeding from the best reaches 94 %."


EXERCISES = (
    Exercise(
        "once_for_all.active_kernel", 3, 10, harness.active_kernel, kernel_instances, kernel_oracle,
        (shape_and_dtype("kernel"), agrees("kernel", 1e-12, 1e-12, name="the kernel is cut and transformed step by step"),
         agrees("gradient", 1e-11, 1e-11, name="the gradient reaches the large kernel's centre, and only that"),
         agrees("transform_gradients", 1e-11, 1e-11, name="the gradient reaches the matrices"), no_mutation()),
        (
            Misconception(wrong.kernel_in_one_jump, "You cut 3x3 straight out of 7x7. It must be cut out of the *transformed* 5x5."),
            Misconception(wrong.kernel_without_transform, "You cut the centre but never multiply by the matrix."),
            Misconception(wrong.kernel_transposed, "Your matrix is transposed: new = matrix @ old for a column, so old @ matrix.T for the flat rows."),
            Misconception(wrong.kernel_detached, "You detach the weight, so training a small kernel teaches the large one nothing."),
        ),
        ("One step takes s x s to (s - 2) x (s - 2). Repeat it in a loop until the size is right.",
         "The centre is weight[:, :, 1:-1, 1:-1]; flatten its last two axes into one row a channel.",
         "row @ transforms[s - 2].T (or F.linear(row, transforms[s - 2])), then view as (c, 1, s - 2, s - 2)."), active_kernel),
    Exercise(
        "once_for_all.sort_channels", 4, 15, harness.sort_channels, sort_instances, sort_oracle,
        (agrees("order", name="the order: most listened-to first, ties in memory order, inside each trained segment"),
         agrees("output", 1e-9, 1e-9, name="the block computes what it computed before"), agrees("expand", name="rows of the widening layer moved"),
         agrees("depthwise", name="depth-wise filters moved"), agrees("norms", name="scale, shift, mean and variance of both norms moved"),
         agrees("project", name="columns of the narrowing layer moved")),
        (
            Misconception(wrong.sort_without_statistics, "The norms' running mean and variance stayed behind. They belong to the channel, like its scale."),
            Misconception(wrong.sort_without_norms, "The norms stayed behind: channel i now gets the scale and statistics of another."),
            Misconception(wrong.sort_by_own_filter, "You rank by the channel's own filter. Rank by what the *next* layer reads of it: the columns of project."),
            Misconception(wrong.sort_rising, "The least important come first. A smaller network keeps the first channels, so the best must be there."),
            Misconception(wrong.sort_over_all, "You mix the segments: the first channels were trained as a set, and another set of channels stands there now."),
        ),
        ("Score, order, then move five layers in the same order.",
         "Scores: project.weight.abs().sum((0, 2, 3)). Sort each segment between the bounds [0, *kept, hidden] by itself, descending and stable.",
         "expand, depthwise: weight[order]; both norms: weight, bias, running_mean, running_var [order]; project: weight[:, order]."), wrong.sort_reference),
    Exercise(
        "once_for_all.recalibrate", 4, 15, harness.recalibrate, recalibrate_instances, recalibrate_oracle,
        (finite("var1"), agrees("mean1", 1e-9, 1e-9, name="first norm: the mean over all images"),
         agrees("var1", 1e-9, 1e-9, name="first norm: the unbiased variance over all images"),
         agrees("mean2", 1e-9, 1e-9, name="second norm: the mean over all images"),
         agrees("var2", 1e-9, 1e-9, name="second norm: the unbiased variance over all images"),
         holds("weights_kept", "no weight changes", "A weight has changed. Recalibration counts; it does not train."),
         holds("mode_kept", "train or eval mode is as before", "The model is not in the mode in which it came. Put `training` of every module back."),
         agrees("hooks_left", name="no hook is left behind")),
        (
            Misconception(wrong.recalibrate_like_training, "With momentum, the old statistics fade but stay in, and the last batch counts most."),
            Misconception(wrong.recalibrate_unweighted, "You average the batches' means. A last batch of one image counts as much as a full one then."),
            Misconception(wrong.recalibrate_within_batches, "Your variance is that inside the batches. The spread between their means belongs to it too."),
            Misconception(wrong.recalibrate_leaves_training, "You leave modules in another mode than you found them."),
            Misconception(wrong.recalibrate_with_dropout, "Dropout is on while you count. Only the norms may be in train mode."),
        ),
        ("Run the batches once; let each norm see its inputs. A forward pre-hook gets them: module.register_forward_pre_hook(f), f(module, inputs).",
         "Keep for each norm a count, a sum and a sum of squares per channel over batch and pixels. At the end mean = sum / n.",
         "var = (squares - n * mean^2) / (n - 1). Model in eval mode, norms in train mode while counting; then write running_mean and running_var, remove "
         "hooks, restore the modes."),
        recalibrate_bn),
    Exercise(
        "once_for_all.evolve", 5, 20, harness.evolve, evolve_instances, evolve_oracle,
        (Property("an impossible budget is refused, a possible one is met", ends_well),
         Property("no candidate over the budget is ever scored", keeps_budget), at_most("evaluations", "evaluations", "scores"),
         Property("the best comes near the optimum and is reported truly", good_enough),
         holds("repeats", "the same seed gives the same answer", "Two runs with the same seed differ. Draw only from `rng`.")),
        (
            Misconception(wrong.evolve_children_unchecked, "Your children are not checked. Mutation and crossover can break the budget."),
            Misconception(wrong.evolve_checks_at_the_end, "You drop what is too expensive at the end, after paying for its score."),
            Misconception(wrong.evolve_never_gives_up, "When nothing keeps the budget, your loop draws for ever. Count misses in a row and raise ValueError."),
            Misconception(wrong.evolve_blind, "Every generation is drawn blindly. That is random search: children must come from the best."),
        ),
        ("Three parts: a first population within the budget, ranking, children of the best quarter.",
         "Draw until cost <= budget; after 200 misses in a row raise ValueError. Keep (score, candidate) pairs, so that nothing is scored twice.",
         "Each generation: parents = best quarter; children = mutate(parent) or mutate(cross(parent, parent)), drawn again up to 20 times when too "
         "expensive, else a copy of the parent; rank parents and scored children together."), wrong.evolve_reference, seconds=10.0),
)
