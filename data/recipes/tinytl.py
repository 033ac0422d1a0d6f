"""Network, sweep and claims of the lab tinytl: learn ten classes in Google's emoji, adapt to Twitter's."""

import sys
import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_model, load_record, save_checkpoint, save_record
from tinylib.core.seed import generator, rng
from tinylib.datasets import emoji
from tinylib.nn.fit import fit, predict_logits
from tinylib.nn.models import build
from tinylib.train.tinytl import METHODS, add_lite, drop_lite, set_method

SEED, SEEDS = 0, 5                      # of the source network; how many runs of each method
SHOTS, BATCH, STEPS = 300, 16, 300      # pictures of the new vendor, batch and steps of an adaptation
RATES = {"full": (0.01, 0.03), "bn+last": (0.03, 0.1), "last": (0.03, 0.1), "bias": (0.03, 0.1), "lite": (0.03, 0.1), "lite+bias": (0.03, 0.1)}


def scenes(data, vendor, rows, random):
    """Pictures of `rows` on random colours, moved by up to 4 pixels and mirrored at random: float (n, 3, 32, 32) in [-1, 1]."""
    art = np.pad(data.art(vendor)[rows], ((0, 0), (4, 4), (4, 4), (0, 0)))
    moved = np.empty((len(rows), 32, 32, 4), np.uint8)
    for i, (dy, dx, mirrored) in enumerate(zip(*random.integers(0, 9, (2, len(rows))), random.random(len(rows)) < 0.5)):
        picture = art[i, dy:dy + 32, dx:dx + 32]
        moved[i] = picture[:, ::-1] if mirrored else picture
    pixels = emoji.on_colour(moved, random.integers(0, 256, (len(rows), 3)))
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 127.5 - 1
    return images.contiguous(memory_format=torch.channels_last)


class Stream:
    """Batches drawn anew in each pass: a class at random, one of its concepts, one of its pictures."""

    def __init__(self, data, vendor, rows, steps, batch, random):
        self.data, self.vendor, self.steps, self.batch, self.random = data, vendor, steps, batch, random
        self.tree = [[rows[(data.labels[rows] == c) & (data.groups[rows] == g)] for g in np.unique(data.groups[rows][data.labels[rows] == c])]
                     for c in range(len(emoji.CLASSES))]

    def __len__(self):
        return self.steps

    def __iter__(self):
        pick = lambda items: items[self.random.integers(len(items))]
        for _ in range(self.steps):
            rows = np.array([pick(pick(self.tree[self.random.integers(len(self.tree))])) for _ in range(self.batch)])
            yield scenes(self.data, self.vendor, rows, self.random), torch.from_numpy(self.data.labels[rows].astype(np.int64))


def one_a_concept(data, part):
    """The first row of each labelled concept of a part: no skin tones, no variants."""
    rows = data.part(part)
    return rows[np.unique(data.groups[rows], return_index=True)[1]]


def accuracy(model, data, vendor, part, views=6):
    """Share of right answers on the concepts of a part, each seen in `views` fixed random placements."""
    rows = one_a_concept(data, part)
    hits = [(predict_logits(model, scenes(data, vendor, rows, rng(view, "view", part))).argmax(1).numpy() == data.labels[rows]).mean() for view in range(views)]
    return float(np.mean(hits))


def source():
    """Train the backbone on Google's pictures, then the lite residuals with the backbone fixed; save `tinytl-source`."""
    torch.set_num_threads(1)
    start, data = time.process_time(), emoji.load()
    rows = data.part("train")
    say = lambda s: s.index % 200 == 0 and print(f"step {s.index}/{s.total} loss {s.loss:.3f}", flush=True)
    model = build("garment_net", generator=generator(SEED, "weights"), c_in=3).to(memory_format=torch.channels_last)
    fit(model, Stream(data, "google", rows, 1000, 64, rng(SEED, "source")), epochs=1, lr=0.08, generator=generator(SEED), weight_decay=1e-3, on_step=say)
    plain = {f"{vendor}_val": accuracy(model, data, vendor, "val") for vendor in emoji.VENDORS}
    print(plain, time.process_time() - start, flush=True)
    model = add_lite(model, torch.zeros(1, 3, 32, 32), generator(SEED, "lite")).to(memory_format=torch.channels_last)
    set_method(model, "lite")
    fit(model, Stream(data, "google", rows, 200, 64, rng(SEED, "lite")), epochs=1, lr=0.03, generator=generator(SEED), on_step=say)
    metrics = plain | {f"lite_{vendor}_val": accuracy(model, data, vendor, "val") for vendor in emoji.VENDORS}
    save_checkpoint("tinytl-source", model.state_dict(), factory="tinylib.train.tinytl:lite_garment_net", arguments={"c_in": 3},
                    recipe="tinylib data make tinytl-source", seed=SEED, seconds=time.process_time() - start, metrics=metrics)
    print(metrics, time.process_time() - start)


def few(data, seed):
    """The pictures that an adaptation sees: SHOTS rows of the training concepts, each class as often as its concepts allow."""
    rows = one_a_concept(data, "train")
    return np.sort(rng(seed, "shots").permutation(rows)[:SHOTS])


def adapt(data, method, lr, seed, part):
    """Adapt the source network to Twitter's pictures with one method; accuracy on a part of Twitter's concepts."""
    model = load_model("tinytl-source").to(memory_format=torch.channels_last)
    model = set_method(model if "lite" in method else drop_lite(model), method)
    stream = Stream(data, "twitter", few(data, seed), STEPS, BATCH, rng(seed, "adapt"))
    fit(model, stream, epochs=1, lr=lr, generator=generator(seed), weight_decay=1e-4)
    return accuracy(model, data, "twitter", part)


def start(data, part):
    """Accuracy of the source network as it is, on both vendors."""
    model = drop_lite(load_model("tinytl-source"))
    return {vendor: accuracy(model, data, vendor, part) for vendor in emoji.VENDORS}


def tune():
    """Choose each method's learning rate on the validation concepts (seed 100); save `tinytl-tune`."""
    torch.set_num_threads(1)
    begin, data, rows = time.process_time(), emoji.load(), []
    for method, rates in RATES.items():
        for lr in rates:
            rows.append({"method": method, "lr": lr, "val": adapt(data, method, lr, 100, "val")})
            print(rows[-1], f"{time.process_time() - begin:.0f} s", flush=True)
    best = {m: max((r for r in rows if r["method"] == m), key=lambda r: r["val"])["lr"] for m in METHODS}
    save_record("tinytl-tune", {"rows": rows, "best": best, "start": start(data, "val")}, recipe="tinylib data make tinytl-tune", seed=100,
                seconds=time.process_time() - begin, note="validation accuracy after adaptation, one run for each method and learning rate")


def sweep():
    """Six methods, five seeds, once on the test concepts; save `tinytl-sweep`."""
    torch.set_num_threads(1)
    begin, data, best = time.process_time(), emoji.load(), load_record("tinytl-tune")["best"]
    test = {method: [] for method in METHODS}
    for seed in range(SEEDS):
        for method in METHODS:
            test[method].append(adapt(data, method, best[method], seed, "test"))
            print(seed, method, round(test[method][-1], 4), f"{time.process_time() - begin:.0f} s", flush=True)
    save_record("tinytl-sweep", {"test": test, "lr": best, "start": start(data, "test"), "shots": SHOTS, "steps": STEPS, "batch": BATCH},
                recipe="tinylib data make tinytl-sweep", seed=0, seconds=time.process_time() - begin,
                note="test accuracy on unseen concepts of the other vendor; one entry a seed")


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
