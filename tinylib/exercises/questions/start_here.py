"""Predictions, decisions and quiz of the lab `start_here`. Each function draws the item for one learner."""

import numpy as np

from tinylib.check.answers import as_number, letter, number
from tinylib.check.question import Item

KIB = 1024


# --- predictions --------------------------------------------------------------------------------------------------------


def ask_time(rng: np.random.Generator) -> Item:
    return Item(
        "A 3x3 convolution, 64 to 64 channels on 32x32 pixels, is replaced by a depth-wise 3x3 and a 1x1 convolution. MACs fall by a factor of 7.9. "
        "By what factor does the time on this machine fall? (One number.)",
        lambda value: None if as_number(value) else "Give one number, for example 2.5.",
        "MACs are work; time is work and traffic. The depth-wise half moves as much data as before and does little with it.")


def ask_where(rng: np.random.Generator) -> Item:
    return Item(
        "Where in the `garments` network is the most memory needed at once?",
        letter("b", {}),
        "Early layers have large images, and inside a block the image is widened to several times its channels. "
        "Late layers have many channels but tiny images.",
        (("a", "at the first layer, which reads the image"), ("b", "inside the first block, which widens a still large image"),
         ("c", "in the last blocks, which have the most channels"), ("d", "at the linear layer, which sees everything")))


# --- decisions ----------------------------------------------------------------------------------------------------------

FORK_SIZES = {"x": 16, "a1": 64, "a2": 8, "b1": 32, "b2": 4, "y": 12}      # KiB
FORK_INPUTS = {"a1": ["x"], "a2": ["a1"], "b1": ["x"], "b2": ["b1"], "y": ["a2", "b2"]}
FORK_BUDGET = 86


def peak_of_order(order: list[str], sizes: dict[str, int] = FORK_SIZES, inputs: dict[str, list[str]] = FORK_INPUTS) -> int | None:
    """Peak of the two-branch graph when its steps run in `order`; None when a step would read what is not there yet."""
    peak = 0
    for i, step in enumerate(order):
        if any(name in inputs and name not in order[:i] for name in inputs[step]):
            return None
        needed = {name for later in order[i:] for name in inputs[later]} & {"x", *order[:i]}
        peak = max(peak, sum(sizes[name] for name in needed | {step}))
    return peak


def ask_order(rng: np.random.Generator) -> Item:
    def verify(value: object) -> str | None:
        if type(value) is not list or not all(type(v) is str for v in value) or sorted(value) != sorted(FORK_INPUTS):
            return f"Give a list with each of {', '.join(FORK_INPUTS)} once."
        peak = peak_of_order(value)
        if peak is None:
            return "A step would read a tensor that no earlier step has made."
        return None if peak <= FORK_BUDGET else f"This order peaks at {peak} KiB, the budget is {FORK_BUDGET}. What waits while the largest tensor is alive?"
    return Item(f"In which order must the steps {', '.join(FORK_INPUTS)} run so that the peak stays within {FORK_BUDGET} KiB? (A list of their names.)", verify,
                "Finish one branch before the other begins, and begin with the branch that leaves the least behind.")


SIDES, CHANNELS, EXPANDS = (16, 24, 32, 48), (8, 16, 24, 32, 48), (2, 3, 4, 6)


def block_costs(side: int, channels: int, expand: int) -> dict[str, int]:
    """Closed form for one 8-bit inverted residual block: peak activation bytes, weight bytes, MACs. Norms are folded away."""
    wide = expand * channels
    weights = channels * wide + 9 * wide + wide * channels
    return {"peak_bytes": side * side * (channels + 2 * wide), "weight_bytes": weights, "macs": side * side * weights}


def decide_budgets(rng: np.random.Generator) -> tuple[int, int]:
    """(peak bytes, weight bytes) of this learner."""
    return int(rng.choice([40, 48, 64, 80])) * KIB, int(rng.choice([4, 6, 8])) * KIB


def best_macs(peak: int, weights: int) -> int:
    """Most MACs of any block of the family within both budgets."""
    costs = [block_costs(s, c, e) for s in SIDES for c in CHANNELS for e in EXPANDS]
    return max(x["macs"] for x in costs if x["peak_bytes"] <= peak and x["weight_bytes"] <= weights)


def ask_decide(rng: np.random.Generator) -> Item:
    peak, weights = decide_budgets(rng)
    best = best_macs(peak, weights)
    choices = {"side": SIDES, "channels": CHANNELS, "expand": EXPANDS}

    def verify(value: object) -> str | None:
        if type(value) is not dict or set(value) != set(choices) or not all(type(value[k]) is int and value[k] in choices[k] for k in choices):
            return f'Give a dictionary such as {{"side": 16, "channels": 8, "expand": 2}}, with values from {choices}.'
        costs = block_costs(**value)
        for key, limit, what in (("peak_bytes", peak, "activations"), ("weight_bytes", weights, "weights")):
            if costs[key] > limit:
                return f"It does not fit: {costs[key] / KIB:.1f} KiB of {what}, and {limit // KIB} KiB are there."
        return None if costs["macs"] >= 0.9 * best else f"It fits, and does {costs['macs'] / 1e6:.2f} MMAC. Another block that fits does more than 10 % more."
    return Item(f"Your chip has {peak // KIB} KiB for activations and {weights // KIB} KiB for the weights of one 8-bit block. "
                "Which side, channels and expand do the most work within both? (A dictionary; within 10 % of the best.)", verify,
                "Weights bind channels and expand; activations bind side and channels. The best block presses against both limits.")


# --- quiz ---------------------------------------------------------------------------------------------------------------


def ask_macs(rng: np.random.Generator) -> Item:
    groups, side = int(rng.choice([2, 4])), int(rng.choice([8, 12, 16]))
    c, k = groups * int(rng.integers(2, 9)), groups * int(rng.integers(2, 9))
    right = (side // 2) ** 2 * k * (c // groups) * 9
    return Item(f"A 3x3 convolution with stride 2, padding 1 and {groups} groups takes {c} channels of {side}x{side} pixels to {k} channels. How many MACs?",
                number(right, f"Output places first: {side}x{side} becomes {side // 2}x{side // 2}. Then the channels that one output sees."),
                f"{side // 2} * {side // 2} * {k} * ({c} / {groups}) * 9 = {right:,}.")


def ask_peak(rng: np.random.Generator) -> Item:
    x, wide = int(rng.integers(3, 12)), int(rng.integers(15, 40))
    return Item(f"x ({x} KiB) goes through a layer to u ({wide} KiB), through another to v ({wide} KiB), through a third to w ({x} KiB), "
                f"and y = w + x ({x} KiB). Each step writes a new tensor. What is the peak in KiB?",
                number(x + 2 * wide, "List the tensors alive at the second step. Who still waits for x?"),
                f"At the second step x waits for the sum, u is read and v written: {x} + {wide} + {wide} = {x + 2 * wide}.")


def ask_fewer_macs(rng: np.random.Generator) -> Item:
    return Item("Half of a layer's MACs are cut away, its input, output and weights stay as large as before, and its time does not change. Why?",
                letter("c", {"a": "One thread or many: the MACs are gone for both.",
                             "b": "It does change with the work, as long as the work is what one waits for.",
                             "d": "Such a timer error would not hit just this layer."}),
                "Left of the ridge one waits for bytes. Less arithmetic there only means more waiting.",
                (("a", "the machine has too few threads"), ("b", "time never depends on MACs"),
                 ("c", "the layer is memory bound: the bytes it moves are unchanged"), ("d", "the timer is too coarse")))


def ask_sram(rng: np.random.Generator) -> Item:
    return Item("A network needs too much SRAM for its activations on a chip that streams the weights from flash. Which change helps?",
                letter("b", {"a": "The weights lie in flash; the activations stay as large as they were.",
                             "c": "The last layers have small images: their buffers are not the peak.",
                             "d": "A residual keeps its input alive longer; adding one raises the peak or leaves it."}),
                "The peak is set by the buffers alive together at the worst step, early and wide. A smaller image shrinks exactly these.",
                (("a", "prune half of the weights to zero"), ("b", "feed images of three quarters of the side"), ("c", "halve the channels of the last block"),
                 ("d", "add a residual around the widest layer")))


def ask_bound(rng: np.random.Generator) -> Item:
    d = int(rng.choice([1024, 2048, 4096]))
    return Item(f"A language model writes one token at a time: a linear layer {d} to {d} with 16-bit weights sees a batch of 1. "
                "The ridge of the machine lies at 20 MAC per byte. The batch grows to 8. What happens to the time of the layer?",
                letter("a", {"b": "That would hold if arithmetic were the limit. Work out MAC per byte first: each weight is 2 bytes.",
                             "c": "More work in less time? The weights are read once either way.",
                             "d": "The formula for MACs is linear; the square is nowhere in it."}),
                "Each 2-byte weight is used once per sample: 0.5 MAC per byte at batch 1, about 4 at batch 8. "
                "Both lie left of 20: the time is that of reading the weights.",
                (("a", "it stays about the same"), ("b", "it grows 8 times"), ("c", "it falls to an eighth"), ("d", "it grows 64 times")))
