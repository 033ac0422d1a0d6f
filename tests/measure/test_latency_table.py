"""A table gives the sum of its entries, and the model of a device is the one written out by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.latency_table import Device, LatencyTable, load_device, measured_table, modelled_ms, modelled_table
from tinylib.measure.profile import profile
from tinylib.nas.once_for_all import Shape, SuperNet, resized, table_blocks, table_keys
from tinylib.nn.blocks import InvertedResidual

SMALL = Shape(stem=4, stages=((6, 1), (8, 2)), head=12, resolutions=(12, 16), depths=(1, 2), expands=(2, 3), kernels=(3, 5))
PLAIN = Device("plain", {"dense": 1e6, "depthwise": 1e5}, 1e6, 1e-3, 2, "test")


def test_a_table_is_the_sum_of_its_entries():
    net = SuperNet(SMALL)
    table = modelled_table(table_blocks(net), PLAIN)
    for seed in range(5):
        chosen = net.space.sample(np.random.default_rng(seed))
        keys = table_keys(SMALL, chosen)
        assert table(keys) == sum(table.entries[k] for k in keys)
        assert len(keys) == 2 + chosen["depth0"] + chosen["depth1"]
    with pytest.raises(TinylibError, match="no entry 'lid'"):
        table(["lid"])


def test_the_table_of_a_device_without_coupling_is_the_whole_network():
    """The model adds up over operators, so the sum over blocks is the model of the whole; a wrong input size would show."""
    net = SuperNet(SMALL)
    blocks = table_blocks(net)
    table = modelled_table(blocks, PLAIN)
    for seed in range(5):
        chosen = net.space.sample(np.random.default_rng(seed))
        whole = modelled_ms(net.extract(chosen).eval(), torch.zeros(1, 1, chosen["resolution"], chosen["resolution"]), PLAIN)
        assert table(table_keys(SMALL, chosen)) == pytest.approx(whole, rel=1e-12)
    wrong = {k: (b, nn.functional.pad(x, (0, 2, 0, 2))) if k[0].isdigit() else (b, x) for k, (b, x) in blocks.items()}
    assert modelled_table(wrong, PLAIN)(table_keys(SMALL, chosen)) != pytest.approx(whole, rel=1e-3)


def test_the_model_by_hand():
    block = InvertedResidual(2, 2, expand=2, kernel=3).eval()
    x = torch.zeros(1, 2, 3, 3)
    dense = 2 * 4 * 9                       # MACs of either 1x1, 54 + 8 values
    narrow = 4 * 9 * 9                      # MACs of the depth-wise, 36 + 36 + 36 values
    by_hand = 1e3 * (2 * (1e-3 + max(dense / 1e6, 2 * (18 + 36 + 8) / 1e6)) + 1e-3 + max(narrow / 1e5, 2 * 108 / 1e6))
    assert modelled_ms(block, x, PLAIN) == pytest.approx(by_hand, rel=1e-12)
    assert profile(block, x).macs == 2 * dense + narrow


def test_the_examples_are_what_the_full_network_makes_of_the_pictures():
    net, pictures = SuperNet(SMALL).eval(), torch.randn(3, 1, 16, 16)
    seen, plain = {}, net.extract({**SMALL.largest(), "resolution": 12})
    for name, block in plain.named_children():
        block.register_forward_hook(lambda m, inputs, y, name=name: seen.__setitem__(name, inputs[0]))
    plain(resized(pictures, 12))
    for key, (_, example) in table_blocks(net, pictures).items():
        if key.endswith("@12"):
            part = key.split("@")[0] if key[0] in "sh" else f"block{key.split()[0].replace('.', '_')}"
            assert torch.equal(example, seen[part]), key


def test_a_measured_table_has_every_block():
    blocks = {k: v for k, v in table_blocks(SuperNet(SMALL)).items() if k.endswith("@12")}
    table = measured_table(blocks, runs=3)
    assert table.entries.keys() == blocks.keys() and min(table.entries.values()) > 0 and table.kind == "measured here"


@pytest.mark.parametrize("name", ["mobile_gpu", "matrix_accelerator"])
def test_shipped_devices_say_that_they_are_modelled(name):
    device = load_device(name)
    assert device.source.startswith("modelled") and set(device.macs_per_second) == {"dense", "depthwise"}


def test_an_unknown_device_names_the_known():
    with pytest.raises(TinylibError, match="mobile_gpu"):
        load_device("toaster")


def test_an_empty_table_costs_nothing():
    assert LatencyTable("none", "modelled", {})([]) == 0.0
