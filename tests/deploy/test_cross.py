"""A second compiler and a second emulator: Arm gcc and qemu give the same bits. Where they are missing, CI fails and others are told."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from tinylib.deploy.boards import Board, load_board
from tinylib.deploy.codegen import link_script
from tinylib.deploy.package import build_selfcheck, write_package
from tinylib.deploy.planner import plan
from tinylib.deploy.program import Program
from tinylib.deploy.toolchain import has_gcc
from tinylib.quantize.integer import run
from tinylib.quantize.sample import random_graph, random_input

MACHINES = {"cortex-m4": "mps2-an386", "cortex-m7": "mps2-an500"}


def demand(tool: str) -> None:
    """Fail in CI, else skip with the name of what is missing."""
    if shutil.which(tool):
        return
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"not tested without {tool}: apt-get install gcc-arm-none-eabi qemu-system-arm")


@pytest.mark.parametrize("seed", [3, 21])
def test_gcc_gives_the_same_bits(seed, m4):
    demand("arm-none-eabi-gcc")
    assert has_gcc()
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, steps=4)
    x = random_input(rng, graph, 2)
    program = Program(plan(graph))
    for core in MACHINES:
        got, _ = program.run_on(program.machine(m4, core=core, compiler="gcc"), x[0])
        assert np.array_equal(got, run(graph, x)[0]), core


def qemu(folder, core: str, compiler: str) -> int:
    """Exit code of the package's self-check on qemu: 0 when every output byte is right."""
    (folder / "qemu.ld").write_text(link_script(flash=0, flash_bytes=1 << 20, sram=0x20000000, sram_bytes=1 << 18))
    build_selfcheck(folder, core=core, compiler=compiler, script="qemu.ld", output="qemu.elf", flags=("-DSEMIHOSTING",))
    command = ["qemu-system-arm", "-M", MACHINES[core], "-nographic", "-monitor", "none", "-serial", "none",
               "-semihosting-config", "enable=on,target=native", "-kernel", "qemu.elf"]
    return subprocess.run(command, cwd=folder, timeout=120, capture_output=True).returncode


@pytest.mark.parametrize("core, compiler", [("cortex-m4", "zig"), ("cortex-m7", "gcc")])
def test_qemu_passes_the_self_check_and_sees_a_wrong_vector(tmp_path, core, compiler):
    demand("qemu-system-arm")
    demand("arm-none-eabi-gcc")
    rng = np.random.default_rng(5)
    graph = random_graph(rng, steps=4)
    write_package(graph, load_board("nrf52840"), random_input(rng, graph, 3), tmp_path)
    assert qemu(tmp_path, core, compiler) == 0
    text = (tmp_path / "vectors.h").read_text()
    head, tail = text.split("check_outputs[VECTORS][OUTPUT_BYTES] = {\n{")
    first = int(tail.split("}")[0].split(",")[0])
    (tmp_path / "vectors.h").write_text(head + "check_outputs[VECTORS][OUTPUT_BYTES] = {\n{" + tail.replace(str(first), str(first ^ 1), 1))
    assert qemu(tmp_path, core, compiler) == 1


def test_make_host_passes(tmp_path, m4):
    demand("make")
    rng = np.random.default_rng(6)
    graph = random_graph(rng, steps=3)
    write_package(graph, m4, random_input(rng, graph, 2), tmp_path)
    done = subprocess.run(["make", "host"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "self-check passed" in done.stdout


def test_boards_differ_only_in_data():
    assert isinstance(load_board("stm32g431"), Board)
