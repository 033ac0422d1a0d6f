"""The emulator counts what runs, keeps to the board's memory, and says who broke it."""

from pathlib import Path

import numpy as np
import pytest

from tinylib.deploy.boards import Board
from tinylib.deploy.codegen import link_script
from tinylib.deploy.emulate import FLASH, SRAM, EmulationError, Machine, Region
from tinylib.deploy.toolchain import build_arm

BOARD = Board("tiny", "cortex-m4", 8192, 65536, 10_000_000, "made up for tests")
STOP = 'void stop_here(void) { for (;;) __asm__ volatile(""); }\n'


def machine(folder: Path, text: str, *, layers=(), regions=(), board=BOARD, core="cortex-m4") -> Machine:
    (folder / "main.c").write_text(text + STOP)
    (folder / "link.ld").write_text(link_script(flash=FLASH, flash_bytes=board.flash_bytes, sram=SRAM, sram_bytes=board.sram_bytes))
    return Machine(build_arm(folder, ["main.c"], "main.elf", core=core), board, core=core, layers=layers, regions=regions)


LOOP = """
__attribute__((noinline, naked)) void first(void) { __asm__ volatile("movw r0,#1000\\n1: subs r0,#1\\n bne 1b\\n bx lr"); }
__attribute__((noinline, naked)) void second(void) { __asm__ volatile("movs r0,#7\\n nop\\n bx lr"); }
void network_run(void) { first(); second(); }
"""


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7"])
def test_counts_are_exact(tmp_path, core):
    made = machine(tmp_path, LOOP, layers=("first", "second"), core=core)
    got = made.run().layers
    assert got["first"].instructions - 2 * 1000 - 2 in (0, 1, 2)        # the caller's next instructions count to the layer that returned
    assert 3 <= got["second"].instructions <= 6
    assert made.run().layers == got


def test_cycles_follow_the_table(tmp_path):
    got = machine(tmp_path, LOOP, layers=("first", "second")).run().layers["first"]
    assert 4 * 1000 <= got.cycles <= 4 * 1000 + 12                      # one subtraction and one taken branch a turn


def test_a_write_past_sram_names_address_and_buffer(tmp_path):
    text = "volatile char last[16]; void network_run(void) { *(volatile int *)0x20002000 = 1; last[0] = 1; }\n"
    made = machine(tmp_path, text, regions=[Region("features", SRAM + 8192 - 64, 64)])
    with pytest.raises(EmulationError, match=r"write of 4 bytes at 0x20002000 in network_run: 0 bytes past the end of buffer 'features'"):
        made.run()


def test_a_write_to_flash_is_an_error(tmp_path):
    with pytest.raises(EmulationError, match="write of 4 bytes at 0x08000100"):
        machine(tmp_path, "void network_run(void) { *(volatile int *)0x08000100 = 1; }\n").run()


def test_a_stack_overflow_is_an_error(tmp_path):
    text = """__attribute__((noinline)) int deep(int n) { volatile int pad[16]; pad[0] = n; return n ? deep(n - 1) + pad[0] : 0; }
              volatile int out; void network_run(void) { out = deep(1000); }\n"""
    with pytest.raises(EmulationError, match="the stack has overflowed"):
        machine(tmp_path, text).run()


def test_stack_is_measured(tmp_path):
    text = """__attribute__((noinline)) void big(void) { volatile char pad[400]; for (int i = 0; i < 400; ++i) pad[i] = 1; }
              void network_run(void) { big(); }\n"""
    assert 400 <= machine(tmp_path, text).run().stack_bytes <= 448


def test_memory_can_be_written_and_read(tmp_path):
    text = "signed char data[4]; void network_run(void) { for (int i = 0; i < 4; ++i) data[i] = (signed char)(2 * data[i]); }\n"
    made = machine(tmp_path, text)
    made.write("data", np.array([1, -2, 3, -4], np.int8))
    made.run()
    assert made.read("data", 4).tolist() == [2, -4, 6, -8]
    with pytest.raises(EmulationError, match="no symbol 'nothing'"):
        made.address("nothing")


def test_too_large_for_flash_is_a_compiler_error(tmp_path):
    small = Board("small", "cortex-m4", 8192, 4096, 1, "made up")
    from tinylib.core.errors import TinylibError

    text = "const volatile char table[6000] = {1}; volatile char out; void network_run(void) { out = table[5000]; }\n"
    with pytest.raises(TinylibError, match="flash"):
        machine(tmp_path, text, board=small)
