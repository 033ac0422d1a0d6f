"""Reference engine of the integer graph in numpy: exact, and fast enough for ten thousand small pictures.

Sums of products are taken by float matrix products of integer values. They are exact: in float32 while every partial sum stays below 2**24,
else in float64, where the int32 bound of the graph leaves 22 bits to spare.
"""

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.quantize.graph import QGraph, QOp, QTensor

CHUNK = 64       # pictures at a time: the window matrix of a small network stays in the processor's cache


def requantise(acc: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """`(acc * m + 2**(s-1)) >> s` in int64: the product with m / 2**s, rounded to nearest, ties upwards."""
    m, s = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    return (np.asarray(acc).astype(np.int64) * m + (np.int64(1) << (s - 1))) >> s


def run(graph: QGraph, x: np.ndarray) -> np.ndarray:
    """int8 output of the graph for int8 `x` (h, w, c) or (b, h, w, c); without a batch axis the output has none either."""
    tensors = graph.tensors
    x = np.asarray(x)
    shape = tensors[graph.input].shape
    if x.dtype != np.int8 or x.shape[x.ndim - len(shape):] != shape or x.ndim - len(shape) not in (0, 1):
        raise TinylibError(f"The graph takes int8 of shape {shape} or (b, ...), got {x.dtype} {x.shape}. Use quantise_input for pictures.")
    batch = x.reshape(-1, *shape)
    out = np.concatenate([trace(graph, batch[i:i + CHUNK])[graph.output] for i in range(0, len(batch), CHUNK)])
    return out if x.ndim > len(shape) else out[0]


def trace(graph: QGraph, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of the graph, int8 (b, ...), by name."""
    values = {graph.input: batch}
    for op in graph.ops:
        inputs = [graph.tensors[name] for name in op.inputs]
        values[op.output] = apply(op, [values[name] for name in op.inputs], inputs, graph.tensors[op.output])
    return values


def apply(op: QOp, xs: list[np.ndarray], inputs: list[QTensor], output: QTensor) -> np.ndarray:
    """One operator on int8 batches `xs`."""
    return OPERATORS[op.kind](op, xs, inputs, output)


def windows(op: QOp, x: np.ndarray, fill: int) -> np.ndarray:
    """View (b, h_out, w_out, c, kh, kw) of `x` (b, h, w, c) padded with `fill`."""
    top, left, bottom, right = op.pad
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill) if any(op.pad) else x
    reach = tuple(d * (k - 1) + 1 for d, k in zip(op.dilation, op.kernel))
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
    return view[:, ::op.stride[0], ::op.stride[1], :, ::op.dilation[0], ::op.dilation[1]]


def _finish(op: QOp, acc: np.ndarray, output: QTensor, which: int | slice = slice(None)) -> np.ndarray:
    """`finish` of graph.py; as `requantise`, but in place on one int64 array."""
    y = acc.astype(np.int64)
    m, s = op.multiplier[which].astype(np.int64), op.shift[which].astype(np.int64)
    y *= m
    y += np.int64(1) << (s - 1)
    y >>= s
    y += output.zero_point
    return np.clip(y, *op.clamp, out=y).astype(np.int8)


def _exact_type(op: QOp) -> type:
    """float32 when every sum of products stays below 2**24, else float64."""
    return np.float32 if 256 * np.abs(op.weight.astype(np.int64)).reshape(len(op.weight), -1).sum(1).max() < 2**24 else np.float64


def _conv(op, xs, inputs, output):
    kind = _exact_type(op)
    view = windows(op, _centred(xs[0], inputs[0], kind), 0).transpose(0, 1, 2, 4, 5, 3)
    acc = view.reshape(-1, op.weight[0].size) @ op.weight.reshape(len(op.weight), -1).T.astype(kind)
    acc = acc.reshape(*view.shape[:3], -1)
    return _finish(op, acc.astype(np.int64) + op.bias, output)


def _centred(x: np.ndarray, tensor: QTensor, kind: type) -> np.ndarray:
    """x - z_x in `kind`; exact, for both are small integers."""
    centred = x.astype(kind)
    centred -= kind(tensor.zero_point)
    return centred


def _depthwise(op, xs, inputs, output):
    view = windows(op, _centred(xs[0], inputs[0], np.int32), 0)
    acc = np.empty(view.shape[:4], np.int32)
    acc[...] = op.bias
    for i, j in np.ndindex(*op.kernel):
        acc += view[..., i, j] * op.weight[:, i, j].astype(np.int32)
    return _finish(op, acc, output)


def _linear(op, xs, inputs, output):
    kind = _exact_type(op)
    acc = _centred(xs[0], inputs[0], kind) @ op.weight.T.astype(kind)
    return _finish(op, acc.astype(np.int64) + op.bias, output)


def _avgpool(op, xs, inputs, output):
    view = windows(op, xs[0].astype(np.int32) - inputs[0].zero_point, 0)
    return _finish(op, view.sum(axis=(-2, -1), dtype=np.int64), output)


def _maxpool(op, xs, inputs, output):
    return np.clip(windows(op, xs[0], -128).max(axis=(-2, -1)), *op.clamp).astype(np.int8)


def _add(op, xs, inputs, output):
    acc = sum((x.astype(np.int64) - t.zero_point) * int(m) for x, t, m in zip(xs, inputs, op.multiplier))
    return np.clip(requantise(acc, 1, op.shift[0]) + output.zero_point, *op.clamp).astype(np.int8)


def _concat(op, xs, inputs, output):
    parts = [_finish(op, x.astype(np.int64) - t.zero_point, output, i) for i, (x, t) in enumerate(zip(xs, inputs))]
    return np.concatenate(parts, axis=-1)


def _flatten(op, xs, inputs, output):
    return xs[0].reshape(len(xs[0]), -1)


def _argmax(op, xs, inputs, output):
    return xs[0].argmax(-1).astype(np.int8)[:, None]


def _softmax(op, xs, inputs, output):
    x = xs[0].astype(np.int64)
    table = op.multiplier.astype(np.int64)[x.max(-1, keepdims=True) - x]
    total = table.sum(-1, keepdims=True)
    return np.minimum((256 * table + total // 2) // total - 128, 127).astype(np.int8)


OPERATORS = {"conv": _conv, "depthwise": _depthwise, "linear": _linear, "avgpool": _avgpool, "maxpool": _maxpool, "add": _add,
             "concat": _concat, "flatten": _flatten, "argmax": _argmax, "softmax": _softmax}
