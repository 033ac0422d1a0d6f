"""What surrounds a learner's call: a time limit, captured output, no exit and no input. Everything is put back afterwards."""

import builtins
import contextlib
import ctypes
import io
import os
import signal
import sys
import threading

import numpy as np

OUTPUT_CHARACTERS = 20_000
TICK_SECONDS = 0.05
OWN_FILES = (__file__, contextlib.__file__)
ENGINE_FOLDER = os.path.dirname(os.path.abspath(__file__))
PACKAGE_FOLDER = os.path.dirname(ENGINE_FOLDER)
NOT_LEARNERS = ("<frozen", PACKAGE_FOLDER, os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(np.__file__)))


class OutOfTime(BaseException):
    """Raised inside the learner's code when its time is up; no `except Exception` of theirs catches it."""


class CappedText(io.TextIOBase):
    """A text stream that keeps the first characters and counts the rest."""

    def __init__(self, limit: int = OUTPUT_CHARACTERS):
        self.kept, self.size, self.limit = [], 0, limit

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.size < self.limit:
            self.kept.append(str(text)[: self.limit - self.size])
        self.size += len(text)
        return len(text)

    def text(self) -> str:
        """What was kept, with a last line that says how much was cut."""
        cut = self.size - self.limit
        return "".join(self.kept) + (f"\n... {cut:,} more characters were printed" if cut > 0 else "")


class ClosedInput(io.TextIOBase):
    """A standard input with nothing to read."""

    def readable(self) -> bool:
        return True

    def read(self, *_) -> str:
        raise EOFError("Your code waits for input. A check gives none: use the arguments.")

    readline = read


def _no_input(*_):
    raise EOFError("Your code calls `input()`. A check gives none: use the arguments.")


def _no_exit(*_):
    raise SystemExit


@contextlib.contextmanager
def captured(namespace: dict):
    """Replace stdout, stderr, stdin, `input`, `exit` and `quit` (also in the notebook's `namespace`); yields the CappedText."""
    output = CappedText()
    streams = sys.stdout, sys.stderr, sys.stdin
    replaced = []
    for names in (vars(builtins), namespace):
        for name, value in (("exit", _no_exit), ("quit", _no_exit), ("input", _no_input)):
            if name in names:
                replaced.append((names, name, names[name]))
                names[name] = value
    sys.stdout = sys.stderr = output
    sys.stdin = ClosedInput()
    try:
        yield output
    finally:
        sys.stdout, sys.stderr, sys.stdin = streams
        for names, name, value in reversed(replaced):
            names[name] = value


def time_limit(seconds: float):
    """Context that raises OutOfTime inside the block after `seconds`, again and again until the block is left."""
    on_main = threading.current_thread() is threading.main_thread()
    return _alarm(seconds) if on_main and hasattr(signal, "setitimer") else _watchdog(seconds)


@contextlib.contextmanager
def _alarm(seconds):
    rings, active, tracer = 0, True, sys.gettrace()

    def ring(_, frame):
        nonlocal rings
        if active and frame.f_code.co_filename not in OWN_FILES:    # never between the learner's call and our clean-up
            rings += 1
            if rings > 1:
                _trap(frame)
            raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    timer = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), TICK_SECONDS)
    try:
        yield
    finally:
        active = False
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
        sys.settrace(tracer)


def _trap(frame) -> None:
    """For a loop whose bare `except:` swallowed the first ring: raise again on the learner's next line, which is in that `except`."""
    def trace(frame, event, arg):
        if event == "line":
            raise OutOfTime
        return trace

    while frame is not None and not frame.f_code.co_filename.startswith(ENGINE_FOLDER):
        if not frame.f_code.co_filename.startswith(NOT_LEARNERS):
            frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(lambda *_: None)


@contextlib.contextmanager
def _watchdog(seconds):
    """The same from another thread, where signals do not reach: works between two Python instructions."""
    target, lock, over = threading.get_ident(), threading.Lock(), threading.Event()

    def watch():
        wait = max(seconds, 1e-3)
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(target), ctypes.py_object(OutOfTime))
            wait = TICK_SECONDS

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(target), None)
