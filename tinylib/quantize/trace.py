"""An ordinary PyTorch CNN, traced by torch.export, as a short list of layers: batch norm folded, activations fused, the rest named.

The list is the float twin of the integer graph (`graph.py`): same kinds, same fields, real weights in PyTorch's CHW order.
"""

import copy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.quantize.aten import READERS

UNLIMITED = (-float("inf"), float("inf"))


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer. `weight`: conv (k, c, kh, kw), depthwise (c, 1, kh, kw), linear (k, n); `bias` (k,). `limits`: fused activation, (0, 6) for ReLU6.

    `name` is the module's own name where the layer has weights. `pad` is (top, left, bottom, right). `fused` lists modules folded in.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    weight: Tensor | None = None
    bias: Tensor | None = None
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    limits: tuple[float, float] = UNLIMITED
    fused: tuple[str, ...] = ()


@dataclass(eq=False)
class Trace:
    """Layers in order; `shapes` holds each tensor's shape without the batch axis, (c, h, w) or (n,)."""

    input: str
    output: str
    layers: list[Layer]
    shapes: dict[str, tuple[int, ...]]
    alias: dict[str, str] = field(default_factory=dict)          # node -> tensor it equals (dropout, fused activations)
    pads: dict[str, tuple] = field(default_factory=dict)         # zero padding waiting for its convolution: (tensor, sides)
    users: dict[str, int] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)          # placeholder -> parameter or buffer name

    def producer(self, tensor: str) -> int | None:
        """Index of the layer that writes `tensor`."""
        return next((i for i, layer in enumerate(self.layers) if layer.output == tensor), None)

    def alone(self, node: str) -> bool:
        """Whether nothing but the next operation reads `node`, nor anything it stands for."""
        while self.users[node] == 1 and node in self.alias:
            node = self.alias[node]
        return self.users[node] == 1

    def fuse(self, index: int, **changes) -> None:
        """Change layer `index`."""
        self.layers[index] = replace(self.layers[index], **changes)

    def layer(self, kind: str, node, inputs: list[str], **fields) -> None:
        """Append a layer that writes the node's tensor."""
        name = fields.pop("name", node.name)
        self.layers.append(Layer(kind, name, tuple(inputs), node.name, **fields))


def trace(model: nn.Module, example: Tensor) -> Trace:
    """Layers of `model` (in eval mode) for pictures like `example` (b, c, h, w).

    Raises TinylibError listing every operation that has no integer counterpart, with its place in the model.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        program = torch.export.export(model.eval(), (example[:1].detach(),))
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TinylibError(f"torch.export cannot trace this network on pictures {tuple(example.shape[1:])}: {reason}") from error
    finally:
        for module, mode in modes:
            module.training = mode
    graph = program.graph
    names = {**program.graph_signature.inputs_to_parameters, **program.graph_signature.inputs_to_buffers}
    inputs = [node for node in graph.nodes if node.op == "placeholder" and node.name not in names]
    outputs = next(node for node in graph.nodes if node.op == "output").args[0]
    if len(inputs) != 1 or len(outputs) != 1:
        raise TinylibError(f"Only networks with one input and one output can be quantized; this one has {len(inputs)} and {len(outputs)}.")
    found = Trace(inputs[0].name, "", [], {}, state=dict(program.state_dict), names=names)
    found.users = {node.name: len(node.users) for node in graph.nodes}
    problems = []
    for node in graph.nodes:
        if "val" in node.meta and hasattr(node.meta["val"], "shape") and node.name not in names:
            found.shapes[node.name] = tuple(node.meta["val"].shape[1:])
        if node.op == "call_function":
            problems += _read(found, node)
    if problems:
        raise TinylibError("Cannot be quantized: " + "; ".join(problems) + ".")
    found.output = resolve(found, outputs[0].name)
    _forbid_pending(found)
    found.shapes = {t: found.shapes[t] for t in [found.input, *(layer.output for layer in found.layers)]}
    return found


def resolve(found: Trace, name: str) -> str:
    """The tensor that a node stands for."""
    while name in found.alias:
        name = found.alias[name]
    return name


def _read(found: Trace, node) -> list[str]:
    """Let the reader of this operation add its layer; the problem in words, with the module's name, if it cannot."""
    operation = str(node.target).split(".")[1].rstrip("_") if str(node.target).startswith("aten.") else str(node.target)
    reader = READERS.get(operation)
    problem = reader(found, node, resolve) if reader else "no integer counterpart"
    if not problem:
        return []
    found.shapes.setdefault(node.name, ())
    stack = list((node.meta.get("nn_module_stack") or {"": ("the network", None)}).values())[-1][0]
    return [f"{operation} in {stack.removeprefix('L__self__').strip('.') or 'the network'} ({problem})"]


def _forbid_pending(found: Trace) -> None:
    if found.output in found.pads or any(name in found.pads for layer in found.layers for name in layer.inputs):
        raise TinylibError("Cannot be quantized: zero padding that is not followed by a convolution only.")


def fold_model(model: nn.Module, example: Tensor) -> nn.Module:
    """A copy in eval mode whose folded batch norms are `nn.Identity`; pictures like `example` (b, c, h, w) trace the network."""
    folded = copy.deepcopy(model).eval()
    for layer in trace(folded, example).layers:
        if layer.kind in ("conv", "depthwise") and layer.fused:
            conv = folded.get_submodule(layer.name)
            conv.weight = nn.Parameter(layer.weight.clone())
            conv.bias = nn.Parameter(layer.bias.clone())
            folded.set_submodule(layer.fused[0], nn.Identity())
    return folded


def run_float(found: Trace, images: Tensor) -> dict[str, Tensor]:
    """Every tensor (b, ...) of the traced network for float pictures (b, c, h, w)."""
    values = {found.input: images}
    for layer in found.layers:
        values[layer.output] = _evaluate(layer, [values[name] for name in layer.inputs])
    return values


@torch.no_grad()
def _evaluate(layer: Layer, xs: list[Tensor]) -> Tensor:
    x, kind = xs[0], layer.kind
    if kind in ("conv", "depthwise", "avgpool"):
        x = nn.functional.pad(x, (layer.pad[1], layer.pad[3], layer.pad[0], layer.pad[2]))
    if kind in ("conv", "depthwise"):
        y = nn.functional.conv2d(x, layer.weight, layer.bias, layer.stride, 0, layer.dilation, x.shape[1] if kind == "depthwise" else 1)
    elif kind == "avgpool":
        y = nn.functional.avg_pool2d(x, layer.kernel, layer.stride)
    elif kind == "maxpool":
        x = nn.functional.pad(x, (layer.pad[1], layer.pad[3], layer.pad[0], layer.pad[2]), value=-float("inf"))
        y = nn.functional.max_pool2d(x, layer.kernel, layer.stride, 0, layer.dilation)
    elif kind == "linear":
        y = nn.functional.linear(x, layer.weight, layer.bias)
    else:
        y = {"add": lambda: xs[0] + xs[1], "concat": lambda: torch.cat(xs, 1), "flatten": lambda: x.flatten(1),
             "softmax": lambda: x.softmax(1), "argmax": lambda: x.argmax(1, keepdim=True)}[kind]()
    return y.clamp(*layer.limits) if layer.limits != UNLIMITED else y
