"""An integer graph and its plan become C: one function per layer, only the kernels that are used, all constants baked in, no interpreter."""

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.deploy.emit import KERNELS, Kernel, c_name, kernel
from tinylib.deploy.patch import patches, window
from tinylib.deploy.planner import Plan, windows_of
from tinylib.quantize.graph import QOp

STACK_BYTES = 1024
HEADERS = ("simd.h", "memory.h")


def layer_names(plan: Plan) -> list[str]:
    """C functions of the layers in the order of the operators (flatten has none), with the paste of patches last."""
    names = [f"layer_{step:02d}_{c_name(op)[2:]}" for step, op in enumerate(plan.graph.ops) if op.kind != "flatten"]
    if len({n.lower() for n in names}) != len(names):
        raise TinylibError("Two operators have names that give the same C identifier.")
    return [*names, "paste_patch"] if plan.patching else names


def generate(plan: Plan) -> dict[str, str]:
    """Source files by name: network.c, network.h and what they include."""
    kernels = [kernel(plan, step) for step in range(len(plan.graph.ops))]
    parts = ['#include "network.h"\n#include "memory.h"\n', f"i8 arena[{max(4, plan.peak_bytes)}] __attribute__((aligned(8)));\n"]
    parts += {name: text for made in kernels for name, text in made.shared.items()}.values()
    for op, made in zip(plan.graph.ops, kernels):
        parts += [_table(c_name(op), made), made.code]
    parts += [_layer(plan, step, made) for step, made in enumerate(kernels)]
    parts.append(_run(plan))
    files = {name: (KERNELS / name).read_text() for name in (*HEADERS, "runtime.c")}
    return files | {"network.h": _header(plan), "network.c": "\n".join(parts)}


def link_script(*, flash: int, flash_bytes: int, sram: int, sram_bytes: int, stack_bytes: int = STACK_BYTES) -> str:
    """Linker script for one board."""
    text = (KERNELS / "link.ld.in").read_text()
    for key, value in {"FLASH": hex(flash), "FLASH_BYTES": flash_bytes, "SRAM": hex(sram), "SRAM_BYTES": sram_bytes, "STACK_BYTES": stack_bytes}.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def _header(plan: Plan) -> str:
    graph = plan.graph
    x, y = graph.tensors[graph.input], graph.tensors[graph.output]
    lines = ["/* Put an int8 input at arena + INPUT_OFFSET, call network_run, find the output at arena + OUTPUT_OFFSET. The input may be overwritten. */",
             "#ifndef NETWORK_H", "#define NETWORK_H", "#include <stdint.h>"]
    for name, value in (("ARENA_BYTES", plan.peak_bytes), ("INPUT_OFFSET", plan.offset(graph.input)), ("INPUT_BYTES", int(np.prod(x.shape))),
                        ("OUTPUT_OFFSET", plan.offset(graph.output)), ("OUTPUT_BYTES", int(np.prod(y.shape)))):
        lines.append(f"#define {name} {value}")
    return "\n".join([*lines, "extern int8_t arena[];", "void network_run(void);", "#endif", ""])


def _table(name: str, made: Kernel) -> str:
    if made.stream is None:
        return ""
    words = [f"0x{w:08x}u" for w in made.stream.tolist()]
    rows = ",\n".join(", ".join(words[i:i + 12]) for i in range(0, len(words), 12))
    return f"static const u32 {name}_stream[{len(words)}] = {{\n{rows}}};"


def _at(plan: Plan, tensor: str, kind: str = "i8") -> str:
    return f"({kind} *)(arena + {plan.offset(tensor)})"


def _written(plan: Plan, step: int) -> str:
    """Name under which the output of `step` is placed: the last tensor of a patched stage exists whole and as a tile."""
    output = plan.graph.ops[step].output
    return f"{output} tile" if plan.patching and step == plan.patching.split - 1 else output


def _layer(plan: Plan, step: int, made: Kernel) -> str:
    """The function of one layer: its kernel with its addresses."""
    op, name = plan.graph.ops[step], c_name(plan.graph.ops[step])
    if op.kind == "flatten":
        return ""
    out, ins = _at(plan, _written(plan, step)), [_at(plan, i) for i in op.inputs]
    scratch = f"(u32 *)(arena + {plan.offsets[plan.scratch[op.name]]})" if op.name in plan.scratch else "0"
    tables, args = "", "void"
    if op.kind == "add":
        body = f"{name}({ins[0]}, {ins[1]}, {out}, {int(np.prod(plan.graph.tensors[op.output].shape))});"
    elif op.kind == "concat":
        h, w, _ = plan.graph.tensors[op.output].shape
        body = "\n    ".join(f"{name}_part{i}({source}, {out}, {h * w});" for i, source in enumerate(ins))
    elif op.kind in ("argmax", "softmax"):
        body = f"{name}({ins[0]}, {out});"
    else:
        body = f"{name}({ins[0]}, {out}, {scratch}{', ' + name + '_windows + patch' if made.dynamic else ''});"
    if plan.patching and step < plan.patching.split:
        args = "const int patch"
        tables = _geometry(f"{name}_windows", windows_of(plan.graph, step, plan.patching))
        if op.kind == "add":
            tables, body = _patched_add(plan, op, name, out, ins)
    return f"{tables}__attribute__((noinline)) void layer_{step:02d}_{name[2:]}({args}) {{\n    {body}\n}}\n"


def _geometry(name: str, windows: list) -> str:
    rows = ", ".join(f"{{{v.ih}, {v.iw}, {v.oh}, {v.ow}, {v.pt}, {v.pl}}}" for v in windows)
    return f"static const Geometry {name}[] = {{{rows}}};\n"


def _patched_add(plan: Plan, op: QOp, name: str, out: str, ins: list[str]) -> tuple[str, str]:
    """Tables and body of an add whose inputs are tiles that may be larger than its output."""
    needs, c = patches(plan.graph, plan.patching), plan.graph.tensors[op.output].shape[2]
    tables = "".join(_geometry(f"{name}_{side}", [window(op, need[tensor], need[op.output]) for need in needs])
                     for side, tensor in zip("ab", op.inputs))
    reads = [f"{source} + ((y - {s}->pt) * {s}->iw - {s}->pl) * {c}" for s, source in zip("ab", ins)]
    body = (f"const Geometry *a = {name}_a + patch, *b = {name}_b + patch;\n"
            f"    for (int y = 0; y < a->oh; ++y) {name}({reads[0]}, {reads[1]}, {out} + y * a->ow * {c}, a->ow * {c});")
    return tables, body


def _run(plan: Plan) -> str:
    names, split = layer_names(plan), 0
    lines = []
    if plan.patching:
        last = plan.graph.ops[plan.patching.split - 1]
        split = sum(op.kind != "flatten" for op in plan.graph.ops[:plan.patching.split])
        _, width, c = plan.graph.tensors[last.output].shape
        places = [(n[last.output], n[last.output].rows[0], n[last.output].cols[0]) for n in patches(plan.graph, plan.patching)]
        rows = ", ".join(f"{{{r.height}, {r.width}, {top}, {left}, 0, 0}}" for r, top, left in places)
        lines += [f"static const Geometry places[] = {{{rows}}};",
                  "__attribute__((noinline)) void paste_patch(const int patch) {", "    const Geometry *g = places + patch;",
                  f"    for (int y = 0; y < g->ih; ++y) copy_bytes({_at(plan, last.output)} + ((g->oh + y) * {width} + g->ow) * {c}, "
                  f"{_at(plan, last.output + ' tile')} + y * g->iw * {c}, g->iw * {c});", "}"]
        loop = "\n".join(f"        {name}(patch);" for name in (*names[:split], "paste_patch"))
        loop = f"    for (int patch = 0; patch < {len(places)}; ++patch) {{\n{loop}\n    }}"
        names = names[:-1]
    lines += ["void network_run(void) {", *([loop] if plan.patching else []), *(f"    {name}();" for name in names[split:]), "}", ""]
    return "\n".join(lines)
