"""Ready-made properties. Each maker returns a Property whose sentence names the fact by its key."""

from collections.abc import Callable

import numpy as np

from tinylib.check.exercise import Args, Facts, Property
from tinylib.check.facts import a_kind, close, is_number


def agrees(key: str, atol: float = 0.0, rtol: float = 0.0, name: str = "", group: str = "core") -> Property:
    """Fact `key` equals the oracle's: exactly, or with |difference| <= atol + rtol * larger magnitude. Shapes must be equal."""
    def test(args: Args, got: Facts, expected: Facts) -> str | None:
        return difference(key, got.get(key), expected[key], atol, rtol)

    tolerance = f" (within {atol:g} + {rtol:g} x size)" if atol or rtol else " exactly"
    return Property(name or f"`{key}` agrees with the slow and obvious computation{tolerance}", test, group)


def difference(key: str, got, want, atol: float = 0.0, rtol: float = 0.0) -> str | None:
    """One sentence on how `got` differs from `want`, or None."""
    if got is None and want is not None:
        return f"`{key}` is None: is a `return` missing?"
    if _numeric(want):
        return _array_difference(key, got, np.asarray(want), atol, rtol) if _numeric(got) else _wrong_kind(key, got, want)
    if isinstance(want, list | dict):
        return _nested_difference(key, got, want, atol, rtol)
    return None if type(got) is type(want) and got == want else f"`{key}` should be {want!r}, but it is {_short(got)}."


def _numeric(value) -> bool:
    return is_number(value) or isinstance(value, np.ndarray)


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else a_kind(value)


def _wrong_kind(key, got, want):
    return f"`{key}` should be {a_kind(want)}, but it is {a_kind(got)}."


def _array_difference(key, got, want, atol, rtol):
    got = np.asarray(got)
    if got.shape != want.shape:
        return f"`{key}` should have shape {list(want.shape)}, but it has {list(got.shape)}."
    new_nan = not_finite(key, np.where(np.isfinite(want), got, 0)) if got.size else None
    if new_nan:
        return new_nan
    wrong = ~close(got, want, atol, rtol)
    if not wrong.any():
        return None
    if got.ndim == 0:
        return f"`{key}` should be {_entry(want)}, but it is {_entry(got)}."
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (f"`{key}` differs in {int(wrong.sum())} of {wrong.size} entries, first at {list(first)}: "
            f"expected {_entry(want[first])}, got {_entry(got[first])}.")


def _entry(scalar) -> str:
    value = scalar.item()
    return str(value) if isinstance(value, bool | int) else f"{value:.8g}"


def _nested_difference(key, got, want, atol, rtol):
    if type(got) is not type(want):
        return _wrong_kind(key, got, want)
    if isinstance(want, dict):
        if got.keys() != want.keys():
            return f"`{key}` should have the names {sorted(want)}, but it has {sorted(got)[:20]}."
        pairs = [(f"{key}[{k!r}]", got[k], want[k]) for k in want]
    else:
        if len(got) != len(want):
            return f"`{key}` should have {len(want)} items, but it has {len(got)}."
        pairs = [(f"{key}[{i}]", g, w) for i, (g, w) in enumerate(zip(got, want))]
    return next((d for d in (difference(k, g, w, atol, rtol) for k, g, w in pairs) if d), None)


def shape_and_dtype(key: str, group: str = "core") -> Property:
    """Fact `key` has the oracle's shape and dtype (arrays), or the same kind of number or container."""
    def test(args: Args, got: Facts, expected: Facts) -> str | None:
        value, want = got.get(key), expected[key]
        if isinstance(want, np.ndarray) and isinstance(value, np.ndarray):
            if value.shape != want.shape:
                return f"`{key}` should have shape {list(want.shape)}, but it has {list(value.shape)}."
            return None if value.dtype == want.dtype else f"`{key}` should have type {want.dtype}, but it has type {value.dtype}."
        if value is None and want is not None:
            return f"`{key}` is None: is a `return` missing?"
        return None if type(value) is type(want) else _wrong_kind(key, value, want)

    return Property(f"`{key}` has the right shape and type", test, group)


def finite(key: str, group: str = "core") -> Property:
    """Fact `key` holds neither NaN nor infinity."""
    return Property(f"`{key}` is finite", lambda args, got, expected: not_finite(key, np.asarray(got[key])), group)


def not_finite(key: str, array: np.ndarray) -> str | None:
    """One sentence on the first NaN or infinity in `array`, or None."""
    bad = ~np.isfinite(array)
    if not bad.any():
        return None
    if array.ndim == 0:
        return f"`{key}` is {array.item()}."
    first = [int(i) for i in np.argwhere(bad)[0]]
    return f"`{key}` holds {int(bad.sum())} values that are NaN or infinite, first at {first}."


def in_range(key: str, low: float, high: float, group: str = "core") -> Property:
    """Every entry of fact `key` lies in [low, high]."""
    def test(args: Args, got: Facts, expected: Facts) -> str | None:
        array = np.asarray(got[key])
        bad = ~((array >= low) & (array <= high))
        return f"`{key}` should stay between {low:g} and {high:g}, but it holds {array[bad].flat[0]:g}." if bad.any() else None

    return Property(f"`{key}` stays between {low:g} and {high:g}", test, group)


def no_mutation(key: str = "mutated", group: str = "core") -> Property:
    """Fact `key`, made by the harness, is False, "" or an empty list; else it names the changed input (True = some input)."""
    def test(args: Args, got: Facts, expected: Facts) -> str | None:
        changed = got[key]
        if changed is False or changed in ("", []):
            return None
        names = changed if isinstance(changed, str) else ", ".join(map(str, changed)) if isinstance(changed, list) else ""
        return f"Your code changes its input{' `' + names + '`' if names else ''} in place. Work on a copy (`.clone()`)."

    return Property("the inputs are left unchanged", test, group)


def at_most(key: str, limit: str | Callable[[Args], float], unit: str = "", group: str = "core") -> Property:
    """A cost: number `key` is at most `limit(args)`, or at most the oracle's fact named `limit`."""
    def test(args: Args, got: Facts, expected: Facts) -> str | None:
        allowed = expected[limit] if isinstance(limit, str) else limit(args)
        return None if got[key] <= allowed else f"`{key}` is {got[key]:g} {unit}".rstrip() + f", but {allowed:g} {unit}".rstrip() + " is enough."

    return Property(f"`{key}` is no larger than needed", test, group)


def holds(key: str, name: str, sentence: str, group: str = "core") -> Property:
    """The harness's yes-or-no fact `key` is True; `sentence` is shown when it is not."""
    return Property(name, lambda args, got, expected: None if got[key] is True else sentence, group)
