"""Street scans for the lab torchsparse: maps by voxel size, grouping plans and their cost, cache misses, and times of matrix products.

Plans are tuned on three scans (VAL), everything is reported on eight others (TEST).
"""

import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_record, save_record
from tinylib.core.seed import rng
from tinylib.datasets.street_scene import scene
from tinylib.datasets.streetsim import scan
from tinylib.measure.latency import race
from tinylib.sparse.kernel_map import kernel_map
from tinylib.sparse.machines import matmul_model
from tinylib.sparse.tensor import downsample, quantize
from tinylib.sparse.traffic import gather_trace, lru_misses, scatter_trace, traffic
from tinylib.sparse.tune import Plan, group_offsets, launches, padded_macs, tune, useful_macs

VOXELS = (0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6)
LEVELS = ((1, 16), (2, 32), (4, 64), (8, 64))           # stride in voxels of 0.2 m, channels in and out: one 3 x 3 x 3 layer each
VAL, TEST = (0, 1, 2), (10, 11, 12, 13, 14, 15, 16, 17)
NO_LIMIT = 2**62
COARSE, CHOSEN = 3, 0.3                 # the level of the tolerance curve: 1.6 m; and its tolerance, best on the scans VAL
EXTREMES = {"one by one": Plan(0.0, 0), "one batch": Plan(1.0, NO_LIMIT)}
TOLERANCES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CACHES_KIB = (16, 64, 256, 1024)


def points(seed):
    """One turn of the standard LiDAR, 60 m into the street of a seed."""
    street = scene(rng(seed, "street"))
    return torch.from_numpy(scan(street, street.road.pose(60.0), rng(seed, "scan")).points)


def levels(seed):
    """The four levels' maps and channels."""
    coords, _ = quantize(points(seed), 0.2)
    out = []
    for stride, channels in LEVELS:
        at = coords if stride == 1 else downsample(coords, stride)
        out.append((kernel_map(at, at, kernel=3), channels))
    return out


def box_cells(coords):
    """Cells of the smallest box around coordinates."""
    return int((coords[:, 1:].max(0).values - coords[:, 1:].min(0).values + 1).prod())


def layers():
    """Record of the example scan: voxels, cells of the box and pairs of each offset, by voxel size (a second)."""
    start, table = time.process_time(), {}
    for size in VOXELS:
        coords, _ = quantize(points(0), size)
        table[str(size)] = {"voxels": len(coords), "cells": box_cells(coords), "sizes": kernel_map(coords, coords, kernel=3).sizes.tolist()}
    save_record("torchsparse-layers", {"layers": table}, recipe="tinylib data make torchsparse-layers", seed=0, seconds=time.process_time() - start,
                note="one scan of 32 beams x 360 azimuths; sizes: pairs of the 27 offsets")


def tuned(machine, maps_of_level, channels):
    """Plan of least modelled time over the validation scans' maps."""
    around = [m.sizes.tolist() for m in maps_of_level]
    cost = lambda plan: sum(machine.time_us(without_centre(s, plan), channels, channels) for s in around)
    return tune(cost, tolerances=TOLERANCES)[0]


def without_centre(sizes, plan):
    """Groups of all offsets but the identity, which every plan runs alone."""
    return [g for g in group_offsets(sizes, plan.tolerance, plan.threshold, centre=len(sizes) // 2) if g.offsets != (len(sizes) // 2,)]


def plans(machine):
    """One tuned plan a level."""
    val = [levels(seed) for seed in VAL]
    return [tuned(machine, [scan_levels[i][0] for scan_levels in val], channels) for i, (_, channels) in enumerate(LEVELS)]


def modelled(machine, chosen, seed):
    """Microseconds of the four levels: tuned, and both extremes."""
    out = {}
    for name, list_of in {"tuned": chosen, **{k: [p] * len(LEVELS) for k, p in EXTREMES.items()}}.items():
        out[name] = sum(machine.time_us(without_centre(m.sizes.tolist(), p), c, c) for (m, c), p in zip(levels(seed), list_of))
    return out


def dense_share(seed):
    """Sparse MACs over dense MACs (3 x 3 x 3 over the box) by voxel size; channels cancel."""
    out = {}
    for size in VOXELS:
        coords, _ = quantize(points(seed), size)
        out[str(size)] = kernel_map(coords, coords, kernel=3).pairs / (27 * box_cells(coords))
    return out


def misses(seed, channels=32):
    """Cache misses of gather and scatter by cache size and order, first level, float32 rows of `channels`; and bytes without a cache."""
    kmap = levels(seed)[0][0]
    row = channels * 4
    table = {str(kib): {order: {"gather": int(lru_misses(gather_trace(kmap, order=order), kib * 1024 // row)),
                                "scatter": int(lru_misses(scatter_trace(kmap, order=order), kib * 1024 // row))} for order in ("offset", "row")}
             for kib in CACHES_KIB}
    return {"misses": table, "bytes": {order: traffic(kmap, channels, channels, order=order).total for order in ("offset", "row")}}


def curve(machine, seed, level=COARSE, channels=16):
    """Launches, padded rows over useful ones, and modelled microseconds for every tolerance, no threshold."""
    sizes, out = levels(seed)[level][0].sizes.tolist(), []
    for tolerance in TOLERANCES:
        groups = without_centre(sizes, Plan(tolerance, NO_LIMIT))
        out.append({"tolerance": tolerance, "launches": launches(groups), "redundancy": padded_macs(groups, 1, 1) / useful_macs(groups, 1, 1),
                    "us": machine.time_us(groups, channels, channels)})
    return out


def effects():
    """Record of everything that is counted or modelled (half a minute)."""
    start, machines = time.process_time(), {name: matmul_model(name) for name in ("laptop", "gpu")}
    result = {"machines": {}, "seeds": {}}
    for name, machine in machines.items():
        chosen = plans(machine)
        result["machines"][name] = {"plans": [[p.tolerance, p.threshold] for p in chosen],
                                    "modelled": {str(s): modelled(machine, chosen, s) for s in TEST}, "curves": {str(s): curve(machine, s) for s in TEST}}
    for seed in TEST:
        result["seeds"][str(seed)] = {"share": dense_share(seed), **misses(seed)}
        print(seed, flush=True)
    save_record("torchsparse-effects", result, recipe="tinylib data make torchsparse-effects", seed=TEST[0], seconds=time.process_time() - start,
                note="eight test scans; plans tuned on three others; four levels of 0.2 m voxels with stride 1, 2, 4, 8 and 16, 32, 64, 64 channels")


def buffers(kmap, channels, plan, generator):
    """(rows, weight) of every product that a plan starts: (g, largest, c) padded with zeros and (g, c, c) for a batch, (rows, c) and (c, c) for one."""
    feats = torch.randn(kmap.n_inputs, channels, generator=generator)
    weight = torch.randn(len(kmap.sizes), channels, channels, generator=generator)
    out = []
    for group in without_centre(kmap.sizes.tolist(), plan):
        gathered = [feats[kmap.offset(d)[0]] for d in group.offsets]
        if group.batched and len(gathered) > 1:
            out.append((torch.nn.utils.rnn.pad_sequence(gathered, batch_first=True), weight[list(group.offsets)]))
        else:
            out += [(rows, weight[d]) for rows, d in zip(gathered, group.offsets)]
    return out


def products(parts):
    """A function that multiplies all parts into buffers made before, nothing else."""
    outs = [torch.empty(*rows.shape[:-1], weight.shape[-1]) for rows, weight in parts]

    def run():
        for (rows, weight), out in zip(parts, outs):
            torch.bmm(rows, weight, out=out) if rows.ndim == 3 else torch.mm(rows, weight, out=out)
    return run


def quickest(runs, generator, seconds):
    """Least milliseconds of CPU time of each function; every turn in another order, so that none is always first."""
    best, end = {name: float("inf") for name in runs}, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i in torch.randperm(len(runs), generator=generator):
            name = list(runs)[i]
            start = time.process_time()
            runs[name]()
            best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


def sweep(kmap, channels, generator):
    """Least microseconds of the products for every tolerance; tolerances with equal groups are timed once."""
    keys = [str([g.offsets for g in without_centre(kmap.sizes.tolist(), Plan(t, NO_LIMIT))]) for t in TOLERANCES]
    plans_by_key = {key: Plan(t, NO_LIMIT) for key, t in zip(keys, TOLERANCES)} | {"one by one": EXTREMES["one by one"]}
    timed = quickest({key: products(buffers(kmap, channels, p, generator)) for key, p in plans_by_key.items()}, generator, seconds=5)
    return {str(t): timed[key] * 1e3 for key, t in zip([*keys, "one by one"], [*TOLERANCES, "one by one"])}


def times():
    """Record of measured products on the test scans, in microseconds: tuned and both extremes, level by level, turn by turn (two minutes)."""
    torch.set_num_threads(1)
    start, chosen, generator, out = time.process_time(), plans(matmul_model("laptop")), torch.Generator().manual_seed(0), {}
    for seed in TEST:
        made, each = levels(seed), []
        for (kmap, channels), plan in zip(made, chosen):
            runs = {name: products(buffers(kmap, channels, p, generator)) for name, p in {"tuned": plan, **EXTREMES}.items()}
            each.append(quickest(runs, generator, seconds=2))
        out[str(seed)] = {"levels": {name: sum(level[name] for level in each) * 1e3 for name in each[0]}, "sweep": sweep(made[COARSE][0], 16, generator)}
        print(seed, out[str(seed)]["levels"], flush=True)
    save_record("torchsparse-times", {"seeds": out}, recipe="tinylib data make torchsparse-times", seed=TEST[0], seconds=time.process_time() - start,
                note="least CPU time of many turns in microseconds, one torch thread, buffers gathered before; levels: sum of four; "
                     "sweep: fourth level (1.6 m), 16 channels, every tolerance without threshold, and one by one")


def calibration():
    """Record of batched products of many shapes, and the model fitted to them (a minute; on a quiet machine). Prints the fit."""
    from scipy.optimize import nnls
    torch.set_num_threads(1)
    start, table = time.process_time(), []
    for channels in (16, 32, 64):
        for count, rows in ((1, 16), (1, 64), (1, 256), (1, 1024), (1, 4096), (2, 64), (2, 512), (4, 256), (8, 64), (8, 512), (26, 16), (26, 64), (26, 256)):
            copies = max(8, min(400, 2**20 // (count * rows * channels)))       # fresh rows each time, as in a layer: 4 MiB, not one warm buffer
            parts = [(torch.randn(count, rows, channels), torch.randn(count, channels, channels)) for _ in range(copies)]
            run = products(parts if count > 1 else [(x[0], w[0]) for x, w in parts])
            fastest = race({"": run}, runs=60, seconds=1)[""].fastest_ms * 1e3 / copies
            table.append({"channels": channels, "rows": count * rows, "batch": count, "us": fastest})
    t = np.array([row["us"] for row in table])
    square, rows = (np.array([row[k] for row in table], float) for k in ("channels", "rows"))
    design = np.column_stack([np.ones(len(t)), square**2 * rows, square**2])
    (launch, per_mac, half), _ = nnls(design / t[:, None], np.ones(len(t)))
    fit = {"launch_us": float(launch), "gmacs": float(1e-3 / per_mac), "half_rows": float(half / per_mac)}
    error = np.abs(design @ [launch, per_mac, half] / t - 1)
    print(fit, f"median error {np.median(error):.0%}, worst {error.max():.0%}")
    fit |= {"median_error": float(np.median(error)), "worst_error": float(error.max())}
    save_record("torchsparse-calibration", {"table": table, "fit": fit}, recipe="tinylib data make torchsparse-calibration", seed=0,
                seconds=time.process_time() - start, note="fastest of 60, one torch thread; the fit minimises relative errors")


def interval(values):
    """Mean and 95 % t-interval."""
    from scipy import stats
    values = np.asarray(values, float)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def dense_percent():
    """Sparse MACs in percent of dense ones, voxels of 0.4 m."""
    return interval([100 * street["share"]["0.4"] for street in load_record("torchsparse-effects")["seeds"].values()])


def over_tuned(table, rival):
    return interval([street[rival] / street["tuned"] for street in table])


def model_one_by_one():
    """Modelled time of one product at a time over the tuned plan's, this CPU, four layers."""
    return over_tuned(load_record("torchsparse-effects")["machines"]["laptop"]["modelled"].values(), "one by one")


def model_one_batch():
    """Modelled time of one padded batch over the tuned plan's, this CPU, four layers."""
    return over_tuned(load_record("torchsparse-effects")["machines"]["laptop"]["modelled"].values(), "one batch")


def card_one_by_one():
    """Modelled time of one product at a time over the tuned plan's, a graphics card, four layers."""
    return over_tuned(load_record("torchsparse-effects")["machines"]["gpu"]["modelled"].values(), "one by one")


def card_one_batch():
    """Modelled time of one padded batch over the tuned plan's, a graphics card, four layers."""
    return over_tuned(load_record("torchsparse-effects")["machines"]["gpu"]["modelled"].values(), "one batch")


def measured_one_by_one():
    """Measured time of one product at a time over the tuned plan's, four layers."""
    return over_tuned([street["levels"] for street in load_record("torchsparse-times")["seeds"].values()], "one by one")


def measured_one_batch():
    """Measured time of one padded batch over the tuned plan's, four layers."""
    return over_tuned([street["levels"] for street in load_record("torchsparse-times")["seeds"].values()], "one batch")


def coarse(rival):
    return interval([street["sweep"][rival] / street["sweep"][str(CHOSEN)] for street in load_record("torchsparse-times")["seeds"].values()])


def coarse_one_by_one():
    """Measured time of one product at a time over that of the chosen tolerance, 1.6 m, 16 channels."""
    return coarse("one by one")


def coarse_equal_only():
    """Measured time of tolerance 0 over that of the chosen tolerance, 1.6 m, 16 channels."""
    return coarse("0.0")


def coarse_one_batch():
    """Measured time of tolerance 1 over that of the chosen tolerance, 1.6 m, 16 channels."""
    return coarse("1.0")


def order_saves():
    """Cache misses of gather and scatter, offset after offset over row after row, 64 KiB."""
    total = lambda counts: counts["gather"] + counts["scatter"]
    counts = [street["misses"]["64"] for street in load_record("torchsparse-effects")["seeds"].values()]
    return interval([total(c["offset"]) / total(c["row"]) for c in counts])
