"""Boards, the cost table, packed constants and the plan of taps, each against something slow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.deploy.boards import board_names, load_board
from tinylib.deploy.codegen import generate
from tinylib.deploy.cost import cycles
from tinylib.deploy.planner import plan
from tinylib.deploy.streams import tap_words
from tinylib.deploy.tiles import block, split


def test_every_board_has_a_source_and_whole_pages():
    boards = [load_board(name) for name in board_names()]
    assert min(b.sram_bytes for b in boards) == 32 * 1024 and max(b.sram_bytes for b in boards) == 320 * 1024
    assert all(b.source and b.sram_bytes % 4096 == 0 and b.flash_bytes % 4096 == 0 for b in boards)
    with pytest.raises(TinylibError, match="Known boards"):
        load_board("arduino")


@pytest.mark.parametrize("text, want", [("smlad r0, r1, r2, r0", 1), ("ldr r0, [r1], #4", 2), ("ldrd r0, r1, [r2], #8", 3), ("bne #0x10", 3),
                                        ("ldm r0!, {r1, r2, r3, r4}", 5), ("push {r4, r5, lr}", 4), ("pop {r4, pc}", 6), ("bic r0, r1", 1),
                                        ("sdiv r0, r1, r2", 7), ("bfi r0, r1, #8, #8", 1), ("bx lr", 3)])
def test_cost_table(text, want):
    assert cycles(*text.split(" ", 1)) == want


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 7), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_pairs_of_taps_give_the_plain_sums(kernel, stride, dilation, seed):
    rng = np.random.default_rng(seed)
    words, outputs = tap_words(kernel, stride, dilation)
    x, w = rng.integers(-128, 128, 64), np.append(rng.integers(-128, 128, kernel), 0)
    for output, steps in enumerate(outputs):
        total = 0
        for name, place, word in steps:
            a, b = x[2 * place:2 * place + 2], [w[-1 if t is None else t] for t in words[word]]
            total += a @ b if name == "SMLAD" else a["BT".index(name[4])] * b["BT".index(name[5])]
        assert total == sum(w[t] * x[output * stride + t * dilation] for t in range(kernel))


def test_a_tile_of_two_by_three_takes_20_instructions_for_24_macs():
    lines = block(2, 3)
    assert len(lines) == 20 and sum("smlad" in line for line in lines) == 12


@given(st.integers(1, 2000))
def test_loops_cover_all_blocks(blocks):
    turns, per_turn, rest = split(blocks)
    assert turns * per_turn + rest == blocks and per_turn <= 16 and rest <= 16


def test_only_used_kernels_are_generated(maker):
    net = maker((6, 6, 4))
    net.op("conv", k=4)
    text = generate(plan(net.graph()))["network.c"]
    assert "convolution" in text and "depth-wise" not in text and "float" not in text
