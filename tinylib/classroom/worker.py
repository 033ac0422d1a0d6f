"""Runs inside the sandbox: torch warm, one fork an exercise, plain facts out. Knows no secret and no expected value.

Started as a script in a folder that holds this file, its two neighbours, the check engine's three modules, one harness and its `needs`.
"""

import ast
import contextlib
import importlib
import linecache
import os
import resource
import select
import signal
import sys
import tempfile
import time
import types

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tinylib.classroom import confine, wire  # noqa: E402

REPLY_BYTES = 96 << 20
CELL = "<your answer>"


def read_frame(stream) -> bytes | None:
    """The next frame of a trusted stream, None at its end."""
    head = stream.read(wire.HEADER.size)
    if len(head) < wire.HEADER.size:
        return None
    return head + stream.read(sum(wire.HEADER.unpack(head)))


def serve() -> None:
    """Read the set-up, warm up, confine, then answer one request after another until the judge closes the pipe."""
    requests, replies = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    requests = os.fdopen(os.dup(requests.fileno()), "rb")
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    setup = wire.unpack(read_frame(requests), 1 << 20)
    try:
        harness = warm(setup["harness"], setup["warm"])
        confine_server(setup)
    except Exception as error:
        replies.write(wire.pack({"failed": f"{type(error).__name__}: {error}"}))
        return
    replies.write(wire.pack({"ready": True, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
    while (frame := read_frame(requests)) is not None:
        reply = answer(wire.unpack(frame, 1 << 32, 1 << 32), setup, harness, requests.fileno())
        if reply is None:
            return
        replies.write(reply)


def warm(harness: str, modules: list[str]):
    """Import what the fork will need; no tensor operation, because threads do not survive a fork."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    return importlib.import_module(harness)


def confine_server(setup: dict) -> None:
    """Another user if we are root, Landlock or the hook at level `process`; closed to the debuggers of its own children, first to go when memory is short."""
    lock = setup["landlock"]
    confine.first_to_go()
    if setup["uid"]:
        confine.drop_user(setup["uid"], keep_reading=lock)
    elif os.geteuid() == 0 and setup["never_root"]:
        raise PermissionError("the container runs as root; give it another user, for example --user 65534:65534")
    confine.shut_to_debuggers()
    confine.adopt_orphans()
    setup["limits"] |= {"mapped": confine.mapped_bytes(), "tasks": confine.tasks_of_user()}
    if lock:
        confine.landlock(setup["readable"], [setup["scratch"], "/dev/null"])


def answer(request: dict, setup: dict, harness, requests: int) -> bytes | None:
    """Fork, wait within the limits, end every descendant, pass the bytes on unread. None when the judge is gone."""
    folder = tempfile.mkdtemp(dir=setup["scratch"])
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.closerange(3, writer)                                    # above all the pipes to the judge
        os.closerange(writer + 1, 4096)
        child_main(request, setup, harness, folder, writer)
    os.close(writer)
    body, why = collect(reader, requests, time.monotonic() + request["wall"])
    os.close(reader)
    end_all(child, setup["alone"])
    for left in confine.listed(setup["scratch"]) if setup["wipe"] else [folder]:
        confine.remove(os.path.join(setup["scratch"], left))
    if why == "gone":
        return None
    try:
        wire.unpack(body, REPLY_BYTES)
        return body
    except wire.BadFrame:
        return wire.pack({"lost": why})


def collect(reader: int, requests: int, until: float) -> tuple[bytes, str]:
    """Bytes of the child until it closes the pipe, its time is up or it says too much; and the reason."""
    parts, size = [], 0
    while (left := until - time.monotonic()) > 0:
        ready = select.select([reader, requests], [], [], left)[0]
        if reader in ready:
            part = os.read(reader, 1 << 20)
            if not part:
                return b"".join(parts), "ended"
            parts.append(part)
            size += len(part)
            if size > REPLY_BYTES:
                return b"", "size"
            if size >= wire.HEADER.size and size == wire.HEADER.size + sum(wire.HEADER.unpack(b"".join(parts)[:wire.HEADER.size])):
                return b"".join(parts), "ended"
        elif requests in ready:                                     # the judge writes only when it has our reply: this is its end
            return b"", "gone"
    return b"", "time"


def end_all(child: int, alone: bool) -> None:
    """Kill every process below this one. `alone`: this user or process space holds nothing but us, so one signal reaches all."""
    own_space = os.getpid() == 1 or alone and (os.getuid() >= confine.FIRST_UID or os.getpid() < 50)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if own_space:
                os.kill(-1, signal.SIGKILL)
            else:
                for pid in descendants():
                    os.kill(pid, signal.SIGKILL)
                os.kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(0.01)
        except ChildProcessError:
            return


def descendants() -> list[int]:
    """Processes below this one, by /proc."""
    parents = {}
    for name in filter(str.isdigit, confine.listed("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return list(found)


def child_main(request: dict, setup: dict, harness, folder: str, writer: int) -> None:
    """In the fork: limits, the answer cell, the harness, one frame, the end. Never returns."""
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.update(HOME=folder, TMPDIR=folder)
        tempfile.tempdir = None
        confine.limit(request["cpu"], **setup["limits"])
        if setup["landlock"]:
            confine.landlock([*setup["readable"], setup["scratch"]], [folder, "/dev/null"])
        if setup["audit"]:
            confine.audit((*setup["readable"], folder), (folder,))
        reply = wire.pack(run_answer(request, harness))
        if wire.HEADER.unpack_from(reply)[0] > wire.TEXT_BYTES:
            reply = wire.pack({"lost": "size"})
    except BaseException as error:
        reply = wire.pack({"lost": type(error).__name__})
    while reply:
        reply = reply[os.write(writer, reply):]
    os._exit(0)


def run_answer(request: dict, harness) -> dict:
    """Execute the answer cell, find the function or class, run it over the instances."""
    from tinylib.check import limits, run

    torch = sys.modules.get("torch")
    if torch:
        torch.set_num_threads(1)
    one = getattr(harness, request["function"])
    space, problem = load(request["source"], request["prelude"], limits, request["seconds"])
    if problem is None and request["entry"] not in space:
        problem = {"kind": "error", "sentence": f"The cell does not define `{request['entry']}`.", "line_number": 0}
    if problem is not None:
        return {"runs": [problem | {"facts": {}}]}
    report = run.run_instances(one, space[request["entry"]], request["instances"], request["seconds"])
    return {"runs": [{"kind": r.kind, "facts": r.facts, "sentence": r.sentence, "line_number": r.line_number} for r in report.runs]}


def load(source: str, prelude: list[str], limits, seconds: float) -> tuple[dict, dict | None]:
    """(names of the answer cell, None or what went wrong). The prelude is the released lab's own imports."""
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    space = vars(module)
    for line in prelude:
        try:
            exec(line, space)
        except Exception:
            continue
    linecache.cache[CELL] = (len(source), None, source.splitlines(True), CELL)
    with limits.captured(space):
        try:
            with limits.time_limit(seconds):
                exec(compile(ast.parse(source, CELL), CELL, "exec"), space)
        except limits.OutOfTime:
            return space, {"kind": "time", "sentence": "The cell itself did not finish.", "line_number": 0}
        except SyntaxError as error:
            return space, {"kind": "error", "sentence": "SyntaxError", "line_number": int(error.lineno or 0)}
        except BaseException as error:
            return space, {"kind": "error", "sentence": type(error).__name__, "line_number": 0}
    return space, None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()
