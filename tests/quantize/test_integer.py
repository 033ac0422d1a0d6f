"""The numpy engine of the integer graph against plain loops, and the rules of the graph."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.quantize import integer, integer_torch
from tinylib.quantize.graph import QGraph, QOp, QTensor, validate
from tinylib.quantize.integer import requantise, run, trace
from tinylib.quantize.sample import random_graph, random_input


def rescale(v: int, m: int, s: int) -> int:
    """v * m / 2**s, rounded to nearest, ties upwards, in exact fractions."""
    return math.floor(Fraction(v * m, 2**s) + Fraction(1, 2))


def taps(op, h, w, y, x):
    """(i, j, row, column) of the window at output (y, x) that lie inside an h by w picture."""
    for i in range(op.kernel[0]):
        for j in range(op.kernel[1]):
            row = y * op.stride[0] - op.pad[0] + i * op.dilation[0]
            column = x * op.stride[1] - op.pad[1] + j * op.dilation[1]
            if 0 <= row < h and 0 <= column < w:
                yield i, j, row, column


def slow_window(op, x, tx, ty):
    h, w, c = x.shape
    out = np.zeros(ty.shape, np.int64)
    for y, col, k in np.ndindex(*ty.shape):
        inside = list(taps(op, h, w, y, col))
        if op.kind == "maxpool":
            out[y, col, k] = min(max(max(int(x[r, q, k]) for _, _, r, q in inside), op.clamp[0]), op.clamp[1])
            continue
        if op.kind == "conv":
            v = int(op.bias[k]) + sum(int(op.weight[k, i, j, n]) * (int(x[r, q, n]) - tx.zero_point) for i, j, r, q in inside for n in range(c))
        elif op.kind == "depthwise":
            v = int(op.bias[k]) + sum(int(op.weight[k, i, j]) * (int(x[r, q, k]) - tx.zero_point) for i, j, r, q in inside)
        else:
            v = sum(int(x[r, q, k]) - tx.zero_point for _, _, r, q in inside)
        which = 0 if op.kind == "avgpool" else k
        out[y, col, k] = slow_finish(op, v, ty, which)
    return out


def slow_finish(op, v, ty, which):
    return min(max(ty.zero_point + rescale(v, int(op.multiplier[which]), int(op.shift[which])), op.clamp[0]), op.clamp[1])


def slow_op(op, xs, txs, ty):
    """One operator by loops over Python integers."""
    x, tx = xs[0], txs[0]
    if op.kind in ("conv", "depthwise", "avgpool", "maxpool"):
        return slow_window(op, x, tx, ty)
    if op.kind == "linear":
        sums = [int(op.bias[k]) + sum(int(w) * (int(v) - tx.zero_point) for w, v in zip(op.weight[k], x)) for k in range(len(op.weight))]
        return np.array([slow_finish(op, v, ty, k) for k, v in enumerate(sums)])
    if op.kind == "add":
        def one(a, b):
            v = (int(a) - txs[0].zero_point) * int(op.multiplier[0]) + (int(b) - txs[1].zero_point) * int(op.multiplier[1])
            return min(max(ty.zero_point + rescale(v, 1, int(op.shift[0])), op.clamp[0]), op.clamp[1])
        return np.array([one(a, b) for a, b in zip(xs[0].ravel(), xs[1].ravel())]).reshape(ty.shape)
    if op.kind == "concat":
        parts = [np.array([slow_finish(op, int(v) - t.zero_point, ty, i) for v in a.ravel()]).reshape(a.shape) for i, (a, t) in enumerate(zip(xs, txs))]
        return np.concatenate(parts, axis=2)
    if op.kind == "flatten":
        return np.array([x[i] for i in np.ndindex(*x.shape)])
    if op.kind == "argmax":
        return np.array([[int(v) for v in x].index(int(max(x)))])
    table = [math.floor(2**16 * math.exp(-d * tx.scale) + 0.5) for d in range(256)]
    weights = [table[int(max(x)) - int(v)] for v in x]
    return np.array([min(127, -128 + (256 * w + sum(weights) // 2) // sum(weights)) for w in weights])


def slow_run(graph, x):
    values = {graph.input: x}
    for op in graph.ops:
        values[op.output] = slow_op(op, [values[i] for i in op.inputs], [graph.tensors[i] for i in op.inputs], graph.tensors[op.output])
    return values


def first_difference(seeds):
    """Name of the first operator whose numpy output differs from the loops, or None."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, steps=4)
        x = random_input(rng, graph)
        fast, slow = trace(graph, x), slow_run(graph, x[0])
        for op in graph.ops:
            if not np.array_equal(fast[op.output][0], slow[op.output]):
                return f"{op.name} of graph {seed}"
    return None


def test_numpy_engine_is_the_loops_bit_for_bit():
    assert first_difference(range(60)) is None


def test_the_torch_path_gives_the_same_bits():
    assert torch_difference(range(100, 160)) is None


def test_a_wrong_torch_path_is_seen(monkeypatch):
    monkeypatch.setattr(integer_torch, "_requantise", lambda acc, m, s: (acc.to(torch.int64) * m) >> s)
    assert torch_difference(range(100, 160)) is not None


def torch_difference(seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        graph = random_graph(rng)
        x = random_input(rng, graph, batch=2)
        if not np.array_equal(run(graph, x), integer_torch.run(graph, x)):
            return seed
    return None


@pytest.mark.parametrize("kind", ["conv", "depthwise", "linear", "avgpool", "maxpool", "add", "concat", "softmax"])
def test_a_wrong_operator_is_seen(kind, monkeypatch):
    right = integer.OPERATORS[kind]

    def wrong(op, xs, inputs, output):
        return np.clip(right(op, xs, inputs, output).astype(int) + (np.arange(xs[0].shape[-1])[-1:] >= 0), -128, 127).astype(np.int8)

    monkeypatch.setitem(integer.OPERATORS, kind, wrong)
    assert first_difference(range(40)) is not None


def test_padding_with_zero_instead_of_the_zero_point_is_seen(monkeypatch):
    right = integer.windows
    monkeypatch.setattr(integer, "windows", lambda op, x, fill: right(op, x, 5 if fill == 0 else fill))
    assert first_difference(range(40)) is not None


@pytest.mark.parametrize("wrong", [
    lambda a, m, s: (np.asarray(a).astype(np.int64) * m) >> s,
    lambda a, m, s: np.rint(np.asarray(a) * m / 2.0**s).astype(np.int64),
], ids=["truncates", "ties to even"])
def test_another_rounding_is_seen(wrong):
    acc, m, s = np.array([3, -3, 1, -1, 5]), 1 << 30, 31
    assert requantise(acc, m, s).tolist() == [2, -1, 1, 0, 3]
    assert wrong(acc, m, s).tolist() != [2, -1, 1, 0, 3]


@given(st.integers(-2**31, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(1, 62))
def test_requantise_is_python_integers(acc, m, s):
    assert int(requantise(np.array([acc]), m, s)[0]) == (acc * m + 2 ** (s - 1)) // 2**s


@given(st.integers(-2**31, 2**31 - 1), st.integers(2**29, 2**31 - 1), st.integers(1, 62), st.integers(-128, 127))
def test_extreme_sums_multipliers_and_shifts(bias, m, s, zero):
    """One 1x1 linear layer whose accumulator is its bias."""
    tensors = {"x": QTensor("x", (1,), 1.0, 0), "y": QTensor("y", (1,), 1.0, zero)}
    op = QOp("linear", "l", ("x",), "y", np.zeros((1, 1), np.int8), np.array([bias], np.int32), np.array([m], np.int32), np.array([s], np.int32))
    got = run(QGraph("x", "y", tensors, (op,)), np.zeros((1, 1), np.int8))
    assert got[0, 0] == min(127, max(-128, zero + rescale(bias, m, s)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_graphs_are_valid_and_batches_do_not_mix(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    x = random_input(rng, graph, batch=3)
    whole = run(graph, x)
    assert whole.dtype == np.int8
    assert np.array_equal(whole[1], run(graph, x[1]))


def test_random_graphs_cover_every_operator_and_do_not_go_silent():
    kinds, varied = set(), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng)
        values = trace(graph, random_input(rng, graph, batch=2))
        kinds |= {op.kind for op in graph.ops}
        varied += len(np.unique(values[graph.ops[-2].output])) > 3
    assert kinds == set(integer.OPERATORS)
    assert varied > 30


def test_the_engine_names_a_wrong_input():
    graph = random_graph(np.random.default_rng(0))
    with pytest.raises(TinylibError, match="quantise_input"):
        run(graph, np.zeros((2, 2, 1), np.float32))


def conv_graph(**changes) -> QGraph:
    fields = {"weight": np.ones((2, 3, 3, 1), np.int8), "bias": np.zeros(2, np.int32), "multiplier": np.full(2, 1 << 30, np.int32),
              "shift": np.full(2, 33, np.int32), "kernel": (3, 3), "pad": (1, 1, 1, 1)} | changes
    tensors = {"x": QTensor("x", (4, 4, 1), 0.1, 0), "y": QTensor("y", (4, 4, 2), 0.1, 0)}
    return QGraph("x", "y", tensors, (QOp("conv", "c1", ("x",), "y", **fields),))


@pytest.mark.parametrize("changes, words", [
    ({"bias": np.full(2, 2**31 - 1, np.int32)}, "overflow"),
    ({"weight": np.ones((2, 3, 3, 1), np.int16)}, "int8 weights"),
    ({"pad": (0, 0, 0, 0)}, "output shape"),
    ({"shift": np.zeros(2, np.int32)}, "1 <= s"),
    ({"multiplier": np.ones(3, np.int32)}, "multiplier"),
    ({"clamp": (-200, 127)}, "clamp"),
])
def test_broken_graphs_are_named(changes, words):
    validate(conv_graph())
    with pytest.raises(TinylibError, match=words) as caught:
        validate(conv_graph(**changes))
    assert "'c1'" in str(caught.value)


def test_order_of_operators_is_checked():
    graph = conv_graph()
    with pytest.raises(TinylibError, match="before they are written"):
        validate(replace(graph, ops=(replace(graph.ops[0], inputs=("nowhere",)),)))
