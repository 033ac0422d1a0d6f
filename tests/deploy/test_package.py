"""The folder for the engineer: complete, checked, and clear about what does not fit."""

from dataclasses import replace

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.deploy.interpreter import generate_interpreted
from tinylib.deploy.package import fit, write_package
from tinylib.deploy.planner import plan
from tinylib.deploy.program import Program
from tinylib.quantize.integer import run
from tinylib.quantize.sample import random_input


def network(maker, shape=(10, 10, 4)):
    net = maker(shape)
    net.inverted_residual()
    net.op("maxpool", kernel=2, stride=2, pad=0)
    net.op("flatten")
    net.op("linear", k=5)
    return net.graph()


def test_the_folder_is_complete(tmp_path, maker, m4):
    graph = network(maker)
    made = write_package(graph, m4, random_input(np.random.default_rng(0), graph, 3), tmp_path / "out")
    names = {p.name for p in made.folder.iterdir()}
    assert {"network.c", "network.h", "Makefile", "memory_map.txt", "vectors.h", "REPORT.md", "link.ld", "selfcheck.c", "startup.c"} <= names
    assert "an estimate" in made.report and str(made.plan.peak_bytes) in (made.folder / "memory_map.txt").read_text()
    assert 0 < made.execution.stack_bytes < 1024


def test_too_little_sram_names_bytes_and_layer(maker, m4):
    graph = network(maker, (32, 32, 8))
    tiny = replace(m4, name="tiny", sram_bytes=8192)
    with pytest.raises(TinylibError, match=r"tiny: it needs \d+ bytes.*: \d+ too many\. The peak is at layer '\w+'"):
        fit(graph, tiny)


def test_too_little_flash_names_bytes_and_layer(tmp_path, maker, m4):
    graph = network(maker)
    with pytest.raises(TinylibError, match=r"\d+ bytes larger than its 4096 bytes of flash. The largest layer is '\w+'"):
        write_package(graph, replace(m4, name="tiny", flash_bytes=4096), random_input(np.random.default_rng(0), graph, 1), tmp_path)


def test_the_interpreter_gives_the_same_bits_for_many_more_instructions(maker, m4):
    graph = network(maker)
    x = random_input(np.random.default_rng(0), graph, 1)
    made = plan(graph, in_place=False)
    slow, fast = Program(made, files=generate_interpreted(made)), Program(made)
    got, many = slow.run_on(slow.machine(m4), x[0])
    _, few = fast.run_on(fast.machine(m4), x[0])
    assert np.array_equal(got, run(graph, x)[0]) and many.instructions > 3 * few.instructions
