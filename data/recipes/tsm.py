"""Temporal shift on clips: no shift, both ways, one way, at equal MACs and parameters; several fractions."""

import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_record, save_checkpoint, save_record
from tinylib.core.seed import generator
from tinylib.datasets import clips
from tinylib.nn.fit import fit
from tinylib.video.models import clip_net
from tinylib.video.tsm import MODES

SEEDS = (0, 1, 2, 3, 4)
TRAIN, VAL, TEST = 1_600, 400, 1_600
EPOCHS, LR, BATCH = 5, 0.08, 16            # fixed on validation clips of seed 0
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)


def tensors(split):
    """Clips float32 (b, t, 1, h, w) in [-1, 1] and labels (b,)."""
    return torch.from_numpy(split.images).float()[:, :, None] / 127.5 - 1, torch.from_numpy(split.labels.astype(np.int64))


def train(seed, mode, fraction, data):
    net = clip_net(mode=mode, fraction=fraction, generator=generator(seed, "weights"))
    fit(net, tensors(data.train), epochs=EPOCHS, lr=LR, batch=BATCH, generator=generator(seed, "order"), weight_decay=1e-4)
    return net


@torch.no_grad()
def scores(net, split):
    """Share of clips with the right class, with the right pair of classes, and with the right direction when the pair is right."""
    x, y = tensors(split)
    guess = torch.cat([net(part) for part in x.split(100)]).argmax(1)
    pair = guess // 2 == y // 2
    return {"accuracy": (guess == y).float().mean().item(), "pair": pair.float().mean().item(),
            "direction": (guess == y)[pair].float().mean().item()}


def run(seed, data):
    """All modes at fraction 1/8 with the same initial weights and order of clips."""
    result = {"seed": seed}
    for mode in MODES:
        start = time.process_time()
        net = train(seed, mode, 1 / 8, data)
        seconds = time.process_time() - start
        result[mode] = scores(net, data.test)
        if seed == SEEDS[0]:
            save_checkpoint(f"tsm-{mode}", net.state_dict(), factory="tinylib.video.models:clip_net", arguments={"mode": mode},
                            recipe=f"tinylib data make tsm-{mode}", seed=seed, seconds=seconds, metrics=scores(net, data.val))
        print(seed, mode, result[mode], f"{seconds:.0f} s", flush=True)
    return result


def one(mode):
    torch.set_num_threads(1)
    start, net = time.process_time(), train(SEEDS[0], mode, 1 / 8, data := clips.load(train=TRAIN, val=VAL, test=TEST))
    save_checkpoint(f"tsm-{mode}", net.state_dict(), factory="tinylib.video.models:clip_net", arguments={"mode": mode},
                    recipe=f"tinylib data make tsm-{mode}", seed=SEEDS[0], seconds=time.process_time() - start, metrics=scores(net, data.val))


def none():
    """Remake the checkpoint without shift (one minute)."""
    one("none")


def both():
    """Remake the checkpoint with the two-way shift (one minute)."""
    one("both")


def past():
    """Remake the checkpoint with the one-way shift (one minute)."""
    one("past")


def effects():
    """Remake the record of all seeds and fractions (about 15 minutes on one core)."""
    torch.set_num_threads(1)
    start = time.process_time()
    data = clips.load(train=TRAIN, val=VAL, test=TEST)
    runs = [run(seed, data) for seed in SEEDS]
    sweep = {str(f): scores(train(SEEDS[0], "past", f, data), data.val) for f in FRACTIONS}
    save_record("tsm-effects", {"runs": runs, "fractions": sweep}, recipe="tinylib data make tsm-effects", seed=SEEDS[0],
                seconds=time.process_time() - start,
                note=f"runs: {TEST} test clips, five seeds, equal weights at the start; fractions: one-way shift, validation clips, one seed")


def interval(values):
    """Mean and 95 % t-interval."""
    from scipy import stats
    values = np.asarray(values)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def gain(mode):
    return interval([100 * (r[mode]["accuracy"] - r["none"]["accuracy"]) for r in load_record("tsm-effects")["runs"]])


def gain_both():
    """Points of accuracy that the two-way shift adds to no shift, paired by seed."""
    return gain("both")


def gain_past():
    """Points of accuracy that the one-way shift adds to no shift, paired by seed."""
    return gain("past")


def blind_direction():
    """Percent of right directions of the network without shift, where it has the pair right (50 is a coin)."""
    return interval([100 * r["none"]["direction"] for r in load_record("tsm-effects")["runs"]])
