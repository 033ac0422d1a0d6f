"""Predictions, decisions and quiz of the lab `qoc`. Each function draws the item for one learner."""


import numpy as np

from tinylib.check.answers import as_number, letter, number
from tinylib.check.question import Item, Question


def ask_errors(rng: np.random.Generator) -> Item:
    return Item("Gradients are measured on a noisy machine. Take those a tenth as large as others: "
                "how many times larger is their *relative* error? (One number.)",
                lambda value: None if as_number(value) else "Give one number, for example 3.",
                "If the absolute error were the same for all, the answer would be 10. A part of the error is proportional to the gradient: noise shrinks it.")


def ask_gain(rng: np.random.Generator) -> Item:
    return Item("Half of the gradients are skipped in two of three steps. The circuits saved go into more steps. After equally many circuits, "
                "by how many points does test accuracy differ from training without pruning? (One number; negative if pruning is worse.)",
                lambda value: None if as_number(value) is not None else "Give one number, for example 2.",
                "Fewer measurements a step, more steps: whether that pays depends on how noisy the skipped gradients were.")


def circuits_a_step(weights: int, controlled: int, batch: int) -> int:
    """Shifted circuits and one forward pass for each sample."""
    return batch * (2 * weights + 4 * controlled + 1)


def decide_numbers(rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(weights, batch, circuits a day, percent of gradients that may stay unmeasured) of this learner."""
    return int(rng.choice([16, 24, 32])), int(rng.choice([4, 8])), int(rng.choice([20_000, 30_000, 50_000])), int(rng.choice([22, 30, 35, 38, 45]))


def steps_within(n: int, batch: int, budget: int, ratio: float, prune: int) -> int:
    """Steps that fit: one of accumulation, then `prune` with (1 - ratio) n gradients, repeated."""
    full, part = batch * (2 * n + 1), batch * (2 * max(1, round((1 - ratio) * n)) + 1)
    used, steps = 0, 0
    while True:
        used += full if steps % (prune + 1) == 0 else part
        if used > budget:
            return steps
        steps += 1


RATIOS, WINDOWS = (0.0, 0.25, 0.5, 0.75), (1, 2, 4)


def ask_decide(rng: np.random.Generator) -> Item:
    n, batch, budget, percent = decide_numbers(rng)
    skipped = lambda ratio, prune: 100 * ratio * prune / (1 + prune)
    most = max(steps_within(n, batch, budget, r, w) for r in RATIOS for w in WINDOWS if skipped(r, w) <= percent)

    def verify(value: object) -> str | None:
        if type(value) is not dict or set(value) != {"ratio", "prune"} or type(value["ratio"]) is not float or type(value["prune"]) is not int:
            return 'Give a dictionary such as {"ratio": 0.25, "prune": 2}.'
        if value["ratio"] not in RATIOS or value["prune"] not in WINDOWS:
            return f"ratio must be one of {RATIOS}, prune one of {WINDOWS}."
        if skipped(**value) > percent:
            return f"That leaves {skipped(**value):.0f} % of all gradients unmeasured; at most {percent} % may be."
        steps = steps_within(n, batch, budget, value["ratio"], value["prune"])
        return None if steps == most else f"That makes {steps} steps. Another choice makes {most}."
    return Item(f"A circuit has {n} weights, all rotations. A batch of {batch} is run once a step, and shifted circuits on top. You have {budget:,} circuits, "
                f"and may leave at most {percent} % of all gradients unmeasured. Which ratio (of {RATIOS}) and how many pruning steps after each full step "
                f"(of {WINDOWS}) give the most steps? (A dictionary with ratio and prune.)", verify,
                "A longer pruning window and a higher ratio both save circuits; the share not measured is ratio * prune / (1 + prune).")


def ask_count(rng: np.random.Generator) -> Item:
    rotations, controlled, batch = int(rng.integers(6, 20)), int(rng.integers(1, 6)), int(rng.choice([4, 8, 16]))
    right = circuits_a_step(rotations, controlled, batch)
    return Item(f"A circuit has {rotations} trained rotations and {controlled} trained controlled rotations, each with a weight of its own. "
                f"The batch is {batch}. How many circuits does one step run, the forward pass included?",
                number(right, "Two for a rotation, four for a controlled one, one for the forward pass; all of it for every sample."),
                f"{batch} * (2 * {rotations} + 4 * {controlled} + 1) = {right:,}.")


def ask_saved(rng: np.random.Generator) -> Item:
    ratio, prune = float(rng.choice([0.25, 0.5, 0.75])), int(rng.choice([1, 3, 4]))
    right = ratio * prune / (1 + prune)
    return Item(f"Accumulation lasts 1 step, pruning {prune} step(s) with ratio {ratio}. Which share of all gradients is not measured? (A number from 0 to 1.)",
                lambda value: None if as_number(value) is not None and abs(value - right) < 0.006
                else "In a pruning step the share is the ratio; average over one period.",
                f"{ratio} * {prune} / {1 + prune} = {right:.3f}.")


def ask_shots(rng: np.random.Generator) -> Item:
    k = int(rng.choice([2, 3, 4]))
    return Item(f"The noise of a measured gradient should become {k} times smaller. By what factor must the number of shots grow?",
                number(k * k, "The standard error falls with the square root of the shots."), f"{k}^2 = {k * k}.")


def ask_small_step(rng: np.random.Generator) -> Item:
    return Item("Why pi/2 and not a small step such as 0.001?",
                letter("b", {"a": "Machines set angles far more finely than that.", "c": "Both need two circuits for a rotation.",
                             "d": "With exact values a small step is nearly right. What happens to the noise?"}),
                "Both values carry the same shot noise. Divided by 0.002 it becomes 500 times larger; divided by 2, it halves. And the wide shift is exact.",
                (("a", "machines cannot set angles so finely"), ("b", "the difference of two noisy values would be divided by 0.002"),
                 ("c", "it would need more circuits"), ("d", "small steps give a biased result even without noise, by a factor of two")))


def ask_adam(rng: np.random.Generator) -> Item:
    return Item("A weight's gradient is not measured in this step, so its entry is set to 0 and handed to an ordinary Adam. What happens to the weight?",
                letter("c", {"a": "Adam moves by its running mean, not by the gradient of this step.",
                             "b": "The sign of the step comes from the running mean; it does not turn.",
                             "d": "Nothing random happens; look at the running mean m."}),
                "The running mean is not zero, so the weight drifts on, and both means fade as if 0 had been measured.",
                (("a", "it stays"), ("b", "it goes back"), ("c", "it moves on along its momentum"), ("d", "it makes a random step")))


QUESTIONS = (
    Question("qoc.errors", "prediction", 1, ask_errors),
    Question("qoc.gain", "prediction", 1, ask_gain),
    Question("qoc.decide", "decision", 3, ask_decide),
    Question("qoc.quiz.1", "quiz", 1, ask_count),
    Question("qoc.quiz.2", "quiz", 1, ask_saved),
    Question("qoc.quiz.3", "quiz", 1, ask_shots),
    Question("qoc.quiz.4", "quiz", 1, ask_small_step),
    Question("qoc.quiz.5", "quiz", 1, ask_adam),
)
