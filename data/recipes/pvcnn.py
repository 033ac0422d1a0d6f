"""Parts of objects by points alone, voxels alone, and both: seeds, resolutions, and real electronic parts."""

import json
import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_record, save_checkpoint, save_record
from tinylib.core.paths import project_root
from tinylib.core.seed import generator
from tinylib.datasets import parts3d, shapes3d
from tinylib.nn.fit import fit
from tinylib.points.part_iou import evaluate
from tinylib.points.pvcnn import WIDTHS, cost, part_net, with_class
from tinylib.points.pvconv import grid_bytes

SEEDS = (0, 1, 2, 3, 4)
STEPS, BATCH, LR, SEEN = 250, 8, 1e-2, 256             # fixed on validation clouds of seed 0; training sees 256 of the 512 points
KINDS = ("point", "voxel", "both")


def tensors(clouds):
    """Network input (n, 3 + classes, p), parts (n, p), classes (n,)."""
    points, kinds = torch.from_numpy(clouds.points), torch.from_numpy(clouds.kinds)
    return with_class(points, kinds, len(clouds.classes)), torch.from_numpy(clouds.parts), kinds


def train(seed, branches, resolutions, clouds, widths=None, steps=STEPS, lr=LR):
    net = part_net(branches=branches, resolutions=resolutions, widths=widths, classes=len(clouds.classes), parts=len(clouds.names),
                   generator=generator(seed, "weights"))
    data = tuple(part[..., :SEEN] for part in tensors(clouds)[:2])         # points come in random order
    fit(net, data, epochs=steps * BATCH / len(clouds), lr=lr, batch=BATCH, optimiser="adam", weight_decay=0, generator=generator(seed, "order"))
    return net


def scores(net, clouds):
    """mIoU over objects and IoU by part name."""
    mean, by_part = evaluate(net, *tensors(clouds), clouds.of_class)
    return {"miou": mean, "parts": {clouds.names[part]: iou for part, iou in by_part.items()}}


COARSE, FINE = ((6, 4), (4, 3)), ((9, 6), (12, 8))
FINE_SEEDS, PARTS_SEEDS, NARROW = SEEDS[:3], SEEDS[:3], (8, 16)         # finer grids and real parts get three seeds
PARTS_SIDES = (12, 8)                               # validation designs: 63 % mIoU; sides 6 and 4 give 56 %
SHIPPED = {"point 0": "pvcnn-point", "voxel 6 0": "pvcnn-voxel", "both 6 0": "pvcnn-both", "parts both 0": "pvcnn-parts"}


def jobs():
    """Every training of the record by name: (data, seed, branches, resolutions, widths)."""
    def some(seeds, resolutions):
        return {f"{kind} {r[0]} {seed}": ("shapes", seed, kind, r, None) for seed in seeds for r in resolutions for kind in ("voxel", "both")}

    points = {f"point {seed}": ("shapes", seed, "point", None, None) for seed in SEEDS}
    parts = {f"parts {kind} {seed}": ("parts", seed, kind, PARTS_SIDES, None) for seed in PARTS_SEEDS for kind in KINDS}
    narrow = {f"narrow {r[0]}": ("shapes", 0, "both", r, list(NARROW)) for r in (*COARSE, *FINE)}
    return {**{"point 0": points["point 0"]}, **some(SEEDS[:3], COARSE), **points, **parts, **some(FINE_SEEDS, FINE), **narrow, **some(SEEDS[3:], COARSE)}


def arguments(job):
    """Arguments of `part_net` and `cost` for a job."""
    what, _, branches, resolutions, widths = job
    source = {"shapes": shapes3d, "parts": parts3d}[what]
    return {"branches": branches, "classes": len(source.CLASSES), "parts": len(source.PARTS), "widths": widths, "resolutions": resolutions}


def run(name, data):
    """Train one network and score it on validation and test clouds; keep it when it is one that the lab ships."""
    what, seed, branches, resolutions, widths = jobs()[name]
    train_set, val, test = data[what]
    start = time.process_time()
    net = train(seed, branches, resolutions, train_set, widths=widths)
    seconds = time.process_time() - start
    found = {**scores(net, test), "val_miou": scores(net, val)["miou"], "params": sum(p.numel() for p in net.parameters()), "seconds": round(seconds, 1)}
    if name in SHIPPED:
        save_checkpoint(SHIPPED[name], net.state_dict(), factory="tinylib.points.pvcnn:part_net", arguments=arguments(jobs()[name]), seed=seed, seconds=seconds,
                        recipe=f"tinylib data make {SHIPPED[name]}", metrics={"val_miou": found["val_miou"], "test_miou": found["miou"]})
    return found


def all_data():
    """Splits of the synthetic shapes and of the real parts."""
    torch.set_num_threads(1)
    return {"shapes": shapes3d.load(), "parts": parts3d.load()}


def train_all(names, *, again=False):
    """Train what is not yet done (or all of `names` again); results wait in .cache, so that a run that dies resumes."""
    data, kept = all_data(), project_root() / ".cache" / "pvcnn-effects.json"
    kept.parent.mkdir(exist_ok=True)
    done = json.loads(kept.read_text()) if kept.exists() else {}
    for name in names:
        if again or name not in done:
            done[name] = run(name, data)
            kept.write_text(json.dumps(done))
            print(name, f"{done[name]['miou']:.3f}", f"{done[name]['seconds']:.0f} s", flush=True)
    return done


def effects():
    """Remake the record of all seeds, resolutions, widths, and the real parts (about ten minutes of one core)."""
    write(train_all(jobs()))


def write(done):
    """The record: runs by kind and resolution, in the order of seeds; sizes of networks with both branches on validation clouds."""
    for name, found in done.items():
        price = cost(512, **arguments(jobs()[name]))
        found |= {"macs": price.macs, "bytes": price.bytes}
    runs: dict[str, list] = {}
    for name in sorted(done, key=lambda name: int(name.split()[-1])):
        if not name.startswith("narrow"):
            runs.setdefault(name.rpartition(" ")[0], []).append(done[name])
    sizes = [{"resolutions": list(r), "widths": list(w), "miou": done[name]["val_miou"], "bytes": done[name]["bytes"], "macs": done[name]["macs"]}
             for r in sorted((*COARSE, *FINE)) for w, name in ((NARROW, f"narrow {r[0]}"), (WIDTHS, f"both {r[0]} 0"))]
    save_record("pvcnn-effects", {"runs": runs, "sizes": sizes}, recipe="tinylib data make pvcnn-effects", seed=SEEDS[0],
                seconds=sum(d["seconds"] for d in done.values()),
                note=f"{STEPS} steps of {BATCH} clouds each; runs: test clouds (400 of shapes3d; test designs of parts3d for 'parts'), for each seed "
                "the same data and order; sizes: 200 validation clouds, one seed")


def point():
    """Remake the checkpoint of points alone (15 seconds)."""
    train_all(["point 0"], again=True)


def voxel():
    """Remake the checkpoint of voxels alone (15 seconds)."""
    train_all(["voxel 6 0"], again=True)


def both():
    """Remake the checkpoint of points and voxels (15 seconds)."""
    train_all(["both 6 0"], again=True)


def parts():
    """Remake the checkpoint for electronic parts (15 seconds)."""
    train_all(["parts both 0"], again=True)


def interval(values):
    """Mean and 95 % t-interval."""
    from scipy import stats
    values = np.asarray(values)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def gain(one, other, score=lambda run: run["miou"]):
    """Points by which networks `one` are ahead of `other`, paired by seed."""
    runs = load_record("pvcnn-effects")["runs"]
    return interval([100 * (score(a) - score(b)) for a, b in zip(runs[one], runs[other])])


def thin(run):
    """Mean IoU of the thin parts."""
    return float(np.mean([run["parts"][part] for part in shapes3d.THIN]))


def gain_point():
    """mIoU of both branches (side 6) above points alone."""
    return gain("both 6", "point")


def gain_voxel_coarse():
    """mIoU of both branches above voxels alone, on the coarsest grid (side 4)."""
    return gain("both 4", "voxel 4")


def gain_voxel():
    """mIoU of both branches above voxels alone, at side 6."""
    return gain("both 6", "voxel 6")


def gain_voxel_fine():
    """mIoU of both branches above voxels alone, at side 12."""
    return gain("both 12", "voxel 12")


def gain_thin():
    """IoU of thin parts, both branches above voxels alone, on the coarsest grid (side 4)."""
    return gain("both 4", "voxel 4", thin)


def finer_voxels():
    """mIoU of voxels alone at side 9 above both branches at side 6."""
    return gain("voxel 9", "both 6")


def gain_parts_point():
    """mIoU on electronic parts, both branches above points alone."""
    return gain("parts both", "parts point")


def gain_parts_voxel():
    """mIoU on electronic parts, both branches above voxels alone."""
    return gain("parts both", "parts voxel")


def grid_ratio():
    """Bytes of a block's grids at side 12 over those at side 6 (exact)."""
    ratio = grid_bytes(3, 16, 12) / grid_bytes(3, 16, 6)
    return {"value": ratio, "low": ratio, "high": ratio}


def match(side, key):
    """Cost of voxels alone on the coarsest grid whose mean mIoU reaches that of both branches at `side`, over the cost of the latter."""
    runs = load_record("pvcnn-effects")["runs"]
    mean = lambda name: np.mean([run["miou"] for run in runs[name]])
    enough = next(r for r in (4, 6, 9, 12) if mean(f"voxel {r}") >= mean(f"both {side}"))
    ratio = runs[f"voxel {enough}"][0][key] / runs[f"both {side}"][0][key]
    return {"value": ratio, "low": ratio, "high": ratio}


def match_bytes():
    """Bytes: voxels alone that reach both branches at side 6."""
    return match(6, "bytes")


def match_bytes_coarse():
    """Bytes: voxels alone that reach both branches at side 4."""
    return match(4, "bytes")


def match_macs():
    """MACs: voxels alone that reach both branches at side 6."""
    return match(6, "macs")
