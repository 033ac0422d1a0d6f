"""Text of one operator's C kernel from its template in `kernels/`, with every size and constant baked in."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from tinylib.deploy.patch import Window
from tinylib.deploy.planner import Plan, column_words, is_pointwise, plane, windows_of
from tinylib.deploy.streams import channel_groups, dense_stream, depthwise_stream, is_fast, is_wide, scaling, tap_words
from tinylib.deploy.tiles import finish, tile
from tinylib.quantize.graph import QOp, QTensor

KERNELS = Path(__file__).parent / "kernels"
GEOMETRY = ("ih", "iw", "oh", "ow", "pt", "pl")


@dataclass(frozen=True)
class Kernel:
    """C text of a kernel, the constants it reads (uint32), whether it takes its geometry at run time, and functions that kernels share."""

    code: str
    stream: np.ndarray | None
    dynamic: bool = False
    shared: dict[str, str] = field(default_factory=dict)


def c_name(op: QOp) -> str:
    """C identifier of an operator."""
    return "k_" + re.sub(r"\W", "_", op.name)


@cache
def _template(name: str) -> str:
    return (KERNELS / f"{name}.c.in").read_text()


def fill(name: str, values: dict) -> str:
    """Template `name` with every @KEY@ replaced."""
    text = _template(name)
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    assert "@" not in text, f"{name}: no value for {text[text.index('@'):][:20]}"
    return text


def kernel(plan: Plan, step: int) -> Kernel:
    """The kernel of the operator at `step` under `plan`."""
    op = plan.graph.ops[step]
    windows = windows_of(plan.graph, step, plan.patching)
    dynamic = plan.patching is not None and step < plan.patching.split
    x, y = plan.graph.tensors[op.inputs[0]], plan.graph.tensors[op.output]
    return _MAKERS[op.kind](plan, op, x, y, windows, dynamic)


def _base(op: QOp, x: QTensor, y: QTensor, windows: list[Window], dynamic: bool) -> dict:
    """Values that most templates share."""
    lines = [f"    const int {n} = {f'g->{n}' if dynamic else getattr(windows[0], n)};" for n in GEOMETRY]
    return {"NAME": c_name(op), "C": x.shape[-1], "K": y.shape[-1], "KH": op.kernel[0], "KW": op.kernel[1], "SH": op.stride[0], "SW": op.stride[1],
            "DH": op.dilation[0], "DW": op.dilation[1], "GEOMETRY": "\n".join(lines), "PARAMS": ", const Geometry *const g" if dynamic else "",
            "ARGS": ", g" if dynamic else "", "LOW": op.clamp[0], "HIGH": op.clamp[1]}


def _dense(plan: Plan, op: QOp, x: QTensor, y: QTensor, windows: list[Window], dynamic: bool) -> Kernel:
    group, pixels = plan.groups[op.name], windows[0].oh * windows[0].ow
    blocks = -(-op.weight[0].size // 4)
    rests = list(range(1, group)) if dynamic else [pixels % group] if pixels % group else []
    shared = {_group_name(op, y, n, group): _group_function(op, y, n, group, blocks) for n in (group, *rests)}
    values = _base(op, x, y, windows, dynamic) | {
        "GROUP": group, "TILES": _group_name(op, y, group, group), "COLUMN_WORDS": column_words(op, group), "BLOCKS": blocks, "PAD": x.zero_point,
        "PAD_PAIR": (x.zero_point & 0xFFFF) * 0x10001, "TAILS": "\n".join(_tail(op, x, y, n, group, windows, dynamic) for n in rests)}
    name = "linear" if op.kind == "linear" else "pointwise" if is_pointwise(op, windows) else "conv"
    return Kernel(fill(name, values), dense_stream(op, x, y, group), dynamic, shared)


def _group_name(op: QOp, y: QTensor, pixels: int, group: int) -> str:
    """Name of the function for `pixels` pixels: operators that agree in all that the code depends on share it."""
    parts = [pixels, group, op.weight[0].size, len(op.weight), *op.clamp] + ([] if is_fast(op) else ["slow", y.zero_point]) + (["int16"] if is_wide(op) else [])
    return "tiles_" + "_".join(str(p).replace("-", "m") for p in parts)


def _group_function(op: QOp, y: QTensor, pixels: int, group: int, blocks: int) -> str:
    """C function that computes all channels of `pixels` pixels whose columns are in the buffer."""
    ending = lambda value, target: finish(op.clamp, is_fast(op), y.zero_point, value, target)
    channels, k = channel_groups(len(op.weight), group), len(op.weight)
    wide = channels[0]
    turns = channels.count(wide)
    words = blocks * (2 if is_wide(op) else 1)
    body = tile(wide, pixels, blocks, k, ending, is_wide(op))
    lines = [f"static __attribute__((noinline)) void {_group_name(op, y, pixels, group)}(const u32 *w, const u32 *const buffer, i8 *o) {{"]
    lines.append(f"const u32 *const end = w + {turns * wide * (words + 4)};\ndo {body[:-1]}o += {wide};\n}} while (w != end);" if turns > 1
                 else f"{body}\no += {wide};")
    lines += [tile(n, pixels, blocks, k, ending, is_wide(op)) for n in channels[turns:]]
    return "\n".join([*lines, "(void)o;", "}"])


def _tail(op: QOp, x: QTensor, y: QTensor, rest: int, group: int, windows: list[Window], dynamic: bool) -> str:
    """C text for the pixels that are left after whole groups."""
    out = f"{_group_name(op, y, rest, group)}({c_name(op)}_stream, buffer, out + i * {y.shape[-1]});"
    if is_pointwise(op, windows):
        load = f"widen_pixels(buffer, in + i * {x.shape[-1]}, {x.shape[-1]}, {rest});"
    else:
        args = ", g" if dynamic else ""
        load = (f"for (int p = 0; p < {rest}; ++p) {{ {c_name(op)}_column(in, buffer + 2 * p, {2 * rest}, y, x, patch{args}); "
                "if (++x == ow) { x = 0; ++y; } }")
    return f"    if (n - i == {rest}) {{ {load} {out} }}"


def _depthwise(plan: Plan, op: QOp, x: QTensor, y: QTensor, windows: list[Window], dynamic: bool) -> Kernel:
    rows, pitch = plane(op, windows)
    words, outputs = tap_words(op.kernel[1], op.stride[1], op.dilation[1])
    names = [f"w{i}_{j}" for i in range(op.kernel[0]) for j in range(len(words))]
    held = len(names) <= 6
    weights = f"        const u32 {', '.join(f'{n} = w[{4 + i}]' for i, n in enumerate(names))};" if held else "        const u32 *const k = w + 4;"
    name = (lambda i, j: f"w{i}_{j}") if held else (lambda i, j: f"k[{i * len(words) + j}]")

    def taps(which: tuple[int, ...]) -> str:
        lines = []
        for i in range(op.kernel[0]):
            base = i * op.dilation[0] * pitch // 2
            reads = sorted({place for o in which for _, place, _ in outputs[o]})
            lines.append(f"                {{ const u32 {', '.join(f'x{r} = p[{base + r}]' for r in reads)};")
            lines += [f"                  c{o} = {text}(x{place}, {name(i, word)}, c{o});" for o in which for text, place, word in outputs[o]]
            lines.append("                }")
        return "\n".join(lines)

    padded = any(v.pt > 0 or v.pl > 0 or rows > v.pt + v.ih or pitch > v.pl + v.iw for v in windows)
    filling = f"    for (int i = 0; i < {rows * pitch // 2}; ++i) buffer[i] = {(x.zero_point & 0xFFFF) * 0x10001}u;"
    end = [finish(op.clamp, is_fast(op), y.zero_point, f"c{o}", f"o[{o * x.shape[-1]}]") for o in (0, 1)]
    values = _base(op, x, y, windows, dynamic) | {
        "PITCH": pitch, "FILL": filling if padded else "", "CHANNEL_WORDS": 4 + len(names), "WEIGHTS": weights,
        "ROW_STEP": op.stride[0] * pitch // 2, "PAIR_STEP": op.stride[1], "PAIR": taps((0, 1)), "SINGLE": taps((0,)),
        "FINISH0": end[0], "FINISH1": end[1]}
    return Kernel(fill("depthwise", values), depthwise_stream(op, x, y), dynamic)


def _mrs(op: QOp, y: QTensor, index: int = 0) -> dict:
    return dict(zip("MRS", scaling(op, index, y.zero_point)))


def _avgpool(plan, op, x, y, windows, dynamic) -> Kernel:
    end = finish(op.clamp, is_fast(op), y.zero_point, "sum", "*out")
    return Kernel(fill("avgpool", _base(op, x, y, windows, dynamic) | _mrs(op, y) | {"ZERO": x.zero_point, "FINISH": end}), None, dynamic)


def _maxpool(plan, op, x, y, windows, dynamic) -> Kernel:
    lo, hi = op.clamp
    values = {"LOW4": (lo & 0xFF) * 0x01010101, "NOT_HIGH4": (~hi & 0xFF) * 0x01010101}
    return Kernel(fill("maxpool", _base(op, x, y, windows, dynamic) | values), None, dynamic)


def _add(plan, op, x, y, windows, dynamic) -> Kernel:
    a, b = (plan.graph.tensors[name] for name in op.inputs)
    s, (m0, m1) = int(op.shift[0]), (int(m) for m in op.multiplier)
    start = (1 << (s - 1)) - a.zero_point * m0 - b.zero_point * m1
    folded = start + (y.zero_point << s)
    fits = abs(folded) + 128 * (m0 + m1) < 2**31
    values = {"NAME": c_name(op), "M0": m0, "M1": m1, "START": folded if fits else start, "S": s, "ZERO": 0 if fits else y.zero_point,
              "LOW": op.clamp[0], "HIGH": op.clamp[1]}
    return Kernel(fill("add", values), None, dynamic)


def _concat(plan, op, x, y, windows, dynamic) -> Kernel:
    codes, first = [], 0
    for i, name in enumerate(op.inputs):
        part = plan.graph.tensors[name]
        c, lo, hi = part.shape[2], *op.clamp
        v = f"RESCALE(*in - ({part.zero_point}), m, s, {y.zero_point})"
        plain = (int(op.multiplier[i]), int(op.shift[i])) == (1 << 30, 30) and part.zero_point == y.zero_point
        end = f"out[c] = (i8)CLIP(*in, {lo}, {hi});" if plain else f"out[c] = (i8)CLIP64({v}, {lo}, {hi});"
        codes.append(fill("concat", {"NAME": f"{c_name(op)}_part{i}", "FIRST": first, "LAST": first + c - 1, "C": c, "TOTAL": y.shape[2],
                                     "M": int(op.multiplier[i]), "R": 0, "S": int(op.shift[i]), "FINISH": end}))
        first += c
    return Kernel("\n".join(codes), None)


def _argmax(plan, op, x, y, windows, dynamic) -> Kernel:
    return Kernel(fill("argmax", {"NAME": c_name(op), "N": x.shape[0]}), None)


def _softmax(plan, op, x, y, windows, dynamic) -> Kernel:
    return Kernel(fill("softmax", {"NAME": c_name(op), "N": x.shape[0]}), op.multiplier.astype(np.uint32))


def _flatten(plan, op, x, y, windows, dynamic) -> Kernel:
    return Kernel("", None)


_MAKERS = {"conv": _dense, "linear": _dense, "depthwise": _depthwise, "avgpool": _avgpool, "maxpool": _maxpool, "add": _add,
           "concat": _concat, "argmax": _argmax, "softmax": _softmax, "flatten": _flatten}
