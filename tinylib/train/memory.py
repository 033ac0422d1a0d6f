"""What training keeps, by rule: trace the layers of a network once, then add up by a formula. The meter is `measure.saved`."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tinylib.core.errors import TinylibError
from tinylib.train.frozen import FrozenConv2d, FrozenNorm2d, MeanPool2d, PackedReLU, mask_bytes
from tinylib.train.tinytl import HeldNorm2d

FLOAT = 4       # bytes of a float32
KINDS = {nn.Conv2d: "conv", FrozenConv2d: "conv", HeldNorm2d: "norm", FrozenNorm2d: "norm", nn.GroupNorm: "groupnorm", nn.Linear: "linear", nn.ReLU: "relu",
         PackedReLU: "packed relu", nn.SiLU: "silu", MeanPool2d: "pool", nn.AdaptiveAvgPool2d: "pool", nn.Flatten: "view", nn.Identity: "view"}


@dataclass(frozen=True)
class Layer:
    """One layer as the rule needs it. `inputs`, `output`: names of tensors; two names are equal when the storage is the same.

    `size_in`, `size_out`: elements of the first input and of the output, whole batch. `groups`: normalised groups (group norm), whole batch.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    size_in: int
    size_out: int
    groups: int
    trains_weight: bool
    trains_bias: bool


def saved_by_rule(layers: Iterable[Layer]) -> dict[str, int]:
    """Bytes that each layer adds for backward, for `lean` layers; a tensor kept by two layers counts once, at the first.

    conv, linear, norm with fixed statistics: the input, only when the weight trains. Group norm: the input and 8 bytes a group (mean and
    1 / deviation), whenever a gradient passes, for its statistics depend on the input. ReLU: its output; packed: one bit an element; SiLU:
    its input; each only when a gradient must pass to something before it. Pool, add, resize: nothing.
    """
    alive: set[str] = set()         # tensors that need a gradient
    kept: set[str] = set()
    cost: dict[str, int] = {}
    for layer in layers:
        passes = any(name in alive for name in layer.inputs)
        if passes or layer.trains_weight or layer.trains_bias:
            alive.add(layer.output)
        tensor, extra = _keeps(layer, passes)
        size = layer.size_out if tensor == layer.output else layer.size_in
        cost[layer.name] = extra + (FLOAT * size if tensor and tensor not in kept else 0)
        kept |= {tensor} if tensor else set()
    return cost


def _keeps(layer: Layer, passes: bool) -> tuple[str | None, int]:
    """(tensor kept as floats or None, further bytes)."""
    source = layer.inputs[0]
    if layer.kind in ("conv", "linear", "norm"):
        return (source, 0) if layer.trains_weight else (None, 0)
    if layer.kind == "groupnorm":
        return (source, 2 * FLOAT * layer.groups) if passes or layer.trains_weight or layer.trains_bias else (None, 0)
    if layer.kind == "packed relu":
        return None, mask_bytes(layer.size_out) if passes else 0
    if layer.kind in ("relu", "silu"):
        return (layer.output if layer.kind == "relu" else source, 0) if passes else (None, 0)
    return None, 0


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes in float32: weights and buffers of the network, gradients of what trains, momentum of what trains, activations kept."""

    weights: int
    gradients: int
    momentum: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.momentum + self.activations


def training_memory(model: nn.Module, activations: int) -> TrainingMemory:
    """The four parts for SGD with momentum; `activations` from the meter or the rule."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) + sum(b.numel() * b.element_size() for n, b in model.named_buffers()
                                                                                  if n.rpartition(".")[2] == "weight")
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return TrainingMemory(weights, trained, trained, activations)


def layers_as_dicts(layers: Iterable[Layer]) -> list[dict]:
    """Plain dictionaries (lists for tuples), for exercises and files."""
    return [asdict(layer) | {"inputs": list(layer.inputs)} for layer in layers]


class _Recorder(TorchFunctionMode):
    """Records leaf modules (through `enter` and `leave`) and, outside them, every torch function on tensors as "add"-like, keeping nothing."""

    def __init__(self):
        super().__init__()
        self.layers: list[Layer] = []
        self.names: dict[int, str] = {}
        self.alive: list[Tensor] = []       # keeps storages, so that no address is used twice
        self.inside = 0

    def name(self, tensor: Tensor) -> str:
        self.alive.append(tensor)
        return self.names.setdefault(tensor.untyped_storage()._cdata, f"t{len(self.names)}")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.inside += 1
        result = func(*args, **(kwargs or {}))
        self.inside -= 1
        sources = [a for a in args if isinstance(a, Tensor)]
        if not self.inside and sources and isinstance(result, Tensor) and result.is_floating_point():
            self.add(getattr(func, "__name__", "function"), "add" if len(sources) > 1 else "view", sources, result)
        return result

    def add(self, name, kind, sources, result, groups=0, weight=False, bias=False):
        inputs = tuple(self.name(s) for s in sources)
        self.layers.append(Layer(f"{len(self.layers):02d} {name}", kind, inputs, self.name(result), sources[0].numel(), result.numel(), groups, weight, bias))


def trace_layers(model: nn.Module, x: Tensor) -> list[Layer]:
    """The layers of `model(x)` in the order of execution. An unknown leaf module raises TinylibError that names it."""
    recorder, handles = _Recorder(), []

    def enter(module, inputs):
        recorder.inside += 1

    def leave(name, module, inputs, output):
        recorder.inside -= 1
        kind = next((k for t, k in KINDS.items() if isinstance(module, t)), None)
        if kind is None:
            raise TinylibError(f"no rule for the layer {name} ({type(module).__name__})")
        weight, bias = (getattr(module, own, None) for own in ("weight", "bias"))
        recorder.add(name, kind, inputs, output, len(inputs[0]) * getattr(module, "num_groups", 0),
                     weight is not None and weight.requires_grad, bias is not None and bias.requires_grad)

    for name, module in model.named_modules():
        if not list(module.children()):
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(lambda m, i, o, name=name: leave(name, m, i, o)))
    try:
        with torch.no_grad(), recorder:
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return recorder.layers
