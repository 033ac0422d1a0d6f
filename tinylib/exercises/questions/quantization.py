"""Predictions, decision and quiz of the lab quantization."""

import math

from tinylib.check.answers import letter, number
from tinylib.check.question import Item, Question
from tinylib.core.checkpoint import load_record


def ask_eight(rng):
    return Item("Every weight and every activation becomes one of 256 integers, without any training. How many points of accuracy are lost, of about 89 %?",
                number(0.0, "", 100.0), "256 levels leave an error of half a step at most, and the errors of thousands of products partly cancel.")


def ask_four(rng):
    return Item("Now 16 levels for the weights and 16 for the activations, still no training. What accuracy in per cent is left?",
                number(0.0, "", 100.0), "Sixteen steps, and one scale for a whole layer: small weights all land on zero.")


def ask_trained(rng):
    return Item("The 4-bit network is trained for half an epoch, rounding included. What accuracy in per cent comes back?",
                number(0.0, "", 100.0), "Training moves the weights to where the coarse grid can hold the function.")


def ask_zero_point(rng):
    low, high = float(rng.choice([-1.0, -2.0, -0.5])), float(rng.choice([3.1, 4.1, 6.15]))
    scale = (high - low) / 255
    truth = math.floor(-128 - low / scale + 0.5)
    return Item(f"Activations between {low} and {high} go onto 8-bit integers -128..127. Which integer stands for 0?",
                number(truth, "First the scale, (high - low) / 255. The smallest value sits at -128; count the steps from there up to 0."),
                f"scale = {high - low:.2f} / 255 = {scale:.5f}; -128 + {-low} / {scale:.5f} = {-128 - low / scale:.2f}, rounded {truth}.")


def ask_requantise(rng):
    acc, m, s, z = int(rng.choice([-75, -45, 45, 75])), 3 * 2**28, 33, int(rng.choice([-7, 5, 11]))
    truth = ((acc * m + 2 ** (s - 1)) >> s) + z
    return Item(f"acc = {acc}, m = 3 * 2**28, s = 33, output zero point {z}. Which int8 comes out?",
                number(truth, "m / 2**s is a fraction you can write down. Multiply, round to nearest, then add the zero point."),
                f"m / 2**s = 3 / 32. {acc} x 3 / 32 = {acc * 3 / 32:.3f}, rounded {truth - z}; plus {z} is {truth}.")


def ask_bytes(rng):
    c, k, b = int(rng.choice([16, 24, 40])), int(rng.choice([64, 96, 160])), int(rng.choice([3, 4, 5]))
    bits = c * k * b
    truth = -(-bits // 8) + 4 * k
    return Item(f"A 1x1 convolution from {c} to {k} channels is stored with {b}-bit weights, packed, and one float32 scale per output channel. How many bytes?",
                number(truth, "Two parts: weights x bits / 8, and 4 bytes for each output channel."),
                f"{c} x {k} x {b} / 8 + 4 x {k} = {truth:,} bytes; float32 takes {4 * c * k:,}.")


def ask_exact_zero(rng):
    return Item(
        "Why must real 0 have an integer of its own?",
        letter("b", {"a": "Look at the range -1..2 in exercise 1: the grid is not symmetric, and it works.",
                     "c": "A grid without 0 has the same number of levels and multiplies just as fast.",
                     "d": "The scale is positive whatever happens to 0."}),
        "Zero padding and ReLU produce exactly 0, very often. An error there would be the same everywhere: it would not cancel but shift every sum.",
        (("a", "Else positive and negative values would have different errors."),
         ("b", "Padding and ReLU produce it all the time; an error there would not cancel."),
         ("c", "Multiplying by an inexact 0 is slower."), ("d", "Else the scale could become negative.")))


def ask_codebook(rng):
    return Item(
        "At 4 bits a codebook is often the more accurate one. Why does the microcontroller lab use linear integers all the same?",
        letter("c", {"a": "A codebook adds a few bytes a layer; look at the table of the sweep.",
                     "b": "Any layer can have a codebook. What must happen before a code can be multiplied?",
                     "d": "Centroids can be trained: their gradient is the sum over the cluster."}),
        "A code is a name, not a number. It must be looked up before it can be multiplied, and out comes a float or a wider integer. "
        "Linear codes multiply directly.",
        (("a", "Codebooks take too much memory."), ("b", "A codebook works for linear layers only."),
         ("c", "Codes must be looked up before they multiply; linear integers multiply as they are."), ("d", "Codebooks cannot be fine-tuned.")))


def accuracy_of(row):
    """Validation accuracy after the epoch of training where the sweep has one, else as rounded."""
    return row["plain"] if row["tuned"] is None else row["tuned"]


def ask_decision(rng):
    budget = int(rng.choice([24, 30, 36])) * 1024

    def verify(value):
        rows = load_record("quantization-sweep")["rows"]
        if type(value) is not list or len(value) != 2:
            return 'Answer with a list of way and bits, for instance ["per tensor", 4].'
        chosen = next((row for row in rows if [row["way"], row["bits"]] == value), None)
        if chosen is None:
            return 'The sweep has no such row. Ways are "per tensor", "per channel" and "codebook"; bits are 2 to 8.'
        if chosen["bytes"] > budget:
            return f"That takes {chosen['bytes']:,} bytes; the budget is {budget:,}."
        best = max(accuracy_of(row) for row in rows if row["bytes"] <= budget)
        gap = best - accuracy_of(chosen)
        return None if gap < 0.003 else f"It fits, but another row fits too and is {100 * gap:.1f} points better."

    return Item(f"The weights may take {budget:,} bytes of flash. Which row of the sweep do you ship? Answer [way, bits]; "
                "the best accuracy that fits wins (0.3 points are forgiven).",
                verify, "Fewer bits leave room; a better grid, or one epoch of training, uses the bits that are left.")


QUESTIONS = (
    Question("quantization.eight", "prediction", 1, ask_eight),
    Question("quantization.four", "prediction", 1, ask_four),
    Question("quantization.trained", "prediction", 1, ask_trained),
    Question("quantization.decide", "decision", 3, ask_decision),
    Question("quantization.quiz.1", "quiz", 1, ask_zero_point),
    Question("quantization.quiz.2", "quiz", 1, ask_requantise),
    Question("quantization.quiz.3", "quiz", 1, ask_bytes),
    Question("quantization.quiz.4", "quiz", 1, ask_exact_zero),
    Question("quantization.quiz.5", "quiz", 1, ask_codebook),
)
