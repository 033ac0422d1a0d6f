"""The questions of `start_here` against the functions that the lab teaches, by another way."""

from itertools import permutations

import numpy as np
import pytest

from tinylib.exercises.questions import start_here as questions
from tinylib.exercises.start_here import conv_macs, conv_params, peak_bytes, peak_oracle


def steps_of(order):
    return [[name, questions.FORK_INPUTS[name]] for name in order]


def test_peak_of_an_order_agrees_with_the_oracle():
    for order in permutations(questions.FORK_INPUTS):
        peak = questions.peak_of_order(list(order))
        if peak is not None:
            assert peak == peak_oracle({"sizes": questions.FORK_SIZES, "steps": steps_of(order)})["peak"]


def test_only_one_order_fits_the_budget():
    orders = [list(o) for o in permutations(questions.FORK_INPUTS)]
    item = questions.ask_order(np.random.default_rng(0))
    assert [o for o in orders if item.verify(o) is None] == [["b1", "b2", "a1", "a2", "y"]]
    assert "no earlier step" in item.verify(["a2", "a1", "b1", "b2", "y"])


@pytest.mark.parametrize("side, c, expand", [(16, 8, 2), (48, 32, 6), (24, 24, 3)])
def test_closed_form_of_the_block(side, c, expand):
    wide, pixels = expand * c, side * side
    three = [(c, wide, (1, 1), 1), (wide, wide, (3, 3), wide), (wide, c, (1, 1), 1)]
    costs = questions.block_costs(side, c, expand)
    assert costs["weight_bytes"] == sum(conv_params(i, o, k, g, False) for i, o, k, g in three)
    assert costs["macs"] == sum(conv_macs(i, o, k, (side, side), 1, k[0] // 2, 1, g) for i, o, k, g in three)
    sizes = dict(x=pixels * c, wide=pixels * wide, filtered=pixels * wide, narrow=pixels * c, y=pixels * c)
    assert costs["peak_bytes"] == peak_bytes(sizes, [("wide", ["x"]), ("filtered", ["wide"]), ("narrow", ["filtered"]), ("y", ["narrow", "x"])])


@pytest.mark.parametrize("seed", range(12))
def test_every_learner_can_decide(seed):
    """Some block passes, and one that breaks a budget is told which."""
    item = questions.ask_decide(np.random.default_rng(seed))
    family = [dict(side=s, channels=c, expand=e) for s in questions.SIDES for c in questions.CHANNELS for e in questions.EXPANDS]
    passing = [block for block in family if item.verify(block) is None]
    assert 1 <= len(passing) <= 4
    assert "activations" in item.verify(dict(side=48, channels=48, expand=6))
    assert "does" in item.verify(dict(side=16, channels=8, expand=2))


@pytest.mark.parametrize("seed", range(5))
def test_quiz_numbers(seed):
    """The two computed answers, found again in the text of their explanation."""
    for ask in (questions.ask_macs, questions.ask_peak):
        item = ask(np.random.default_rng(seed))
        right = int(item.explain.split("=")[-1].strip(" .").replace(",", ""))
        assert item.verify(right) is None and item.verify(right + 1)
