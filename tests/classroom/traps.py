"""What an attack might touch, and the test of one attack: no points, no harm."""

import dataclasses
import os
import resource
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest
from classes import RIGHT, ROOT, TARGET, lab

from tinylib.check import find
from tinylib.check.learner import learner_rng
from tinylib.classroom.answers import Answers
from tinylib.classroom.judge import judge

CALL = "def output_size(n, kernel, stride, padding, dilation):\n"
EXPRESSION = "(n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1"
PARAMS = "def conv_params(c, k, kernel, groups, bias):\n    return k * (c // groups) * kernel[0] * kernel[1] + (k if bias else 0)\n"
OURS = (ROOT / "DECISIONS.md", ROOT / "tinylib" / "check" / "verdict.py", ROOT / "tinylib" / "check" / "run.py")
SWELL_MIB = 1024


def visible_only() -> dict[str, str]:
    """Answers that know the visible instances only."""
    instances = find.exercise(TARGET).instances(learner_rng("ada", TARGET))
    table = {tuple(a[k] for k in ("n", "kernel", "stride", "padding", "dilation")): find.exercise(TARGET).oracle(a)["size"] for a in instances}
    return {"visible": f"T = {set(table)!r}\n{CALL}    return {EXPRESSION} if (n, kernel, stride, padding, dilation) in T else 0",
            "by_heart": f"T = {table!r}\n{CALL}    return T.get((n, kernel, stride, padding, dilation), 3)"}


class Traps:
    """A file anybody may write, another student's right answer that anybody may read, listening sockets, a grader that hears signals."""

    def __init__(self, folder: Path):
        self.folder, self.canary, self.other, self.heard = folder / "open", folder / "open" / "canary", folder / "other.py", []
        self.folder.mkdir()
        for path in [self.folder, folder, *folder.parents]:
            if path != Path("/") and path.stat().st_uid == os.getuid() and path != Path("/tmp"):
                path.chmod(0o755)
        self.folder.chmod(0o777)
        self.canary.write_text("untouched")
        self.canary.chmod(0o666)
        self.other.write_text(RIGHT)
        self.other.chmod(0o644)
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        udp, local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)
        udp.bind(("127.0.0.1", self.port))
        self.sockets = [tcp, udp, local]
        if hasattr(socket, "AF_NETLINK"):                       # Linux: a name without a file
            local.bind(f"\0judge-test-{self.port}")
            local.listen()
        for each in self.sockets:
            each.settimeout(0.02)
        self.before = signal.signal(signal.SIGUSR1, lambda *a: self.heard.append(a[0]))
        self.code = [path.read_bytes() for path in OURS]

    def fill(self, source: str) -> str:
        """The attack with the traps' names in it."""
        words = {"canary": self.canary, "other": self.other, "port": self.port, "root": ROOT, "grader": os.getpid(), "right": EXPRESSION, **visible_only()}
        for word, value in words.items():
            source = source.replace("{" + word + "}", str(value))
        return source

    def harm(self) -> list[str]:
        """What was touched."""
        touched = [] if [p.name for p in self.folder.iterdir()] == ["canary"] and self.canary.read_text() == "untouched" else ["an open file"]
        for name, each, hear in zip(("TCP", "UDP", "a local socket"), self.sockets, ("accept", "recv", "accept")):
            try:
                getattr(each, hear)(*([9] if hear == "recv" else []))
                touched.append(name)
            except OSError:
                pass
        return touched + ["the grader heard a signal"] * bool(self.heard)

    def close(self):
        """Everything as before."""
        signal.signal(signal.SIGUSR1, self.before)
        for each in self.sockets:
            each.close()


@pytest.fixture
def traps(tmp_path):
    """Fresh traps."""
    made = Traps(tmp_path)
    yield made
    made.close()


def sandbox_processes() -> set[str]:
    """Processes, whoever their parent is, that started as a worker of one of this test's sandboxes: a fork keeps its command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if f"judge-{os.getpid()}-".encode() in words:
            found.add(path.name)
    return found


def until(true, seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def attack(source: str, course, traps: Traps) -> None:
    """No points at any level; at bubblewrap and in a container no harm besides, and the next exercise has its points."""
    released = dataclasses.replace(lab(), prelude=("import torch",)) if "torch" in source else lab()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = judge(Answers("ada", {TARGET: traps.fill(source), "start_here.conv_params": PARAMS}), released, course)
    scores = {s.id: s for s in result.scores}
    assert scores[TARGET].points == 0, scores[TARGET]
    assert ("NOT safe" in result.level) == (course.level.name == "process")
    assert [path.read_bytes() for path in OURS] == traps.code
    if course.level.name == "container":
        until(lambda: not sandbox_processes())                  # the engine tidies up after its client
    assert not sandbox_processes()
    assert not list(Path(tempfile.gettempdir()).glob(f"judge-{os.getpid()}-*")), "a folder was left behind"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < SWELL_MIB << 10, "the grader swelled"
    if course.level.name != "process":
        assert traps.harm() == []
        assert scores["start_here.conv_params"].points == 3, "the attack must not cost another exercise"
