"""Predictions, decision and quiz of the lab `tsm`."""

import numpy as np

from tinylib.check.answers import guess, letter, number
from tinylib.check.question import Item
from tinylib.video.tsm import bytes_moved, shifted_channels

CHANNELS, SIDE, FRAMES = 32, 12, 8          # the widest shifted layer of the decision
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)


def ask_blind(rng: np.random.Generator) -> Item:
    return Item("Eight classes in four reversed pairs. A network looks at each frame alone and averages its answers. "
                "How many per cent of unseen clips can it get right at best?", guess,
                "It may learn the pair, but a clip and its reversal hold the same frames, so within a pair it tosses a coin.")


def ask_early(rng: np.random.Generator) -> Item:
    return Item("The streaming network sees one frame after another. After how many of the eight frames is it right for nine clips in ten?", guess,
                "One frame shows no motion. From the second on, the shifted channels compare now with before.")


def ask_decide(rng: np.random.Generator) -> Item:
    best = int(rng.integers(0, len(FRACTIONS) - 1))
    costs = [bytes_moved(CHANNELS, FRAMES, SIDE, SIDE, fraction=f, mode="past", bytes_each=1) for f in FRACTIONS]
    budget = int(rng.integers(costs[best], costs[best + 1]))

    def verify(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != {"mode", "fraction"}:
            return "Answer with a dictionary: {'mode': ..., 'fraction': ...}."
        if value["mode"] != "past":
            return "The camera delivers one frame at a time: a shift that takes channels from the frame after cannot run." if value["mode"] == "both" else \
                "Without a shift the network does not see the order of frames."
        if value["fraction"] not in FRACTIONS:
            return f"Choose a fraction from {FRACTIONS}."
        cost = bytes_moved(CHANNELS, FRAMES, SIDE, SIDE, fraction=value["fraction"], mode="past", bytes_each=1)
        if cost > budget:
            return f"That moves {cost:,} bytes a clip, {cost - budget:,} over the budget."
        return None if value["fraction"] == FRACTIONS[best] else "A larger fraction still fits: more channels can carry the past."

    return Item(f"A door camera must answer after every frame. Its shifted layer has {CHANNELS} channels of {SIDE} x {SIDE} places at 8 bits, {FRAMES} frames "
                f"a clip; the memory bus leaves {budget:,} bytes a clip for the shift. Choose a mode and the largest fraction of {FRACTIONS} that fits.",
                verify, "Only mode 'past' can stream; int(c * fraction) channels move t - 1 times.")


def ask_moved(rng: np.random.Generator) -> Item:
    c, side, t = int(rng.choice([24, 40, 56])), int(rng.choice([6, 8, 10])), int(rng.choice([4, 8]))
    truth = 2 * (c // 8) * (t - 1) * side * side
    return Item(f"A two-way shift moves 1/8 of {c} channels each way, {side} x {side} places, {t} frames, 1 byte a number. How many bytes change their frame?",
                number(truth, "Channels in one direction, times moves between frames, times places, times two directions."),
                "int(c / 8) channels, t - 1 moves, h x w places, two directions.")


def ask_circular(rng: np.random.Generator) -> Item:
    return Item("Someone writes the shift with `torch.roll` along time. What goes wrong?",
                letter("c", {"a": "`roll` moves the same number of values.", "b": "The gradient of roll is a roll: it flows.",
                             "d": "`roll` along time keeps the clips of a batch apart."}),
                "The last frame's channels come out in the first frame: the network sees the end before it happened.",
                (("a", "it moves more bytes"), ("b", "no gradient flows"),
                 ("c", "the first frame holds channels of the last"), ("d", "clips of the batch mix")))


def ask_state(rng: np.random.Generator) -> Item:
    c, side, streams = int(rng.choice([20, 28, 44])), int(rng.choice([6, 12, 14])), int(rng.choice([2, 3, 5]))
    truth = shifted_channels(c, 1 / 8) * side * side * streams
    return Item(f"A streaming layer with {c} channels of {side} x {side} places at 8 bits shifts 1/8 of them. {streams} cameras run at once. "
                "How many bytes wait between two frames?", number(truth, "Only the shifted channels wait, whole channels, one set for each camera."),
                "int(c / 8) channels x places x cameras. The depth of the past is one frame.")


def ask_online(rng: np.random.Generator) -> Item:
    return Item("A network trained with the two-way shift is run one frame at a time; the channels from the future are filled with zeros. What do you expect?",
                letter("b", {"a": "Its layers were trained with channels from the frame after; zeros are another input.",
                             "c": "It runs: the shapes are the same. But the answers change.", "d": "Neither shift has parameters."}),
                "It meets inputs it never saw in training. A network that must stream is trained with the one-way shift.",
                (("a", "the same answers"), ("b", "worse answers: it was trained with those channels filled"), ("c", "an error, since shapes differ"),
                 ("d", "missing parameters")))


def ask_where(rng: np.random.Generator) -> Item:
    return Item("Why does the shift stand inside the residual branch and not on the trunk?",
                letter("a", {"b": "It costs no MAC in either place.", "c": "Both places stream equally well.",
                             "d": "Any place before a layer would be trained."}),
                "On the trunk the moved channels of the frame itself would be lost for all later layers; beside it the skip still carries them.",
                (("a", "the skip connection keeps every frame's own channels"), ("b", "it costs fewer MACs there"), ("c", "only there can it stream"),
                 ("d", "only there does a gradient reach it")))
