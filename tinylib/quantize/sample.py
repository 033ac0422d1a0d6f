"""Random integer graphs for tests of engines: odd sizes, every stride, lopsided padding, dilation, values that saturate."""

import numpy as np

from tinylib.quantize.graph import WINDOWED, QGraph, QOp, QTensor, output_shape, validate

IDENTITY = (1 << 30, 30)


def random_graph(rng: np.random.Generator, *, steps: int = 6, softmax: bool = True) -> QGraph:
    """A valid graph of about `steps` operators on a small picture, ending in linear and argmax or softmax."""
    shape = (int(rng.integers(3, 14)), int(rng.integers(3, 14)), int(rng.integers(1, 6)))
    build = _Builder(rng, QTensor("x", shape, _scale(rng), _zero(rng)))
    for _ in range(steps):
        build.step(str(rng.choice(["conv", "conv", "depthwise", "depthwise", "maxpool", "avgpool", "add", "concat"])))
    build.put("flatten", keep=True)
    build.weighted("linear", int(rng.integers(2, 12)))
    if softmax and rng.random() < 0.5:
        scale = build.tensors[build.last].scale
        table = np.floor(2**16 * np.exp(-np.arange(256) * scale) + 0.5).astype(np.int32)
        build.put("softmax", multiplier=table, like=(1 / 256, -128))
    else:
        build.put("argmax", like=(1.0, 0))
    graph = QGraph("x", build.last, build.tensors, tuple(build.ops))
    validate(graph)
    return graph


def random_input(rng: np.random.Generator, graph: QGraph, batch: int = 1) -> np.ndarray:
    """int8 (batch, ...) input: uniform, or with half its values at the ends of int8."""
    shape = (batch, *graph.tensors[graph.input].shape)
    x = rng.integers(-128, 128, shape)
    if rng.random() < 0.5:
        x = np.where(rng.random(shape) < 0.5, rng.choice([-128, 127], shape), x)
    return x.astype(np.int8)


def _scale(rng) -> float:
    return float(2.0 ** rng.uniform(-7, -2))


def _zero(rng) -> int:
    return int(rng.choice([-128, -128, 0, 127, int(rng.integers(-128, 128))]))


def _clamp(rng, zero: int) -> tuple[int, int]:
    """No activation, ReLU, or ReLU6 with a high limit inside int8; no ReLU where it would leave few values."""
    if zero > 64:
        return (-128, 127)
    return [(-128, 127), (zero, 127), (zero, min(127, zero + int(rng.integers(30, 200))))][int(rng.integers(3))]


class _Builder:
    """Graph under construction; `last` is the tensor that the next operator reads."""

    def __init__(self, rng, x: QTensor):
        self.rng, self.tensors, self.ops, self.last = rng, {x.name: x}, [], x.name

    def put(self, kind: str, *, inputs=None, like=None, keep=False, **fields) -> None:
        """Append an operator and the tensor that it writes; `like` is (scale, zero point), `keep` takes the input's."""
        inputs = inputs or (self.last,)
        source = self.tensors[inputs[0]]
        scale, zero = (source.scale, source.zero_point) if keep else like or (_scale(self.rng), _zero(self.rng))
        if kind not in ("flatten", "argmax", "softmax"):
            fields.setdefault("clamp", _clamp(self.rng, zero))
        name = f"{kind}{len(self.ops)}"
        op = QOp(kind, name, tuple(inputs), name, **fields)
        shape = output_shape(op, [self.tensors[i].shape for i in inputs])
        self.tensors[name], self.last = QTensor(name, shape, scale, zero), name
        self.ops.append(op)

    def window(self, h: int, w: int, pool: bool) -> dict:
        """Kernel, stride, padding and dilation that fit an (h, w) picture."""
        rng, fields = self.rng, {}
        kernel = tuple(int(k) for k in rng.choice([1, 2, 3, 5, 7], 2)) if rng.random() < 0.3 else (int(rng.choice([1, 3, 5, 7])),) * 2
        kernel = tuple(min(k, side + 1) for k, side in zip(kernel, (h, w)))
        pad = [int(rng.integers(0, k)) if rng.random() < 0.7 else 0 for k in (*kernel, *kernel)]
        dilation = (1, 1) if pool or rng.random() < 0.8 else (2, 2)
        for axis, side in enumerate((h, w)):
            short = dilation[axis] * (kernel[axis] - 1) + 1 - side - pad[axis] - pad[axis + 2]
            if short > 0 and (pool or dilation == (2, 2)):
                kernel, pad, dilation = (1, 1), [0] * 4, (1, 1)
                break
            pad[axis] += max(0, short)
        fields.update(kernel=kernel, pad=tuple(pad), dilation=dilation, stride=tuple(int(s) for s in rng.choice([1, 2, 3], 2, p=[0.55, 0.35, 0.1])))
        return fields

    def scaling(self, count: int, spread: float) -> dict:
        """Multipliers and shifts so that a value of about `spread` lands within a few int8 ranges: some outputs saturate."""
        m = self.rng.integers(1 << 30, 1 << 31, count)
        m[self.rng.random(count) < 0.1] = (1 << 31) - 1
        real = 2.0 ** self.rng.uniform(4, 9, count) / spread
        s = np.clip(np.round(31 - np.log2(real)), 1, 62)
        return {"multiplier": m.astype(np.int32), "shift": s.astype(np.int32)}

    def weighted(self, kind: str, k: int, **fields) -> None:
        """conv, depthwise or linear with random weights, some at the ends of int8."""
        shape = self.tensors[self.last].shape
        c = shape[-1]
        size = {"conv": (k, *fields.get("kernel", ()), c), "depthwise": (c, *fields.get("kernel", ())), "linear": (k, c)}[kind]
        weight = self.rng.integers(-127, 128, size).astype(np.int8)
        weight[self.rng.random(size) < 0.05] = self.rng.choice([-127, 127])
        spread = 100.0 * 60 * np.sqrt(weight[0].size)
        bias = self.rng.integers(-int(spread), int(spread) + 1, size[0]).astype(np.int32)
        self.put(kind, weight=weight, bias=bias, **self.scaling(size[0], spread), **fields)

    def step(self, kind: str) -> None:
        """One operator of `kind` on the last tensor; add and concat take a second branch."""
        h, w, c = self.tensors[self.last].shape
        if kind in WINDOWED:
            fields = self.window(h, w, "pool" in kind)
            if kind == "maxpool":
                self.put(kind, keep=True, **fields)
            elif kind == "avgpool":
                self.put(kind, **self.scaling(1, 60.0 * np.sqrt(np.prod(fields["kernel"]))), **fields)
            else:
                self.weighted(kind, int(self.rng.integers(1, 9)), **fields)
            return
        before = self.last
        self.weighted("conv", c if kind == "add" else int(self.rng.integers(1, 5)), kernel=(3, 3), pad=(1, 1, 1, 1))
        inputs = (before, self.last) if self.rng.random() < 0.8 else (self.last, before)
        if kind == "add":
            multiplier = self.rng.integers(1 << 16, 1 << 21, 2).astype(np.int32)
            self.put("add", inputs=inputs, multiplier=multiplier, shift=np.full(2, self.rng.integers(16, 22), np.int32))
        else:
            fields = self.scaling(2, 60.0)
            if self.rng.random() < 0.5:
                fields["multiplier"][0], fields["shift"][0] = IDENTITY
            self.put("concat", inputs=inputs, **fields)
