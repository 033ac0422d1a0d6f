"""Which channels of a network must be removed together.

Every channel that a layer makes gets a label. Labels travel through the traced network: an addition ties the labels of its two
sides, a norm or a depth-wise filter adds its own row to the label that passes, a concatenation lines labels up, a flatten repeats
each label once a position, and a convolution or linear layer that reads a label notes which of its input columns that was.
Channels with one label stand or fall together. What the tracer does not understand pins the labels it touches and says so.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from tinylib.core.errors import TinylibError
from tinylib.prune import operators as ops

Index = tuple[tuple[int, ...], ...]     # for every channel of a group: the rows or columns of one layer that go with it


@dataclass(frozen=True)
class Group:
    """Channels held by the same layers; each one can be removed without the others, but only from all these layers at once.

    `rows[layer][i]`: output rows (of a convolution, linear layer, norm or depth-wise filter) that go with channel i.
    `columns[layer][i]`: input columns of the layers that read channel i (one a position behind a flatten).
    """

    name: str               # the first layer that makes these channels
    size: int
    rows: dict[str, Index]
    columns: dict[str, Index]


@dataclass(frozen=True)
class ChannelGraph:
    """All groups that may be cut, and the layers whose channels must stay, each with the reason."""

    groups: tuple[Group, ...]
    fixed: dict[str, str]

    def group(self, name: str) -> Group:
        """The group of this name; TinylibError lists the names when there is none."""
        for found in self.groups:
            if found.name == name:
                return found
        raise TinylibError(f"No channel group is called {name!r}. Known: {', '.join(g.name for g in self.groups)}.")


def channel_graph(model: nn.Module, example: Tensor) -> ChannelGraph:
    """The channel groups of any model that torch.fx can trace, found with one forward pass of `example`; the model is left alone.

    Paper: DepGraph (CVPR 2023) for the problem; the labels are our own way. Lab: pruning.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        traced = fx.GraphModule(model, ops.LayerTracer().trace(model))
        with torch.no_grad():
            ShapeProp(traced).propagate(example)
    except Exception as error:
        raise TinylibError(f"The forward pass cannot be traced ({error}). Remove branches that depend on values, or cut a part of it.") from error
    finally:
        for module, training in modes:
            module.training = training
    labels = Labels(dict(traced.named_modules()))
    for node in traced.graph.nodes:
        labels.visit(node)
    return labels.collect()


class Labels:
    """Labels of all channels seen so far, as a union-find over integers."""

    def __init__(self, modules: dict[str, nn.Module]):
        self.modules = modules
        self.parent: list[int] = []
        self.pinned: dict[int, str] = {}
        self.of: dict[fx.Node, np.ndarray | None] = {}
        self.rows: dict[str, np.ndarray] = {}
        self.columns: dict[str, np.ndarray] = {}

    def fresh(self, count: int) -> np.ndarray:
        first = len(self.parent)
        self.parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, label: int) -> int:
        while self.parent[label] != label:
            self.parent[label] = label = self.parent[self.parent[label]]
        return label

    def tie(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        for a, b in zip(one.tolist(), other.tolist()):
            a, b = sorted((self.root(a), self.root(b)))
            self.parent[b] = a
        return one

    def pin(self, labels: np.ndarray | None, reason: str) -> None:
        for label in [] if labels is None else labels.tolist():
            self.pinned.setdefault(label, reason)

    def visit(self, node: fx.Node) -> None:
        """Give the node's output its labels."""
        if node.op == "output":
            for source in node.all_input_nodes:
                self.pin(self.of[source], "the network's output")
            return
        shape = ops.shape_of(node)
        if shape is None:                                   # a size, a number, a tuple: unpacked later or no tensor at all
            self.of[node] = None
            if not ops.reads_only_the_size(node):
                self._pin_inputs(node, f"{ops.spell(node)} is not known to the tracer")
            return
        known = self._known(node, shape)
        if known is None:
            reason = "the network's input" if node.op == "placeholder" else f"{ops.spell(node)} is not known to the tracer"
            self._pin_inputs(node, reason)
            known = self.fresh(shape[1]) if len(shape) > 1 else None
            self.pin(known, reason)
        self.of[node] = known

    def _pin_inputs(self, node: fx.Node, reason: str) -> None:
        for source in node.all_input_nodes:
            self.pin(self.of[source], reason)

    def _known(self, node: fx.Node, shape: tuple[int, ...]) -> np.ndarray | None:
        """Labels of an operation that is understood, else None."""
        if node.op in ("placeholder", "get_attr"):
            return None
        inputs = [self.of[n] for n in node.all_input_nodes if ops.shape_of(n) is not None]
        if any(i is None for i in inputs) or not inputs:
            return None
        if node.op == "call_module" and isinstance(self.modules[node.target], ops.LAYERS):
            return self._layer(node.target, self.modules[node.target], inputs[0], len(ops.shape_of(node.args[0])))
        kind = ops.kind_of(node, self.modules)
        if kind == "pass":
            return inputs[0]
        if kind == "elementwise":
            return self._elementwise(node.all_input_nodes)
        if kind == "concat":
            return np.concatenate([self.of[n] for n in node.args[0]])
        if kind == "flatten":
            return np.repeat(inputs[0], shape[1] // len(inputs[0]))
        return None

    def _elementwise(self, sources: list[fx.Node]) -> np.ndarray | None:
        if len({len(ops.shape_of(s) or ()) for s in sources}) != 1:
            return None                                     # a size as operand, or ranks that line up from the right, not on channels
        widest = max((self.of[s] for s in sources), key=len)
        for source in sources:
            if len(self.of[source]) == len(widest):
                self.tie(widest, self.of[source])
            else:
                self.pin(self.of[source], "one channel spread over many")
        return widest

    def _layer(self, name: str, layer: nn.Module, labels: np.ndarray, rank: int) -> np.ndarray | None:
        if isinstance(layer, nn.Linear):
            return None if rank != 2 else self._reads(name, labels, layer.out_features)
        if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
            return labels
        if not isinstance(layer, ops.CONVOLUTIONS):
            return self._note(self.rows, name, labels)       # a norm, or an activation with one weight a channel
        k, c, groups = layer.out_channels, layer.in_channels, layer.groups
        if groups == 1:
            return self._reads(name, labels, k)
        if groups == c:                                      # depth-wise: its filters go with the channels they read
            return self._note(self.rows, name, np.repeat(labels, k // c))
        out = self._reads(name, self._tie_parts(labels, groups), k)
        self._tie_parts(out, groups)
        return out

    def _tie_parts(self, labels: np.ndarray, groups: int) -> np.ndarray:
        """A grouped convolution loses the same places of every part, so that its parts stay equally large."""
        first, *others = labels.reshape(groups, -1)
        for part in others:
            self.tie(first, part)
        return first

    def _reads(self, name: str, labels: np.ndarray, made: int) -> np.ndarray:
        self._note(self.columns, name, labels)
        return self.rows[name] if name in self.rows else self._note(self.rows, name, self.fresh(made))

    def _note(self, table: dict[str, np.ndarray], name: str, labels: np.ndarray) -> np.ndarray:
        """Remember a layer's labels; a layer that is called twice ties those of both calls."""
        if name in table:
            return self.tie(table[name], labels)
        table[name] = labels
        return labels

    def collect(self) -> ChannelGraph:
        """Sort labels into groups: labels that touch the same layers form one group."""
        pinned = {}
        for label, reason in self.pinned.items():
            pinned.setdefault(self.root(label), reason)
        touched: dict[int, dict] = defaultdict(lambda: defaultdict(list))
        for role, table in (("rows", self.rows), ("columns", self.columns)):
            for layer, labels in table.items():
                for place, label in enumerate(labels.tolist()):
                    touched[self.root(label)][role, layer].append(place)
        fixed = {layer: pinned[root] for root in touched if root in pinned for role, layer in touched[root] if role == "rows"}
        families: dict[tuple, list[int]] = defaultdict(list)
        for root in sorted(touched):
            if root not in pinned:
                families[tuple(touched[root])].append(root)
        groups, names = [], set()
        for family, roots in families.items():
            parts = {key: tuple(tuple(touched[r][key]) for r in roots) for key in family}
            first = next(layer for role, layer in family if role == "rows")
            name = next(n for n in [first, *(f"{first}#{i}" for i in range(2, 10_000))] if n not in names)
            names.add(name)
            rows = {layer: places for (role, layer), places in parts.items() if role == "rows"}
            columns = {layer: places for (role, layer), places in parts.items() if role == "columns"}
            groups.append(Group(name, len(roots), rows, columns))
        return ChannelGraph(tuple(groups), fixed)
