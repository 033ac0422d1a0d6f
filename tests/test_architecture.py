"""The walls of the house: who may import whom. The table is DESIGN made executable."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tinylib"
FLOORS = {
    "core": 0,
    "nn": 10, "datasets": 10, "measure": 10, "search": 10, "show": 10,
    "check": 15,
    "prune": 20, "quantize": 20, "train": 20, "sparse": 20,
    "nas": 25,
    "points": 30, "video": 30, "text": 30, "gan": 30, "deploy": 30, "accel": 30, "circuit": 30, "quantum": 30,
    "exercises": 40, "panels": 40,
    "course": 50, "classroom": 50,
    "cli": 60,
}
SIDEWAYS = {("check", "show"), ("nas", "prune"), ("nas", "quantize"), ("nas", "train")}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "util", "helper"}
MAX_LINES = 400
MAX_FUNCTION_LINES = 60


def module_files():
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    """tinylib modules that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "tinylib"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tinylib":
            found |= {f"{node.module}.{a.name}" for a in node.names} | {node.module}
    return {f for f in found if len(f.split(".")) > 1}


def violations(importer: str, imported: set[str]) -> list[str]:
    """Imports that go upward or sideways."""
    here, bad = room(importer), []
    for name in imported:
        there = room(name)
        if here == there or (here, there) in SIDEWAYS or there not in FLOORS or here in ("", "__main__"):
            continue
        if FLOORS[there] >= FLOORS[here]:
            bad.append(f"{importer} imports {name}")
    return bad


def test_every_room_stands_on_a_floor():
    rooms = {room(module_name(p)) for p in module_files()} - {"", "__main__"}
    assert rooms <= set(FLOORS), f"rooms without a floor: {rooms - set(FLOORS)}"


def test_imports_go_down():
    bad = [v for p in module_files() for v in violations(module_name(p), imports(p))]
    assert not bad, "\n".join(bad)


def test_an_upward_import_is_seen():
    assert violations("tinylib.nn.layers", {"tinylib.prune.magnitude"})
    assert not violations("tinylib.prune.magnitude", {"tinylib.nn.layers"})


def test_no_cycles():
    names = {module_name(p) for p in module_files()}
    graph = {module_name(p): {i for i in imports(p) if i in names} - {module_name(p)} for p in module_files()}
    done, path = set(), []

    def visit(name):
        assert name not in path, "cycle: " + " -> ".join([*path[path.index(name):], name])
        if name in done:
            return
        path.append(name)
        for other in sorted(graph[name]):
            visit(other)
        path.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)
    assert done == names


@pytest.mark.parametrize("path", module_files(), ids=module_name)
def test_a_file_is_small_and_plain(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= MAX_LINES, f"{path.name} has {text.count(chr(10))} lines: split it by noun"
    assert path.stem not in FORBIDDEN_NAMES and not path.stem.endswith(("_v2", "_old")), path.name
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert "*" not in [a.name for a in node.names], f"star import in {path.name}"
            assert node.module != "tinylib" or node.level, f"{path.name}: import the leaf, not tinylib"
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno
            assert lines <= MAX_FUNCTION_LINES, f"{path.name}: {node.name} has {lines} lines"
    if path.name == "__init__.py" and path.parent != PACKAGE:
        assert len(tree.body) == 1, f"{path}: a room's __init__ is a docstring"
