"""Predictions, decision and quiz of the lab once_for_all."""

from tinylib.check.answers import guess, letter, number
from tinylib.check.question import Item, Question
from tinylib.core.checkpoint import load_record
from tinylib.measure.latency_table import load_tables
from tinylib.nas.once_for_all import Shape, table_keys

DEVICES = ("this CPU", "microcontroller", "mobile GPU", "matrix accelerator")


def ask_stale(rng):
    return Item("The full network is right on about 85 % of the test images. Cut out the sub-network with the first half of every block's hidden channels "
                "and change nothing else. What accuracy in per cent is left?",
                guess, "Every norm still subtracts the mean and divides by the spread of other inputs.")


def ask_recalibrated(rng):
    return Item("Now its norms count their statistics anew on 500 images. No weight changes. What accuracy in per cent does it have?",
                guess, "Statistics that fit put every layer's values back where the next layer expects them.")


def ask_tau(rng):
    return Item("A predictor sees the accuracies of a few hundred sub-networks. It ranks others that it has not seen. Kendall's tau counts the pairs "
                "in the right order minus those in the wrong one, as a share of all: 1 is perfect, 0 is guessing. What tau will it reach?",
                guess, "One-hot codes of the choices explain most of the accuracy: bigger is better, mostly.")


def ask_extra(rng):
    k = int(rng.choice([7, 9]))
    sizes = [s for s in range(3, k, 2)]
    return Item(f"A depth-wise layer stores {k}x{k} kernels and makes every smaller odd size down to 3x3 step by step, with one matrix for each step that all "
                "channels share. How many weights do the matrices of this layer have in all?",
                number(sum((s * s) ** 2 for s in sizes), "A kernel of s x s has s^2 weights, so its matrix is s^2 x s^2. Add up the sizes below the largest."),
                " + ".join(f"{s * s}^2" for s in reversed(sizes)) + f" = {sum((s * s) ** 2 for s in sizes):,}, whatever the number of channels.")


def ask_space(rng):
    kernels, widths, blocks = int(rng.choice([2, 3])), int(rng.choice([2, 3])), int(rng.choice([3, 4]))
    each = kernels * widths
    total = sum(each**d for d in range(2, blocks + 1))
    return Item(f"A stage keeps its first 2 to {blocks} blocks. Each kept block has {kernels} kernel sizes and {widths} widths. How many different stages are "
                "there? (Choices of a block that is left out do not count.)",
                number(total, "Add over the depths: choices of one block, to the power of the number of blocks."),
                " + ".join(f"{each}^{d}" for d in range(2, blocks + 1)) + f" = {total:,}.")


def ask_mean(rng):
    a, b = int(rng.choice([100, 250, 500])), int(rng.choice([10, 20, 50]))
    x, y = int(rng.choice([2, 4])), int(rng.choice([-3, 10]))
    truth = (a * x + b * y) / (a + b)
    return Item(f"Recalibration sees a batch of {a} images whose channel mean is {x} and a last batch of {b} images with mean {y}. "
                "Which running mean is right? (to 0.01)",
                number(truth, "Weigh each batch by its images; the mean of the two means is wrong.", 0.011),
                f"({a} x {x} + {b} x {y}) / {a + b} = {truth:.3f}; the plain mean of both, {(x + y) / 2:g}, would let {b} images count as much as {a}.")


def ask_sorting(rng):
    return Item(
        "Channels are sorted before the network learns narrower widths. What does sorting change in the *full* network's output?",
        letter("b", {"a": "Accuracy of the full network stays too. Follow channel i: which layers know its number?",
                     "c": "The norms move along with their channels. What else could change?",
                     "d": "The order depends on weights, not on images; and what does a sum care about order?"}),
        "Nothing but rounding: makers and readers move together, and the sum over channels does not depend on their order.",
        (("a", "It loses a little, since channels swap places."), ("b", "Nothing but rounding."),
         ("c", "Its norms must be recalibrated afterwards."), ("d", "It depends on the images used for sorting.")))


def ask_table(rng):
    tables, shape = load_tables("once_for_all-latency", "once_for_all-instructions"), Shape()
    name = DEVICES[int(rng.integers(1, 4))]
    depth, kernel, expand = int(rng.choice([1, 2])), int(rng.choice([3, 5])), int(rng.choice([2, 3]))
    chosen = {"resolution": 24, "depth0": depth, "depth1": 1}
    for s in range(2):
        for j in range(3):
            kept = j < chosen[f"depth{s}"]
            chosen |= {f"kernel{s}.{j}": kernel if kept else None, f"expand{s}.{j}": expand if kept else None}
    truth, unit = tables[name](table_keys(shape, chosen)), tables[name].unit
    return Item(f"In the {name}'s table (`tables[\"{name}\"]`), what does the network with resolution 24, {depth} block(s) in stage 0 and 1 in stage 1, "
                f"kernel {kernel} and expansion {expand} everywhere cost in {unit}? (to 1 %)",
                number(truth, "Sum of the stem, each kept block, and the head, all at @24. table_keys lists the names.", 0.01 * truth),
                f"Sum of {3 + depth} entries: {truth:.4g} {unit}.")


def ask_decision(rng):
    device = DEVICES[int(rng.integers(1, 4))]

    def verify(value):
        rows = load_record("once_for_all-devices")["rows"]
        if type(value) is not str:
            return "Answer with the name of the network in quotes, for instance \"for this CPU\"."
        chosen = next((r for r in rows if "for " + r["home"] == value.strip()), None)
        if chosen is None:
            return "The table has no such network."
        budget, unit = next((r["budget"], r["unit"]) for r in rows if r["home"] == device)
        if chosen["cost"][device] > budget * (1 + 1e-9):
            return f"That needs {chosen['cost'][device]:.3g} {unit} on the {device}; the budget is {budget:.3g} {unit}."
        best = max(r["accuracy"] for r in rows if r["cost"][device] <= budget * (1 + 1e-9))
        if chosen["accuracy"] >= best - 0.005:
            return None
        return f"It fits, but another one fits too and is {100 * (best - chosen['accuracy']):.1f} points better."

    return Item(f"You ship to the {device} with the budget in its row. Which of the four networks do you take? Answer its name, for instance "
                "\"for this CPU\"; the best test accuracy that fits wins (0.5 points are forgiven).",
                verify, "First strike out what breaks the budget on this device, then compare what is left.")


QUESTIONS = (
    Question("once_for_all.stale", "prediction", 1, ask_stale),
    Question("once_for_all.recalibrated", "prediction", 1, ask_recalibrated),
    Question("once_for_all.tau", "prediction", 1, ask_tau),
    Question("once_for_all.decide", "decision", 3, ask_decision),
    Question("once_for_all.quiz.1", "quiz", 1, ask_extra),
    Question("once_for_all.quiz.2", "quiz", 1, ask_space),
    Question("once_for_all.quiz.3", "quiz", 1, ask_mean),
    Question("once_for_all.quiz.4", "quiz", 1, ask_sorting),
    Question("once_for_all.quiz.5", "quiz", 1, ask_table),
)
