"""Predictions, decision and quiz of the lab `lite_transformer`."""

import numpy as np

from tinylib.check.answers import guess, letter, number
from tinylib.check.question import Item, Question

WIDTH, TAPS = 256, 31                   # the layer of the decision
NEAR, INNER = (64, 128, 192), (256, 512, 1024)
WORDS = (30, 128, 512)


def ask_inner(rng: np.random.Generator) -> Item:
    return Item("A layer of the original Transformer reads a sentence of 30 words with 512 channels. How many per cent of its MACs does the "
                "*feed-forward part* take (the two layers 512 to 2,048 and back)?", guess,
                "4 n d^2 + 2 n^2 d for attention, 8 n d^2 for the feed-forward part. For short sentences the n^2 term hardly counts.")


def ask_distance(rng: np.random.Generator) -> Item:
    return Item("A plain Transformer's attention looks back some number of tokens on average. Give the same attention a convolution beside it that serves the "
                "neighbours. By how many per cent does the distance grow (negative: shrink)?", guess,
                "If the convolution takes over the neighbours, attention is free for what is far. The experiment shows whether it does.")


def cost(n: int, near: int, inner: int) -> int:
    """MACs of the decision's layer."""
    far = WIDTH - near
    return 4 * n * far * far + 2 * n * near * near + 2 * n * n * far + n * near * TAPS + 2 * n * WIDTH * inner


def ask_decide(rng: np.random.Generator) -> Item:
    n = int(rng.choice(WORDS))
    options = [(near, inner) for near in NEAR for inner in INNER]
    best = options[int(rng.integers(0, len(options) - 1))]
    ranked = sorted(options, key=lambda o: (o[0], -o[1]))            # widest attention first, then widest feed-forward part
    budget = cost(n, *best) + int(rng.integers(0, 1000))
    right = next(option for option in ranked if cost(n, *option) <= budget)

    def verify(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != {"near", "inner"}:
            return "Answer with a dictionary: {'near': ..., 'inner': ...}."
        chosen = value["near"], value["inner"]
        if chosen not in options:
            return f"Choose near from {NEAR} and inner from {INNER}."
        if cost(n, *chosen) > budget:
            return f"That layer takes {cost(n, *chosen):,} MACs, {cost(n, *chosen) - budget:,} over the budget."
        if chosen[0] > right[0]:
            return "It fits, but attention could be wider: fewer channels for the convolution also fit with some `inner`."
        return None if chosen == right else "It fits, and attention is as wide as it can be. A wider feed-forward part fits too."

    return Item(f"A translator on a phone reads {n} words at a time with {WIDTH} channels. A layer may take {budget:,} MACs. The convolution has {TAPS} taps. "
                f"Choose `near` (channels of the convolution, from {NEAR}) and `inner` (width of the feed-forward part, from {INNER}). It must fit. Keep "
                "attention as wide as possible; if several layers do, take the widest feed-forward part.",
                verify, "Go through the nine layers with your MAC counter: fewest `near` that fits, then the largest `inner`.")


def ask_pairs(rng: np.random.Generator) -> Item:
    n, d = int(rng.choice([24, 40, 100])), int(rng.choice([64, 96, 160]))
    return Item(f"A sentence of {n} words, attention over {d} channels. How many MACs do the two products of size n x n take together?",
                number(2 * n * n * d, "Each of the n x n scores is a product of d channels; then n words sum n values of d channels."),
                "n^2 d for the scores and n^2 d for the weighted sum. Heads share the channels out, so their number does not matter.")


def ask_leak(rng: np.random.Generator) -> Item:
    return Item("A decoder's convolution is padded on both sides by mistake. What do you see?",
                letter("b", {"a": "The shapes are the same as before: nothing fails.", "c": "In training the next word stands in reach of the convolution.",
                             "d": "The test loss is computed with the whole sentence present too. It is as wrong as the training loss."}),
                "The next word is in reach, so the loss falls far too low, on test sentences too. When the model writes, that word is not there yet.",
                (("a", "an error about shapes"), ("b", "training and test loss far too low, and generated text is nonsense"),
                 ("c", "a training loss that does not fall"), ("d", "a low training loss and a high test loss")))


def ask_taps(rng: np.random.Generator) -> Item:
    c, h, k = [(64, 4, 7), (96, 8, 15), (128, 4, 31)][int(rng.integers(3))]
    return Item(f"A lightweight convolution of {c} channels has {h} heads and {k} taps. How many weights does its kernel have?",
                number(h * k, "The channels of a head share one kernel. Count heads times taps."),
                "h * k. A depth-wise convolution has c * k, a full one c * c * k.")


def ask_softmax(rng: np.random.Generator) -> Item:
    return Item("All values of a kernel's row are raised by 3 before the softmax. What changes in the output of the lightweight convolution?",
                letter("c", {"a": "The softmax divides by the sum, which grows as well.", "b": "Nothing is moved along the sentence.",
                             "d": "Equal taps would need equal values, not raised ones."}),
                "A softmax does not change when all its inputs grow by the same amount. The output is a weighted mean in any case.",
                (("a", "it grows by a factor exp(3)"), ("b", "it moves three words on"), ("c", "nothing"), ("d", "all taps become equal")))


def ask_state(rng: np.random.Generator) -> Item:
    far, near, k = [(64, 64, 7), (96, 96, 15), (128, 128, 31)][int(rng.integers(3))]
    n = int(rng.choice([50, 200, 1000]))
    return Item(f"A long-short decoder layer has written {n} words. Attention ({far} channels) keeps a key and a value of each. The convolution "
                f"({near} channels) has {k} taps. How many numbers does the *convolution* keep?",
                number((k - 1) * near, "It keeps the k - 1 words before the next one, whatever n is."),
                f"(k - 1) channels-of-the-branch numbers: {(k - 1) * near:,}. Attention keeps 2 n far = {2 * n * far:,}, and that grows with every word.")


QUESTIONS = (
    Question("lite_transformer.inner", "prediction", 1, ask_inner),
    Question("lite_transformer.distance", "prediction", 1, ask_distance),
    Question("lite_transformer.decide", "decision", 3, ask_decide),
    Question("lite_transformer.quiz.1", "quiz", 1, ask_pairs),
    Question("lite_transformer.quiz.2", "quiz", 1, ask_leak),
    Question("lite_transformer.quiz.3", "quiz", 1, ask_taps),
    Question("lite_transformer.quiz.4", "quiz", 1, ask_softmax),
    Question("lite_transformer.quiz.5", "quiz", 1, ask_state),
)
