"""Graphs and boards that the tests of deployment share."""

import numpy as np
import pytest

from tinylib.deploy.boards import Board, load_board
from tinylib.quantize.graph import QGraph, QOp, QTensor, output_shape, validate


class GraphMaker:
    """Builds small integer graphs by hand, one operator after the other."""

    def __init__(self, shape=(8, 8, 4), seed=0):
        self.rng = np.random.default_rng(seed)
        self.tensors, self.ops, self.last = {"x": QTensor("x", shape, 0.1, -3)}, [], "x"

    def op(self, kind, *, k=None, kernel=1, stride=1, pad=None, inputs=None, clamp=(-128, 127)):
        inputs = tuple(inputs or (self.last,))
        shapes = [self.tensors[i].shape for i in inputs]
        c, name, fields = shapes[0][-1], f"{kind}{len(self.ops)}", {}
        if kind in ("conv", "depthwise", "linear"):
            size = {"conv": (k, kernel, kernel, c), "depthwise": (c, kernel, kernel), "linear": (k, c)}[kind]
            fields = {"weight": self.rng.integers(-127, 128, size).astype(np.int8), "bias": self.rng.integers(-900, 900, size[0]).astype(np.int32),
                      "multiplier": self.rng.integers(1 << 30, (1 << 31) - 1, size[0]).astype(np.int32), "shift": np.full(size[0], 40, np.int32)}
        if kind == "add":
            fields = {"multiplier": np.array([70000, 50000], np.int32), "shift": np.array([17, 17], np.int32)}
        if kind in ("conv", "depthwise", "maxpool"):
            p = kernel // 2 if pad is None else pad
            fields |= {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (p,) * 4 if isinstance(p, int) else p}
        made = QOp(kind, name, inputs, name, clamp=clamp, **fields)
        source = self.tensors[inputs[0]]
        scale, zero = (source.scale, source.zero_point) if kind in ("maxpool", "flatten") else (0.1, 5)
        self.tensors[name] = QTensor(name, output_shape(made, shapes), scale, zero)
        self.ops.append(made)
        self.last = name
        return name

    def graph(self) -> QGraph:
        made = QGraph("x", self.last, self.tensors, tuple(self.ops))
        validate(made)
        return made

    def inverted_residual(self, expand=4):
        """Expansion, depth-wise, projection and the sum with the block's input."""
        start, c = self.last, self.tensors[self.last].shape[2]
        self.op("conv", k=expand * c)
        self.op("depthwise", kernel=3)
        self.op("conv", k=c)
        return self.op("add", inputs=(start, self.last))


@pytest.fixture
def maker():
    return GraphMaker


@pytest.fixture(scope="session")
def m7() -> Board:
    return load_board("stm32f746")


@pytest.fixture(scope="session")
def m4() -> Board:
    return load_board("nrf52840")
