"""The integer graph: what a converter writes, an integer engine runs and a code generator turns into C.

Activations are int8 and affine, `real = scale * (q - zero_point)`, in HWC order (channels vary fastest); weights are int8 and symmetric.
Every operator is defined here once, in integers, so that two engines that follow this page agree bit for bit. Scales are kept for people
and for the ends of the graph; no engine needs them in between.

Notation: x, a, b inputs, z_x zero point of x, y output, m `multiplier`, s `shift`, (lo, hi) `clamp` (a fused ReLU or ReLU6 is in it).

    requantise(v, m, s) = (v * m + 2**(s-1)) >> s          in 64 bits, arithmetic shift: ties go upwards. 0 <= m < 2**31, 1 <= s <= 62
    finish(v, m, s)     = clip(z_y + requantise(v, m, s), lo, hi)

conv       weight (k, kh, kw, c), m and s (k,). v[k] = bias[k] + sum w * (x - z_x) over kh, kw, c; y = finish(v, m, s).
           A tap outside the picture counts as x = z_x, so it adds nothing. Taps are `dilation` apart.
depthwise  weight (c, kh, kw), bias, m, s (c,): as conv, channel by channel.
linear     weight (k, n) on a flat (n,) input: as conv without space. The columns already follow the HWC order of a flattened picture.
           |bias| + 256 * sum |w| < 2**31 for every output, so int32 sums never overflow, in any order, with z_x folded into the bias or not.
avgpool    v = sum of (x - z_x) over the window (taps outside add nothing); y = finish(v, m, s); m, s are (1,) and hold 1 / (kh * kw).
maxpool    y = clip(largest x of the window, lo, hi); taps outside never win; scale and zero point of x and y are the same.
add        two inputs, m (2,), s (2,) with s[0] == s[1]: v = (a - z_a) * m[0] + (b - z_b) * m[1];
           y = clip(z_y + ((v + 2**(s-1)) >> s), lo, hi): one rounding. 256 * (m[0] + m[1]) + 2**(s-1) < 2**31, so 32 bits are enough.
concat     along channels, m and s one per input: y = finish(x_i - z_i, m[i], s[i]) for the part of input i. m = 2**30, s = 30 is a plain copy.
flatten    (h, w, c) -> (h * w * c,) in memory order: no arithmetic, same scale and zero point.
argmax     (n,) -> (1,): index of the first largest, n <= 128; scale 1, zero point 0.
softmax    (n,) -> (n,), n <= 1024, y scale 1/256, zero point -128. `multiplier` is an int32 table of 256 with T[0] = 2**16:
           T[d] = floor(2**16 * exp(-d * scale_x) + 0.5); d_i = max(x) - x_i; S = sum T[d_i];
           y_i = min(127, -128 + (256 * T[d_i] + S // 2) // S), all in unsigned 32 bits.

Output height of a windowed operator: (h + top + bottom - dilation * (kh - 1) - 1) // stride + 1; the width likewise.
"""

from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError

KINDS = ("conv", "depthwise", "linear", "avgpool", "maxpool", "add", "concat", "argmax", "softmax", "flatten")
WINDOWED = ("conv", "depthwise", "avgpool", "maxpool")
INT8 = (-128, 127)


@dataclass(frozen=True)
class QTensor:
    """An int8 tensor of the graph: shape (h, w, c) or (n,), `real = scale * (q - zero_point)`, -128 <= zero_point <= 127."""

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class QOp:
    """One operator; the arithmetic of each `kind` is defined at the top of this file.

    `multiplier` and `shift` are int32 arrays: one per output channel (conv, depthwise, linear), one per input (add, concat), one (avgpool),
    the table (softmax, without shift), else None. `pad` is (top, left, bottom, right); `kernel` is (kh, kw) of any windowed operator.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    multiplier: np.ndarray | None = None
    shift: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    clamp: tuple[int, int] = INT8


@dataclass(frozen=True, eq=False)
class QGraph:
    """Operators in an order in which they can run; `input` and `output` name tensors. Each tensor but the input is written once."""

    input: str
    output: str
    tensors: dict[str, QTensor]
    ops: tuple[QOp, ...]


def output_shape(op: QOp, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Shape that `op` gives for inputs of `shapes`."""
    first = shapes[0]
    if op.kind in WINDOWED:
        sides = []
        for axis in (0, 1):
            reach = op.dilation[axis] * (op.kernel[axis] - 1) + 1
            sides.append((first[axis] + op.pad[axis] + op.pad[axis + 2] - reach) // op.stride[axis] + 1)
        return (*sides, op.weight.shape[0] if op.kind == "conv" else first[2])
    if op.kind == "linear":
        return (op.weight.shape[0],)
    if op.kind == "concat":
        return (*first[:2], sum(shape[2] for shape in shapes))
    if op.kind == "flatten":
        return (int(np.prod(first)),)
    return (1,) if op.kind == "argmax" else first


def validate(graph: QGraph) -> None:
    """Raise TinylibError, with the operator's name, if the graph breaks a rule of this file."""
    ready = {graph.input}
    for op in graph.ops:
        missing = [name for name in op.inputs if name not in ready]
        _demand(not missing, op, f"reads {missing} before they are written")
        _demand(op.output in graph.tensors and op.output not in ready, op, f"output {op.output!r} is unknown or written twice")
        _check(op, [graph.tensors[name] for name in op.inputs], graph.tensors[op.output])
        ready.add(op.output)
    if graph.output not in ready:
        raise TinylibError(f"The graph's output {graph.output!r} is never written.")


def _check(op: QOp, inputs: list[QTensor], output: QTensor) -> None:
    """The rules of one operator."""
    _demand(op.kind in KINDS, op, f"kind must be one of {', '.join(KINDS)}")
    rank = {"linear": 1, "argmax": 1, "softmax": 1, "add": None}.get(op.kind, 3)
    _demand(rank is None or all(len(x.shape) == rank for x in inputs), op, f"needs inputs of {rank} axes, got {[x.shape for x in inputs]}")
    _demand(len(inputs) == (2 if op.kind == "add" else max(1, len(inputs) if op.kind == "concat" else 1)), op, "has the wrong number of inputs")
    _demand(output.shape == output_shape(op, [x.shape for x in inputs]) and min(output.shape) > 0, op,
            f"output shape {output.shape} does not follow from {[x.shape for x in inputs]}")
    _demand(-128 <= op.clamp[0] <= op.clamp[1] <= 127, op, f"clamp {op.clamp} is not inside int8")
    _demand(all(-128 <= x.zero_point <= 127 and x.scale > 0 for x in (*inputs, output)), op, "has a zero point outside int8 or a scale <= 0")
    if op.kind in ("conv", "depthwise", "linear"):
        _check_weights(op, inputs[0])
    if op.kind in ("maxpool", "flatten"):
        same = (inputs[0].scale, inputs[0].zero_point) == (output.scale, output.zero_point)
        _demand(same, op, "must keep scale and zero point")
    if op.kind in ("maxpool", "avgpool"):
        _demand(max(op.pad[0], op.pad[2]) < op.kernel[0] and max(op.pad[1], op.pad[3]) < op.kernel[1], op, "has a window with padding only")
    if op.kind == "softmax":
        _demand(op.multiplier is not None and op.multiplier.shape == (256,) and op.multiplier[0] == 1 << 16, op, "needs a table of 256")
        _demand(inputs[0].shape[0] <= 1024 and output.scale == 1 / 256 and output.zero_point == -128, op, "needs n <= 1024 and output 1/256, -128")
    if op.kind == "argmax":
        _demand(inputs[0].shape[0] <= 128, op, "can index 128 classes at most")
    counts = {"conv": output.shape[-1], "depthwise": output.shape[-1], "linear": output.shape[-1], "avgpool": 1, "add": 2, "concat": len(inputs)}
    if op.kind in counts:
        _check_scaling(op, counts[op.kind])


def _check_weights(op: QOp, x: QTensor) -> None:
    """Shapes, types and the int32 bound of an operator with weights."""
    shape = {"conv": (-1, *op.kernel, x.shape[-1]), "depthwise": (x.shape[-1], *op.kernel), "linear": (-1, x.shape[0])}[op.kind]
    right = op.weight is not None and op.weight.dtype == np.int8 and op.weight.ndim == len(shape)
    _demand(right and all(want in (-1, got) for want, got in zip(shape, op.weight.shape)), op, f"needs int8 weights of shape {shape}")
    k = op.weight.shape[0]
    _demand(op.bias is not None and op.bias.dtype == np.int32 and op.bias.shape == (k,), op, f"needs an int32 bias of shape ({k},)")
    bound = np.abs(op.bias.astype(np.int64)) + 256 * np.abs(op.weight.astype(np.int64)).reshape(k, -1).sum(1)
    _demand(bool((bound < 2**31).all()), op, "can overflow int32: |bias| + 256 * sum |w| must stay below 2**31")


def _check_scaling(op: QOp, count: int) -> None:
    """Types and limits of multiplier and shift."""
    for array in (op.multiplier, op.shift):
        _demand(array is not None and array.dtype == np.int32 and array.shape == (count,), op, f"needs int32 multiplier and shift of shape ({count},)")
    _demand(bool((op.multiplier >= 0).all() and (op.shift >= 1).all() and (op.shift <= 62).all()), op, "needs m >= 0 and 1 <= s <= 62")
    if op.kind == "add":
        s = int(op.shift[0])
        _demand(s == op.shift[1] and 256 * int(op.multiplier.astype(np.int64).sum()) + 2 ** (s - 1) < 2**31, op, "breaks the 32-bit bound of add")


def _demand(holds: bool, op: QOp, what: str) -> None:
    if not holds:
        raise TinylibError(f"Operator {op.name!r} ({op.kind}) {what}.")
