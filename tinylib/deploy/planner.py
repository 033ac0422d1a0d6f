"""Where every tensor lies in one arena of SRAM: lifetimes, renamed and in-place tensors, scratch buffers, patches.

Scratch is what an operator needs besides its tensors: for convolutions the columns of a few pixels, widened to 16 bits; for depth-wise
convolutions one channel, widened and padded. It counts: a peak without it is not a peak.
"""

from dataclasses import dataclass, replace

from tinylib.deploy.graph import IN_PLACE_KINDS, RENAME, births, last_reads, macs, may_overwrite, tensor_bytes
from tinylib.deploy.patch import Patching, Window, patchable, patches, stage_macs, window
from tinylib.measure.arena import Buffer, live_bytes, peak_bytes, place
from tinylib.quantize.graph import QGraph, QOp

ALIGNMENT = 4
GROUP = 3         # pixels that a convolution computes at once when memory allows


@dataclass(frozen=True)
class Plan:
    """A placement of a graph in SRAM. `home` maps tensors to buffers by number, `scratch` operators to theirs."""

    graph: QGraph
    buffers: tuple[Buffer, ...]
    offsets: tuple[int, ...]
    home: dict[str, int]
    scratch: dict[str, int]
    groups: dict[str, int]
    in_place: frozenset[str]
    patching: Patching | None
    peak_bytes: int
    bound_bytes: int            # largest sum of live buffers: no placement needs less
    unplanned_bytes: int        # every buffer with memory of its own
    macs: int

    def offset(self, tensor: str) -> int:
        """Byte offset of a tensor in the arena."""
        return self.offsets[self.home[tensor]]


def windows_of(graph: QGraph, step: int, patching: Patching | None) -> list[Window]:
    """How the operator at `step` sees its input: one window per patch, or one for the whole picture."""
    op = graph.ops[step]
    if patching and step < patching.split:
        return [window(op, need[op.inputs[0]], need[op.output]) for need in patches(graph, patching)]
    (ih, iw, _), (oh, ow, _) = (graph.tensors[n].shape if len(graph.tensors[n].shape) == 3 else (1, 1, 0) for n in (op.inputs[0], op.output))
    return [Window(ih, iw, oh, ow, op.pad[0], op.pad[1])]


def plane(op: QOp, windows: list[Window]) -> tuple[int, int]:
    """Rows and columns (even) of the widened, padded channel of a depth-wise convolution, large enough for every window."""
    reach = [d * (k - 1) + 1 for d, k in zip(op.dilation, op.kernel)]
    rows = max(max((v.oh - 1) * op.stride[0] + reach[0], v.pt + v.ih) for v in windows)
    cols = max(max((v.ow - 1) * op.stride[1] + reach[1], v.pl + v.iw) for v in windows)
    return rows, cols + cols % 2


def column_words(op: QOp, group: int) -> int:
    """Words of the widened columns of `group` pixels, without the patch of bytes that odd channel counts need."""
    return 2 * group * -(-op.weight[0].size // 4)


def scratch_bytes(op: QOp, windows: list[Window], group: int) -> int:
    """Bytes of scratch that an operator needs."""
    if op.kind == "depthwise":
        rows, cols = plane(op, windows)
        return 2 * rows * cols
    if op.kind in ("conv", "linear"):
        blocks = -(-op.weight[0].size // 4)
        return 4 * column_words(op, group) + (0 if is_pointwise(op, windows) or op.weight.shape[-1] % 4 == 0 else 4 * blocks)
    return 0


def is_pointwise(op: QOp, windows: list[Window]) -> bool:
    """Whether pixel i of the output needs pixel i of the input and nothing else."""
    flat = op.kernel == (1, 1) and op.stride == (1, 1)
    return op.kind == "linear" or flat and all((v.pt, v.pl, v.ih, v.iw) == (0, 0, v.oh, v.ow) for v in windows)


def plan(graph: QGraph, *, in_place: bool = True, patching: Patching | None = None, budget_bytes: int | None = None) -> Plan:
    """Place `graph`. Under a budget, convolutions at steps that exceed it compute fewer pixels at once."""
    windows = [windows_of(graph, step, patching) for step in range(len(graph.ops))]
    pixels = [max(v.oh * v.ow for v in w) for w in windows]
    groups = {op.name: min(GROUP, n) if op.kind == "conv" else 1 for op, n in zip(graph.ops, pixels)}
    while True:
        found = _place(graph, windows, groups, in_place, patching)
        live = live_bytes(found.buffers)
        tight = [op.name for step, op in enumerate(graph.ops) if groups[op.name] > 1 and live[step] > (budget_bytes or found.peak_bytes)]
        if budget_bytes is None or found.peak_bytes <= budget_bytes or not tight:
            return found
        groups = groups | {name: groups[name] - 1 for name in tight}


def _place(graph: QGraph, windows: list, groups: dict[str, int], in_place: bool, patching: Patching | None) -> Plan:
    root, overwritten = _shared(graph, in_place, patching)
    sizes = _tile_bytes(graph, patching)
    birth, death, names = births(graph), last_reads(graph), {}
    if patching:
        birth[graph.ops[patching.split - 1].output] = 0
        death[graph.input] = max(death[graph.input], patching.split - 1)
    for tensor in root:
        names.setdefault(root[tensor], []).append(tensor)
    buffers = [Buffer("+".join(ts), max(sizes[t] for t in ts), min(birth[t] for t in ts), max(death[t] for t in ts)) for ts in names.values()]
    home = {t: i for i, ts in enumerate(names.values()) for t in ts}
    scratch = {}
    for step, op in enumerate(graph.ops):
        size = scratch_bytes(op, windows[step], groups[op.name])
        if size:
            scratch[op.name] = len(buffers)
            buffers.append(Buffer(f"{op.name} scratch", size, step, step))
    if patching:
        last = graph.ops[patching.split - 1].output
        home[f"{last} tile"] = len(buffers)
        buffers.append(Buffer(f"{last} tile", sizes[f"{last} tile"], patching.split - 1, patching.split - 1))
    placed = place(buffers, alignment=ALIGNMENT)
    work = sum(macs(graph, op) for op in graph.ops[patching.split if patching else 0:]) + (stage_macs(graph, patching) if patching else 0)
    return Plan(graph, tuple(buffers), placed.offsets, home, scratch, dict(groups), frozenset(overwritten), patching, placed.arena_bytes,
                peak_bytes(buffers), sum(b.size for b in buffers), work)


def _shared(graph: QGraph, in_place: bool, patching: Patching | None) -> tuple[dict[str, str], set[str]]:
    """For each tensor the tensor whose bytes it shares, and the names of the operators that work in place."""
    root, overwritten = {graph.input: graph.input}, set()
    for step, op in enumerate(graph.ops):
        root[op.output] = op.output
        if op.kind == RENAME:
            root[op.output] = root[op.inputs[0]]
        leaves_stage = patching and step == patching.split - 1
        whole = not patching or step >= patching.split
        if in_place and op.kind in IN_PLACE_KINDS and not leaves_stage and (whole or op.kind == "depthwise"):
            free = [name for name in op.inputs if may_overwrite(graph, step, name, {t: r for t, r in root.items() if t != op.output})]
            if free and not (len(op.inputs) == 2 and root[op.inputs[0]] == root[op.inputs[1]]):
                root[op.output] = root[free[0]]
                overwritten.add(op.name)
    return root, overwritten


def _tile_bytes(graph: QGraph, patching: Patching | None) -> dict[str, int]:
    """Bytes of each tensor; inside a patched stage, of its largest tile."""
    sizes = {name: tensor_bytes(graph, name) for name in graph.tensors}
    if patching:
        last = graph.ops[patching.split - 1].output
        needs = patches(graph, patching)
        for op in graph.ops[:patching.split]:
            channels = graph.tensors[op.output].shape[2]
            tile = max(need[op.output].height * need[op.output].width for need in needs) * channels
            sizes[op.output if op.output != last else f"{last} tile"] = tile
    return sizes


def search_patching(graph: QGraph, *, in_place: bool = True, counts: tuple[int, ...] = (2, 3, 4, 5, 6), extra_macs: float = 0.3,
                    budget_bytes: int | None = None) -> Plan:
    """The plan with the smallest peak among all split points and square patch counts with at most `extra_macs` more MACs.

    Under a budget: the plan with the fewest MACs among those that fit, if any does. May answer "do not patch" (`patching` is None).
    """
    whole = plan(graph, in_place=in_place, budget_bytes=budget_bytes)
    found = [whole]
    for split in range(1, len(graph.ops) + 1):
        if patchable(graph, split):
            continue
        side = min(graph.tensors[graph.ops[split - 1].output].shape[:2])
        for n in counts:
            if n <= side:
                trial = plan(graph, in_place=in_place, patching=Patching(split, n, n), budget_bytes=budget_bytes)
                if trial.macs <= whole.macs * (1 + extra_macs):
                    found.append(trial)
    fits = [p for p in found if budget_bytes and p.peak_bytes <= budget_bytes]
    if fits:
        return min(fits, key=lambda p: (p.macs, p.peak_bytes))
    return min(found, key=lambda p: (p.peak_bytes, p.macs))


def without_scratch(found: Plan) -> Plan:
    """The same plan with scratch left out: what a peak looks like that forgets it."""
    kept = [b if i not in found.scratch.values() else replace(b, size=0) for i, b in enumerate(found.buffers)]
    return replace(found, buffers=tuple(kept), peak_bytes=place(kept, alignment=ALIGNMENT).arena_bytes, bound_bytes=peak_bytes(kept))
