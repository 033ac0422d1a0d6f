"""Predictions, decision and quiz of the lab tinytl."""

import math

from tinylib.check.answers import letter, number
from tinylib.check.question import Item, Question
from tinylib.core.checkpoint import load_record


def ask_stock(rng):
    return Item("You freeze every weight in PyTorch and train the biases alone. How many times less does it keep for the backward pass than for full training?",
                number(1.0, "", 1e6), "Freezing a weight does not tell a convolution to drop its input.")


def ask_saving(rng):
    return Item("With layers made for it, how many times less can training the biases and lite residuals keep than full training (batch 8)?",
                number(1.0, "", 1e6), "Bits in place of floats, and small maps in place of large ones.")


def ask_gap(rng):
    return Item("The six methods adapt to the other vendor's pictures. How many points of accuracy does lite+bias lie below full training?",
                number(0.0, "", 1e3), "The spread over seeds says how far this number can be trusted.")


def ask_mask(rng):
    batch, channels, side = int(rng.choice([2, 3, 5])), int(rng.choice([11, 13, 19])), int(rng.choice([7, 9, 11]))
    n = batch * channels * side * side
    return Item(f"A packed ReLU sees a batch of {batch} with {channels} channels of {side}x{side}. How many bytes does it keep?",
                number(math.ceil(n / 8), "One bit for each element of the whole batch, rounded up to bytes once."),
                f"{batch} x {channels} x {side} x {side} = {n} bits = {math.ceil(n / 8)} bytes.")


def ask_stop(rng):
    blocks, first = int(rng.choice([8, 10, 12])), int(rng.choice([5, 6, 7]))
    return Item(f"A chain of {blocks} blocks, numbered from 1 (next to the image). Biases train in block {first} and above, all weights are frozen. "
                "Each block is convolution with bias, then packed ReLU. How many blocks keep a mask?",
                number(blocks - first + 1, "The bias is added before the ReLU of its own block. Which ReLUs does a gradient pass on its way down to it?"),
                f"The gradient runs down to the bias of block {first}, through the ReLU of that block too: {blocks} - {first} + 1 = {blocks - first + 1}.")


def ask_silu(rng):
    return Item(
        "You replace each ReLU by SiLU, x times sigmoid(x), and train biases only. What happens to the memory?",
        letter("b", {"a": "The derivative of SiLU takes many values. Can one bit hold it?", "c": "Biases still need no input. But the activation?",
                     "d": "The derivative depends on x, so something has to be kept."}),
        "The derivative of a smooth activation depends on the value of x, so x is kept as a float: 32 times as much as a bit.",
        (("a", "Nothing: one bit an element is enough."), ("b", "Each activation keeps its input as floats, 32 times the mask."),
         ("c", "The convolutions must keep their inputs again."), ("d", "It shrinks: SiLU has no mask.")))


def ask_lora(rng):
    return Item(
        "A low-rank adapter adds B A x to a frozen 1x1 convolution W x and trains the thin matrices A and B. It trains few parameters. What about memory?",
        letter("c", {"a": "Few parameters are not few activations. What does the gradient of A need?", "b": "W is frozen and keeps nothing in our layers.",
                     "d": "A x is small, but the gradient of A is an outer product with another tensor."}),
        "The gradient of A is (gradient of A x) times x: the whole input is kept. That is the paper's title: reduce memory, not parameters.",
        (("a", "It is small too, for few parameters train."), ("b", "W x must be kept, because W is frozen."),
         ("c", "x must be kept: the gradient of A needs it."), ("d", "Only A x is kept, which is thin.")))


def ask_batch(rng):
    small, large, kib = int(rng.choice([1, 2, 4])), int(rng.choice([16, 32, 64])), int(rng.choice([20, 30, 45]))
    return Item(f"A method keeps {kib} KiB of activations at batch {small}. The network has 240 KiB of weights. How many KiB are weights and activations "
                f"together at batch {large}?",
                number(240 + kib * large // small, "The weights are there once, whatever the batch. Activations grow with it."),
                f"240 + {kib} x {large // small} = {240 + kib * large // small} KiB.")


def ask_decision(rng):
    budget = int(rng.choice([110, 430, 600, 4000]))

    def verify(value):
        memory, sweep = load_record("tinytl-memory")["lean"], load_record("tinytl-sweep")["test"]
        if type(value) is not str or value not in memory:
            return f"Answer with the name of a method: {', '.join(memory)}."
        if memory[value] > budget * 1024:
            return f"{value} keeps {memory[value] / 1024:.0f} KiB at batch 8; the budget is {budget} KiB."
        mean = {m: sum(runs) / len(runs) for m, runs in sweep.items()}
        best = max(mean[m] for m in memory if memory[m] <= budget * 1024)
        return None if mean[value] >= best - 0.003 else f"It fits, but another method fits too and is {100 * (best - mean[value]):.1f} points better."

    return Item(f"Your device has {budget} KiB for activations, at batch 8. Which of the six methods do you ship? "
                "The best mean accuracy that fits wins (0.3 points are forgiven).",
                verify, "First who fits, then who is best among them.")


QUESTIONS = (
    Question("tinytl.stock", "prediction", 1, ask_stock),
    Question("tinytl.saving", "prediction", 1, ask_saving),
    Question("tinytl.gap", "prediction", 1, ask_gap),
    Question("tinytl.decide", "decision", 3, ask_decision),
    Question("tinytl.quiz.1", "quiz", 1, ask_mask),
    Question("tinytl.quiz.2", "quiz", 1, ask_stop),
    Question("tinytl.quiz.3", "quiz", 1, ask_silu),
    Question("tinytl.quiz.4", "quiz", 1, ask_lora),
    Question("tinytl.quiz.5", "quiz", 1, ask_batch),
)
