"""The same graph for a generic interpreter in C: the yardstick for what code generation brings.

Same arithmetic, same arena, same compiler; sizes are read from a table at run time and MACs are done one by one.
"""

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.deploy.emit import KERNELS, c_name
from tinylib.deploy.planner import Plan
from tinylib.quantize.graph import QOp

KINDS = {"conv": "CONV", "linear": "CONV", "depthwise": "DEPTHWISE", "avgpool": "AVGPOOL", "maxpool": "MAXPOOL", "add": "ADD", "argmax": "ARGMAX"}


def generate_interpreted(plan: Plan) -> dict[str, str]:
    """Source files of the interpreter and its table, with the entry points of `codegen.generate`."""
    if plan.patching:
        raise TinylibError("The interpreter has no patches.")
    ops = [op for op in plan.graph.ops if op.kind != "flatten"]
    unknown = sorted({op.kind for op in ops} - set(KINDS))
    if unknown:
        raise TinylibError(f"The interpreter does not know {', '.join(unknown)}.")
    arrays = "\n".join(_arrays(op) for op in ops)
    rows = ",\n".join(_row(plan, op) for op in ops)
    table = (f'#include "interpreter.h"\nint8_t arena[{max(4, plan.peak_bytes)}] __attribute__((aligned(8)));\n{arrays}\n'
             f"const Operator operators[] = {{\n{rows}}};\nconst int operator_count = {len(ops)};\n")
    text = (KERNELS / "interpreter.c").read_text()
    return {"network.c": table + text, "interpreter.h": (KERNELS / "interpreter.h").read_text(), "runtime.c": (KERNELS / "runtime.c").read_text()}


def _arrays(op: QOp) -> str:
    fields = (("weight", "int8_t"), ("bias", "int32_t"), ("multiplier", "int32_t"), ("shift", "int32_t"))
    lines = []
    for field, kind in fields:
        values = getattr(op, field)
        if values is not None:
            lines.append(f"static const {kind} {c_name(op)}_{field}[] = {{{', '.join(map(str, values.reshape(-1).tolist()))}}};")
    return "\n".join(lines)


def _row(plan: Plan, op: QOp) -> str:
    tensors = [plan.graph.tensors[name] for name in (*op.inputs, op.output)]
    (ih, iw, c), (oh, ow, k) = (t.shape if len(t.shape) == 3 else (1, 1, int(np.prod(t.shape))) for t in (tensors[0], tensors[-1]))
    second = op.inputs[1] if len(op.inputs) > 1 else op.inputs[0]
    numbers = [plan.offset(op.inputs[0]), plan.offset(second), plan.offset(op.output), ih, iw, c, oh, ow, k, *op.kernel, *op.stride, *op.pad[:2],
               *op.dilation, tensors[0].zero_point, plan.graph.tensors[second].zero_point, tensors[-1].zero_point, *op.clamp]
    pointers = [f"{c_name(op)}_{field}" if getattr(op, field) is not None else "0" for field in ("weight", "bias", "multiplier", "shift")]
    return f"    {{{KINDS[op.kind]}, {', '.join(map(str, numbers))}, {', '.join(pointers)}}}"
