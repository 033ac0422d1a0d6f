"""An environment for rivals that sees the course's packages and adds its own, so that a rival never replaces torch."""

import hashlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv" / "rivals"


def ensure(name: str) -> Path:
    """Python of the environment with the packages of `benchmarks/rivals/<name>.txt`; made at the first call."""
    wanted = ROOT / "benchmarks" / "rivals" / f"{name}.txt"
    home = FOLDER / name
    python, stamp = home / "bin" / "python", home / "stamp"
    mark = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == mark:
        return python
    venv.create(home, with_pip=True, clear=True)
    site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True)
    (Path(site.stdout.strip()) / "course.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    constraints = ["-c", str(ROOT / "constraints.txt")]
    subprocess.run([python, "-m", "pip", "install", "-q", *constraints, "-r", str(wanted)], check=True)
    stamp.write_text(mark)
    return python
