"""The tests' own modules can be imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from engine import engine  # noqa: E402, F401 (fixtures)
from traps import traps  # noqa: E402, F401
