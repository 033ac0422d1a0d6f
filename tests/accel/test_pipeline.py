"""Overlap: a head's late fetches do not hold up the next head's keys."""

import numpy as np

from tinylib.accel.machine import READ, load_machine
from tinylib.accel.spatten import Work, simulate

HEADS = 6


def pruned_step(heads=HEADS):
    ones = np.ones((1, heads), int)
    return Work(np.array([1]), np.array([256]), 128 * ones, 128 * ones, 0 * ones, 64, 8, 0)


def test_next_keys_are_fetched_while_a_head_waits_for_its_values():
    log = simulate(pruned_step(), load_machine("spatten"))
    alone = simulate(pruned_step(1), load_machine("spatten")).cycles
    assert log.cycles < 0.8 * HEADS * alone


def test_every_row_is_in_the_log():
    log = simulate(pruned_step(), load_machine("spatten"))
    assert int((log.kind == READ).sum()) == HEADS * (1 + 256 + 128)
