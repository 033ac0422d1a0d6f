"""Does every panel answer a moved slider within its limits: 100 ms to compute, 300 ms for the picture?

The "rival" is the limit, so a ratio above 1 means that the panel is within it. Median of several settings, after one to warm up; CPU time
of one thread, so that other programs do not count.
"""

import argparse
import importlib
import importlib.metadata
import json
import pkgutil
import platform
import statistics
import time

import numpy as np

import tinylib.panels
from tinylib.check import find
from tinylib.show.panel import Panel, Toggle
from tinylib.show.widget import render_static, start_values

COMPUTE_MS, PICTURE_MS = 100, 300
SETTINGS = 7


def panels() -> list[Panel]:
    """Every panel of every lab."""
    modules = (importlib.import_module(f"tinylib.panels.{m.name}") for m in pkgutil.iter_modules(tinylib.panels.__path__))
    return [panel for module in modules for panel in getattr(module, "PANELS", ())]


def settings(panel: Panel) -> list[dict]:
    """The start and some random values of every control."""
    rng = np.random.default_rng(0)
    values = {c.name: (False, True) if isinstance(c, Toggle) else c.values for c in panel.controls}
    return [start_values(panel)] + [{name: v[int(rng.integers(len(v)))] for name, v in values.items()} for _ in range(SETTINGS)]


def milliseconds(function) -> float:
    """CPU time of one call."""
    start = time.process_time()
    function()
    return 1e3 * (time.process_time() - start)


def measure(panel: Panel) -> tuple[float, float]:
    """Median milliseconds of `compute`, and of the picture with its text."""
    functions = {id: find.exercise(id).reference for id in panel.uses}
    render_static(panel, functions)
    compute = statistics.median(milliseconds(lambda s=s: panel.compute(s, functions)) for s in settings(panel))
    picture = statistics.median(milliseconds(lambda: render_static(panel, functions)) for _ in range(3))
    return compute, picture - compute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    rows = []
    for panel in panels():
        for what, ms, limit in zip(("compute", "picture"), measure(panel), (COMPUTE_MS, PICTURE_MS)):
            rows.append({"case": f"{panel.id}, {what}", "ours": round(ms, 1), "rival": limit, "unit": "ms", "ratio": round(limit / max(ms, 0.1), 2)})
            print(f"{panel.id:32s} {what:8s} {ms:7.1f} ms of {limit}{'' if ms <= limit else '   OVER'}", flush=True)
    if args.json:
        versions = {name: importlib.metadata.version(name) for name in ("torch", "matplotlib")}
        print(json.dumps({"question": "Does every panel answer within its limits?", "rows": rows, "machine": platform.processor() or platform.machine(),
                          "versions": versions}))


if __name__ == "__main__":
    main()
