"""Exercises and questions of the lab `anycost_gan`: one generator whose every slice draws nearly the same picture."""

import numpy as np

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.check.question import Question
from tinylib.exercises.harness import anycost_gan as harness
from tinylib.exercises.questions import anycost_gan as ask
from tinylib.exercises.wrong import anycost_gan as wrong

RATIOS = [0.25, 0.5, 0.75, 1.0]

# --- sliceable modulated convolution ------------------------------------------------------------------------------------


def conv_case(rng: np.random.Generator, b: int, c: int, channels: int, k: int, out: int, side: int, size: int, demodulate: bool) -> Args:
    """`c` of `channels` inputs come, `out` of `k` outputs are wanted; kernel `side`, pictures `size` x `size`."""
    return {"x": rng.integers(-4, 5, (b, c, size, size)).astype(float), "weight": rng.integers(1, 5, (k, channels, side, side)).astype(float),
            "style": rng.integers(1, 5, (b, channels)).astype(float), "out": out, "demodulate": demodulate}


def random_conv(rng: np.random.Generator) -> Args:
    channels, k = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    return conv_case(rng, int(rng.integers(1, 4)), int(rng.integers(1, channels + 1)), channels, k, int(rng.integers(1, k + 1)), int(rng.choice([1, 3])),
                     int(rng.integers(1, 4)), bool(rng.integers(2)))


def conv_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [conv_case(rng, 1, 1, 1, 1, 1, 1, 1, False), conv_case(rng, 1, 1, 2, 1, 1, 1, 1, True), conv_case(rng, 2, 2, 2, 2, 1, 3, 2, False),
             conv_case(rng, 2, 2, 4, 4, 2, 3, 3, True), conv_case(rng, 3, 3, 3, 2, 2, 1, 2, True)]
    return sorted(fixed + [random_conv(rng) for _ in range(6)], key=size_of)


def conv_oracle(args: Args) -> Facts:
    """Place by place, with a weight of its own for each example."""
    x, side = args["x"], args["weight"].shape[-1]
    b, c, h, w = x.shape
    out, reach = np.zeros((b, args["out"], h, w)), side // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    for n in range(b):
        for o in range(args["out"]):
            own = np.array([args["weight"][o, i] * args["style"][n, i] for i in range(c)])
            if args["demodulate"]:
                own = own / np.sqrt(np.sum(own**2) + 1e-8)
            for y in range(h):
                for q in range(w):
                    out[n, o, y, q] = np.sum(own * padded[n, :, y:y + side, q:q + side])
    return {"out": out, "mutated": []}


CONV = Exercise(
    "anycost_gan.modulated_conv", 5, 15, harness.modulated_conv, conv_instances, conv_oracle,
    (shape_and_dtype("out"), agrees("out", atol=1e-9, rtol=1e-9), no_mutation(group="manners")),
    (Misconception(wrong.demodulates_before_slicing, "The factors come from the whole weight. Slice first: a small network has no other channels."),
     Misconception(wrong.demodulates_without_style, "The sum of squares must hold weight times style; you left the style out of it."),
     Misconception(wrong.always_demodulates, "With demodulate=False (to-colours layers) the outputs keep their scale."),
     Misconception(wrong.first_style_for_all, "Each example of the batch has a style of its own: row n of `style` belongs to x[n]."),
     Misconception(wrong.forgets_style, "The style never reaches the pictures: it scales the input channels.")),
    ("Slice three things: the weight to [:out, :c], the style to [:, :c]. Then forget the rest.",
     "conv(x * style) with the shared weight is the same as a weight of its own for each example.",
     "factors = 1 / sqrt(style**2 @ (weight**2).sum((2, 3)).T + 1e-8), of shape (b, out); multiply the output by them."), wrong.modulated_conv)

# --- sort the channels --------------------------------------------------------------------------------------------------


def sort_case(rng: np.random.Generator, channels: int, k: int, *, ties: bool = False) -> Args:
    read = np.ones((k, channels, 1, 1)) * rng.integers(1, 3) if ties else rng.normal(size=(k, channels, 1, 1)).round(2)
    return {"make_weight": rng.normal(size=(channels, 2, 1, 1)).round(2), "make_bias": rng.normal(size=channels).round(2), "read_weight": read,
            "style_weight": rng.normal(size=(channels, 3)).round(2), "style_bias": rng.normal(size=channels).round(2),
            "mean_style": np.ones(channels) if ties else rng.uniform(0.1, 3, channels).round(2),
            "x": rng.normal(size=(2, 2, 2, 2)).round(2), "w": rng.normal(size=(2, 3)).round(2)}


def sort_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [sort_case(rng, 2, 1), sort_case(rng, 3, 2, ties=True), sort_case(rng, 4, 2), sort_case(rng, 5, 3)]
    return sorted(fixed + [sort_case(rng, int(rng.integers(3, 8)), int(rng.integers(2, 5))) for _ in range(5)], key=size_of)


def sort_oracle(args: Args) -> Facts:
    """Scores by loops, order by selecting the largest again and again; the first of equals goes first."""
    read, left = args["read_weight"], list(range(args["read_weight"].shape[1]))
    score = [sum(abs(v) for row in read for v in row[c].ravel()) * args["mean_style"][c] for c in left]
    order = []
    while left:
        best = left[0]
        for c in left:
            if score[c] > score[best]:
                best = c
        order.append(best)
        left.remove(best)
    moved = {name: args[name][order] for name in ("make_weight", "make_bias", "style_weight", "style_bias")}
    return {**moved, "read_weight": read[:, order], "output_moves": 0.0, "mutated": []}


SORT = Exercise(
    "anycost_gan.sort_channels", 5, 15, harness.sort_channels, sort_instances, sort_oracle,
    (agrees("output_moves", atol=1e-9, name="the output of the two layers stays as it was"),
     *(agrees(name) for name in ("make_weight", "make_bias", "read_weight", "style_weight", "style_bias")), no_mutation(group="manners")),
    (Misconception(wrong.forgets_style_rows, "The style of the next layer scales these channels too: its rows (weight and bias) must move with them."),
     Misconception(wrong.forgets_bias, "The bias belongs to the channel that it is added to: it moves with it."),
     Misconception(wrong.ascending, "The most important channel goes first, since a smaller network keeps the first ones."),
     Misconception(wrong.by_maker, "What counts is how much the *next* layer listens to a channel, not how it is made."),
     Misconception(wrong.without_style, "The style scales a channel before the next weight sees it: multiply the score by `mean_style`.")),
    ("One order, five tensors. Which axis of each counts the hidden channels?",
     "Score of channel c: sum of |read_weight[:, c]| times mean_style[c]. Sort falling, equal ones in memory order (stable=True).",
     "make_weight[order], make_bias[order], read_weight[:, order], style_weight[order], style_bias[order]"), wrong.sort_channels)

# --- sample configurations ----------------------------------------------------------------------------------------------


def sample_case(rng: np.random.Generator, layers: int, flexible: float, ratios: list | None = None) -> Args:
    return {"seed": int(rng.integers(1_000_000)), "layers": layers, "flexible": flexible, "ratios": ratios or RATIOS}


def sample_instances(rng: np.random.Generator) -> list[Args]:
    return [sample_case(rng, 3, 1.0, [0.5, 1.0]), sample_case(rng, 2, 0.0), sample_case(rng, 4, 1.0), sample_case(rng, 5, 0.25), sample_case(rng, 6, 0.75)]


def sample_oracle(args: Args) -> Facts:
    """Shares by probability: all equal when the step is uniform, and by chance when it is not."""
    n, layers = len(args["ratios"]), args["layers"]
    chance = sum(1 / n**layers for _ in args["ratios"])
    return {"length": layers, "foreign": 0, "all_equal": float(1 - args["flexible"] + args["flexible"] * chance), "shares": np.full((layers, n), 1 / n)}


SAMPLE = Exercise(
    "anycost_gan.sample_ratios", 3, 8, harness.sample_ratios, sample_instances, sample_oracle,
    (agrees("length"), agrees("foreign", name="only the given ratios are drawn"),
     agrees("all_equal", atol=0.08, name="all layers agree as often as they should"),
     agrees("shares", atol=0.09, name="each layer has each ratio equally often")),
    (Misconception(wrong.always_free, "Uniform widths are drawn hardly ever, and most users take them: one ratio for all layers in a share 1 - flexible."),
     Misconception(wrong.always_uniform, "All layers always agree. With probability `flexible` each layer draws a ratio of its own."),
     Misconception(wrong.turned_round, "The probability is turned round: `flexible` is the share of steps in which layers differ."),
     Misconception(wrong.never_full, "The largest ratio is never drawn: then the full network is no longer trained.")),
    ("First decide, with one random number, which kind of step this is.", "rng.random() < flexible: each layer its own. Else one for all.",
     "rng.choice(ratios, size=layers) draws one for each layer; [rng.choice(ratios)] * layers draws one for all."), wrong.sample_ratios)

# --- search under a budget ----------------------------------------------------------------------------------------------


def search_case(rng: np.random.Generator, layers: int, share: float) -> Args:
    """`share`: of the way from the smallest to the full cost; negative: nothing fits."""
    cost = rng.integers(5, 40, layers).astype(float).tolist()
    loss = [sorted((rng.uniform(0, 1, len(RATIOS)) ** 2 * rng.uniform(0.5, 4)).round(4).tolist(), reverse=True) for _ in range(layers)]
    low = sum(c * (1 if i == 0 else 0.25) * 0.25 for i, c in enumerate(cost))
    return {"ratios": RATIOS, "loss": loss, "coupling": rng.uniform(0, 0.3, layers).round(4).tolist(), "cost": cost,
            "budget": round(low + share * (sum(cost) - low), 3)}


def search_instances(rng: np.random.Generator) -> list[Args]:
    return [search_case(rng, 1, 0.6), search_case(rng, 2, -0.2), search_case(rng, 2, 0.5),
            *(search_case(rng, n, s) for n in (3, 4, 5) for s in (0.2, 0.5, 0.9))]


def search_oracle(args: Args) -> Facts:
    """The same walk over indices, with every neighbour written out."""
    ratios, layers = args["ratios"], len(args["loss"])

    def cost(index):
        values = [1.0] + [ratios[k] for k in index]
        return sum(args["cost"][i] * values[i] * values[i + 1] for i in range(layers))

    def loss(index):
        total = sum(args["loss"][i][index[i]] for i in range(layers))
        return total + sum(args["coupling"][i] * abs(ratios[index[i]] - ratios[index[i + 1]]) for i in range(layers - 1))

    here = (0,) * layers
    if cost(here) > args["budget"]:
        return {"found": [], "refused": True, "over": 0}
    while True:
        near = [here[:i] + (k,) + here[i + 1:] for i in range(layers) for k in range(len(ratios)) if k != here[i]]
        better = [n for n in near if cost(n) <= args["budget"] and loss(n) < loss(here)]
        if not better:
            return {"found": [ratios[k] for k in here], "refused": False, "over": 0}
        here = min(better, key=loss)


SEARCH = Exercise(
    "anycost_gan.search_budget", 5, 15, harness.search_budget, search_instances, search_oracle,
    (agrees("refused", name="an impossible budget raises ValueError, a possible one does not"), agrees("found"),
     agrees("over", name="no error is measured for a candidate over the budget", group="cost")),
    (Misconception(wrong.ignores_budget, "The result costs more than the budget."),
     Misconception(wrong.one_step_only, "One change is not enough: repeat until no single change helps."),
     Misconception(wrong.never_refuses, "When even the smallest network costs too much, say so: raise ValueError."),
     Misconception(wrong.first_improvement, "Compare all neighbours and take the best one, not the first that helps."),
     Misconception(wrong.asks_too_much, "You measured candidates that cannot be used. Check the MACs first: a measurement costs time, a formula none.")),
    ("Start with the smallest ratio everywhere. Which changes of one layer fit the budget?",
     "Make a list of (error, candidate) over all layers and all ratios that keep the budget; take the least; stop when it is not less than now.",
     "Loop: near = [(error(c), c) for c in single changes if macs(c) <= budget]; best = min(near); if it does not improve, return."),
    wrong.search_budget)

EXERCISES = (CONV, SORT, SAMPLE, SEARCH)

QUESTIONS = (
    Question("anycost_gan.nearer", "prediction", 1, ask.ask_nearer),
    Question("anycost_gan.faster", "prediction", 1, ask.ask_faster),
    Question("anycost_gan.decide", "decision", 3, ask.ask_decide),
    Question("anycost_gan.quiz.1", "quiz", 1, ask.ask_macs),
    Question("anycost_gan.quiz.2", "quiz", 1, ask.ask_slice),
    Question("anycost_gan.quiz.3", "quiz", 1, ask.ask_count),
    Question("anycost_gan.quiz.4", "quiz", 1, ask.ask_code),
    Question("anycost_gan.quiz.5", "quiz", 1, ask.ask_noise),
)
