"""What do frozen layers made for it save in training, and what do they cost in time, against stock PyTorch and low-rank adapters?

Each method trains the same parameters on both sides (batch 8, 32x32 pictures, one thread, SGD step included); bytes by the same meter.
The low-rank baseline adds B A x (rank 4) to each frozen 1x1 convolution, in stock PyTorch, and trains A, B and the last layer.
"""

import argparse
import copy
import json
import platform

import torch
import torch.nn.functional as F
from torch import nn

from tinylib.core.checkpoint import load_model
from tinylib.core.seed import generator
from tinylib.measure.latency import race
from tinylib.measure.saved import saved_by_model
from tinylib.train.tinytl import METHODS, drop_lite, hold_statistics, last_linear, lean, set_method

BATCH, RANK = 8, 4


class LowRank(nn.Module):
    """A frozen 1x1 convolution plus B A x; B starts at zero."""

    def __init__(self, conv: nn.Conv2d, rank: int):
        super().__init__()
        self.conv = conv.requires_grad_(False)
        self.a = nn.Conv2d(conv.in_channels, rank, 1, bias=False)
        self.b = nn.Conv2d(rank, conv.out_channels, 1, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.conv(x) + self.b(self.a(x))


def low_rank(model: nn.Module) -> nn.Module:
    """A copy with low-rank adapters; they and the last layer train."""
    model = copy.deepcopy(model).requires_grad_(False)
    hold_statistics(model)
    for name, conv in [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]:
        model.set_submodule(name, LowRank(conv, RANK))
    model.get_submodule(last_linear(model)).requires_grad_(True)
    return model


def stepper(model: nn.Module, x: torch.Tensor, y: torch.Tensor):
    """One training step as a function without arguments; the learning rate is zero, so that each step is the same."""
    model = model.to(memory_format=torch.channels_last).train()
    update = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0, momentum=0.9)

    def step():
        update.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        update.step()

    return step


def measure() -> list[dict]:
    """A row for each method and number: ours beside stock; then low-rank adapters beside lite+bias."""
    x = torch.randn(BATCH, 3, 32, 32, generator=generator(0)).contiguous(memory_format=torch.channels_last)
    y = torch.arange(BATCH) % 10
    source, rows, ours = load_model("tinytl-source"), [], {}
    for method in METHODS:
        stock = set_method(copy.deepcopy(source) if "lite" in method else drop_lite(source), method).train()
        slim = lean(stock)
        kept = saved_by_model(slim, x).bytes, saved_by_model(stock, x).bytes
        times = race({"ours": stepper(slim, x, y), "stock": stepper(stock, x, y)}, runs=60, seconds=8.0)
        ours[method] = kept[0], times["ours"].median_ms
        rows.append(row(f"{method}, kept activations", *kept, "bytes"))
        rows.append(row(f"{method}, step", times["ours"].median_ms, times["stock"].median_ms, "ms"))
    adapters = low_rank(drop_lite(source)).train()
    time = race({"rival": stepper(adapters, x, y)}, runs=60, seconds=8.0)["rival"].median_ms
    rows.append(row("lite+bias against low-rank adapters, kept activations", ours["lite+bias"][0], saved_by_model(adapters, x).bytes, "bytes"))
    rows.append(row("lite+bias against low-rank adapters, step", ours["lite+bias"][1], time, "ms"))
    return rows


def row(case: str, ours: float, rival: float, unit: str) -> dict:
    """One comparison; a ratio above 1 means that ours is better."""
    return {"case": case, "ours": round(ours, 3), "rival": round(rival, 3), "unit": unit, "ratio": round(rival / ours, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure()
    for r in rows:
        print(f"{r['case']:<55} ours {r['ours']:>14,} stock {r['rival']:>14,} {r['unit']:<6} ratio {r['ratio']:.2f}")
    if args.json:
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": rows, "machine": platform.processor() or platform.machine(),
                          "versions": {"torch": torch.__version__, "python": platform.python_version()}}))


if __name__ == "__main__":
    main()
