"""A trained network and a few pictures in, an integer graph out (post-training quantization).

Ranges of activations come from the pictures, scales of weights from the weights; everything else follows: bias at scale_x * scale_w,
multiplier and shift for each requantisation, activation functions as clamps. Jacob et al. 2018; per-channel weights as Krishnamoorthi 2018.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.quantize.graph import INT8, QGraph, QOp, QTensor, validate
from tinylib.quantize.integer import run
from tinylib.quantize.linear import activation_range, quantise, symmetric, weight_grid
from tinylib.quantize.trace import Layer, Trace, run_float, trace

KEEPS_SCALE = ("maxpool", "flatten")
HEADS = (None, "argmax", "softmax")


def quantize_model(model: nn.Module, calibration: Tensor, *, weight_bits: int | Mapping[str, int] = 8, per_channel: bool = True,
                   weight_method: str = "minmax", activation_method: str = "minmax", head: str | None = None) -> QGraph:
    """Integer graph of `model` (taken in eval mode) with int8 activations.

    `calibration` (b, c, h, w): a few hundred pictures as the network sees them. `weight_bits`: 2-8, for all layers or by layer name
    (others 8). `head`: None for logits, or "argmax" or "softmax" appended. Raises TinylibError naming what cannot be quantized.
    """
    if head not in HEADS:
        raise TinylibError(f"head is one of {HEADS}, got {head!r}.")
    found = trace(model, calibration)
    if head:
        found.layers.append(Layer(head, head, (found.output,), head))
        found.shapes[head], found.output = found.shapes[found.output], head
    tensors = calibrate(found, calibration, activation_method)
    ops = [_operator(layer, found, tensors, _bits(layer, weight_bits), per_channel, weight_method) for layer in found.layers]
    graph = QGraph(found.input, found.output, tensors, tuple(ops))
    validate(graph)
    return graph


def calibrate(found: Trace, images: Tensor, method: str = "minmax") -> dict[str, QTensor]:
    """Scale and zero point of every tensor, from the values it takes on `images`; pools and flatten keep their input's."""
    values = run_float(found, images)
    tensors = {found.input: _tensor(found.input, found.shapes[found.input], activation_range(values[found.input], 8, method))}
    for layer in found.layers:
        shape, source = found.shapes[layer.output], tensors[layer.inputs[0]]
        if layer.kind in KEEPS_SCALE:
            made = QTensor(layer.output, _hwc(shape), source.scale, source.zero_point)
        elif layer.kind == "softmax":
            made = QTensor(layer.output, shape, 1 / 256, -128)
        elif layer.kind == "argmax":
            made = QTensor(layer.output, (1,), 1.0, 0)
        else:
            made = _tensor(layer.output, shape, activation_range(values[layer.output], 8, method))
        tensors[layer.output] = made
    return tensors


def quantise_input(graph: QGraph, images: Tensor | np.ndarray) -> np.ndarray:
    """int8 (b, h, w, c) of float pictures (b, c, h, w)."""
    x = np.asarray(images, np.float64)
    tensor = graph.tensors[graph.input]
    q = np.floor(x / tensor.scale + 0.5) + tensor.zero_point
    return np.clip(q, *INT8).astype(np.int8).transpose(0, 2, 3, 1)


def accuracy(graph: QGraph, images: Tensor, labels: Tensor) -> float:
    """Share of right answers in [0, 1] of a graph that ends in logits, softmax or argmax."""
    out = run(graph, quantise_input(graph, images))
    classes = out[:, 0] if out.shape[1] == 1 else out.argmax(1)
    return float((classes == np.asarray(labels)).mean())


def multiplier_and_shift(real: float) -> tuple[int, int]:
    """(m, s) with m / 2**s nearest to `real` >= 0: 2**30 <= m < 2**31 unless `real` is below 2**-32. TinylibError above 2**30."""
    if real <= 0:
        return 0, 1
    fraction, exponent = math.frexp(real)
    m, s = math.floor(fraction * 2**31 + 0.5), 31 - exponent
    if m == 2**31:
        m, s = 2**30, s - 1
    if s > 62:
        m, s = math.floor(real * 2**62 + 0.5), 62
    if s < 1:
        raise TinylibError(f"A scale factor of {real:.3g} is too large to requantise: the output's range is far below the input's.")
    return m, s


def add_multipliers(ratios: tuple[float, float]) -> tuple[tuple[int, int], int]:
    """((m_a, m_b), s): both ratios scale_in / scale_out on one shift, m < 2**21 and s <= 30, so that add stays within 32 bits."""
    top = max(ratios)
    s = min(30, 21 - math.frexp(top)[1])
    if s < 1:
        raise TinylibError(f"Adding with a scale factor of {top:.3g} is out of range: the output's range is far below the input's.")
    return tuple(min(2**21 - 1, math.floor(r * 2**s + 0.5)) for r in ratios), s


def _hwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else shape


def _tensor(name: str, shape: tuple[int, ...], limits: tuple[float, float]) -> QTensor:
    low, high = limits
    scale = (high - low) / 255 if high > low else 1.0
    zero = min(127, max(-128, math.floor(-128 - low / scale + 0.5)))
    return QTensor(name, _hwc(shape), scale, zero)


def _bits(layer: Layer, bits: int | Mapping[str, int]) -> int:
    return bits if isinstance(bits, int) else bits.get(layer.name, 8)


def _clamp(layer: Layer, output: QTensor) -> tuple[int, int]:
    """int8 limits of the fused activation."""
    def at(real: float) -> int:
        return min(127, max(-128, math.floor(real / output.scale + 0.5) + output.zero_point))
    return tuple(at(limit) if math.isfinite(limit) else end for limit, end in zip(layer.limits, INT8))


def _operator(layer: Layer, found: Trace, tensors: dict[str, QTensor], bits: int, per_channel: bool, method: str) -> QOp:
    xs, y = [tensors[name] for name in layer.inputs], tensors[layer.output]
    fields = {"stride": layer.stride, "pad": layer.pad, "dilation": layer.dilation, "kernel": layer.kernel}
    fields["clamp"] = INT8 if layer.kind in ("argmax", "softmax", "flatten") else _clamp(layer, y)
    if layer.weight is not None:
        fields |= _weights(layer, found, xs[0], y, bits, per_channel, method)
    elif layer.kind in ("concat", "avgpool"):
        share = 1 / math.prod(layer.kernel)
        fields |= _int32(*zip(*(multiplier_and_shift(x.scale * share / y.scale) for x in xs)))
    elif layer.kind == "add":
        multipliers, shift = add_multipliers(tuple(x.scale / y.scale for x in xs))
        fields |= _int32(multipliers, (shift, shift))
    elif layer.kind == "softmax":
        fields["multiplier"] = np.floor(2**16 * np.exp(-np.arange(256) * xs[0].scale) + 0.5).astype(np.int32)
    return QOp(layer.kind, layer.name, layer.inputs, layer.output, **fields)


def _int32(multipliers, shifts) -> dict[str, np.ndarray]:
    return {"multiplier": np.array(multipliers, np.int32), "shift": np.array(shifts, np.int32)}


def _weights(layer: Layer, found: Trace, x: QTensor, y: QTensor, bits: int, per_channel: bool, method: str) -> dict[str, np.ndarray]:
    """int8 weights in the graph's order, int32 bias, multiplier and shift."""
    bias = layer.bias.double()
    scale = weight_grid(layer.weight, bits, per_channel=per_channel, method=method).scale.reshape(-1)
    largest = 2 ** (bits - 1) - 1
    silent = layer.weight.reshape(len(bias), -1).abs().amax(1) == 0
    scale = torch.where(silent, torch.zeros(()), scale).expand(len(bias))
    # A silent or very weak channel still carries its bias: its scale must leave room for the bias in int32, and m > 0.
    scale = torch.maximum(torch.maximum(scale, bias.abs() / (x.scale * 2**30)), torch.tensor(y.scale / x.scale * 2.0**-24, dtype=torch.float64))
    grid = symmetric(scale.reshape(-1, *[1] * (layer.weight.dim() - 1)) * largest, bits)
    weight = _order(layer, found, quantise(layer.weight, grid).numpy().astype(np.int8))
    integers = np.floor(bias.numpy() / (x.scale * scale.numpy()) + 0.5).astype(np.int32)
    pairs = [multiplier_and_shift(float(x.scale * s / y.scale)) for s in scale]
    return {"weight": np.ascontiguousarray(weight), "bias": integers} | _int32(*zip(*pairs))


def _order(layer: Layer, found: Trace, weight: np.ndarray) -> np.ndarray:
    """From PyTorch's order to the graph's: (k, c, kh, kw) to (k, kh, kw, c); flattened CHW columns to HWC."""
    if layer.kind == "conv":
        return weight.transpose(0, 2, 3, 1)
    if layer.kind == "depthwise":
        return weight[:, 0]
    c, h, w = picture_behind(found, layer.inputs[0]) or (weight.shape[1], 1, 1)
    return weight.reshape(len(weight), c, h, w).transpose(0, 2, 3, 1).reshape(len(weight), -1)


def picture_behind(found: Trace, tensor: str) -> tuple[int, int, int] | None:
    """(c, h, w) of the picture that a flat tensor is the flattening of, else None."""
    index = found.producer(tensor)
    layer = None if index is None else found.layers[index]
    if layer is None or layer.kind != "flatten":
        return None
    return found.shapes[layer.inputs[0]]
