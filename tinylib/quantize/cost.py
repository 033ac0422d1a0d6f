"""What bits cost: bytes of weights, multiply-accumulates, bit operations; exact counts from the traced network."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from tinylib.quantize.graph import QGraph, QOp
from tinylib.quantize.trace import trace

Bits = int | Mapping[str, int]


@dataclass(frozen=True)
class LayerCost:
    """Counts of one layer for one picture: entries of the weight, biases, MACs, values read and written."""

    name: str
    kind: str
    weights: int
    biases: int
    macs: int
    inputs: int
    outputs: int


def layer_costs(model: nn.Module, example: Tensor) -> tuple[LayerCost, ...]:
    """Layers with weights, batch norms folded, for pictures like `example` (b, c, h, w)."""
    found = trace(model, example)
    costs = []
    for layer in found.layers:
        if layer.weight is not None:
            shape = found.shapes[layer.output]
            macs = int(np.prod(shape)) * layer.weight[0].numel()
            costs.append(LayerCost(layer.name, layer.kind, layer.weight.numel(), len(layer.bias), macs,
                                   int(np.prod(found.shapes[layer.inputs[0]])), int(np.prod(shape))))
    return tuple(costs)


def weight_bytes(costs: tuple[LayerCost, ...], bits: Bits) -> int:
    """Bytes of the packed weights alone, each layer rounded up to whole bytes; layers not named have 8 bits."""
    return sum(-(-cost.weights * bits_of(bits, cost.name) // 8) for cost in costs)


def scale_bytes(costs: tuple[LayerCost, ...], *, per_channel: bool = True) -> int:
    """Bytes of the float32 scales: one per output channel, or one per layer."""
    return sum(4 * (cost.biases if per_channel else 1) for cost in costs)


def bit_operations(costs: tuple[LayerCost, ...], weight_bits: Bits, activation_bits: Bits) -> int:
    """Sum over layers of MACs x weight bits x activation bits: the work of bit-serial hardware."""
    return sum(cost.macs * bits_of(weight_bits, cost.name) * bits_of(activation_bits, cost.name) for cost in costs)


def bits_of(bits: Bits, name: str) -> int:
    """Bits of a layer; 8 where a mapping does not name it."""
    return bits if isinstance(bits, int) else bits.get(name, 8)


def op_macs(op: QOp, graph: QGraph) -> int:
    """MACs of one operator of an integer graph for one picture; 0 without weights."""
    return 0 if op.weight is None else int(np.prod(graph.tensors[op.output].shape)) * op.weight[0].size


def graph_bytes(graph: QGraph) -> int:
    """Bytes of an integer graph's constants: int8 weights, int32 biases and multipliers, one byte a shift."""
    sizes = (("weight", 1), ("bias", 4), ("multiplier", 4), ("shift", 1))
    return sum(getattr(op, part).size * size for op in graph.ops for part, size in sizes if getattr(op, part) is not None)
