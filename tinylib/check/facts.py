"""Plain facts: what may leave a learner's code. Self-contained (numpy, torch if loaded), because the judge's worker runs it too.

Nothing here evaluates a method of a learner's object: types are read with `type()`, and values are copied by numpy's and torch's own code.
"""

import sys

import numpy as np

MAX_ELEMENTS = 20_000_000
MAX_TEXT = 100_000
MAX_ITEMS = 100_000
MAX_DEPTH = 6
NUMPY_SCALARS = frozenset(np.sctypeDict.values())


class NotPlain(Exception):
    """A value that is no plain array, number, string or list; the message is a sentence for the learner."""


def plain_facts(facts) -> dict:
    """Copy of a harness's facts with tensors as numpy arrays and numpy scalars as Python numbers. Raises NotPlain."""
    if type(facts) is not dict:
        raise NotPlain(f"The check got {a_kind(facts)} where a dictionary of facts was expected.")
    return {_key(k): plain(v, f"`{k}`") for k, v in facts.items()}


def plain(value, name: str = "The result", depth: int = 0):
    """Copy of one value as plain data. Raises NotPlain with one sentence that begins with `name`."""
    kind = type(value)
    if value is None or kind in (bool, int, float, complex):
        return value
    if kind is str:
        return _text(value, name)
    if kind in NUMPY_SCALARS:
        return value.item() if issubclass(kind, np.number | np.bool_ | np.str_) else _refuse(value, name)
    if issubclass(kind, np.ndarray):
        return _array(value, name)
    if is_tensor(value):
        return _tensor(value, name)
    if kind in (list, tuple, dict):
        return _container(value, name, depth)
    return _refuse(value, name)


def is_tensor(value) -> bool:
    """True for a torch tensor of any subclass; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and issubclass(type(value), torch.Tensor)


def a_kind(value) -> str:
    """Words for the type of a value: "a tensor of shape [2, 3] and type float32", "None", "a list of 3"."""
    if value is None:
        return "None"
    if issubclass(type(value), np.ndarray):
        return f"an array of shape {list(value.shape)} and type {value.dtype}"
    if is_tensor(value):
        return f"a tensor of shape {list(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    if type(value) in (list, tuple):
        return f"a {type(value).__name__} of {len(value)}"
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", dict: "a dictionary"}
    known = names.get(type(value))
    return known or f"an object of type {type(value).__name__[:60]}"


def _refuse(value, name):
    raise NotPlain(f"{name} is {a_kind(value)}; a plain array, tensor, number, text or list was expected.")


def _key(key) -> str:
    if type(key) is not str:
        raise NotPlain("A fact has a name that is no text.")
    return key


def _text(value, name):
    if len(value) > MAX_TEXT:
        raise NotPlain(f"{name} is a text of {len(value):,} characters, more than the {MAX_TEXT:,} allowed.")
    return value


def _array(value, name):
    array = np.array(value, copy=True, subok=False)
    if array.dtype.kind == "U" and array.size <= MAX_ITEMS:
        return array.tolist()
    if array.dtype.kind not in "biufc":
        raise NotPlain(f"{name} is an array of {array.dtype} items; an array of numbers was expected.")
    if array.size > MAX_ELEMENTS:
        raise NotPlain(f"{name} has {array.size:,} elements, more than the {MAX_ELEMENTS:,} allowed.")
    return array


def _tensor(value, name):
    torch = sys.modules["torch"]
    with torch._C.DisableTorchFunctionSubclass():
        if value.requires_grad:
            raise NotPlain(f"{name} still needs a gradient: compute it under `torch.no_grad()` or return `.detach()`.")
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise NotPlain(f"{name} is a tensor of layout {value.layout} on {value.device}; a dense CPU tensor was expected.")
        value = value.detach().resolve_conj().resolve_neg()
        if value.dtype in (torch.bfloat16, torch.float16):
            return _array(value.float().numpy().astype(np.float32 if value.dtype is torch.bfloat16 else np.float16), name)
        return _array(value.numpy(), name)


def _container(value, name, depth):
    if depth >= MAX_DEPTH:
        raise NotPlain(f"{name} is nested more than {MAX_DEPTH} levels deep.")
    if len(value) > MAX_ITEMS:
        raise NotPlain(f"{name} has {len(value):,} items, more than the {MAX_ITEMS:,} allowed.")
    if type(value) is dict:
        return {_key(k): plain(v, f"{name}[{k!r}]", depth + 1) for k, v in value.items()}
    return [plain(v, f"{name}[{i}]", depth + 1) for i, v in enumerate(value)]


def same(a, b, rtol: float = 1e-6) -> bool:
    """Whether two plain values are equal: same shapes and types, floats within `rtol` of the larger, NaN equal to NaN."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            return False
        return bool(np.all(close(a, b, 0.0, rtol)))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k], rtol) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, rtol) for x, y in zip(a, b))
    if is_number(a) and is_number(b):
        return bool(close(np.asarray(a), np.asarray(b), 0.0, rtol))
    return type(a) is type(b) and a == b


def size_of(args) -> int:
    """How large an instance is: its array elements, list items and text characters together. `sorted(instances, key=size_of)` puts the smallest first."""
    if isinstance(args, np.ndarray):
        return args.size
    if isinstance(args, dict):
        return sum(size_of(v) for v in args.values())
    if isinstance(args, list | tuple):
        return sum(size_of(v) for v in args)
    return len(args) if isinstance(args, str) else 1


def is_number(value) -> bool:
    """True for a plain Python number (bool included)."""
    return type(value) in (bool, int, float, complex)


def close(a: np.ndarray, b: np.ndarray, atol: float, rtol: float) -> np.ndarray:
    """Elementwise: |a - b| <= atol + rtol * max(|a|, |b|), exact where both are 0; NaN equals NaN, infinities equal themselves."""
    if a.dtype.kind in "biu" and b.dtype.kind in "biu" and not (atol or rtol):
        return np.asarray(a == b)
    wide = complex if "c" in (a.dtype.kind, b.dtype.kind) else float
    a, b = a.astype(wide), b.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(a - b) <= atol + rtol * np.maximum(np.abs(a), np.abs(b))
    finite = np.isfinite(a) & np.isfinite(b)
    return np.where(finite, near, (a == b) | (np.isnan(a) & np.isnan(b)))
