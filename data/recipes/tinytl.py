"""Network, sweep and claims of the lab tinytl: learn ten classes in Google's emoji, adapt to Twitter's."""

import copy
import json
import sys
import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_checkpoint, load_model, load_record, save_checkpoint, save_record
from tinylib.core.paths import project_root
from tinylib.core.seed import generator, rng
from tinylib.datasets import emoji
from tinylib.datasets.emoji_scenes import Stream, one_a_concept, scenes
from tinylib.measure.saved import saved_by_model
from tinylib.nn.fit import fit, predict_logits
from tinylib.nn.models import build
from tinylib.train.memory import saved_by_rule, trace_layers
from tinylib.train.tinytl import METHODS, add_lite, drop_lite, lean, set_method

SEED, SEEDS = 0, 5                      # of the source network; how many runs of each method
SHOTS, BATCH, STEPS = 500, 16, 300      # pictures of the new vendor, batch and steps of an adaptation
CACHE = project_root() / ".cache" / "tinytl.jsonl"
T_975 = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571}     # 97.5 % quantile of t by degrees of freedom
RATES = {"full": (0.003, 0.01), "bn+last": (0.01, 0.03), "last": (0.01, 0.03), "bias": (0.01, 0.03), "lite": (0.01, 0.03), "lite+bias": (0.01, 0.03)}


def accuracy(model, data, vendor, part, views=4):
    """Accuracy on the concepts of a part, each seen in `views` fixed random placements; mean over the ten classes, each counted alike."""
    rows = one_a_concept(data, part)
    labels = data.labels[rows]
    hits = np.mean([predict_logits(model, scenes(data, vendor, rows, rng(view, "view", part))).argmax(1).numpy() == labels for view in range(views)], axis=0)
    return float(np.mean([hits[labels == c].mean() for c in range(len(emoji.CLASSES))]))


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
    """Adapt the source network to Twitter's pictures with one method: (accuracy on a part of Twitter's concepts, CPU seconds of the run).

    Every finished run is kept in .cache: a sweep that dies, or that is run in parts, goes on where it stopped.
    """
    key = f"{load_checkpoint('tinytl-source')[1]['sha256'][:8]} {SHOTS} {BATCH} {STEPS} {method} {lr} {seed} {part}"
    CACHE.parent.mkdir(exist_ok=True)
    known = dict(json.loads(line) for line in CACHE.read_text().splitlines()) if CACHE.exists() else {}
    if key not in known:
        begin = time.process_time()
        known[key] = adapt_now(data, method, lr, seed, part), time.process_time() - begin
        with CACHE.open("a") as file:
            file.write(json.dumps([key, known[key]]) + "\n")
    return known[key]


def adapt_now(data, method, lr, seed, part):
    """One run, without looking for an old one."""
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
    data, rows, seconds = emoji.load(), [], 0.0
    for method, rates in RATES.items():
        for lr in rates:
            value, took = adapt(data, method, lr, 100, "val")
            rows.append({"method": method, "lr": lr, "val": value})
            seconds += took
            print(rows[-1], f"{took:.0f} s", flush=True)
    best = {m: max((r for r in rows if r["method"] == m), key=lambda r: r["val"])["lr"] for m in METHODS}
    save_record("tinytl-tune", {"rows": rows, "best": best, "start": start(data, "val")}, recipe="tinylib data make tinytl-tune", seed=100,
                seconds=seconds, note="validation accuracy (mean over classes) after adaptation, one run for each method and learning rate")


def runs(data, best, seed):
    """All methods with one seed, once on the test concepts: {method: (accuracy, CPU seconds)}. Two to three minutes."""
    found = {}
    for method in METHODS:
        found[method] = adapt(data, method, best[method], seed, "test")
        print(seed, method, round(found[method][0], 4), f"{found[method][1]:.0f} s", flush=True)
    return found


def sweep():
    """Six methods, five seeds, once on the test concepts; save `tinytl-sweep`. May be stopped and started again at any time."""
    torch.set_num_threads(1)
    data, best = emoji.load(), load_record("tinytl-tune")["best"]
    rows = [runs(data, best, seed) for seed in range(SEEDS)]
    save_record("tinytl-sweep", {"test": {m: [row[m][0] for row in rows] for m in METHODS}, "lr": best, "start": start(data, "test"), "shots": SHOTS,
                                 "steps": STEPS, "batch": BATCH},
                recipe="tinylib data make tinytl-sweep", seed=0, seconds=sum(took for row in rows for _, took in row.values()),
                note="test accuracy (mean over classes) on unseen concepts of the other vendor; one entry a seed")


def memory():
    """Bytes kept for backward by each method, stock and lean, at batch 8, and lean at other batches; save `tinytl-memory`."""
    begin, model = time.process_time(), load_model("tinytl-source")
    nets = {m: set_method(copy.deepcopy(model) if "lite" in m else drop_lite(model), m).train() for m in METHODS}
    kept = lambda net, batch: saved_by_model(net, torch.zeros(batch, 3, 32, 32)).bytes
    save_record("tinytl-memory", {
        "batch": 8, "stock": {m: kept(net, 8) for m, net in nets.items()}, "lean": {m: kept(lean(net), 8) for m, net in nets.items()},
        "rule": {m: sum(saved_by_rule(trace_layers(lean(net), torch.zeros(8, 3, 32, 32))).values()) for m, net in nets.items()},
        "by_batch": {m: {str(b): kept(lean(net), b) for b in (1, 2, 4, 16, 32)} for m, net in nets.items()}},
        recipe="tinylib data make tinytl-memory", seed=0, seconds=time.process_time() - begin,
        note="bytes of activations kept for backward, by the meter and by the rule; exact")


def interval(values):
    """Mean and 95 % t-interval over seeds."""
    values = np.array(values)
    half = T_975[len(values) - 1] * values.std(ddof=1) / np.sqrt(len(values))
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def points(better, worse):
    """Accuracy of one method minus another's, seed by seed, in points."""
    test = load_record("tinytl-sweep")["test"]
    return interval([100 * (b - w) for b, w in zip(test[better], test[worse])])


def claim_saving():
    """Bytes of full training over bytes of lite+bias, batch 8, by the meter, from scratch."""
    model = load_model("tinytl-source")
    kept = {m: saved_by_model(lean(set_method(n, m)).train(), torch.zeros(8, 3, 32, 32)).bytes for m, n in (("full", drop_lite(model)), ("lite+bias", model))}
    ratio = kept["full"] / kept["lite+bias"]
    return {"value": ratio, "low": ratio, "high": ratio}


def claim_stock():
    """Bytes of full training over bytes of bias training in stock PyTorch."""
    model = drop_lite(load_model("tinytl-source"))
    full, bias = (saved_by_model(set_method(model, m).train(), torch.zeros(8, 3, 32, 32)).bytes for m in ("full", "bias"))
    return {"value": full / bias, "low": full / bias, "high": full / bias}


def claim_bias_over_last():
    """From the recorded sweep."""
    return points("bias", "last")


def claim_lite_bias_over_bias():
    """From the recorded sweep."""
    return points("lite+bias", "bias")


def claim_lite_bias_over_last():
    """From the recorded sweep."""
    return points("lite+bias", "last")


def claim_full_over_lite_bias():
    """From the recorded sweep."""
    return points("full", "lite+bias")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
