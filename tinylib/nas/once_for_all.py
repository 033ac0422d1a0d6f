"""A network that holds every network of a space: train once, cut out the one that fits the device.

Elastic kernel, width (expansion), depth and resolution over stages of inverted residuals; progressive shrinking with distillation from
the full network. Paper: Once-for-All (Cai et al., ICLR 2020). Lab: once_for_all.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.nas.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticDepthwise, importance, permute_channels, sorted_order
from tinylib.nn.blocks import InvertedResidual
from tinylib.nn.fit import distillation_loss
from tinylib.nn.layers import ConvBNAct
from tinylib.search.space import Candidate, Gene, Space


@dataclass(frozen=True)
class Shape:
    """What the largest network looks like and how far it can shrink. `stages`: (channels, stride of the first block)."""

    c_in: int = 1
    classes: int = 10
    stem: int = 16
    stages: tuple[tuple[int, int], ...] = ((24, 1), (40, 2))
    head: int = 96
    depths: tuple[int, ...] = (1, 2, 3)
    kernels: tuple[int, ...] = (3, 5, 7)
    expands: tuple[int, ...] = (2, 3, 4)
    resolutions: tuple[int, ...] = (20, 24, 28)

    def space(self) -> Space:
        """Genes "resolution", "depth0", "kernel0.0", "expand0.0", ...; block j of a stage exists where its depth is at least j + 1."""
        genes = [Gene("resolution", self.resolutions)]
        for s in range(len(self.stages)):
            genes.append(Gene(f"depth{s}", self.depths))
            for j in range(max(self.depths)):
                need = (f"depth{s}", j + 1) if j >= min(self.depths) else None
                genes += [Gene(f"kernel{s}.{j}", self.kernels, need), Gene(f"expand{s}.{j}", self.expands, need)]
        return Space(tuple(genes))

    def largest(self) -> Candidate:
        """The full network."""
        return {g.name: max(g.values) for g in self.space().genes}

    def blocks(self, candidate: Candidate) -> list[tuple[int, int, int, int]]:
        """(stage, block, kernel, expand) of every block that the candidate keeps, in order."""
        return [(s, j, candidate[f"kernel{s}.{j}"], candidate[f"expand{s}.{j}"])
                for s in range(len(self.stages)) for j in range(candidate[f"depth{s}"])]


class ElasticBlock(nn.Module):
    """Inverted residual with elastic expansion and kernel: (b, c_in, h, w) -> (b, c_out, ceil(h / stride), ceil(w / stride))."""

    def __init__(self, c_in: int, c_out: int, *, stride: int, expand: int, kernels: Sequence[int]):
        super().__init__()
        hidden = c_in * expand
        self.c_in, self.c_out, self.stride, self.residual = c_in, c_out, stride, stride == 1 and c_in == c_out
        self.expand, self.bn1 = ElasticConv2d(c_in, hidden, 1, bias=False), ElasticBatchNorm2d(hidden)
        self.depthwise, self.bn2 = ElasticDepthwise(hidden, kernels, stride=stride), ElasticBatchNorm2d(hidden)
        self.project, self.bn3 = ElasticConv2d(hidden, c_out, 1, bias=False), ElasticBatchNorm2d(c_out)

    def forward(self, x: Tensor, kernel: int, expand: int) -> Tensor:
        y = F.relu6(self.bn1(self.expand(x, self.c_in * expand)))
        y = F.relu6(self.bn2(self.depthwise(y, kernel)))
        y = self.bn3(self.project(y))
        return x + y if self.residual else y

    def extract(self, kernel: int, expand: int) -> InvertedResidual:
        """Stand-alone block equal to the slice."""
        hidden = self.c_in * expand
        plain = InvertedResidual(self.c_in, self.c_out, stride=self.stride, expand=expand, kernel=kernel)
        plain.expand.conv, plain.expand.bn = self.expand.extract(self.c_in, hidden), self.bn1.extract(hidden)
        plain.depthwise.conv, plain.depthwise.bn = self.depthwise.extract(hidden, kernel), self.bn2.extract(hidden)
        plain.project.conv, plain.project.bn = self.project.extract(hidden), self.bn3.extract(self.c_out)
        return plain

    def sort(self, kept: Sequence[int] = ()) -> Tensor:
        """Put the hidden channels in order of importance (what `project` reads most comes first); the full block's function stays.

        `kept`: hidden sizes that are already trained and keep their set of channels. Returns the order.
        """
        order = sorted_order(importance(self.project.weight), kept=kept)
        permute_channels(order, makers=(self.expand, self.bn1, self.depthwise, self.bn2), readers=(self.project,))
        return order


class SuperNet(nn.Module):
    """All networks of `shape.space()` in one set of weights: call with images and a candidate, or `extract` the candidate.

    (b, c_in, h, w) -> logits (b, classes). Images come at the candidate's resolution: see `resized`.
    """

    def __init__(self, shape: Shape):
        super().__init__()
        if min(shape.expands) < 2:
            raise TinylibError("an expansion below 2 has no widening convolution; use 2 or more")
        self.shape, self.space = shape, shape.space()
        self.stem = ConvBNAct(shape.c_in, shape.stem, 3, stride=2)
        self.blocks, before = nn.ModuleDict(), shape.stem
        for s, (channels, stride) in enumerate(shape.stages):
            for j in range(max(shape.depths)):
                self.blocks[f"{s}_{j}"] = ElasticBlock(before, channels, stride=stride if j == 0 else 1, expand=max(shape.expands), kernels=shape.kernels)
                before = channels
        self.head = ConvBNAct(before, shape.head, 1)
        self.classifier = nn.Linear(shape.head, shape.classes)

    def forward(self, x: Tensor, candidate: Candidate) -> Tensor:
        x = self.stem(x)
        for s, j, kernel, expand in self.shape.blocks(candidate):
            x = self.blocks[f"{s}_{j}"](x, kernel, expand)
        return self.classifier(self.head(x).mean((2, 3)))

    def extract(self, candidate: Candidate) -> nn.Sequential:
        """Stand-alone network of plain layers equal to the slice, with copies of weights and statistics."""
        candidate = self.space.canonical(candidate)
        plain = nn.Sequential()
        plain.add_module("stem", deepcopy(self.stem))
        for s, j, kernel, expand in self.shape.blocks(candidate):
            plain.add_module(f"block{s}_{j}", self.blocks[f"{s}_{j}"].extract(kernel, expand))
        plain.add_module("head", deepcopy(self.head))
        plain.add_module("pool", Mean())
        plain.add_module("classifier", deepcopy(self.classifier))
        return plain.train(self.training)

    def sort(self, kept: Sequence[int] = ()) -> None:
        """Sort the hidden channels of every block; `kept` lists expansions that are already trained."""
        for block in self.blocks.values():
            block.sort([block.c_in * e for e in kept])


class Mean(nn.Module):
    """Mean over height and width: (b, c, h, w) -> (b, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def resized(images: Tensor, resolution: int) -> Tensor:
    """Images (b, c, h, w) at resolution x resolution, bilinear with anti-aliasing; as they are when they have it already."""
    if images.shape[-1] == resolution == images.shape[-2]:
        return images
    return F.interpolate(images, (resolution, resolution), mode="bilinear", antialias=True, align_corners=False)


def narrowed(space: Space, allowed: dict[str, tuple]) -> Space:
    """The space with fewer values for the genes whose name starts with a key of `allowed` ("kernel", "depth", "expand", "resolution")."""
    def values(gene: Gene) -> tuple:
        return next((tuple(v for v in gene.values if v in some) for kind, some in allowed.items() if gene.name.startswith(kind)), gene.values)

    return Space(tuple(Gene(g.name, values(g), g.needs) for g in space.genes))


def phases(shape: Shape) -> list[tuple[str, dict[str, tuple], int]]:
    """Progressive shrinking in order: (name, values allowed so far, networks per step). Kernel first, then depth, then width."""
    k, d, e = (sorted(v, reverse=True) for v in (shape.kernels, shape.depths, shape.expands))
    steps = [("kernel", {"kernel": tuple(k), "depth": (d[0],), "expand": (e[0],)}, 1)]
    steps += [(f"depth {i}", {"kernel": tuple(k), "depth": tuple(d[:i + 1]), "expand": (e[0],)}, 2) for i in range(1, len(d))]
    steps += [(f"width {i}", {"kernel": tuple(k), "depth": tuple(d), "expand": tuple(e[:i + 1])}, 3) for i in range(1, len(e))]
    return steps


def shrinking_loss(net: SuperNet, space: Space, rng: np.random.Generator, *, count: int = 1, teacher: nn.Module | None = None,
                   weight: float = 0.5) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """A loss for `nn.fit`: mean over `count` networks drawn from `space`, each at its resolution, against labels and the frozen teacher."""
    full = net.shape.largest()

    def loss(model: SuperNet, x: Tensor, y: Tensor) -> Tensor:
        total = 0.0
        resolution = space.sample(rng)["resolution"]
        small = resized(x, resolution)
        if teacher is not None:
            with torch.no_grad():
                target = teacher(small, full)
        for _ in range(count):
            logits = model(small, {**space.sample(rng), "resolution": resolution})
            own = F.cross_entropy(logits, y)
            total = total + (own if teacher is None else (1 - weight) * own + weight * distillation_loss(logits, target, 2.0))
        return total / count

    return loss


def table_keys(shape: Shape, candidate: Candidate) -> list[str]:
    """Names of the candidate's entries in a latency table: stem, every block with its kernel, width and resolution, head."""
    r = candidate["resolution"]
    return [f"stem@{r}", *(f"{s}.{j} k{k} e{e}@{r}" for s, j, k, e in shape.blocks(candidate)), f"head@{r}"]


def table_blocks(net: SuperNet, images: Tensor | None = None) -> dict[str, tuple[nn.Module, Tensor]]:
    """Every block that any candidate can have, stand-alone in eval mode, with an example of its input, by its key.

    The examples (b, c, h, w) are what the full network makes of `images` at every resolution; without images, of one that is all zeros.
    """
    blocks, shape = {}, net.shape
    images = torch.zeros(1, shape.c_in, max(shape.resolutions), max(shape.resolutions)) if images is None else images
    for r in shape.resolutions:
        x = resized(images, r)
        blocks[f"stem@{r}"] = deepcopy(net.stem).eval(), x
        x = _through(blocks[f"stem@{r}"])
        for name, block in net.blocks.items():
            sizes = {(k, e): f"{name.replace('_', '.')} k{k} e{e}@{r}" for k in shape.kernels for e in shape.expands}
            blocks |= {key: (block.extract(k, e).eval(), x) for (k, e), key in sizes.items()}
            x = _through(blocks[sizes[max(shape.kernels), max(shape.expands)]])
        blocks[f"head@{r}"] = nn.Sequential(deepcopy(net.head), Mean(), deepcopy(net.classifier)).eval(), x
    return blocks


def _through(pair: tuple[nn.Module, Tensor]) -> Tensor:
    with torch.no_grad():
        return pair[0](pair[1])


def garments_supernet() -> SuperNet:
    """The super-network of the lab, with torch's own initial weights; the factory of its checkpoints."""
    return SuperNet(Shape())
