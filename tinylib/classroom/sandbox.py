"""Where a learner's code runs. Levels: `process`, `bubblewrap`, `container`. One sandbox a submission; killed with everything in it.

`process` promises that an attack earns no points; `bubblewrap` promises no harm besides. Neither holds a secret or an expected value.
"""

import ast
import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinylib.classroom import confine, wire
from tinylib.classroom.worker import REPLY_BYTES
from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root

LEVELS = ("process", "bubblewrap", "container")
ENGINE = ("tinylib.classroom.wire", "tinylib.classroom.confine", "tinylib.classroom.worker", "tinylib.check.run", "tinylib.check.facts",
          "tinylib.check.limits")
CLOSED = ("tinylib.exercises", "tinylib.panels", "tinylib.course", "tinylib.check", "tinylib.classroom", "tinylib.cli")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/localtime")
START_SECONDS = 180
REPLY_EXTRA_SECONDS = 30
CONTAINER_END_SECONDS = 5


@dataclass(frozen=True)
class Limits:
    """Per exercise. `memory_mib` is on top of what torch maps; `processes` counts threads too."""

    memory_mib: int = 2048
    file_mib: int = 16
    processes: int = 6
    files: int = 64
    slack: float = 4.0          # wall seconds for a second of the exercise's own limit, because graders run side by side
    cpu: float = 2.0            # CPU seconds for the same


@dataclass(frozen=True)
class Level:
    """How to isolate. `command`: for `container`, a command line that runs the worker with the container's own Python.

    {stage} stands for the worker's folder and {worker} for the worker in it; {name} for a name of the container, by which it is removed at the end.
    """

    name: str
    command: str = ""

    def words(self) -> str:
        """One line for a report."""
        lock = "with Landlock" if confine.landlock_version() else "without Landlock (Python's audit hook only)"
        return {"process": f"isolation: process, {lock}. Attacks earn no points, but this is NOT safe for code of strangers.",
                "bubblewrap": "isolation: bubblewrap (own name spaces, no network, read-only, unprivileged).",
                "container": f"isolation: container, as strong as your command: {self.command}"}[self.name]


@cache
def bubblewrap_works() -> bool:
    """Whether bwrap is here and may make its name spaces."""
    if not shutil.which("bwrap"):
        return False
    test = [*_bubblewrap([], "/tmp"), "/bin/true"]
    return subprocess.run(test, capture_output=True, timeout=60).returncode == 0


def choose(name: str | None = None, command: str = "") -> Level:
    """The level asked for, else bubblewrap where it works, else process. TinylibError when it cannot be had."""
    name = name or ("container" if command else "bubblewrap" if bubblewrap_works() else "process")
    if name not in LEVELS:
        raise TinylibError(f"No isolation level {name!r}; there are {', '.join(LEVELS)}.")
    if name == "bubblewrap" and not bubblewrap_works():
        raise TinylibError("bubblewrap does not work here. Install it (Debian: apt-get install bubblewrap), or choose another level.")
    if name == "container" and not command:
        raise TinylibError("The level container needs a command, with {stage} where the worker's folder comes.")
    return Level(name, command)


def stage(harness: str, needs: tuple[str, ...], folder: Path) -> None:
    """Copy the worker, the check engine, one harness and its needs into `folder`. Refuses a need that would bring answers along."""
    wanted, seen = [*ENGINE, harness, *needs], set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        closed = name.startswith(CLOSED) and name not in ENGINE and name != harness
        path = _file_of(name)
        if closed or path is None:
            raise TinylibError(f"{harness} or its needs import {name}, which may not enter a sandbox.")
        _copy(name, path, folder)
        wanted += _imports(path)


def _file_of(name: str) -> Path | None:
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__file__", None):
        return Path(module.__file__)
    base = project_root().joinpath(*name.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _copy(name, path, folder):
    parts = name.split(".")
    target = folder.joinpath(*parts) / "__init__.py" if path.name == "__init__.py" else folder.joinpath(*parts).with_suffix(".py")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    for depth in range(1, len(parts)):
        package = folder.joinpath(*parts[:depth]) / "__init__.py"
        package.touch()


def _imports(path: Path) -> list[str]:
    """tinylib modules that a file imports."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.startswith("tinylib.")]
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("tinylib"):
            inner = [f"{node.module}.{a.name}" for a in node.names]
            found += [n for n in inner if _file_of(n)] or [node.module]
    return found


class SandboxLost(Exception):
    """The sandbox died or went silent; the message says which."""


class Sandbox:
    """A warm worker. Use as a context; `run` sends one exercise and gives the worker's reply as plain, untrusted data."""

    def __init__(self, level: Level, harness: str, needs: tuple[str, ...] = (), warm: tuple[str, ...] = ("torch",), limits: Limits | None = None):
        self.level, self.limits = level, limits or Limits()
        self.setup = {"harness": harness, "warm": list(warm), "limits": {k: getattr(self.limits, k) for k in ("memory_mib", "file_mib", "processes", "files")}}
        self.needs, self.process, self.mib, self.name = needs, None, 0, f"judge-{os.getpid()}-{os.urandom(6).hex()}"

    def __enter__(self):
        sweep(Path(tempfile.gettempdir()))
        self.folder = Path(tempfile.mkdtemp(prefix=f"judge-{os.getpid()}-"))
        self.uid = confine.FIRST_UID + int.from_bytes(os.urandom(4), "big") % 1_000_000_000 if os.geteuid() == 0 and self.level.name != "container" else 0
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self):
        self.folder.chmod(0o711)
        code, scratch = self.folder / "code", self.folder / "scratch"
        code.mkdir()
        scratch.mkdir(mode=0o700)
        stage(self.setup["harness"], self.needs, code)
        for path in [code, *code.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        if self.uid:
            os.chown(scratch, self.uid, self.uid)
        plain, container = self.level.name == "process", self.level.name == "container"
        self.setup |= {"uid": self.uid, "alone": self.level.name == "bubblewrap" or self.uid > 0, "scratch": str(scratch) if plain else "/tmp",
                       "wipe": not container, "never_root": container, "readable": [str(code), *readable()], "audit": plain,
                       "landlock": plain and confine.landlock_version() > 0}
        self.process = subprocess.Popen(self._command(code, scratch), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=environment(), cwd="/", bufsize=0, start_new_session=True)
        self._send(wire.pack(self.setup))
        ready = self._receive(START_SECONDS, 1 << 20)
        if not ready.get("ready"):
            raise SandboxLost(f"the sandbox did not start ({ready.get('failed')})")
        self.mib = ready.get("mib", 0)

    def _command(self, code: Path, scratch: Path) -> list[str]:
        worker = [sys.executable, "-I", "-B", str(code / "tinylib" / "classroom" / "worker.py")]
        if self.level.name == "bubblewrap":
            return [*_bubblewrap([str(code), *readable()], str(code)), *worker]
        if self.level.name == "container":
            return [part.format(stage=code, worker=worker[-1], python=sys.executable, name=self.name) for part in shlex.split(self.level.command)]
        return worker

    def run(self, request: dict) -> dict:
        """Reply to one request: {"runs": [...]} or {"lost": why}. Raises SandboxLost when the worker itself is gone."""
        seconds = request["seconds"]
        wall = seconds * self.limits.slack
        self._send(wire.pack(request | {"seconds": wall, "cpu": seconds * self.limits.cpu, "wall": wall * 2 + 2}))
        return self._receive(wall * 2 + 2 + REPLY_EXTRA_SECONDS, REPLY_BYTES)

    def _send(self, frame: bytes):
        try:
            view = memoryview(frame)
            while view:
                view = view[self.process.stdin.write(view):]
        except OSError:
            raise SandboxLost("the sandbox ended") from None

    def _receive(self, seconds: float, limit: int) -> dict:
        until, parts, size, want = time.monotonic() + seconds, [], 0, None
        while want is None or size < want:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise SandboxLost("the sandbox gave no answer")
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            if not part:
                raise SandboxLost("the sandbox ended")
            parts.append(part)
            size += len(part)
            if want is None and size >= wire.HEADER.size:
                want = wire.HEADER.size + sum(wire.HEADER.unpack(b"".join(parts)[:wire.HEADER.size]))
                if want > limit:
                    raise SandboxLost("the sandbox said too much")
        try:
            reply = wire.unpack(b"".join(parts), limit)
        except wire.BadFrame as error:
            raise SandboxLost(f"an unreadable answer: {error}") from None
        return reply if isinstance(reply, dict) else {"lost": "no answer"}

    def close(self):
        """End the worker and everything it started; remove its folder."""
        if self.process is not None:
            if self.level.name == "container":
                self._end_container()
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            for stream in (self.process.stdin, self.process.stdout):
                stream.close()
            self.process.wait()
        if self.uid:
            end_user(self.uid)
        confine.remove(str(self.folder))

    def _end_container(self):
        """An engine's client that is killed leaves its container running: close its input, wait, and where the command names it have it removed."""
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CONTAINER_END_SECONDS)
            return
        if "{name}" in self.level.command:
            words = shlex.split(self.level.command)
            engine = words[:words.index("run")] if "run" in words else words[:1]
            subprocess.run([*engine, "rm", "-f", self.name], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    def __exit__(self, *_):
        self.close()


def sweep(folder: Path) -> None:
    """Remove sandbox folders of ours whose grader was killed."""
    for path in folder.glob("judge-*-*"):
        pid = path.name.split("-")[1]
        with contextlib.suppress(OSError):
            if pid.isdigit() and path.stat().st_uid == os.geteuid() and not _alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_user(uid: int) -> None:
    """Kill every process of a user that was made up for one sandbox."""
    for _ in range(100):
        alive = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _owner(p) == uid]
        if not alive:
            return
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _owner(path):
    try:
        return int(next(line for line in (path / "status").read_text().splitlines() if line.startswith("Uid:")).split()[1])
    except (OSError, StopIteration):
        return None


@cache
def readable() -> tuple[str, ...]:
    """Folders that Python, numpy, torch and scipy live in; nothing of the course."""
    homes = {sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix), *sys.path[1:]}
    root = str(project_root())
    libraries = {p for p in homes if p and os.path.exists(p) and not (root + "/").startswith(p.rstrip("/") + "/") and ("site-packages" in p or p in
                 (sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)))}
    outermost = {p for p in libraries if not any(p.startswith(other + "/") for other in libraries)}
    return tuple(sorted({*outermost, *(p for p in SYSTEM if os.path.exists(p)), "/dev/urandom", "/dev/zero"}))


def environment() -> dict[str, str]:
    """What the worker's environment holds: nothing of ours."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _bubblewrap(binds: list[str], code: str) -> list[str]:
    """bwrap with every name space of its own; as root it keeps only the right to become nobody, which the worker does first."""
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent", "--new-session",
               "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    command += ["--tmpfs", "/", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--perms", "1777", "--size", str(64 << 20), "--tmpfs", "/tmp"]
    for path in dict.fromkeys([*(p for p in SYSTEM if os.path.exists(p)), *binds]):
        if path.startswith("/dev/"):
            continue
        for parent in reversed(Path(path).parents[:-1]):
            command += ["--perms", "0755", "--dir", str(parent)]        # else bwrap copies a closed /root
        link = path in SYSTEM and os.path.islink(path)              # /bin is usr/bin; a linked environment is bound as the folder that it is
        command += ["--symlink", os.readlink(path), path] if link else ["--ro-bind", path, path]
    return [*command, "--remount-ro", "/", "--chdir", "/tmp", "--setenv", "HOME", "/tmp"]
