"""Makes the course's environment in .venv; runs on a bare Python 3.11+ (standard library only)."""

from __future__ import annotations  # so that an older Python can still say what is wrong

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HELP = "make the environment in .venv (what `make setup` does)"
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# Building a grammar at import costs every Jupyter command four seconds; jsonschema does without it.
SLOW_AND_OPTIONAL = "rfc3987-syntax"
SYSTEM_PROGRAMS = {         # program -> Debian package, wanted by `make test` only
    "chromium": "chromium",
    "bwrap": "bubblewrap",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}
SYSTEM_LIBRARIES = {"libnewlib-arm-none-eabi": "/usr/lib/arm-none-eabi/newlib"}   # package -> a path that it brings


def add_arguments(parser):
    parser.add_argument("--test", action="store_true", help="also what `make test` needs")


def run(args) -> int:
    problem = python_problem()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    make_environment(("test",) if args.test else ())
    if args.test:
        return install_system_programs()
    return 0


def python_problem() -> str | None:
    """One sentence on why this Python cannot make the environment; None when it can."""
    if sys.version_info < (3, 11):     # noqa: UP036 (this file also runs on a Python that is too old)
        return f"This is Python {platform.python_version()}; the course needs 3.11 or newer. Call make with PYTHON=python3.12, say."
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        return f"This Python has no {' and no '.join(missing)}; install them first (on Debian and Ubuntu: sudo apt install python3-venv)."
    return None


def fingerprint(extras: tuple[str, ...]) -> str:
    """Hash of all that decides what the environment holds."""
    parts = [sys.version, repr(extras), (ROOT / "pyproject.toml").read_text(), (ROOT / "constraints.txt").read_text(), Path(__file__).read_text()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def make_environment(extras: tuple[str, ...]) -> None:
    """Environment with the pinned packages; a second call with nothing changed returns at once."""
    stamps = {e: VENV / f"stamp-{'-'.join(e) or 'core'}" for e in {extras, ("test",)}}
    if PYTHON.exists() and any(s.exists() and s.read_text() == fingerprint(e) for e, s in stamps.items()):
        return
    print("Making the environment in .venv (once; two to five minutes) ...", flush=True)
    if not PYTHON.exists():
        call(sys.executable, "-m", "venv", str(VENV))
    pip("install", "--upgrade", "pip>=25")
    install_torch()
    wanted = str(ROOT) + (f"[{','.join(extras)}]" if extras else "")
    pip("install", "-c", str(ROOT / "constraints.txt"), "-e", wanted)
    pip("uninstall", "-y", SLOW_AND_OPTIONAL)
    quiet_jupyter()
    stamps[extras].write_text(fingerprint(extras))


def install_torch() -> None:
    """The CPU build of torch. The first probe fails at once where no such wheel is offered; nothing downloads CUDA."""
    have = subprocess.run([str(PYTHON), "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    if have.stdout.startswith(TORCH):
        return
    if sys.platform != "linux":
        pip("install", f"torch=={TORCH}")
        return
    cpu = f"torch=={TORCH}+cpu"
    if pip("install", cpu, must=False) != 0:
        pip("install", cpu, "--index-url", TORCH_CPU_INDEX)


def quiet_jupyter() -> None:
    """No news pop-up and no update check in JupyterLab."""
    folder = VENV / "share" / "jupyter" / "lab" / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overrides.json").write_text('{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}\n')


def install_system_programs() -> int:
    """Debian packages that the tests drive: installed when we may, named when we may not; a gap is a failure under CI=true."""
    missing = [package for program, package in SYSTEM_PROGRAMS.items() if shutil.which(program) is None]
    missing += [package for package, path in SYSTEM_LIBRARIES.items() if not Path(path).exists()]
    if not missing:
        return 0
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and subprocess.run([*sudo, "true"], capture_output=True).returncode == 0:
        subprocess.run([*sudo, "apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
        command = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0:
            return 0
    print(f"Not tested here for want of: {', '.join(missing)}. On Debian: sudo apt install {' '.join(missing)}", file=sys.stderr)
    return 1 if os.environ.get("CI") == "true" else 0


def pip(*args: str, must: bool = True) -> int:
    quiet = [] if args[0] == "uninstall" else ["-q", "--disable-pip-version-check"]
    return call(str(PYTHON), "-m", "pip", args[0], *quiet, *args[1:], must=must)


def call(*command: str, must: bool = True) -> int:
    done = subprocess.run(command, capture_output=not must, text=True)
    if must and done.returncode:
        raise SystemExit(f"This step failed: {' '.join(command)}\nRun it by hand to see more; then call make again.")
    return done.returncode


if __name__ == "__main__":
    import argparse

    _parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
