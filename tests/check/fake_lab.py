"""A small lab that the tests register as `tinylib.exercises.fake`."""

import fake_harness
import numpy as np
import torch

from tinylib.check.exercise import Exercise, Misconception
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.check.question import Item, Question


def instances(rng):
    small = {"weight": np.array([3.0, -1.0, 2.0, 0.5], np.float32), "sparsity": 0.5}
    return [small] + [{"weight": rng.normal(size=(n, n)).astype(np.float32), "sparsity": s} for n in (2, 4, 16) for s in (0.0, 0.25, 0.75)]


def oracle(args):
    weight, sparsity = args["weight"], args["sparsity"]
    keep = weight.size - round(weight.size * sparsity)
    order = sorted(range(weight.size), key=lambda i: (-abs(weight.flat[i]), i))
    mask = np.zeros(weight.size, bool)
    mask[order[:keep]] = True
    return {"mask": mask.reshape(weight.shape), "kept": keep, "mutated": False}


def reference(weight, sparsity):
    keep = weight.numel() - round(weight.numel() * sparsity)
    chosen = torch.argsort(weight.abs().flatten(), descending=True, stable=True)[:keep]
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[chosen] = True
    return mask.reshape(weight.shape)


def without_abs(weight, sparsity):
    keep = weight.numel() - round(weight.numel() * sparsity)
    chosen = torch.argsort(weight.flatten(), descending=True, stable=True)[:keep]
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[chosen] = True
    return mask.reshape(weight.shape)


def inverted(weight, sparsity):
    return ~reference(weight, sparsity)


class Counter:
    def __init__(self):
        self.sum = 0

    def add(self, n):
        self.sum += n

    def total(self):
        return self.sum


class Last(Counter):
    def add(self, n):
        self.sum = n


MASK = Exercise(
    id="fake.mask", points=3, minutes=5, harness=fake_harness.mask, instances=instances, oracle=oracle,
    properties=(shape_and_dtype("mask"), agrees("mask"), no_mutation(group="manners")),
    misconceptions=(Misconception(without_abs, "The sign decides here. Rank by `abs()`."),
                    Misconception(inverted, "True should mean kept, not removed.")),
    hints=("Rank the magnitudes.", "Keep n - round(n * s) of them.", "`argsort(descending=True, stable=True)[:keep]`"),
    reference=reference, seconds=1.0)

COUNTER = Exercise(
    id="fake.counter", points=1, minutes=1, harness=fake_harness.counter,
    instances=lambda rng: [{"numbers": [1, 2]}, {"numbers": [1, 2, 3]}],
    oracle=lambda args: {"total": sum(args["numbers"])}, properties=(agrees("total"),),
    misconceptions=(Misconception(Last, "Only the last number is kept."),), hints=("a", "b", "c"), reference=Counter)

EXERCISES = (MASK, COUNTER)


def ask_bytes(rng):
    n = int(rng.integers(10, 100))
    return Item(f"How many bytes do {n} float32 numbers take?", lambda v: None if v == 4 * n else "Each float32 takes four bytes.", f"4 x {n}.")


QUESTIONS = (
    Question("fake.quiz.1", "quiz", 1, ask_bytes),
    Question("fake.quiz.2", "quiz", 1, lambda rng: Item("Which?", lambda v: None if v == "b" else "Think of <b>zeros</b>.", "b it is.",
                                                        (("a", "one & two"), ("b", "three")))),
    Question("fake.speed", "prediction", 1, lambda rng: Item("How much faster?", lambda v: None, "Dense kernels multiply zeros too.")),
)
