"""Are our two point-voxel operations as fast as PyTorch's own building blocks for them, forward and backward?

Voxelise: ours against `scatter_reduce(reduce="mean")` with the same cells. Devoxelise: ours against `grid_sample` (trilinear, corners aligned).
Both sides compute the same numbers; the rows check it. One thread.
"""

import argparse
import json
import platform
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from tinylib.measure.latency import race
from tinylib.points.pvconv import cells, devoxelise, voxelise

CASES = ((8, 16, 512, 6), (8, 16, 512, 12), (4, 64, 2048, 16), (2, 64, 2048, 32))       # clouds, channels, points, cells a side


def by_scatter_reduce(features: Tensor, at: Tensor, r: int) -> Tensor:
    """Means by cell with torch's reduction."""
    cell = cells(at, r)[:, None].expand_as(features)
    empty = features.new_zeros(*features.shape[:2], r**3)
    return empty.scatter_reduce(2, cell, features, "mean", include_self=False).unflatten(2, (r, r, r))


def by_grid_sample(grid: Tensor, at: Tensor) -> Tensor:
    """Trilinear reading with torch's sampler."""
    where = (2 * at / (grid.shape[-1] - 1) - 1).flip(1).transpose(1, 2)[:, :, None, None]
    return F.grid_sample(grid, where, align_corners=True)[..., 0, 0]


def both_ways(function, x: Tensor, *args):
    """A call that runs forward and backward."""
    def call():
        x.grad = None
        function(x, *args).sum().backward()
    return call


def rows(seconds: float) -> list[dict]:
    """Every case, ours and the rival turn by turn."""
    found, generator = [], torch.Generator().manual_seed(0)
    for b, c, n, r in CASES:
        features, grid = (torch.randn(*shape, generator=generator).requires_grad_() for shape in ((b, c, n), (b, c, r, r, r)))
        at = torch.rand(b, 3, n, generator=generator) * (r - 1)
        for what, x, ours, rival, args in (("voxelise", features, voxelise, by_scatter_reduce, (at, r)),
                                           ("devoxelise", grid, devoxelise, by_grid_sample, (at,))):
            assert all(torch.allclose(p, q, atol=1e-4) for p, q in pairwise(f(x, *args) for f in (ours, rival))), f"{what}: not the same work"
            times = race({"ours": both_ways(ours, x, *args), "rival": both_ways(rival, x, *args)}, runs=100, warmup=3, seconds=seconds)
            found.append({"case": f"{what}, {b} clouds, {c} channels, {n} points, {r} cells a side", "ours": times["ours"].median_ms,
                          "rival": times["rival"].median_ms, "unit": "ms", "ratio": times["rival"].median_ms / times["ours"].median_ms})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each row")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = rows(args.seconds)
    for row in found:
        print(f"{row['case']}: {row['ours']:.2f} ms, rival {row['rival']:.2f} ms, {row['ratio']:.2f} times as fast")
    if args.json:
        print(json.dumps({"question": __doc__.split("\n")[0], "rows": found, "machine": platform.processor() or platform.machine(),
                          "versions": {"torch": torch.__version__, "python": platform.python_version()}}))


if __name__ == "__main__":
    main()
