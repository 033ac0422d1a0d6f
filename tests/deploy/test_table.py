"""The emulated table of a super-network: entries that add up to whole networks, and the shipped record made anew."""

import pytest
import torch

from tinylib.core.checkpoint import load_checkpoint, load_record
from tinylib.core.errors import TinylibError
from tinylib.datasets import garments
from tinylib.deploy import table as module
from tinylib.deploy.boards import load_board
from tinylib.deploy.table import emulated_table, instructions
from tinylib.measure.latency_table import load_tables
from tinylib.nas.once_for_all import Shape, SuperNet, resized, table_blocks, table_keys

BOARD = load_board("stm32f746")


@pytest.fixture(scope="module")
def shipped():
    net = SuperNet(Shape())
    net.load_state_dict(load_checkpoint("once_for_all-supernet")[0])
    return net.eval(), garments.load().train.take(32).tensors()[0]


def test_blocks_add_up_to_the_emulated_network(shipped):
    net, pictures = shipped
    chosen = net.space.canonical({g.name: min(g.values) for g in net.space.genes})
    keys, blocks = table_keys(net.shape, chosen), table_blocks(net, pictures)
    seen = {}
    table = emulated_table({k: blocks[k] for k in keys}, BOARD, on_block=seen.__setitem__)
    assert (table.kind, table.unit) == ("emulated", "million instructions") and table.entries == {k: n / 1e6 for k, n in seen.items()}
    whole = instructions(net.extract(chosen), resized(pictures, 20), BOARD) / 1e6
    assert table(keys) == pytest.approx(whole, rel=1e-3), "what the blocks do to each other is below 0.1 %"
    shipped_entries = load_tables("once_for_all-instructions")["microcontroller"].entries
    assert {k: shipped_entries[k] for k in keys} == table.entries, "same compiler, same code: the record to the instruction"
    wrong = [k.replace("k3", "k5") if k.startswith("0.0") else k for k in keys]
    assert sum(shipped_entries[k] for k in wrong) != pytest.approx(whole, rel=1e-2), "one wrong kernel is seen"


def test_the_record_of_whole_networks_is_the_sum_within_a_tenth_of_a_per_cent():
    table, rows = load_tables("once_for_all-instructions")["microcontroller"], load_record("once_for_all-whole")
    assert len(rows) == 10
    for row in rows:
        assert row["table"] == table(table_keys(Shape(), row["candidate"])) == pytest.approx(row["whole"], rel=1e-3)


def test_a_wrong_bit_is_refused(monkeypatch):
    right = module.run
    monkeypatch.setattr(module, "run", lambda graph, x: right(graph, x) + 1)
    with pytest.raises(TinylibError, match="disagrees"):
        instructions(torch.nn.Conv2d(1, 8, 3), torch.rand(4, 1, 6, 6), BOARD)
