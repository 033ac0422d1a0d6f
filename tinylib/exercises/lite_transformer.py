"""Exercises of the lab `lite_transformer`; its questions are in `questions/lite_transformer.py`."""

import math

import numpy as np

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.exercises.harness import lite_transformer as harness
from tinylib.exercises.questions.lite_transformer import QUESTIONS
from tinylib.exercises.wrong import lite_transformer as wrong

__all__ = ["EXERCISES", "QUESTIONS"]

TOLERANCE = 1e-9      # float64, values below 10: rounding only


def growing(instances: list[Args]) -> list[Args]:
    """From small to large; the first that fails is the one shown."""
    return sorted(instances, key=size_of)


# --- lightweight convolution --------------------------------------------------------------------------------------------


def light_case(rng: np.random.Generator, b: int, n: int, h: int, each: int, k: int, causal: bool, padded: bool = False) -> Args:
    keep = None
    if padded:
        keep = np.arange(n) < rng.integers(1, max(n, 2), (b, 1))
    return {"x": rng.integers(1, 10, (b, n, h * each)).astype(float), "kernel": rng.integers(-2, 3, (h, k)) + rng.random((h, k)).round(2), "causal": causal,
            "keep": keep, "upstream": rng.integers(1, 10, (b, n, h * each)).astype(float)}


def random_light(rng: np.random.Generator) -> Args:
    b, n, h, each, k = (int(rng.integers(low, high)) for low, high in ((1, 3), (1, 8), (1, 4), (1, 4), (1, 10)))
    return light_case(rng, b, n, h, each, k, bool(rng.random() < 0.5), bool(rng.random() < 0.4))


def light_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [light_case(rng, 1, 3, 1, 1, 2, True), light_case(rng, 1, 3, 1, 1, 3, False), light_case(rng, 1, 3, 1, 1, 2, False),
             light_case(rng, 1, 2, 2, 2, 5, True), light_case(rng, 1, 4, 2, 2, 3, True), light_case(rng, 2, 5, 2, 3, 4, False, True)]
    return growing(fixed + [random_light(rng) for _ in range(14)])


def light_oracle(args: Args) -> Facts:
    """Word by word, channel by channel, tap by tap; each product is also what its two factors' gradients are made of."""
    x, kernel, keep, upstream = args["x"], args["kernel"], args["keep"], args["upstream"]
    (b, n, c), (h, k) = x.shape, kernel.shape
    left = k - 1 if args["causal"] else k // 2
    taps = np.array([[math.exp(v) / sum(math.exp(w) for w in row) for v in row] for row in kernel])
    out, for_x, for_taps = np.zeros_like(x), np.zeros_like(x), np.zeros_like(taps)
    for i, t, channel, j in np.ndindex(b, n, c, k):
        source, head = t + j - left, channel // (c // h)
        if 0 <= source < n and (keep is None or keep[i, source]):
            out[i, t, channel] += taps[head, j] * x[i, source, channel]
            for_x[i, source, channel] += taps[head, j] * upstream[i, t, channel]
            for_taps[head, j] += x[i, source, channel] * upstream[i, t, channel]
    through_softmax = taps * (for_taps - (taps * for_taps).sum(1, keepdims=True))
    return {"out": out, "gradient_x": for_x, "gradient_kernel": through_softmax, "mutated": False}


LIGHT = Exercise(
    "lite_transformer.light_convolution", 5, 15, harness.light_convolution, light_instances, light_oracle,
    (shape_and_dtype("out"), agrees("out", TOLERANCE), agrees("gradient_x", TOLERANCE), agrees("gradient_kernel", 1e-7),
     no_mutation(group="manners")),
    (Misconception(wrong.softmax_over_heads, "The softmax runs over the heads. The taps of *one* head must sum to 1: that is the last axis of the kernel."),
     Misconception(wrong.raw_taps, "The kernel is not yet a weighted mean: put a softmax over its taps first."),
     Misconception(wrong.looks_ahead, "With causal=True a word must not see later words: all k - 1 zeros go in front of the sentence."),
     Misconception(wrong.turned_round, "The taps run the wrong way. The last tap belongs to the latest word."),
     Misconception(wrong.forgets_padding, "Words where `keep` is False are padding: set them to zero before the convolution."),
     Misconception(wrong.silences_afterwards, "The padding is silenced too late: real words beside it have heard it already. Set it to zero before."),
     Misconception(wrong.heads_take_turns, "A head is a run of neighbouring channels: 0 to c/h - 1 first. `repeat_interleave`, not `repeat`.")),
    ("Make three things: taps that sum to 1, a silent padding, and zeros on both sides of the sentence.",
     "left = k - 1 if causal, else k // 2; right = k - 1 - left. Output t is the sum over j of taps[j] * padded[t + j].",
     "F.conv1d(F.pad(x.transpose(1, 2), (left, right)), weight, groups=c) with weight (c, 1, k): each head's taps repeated for its c / h channels."),
    wrong.light_convolution)

# --- long and short -----------------------------------------------------------------------------------------------------


def split_case(rng: np.random.Generator, b: int, n: int, half: int) -> Args:
    return {"x": rng.integers(-9, 10, (b, n, 2 * half)) / 4, "far": rng.integers(-4, 5, (4 * half, 4 * half)) / 8, "near": rng.integers(1, 9, 4 * half) / 4}


def split_instances(rng: np.random.Generator) -> list[Args]:
    return growing([split_case(rng, *shape) for shape in ((1, 2, 1), (1, 3, 2), (2, 3, 2))]
                   + [split_case(rng, *(int(v) for v in rng.integers(1, 5, 3) + np.array([0, 1, 1]))) for _ in range(8)])


def split_oracle(args: Args) -> Facts:
    """Every sentence and word by itself."""
    x = args["x"]
    half = x.shape[2] // 2
    weight, near, out = args["far"][:half, :half], args["near"][:half], np.zeros_like(x)
    for i, sentence in enumerate(x):
        for t, word in enumerate(sentence):
            scores = [math.exp(word[:half] @ weight @ other[:half]) for other in sentence]
            out[i, t, :half] = sum(s * other[:half] for s, other in zip(scores, sentence)) / sum(scores)
            before = sentence[t - 1, half:] if t else 0 * near
            out[i, t, half:] = word[half:] + near * before
    return {"out": out, "parameters": half * half + half, "widths": {"attention": [half], "convolution": [half]}, "mutated": False}


SPLIT = Exercise(
    "lite_transformer.long_short", 4, 12, harness.long_short, split_instances, split_oracle,
    (agrees("widths", name="each branch is made once, for half of the channels"), agrees("parameters", name="the number of parameters is exact"),
     shape_and_dtype("out"), agrees("out", TOLERANCE), no_mutation(group="manners")),
    (Misconception(wrong.FullWidth, "Both branches get all channels, so nothing is saved: each one is made for dim // 2 channels."),
     Misconception(wrong.Swapped, "The left half of the channels belongs to attention, the right half to the convolution."),
     Misconception(wrong.JoinedSwapped, "The results are joined in the wrong order: attention's channels come first."),
     Misconception(wrong.TakesTurns, "Split into a left and a right half, not into even and odd channels."),
     Misconception(wrong.Added, "Join the two results along the channels (`torch.cat`). Their sum has only half as many channels."),
     Misconception(wrong.Unregistered, "PyTorch does not find your branches: they stand in a plain list. Make them attributes, or use nn.ModuleList.")),
    ("Two branches, each made for dim // 2 channels; forward splits, calls both, joins.",
     "x.chunk(2, -1) gives the two halves of the channels.",
     "self.attention = make_attention(dim // 2), likewise the other; return torch.cat([self.attention(far), self.convolution(near)], -1)"),
    wrong.LongShort)

# --- MACs ---------------------------------------------------------------------------------------------------------------


def random_layer(rng: np.random.Generator) -> Args:
    d = int(rng.integers(2, 25))
    return {"n": int(rng.integers(2, 16)), "d": d, "near": int(rng.integers(0, d + 1)), "taps": int(rng.integers(1, 9)), "inner": int(rng.integers(1, 40))}


def macs_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [{"n": 3, "d": 4, "near": 2, "taps": 3, "inner": 4}, {"n": 3, "d": 4, "near": 0, "taps": 3, "inner": 16},
             {"n": 5, "d": 6, "near": 4, "taps": 2, "inner": 6}, {"n": 4, "d": 3, "near": 3, "taps": 5, "inner": 2}]
    return growing(fixed + [random_layer(rng) for _ in range(10)])


def macs_oracle(args: Args) -> Facts:
    """Go through the output elements of every product, one by one, and add what each costs."""
    def product(rows: int, inner: int, columns: int) -> int:
        return sum(inner for _ in range(rows) for _ in range(columns))

    n, d, near = args["n"], args["d"], args["near"]
    far = d - near
    linear = sum(product(n, far, far) for _ in ("query", "key", "value", "output")) + sum(product(n, near, near) for _ in ("into", "out of"))
    attention = product(n, far, n) + product(n, n, far)
    convolution = sum(args["taps"] for _ in range(n) for _ in range(near))
    return {"macs": {"linear": linear, "attention": attention, "convolution": convolution,
                     "feed_forward": product(n, d, args["inner"]) + product(n, args["inner"], d)}}


MACS = Exercise(
    "lite_transformer.layer_macs", 4, 12, harness.layer_macs, macs_instances, macs_oracle, (shape_and_dtype("macs"), agrees("macs")),
    (Misconception(wrong.forgets_the_square, "Attention compares every word with every word: n * n scores, not n."),
     Misconception(wrong.scores_only, "Two products are of size n * n: the scores q k, and the weighted sum of the values."),
     Misconception(wrong.both_full_width, "Attention has only d - near channels, the convolution only `near`."),
     Misconception(wrong.mixes_all_channels, "The convolution is depth-wise: a channel hears only itself, so a word costs near * taps."),
     Misconception(wrong.one_layer_only, "The feed-forward part has two layers: d to inner, and back."),
     Misconception(wrong.three_matrices, "Attention has four linear layers: query, key, value, and the output layer.")),
    ("Count one product after the other: rows x inner x columns.",
     "linear: four layers over d - near channels, two over `near`. attention: n x (d - near) x n, twice.",
     "convolution: n * near * taps. feed_forward: 2 * n * d * inner. Give a dict with the four names and whole numbers."),
    wrong.layer_macs)

# --- one word at a time -------------------------------------------------------------------------------------------------


def stream_case(rng: np.random.Generator, h: int, each: int, k: int, before: int, after: int, index: list[int], b: int) -> Args:
    def words(steps, rows):
        return rng.integers(1, 10, (steps, rows, h * each)).astype(float)

    return {"kernel": rng.integers(-2, 3, (h, k)) + rng.random((h, k)).round(2), "before": words(before, b), "other": words(before, b),
            "after": words(after, len(index)), "index": index}


def random_stream(rng: np.random.Generator) -> Args:
    b = int(rng.integers(2, 5))
    index = rng.integers(0, b, int(rng.integers(1, 6))).tolist()
    return stream_case(rng, *(int(rng.integers(low, high)) for low, high in ((1, 4), (1, 4), (1, 7), (1, 6), (1, 6))), index, b)


def stream_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [stream_case(rng, 1, 1, 2, 1, 1, [1, 0], 2), stream_case(rng, 1, 1, 3, 2, 2, [1, 1], 2), stream_case(rng, 2, 2, 3, 3, 3, [2, 0, 1], 3)]
    return growing(fixed + [random_stream(rng) for _ in range(10)])


def stream_oracle(args: Args) -> Facts:
    """Every row's whole history is written down and summed anew at every step."""
    kernel = args["kernel"]
    taps = np.exp(kernel) / np.exp(kernel).sum(1, keepdims=True)
    each = args["before"].shape[2] // len(kernel)

    def now(history: list[np.ndarray]) -> list[float]:
        return [sum(taps[c // each, -1 - age] * history[-1 - age][c] for age in range(min(len(history), taps.shape[1]))) for c in range(len(history[0]))]

    def run(histories: list[list], words: np.ndarray) -> np.ndarray:
        outs = []
        for step in words:
            for history, word in zip(histories, step):
                history.append(word)
            outs.append([now(history) for history in histories])
        return np.array(outs)

    one, other = ([[] for _ in range(args["before"].shape[1])] for _ in range(2))
    facts = {"before": run(one, args["before"]), "other": run(other, args["other"])}
    return facts | {"after": run([list(one[i]) for i in args["index"]], args["after"]), "mutated": False}


STREAM = Exercise(
    "lite_transformer.convolution_stream", 5, 15, harness.convolution_stream, stream_instances, stream_oracle,
    (agrees("before", TOLERANCE, name="word by word it gives what the causal convolution gives"), agrees("other", TOLERANCE, name="two streams do not mix"),
     agrees("after", TOLERANCE, name="after `reorder` row i goes on from row index[i]"), no_mutation(group="manners")),
    (Misconception(wrong.RepeatsFirstWord, "Before the first word there is nothing: the buffer starts with zeros, not with copies of that word."),
     Misconception(wrong.NewestFirst, "The taps meet the words in the wrong order: the last tap belongs to the newest word."),
     Misconception(wrong.StaysInOrder, "`reorder` must bring the past along: row i goes on from what row index[i] had read."),
     Misconception(wrong.ScattersRows, "The direction is reversed: row i *fetches* the past of row index[i]. Indexing does it: past[index]."),
     Misconception(wrong.StartsAnew, "`reorder` keeps the past, in another order. It does not forget it."),
     Misconception(wrong.SharedPast, "Two streams mix: the past must belong to the object (`self`), not to the class."),
     Misconception(wrong.WithoutPresent, "Your output comes one word late: the new word belongs to the k words that are summed.")),
    ("An output needs k words: the new one and the k - 1 before it. Only those have to be kept.",
     "Start with zeros (b, k - 1, c). Join the new word behind them, weigh, sum, and keep all but the oldest.",
     "taps: kernel.softmax(1).repeat_interleave(c // h, 0) is (c, k). reorder: self.past = self.past[index]"),
    wrong.ConvolutionStream)

EXERCISES = (LIGHT, SPLIT, MACS, STREAM)
