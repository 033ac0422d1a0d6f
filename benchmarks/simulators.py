"""How many events a second do our simulators handle? The "rival" is the limit of one million; a ratio above 1 is within it.

One thread, CPU time, the simulator compiled beforehand; making the events and giving them their times both count.
"""

import argparse
import json
import platform
import time

import numba
import numpy as np

from tinylib.accel.machine import load_machine
from tinylib.accel.spatten import dense_work, simulate

LIMIT = 1e6


def events_per_second(work, machine) -> float:
    """Best of three rounds of about half a second."""
    simulate(work, machine)
    best = 0.0
    for _ in range(3):
        start, count = time.process_time(), 0
        while time.process_time() - start < 0.5:
            count += len(simulate(work, machine))
        best = max(best, count / (time.process_time() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    cases = {"spatten, 48 words, 4 layers": (dense_work(48, 4, 4, 16), "spatten_sixteenth"),
             "spatten, 512 words, 12 layers, 12 heads": (dense_work(512, 12, 12, 64), "spatten"),
             "spatten, one step after 1,024 words, 12 layers": (dense_work(1024, 12, 12, 64, queries=1), "spatten")}
    rows = []
    for case, (work, name) in cases.items():
        speed = events_per_second(work, load_machine(name))
        rows.append({"case": case, "ours": round(speed / 1e6, 2), "rival": 1.0, "unit": "million events/s", "ratio": round(speed / LIMIT, 2)})
        print(f"{case:<50} {speed / 1e6:>8.2f} million events a second")
    if args.json:
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": rows, "machine": platform.machine(),
                          "versions": {"numba": numba.__version__, "numpy": np.__version__}}))


if __name__ == "__main__":
    main()
