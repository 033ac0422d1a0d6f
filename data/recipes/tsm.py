"""Temporal shift on clips: no shift, both ways, one way, at equal MACs and parameters; several fractions."""

import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_model, load_record, save_checkpoint, save_record
from tinylib.core.paths import project_root
from tinylib.core.seed import generator, rng
from tinylib.datasets import clips, garments
from tinylib.datasets.files import Split
from tinylib.nn.fit import fit
from tinylib.video.gesture import by_hand, path_of_stroke
from tinylib.video.models import clip_net
from tinylib.video.tsm import MODES

SEEDS = (0, 1, 2, 3, 4)
TRAIN, VAL, TEST = 1_600, 400, 1_600
EPOCHS, LR, BATCH = 5, 0.08, 16            # fixed on validation clips of seed 0
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)


def tensors(split):
    """Clips float32 (b, t, 1, h, w) in [-1, 1] and labels (b,)."""
    return torch.from_numpy(split.images).float()[:, :, None] / 127.5 - 1, torch.from_numpy(split.labels.astype(np.int64))


def train(seed, mode, fraction, data):
    """A trained network, and the seconds it took. Kept in .cache, so that a run that dies goes on where it stopped."""
    from safetensors.torch import load_file, save_file
    path = project_root() / ".cache" / "tsm" / f"{mode}-{fraction}-{seed}.safetensors"
    net = clip_net(mode=mode, fraction=fraction, generator=generator(seed, "weights"))
    if path.exists():
        values = load_file(path)
        seconds = values.pop("seconds").item()
        net.load_state_dict(values)
        return net.eval(), seconds
    start = time.process_time()
    fit(net, tensors(data.train), epochs=EPOCHS, lr=LR, batch=BATCH, generator=generator(seed, "order"), weight_decay=1e-4)
    seconds = time.process_time() - start
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({**net.state_dict(), "seconds": torch.tensor(seconds)}, path)
    return net, seconds


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
        net, seconds = train(seed, mode, 1 / 8, data)
        result[mode] = scores(net, data.test)
        print(seed, mode, result[mode], f"{seconds:.0f} s", flush=True)
    return result


def one(mode):
    """Ship the network of the first seed."""
    torch.set_num_threads(1)
    data = clips.load(train=TRAIN, val=VAL, test=TEST)
    net, seconds = train(SEEDS[0], mode, 1 / 8, data)
    save_checkpoint(f"tsm-{mode}", net.state_dict(), factory="tinylib.video.models:clip_net", arguments={"mode": mode},
                    recipe=f"tinylib data make tsm-{mode}", seed=SEEDS[0], seconds=seconds, metrics=scores(net, data.val))


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
    sweep = {str(f): scores(train(SEEDS[0], "past", f, data)[0], data.val) for f in FRACTIONS}
    save_record("tsm-effects", {"runs": runs, "fractions": sweep}, recipe="tinylib data make tsm-effects", seed=SEEDS[0],
                seconds=time.process_time() - start,
                note=f"runs: {TEST} test clips, five seeds, equal weights at the start; fractions: one-way shift, validation clips, one seed")


STROKES = 800


def strokes(images, rng):
    """Clips of strokes by the modelled hand, and their classes."""
    labels = np.arange(STROKES) % len(clips.CLASSES)
    picked = images[rng.integers(len(images), size=STROKES)]
    drawn = [clips.animate(image, path_of_stroke(by_hand(int(label), rng)), rng) for image, label in zip(picked, labels)]
    return Split(np.stack(drawn), labels)


def gestures():
    """Remake the record of drawn strokes on test garments, seen by the shipped networks (ten seconds)."""
    torch.set_num_threads(1)
    start, split = time.process_time(), strokes(garments.load().test.images, rng(SEEDS[0], "strokes"))
    save_record("tsm-gestures", {mode: scores(load_model(f"tsm-{mode}"), split) for mode in MODES}, recipe="tinylib data make tsm-gestures",
                seed=SEEDS[0], seconds=time.process_time() - start,
                note=f"{STROKES} strokes by a modelled hand on test garments; share with the right class, pair, direction; the shipped networks, one seed")


def by_hand_right():
    """Percent of strokes of a modelled hand that the stream recognises, one seed; 95 % interval over the strokes."""
    share = load_record("tsm-gestures")["past"]["accuracy"]
    half = 1.96 * (share * (1 - share) / STROKES) ** 0.5
    return {"value": 100 * share, "low": 100 * (share - half), "high": 100 * (share + half)}


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
