"""Integer networks with seeded weights, for memory, bits and instructions only: nobody trained them, so they have no accuracy."""

import numpy as np

from tinylib.quantize.graph import QGraph, QOp, QTensor, output_shape, validate

MOBILENET = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 2, 2), (6, 64, 2, 2), (6, 96, 1, 1))      # expand, channels, blocks, stride of the first


class Builder:
    """Appends operators to an integer graph; every layer's scaling keeps typical sums inside int8."""

    def __init__(self, shape: tuple[int, int, int], seed: int):
        self.rng = np.random.default_rng(seed)
        self.tensors, self.ops, self.last = {"x": QTensor("x", shape, 1 / 128, 0)}, [], "x"

    def put(self, kind: str, *, inputs: tuple[str, ...] = (), zero: int = 0, **fields) -> str:
        """Append one operator that reads `inputs` (default: the last tensor); returns its name."""
        inputs, name = inputs or (self.last,), f"{kind}{len(self.ops)}"
        op = QOp(kind, name, inputs, name, **fields)
        source = self.tensors[inputs[0]]
        scale, zero = (source.scale, source.zero_point) if kind in ("maxpool", "flatten") else (1 / 128, zero)
        if kind == "argmax":
            scale, zero = 1.0, 0
        self.tensors[name] = QTensor(name, output_shape(op, [self.tensors[i].shape for i in inputs]), scale, zero)
        self.ops.append(op)
        self.last = name
        return name

    def weighted(self, kind: str, k: int = 0, *, kernel: int = 1, stride: int = 1, relu: bool = False) -> str:
        """conv, depthwise or linear with random int8 weights; `relu` sets the zero point to -128, so that the clamp costs nothing."""
        c = self.tensors[self.last].shape[-1]
        size = {"conv": (k, kernel, kernel, c), "depthwise": (c, kernel, kernel), "linear": (k, c)}[kind]
        weight = self.rng.integers(-127, 128, size).astype(np.int8)
        n, real = size[0], 1.2 / (73 * np.sqrt(weight[0].size))
        s = int(np.ceil(30 - np.log2(real)))
        m = np.round(real * 2.0**s * self.rng.uniform(0.75, 1.0, n)).astype(np.int64).clip(1, 2**31 - 1).astype(np.int32)
        space = {} if kind == "linear" else {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (kernel // 2,) * 4}
        return self.put(kind, weight=weight, bias=self.rng.integers(-900, 900, n).astype(np.int32), multiplier=m, shift=np.full(n, s, np.int32),
                        zero=-128 if relu else 0, **space)

    def inverted_residual(self, channels: int, expand: int, stride: int) -> str:
        """1x1 expansion, depth-wise 3x3, 1x1 projection, and the sum with the input where shapes allow."""
        start, c = self.last, self.tensors[self.last].shape[2]
        if expand > 1:
            self.weighted("conv", expand * c, relu=True)
        self.weighted("depthwise", kernel=3, stride=stride, relu=True)
        self.weighted("conv", channels)
        if stride == 1 and c == channels:
            self.put("add", inputs=(start, self.last), multiplier=np.full(2, 1 << 16, np.int32), shift=np.full(2, 17, np.int32))
        return self.last

    def head(self, classes: int) -> QGraph:
        """Global average pool, linear layer, argmax; the finished graph."""
        h, w, _ = self.tensors[self.last].shape
        m = int(round(2.0**37 / (h * w)))
        shift = 37
        while m >= 1 << 31:
            m, shift = m >> 1, shift - 1
        self.put("avgpool", kernel=(h, w), stride=(h, w), multiplier=np.array([m], np.int32), shift=np.array([shift], np.int32))
        self.put("flatten")
        self.weighted("linear", classes)
        self.put("argmax")
        graph = QGraph("x", self.last, self.tensors, tuple(self.ops))
        validate(graph)
        return graph


def mobilenet(*, side: int = 64, stem: int = 32, stages=MOBILENET, classes: int = 100, seed: int = 0) -> QGraph:
    """Like MobileNetV2 (Sandler et al. 2018) on colour pictures of `side` pixels; the stem keeps the resolution, since the picture is small."""
    build = Builder((side, side, 3), seed)
    build.weighted("conv", stem, kernel=3, relu=True)
    for expand, channels, count, stride in stages:
        for i in range(count):
            build.inverted_residual(channels, expand, stride if i == 0 else 1)
    return build.head(classes)


def late_heavy(*, side: int = 16, seed: int = 0) -> QGraph:
    """Small pictures, wide 5x5 layers that keep the resolution: all tensors are alike, so patches save little and compute much twice."""
    build = Builder((side, side, 16), seed)
    for _ in range(4):
        build.weighted("conv", 16, kernel=5, relu=True)
    return build.head(10)


def single(kind: str, side: int, c: int, k: int, kernel: int, *, seed: int = 0) -> QGraph:
    """One layer, for counting its instructions: 'same' padding, stride 1; `linear` ignores side and kernel."""
    build = Builder((1, 1, c) if kind == "linear" else (side, side, c), seed)
    if kind == "linear":
        build.tensors["x"] = QTensor("x", (c,), 1 / 128, 0)
    build.weighted(kind, k, kernel=kernel)
    graph = QGraph("x", build.last, build.tensors, tuple(build.ops))
    validate(graph)
    return graph
