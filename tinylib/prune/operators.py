"""What an operation does to channels, as far as cutting them is concerned: pass, elementwise, concat, flatten, or not known."""

import operator

import torch
import torch.nn.functional as F
from torch import fx, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
LAYERS = (*CONVOLUTIONS, nn.Linear, *NORMS, nn.PReLU)
PASS_MODULES = (
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.Upsample, nn.ZeroPad2d,
)
PASS = {
    F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.hardswish, F.hardsigmoid, F.hardtanh, F.sigmoid, F.tanh, F.softplus,
    torch.relu, torch.sigmoid, torch.tanh, torch.clamp, F.dropout, F.dropout2d, F.interpolate,
    F.avg_pool1d, F.avg_pool2d, F.max_pool1d, F.max_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d,
    "relu", "relu_", "sigmoid", "tanh", "clamp", "contiguous", "clone", "detach", "float", "double",
}
ELEMENTWISE = {
    operator.add, operator.iadd, operator.sub, operator.isub, operator.mul, operator.imul, operator.truediv, operator.neg,
    torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum, "add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_",
}


class LayerTracer(fx.Tracer):
    """Traces into every module except torch's own layers and subclasses that keep their forward."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = isinstance(m, LAYERS) and any(type(m).forward is base.forward for base in LAYERS)
        return ours or super().is_leaf_module(m, module_qualified_name)


def shape_of(node: fx.Node) -> tuple[int, ...] | None:
    """Shape of the node's output, None when it is no tensor."""
    meta = node.meta.get("tensor_meta")
    return tuple(meta.shape) if hasattr(meta, "shape") else None


def spell(node: fx.Node) -> str:
    """The operation in a few words, for messages."""
    return f"{getattr(node.target, '__name__', node.target)} ({node.name})"


def reads_only_the_size(node: fx.Node) -> bool:
    """True for sizes, shapes and what is computed from numbers alone."""
    if node.target in ("size", "dim", "numel") or (node.target is getattr and node.args[1] in ("shape", "dtype", "device", "ndim")):
        return True
    return all(shape_of(source) is None for source in node.all_input_nodes)


def kind_of(node: fx.Node, modules: dict[str, nn.Module]) -> str | None:
    """"pass", "elementwise", "concat", "flatten", or None when the operation is not known to keep channels apart."""
    if node.op == "call_module":
        layer = modules[node.target]
        if isinstance(layer, nn.Flatten):
            return "flatten" if _flattens(node, layer.start_dim, layer.end_dim) else None
        return "pass" if isinstance(layer, PASS_MODULES) and type(layer).__module__.startswith("torch.nn") else None
    if node.target in PASS:
        return "pass"
    if node.target in ELEMENTWISE:
        return "elementwise"
    if node.target in (torch.cat, torch.concat):
        return "concat" if _argument(node, 1, "dim", 0) in (1, 1 - len(shape_of(node))) else None
    if node.target in (torch.flatten, "flatten"):
        return "flatten" if _flattens(node, _argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1)) else None
    if node.target in (torch.mean, "mean"):
        return "pass" if _keeps_channels(node) else None
    if node.target in ("view", "reshape", torch.reshape):
        return "flatten" if _reshapes_flat(node) else None
    if node.target is F.pad:
        return "pass" if len(node.args[1]) <= 2 * (len(shape_of(node)) - 2) else None
    return None


def _argument(node: fx.Node, place: int, name: str, default):
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _flattens(node: fx.Node, start: int, end: int) -> bool:
    rank = len(shape_of(node.args[0]))
    return start % rank == 1 and end % rank == rank - 1 and rank > 1


def _keeps_channels(node: fx.Node) -> bool:
    """A mean over positions: dimension 1 stays where it is."""
    rank, dims = len(shape_of(node.args[0])), _argument(node, 1, "dim", None)
    dims = (dims,) if isinstance(dims, int) else dims
    return dims is not None and all(d % rank > 1 for d in dims)


def _reshapes_flat(node: fx.Node) -> bool:
    """x.view(b, -1) of a (b, c, ...) tensor; a size written as a number would break once channels are gone."""
    sizes = node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:]
    before, after = shape_of(node.args[0]), shape_of(node)
    return len(sizes) == 2 and after[0] == before[0] and len(before) > 1 and (sizes[1] == -1 or isinstance(sizes[1], fx.Node))
