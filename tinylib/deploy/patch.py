"""Patch-based inference: the first operators run on one part of the picture after the other, so that no large tensor exists whole.

The part of each tensor that a patch needs is found from the back: an output range of rows needs the input rows
`[y0 * stride - pad, (y1 - 1) * stride - pad + reach)`, cut at the true border. Neighbouring patches overlap there (the halo) and compute it
twice. At a true border the padding is the zero point, as in a whole run; at an inner edge there is no padding. So every bit is the same.
Lin et al., MCUNetV2, 2021.
"""

from dataclasses import dataclass
from functools import lru_cache

from tinylib.core.errors import TinylibError
from tinylib.quantize.graph import WINDOWED, QGraph, QOp

Range = tuple[int, int]                  # first row (or column) and the one after the last
PATCHABLE = (*WINDOWED, "add")


@dataclass(frozen=True)
class Region:
    """A rectangle of a tensor: rows and columns."""

    rows: Range
    cols: Range

    @property
    def height(self) -> int:
        return self.rows[1] - self.rows[0]

    @property
    def width(self) -> int:
        return self.cols[1] - self.cols[0]

    def join(self, other: "Region") -> "Region":
        """Smallest rectangle around both."""
        return Region((min(self.rows[0], other.rows[0]), max(self.rows[1], other.rows[1])),
                      (min(self.cols[0], other.cols[0]), max(self.cols[1], other.cols[1])))


@dataclass(frozen=True)
class Window:
    """How an operator sees its input tile: tile size, output size, and the padding in front (negative: it starts inside the tile)."""

    ih: int
    iw: int
    oh: int
    ow: int
    pt: int
    pl: int


@dataclass(frozen=True)
class Patching:
    """The first `split` operators run patch by patch, on `rows` x `cols` patches."""

    split: int
    rows: int
    cols: int


def input_range(out: Range, *, stride: int, pad: int, kernel: int, dilation: int, size: int) -> Range:
    """Rows of an input of `size` rows that the output rows `out` need, cut at the true border."""
    reach = dilation * (kernel - 1) + 1
    return max(0, out[0] * stride - pad), min(size, (out[1] - 1) * stride - pad + reach)


def cuts(size: int, parts: int) -> list[Range]:
    """`size` rows cut into `parts` ranges whose lengths differ by at most one."""
    return [(size * i // parts, size * (i + 1) // parts) for i in range(parts)]


def patchable(graph: QGraph, split: int) -> str | None:
    """None when the first `split` operators can run patch by patch, else one sentence that says why not."""
    if not 1 <= split <= len(graph.ops):
        return f"the split point must be between 1 and {len(graph.ops)}, got {split}"
    stage = graph.ops[:split]
    for op in stage:
        if op.kind not in PATCHABLE:
            return f"{op.name} ({op.kind}) is not local"
        if op.kind == "depthwise" and op.inputs[0] == graph.input:
            return f"{op.name} is depth-wise and reads the input"
    inside = {graph.input} | {op.output for op in stage[:-1]}
    later = [name for op in graph.ops[split:] for name in op.inputs if name in inside]
    if later:
        return f"{later[0]} is read again after the split"
    readers = {name: sum(name in op.inputs for op in stage) for name in inside}
    shared = [op.name for op in stage if op.kind == "depthwise" and readers[op.inputs[0]] > 1]
    return f"{shared[0]} is depth-wise and shares its input" if shared else None


def regions(graph: QGraph, split: int, out: Region) -> dict[str, Region]:
    """The part of each tensor of the stage that the part `out` of its last output needs. The input counts as whole: it is never copied."""
    stage = graph.ops[:split]
    need = {stage[-1].output: out}
    for op in reversed(stage):
        if op.output not in need:
            raise TinylibError(f"{op.name} does not lead to the output of the stage; it cannot be patched.")
        for name in op.inputs:
            part = _needed(graph, op, need[op.output], name)
            need[name] = need[name].join(part) if name in need else part
    h, w, _ = graph.tensors[graph.input].shape
    return need | {graph.input: Region((0, h), (0, w))}


def _needed(graph: QGraph, op: QOp, out: Region, name: str) -> Region:
    if op.kind == "add":
        return out
    sides = []
    for axis, part in enumerate((out.rows, out.cols)):
        sides.append(input_range(part, stride=op.stride[axis], pad=op.pad[axis], kernel=op.kernel[axis], dilation=op.dilation[axis],
                                 size=graph.tensors[name].shape[axis]))
    return Region(*sides)


def window(op: QOp, tile: Region, out: Region) -> Window:
    """How `op` sees its input when `tile` of it is in memory and `out` is to be computed."""
    pt = tile.rows[0] - (out.rows[0] * op.stride[0] - op.pad[0])
    pl = tile.cols[0] - (out.cols[0] * op.stride[1] - op.pad[1])
    return Window(tile.height, tile.width, out.height, out.width, pt, pl)


@lru_cache(maxsize=64)
def patches(graph: QGraph, patching: Patching) -> list[dict[str, Region]]:
    """The regions of every patch, row by row."""
    reason = patchable(graph, patching.split)
    if reason:
        raise TinylibError(f"The network cannot be patched after operator {patching.split}: {reason}.")
    h, w, _ = graph.tensors[graph.ops[patching.split - 1].output].shape
    if not (1 <= patching.rows <= h and 1 <= patching.cols <= w):
        raise TinylibError(f"{patching.rows} x {patching.cols} patches do not go into an output of {h} x {w}.")
    return [regions(graph, patching.split, Region(rows, cols)) for rows in cuts(h, patching.rows) for cols in cuts(w, patching.cols)]


def stage_macs(graph: QGraph, patching: Patching) -> int:
    """MACs of the patched stage, what is computed twice included."""
    total = 0
    for need in patches(graph, patching):
        for op in graph.ops[:patching.split]:
            if op.weight is not None:
                total += need[op.output].height * need[op.output].width * op.weight.size
    return total
