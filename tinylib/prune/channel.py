"""Cut channels out of a network for good, or mask them to see what the cut will do."""

import copy
import importlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.prune.groups import ChannelGraph, Group, channel_graph
from tinylib.prune.magnitude import kept_count
from tinylib.prune.operators import CONVOLUTIONS

Kept = dict[str, list[int]]     # group name -> channels that stay, ascending; a group that is not named stays whole


def importance(model: nn.Module, group: Group) -> Tensor:
    """Weight of each channel in the layers that read it, shape (size,): the root of the sum of squares of its input columns.

    The layer behind decides what a channel is worth: large filters whose output nobody reads are worth nothing.
    """
    squares = torch.zeros(group.size, dtype=torch.float64)
    for layer, places in group.columns.items():
        per_column = model.get_submodule(layer).weight.detach().double().square().movedim(1, 0).flatten(1).sum(1)
        owner = torch.tensor([i for i, place in enumerate(places) for _ in dict.fromkeys(place)])
        squares.index_add_(0, owner, per_column[[c for place in places for c in dict.fromkeys(place)]])
    return squares.sqrt()


def keep_strongest(model: nn.Module, graph: ChannelGraph, share: float | dict[str, float], *, multiple: int = 1) -> Kept:
    """For every group the `share` of its channels with the largest importance, at least one; ties keep the first.

    `multiple` rounds the count up to a multiple (8 suits many kernels), never above the group's size.
    """
    shares = share if isinstance(share, dict) else {g.name: share for g in graph.groups}
    kept = {}
    for name, part in shares.items():
        group = graph.group(name)
        count = -(-max(1, kept_count(group.size, 1.0 - part)) // multiple) * multiple
        order = torch.sort(importance(model, group), descending=True, stable=True).indices
        kept[name] = sorted(order[: min(count, group.size)].tolist())
    return kept


def shrink_to(model: nn.Module, example: Tensor, cost: Callable[[nn.Module], float], budget: float, *, multiple: int = 1, steps: int = 256) -> Kept:
    """The largest common share, in `steps` steps, whose cut network costs at most `budget`; returns what is kept.

    `cost(network)` is for instance its MACs; `multiple` as in `keep_strongest`. Raises TinylibError when the smallest cut is still too dear.
    """
    graph = channel_graph(model, example)
    low, high = 0, steps + 1                                     # low fits (or is one channel a group), high does not
    while high - low > 1:
        middle = (low + high) // 2
        fits = cost(_cut(model, graph, keep_strongest(model, graph, middle / steps, multiple=multiple))) <= budget
        low, high = (middle, high) if fits else (low, middle)
    kept = keep_strongest(model, graph, low / steps, multiple=multiple)
    if cost(_cut(model, graph, kept)) > budget:
        raise TinylibError(f"The smallest cut still costs more than {budget}. Raise the budget.")
    return kept


def cut_channels(model: nn.Module, example: Tensor | ChannelGraph, kept: Kept) -> nn.Module:
    """A smaller copy of the model without the other channels: an ordinary module, same class, same names, fewer weights.

    `example`: an input to trace the model with, or the model's channel graph where it is known already.
    Its output equals that of `mask_channels` up to the order of additions (1e-12 of the scale in float64, exact for integers).
    Paper: Channel Pruning for Accelerating Very Deep Networks (ICCV 2017). Lab: pruning.
    """
    return _cut(model, example if isinstance(example, ChannelGraph) else channel_graph(model, example), kept)


def mask_channels(model: nn.Module, example: Tensor, kept: Kept) -> nn.Module:
    """A copy of full size in which nobody reads the removed channels: their input columns are zero in every layer behind."""
    graph, masked = channel_graph(model, example), copy.deepcopy(model)
    for name, channels in _verified(graph, kept).items():
        gone = sorted(set(range(graph.group(name).size)) - set(channels))
        for layer, places in graph.group(name).columns.items():
            with torch.no_grad():
                masked.get_submodule(layer).weight[:, [c for i in gone for c in places[i]]] = 0.0
    return masked


def _verified(graph: ChannelGraph, kept: Kept) -> Kept:
    for name, channels in kept.items():
        size = graph.group(name).size
        if list(channels) != sorted(set(channels)) or not channels or channels[0] < 0 or channels[-1] >= size:
            raise TinylibError(f"Group {name!r}: give the channels to keep ascending, at least one, all in 0..{size - 1}.")
    return kept


def _cut(model: nn.Module, graph: ChannelGraph, kept: Kept) -> nn.Module:
    """Gather over all groups which rows and columns of each layer go, then slice each layer once."""
    gone: dict[str, tuple[set, set]] = {}
    for name, channels in _verified(graph, kept).items():
        group = graph.group(name)
        removed = sorted(set(range(group.size)) - set(channels))
        for axis, table in enumerate((group.rows, group.columns)):
            for layer, places in table.items():
                gone.setdefault(layer, (set(), set()))[axis].update(p for i in removed for p in places[i])
    small = copy.deepcopy(model)
    for layer, (rows, columns) in gone.items():
        _slice_layer_(small.get_submodule(layer), rows, columns)
    return small


def _slice_layer_(layer: nn.Module, rows: set[int], columns: set[int]) -> None:
    """Remove rows (outputs) and columns (inputs) from a layer's tensors and set its counts right, in place."""
    if isinstance(layer, CONVOLUTIONS) and 1 < layer.groups == layer.in_channels:
        per_filter = layer.out_channels // layer.groups
        layer.groups = layer.in_channels = layer.groups - len(rows) // per_filter
    elif isinstance(layer, CONVOLUTIONS):
        layer.in_channels -= len(columns) * layer.groups
    for name, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
        if tensor.dim():
            _slice_tensor_(layer, name, rows, columns)
    if isinstance(layer, CONVOLUTIONS):
        layer.out_channels -= len(rows)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = layer.weight.numel()
    else:
        layer.num_features -= len(rows)


def _slice_tensor_(layer: nn.Module, name: str, rows: set[int], columns: set[int]) -> None:
    tensor = getattr(layer, name)
    small = tensor.detach()[[i for i in range(tensor.shape[0]) if i not in rows]]
    if tensor.dim() > 1:
        small = small[:, [i for i in range(tensor.shape[1]) if i not in columns]]
    small = small.clone(memory_format=torch.contiguous_format)
    setattr(layer, name, nn.Parameter(small, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else small)


def rebuilt(factory: str, arguments: dict, shape: list[int], kept: Kept) -> nn.Module:
    """A cut network from plain data, as the factory of a checkpoint: `factory(**arguments)`, traced at `shape`, cut to `kept`."""
    module, _, function = factory.partition(":")
    return cut_channels(getattr(importlib.import_module(module), function)(**arguments), torch.zeros(shape), kept)
