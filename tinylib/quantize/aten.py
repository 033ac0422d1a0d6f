"""Readers of PyTorch's exported operations: each adds a layer to the trace, fuses into the layer before, or says why it cannot.

A reader gets the trace, the node and `resolve(trace, name)`; it returns None, or the problem in words.
"""

import torch

from tinylib.quantize.fold import fold_batch_norm


def argument(node, index: int, name: str, default=None):
    """Argument of a node by place or name."""
    return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)


def pair(value) -> tuple[int, int]:
    """(a, b) of an int, [a] or [a, b]."""
    values = [value] if isinstance(value, int) else list(value)
    return (int(values[0]), int(values[-1]))


def parameter(trace, node):
    """Tensor behind a placeholder, or None; and its module's name."""
    if node is None:
        return None, ""
    name = trace.names.get(node.name)
    return (None, "") if name is None else (trace.state[name].detach(), name.rpartition(".")[0])


def conv2d(trace, node, resolve):
    weight, name = parameter(trace, node.args[1])
    if weight is None:
        return "its weight is computed"
    stride, padding, dilation, groups = (argument(node, i, n, d) for i, n, d in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1), (6, "groups", 1)))
    dilation, kernel, source = pair(dilation), tuple(weight.shape[2:]), resolve(trace, node.args[0].name)
    if isinstance(padding, str):
        whole = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel)]
        pad = (whole[0] // 2, whole[1] // 2, whole[0] - whole[0] // 2, whole[1] - whole[1] // 2)
    else:
        pad = pair(padding) * 2
    depthwise = groups > 1 and groups == weight.shape[0] == trace.shapes[source][0]
    if groups != 1 and not depthwise:
        return f"groups={groups} with {trace.shapes[source][0]} -> {weight.shape[0]} channels; only 1 or depth-wise"
    if source in trace.pads:
        source, waiting = trace.pads[source]
        pad = tuple(a + b for a, b in zip(pad, waiting))
    bias = parameter(trace, argument(node, 2, "bias"))[0]
    trace.layer("depthwise" if depthwise else "conv", node, [source], name=name, weight=weight, bias=_or_zeros(bias, weight), pad=pad,
                stride=pair(stride), dilation=dilation, kernel=kernel)


def _or_zeros(bias, weight):
    return torch.zeros(len(weight), dtype=weight.dtype) if bias is None else bias


def batch_norm(trace, node, resolve):
    source = resolve(trace, node.args[0].name)
    (gamma, name), (beta, _), (mean, _), (var, _) = (parameter(trace, argument(node, i, "")) for i in range(1, 5))
    if mean is None:
        return "it has no running statistics"
    if len(trace.shapes[source]) != 3:
        return "only over pictures"
    eps = float(argument(node, 7, "eps"))
    gamma, beta = torch.ones_like(mean) if gamma is None else gamma, torch.zeros_like(mean) if beta is None else beta
    index = trace.producer(source)
    layer = None if index is None else trace.layers[index]
    limited = layer is not None and (layer.limits[0] > -float("inf") or layer.limits[1] < float("inf"))
    if layer is None or layer.kind not in ("conv", "depthwise") or not trace.alone(node.args[0].name) or layer.fused or limited:
        ones = torch.ones(len(mean), 1, 1, 1, dtype=mean.dtype)
        weight, bias = fold_batch_norm(ones, torch.zeros_like(mean), mean, var, gamma, beta, eps)
        trace.layer("depthwise", node, [source], name=name or node.name, weight=weight, bias=bias)
        return None
    weight, bias = fold_batch_norm(layer.weight, layer.bias, mean, var, gamma, beta, eps)
    trace.fuse(index, weight=weight, bias=bias, fused=(name,))
    trace.alias[node.name] = source


def linear(trace, node, resolve):
    weight, name = parameter(trace, node.args[1])
    source = resolve(trace, node.args[0].name)
    if weight is None:
        return "its weight is computed"
    if len(trace.shapes[source]) != 1:
        return f"its input has shape {trace.shapes[source]}; flatten it first"
    trace.layer("linear", node, [source], name=name, weight=weight, bias=_or_zeros(parameter(trace, argument(node, 2, "bias"))[0], weight))


def activation(low: float, high: float):
    """Reader of an activation that clamps to [low, high]."""
    def read(trace, node, resolve):
        return _limit(trace, node, resolve, low, high)
    return read


def clamp(trace, node, resolve):
    low, high = argument(node, 1, "min"), argument(node, 2, "max")
    return _limit(trace, node, resolve, -float("inf") if low is None else float(low), float("inf") if high is None else float(high))


def hardtanh(trace, node, resolve):
    return _limit(trace, node, resolve, float(argument(node, 1, "min_val", -1.0)), float(argument(node, 2, "max_val", 1.0)))


def _limit(trace, node, resolve, low, high):
    if not low <= 0 <= high:
        return f"limits {low} to {high} must include 0"
    source = resolve(trace, node.args[0].name)
    index = trace.producer(source)
    kinds = ("conv", "depthwise", "linear", "add", "avgpool", "maxpool", "concat")
    if index is None or not trace.alone(node.args[0].name) or trace.layers[index].kind not in kinds:
        if len(trace.shapes[source]) != 3:
            return "only after a layer with weights or on a picture"
        trace.layer("maxpool", node, [source], limits=(low, high))
        return None
    before = trace.layers[index].limits
    trace.fuse(index, limits=(max(low, before[0]), min(high, before[1])))
    trace.alias[node.name] = source


def add(trace, node, resolve):
    a, b = node.args[:2]
    if not hasattr(a, "name") or not hasattr(b, "name") or a.name in trace.names or b.name in trace.names:
        return "adding a constant"
    sources = [resolve(trace, a.name), resolve(trace, b.name)]
    if node.kwargs.get("alpha", 1) != 1 or trace.shapes[sources[0]] != trace.shapes[sources[1]]:
        return f"shapes {trace.shapes[sources[0]]} and {trace.shapes[sources[1]]}, alpha {node.kwargs.get('alpha', 1)}"
    trace.layer("add", node, sources)


def concat(trace, node, resolve):
    sources = [resolve(trace, x.name) for x in node.args[0]]
    if argument(node, 1, "dim", 0) not in (1, -3) or len(trace.shapes[sources[0]]) != 3:
        return "only along the channels of pictures"
    trace.layer("concat", node, sources)


def max_pool2d(trace, node, resolve):
    kernel = pair(node.args[1])
    if argument(node, 5, "ceil_mode", False):
        return "ceil_mode"
    stride = argument(node, 2, "stride") or kernel
    trace.layer("maxpool", node, [resolve(trace, node.args[0].name)], kernel=kernel, stride=pair(stride),
                pad=pair(argument(node, 3, "padding", 0)) * 2, dilation=pair(argument(node, 4, "dilation", 1)))


def avg_pool2d(trace, node, resolve):
    kernel, pad = pair(node.args[1]), pair(argument(node, 3, "padding", 0)) * 2
    if argument(node, 4, "ceil_mode", False) or argument(node, 6, "divisor_override") is not None:
        return "ceil_mode or divisor_override"
    if not argument(node, 5, "count_include_pad", True) and any(pad):
        return "padding that is not counted"
    trace.layer("avgpool", node, [resolve(trace, node.args[0].name)], kernel=kernel, stride=pair(argument(node, 2, "stride") or kernel), pad=pad)


def adaptive_avg_pool2d(trace, node, resolve):
    source = resolve(trace, node.args[0].name)
    sides, wanted = trace.shapes[source][1:], pair(node.args[1])
    if any(side % want for side, want in zip(sides, wanted)):
        return f"{sides} does not divide into {wanted}"
    kernel = tuple(side // want for side, want in zip(sides, wanted))
    trace.layer("avgpool", node, [source], kernel=kernel, stride=kernel)


def mean(trace, node, resolve):
    source = resolve(trace, node.args[0].name)
    shape, axes = trace.shapes[source], sorted(d % 4 for d in argument(node, 1, "dim") or [])
    if len(shape) != 3 or axes != [2, 3]:
        return "only over height and width"
    if argument(node, 2, "keepdim", False):
        trace.layer("avgpool", node, [source], kernel=shape[1:], stride=shape[1:])
        return None
    pooled = f"{node.name}_pool"
    trace.shapes[pooled] = (shape[0], 1, 1)
    trace.layer("flatten", node, [pooled])
    flat = trace.layers.pop()
    trace.layer("avgpool", node, [source], kernel=shape[1:], stride=shape[1:])
    trace.fuse(len(trace.layers) - 1, output=pooled, name=pooled)
    trace.layers.append(flat)


def flatten(trace, node, resolve):
    """flatten, view, reshape and squeeze: nothing, or (c, h, w) -> (n,)."""
    source = resolve(trace, node.args[0].name)
    before, after = trace.shapes[source], trace.shapes[node.name]
    if before == after:
        trace.alias[node.name] = source
    elif len(after) == 1 and len(before) == 3:
        trace.layer("flatten", node, [source])
    else:
        return f"{before} -> {after}; only to a flat vector"


def identity(trace, node, resolve):
    trace.alias[node.name] = resolve(trace, node.args[0].name)


def pad(trace, node, resolve):
    sides = list(node.args[1]) + [0] * (4 - len(node.args[1]))
    constant = argument(node, 2, "mode", "constant") == "constant" if "pad.default" in str(node.target) else True
    value = argument(node, 3 if "pad.default" in str(node.target) else 2, "value", 0) or 0
    if not constant or value != 0 or len(sides) != 4 or min(sides) < 0:
        return "only zero padding of height and width, before a convolution"
    source = resolve(trace, node.args[0].name)
    left, right, top, bottom = sides
    trace.pads[node.name] = (source, (top, left, bottom, right))


def softmax(trace, node, resolve):
    return _over_classes(trace, node, resolve, "softmax")


def argmax(trace, node, resolve):
    return _over_classes(trace, node, resolve, "argmax")


def _over_classes(trace, node, resolve, kind):
    source = resolve(trace, node.args[0].name)
    if len(trace.shapes[source]) != 1 or argument(node, 1, "dim") not in (1, -1):
        return "only over the classes (b, n)"
    trace.layer(kind, node, [source])


READERS = {"conv2d": conv2d, "batch_norm": batch_norm, "linear": linear, "relu": activation(0.0, float("inf")), "relu6": activation(0.0, 6.0),
           "hardtanh": hardtanh, "clamp": clamp, "add": add, "cat": concat, "concat": concat, "max_pool2d": max_pool2d, "avg_pool2d": avg_pool2d,
           "adaptive_avg_pool2d": adaptive_avg_pool2d, "mean": mean, "flatten": flatten, "view": flatten, "reshape": flatten, "squeeze": flatten,
           "dropout": identity, "feature_dropout": identity, "clone": identity, "contiguous": identity, "detach": identity, "alias": identity,
           "pad": pad, "constant_pad_nd": pad, "softmax": softmax, "argmax": argmax}
