"""Tells in plain words what the course needs, what is here, and how to get the rest."""

import importlib.metadata
import os
import platform
import shutil
import sys

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir, project_root

HELP = "tell what is missing and how to get it"
OPTIONAL = {
    "chromium": ("browser tests", "chromium"),
    "bwrap": ("safe grading of strangers' code", "bubblewrap"),
    "arm-none-eabi-gcc": ("a second Arm compiler in tests", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    "qemu-system-arm": ("a second emulator in tests", "qemu-system-arm"),
}


def add_arguments(parser):
    """No arguments."""


def run(args) -> int:
    """Print one line a finding; 0 when the labs can run."""
    findings = [python_finding(), *package_findings(), memory_finding(), thread_finding(), data_finding(), *program_findings()]
    for level, text in findings:
        print(f"{level:>8}  {text}")
    broken = sum(level == "missing" for level, _ in findings)
    print("The labs can run." if not broken else f"{broken} thing(s) to mend first; `make setup` mends packages.")
    return 1 if broken else 0


def python_finding() -> tuple[str, str]:
    good = sys.version_info >= (3, 11)
    return ("ok" if good else "missing", f"Python {platform.python_version()}" + ("" if good else ": the course needs 3.11 or newer"))


def pinned() -> dict[str, str]:
    """Package name -> version of constraints.txt."""
    lines = (project_root() / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def package_findings() -> list[tuple[str, str]]:
    """Core packages against the pinned versions."""
    pins, findings = pinned(), []
    for name in ("torch", "numpy", "matplotlib", "jupyterlab", "ipywidgets", "nbgrader", "qiskit", "unicorn", "ziglang"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            findings.append(("missing", f"{name}: not installed; run `make setup`"))
            continue
        same = version.split("+")[0] == pins.get(name, version)
        findings.append(("ok" if same else "differs", f"{name} {version}" + ("" if same else f": tested with {pins[name]}; `make setup` installs that")))
    return findings


def memory_finding() -> tuple[str, str]:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return ("ok" if gib >= 4 else "low", f"{gib:.0f} GiB of memory" + ("" if gib >= 4 else ": a lab needs 1.5 GiB beside the browser; close other programs"))


def thread_finding() -> tuple[str, str]:
    return ("ok", f"{os.cpu_count()} processor core(s); labs use one torch thread, since two threads spin against each other on small networks")


def data_finding() -> tuple[str, str]:
    try:
        return ("ok", f"data in {data_dir()}")
    except TinylibError as error:
        return ("missing", str(error))


def program_findings() -> list[tuple[str, str]]:
    """Programs that labs do without."""
    return [
        ("ok", f"{program} found") if shutil.which(program) else ("optional", f"no {program} ({purpose}); on Debian: sudo apt install {package}")
        for program, (purpose, package) in OPTIONAL.items()
    ]
