"""What a function is made of, so that a check need not be run twice for the same code."""

import types


def fingerprint(thing, seen: frozenset = frozenset()) -> str:
    """Text that changes when the code of a function or class, its defaults, or a helper or constant of its notebook changes."""
    if id(thing) in seen:
        return "again"
    seen = seen | {id(thing)}
    if isinstance(thing, types.FunctionType):
        names = {n: thing.__globals__[n] for n in _names(thing.__code__) if n in thing.__globals__}
        cells = [c.cell_contents for c in thing.__closure__ or () if c != types.CellType()]
        used = [f"{n}={fingerprint(v, seen)}" for n, v in sorted(names.items())] + [fingerprint(c, seen) for c in cells]
        return f"{_code(thing.__code__)} {thing.__defaults__!r} {thing.__kwdefaults__!r} {used}"
    if isinstance(thing, classmethod | staticmethod):
        return fingerprint(thing.__func__, seen)
    if isinstance(thing, type) and _is_notebooks(thing):
        members = [f"{n}={fingerprint(v, seen)}" for n, v in sorted(vars(thing).items()) if not n.startswith("__") or callable(v)]
        return f"class {thing.__name__} {thing.__bases__!r} {members}"
    if thing is None or type(thing) in (bool, int, float, complex, str, bytes):
        return repr(thing)
    return f"{type(thing).__name__} {getattr(thing, '__name__', '')} {id(thing)}"


def _is_notebooks(cls) -> bool:
    return cls.__module__.split(".")[0] not in ("torch", "numpy", "builtins", "tinylib")


def _names(code) -> set[str]:
    inner = [_names(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*inner)


def _code(code) -> str:
    consts = [_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {consts}"
