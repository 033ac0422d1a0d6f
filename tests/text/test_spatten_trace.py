"""A trace of the algorithm drives the machine: its account and its simulation agree, for both kinds of work and every mechanism."""

import numpy as np
import pytest
import torch

from tinylib.accel.audit import audit
from tinylib.accel.machine import load_machine
from tinylib.accel.spatten import Work, dense_work, dram_bytes, macs, required_bytes, simulate
from tinylib.text.encoder import transformer
from tinylib.text.spatten import Plan, classify, next_word, read_prompt

PLANS = [Plan(), Plan(tokens=0.4, heads=0.5), Plan(values=0.3, msb=8), Plan(0.5, 0.5, 0.5, msb=6, lsb=4, threshold=0.2)]


def traced(plan, causal):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = transformer(words=50, outputs=50 if causal else 6, length=20, dim=32, heads=4, layers=3, inner=32, causal=causal).eval()
    tokens = torch.randint(0, 50, (2, 20), generator=torch.Generator().manual_seed(3))
    if causal:
        return next_word(net, read_prompt(net, tokens[:, :-1]), tokens[:, -1], plan)[1]
    return classify(net, tokens, plan)[1]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("plan", PLANS, ids=["dense", "cascade", "values", "all"])
def test_simulation_agrees_with_the_account(plan, causal):
    trace = traced(plan, causal)
    for index in range(2):
        work = Work(**trace.sample(index))
        parts, log = dram_bytes(work), simulate(work, load_machine("spatten_sixteenth"))
        assert audit(log, read_bytes=parts["q"] + parts["k"] + parts["v"], written_bytes=parts["out"], macs=macs(work)) == []


def test_dense_trace_is_dense_work():
    work, dense = Work(**traced(Plan(), False).sample(0)), dense_work(20, 3, 4, 8)
    assert required_bytes(work) == required_bytes(dense) == 3 * 4 * 20 * 4 * 32 and macs(work) == macs(dense) == 2 * 3 * 4 * 20 * 20 * 8


def test_a_forgotten_head_is_seen():
    trace = traced(Plan(heads=0.5), False)
    work = Work(**trace.sample(0))
    forgotten = Work(**{**trace.sample(0), "value_rows": np.where(work.value_rows > 0, work.value_rows, work.keys[:, None])})
    assert required_bytes(forgotten) > required_bytes(work)
