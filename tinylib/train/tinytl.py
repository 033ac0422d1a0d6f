"""TinyTL: adapt a network while keeping few activations: train biases and lite residual branches, freeze the weights.

Cai, Gan, Zhu, Han 2020, TinyTL: Reduce Memory, Not Parameters for Efficient On-Device Learning (NeurIPS).
`set_method` says what trains; `lean` swaps the frozen parts for layers that keep less (see `train.frozen`).
"""

import copy
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.nn.blocks import InvertedResidual
from tinylib.nn.layers import initialise
from tinylib.nn.models import garment_net
from tinylib.train.frozen import FrozenConv2d, FrozenNorm2d, MeanPool2d, PackedReLU, PackedReLU6
from tinylib.train.group_norm import FrozenStandardConv2d, StandardConv2d, group_norm

METHODS = ("full", "bn+last", "last", "bias", "lite", "lite+bias")
NORMS = (nn.BatchNorm2d, nn.GroupNorm)


class HeldNorm2d(nn.BatchNorm2d):
    """Batch norm that always uses its stored statistics, so that a batch of one can train; scale and bias may still train."""

    def train(self, mode: bool = True) -> "HeldNorm2d":
        return super().train(False)


class LiteResidual(nn.Module):
    """The small trained branch beside a frozen block: pool by 2, grouped convolution, norm, ReLU, 1x1 convolution, norm with zero scale.

    `forward(x, size)`: (n, c_in, h, w) -> (n, c_out, *size), bilinearly enlarged. The zero scale makes it 0 at first, so that adding it
    changes nothing. `size_in` (h, w) sets the kernel: the largest odd number up to `kernel` that fits the pooled map; a 1x1 map is not pooled.
    Group norm with `per_group` channels a group, so that a batch of one works.
    """

    def __init__(self, c_in: int, c_out: int, size_in: tuple[int, int], *, stride: int = 1, groups: int = 2, kernel: int = 5, per_group: int = 8):
        super().__init__()
        pooled = min(-(-side // 2) for side in size_in)
        kernel = min(kernel, pooled - 1 + pooled % 2)
        groups = groups if c_in % groups == 0 else 1
        self.pool = MeanPool2d(2) if max(size_in) > 1 else nn.Identity()
        self.conv = nn.Conv2d(c_in, c_in, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
        self.norm = group_norm(c_in, per_group)
        self.act = nn.ReLU()
        self.project = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.scale = group_norm(c_out, per_group)
        nn.init.zeros_(self.scale.weight)

    def forward(self, x: Tensor, size: Iterable[int]) -> Tensor:
        y = self.scale(self.project(self.act(self.norm(self.conv(self.pool(x))))))
        size = tuple(size)
        return y if y.shape[2:] == size else F.interpolate(y, size, mode="bilinear", align_corners=False)


class LiteBlock(nn.Module):
    """A block and its lite residual: main(x) + lite(x)."""

    def __init__(self, main: nn.Module, lite: LiteResidual):
        super().__init__()
        self.main, self.lite = main, lite

    def forward(self, x: Tensor) -> Tensor:
        y = self.main(x)
        return y + self.lite(x, y.shape[2:])


def add_lite(model: nn.Module, example: Tensor, generator: torch.Generator, *, names: Iterable[str] | None = None, kernel: int = 5,
             groups: int = 2) -> nn.Module:
    """A copy of the model with a lite residual beside each named block (default: every inverted residual); its output is unchanged.

    `example` (n, c, h, w) is run once to learn the blocks' shapes. Weights of the branches come from `generator`.
    """
    model = copy.deepcopy(model)
    names = [n for n, m in model.named_modules() if isinstance(m, InvertedResidual)] if names is None else list(names)
    if not names:
        raise TinylibError("no block to put a lite residual beside: pass names=[...]")
    for name, (before, after) in _shapes(model, names, example).items():
        stride = max(1, round(before[2] / after[2]))
        with torch.random.fork_rng(devices=[]):
            lite = LiteResidual(before[1], after[1], tuple(before[2:]), stride=stride, kernel=kernel, groups=groups)
        initialise(lite, generator)
        nn.init.zeros_(lite.scale.weight)
        model.set_submodule(name, LiteBlock(model.get_submodule(name), lite))
    return model


def lite_garment_net(*, side: int = 32, **arguments) -> nn.Module:
    """`garment_net(**arguments)` with lite residuals for pictures of side x side; a factory for checkpoints."""
    model = garment_net(**arguments)
    return add_lite(model, torch.zeros(1, arguments.get("c_in", 1), side, side), torch.Generator().manual_seed(0))


def drop_lite(model: nn.Module) -> nn.Module:
    """A copy without the lite residuals."""
    model = copy.deepcopy(model)
    for name, block in [(n, m) for n, m in model.named_modules() if isinstance(m, LiteBlock)]:
        model.set_submodule(name, block.main)
    return model


def set_method(model: nn.Module, method: str, *, only: Callable[[str], bool] | None = None) -> nn.Module:
    """Let the parameters of a method train and freeze all others, in place; batch norms keep their stored statistics. Returns the model.

    full: all. last: the last linear layer (which trains in every method). bn+last: scale and bias of the norms. bias: biases of norms
    and convolutions of the backbone. lite: the lite residuals. lite+bias: both. `only(name)` may narrow the parameters by name; the
    last layer always trains.
    """
    if method not in METHODS:
        raise TinylibError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if "lite" in method and not any(isinstance(m, LiteResidual) for m in model.modules()):
        raise TinylibError(f"method {method!r} needs lite residuals: call add_lite first")
    hold_statistics(model)
    last = last_linear(model)
    wanted = expected_names(model, method)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in wanted and (only is None or only(name) or name.startswith(last + ".")))
    return model


def expected_names(model: nn.Module, method: str) -> set[str]:
    """Names of the parameters that a method trains."""
    lite = tuple(f"{n}." for n, m in model.named_modules() if isinstance(m, LiteResidual))
    last = last_linear(model)
    chosen = set()
    for module_name, module in model.named_modules():
        for own, _ in module.named_parameters(recurse=False):
            name = f"{module_name}.{own}" if module_name else own
            if module_name == last or method == "full":
                chosen.add(name)
            elif lite and name.startswith(lite):
                chosen |= {name} if "lite" in method else set()
            elif isinstance(module, NORMS) and method == "bn+last" or own == "bias" and method in ("bias", "lite+bias"):
                chosen.add(name)
    return chosen


def trainable_names(model: nn.Module) -> set[str]:
    """Names of the parameters that require a gradient now."""
    return {name for name, p in model.named_parameters() if p.requires_grad}


def last_linear(model: nn.Module) -> str:
    """Name of the last linear layer in the order of definition."""
    names = [name for name, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not names:
        raise TinylibError("the model has no linear layer to call the last one")
    return names[-1]


def hold_statistics(model: nn.Module) -> None:
    """Turn every batch norm into one that keeps its stored statistics in train mode too; in place, parameters stay the same objects."""
    for name, norm in [(n, m) for n, m in model.named_modules() if type(m) is nn.BatchNorm2d]:
        held = HeldNorm2d(norm.num_features, norm.eps, affine=norm.affine)
        held.weight, held.bias = norm.weight, norm.bias
        held.running_mean, held.running_var, held.num_batches_tracked = norm.running_mean, norm.running_var, norm.num_batches_tracked
        model.set_submodule(name, held.eval())


def lean(model: nn.Module) -> nn.Module:
    """A copy whose frozen layers keep less for backward; same outputs, same gradients, same names in the state dict.

    A ReLU stays stock where the next layer trains its weight and so keeps the ReLU's output anyway (counted once). "Next" is by the order
    of definition; where that is not the order of execution, the result is still right, but may keep more.
    """
    model = copy.deepcopy(model)
    leaves = [(n, m) for n, m in model.named_modules() if not list(m.children())]
    keeps_input = [bool(getattr(m, "weight", None) is not None and m.weight.requires_grad) for _, m in leaves]
    for index, (name, module) in enumerate(leaves):
        follower = next((keeps_input[i] for i in range(index + 1, len(leaves)) if hasattr(leaves[i][1], "weight")), False)
        new = _lean_layer(module, follower)
        if new is not None:
            new.train(module.training)
            model.set_submodule(name, new)
    return model


def _lean_layer(module: nn.Module, follower_keeps_input: bool) -> nn.Module | None:
    frozen = getattr(module, "weight", None) is not None and not module.weight.requires_grad
    if type(module) is nn.Conv2d and frozen:
        return FrozenConv2d(module)
    if type(module) is StandardConv2d and frozen:
        return FrozenStandardConv2d(module)
    if type(module) is HeldNorm2d and frozen:
        return FrozenNorm2d(module)
    if type(module) is nn.ReLU and not follower_keeps_input:
        return PackedReLU()
    return PackedReLU6() if type(module) is nn.ReLU6 else None


@torch.no_grad()
def _shapes(model: nn.Module, names: list[str], example: Tensor) -> dict[str, tuple[torch.Size, torch.Size]]:
    found: dict[str, tuple[torch.Size, torch.Size]] = {}
    handles = [model.get_submodule(n).register_forward_hook(lambda m, x, y, n=n: found.__setitem__(n, (x[0].shape, y.shape))) for n in names]
    modes = [(m, m.training) for m in model.modules()]
    model.eval()(example)
    for handle in handles:
        handle.remove()
    for module, mode in modes:
        module.training = mode
    return found
