"""Sparse convolution without gather and scatter buffers: rows are read where they lie, sums stay in vector registers.

The work is cut into tiles: a few pairs of one offset times 64 bytes of output channels. A tile keeps its sums in registers while it runs over
the input channels and adds them to the output rows once; that is gather, multiplication and scatter-add in one ("fetch on demand" in
TorchSparse++). Numba cannot say "these twelve values are registers", so the tile is written in LLVM's own vector instructions, which every
processor gets translated to what it has. Output rows are taken in blocks that fit the L2 cache: within an offset the outputs ascend, so a
block is a range of each offset's pairs, and threads never share an output row.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from tinylib.sparse.kernel_map import KernelMap

PANEL_BYTES, LANE_BYTES, BLOCK_BYTES, CHUNK = 64, 32, 2**17, 64
ROWS, CHANNELS = 6, 4
LEAST_MACS = 16_000_000
I64 = ir.IntType(64)


def register_tile(rows: int, *, along_pairs: bool):
    """Intrinsic tile(like, x, x_row, i, w, w_row, y, y_row, o, depth): adds `rows` x 64 bytes of sums to memory at y.

    `like` is an array that gives the type of the numbers; all others are whole numbers: addresses and distances between rows in bytes, i and o
    the addresses of the pairs' int64 row numbers.
    along_pairs=False, for `rows` pairs r: y[o_r] += sum over channels k < depth of x[i_r, k] w[k].
    along_pairs=True, for `rows` channels r: y[r] += sum over pairs k < depth of x[i_k, r] w[o_k].
    """

    @intrinsic
    def tile(typing, like, x, x_row, i, w, w_row, y, y_row, o, depth):
        def emit(context, builder, signature, args):
            emit_tile(builder, args[1:], context.get_data_type(like.dtype), like.dtype.bitwidth // 8, rows, along_pairs)
            return context.get_dummy_value()
        return types.void(like, *[types.intp] * 9), emit

    return tile


def emit_tile(b: ir.IRBuilder, args, real, width: int, rows: int, along_pairs: bool) -> None:
    """The instructions of `register_tile` for numbers of type `real`, `width` bytes each."""
    x, x_row, i, w, w_row, y, y_row, o, depth = args
    vector = ir.VectorType(real, LANE_BYTES // width)
    zero, undefined = ir.Constant(vector, None), ir.Constant(vector, ir.Undefined)
    same_lane = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)

    def load(address, kind, align=width):
        return b.load(b.inttoptr(address, kind.as_pointer()), align=align)

    def row(base, distance, n):
        return b.add(base, b.mul(distance, n))

    def listed_row(base, distance, table, n):
        return row(base, distance, load(row(table, I64(8), n), I64, 8))

    def panel(base):
        return [b.add(base, I64(part)) for part in range(0, PANEL_BYTES, LANE_BYTES)]

    gathered = [listed_row(x, x_row, i, I64(r)) for r in range(0 if along_pairs else rows)]
    before, loop, done = b.block, b.append_basic_block("along_depth"), b.append_basic_block("add_to_memory")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(I64)
    sums = [[b.phi(vector) for _ in range(PANEL_BYTES // LANE_BYTES)] for _ in range(rows)]
    if along_pairs:
        left, right = listed_row(x, x_row, i, k), listed_row(w, w_row, o, k)
        factors = [b.add(left, I64(r * width)) for r in range(rows)]
    else:
        factors, right = [row(base, I64(width), k) for base in gathered], row(w, w_row, k)
    values, totals = [load(part, vector) for part in panel(right)], []
    for factor, line in zip(factors, sums):
        spread = b.shuffle_vector(b.insert_element(undefined, load(factor, real), ir.IntType(32)(0)), undefined, same_lane)
        totals.append([b.fadd(s, b.fmul(spread, v, flags=("contract",)), flags=("contract",)) for s, v in zip(line, values)])
    following = b.add(k, I64(1))
    for phi, start, value in [(k, I64(0), following)] + [(s, zero, t) for line in zip(sums, totals) for s, t in zip(*line)]:
        phi.add_incoming(start, before)
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_signed("<", following, depth), loop, done)
    b.position_at_end(done)
    for r, line in enumerate(totals):
        for part, total in zip(panel(row(y, y_row, I64(r)) if along_pairs else listed_row(y, y_row, o, I64(r))), line):
            b.store(b.fadd(load(part, vector), total), b.inttoptr(part, vector.as_pointer()), align=width)


pairs_tile, pair_tile = register_tile(ROWS, along_pairs=False), register_tile(1, along_pairs=False)
channels_tile, channel_tile = register_tile(CHANNELS, along_pairs=True), register_tile(1, along_pairs=True)


@numba.njit(cache=True, nogil=True)
def block_bounds(outputs, starts, first, last, block):
    """bounds[i, d]: the first pair of offset d whose output is at or above first + i x block (last in the end row)."""
    blocks = max(-(-(last - first) // block), 0)
    bounds = np.empty((blocks + 1, len(starts) - 1), np.int64)
    for i in range(blocks + 1):
        for d in range(len(starts) - 1):
            low = starts[d] if i == 0 else bounds[i - 1, d]
            bounds[i, d] = low + np.searchsorted(outputs[low:starts[d + 1]], min(first + i * block, last))
    return bounds


@numba.njit(cache=True, nogil=True)
def multiply_rows(x, w, inputs, outputs, first, last, bounds, y):
    """Fills rows first to last of y with the sums of the pairs in `bounds`, block after block; w is (offsets, panels, c_in, numbers in a panel)."""
    y[first:last] = 0
    panels, depth, width = w.shape[1], x.shape[1], x.itemsize
    x_row, y_row, w_panel = depth * width, y.shape[1] * width, depth * PANEL_BYTES
    x_at, y_at, w_at, i_at, o_at = x.ctypes.data, y.ctypes.data, w.ctypes.data, inputs.ctypes.data, outputs.ctypes.data
    for i in range(len(bounds) - 1):
        for d in range(bounds.shape[1]):
            pair, end = bounds[i, d], bounds[i + 1, d]
            while pair < end:
                whole = pair + ROWS <= end
                for p in range(panels):
                    left, right, sums = i_at + 8 * pair, w_at + (d * panels + p) * w_panel, y_at + p * PANEL_BYTES
                    if whole:
                        pairs_tile(x, x_at, x_row, left, right, PANEL_BYTES, sums, y_row, o_at + 8 * pair, depth)
                    else:
                        pair_tile(x, x_at, x_row, left, right, PANEL_BYTES, sums, y_row, o_at + 8 * pair, depth)
                pair += ROWS if whole else 1


@numba.njit(cache=True, nogil=True)
def multiply_columns(x, g, inputs, outputs, bounds, y):
    """Fills y (offsets, c_in, numbers in all panels) with the sums of x_j^T g_k over the pairs in `bounds`, block after block."""
    y[:] = 0
    channels, width = x.shape[1], x.itemsize
    x_row, row = channels * width, y.shape[2] * width
    for i in range(len(bounds) - 1):
        for d in range(bounds.shape[1]):
            for pair in range(bounds[i, d], bounds[i + 1, d], CHUNK):
                depth, i_at, o_at = min(CHUNK, bounds[i + 1, d] - pair), inputs.ctypes.data + 8 * pair, outputs.ctypes.data + 8 * pair
                for part in range(0, row, PANEL_BYTES):
                    c = 0
                    while c < channels:
                        left, right, sums = x.ctypes.data + c * width, g.ctypes.data + part, y.ctypes.data + (d * channels + c) * row + part
                        if c + CHANNELS <= channels:
                            channels_tile(x, left, x_row, i_at, right, row, sums, row, o_at, depth)
                            c += CHANNELS
                        else:
                            channel_tile(x, left, x_row, i_at, right, row, sums, row, o_at, depth)
                            c += 1


def spans(kmap: KernelMap, row_bytes: int, parts: int) -> list[tuple[int, int, np.ndarray]]:
    """The outputs cut into at most `parts` ranges: (first, last, block bounds), blocks of rows that fit half of a small L2 cache."""
    block, outputs, starts = max(BLOCK_BYTES // row_bytes, 64), kmap.outputs.numpy(), np.array(kmap.starts)
    share = max(-(-kmap.n_outputs // parts), 64)
    ends = [(first, min(first + share, kmap.n_outputs)) for first in range(0, kmap.n_outputs, share)]
    return [(*pair, block_bounds(outputs, starts, *pair, block)) for pair in ends]


@lru_cache(maxsize=1)
def pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Waiting threads, made once: starting some for every call costs more than a small layer. A forked process gets its own."""
    return ThreadPoolExecutor(threads)


def in_threads(work: Callable, parts: list, macs: int) -> None:
    """work(part) for every part, in as many threads as torch uses, this one among them, unless there is too little to do."""
    helpers = min(torch.get_num_threads(), len(parts)) - 1 if macs >= LEAST_MACS else 0
    waiting = iter(parts)

    def drain():
        for part in waiting:
            work(part)
    futures = [pool(helpers, os.getpid()).submit(drain) for _ in range(helpers)]
    drain()
    for future in futures:
        if not future.cancel():
            future.result()


def in_panels(weight: np.ndarray) -> np.ndarray:
    """Weight (offsets, c_in, c_out) as (offsets, panels, c_in, numbers in a panel), the last panel filled up with zeros."""
    panel = PANEL_BYTES // weight.itemsize
    packed = np.zeros((len(weight), -(-weight.shape[2] // panel), weight.shape[1], panel), weight.dtype)
    for p in range(packed.shape[1]):
        part = weight[:, :, p * panel:(p + 1) * panel]
        packed[:, p, :, :part.shape[2]] = part
    return packed


def convolve_rows(feats: Tensor, weight: np.ndarray, kmap: KernelMap) -> Tensor:
    """(n_outputs, c_out) float32 or float64: for every output row the sum of feats[j] weight[d] over its pairs."""
    packed, c_out = in_panels(weight), weight.shape[2]
    columns = packed.shape[1] * packed.shape[3]
    if not (kmap.pairs and packed.size):
        return feats.new_zeros(kmap.n_outputs, c_out)
    out = feats.new_empty(kmap.n_outputs, columns)
    arrays, sums = (feats.contiguous().numpy(), packed, kmap.inputs.numpy(), kmap.outputs.numpy()), out.numpy()
    parts = spans(kmap, columns * feats.element_size(), 4 * torch.get_num_threads())
    in_threads(lambda part: multiply_rows(*arrays, *part, sums), parts, kmap.pairs * feats.shape[1] * columns)
    return out if columns == c_out else out[:, :c_out].contiguous()


def weight_sums(feats: Tensor, grad: Tensor, kmap: KernelMap) -> Tensor:
    """(offsets, c_in, c_out): for each offset the sum of feats[j]^T grad[k] over its pairs; the gradient of the weight."""
    c_out, panel = grad.shape[1], PANEL_BYTES // grad.element_size()
    if not (kmap.pairs and feats.shape[1] and c_out):
        return feats.new_zeros(len(kmap.sizes), feats.shape[1], c_out)
    grad = torch.nn.functional.pad(grad, (0, -c_out % panel)).contiguous()
    parts = spans(kmap, grad.shape[1] * grad.element_size(), 2 * torch.get_num_threads())
    out = feats.new_empty(len(parts), len(kmap.sizes), feats.shape[1], grad.shape[1])
    arrays, sums = (feats.contiguous().numpy(), grad.numpy(), kmap.inputs.numpy(), kmap.outputs.numpy()), out.numpy()
    work = lambda i: multiply_columns(*arrays, parts[i][2], sums[i])
    in_threads(work, list(range(len(parts))), kmap.pairs * feats.shape[1] * grad.shape[1])
    return out.sum(0)[..., :c_out].contiguous()
