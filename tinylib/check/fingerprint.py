"""What a function is made of, so that a check need not be run twice for the same code."""

import hashlib
import types

PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Unknown(Exception):
    """The code uses an object whose content cannot be named: a tensor, a model, an open file."""


def fingerprint(thing) -> str | None:
    """Hash that changes when the code of a function or class, its defaults, or a helper or constant of its notebook changes.

    None when it depends on something else; such code is checked anew each time.
    """
    try:
        return _text(thing, set())
    except Unknown:
        return None


def _text(thing, seen: set[int]) -> str:
    if isinstance(thing, classmethod | staticmethod):
        return _text(thing.__func__, seen)
    if isinstance(thing, type | types.FunctionType) and _is_notebooks(thing):
        if id(thing) in seen:
            return "again"
        seen.add(id(thing))
        text = _function(thing, seen) if isinstance(thing, types.FunctionType) else _class(thing, seen)
        return hashlib.sha256(text.encode()).hexdigest()
    if type(thing) in PLAIN:
        return repr(thing)
    if type(thing) in (list, tuple):
        return f"{type(thing).__name__}{[_text(item, seen) for item in thing]}"
    if isinstance(thing, types.ModuleType):
        return f"module {thing.__name__}"
    if isinstance(thing, type | types.FunctionType | types.BuiltinFunctionType):
        return f"{thing.__module__}.{thing.__qualname__}"
    if type(thing).__name__ == "dtype":
        return repr(thing)
    raise Unknown


def _function(function, seen) -> str:
    names = _names(function.__code__) & function.__globals__.keys()
    used = [f"{n}={_text(function.__globals__[n], seen)}" for n in sorted(names)]
    cells = [_cell(c, seen) for c in function.__closure__ or ()]
    defaults = _text([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()], seen)
    return f"{_code(function.__code__)} {defaults} {used} {cells}"


def _class(cls, seen) -> str:
    members = {n: v for n, v in vars(cls).items() if not n.startswith("__") or isinstance(v, types.FunctionType)}
    return f"class {cls.__name__} {[_text(b, seen) for b in cls.__bases__]} {[f'{n}={_text(v, seen)}' for n, v in sorted(members.items())]}"


def _cell(cell, seen) -> str:
    try:
        return _text(cell.cell_contents, seen)
    except ValueError:
        return "empty"


def _is_notebooks(thing) -> bool:
    """Written by the learner, so that its content counts and not its name."""
    return (thing.__module__ or "").split(".")[0] not in ("torch", "numpy", "builtins", "tinylib", "math", "itertools", "functools", "collections")


def _names(code) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _code(code) -> str:
    consts = [_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {consts}"
