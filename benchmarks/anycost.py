"""How much faster, by the clock, is a slice of the elastic generator than the full one?  Ours: a slice; rival: the full generator.

Both made ready to draw (`tinylib.gan.render`); fastest of many runs turn by turn. The last row of each batch is what that is worth: the full
generator ready to draw against as it is.
"""

import argparse
import json
import platform

import torch

from tinylib.core.checkpoint import load_model
from tinylib.gan.generator import FULL, Config, macs
from tinylib.gan.render import renderer
from tinylib.measure.latency import race

CASES = {"half the channels, half the side (preview)": Config.uniform(1 / 2, 16), "half the channels, full side": Config.uniform(1 / 2),
         "a quarter of the channels, full side": Config.uniform(1 / 4), "all channels, half the side": Config.uniform(1, 16)}


def rows(batch: int, seconds: float = 4.0) -> list[dict]:
    """Every case against the full one, turn by turn."""
    net, z = load_model("anycost_gan-anycost"), torch.randn(batch, 64, generator=torch.Generator().manual_seed(0))
    nets = {"plain": net, **{name: renderer(net, config) for name, config in ({"full": FULL} | CASES).items()}}
    with torch.no_grad():
        times = race({name: (lambda n=n: n(z)) for name, n in nets.items()}, runs=200, warmup=10, seconds=seconds)
    ms = {name: time.fastest_ms for name, time in times.items()}
    pairs = [(f"{name}, {batch} at a time ({macs() / macs(config):.1f} times fewer MACs)", name, "full") for name, config in CASES.items()]
    return [{"case": case, "ours": ms[ours], "rival": ms[rival], "unit": "ms", "ratio": ms[rival] / ms[ours]}
            for case, ours, rival in [*pairs, (f"full, ready to draw against as it is, {batch} at a time", "full", "plain")]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = [row for batch in (1, 8) for row in rows(batch)]
    for row in found:
        print(f"{row['case']}: {row['ours']:.3f} ms against {row['rival']:.3f} ms, {row['ratio']:.2f} times as fast")
    if args.json:
        print(json.dumps({"question": __doc__, "rows": found, "machine": platform.processor() or platform.machine(),
                          "versions": {"torch": torch.__version__, "python": platform.python_version()}}))


if __name__ == "__main__":
    main()
