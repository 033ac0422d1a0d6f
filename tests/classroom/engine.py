"""A real container engine for the tests: podman with runc, no image from anywhere, the machine's own /usr and Python read-only in an empty root."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tinylib.classroom import sandbox
from tinylib.classroom.judge import Course

ASK = ("--network none --read-only --cap-drop all --security-opt no-new-privileges --user 65534:65534 --pids-limit 128 --memory 6g "
       "--ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --tmpfs /tmp:size=64m,mode=1777")


def command(folder: Path) -> str:
    """The command line for --container; `folder` takes the engine's own files and the root."""
    root = folder / "root"
    for name in ("proc", "sys", "dev", "tmp", "etc", "run", "var"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    mounts = []
    for path in map(Path, sandbox.readable()):
        if str(path) in sandbox.SYSTEM and path.is_symlink():
            if path.parent == Path("/") and not os.path.lexists(root / path.name):
                (root / path.name).symlink_to(os.readlink(path))
        elif not str(path).startswith("/dev/"):
            mounts.append(f"-v {path.resolve()}:{path}:ro")
    engine = f"podman --runtime runc --root {folder}/store --runroot {folder}/run --cgroup-manager cgroupfs --storage-driver vfs"
    return f"{engine} run --rm -i --name {{name}} {ASK} {' '.join(mounts)} -v {{stage}}:{{stage}}:ro --rootfs {root} {{python}} -I -B {{worker}}"


def why_not(folder: Path) -> str:
    """What the engine says when it cannot run a program; "" when it can."""
    missing = [name for name in ("podman", "runc") if not shutil.which(name)]
    if missing:
        return f"no {' and no '.join(missing)} (Debian: apt-get install podman runc)"
    line = command(folder).partition("{python}")[0].replace("{name}", f"judge-test-{os.getpid()}").replace("-v {stage}:{stage}:ro", "")
    done = subprocess.run([*line.split(), "/bin/true"], capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stderr.strip()[-300:]


@pytest.fixture(scope="module")
def engine():
    """A function (**limits) that gives a course at the level `container`. Skips, or under CI=true fails, where no engine works."""
    folder = Path(tempfile.mkdtemp(prefix="pod-"))              # short: the engine's sockets have paths of at most 108 characters
    folder.chmod(0o755)
    problem = why_not(folder)
    if problem:
        shutil.rmtree(folder, ignore_errors=True)
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"container level not tested: {problem}")
    yield lambda **limits: Course("class secret", sandbox.choose("container", command(folder)), limits=sandbox.Limits(**limits))
    shutil.rmtree(folder, ignore_errors=True)
