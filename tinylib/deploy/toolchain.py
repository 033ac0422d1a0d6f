"""C compilers: ziglang for the host and for Cortex-M, so that instruction counts do not depend on the machine; Arm gcc as a cross-check."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tinylib.core.errors import TinylibError

CORES = ("cortex-m4", "cortex-m7")
_ZIG_CORE = {"cortex-m4": "cortex_m4+vfp4d16sp", "cortex-m7": "cortex_m7+fp_armv8d16sp"}
_GCC_FPU = {"cortex-m4": "fpv4-sp-d16", "cortex-m7": "fpv5-sp-d16"}
_FREESTANDING = ["-ffreestanding", "-fno-builtin", "-nostdlib"]


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise TinylibError(f"The C compiler failed:\n{done.stderr.strip()[-3000:]}")


def _zig() -> list[str]:
    return [sys.executable, "-m", "ziglang", "cc"]


def has_gcc() -> bool:
    """Whether arm-none-eabi-gcc is installed."""
    return shutil.which("arm-none-eabi-gcc") is not None


def build_host(folder: Path, sources: list[str], output: str, *, flags: tuple[str, ...] = ()) -> Path:
    """Compile `sources` of `folder` to a shared library for this machine."""
    _run([*_zig(), "-O2", "-fno-sanitize=all", "-std=c11", "-Wall", "-Werror", "-shared", "-fPIC", *flags, *sources, "-o", output], folder)
    return folder / output


def build_arm(folder: Path, sources: list[str], output: str, *, core: str = "cortex-m4", compiler: str = "zig", script: str = "link.ld",
              optimise: str = "-O2", flags: tuple[str, ...] = ()) -> Path:
    """Compile and link `sources` of `folder` for a Cortex-M core; `compiler` is "zig" or "gcc"."""
    if core not in CORES:
        raise TinylibError(f"No core {core!r}; known: {', '.join(CORES)}.")
    if compiler == "gcc":
        command = ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", f"-mfpu={_GCC_FPU[core]}", "-mfloat-abi=hard", "-Wl,--no-warn-rwx-segments"]
    else:
        command = [*_zig(), "-target", "thumb-freestanding-eabihf", f"-mcpu={_ZIG_CORE[core]}", "-mfloat-abi=hard", "-fno-sanitize=all"]
    _run([*command, optimise, "-std=c11", "-Wall", "-Werror", "-fomit-frame-pointer", *_FREESTANDING, *flags, "-T", script, *sources, "-o", output],
         folder)
    return folder / output


def cache_folder() -> Path:
    """Folder for compiled tools that belong to the machine, not to the course."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tinylib"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
