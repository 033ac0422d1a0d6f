"""How many milliseconds does a sparse 3x3x3 convolution take on a CPU, against spconv and against dense conv3d?

Submanifold layers with as many channels out as in, float32, the kernel map built before and timed apart; street scans of the simulator at three
sizes and, as the rivals' best case, a bumpy surface two voxels thick (twice the neighbours). The same features, weights, voxels and number of
threads for all; results are compared first. Fastest of the repetitions (other work on the machine only adds time), ours and the rival in turn,
five runs a turn, after a pause in which the other's waiting OpenMP threads stop spinning (they slow the next 0.1 s down).
Dense conv3d gets a slab of the bounding box and its time is scaled to the whole box, which would not fit in memory.
Last, 100,000 points through four layers, voxels and maps included.
spconv 2.3.8 on a CPU: its gradient asks CUDA for a stream that it does not use; the benchmark answers 0 in its place. With two threads its results
vary from run to run (its issue 679), so equality is demanded with one thread, and wrong results are counted with more.
Rival: `pip install -r benchmarks/rivals/sparse_conv.txt` (spconv, CPU build).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings

SIZES = (7_500, 38_000, 76_000)
DENSE_NUMBERS, PAUSE = 6_000_000, 0.15


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--widths", type=int, nargs="*", default=[16, 32, 64])
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.5, help="time limit for each case")
    return parser.parse_args()


def street(size):
    import numpy as np
    import torch

    from tinylib.datasets.streetsim import cloud
    from tinylib.sparse.tensor import quantize
    points, edge = cloud(size, np.random.default_rng(0))
    return quantize(torch.from_numpy(points), edge)[0]


def bumpy(size):
    """A hilly square, two voxels thick."""
    import numpy as np
    import torch

    from tinylib.sparse.coords import unique
    side, rng = round((size / 2) ** 0.5), np.random.default_rng(0)
    height = rng.integers(-1, 2, side).cumsum()[:, None] + rng.integers(-1, 2, side).cumsum()
    x, y = np.meshgrid(range(side), range(side), indexing="ij")
    layers = [np.stack([0 * x, x, y, height + level], -1).reshape(-1, 4) for level in (0, 1)]
    return unique(torch.from_numpy(np.concatenate(layers)))[0]


CLOUDS = {"street": street, "bumpy surface": bumpy}


def boxed(coords):
    """(int32 indices from zero, shape of the bounding box)."""
    indices = (coords - coords.min(0).values).int()
    return indices, (indices.max(0).values[1:] + 1).tolist()


def fastest(options, *steps):
    """Least milliseconds of each step, the steps taking turns of five runs, each turn on idle cores."""
    times, begin = [[] for _ in steps], time.perf_counter()
    while not times[0] or (len(times[0]) < options.repeat and time.perf_counter() - begin < options.seconds):
        for step, mine in zip(steps, times):
            time.sleep(PAUSE)
            for _ in range(5):
                start = time.perf_counter()
                step()
                mine.append((time.perf_counter() - start) * 1e3)
    return [min(mine) for mine in times]


def row(case, ours, rival):
    print(f"{case:62s} ours {ours:8.2f} ms   rival {rival:9.1f} ms   {rival / ours:7.1f}x", flush=True)
    return {"case": case, "ours": ours, "rival": rival, "unit": "ms", "ratio": rival / ours}


def both_ways(forward, inputs):
    """A step with and one without gradients."""
    import torch

    def only_forward():
        with torch.no_grad():
            forward()

    def with_gradients():
        for tensor in inputs:
            tensor.grad = None
        forward().sum().backward()
    return {"forward": only_forward, "forward + backward": with_gradients}


def spconv_layer(coords, feats, weight):
    """A function that runs spconv's layer with its map cached."""
    import spconv.pytorch as spconv
    import torch
    from spconv.core import ConvAlgo
    from spconv.pytorch import ops
    ops.get_current_stream = lambda: 0
    indices, shape = boxed(coords)
    c = feats.shape[1]
    layer = spconv.SubMConv3d(c, c, 3, bias=False, indice_key="map", algo=ConvAlgo.Native)
    layer.weight = torch.nn.Parameter(weight.view(3, 3, 3, c, c).permute(4, 0, 1, 2, 3).contiguous())
    held = layer(spconv.SparseConvTensor(feats.detach(), indices, shape, 1))
    return lambda: layer(held.replace_feature(feats)).features, layer.weight


def dense_slab(coords, feats, weight):
    """(a function that runs conv3d on a slab of the box, whole box / slab)."""
    import torch
    _, shape = boxed(coords)
    c = feats.shape[1]
    slab = max(min(DENSE_NUMBERS // (c * shape[1] * shape[2]), shape[0]), 1)
    middle = max(min(DENSE_NUMBERS // (c * slab * shape[2]), shape[1]), 1)
    grid = torch.zeros(1, c, slab, middle, shape[2])
    kernel = weight.view(3, 3, 3, c, c).permute(4, 3, 0, 1, 2).contiguous()

    def run():
        with torch.no_grad():
            torch.nn.functional.conv3d(grid, kernel, padding=1)
    return run, shape[0] * shape[1] / (slab * middle)


def compare_layers(name, coords, kmap, c, options, threads):
    import torch

    from tinylib.sparse.conv import convolve
    generator = torch.Generator().manual_seed(c)
    feats = torch.randn(len(coords), c, generator=generator).requires_grad_()
    weight = (torch.randn(27, c, c, generator=generator) / 10).requires_grad_()
    ours, rows = both_ways(lambda: convolve(feats, weight, kmap), (feats, weight)), []
    tail = f"{name} {len(coords) / 1000:.1f}k, {c} channels"
    try:
        theirs, their_weight = spconv_layer(coords, feats, weight.detach())
        right = sum((theirs() - convolve(feats, weight, kmap)).abs().max().item() < 1e-3 for _ in range(5))
        assert right == 5 or threads > 1, "spconv computes something else"
        if right < 5:
            print(f"# spconv: {5 - right} of 5 results are wrong with {threads} thread{'s' * (threads > 1)}", flush=True)
        for way, step in both_ways(theirs, (feats, their_weight)).items():
            rows.append(row(f"spconv, {tail}, {way}, {threads} thread{'s' * (threads > 1)}", *fastest(options, ours[way], step)))
    except ImportError as error:
        print(f"missing rival: spconv ({error.name}); pip install -r benchmarks/rivals/sparse_conv.txt", file=sys.stderr)
    run, scale = dense_slab(coords, feats.detach(), weight.detach())
    mine, slab = fastest(options, ours["forward"], run)
    rows.append(row(f"dense conv3d (1/{scale:.0f} timed), {tail}, forward, {threads} thread{'s' * (threads > 1)}", mine, slab * scale))
    return rows


def compare_maps(name, coords, options, threads):
    from tinylib.sparse.kernel_map import kernel_map
    try:
        from spconv.core import ConvAlgo
        from spconv.pytorch import ops
    except ImportError:
        return []
    indices, shape = boxed(coords)
    theirs = lambda: ops.get_indice_pairs(indices, 1, shape, ConvAlgo.Native, [3] * 3, [1] * 3, [1] * 3, [1] * 3, [0] * 3, subm=True)
    times = fastest(options, lambda: kernel_map(coords, coords, kernel=3), theirs)
    return [row(f"spconv, {name} {len(coords) / 1000:.1f}k, kernel map, {threads} thread{'s' * (threads > 1)}", *times)]


LAYERS = ((4, 32, 3, 1), (32, 64, 2, 2), (64, 64, 3, 1), (64, 64, 3, 1))          # channels in and out, kernel, stride


def spconv_net():
    import spconv.pytorch as spconv
    from spconv.core import ConvAlgo
    from torch import nn
    made = []
    for number, (c_in, c_out, kernel, stride) in enumerate(LAYERS):
        same = {"bias": False, "algo": ConvAlgo.Native}
        if stride == 1:
            layer = spconv.SubMConv3d(c_in, c_out, kernel, indice_key=f"level{int(number > 1)}", **same)
        else:
            layer = spconv.SparseConv3d(c_in, c_out, kernel, stride, **same)
        made += [layer, nn.BatchNorm1d(c_out), nn.ReLU()]
    return spconv.SparseSequential(*made).eval()


def whole_net(options, threads):
    """100,000 points to voxels, maps and four layers, nothing cached."""
    import numpy as np
    import torch
    from torch import nn

    from tinylib.datasets.streetsim import Lidar, merged, scene
    from tinylib.sparse.conv import OnFeatures, SparseConv3d
    from tinylib.sparse.tensor import SparseTensor, quantize
    rng = np.random.default_rng(0)
    points = torch.from_numpy(merged(scene(rng), rng, Lidar(64, 1000), spacing=4.0, count=3).points)[:100_000]
    layers = [[SparseConv3d(*layer[:3], stride=layer[3], bias=False), OnFeatures(nn.BatchNorm1d(layer[1])), OnFeatures(nn.ReLU())] for layer in LAYERS]
    ours = nn.Sequential(*[part for layer in layers for part in layer]).eval()

    def run():
        with torch.no_grad():
            coords, _ = quantize(points, 0.1)
            return ours(SparseTensor(coords, torch.ones(len(coords), 4)))

    coords, _ = quantize(points, 0.1)
    case = f"four layers, {len(points) / 1000:.0f}k points, {len(coords) / 1000:.1f}k voxels, maps included, {threads} thread{'s' * (threads > 1)}"
    try:
        import spconv.pytorch as spconv
    except ImportError:
        return []
    theirs = spconv_net()

    def rival():
        with torch.no_grad():
            indices, shape = boxed(quantize(points, 0.1)[0])
            return theirs(spconv.SparseConvTensor(torch.ones(len(indices), 4), indices, shape, 1))
    return [row(f"spconv, {case}", *fastest(options, run, rival))]


def measure(options):
    import torch

    from tinylib.sparse.kernel_map import kernel_map
    threads, rows = options.threads[0], []
    torch.set_num_threads(threads)
    for name, build in CLOUDS.items():
        for size in options.sizes:
            coords = build(size)
            kmap = kernel_map(coords, coords, kernel=3)
            print(f"# {name}: {len(coords)} voxels, {kmap.pairs / len(coords):.2f} pairs a voxel, box {boxed(coords)[1]}", flush=True)
            rows += compare_maps(name, coords, options, threads)
            for c in options.widths if name == "street" else options.widths[-1:]:
                rows += compare_layers(name, coords, kmap, c, options, threads)
    return rows + whole_net(options, threads)


def main():
    options = arguments()
    if len(options.threads) > 1:
        rows = []
        for threads in options.threads:
            words = [w for name in ("sizes", "widths") for w in (f"--{name}", *map(str, getattr(options, name)))]
            command = [sys.executable, "-m", "benchmarks.sparse_conv", "--json", "--threads", str(threads), *words, "--repeat", str(options.repeat)]
            lines = []
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
                for line in run.stdout:
                    lines.append(line)
                    if not line.startswith("{"):
                        print(line, end="", flush=True)
            if run.returncode:
                sys.exit(run.returncode)
            rows += json.loads(lines[-1])["rows"]
    else:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(options.threads[0])
        warnings.simplefilter("ignore")
        rows = measure(options)
    if options.json:
        from importlib.metadata import PackageNotFoundError, version
        versions = {}
        for package in ("torch", "numba", "spconv"):
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                versions[package] = "missing"
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": rows, "machine": machine, "versions": versions}))


if __name__ == "__main__":
    main()
