"""The same integer graph run by PyTorch: float64 convolutions of integers are exact, so the bits are those of `integer.py`."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinylib.quantize.graph import QGraph, QOp, QTensor


@torch.no_grad()
def run(graph: QGraph, x: np.ndarray) -> np.ndarray:
    """int8 output (b, ...) for int8 pictures (b, h, w, c)."""
    batch = torch.from_numpy(np.ascontiguousarray(x)).double()
    values = {graph.input: batch.permute(0, 3, 1, 2) if batch.dim() == 4 else batch}
    for op in graph.ops:
        values[op.output] = _apply(op, [values[name] for name in op.inputs], [graph.tensors[name] for name in op.inputs], graph.tensors[op.output])
    out = values[graph.output]
    return (out.permute(0, 2, 3, 1) if out.dim() == 4 else out).numpy().astype(np.int8)


def _requantise(acc: Tensor, m: Tensor, s: Tensor) -> Tensor:
    return (acc.to(torch.int64) * m + (torch.ones_like(s) << (s - 1))) >> s


def _apply(op: QOp, xs: list[Tensor], inputs: list[QTensor], output: QTensor) -> Tensor:
    """One operator on float64 tensors of integers, CHW."""
    top, left, bottom, right = op.pad
    sides = (left, right, top, bottom)
    if op.kind == "maxpool":
        y = F.max_pool2d(F.pad(xs[0], sides, value=-128.0), op.kernel, op.stride, 0, op.dilation)
        return y.clamp(*op.clamp)
    if op.kind == "flatten":
        return xs[0].permute(0, 2, 3, 1).flatten(1)
    if op.kind == "argmax":
        return xs[0].argmax(1, keepdim=True).double()
    if op.kind == "softmax":
        return _softmax(op, xs[0])
    centred = [x - t.zero_point for x, t in zip(xs, inputs)]
    if op.kind == "add":
        acc = centred[0] * int(op.multiplier[0]) + centred[1] * int(op.multiplier[1])
        return _finish(acc, output, op, torch.ones((), dtype=torch.int64), torch.tensor(int(op.shift[0])))
    m, s = torch.from_numpy(op.multiplier).long(), torch.from_numpy(op.shift).long()
    if op.kind == "concat":
        return torch.cat([_finish(x, output, op, m[i], s[i]) for i, x in enumerate(centred)], 1)
    if op.kind == "linear":
        return _finish(F.linear(centred[0], torch.from_numpy(op.weight).double(), torch.from_numpy(op.bias).double()), output, op, m, s)
    padded = F.pad(centred[0], sides)
    if op.kind == "avgpool":
        acc = F.avg_pool2d(padded, op.kernel, op.stride, divisor_override=1)
        return _finish(acc, output, op, m, s)
    weight = torch.from_numpy(op.weight).double()
    depthwise = op.kind == "depthwise"
    weight = weight.unsqueeze(1) if depthwise else weight.permute(0, 3, 1, 2)
    acc = F.conv2d(padded, weight, torch.from_numpy(op.bias).double(), op.stride, 0, op.dilation, padded.shape[1] if depthwise else 1)
    return _finish(acc, output, op, m[:, None, None], s[:, None, None])


def _finish(acc: Tensor, output: QTensor, op: QOp, m: Tensor, s: Tensor) -> Tensor:
    return (_requantise(acc, m, s) + output.zero_point).clamp(*op.clamp).double()


def _softmax(op: QOp, x: Tensor) -> Tensor:
    table = torch.from_numpy(op.multiplier).long()[(x.amax(1, keepdim=True) - x).long()]
    total = table.sum(1, keepdim=True)
    return (torch.div(256 * table + total // 2, total, rounding_mode="floor") - 128).clamp(max=127).double()
