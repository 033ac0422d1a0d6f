"""Runs a harness over instances: time limit, captured output, no exit, no input; gives plain facts or one sentence.

Self-contained like `facts`, because the judge's worker runs it too. Knows no expected value.
"""

import builtins
import copy
import functools
import inspect
import linecache
import math
import sys
import time
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinylib.check.facts import NotPlain, a_kind, plain_facts
from tinylib.check.limits import NOT_LEARNERS, OutOfTime, captured, time_limit


@dataclass(frozen=True)
class Run:
    """What came of one instance.

    `kind`: "facts" (then `facts` is filled), "error", "not started" (the stub is still there), "time" or "value" (no plain result).
    `sentence` says what happened; `line` is the learner's own line, `line_number` counts from 1 inside its cell.
    """

    kind: str
    facts: dict = field(default_factory=dict)
    sentence: str = ""
    line: str = ""
    line_number: int = 0


@dataclass(frozen=True)
class Report:
    """All runs up to and including the first without facts, and what the code printed (capped)."""

    runs: tuple[Run, ...]
    output: str = ""
    seconds: float = 0.0


def run_instances(harness: Callable, fn: Callable, instances: list[dict], seconds: float) -> Report:
    """Run `harness(fn, copy of args)` for every instance within `seconds` together; stops at the first run without facts. Never raises."""
    runs, start = [], time.monotonic()
    with captured(_global_names(fn)) as output:
        for args in instances:
            left = seconds - (time.monotonic() - start)
            runs.append(run_one(harness, fn, args, left, seconds))
            if runs[-1].kind != "facts":
                break
    return Report(tuple(runs), output.text(), time.monotonic() - start)


def run_one(harness: Callable, fn: Callable, args: dict, left: float, limit: float) -> Run:
    """One instance; `left` seconds remain of `limit`."""
    returned: list = []
    saved = _library_functions()
    try:
        with time_limit(left):
            return Run("facts", plain_facts(harness(_watched(fn, returned), copy.deepcopy(args))))
    except OutOfTime:
        return Run("time", sentence=f"Your code did not finish within {limit:g} seconds. Is there a loop that never ends?")
    except NotPlain as error:
        return Run("value", sentence=_missing_return(returned) or str(error))
    except BaseException as error:
        return _explain(error, harness, returned)
    finally:
        _restore(saved)


def _watched(fn, returned: list):
    """A plain function that notes the last value it returned; classes and other callables pass through."""
    if type(fn) is not types.FunctionType:
        return fn

    @functools.wraps(fn)
    def call(*args, **kwargs):
        returned[:] = [fn(*args, **kwargs)]
        return returned[0]

    return call


def _missing_return(returned):
    return "Your function returned None: is a `return` missing?" if returned and returned[0] is None else ""


def _explain(error: BaseException, harness, returned) -> Run:
    """The run for an exception, with the deepest line of the learner's own code."""
    frames = [(f.f_code, n) for f, n in traceback.walk_tb(error.__traceback__) if _is_learners(f.f_code.co_filename, harness)]
    code, number = frames[-1] if frames else (None, 0)
    line = linecache.getline(code.co_filename, number).strip()[:200] if code else ""
    if isinstance(error, NotImplementedError) and not error.args and code:
        return Run("not started", sentence=f"`{code.co_name}` is not written yet.", line=line, line_number=number)
    return Run("error", sentence=_sentence(error, bool(code), returned), line=line, line_number=number)


def _sentence(error, in_learners_code, returned) -> str:
    name, text = type(error).__name__, _message(error)
    if isinstance(error, RecursionError):
        return "Your function calls itself without end (RecursionError). Which call should stop it?"
    if isinstance(error, SystemExit):
        return "Your code asked Python to exit. End the function with `return` instead."
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted."
    if isinstance(error, EOFError) and "input" in text:
        return text
    if in_learners_code:
        return f"Your code stopped with {name}: {text}" if text else f"Your code stopped with {name}."
    if returned:
        return _missing_return(returned) or f"Your function returned {a_kind(returned[0])}, which the check could not use ({name}: {text})."
    return f"The check could not call or use your code ({name}: {text})."


def _message(error) -> str:
    try:
        lines = str(error).strip().splitlines()
        return lines[0][:300] if lines else ""
    except Exception:
        return "(its message cannot be shown)"


def _is_learners(filename: str, harness) -> bool:
    """Notebook cells and the learner's own files; not libraries, tinylib or the harness."""
    code = getattr(harness, "__code__", None)
    return not (filename.startswith(NOT_LEARNERS) or (code and filename == code.co_filename))


def _global_names(fn) -> dict:
    """The namespace in which the learner's code looks up `exit`: the notebook's."""
    fn = inspect.unwrap(fn) if callable(fn) else fn
    if isinstance(fn, types.FunctionType):
        return fn.__globals__
    module = sys.modules.get(getattr(fn, "__module__", None) or "")
    return vars(module) if module else {}


def _library_functions() -> list[tuple[dict, dict]]:
    """Snapshot of the libraries' names, so that code that replaces `numpy.allclose` changes nothing that comes after."""
    torch = sys.modules.get("torch")
    modules = [builtins, math, np, np.testing, *([torch, torch.testing, torch.nn.functional] if torch else [])]
    return [(vars(m), dict(vars(m))) for m in modules]


def _restore(saved) -> None:
    for names, before in saved:
        for name, value in before.items():
            if callable(value) and names.get(name) is not value:
                names[name] = value
