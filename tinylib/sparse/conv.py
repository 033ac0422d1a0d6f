"""Sparse convolution: y_k = sum over offsets d of x_j W_d for the pairs (j, k) of d. Gather, multiply, scatter-add.

Submanifold (stride 1: the voxels stay), strided (coarser voxels, two rules) and transposed (back to the cached finer voxels).
"""

import numba
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tinylib.core.errors import TinylibError
from tinylib.sparse.coords import Triple, offsets, triple
from tinylib.sparse.fused import convolve_rows, weight_sums
from tinylib.sparse.kernel_map import KernelMap, kernel_map
from tinylib.sparse.tensor import SEMANTICS, SparseTensor, downsample
from tinylib.sparse.tune import Group, Plan, group_offsets


class Convolve(torch.autograd.Function):
    """The fused form and its two gradients, which use the same map: of the input with roles swapped, of the weight pair by pair."""

    @staticmethod
    def forward(ctx, feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
        ctx.save_for_backward(feats, weight)
        ctx.kmap = kmap
        return convolve_rows(feats.detach(), weight.detach().numpy(), kmap)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (feats, weight), kmap = ctx.saved_tensors, ctx.kmap
        to_feats = to_weight = None
        if ctx.needs_input_grad[0]:
            swapped = weight.numpy().transpose(0, 2, 1)
            to_feats = convolve_rows(grad, swapped[::-1], kmap) if kmap.same else convolve_rows(grad, swapped, kmap.reversed)
        if ctx.needs_input_grad[1]:
            to_weight = weight_sums(feats, grad, kmap)
        return to_feats, to_weight, None


def gather_matmul_scatter(feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    """The plain form, one offset after the other, as the sum is written: (n_outputs, c_out). `convolve` gives the same, quicker."""
    out = feats.new_zeros(kmap.n_outputs, weight.shape[2])
    for d in range(len(weight)):
        inputs, outputs = kmap.offset(d)
        if d == kmap.centre:
            out += feats @ weight[d]
        elif len(inputs):
            out.index_add_(0, outputs, feats[inputs] @ weight[d])
    return out


@numba.njit(cache=True, nogil=True)
def add_rows(source, source_rows, target, target_rows):
    """target[target_rows[p]] += source[source_rows[p]], one p after the other."""
    for p in range(len(source_rows)):
        i, o = source_rows[p], target_rows[p]
        for c in range(source.shape[1]):
            target[o, c] += source[i, c]


class AddRows(torch.autograd.Function):
    """Rows of `source` added to the rows of n zeros, pair by pair: gather and scatter are both this, and each is the other's gradient."""

    @staticmethod
    def forward(ctx, source: Tensor, source_rows: Tensor, target_rows: Tensor, n: int) -> Tensor:
        ctx.pairs, ctx.n = (source_rows, target_rows), len(source)
        target = source.new_zeros(n, source.shape[1])
        add_rows(source.detach().contiguous().numpy(), source_rows.numpy(), target.numpy(), target_rows.numpy())
        return target

    @staticmethod
    def backward(ctx, grad: Tensor):
        return AddRows.apply(grad, *ctx.pairs[::-1], ctx.n), None, None, None


def grouped(feats: Tensor, weight: Tensor, kmap: KernelMap, plan: Plan) -> Tensor:
    """The same sums by adaptive groups (n_outputs, c_out): one gather into padded buffers, a matmul for each group, one scatter-add.

    Locality-aware: the gather runs input row by input row, the scatter output row by output row.
    """
    groups = group_offsets(kmap.sizes.tolist(), plan.tolerance, plan.threshold, centre=kmap.centre)
    straight = feats @ weight[kmap.centre] if kmap.centre is not None else feats.new_zeros(kmap.n_outputs, weight.shape[2])
    groups = [g for g in groups if g.offsets != (kmap.centre,)]
    if not groups:
        return straight
    slots = buffer_rows(groups, kmap)
    gather, scatter = (order[slots[order] >= 0] for order in (kmap.by_input, kmap.by_output))
    buffer, products = AddRows.apply(feats, kmap.inputs[gather], slots[gather], sum(g.rows for g in groups)), []
    for group, part in zip(groups, buffer.split([g.rows for g in groups])):
        if group.batched:
            products.append(torch.bmm(part.view(len(group.sizes), -1, part.shape[1]), weight[list(group.offsets)]).flatten(0, 1))
        else:
            products += [rows @ weight[d] for d, rows in zip(group.offsets, part.split(group.sizes))]
    return straight + AddRows.apply(torch.cat(products), slots[scatter], kmap.outputs[scatter], kmap.n_outputs)


def buffer_rows(groups: list[Group], kmap: KernelMap) -> Tensor:
    """The buffer row of each pair, -1 for pairs of no group: a batched group gives every offset as many rows as its largest has."""
    slots, first = torch.full((kmap.pairs,), -1), 0
    for group in groups:
        for d, size in zip(group.offsets, group.sizes):
            slots[kmap.starts[d]:kmap.starts[d] + size] = torch.arange(first, first + size)
            first += max(group.sizes) if group.batched else size
    return slots


def convolve(feats: Tensor, weight: Tensor, kmap: KernelMap, plan: Plan | None = None) -> Tensor:
    """Output features (n_outputs, c_out) of feats (n_inputs, c_in) and weight (offsets, c_in, c_out); differentiable.

    With a `plan` the offsets are multiplied in adaptive groups (see `tinylib.sparse.tune`): gathered, multiplied, scattered.
    Without one, gather, multiplication and scatter are fused (see `tinylib.sparse.fused`).
    16-bit features are multiplied and summed in float32 and rounded once. Raises TinylibError when the shapes or the types do not fit.
    """
    if feats.ndim != 2 or len(feats) != kmap.n_inputs:
        raise TinylibError(f"the map was made for {kmap.n_inputs} input voxels; the features have shape {tuple(feats.shape)}")
    if weight.ndim != 3 or weight.shape[:2] != (len(kmap.sizes), feats.shape[1]):
        raise TinylibError(f"the weight must be ({len(kmap.sizes)} offsets, {feats.shape[1]} channels in, channels out), not {tuple(weight.shape)}")
    if feats.dtype != weight.dtype:
        raise TinylibError(f"features are {feats.dtype} and the weight is {weight.dtype}; convert one of them")
    if feats.dtype in (torch.float16, torch.bfloat16):
        return convolve(feats.float(), weight.float(), kmap, plan).to(feats.dtype)
    if feats.dtype not in (torch.float32, torch.float64):
        raise TinylibError(f"features must be floating-point numbers, not {feats.dtype}")
    if plan is not None:
        return grouped(feats, weight, kmap, plan)
    return Convolve.apply(feats, weight, kmap)


class SparseConv3d(nn.Module):
    """Convolution of a `SparseTensor`: weight (kx ky kz, c_in, c_out), offsets in the order of `kernel_map.offsets`.

    Stride 1 keeps the voxels (submanifold). Stride above 1 goes to coarser voxels by `semantics`: "floor" or "window" (see `downsample`).
    `transposed=True` returns to the finer voxels from which a convolution of the same stride came; they must be in the cache.
    `plan` is None or the layer's `tinylib.sparse.tune.Plan`.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int | Triple = 3, *, stride: int | Triple = 1, dilation: int | Triple = 1,
                 transposed: bool = False, bias: bool = True, semantics: str = "floor", generator: torch.Generator | None = None):
        super().__init__()
        if semantics not in SEMANTICS:
            raise TinylibError(f"semantics must be one of {SEMANTICS}, not {semantics!r}")
        self.c_in, self.c_out, self.semantics, self.transposed, self.plan = c_in, c_out, semantics, transposed, None
        self.kernel, self.stride, self.dilation = triple(kernel, "kernel"), triple(stride, "stride"), triple(dilation, "dilation")
        count = len(offsets(self.kernel))
        bound = (3 / (count * c_in)) ** 0.5
        self.weight = nn.Parameter((torch.rand(count, c_in, c_out, generator=generator) * 2 - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None

    def forward(self, x: SparseTensor) -> SparseTensor:
        coords, stride, maps, kmap = self.raised(x) if self.transposed else self.lowered(x)
        out = convolve(x.feats, self.weight, kmap, self.plan)
        return SparseTensor(coords, out if self.bias is None else out.add_(self.bias), stride, maps)

    def map_of(self, x: SparseTensor) -> KernelMap:
        """The kernel map that this layer uses for `x`, from the cache or built and put there."""
        return (self.raised(x) if self.transposed else self.lowered(x))[3]

    def key(self, stride: Triple) -> tuple:
        """What a map in the cache depends on, `stride` being that of its finer side."""
        return stride, self.kernel, self.stride, self.dilation, self.semantics

    def lowered(self, x: SparseTensor):
        """(coords, stride, cache, map) of the convolution to the same or to coarser voxels."""
        key = self.key(x.stride)
        held = x.maps.maps.get(key)
        if held is None or held[0] is not x.coords:
            target = x.coords
            if self.stride != (1, 1, 1):
                target = downsample(x.coords, self.stride, semantics=self.semantics, kernel=self.kernel, dilation=self.dilation)
            coarse = tuple(a * b for a, b in zip(x.stride, self.stride))
            target, maps = (x.coords, x.maps) if self.stride == (1, 1, 1) else x.maps.settle(coarse, target)
            made = kernel_map(x.coords, target, kernel=self.kernel, stride=self.stride, dilation=self.dilation)
            held = x.maps.maps[key] = maps.maps[key] = (x.coords, target, coarse, maps, made)
        return held[1:]

    def raised(self, x: SparseTensor):
        """(coords, stride, cache, map) of the convolution back to finer voxels."""
        if any(a % b for a, b in zip(x.stride, self.stride)):
            raise TinylibError(f"a transposed convolution of stride {self.stride} cannot go up from voxels of stride {x.stride}")
        fine = tuple(a // b for a, b in zip(x.stride, self.stride))
        target = x.maps.coords.get(fine)
        if target is None:
            raise TinylibError(f"no voxels of stride {fine} in the cache: a transposed convolution goes back where a strided one came from")
        held = x.maps.maps.get(self.key(fine))
        if held is None or held[0] is not target or held[1] is not x.coords:
            made = kernel_map(target, x.coords, kernel=self.kernel, stride=self.stride, dilation=self.dilation)
            held = x.maps.maps[self.key(fine)] = (target, x.coords, x.stride, x.maps, made)
        return target, fine, x.maps, held[4].reversed

    def extra_repr(self) -> str:
        way = ", transposed" if self.transposed else ""
        return f"{self.c_in}, {self.c_out}, kernel={self.kernel}, stride={self.stride}, dilation={self.dilation}, semantics={self.semantics!r}{way}"


class OnFeatures(nn.Module):
    """Any module of (n, c) rows, applied to the features of a `SparseTensor`: batch norm, activation, linear layer."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: SparseTensor) -> SparseTensor:
        return x.replace(self.module(x.feats))


def macs(kmap: KernelMap, c_in: int, c_out: int) -> int:
    """Useful multiply-accumulates: pairs x channels in x channels out."""
    return kmap.pairs * c_in * c_out
