"""What deployment needs to know of an integer graph: MACs, who reads which tensor last, which operators may work in place."""

import numpy as np

from tinylib.quantize.graph import QGraph, QOp

IN_PLACE_KINDS = ("depthwise", "add")     # both write a value only where inputs that are still needed do not lie
RENAME = "flatten"                        # no arithmetic: output and input are the same bytes


def tensor_bytes(graph: QGraph, name: str) -> int:
    """Bytes of an int8 tensor."""
    return int(np.prod(graph.tensors[name].shape))


def macs(graph: QGraph, op: QOp) -> int:
    """Multiply-accumulates of one operator: those of its weights; taps on padding count as well. Pools, adds and tables count none."""
    if op.kind == "linear":
        return op.weight.size
    if op.kind in ("conv", "depthwise"):
        h, w, _ = graph.tensors[op.output].shape
        return h * w * op.weight.size
    return 0


def weight_bytes(op: QOp) -> int:
    """Bytes of weights and biases as trained, before any packing."""
    return 0 if op.weight is None else op.weight.size + 4 * op.bias.size


def last_reads(graph: QGraph) -> dict[str, int]:
    """Step at which each tensor is read for the last time; the graph's output stays to the end, unread tensors live in their own step."""
    last = {op.output: step for step, op in enumerate(graph.ops)}
    last[graph.input] = 0
    for step, op in enumerate(graph.ops):
        for name in op.inputs:
            last[name] = step
    last[graph.output] = len(graph.ops) - 1
    return last


def births(graph: QGraph) -> dict[str, int]:
    """Step at which each tensor is written; the input is there from step 0."""
    return {graph.input: 0} | {op.output: step for step, op in enumerate(graph.ops)}


def may_overwrite(graph: QGraph, step: int, name: str, renamed: dict[str, str]) -> bool:
    """Whether the operator at `step` may write over tensor `name`: nothing reads these bytes later, under any of their names.

    `renamed` maps each tensor to the tensor whose bytes it shares.
    """
    same = [t for t in renamed if renamed[t] == renamed[name]]
    reads = last_reads(graph)
    return max(reads[t] for t in same) == step and graph.output not in same
