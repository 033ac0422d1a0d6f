"""Predictions, decision and quiz of the lab `anycost_gan`."""

import numpy as np

from tinylib.check.answers import guess, letter, number
from tinylib.check.question import Item
from tinylib.gan.generator import RATIOS, Config, macs


def ask_nearer(rng: np.random.Generator) -> Item:
    return Item("Two networks with half the channels: a slice of the elastic generator, and one trained alone. Both get the same latents. "
                "How many times nearer (mean squared error) is the slice to the picture of the full generator?", guess,
                "The network trained alone draws faces too, but nothing tells it which face belongs to which latent.")


def ask_faster(rng: np.random.Generator) -> Item:
    return Item("A preview has half the channels and half the side (16 instead of 32 pixels). How many times as fast as the full picture is it, "
                "by the clock?", guess,
                "The arithmetic falls by more than the time does: each layer has a cost of its own that does not shrink.")


def ask_decide(rng: np.random.Generator) -> Item:
    best = int(rng.integers(0, len(RATIOS) - 1))
    costs = [macs(Config.uniform(r)) for r in RATIOS]
    budget = int(rng.integers(costs[best], costs[best + 1]))

    def verify(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != {"ratio", "resolution"}:
            return "Answer with a dictionary: {'ratio': ..., 'resolution': ...}."
        if value["resolution"] != 32:
            return "The buyer wants to see 32 pixels."
        if value["ratio"] not in RATIOS:
            return f"Choose a ratio from {RATIOS}."
        cost = macs(Config.uniform(value["ratio"]))
        if cost > budget:
            return f"That costs {cost:,} MACs, {cost - budget:,} over the budget."
        return None if value["ratio"] == RATIOS[best] else "A larger ratio still fits, and comes nearer to the full picture."

    return Item(f"A sticker shop redraws a face of 32 pixels while the buyer moves a slider. The phone allows {budget:,} MACs a picture. "
                f"Choose the resolution and the largest uniform ratio of {RATIOS} that fits.",
                verify, "`macs(Config.uniform(ratio, resolution))` counts one picture.")


def ask_macs(rng: np.random.Generator) -> Item:
    c, side = int(rng.choice([16, 32, 48])), int(rng.choice([8, 16, 32]))
    return Item(f"A 3 x 3 layer has {c} input and {c} output channels on {side} x {side} places. How many MACs does its convolution need "
                "at ratio 1/2, input and output halved?",
                number(9 * (c // 2) ** 2 * side * side, "Half the inputs times half the outputs, nine places of the kernel, all places."),
                "9 x (c / 2) x (c / 2) x side x side: a quarter of the full count.")


def ask_slice(rng: np.random.Generator) -> Item:
    return Item("A layer computes its demodulation from all channels and slices afterwards. What goes wrong in a small network?",
                letter("b", {"a": "The shapes fit; the numbers do not.", "c": "Both ways have gradients.",
                             "d": "At ratio 1 nothing is sliced, and both ways agree."}),
                "The sum of squares holds channels that are not there, so the outputs come out too small, layer after layer.",
                (("a", "the shapes no longer fit"), ("b", "its outputs have less than unit variance"), ("c", "no gradient reaches the weight"),
                 ("d", "the full network changes")))


def ask_count(rng: np.random.Generator) -> Item:
    layers, ratios = int(rng.integers(3, 8)), int(rng.choice([3, 4, 5]))
    return Item(f"A generator has {layers} layers, each with its own choice of {ratios} channel ratios. How many sub-generators are that at one resolution?",
                number(ratios**layers, "Every layer's choice is free of the others: multiply."), "ratios ** layers")


def ask_code(rng: np.random.Generator) -> Item:
    return Item("The discriminator is told the configuration of each picture. Why do real pictures get the code of a configuration drawn at random?",
                letter("c", {"a": "The code costs the same for all.", "b": "Real pictures come from no generator at all.",
                             "d": "The generator is never shown codes."}),
                "With the full code on all real pictures, the code alone would give every other configuration away.",
                (("a", "it saves MACs"), ("b", "they were drawn by that configuration"), ("c", "so that the code alone says nothing about real or drawn"),
                 ("d", "so that the generator learns the code")))


def ask_noise(rng: np.random.Generator) -> Item:
    return Item("In the second stage the small network copies the full one. What must be the same for both?",
                letter("d", {"a": "With other noise the target holds detail that the student cannot know.", "b": "With other latents it copies another face.",
                             "c": "Fewer channels are the point."}),
                "Same latent, same noise: then all that differs is the network.",
                (("a", "the latent only"), ("b", "the noise only"), ("c", "the number of channels"), ("d", "the latent and the noise")))
