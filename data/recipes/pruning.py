"""Networks and records of the lab pruning. All choices were made on the validation split; `seeds` looks at the test set once."""

import copy
import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_checkpoint, load_model, load_record, save_checkpoint, save_record
from tinylib.core.errors import TinylibError
from tinylib.core.seed import generator
from tinylib.datasets import garments
from tinylib.measure.latency import race
from tinylib.measure.profile import profile
from tinylib.measure.size import model_bytes
from tinylib.nn.fit import evaluate, fit
from tinylib.nn.models import build
from tinylib.prune.channel import cut_channels, shrink_to
from tinylib.prune.magnitude import apply_masks_, global_masks, keep_masks, layer_masks, n_of_m_masks, prunable, sparsity_of
from tinylib.prune.sensitivity import choose_ratios, sensitivity_scan

WIDTHS = [24, 24, 48, 48, 96]
SHAPE = [1, 1, 28, 28]
SEEDS = (0, 1, 2, 3, 4)
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
SHARES = (0.75, 0.5, 0.35, 0.25, 0.15)
SCAN = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TUNE = {"epochs": 3, "lr": 0.03, "batch": 128, "weight_decay": 3e-4}


def flip(x, generator):
    """Mirror half of the images of a batch left to right."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def last(x):
    """The same tensor with its channels last in memory: the faster layout for convolutions here."""
    return x.contiguous(memory_format=torch.channels_last)


def tensors(split):
    """Images (channels last) and labels of a split."""
    images, labels = split.tensors()
    return last(images), labels


def macs(model):
    """MACs of one 28x28 image."""
    return profile(model, torch.zeros(SHAPE)).macs


def train_dense(data, seed):
    """The plain network trained from scratch: 6 epochs, about 40 s of CPU."""
    model = build("plain_net", generator=generator(seed, "weights"), widths=WIDTHS).to(memory_format=torch.channels_last)
    fit(model, data, epochs=6, lr=0.1, batch=128, weight_decay=3e-4, generator=generator(seed, "order"), augment=flip)
    return model


def tuned(model, data, seed, masks=None, **changes):
    """A copy, trained a little more; with masks, removed weights stay zero."""
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)
    fit(model, data, **{**TUNE, **changes}, generator=generator(seed, "tune"), augment=flip, on_step=keep_masks(model, masks) if masks else None)
    return model


def masked(model, masks):
    """A copy with the removed weights at zero."""
    model = copy.deepcopy(model)
    apply_masks_(model, masks)
    return model


def one_seed(data, test, seed):
    """Test accuracies of one seed: dense, dense trained on, one-shot 80 %, fine-tuned 80 %, 2:4, half the MACs, half in eights."""
    dense = train_dense(data, seed)
    masks, groups = global_masks(dense, 0.8), n_of_m_masks(dense)
    kept, eights = (shrink_to(dense, torch.zeros(SHAPE), macs, 0.5 * macs(dense), multiple=m) for m in (1, 8))
    nets = {
        "dense": dense, "dense_more": tuned(dense, data, seed), "one_shot": masked(dense, masks), "sparse": tuned(dense, data, seed, masks),
        "two_four": tuned(dense, data, seed, groups), "half_one_shot": cut_channels(dense, torch.zeros(SHAPE), kept),
        "half": tuned(cut_channels(dense, torch.zeros(SHAPE), kept), data, seed), "eights": tuned(cut_channels(dense, torch.zeros(SHAPE), eights), data, seed),
    }
    return nets, (kept, eights), {name: evaluate(net, test) for name, net in nets.items()}


def seeds():
    """Five networks from scratch, each pruned in every way and tested once (about 11 minutes of CPU). Goes on where it stopped."""
    torch.set_num_threads(1)
    splits = garments.load()
    data, test = tensors(splits.train), tensors(splits.test)
    try:
        rows, spent = load_record("pruning-seeds"), 0.0
        rows = [] if len(rows) == len(SEEDS) else rows
    except TinylibError:
        rows, spent = [], 0.0
    for seed in [s for s in SEEDS if s not in {row["seed"] for row in rows}]:
        start = time.process_time()
        nets, kept, accuracy = one_seed(data, test, seed)
        row = {"seed": seed, **accuracy, "sparsity": sparsity_of(nets["sparse"]), "macs": macs(nets["dense"]), "half_macs": macs(nets["half"]),
               "eights_macs": macs(nets["eights"])}
        rows.append(row)
        spent += time.process_time() - start
        print(row, f"{spent:.0f} s", flush=True)
        save_record("pruning-seeds", rows, recipe="tinylib data make pruning-seeds", seed=0, seconds=spent,
                    note=f"Accuracy on the 10,000 test images, measured once for each of {len(rows)} networks trained from scratch.")
        if seed == 0:
            save_nets(nets, kept, splits, time.process_time() - start)


def save_nets(nets, kept, splits, seconds):
    """Checkpoints of seed 0: dense, 80 % zeros, half the MACs, half the MACs in multiples of eight channels."""
    val, plain = tensors(splits.val), {"factory": "tinylib.nn.models:plain_net", "arguments": {"widths": WIDTHS}}
    half, eights = ({"factory": "tinylib.prune.channel:rebuilt", "arguments": {**plain, "shape": SHAPE, "kept": k}} for k in kept)
    for name, net, build_by in (("plain", "dense", plain), ("sparse80", "sparse", plain), ("half", "half", half), ("eights", "eights", eights)):
        save_checkpoint(f"pruning-{name}", nets[net].state_dict(), **build_by, recipe="tinylib data make pruning-seeds", seed=0, seconds=seconds,
                        metrics={"val_accuracy": evaluate(nets[net], val)})


def plain():
    """The dense network of seed 0 comes with the record of all seeds."""
    seeds()


sparse80 = half = eights = plain


def sweep():
    """Validation accuracy over sparsities, MAC shares and ways to choose the weights, two epochs each (about 3 minutes of CPU)."""
    torch.set_num_threads(1)
    start, splits = time.process_time(), garments.load()
    data, val = tensors(splits.train), tensors(splits.val)
    dense = load_model("pruning-plain").to(memory_format=torch.channels_last)
    few = tuple(t[:1000] for t in val)
    curves = sensitivity_scan(dense, lambda net: evaluate(net, few), SCAN)
    ratios = choose_ratios(curves, SCAN, {n: w.numel() for n, w in prunable(dense).items()}, 0.8)
    ways = {"one ratio for all": layer_masks(dense, 0.8), "ratios from the scan": layer_masks(dense, ratios), "all weights together": global_masks(dense, 0.8),
            "at random": random_masks(dense, 0.8)}
    whole = evaluate(dense, val)
    rows = [{"kind": "dense", "setting": 1.0, "one_shot": whole, "tuned": whole, "macs": macs(dense), "bytes": model_bytes(dense)}]
    for kind, settings in (("zeros", {s: global_masks(dense, s) for s in SPARSITIES}), ("2:4", {0.5: n_of_m_masks(dense)}), ("way", ways)):
        for setting, masks in settings.items():
            net = tuned(dense, data, 0, masks, epochs=2)
            rows.append({"kind": kind, "setting": setting, "one_shot": evaluate(masked(dense, masks), val), "tuned": evaluate(net, val),
                         "macs": macs(net), "bytes": sparse_bytes(net)})
            print(rows[-1], flush=True)
    for share in SHARES:
        cut = cut_channels(dense, torch.zeros(SHAPE), shrink_to(dense, torch.zeros(SHAPE), macs, share * macs(dense)))
        net = tuned(cut, data, 0, epochs=2)
        rows.append({"kind": "channels", "setting": share, "one_shot": evaluate(cut, val), "tuned": evaluate(net, val), "macs": macs(net),
                     "bytes": model_bytes(net)})
        print(rows[-1], flush=True)
    save_record("pruning-sweep", {"rows": rows, "scan": {"sparsities": list(SCAN), "curves": curves}, "ratios": ratios},
                recipe="tinylib data make pruning-sweep", seed=0, seconds=time.process_time() - start,
                note="Accuracy on the 3,000 validation images of one network (seed 0), two epochs of fine-tuning for each setting.")


def random_masks(model, sparsity):
    """The control: as many weights, drawn blindly."""
    drawn = copy.deepcopy(model)
    with torch.no_grad():
        for index, weight in enumerate(prunable(drawn).values()):
            weight.copy_(torch.rand(weight.shape, generator=generator(index, "random mask")))
    return layer_masks(drawn, sparsity)


def sparse_bytes(model):
    """Bytes of storage: 4 for each weight that is not zero, one bit of mask for every weight, 4 for everything else."""
    weights = list(prunable(model).values())
    count, nonzero = sum(w.numel() for w in weights), sum(int(w.count_nonzero()) for w in weights)
    return model_bytes(model) - 4 * (count - nonzero) + -(-count // 8)


def garments_half():
    """The passport network cut to half its MACs and fine-tuned (about 40 s of CPU)."""
    torch.set_num_threads(1)
    start, splits = time.process_time(), garments.load()
    base = load_model("garments-base").to(memory_format=torch.channels_last)
    kept = shrink_to(base, torch.zeros(SHAPE), macs, 0.5 * macs(base))
    net = tuned(cut_channels(base, torch.zeros(SHAPE), kept), tensors(splits.train), 0, epochs=4, lr=0.1)
    card = load_checkpoint("garments-base")[1]
    metrics = {"val_accuracy": evaluate(net, tensors(splits.val)), "test_accuracy": evaluate(net, tensors(splits.test)), "macs": macs(net)}
    save_checkpoint("pruning-garments-half", net.state_dict(), factory="tinylib.prune.channel:rebuilt",
                    arguments={"factory": card["factory"], "arguments": card["arguments"], "shape": SHAPE, "kept": kept},
                    recipe="tinylib data make pruning-garments-half", seed=0, seconds=time.process_time() - start, metrics=metrics)
    print(metrics)


def interval(values):
    """Mean and 95 % interval (Student's t) of a few paired values."""
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return {"value": round(float(values.mean()), 2), "low": round(float(values.mean() - half), 2), "high": round(float(values.mean() + half), 2)}


def points(one, other):
    """Difference of two columns of the record of seeds, in percentage points."""
    return interval([100 * (row[one] - row[other]) for row in load_record("pruning-seeds")])


def claim_tuned():
    """80 % sparse and fine-tuned, minus dense."""
    return points("sparse", "dense")


def claim_tuned_fair():
    """80 % sparse and fine-tuned, minus the dense network trained for the same extra epochs."""
    return points("sparse", "dense_more")


def claim_one_shot():
    """80 % sparse without training, minus dense."""
    return points("one_shot", "dense")


def claim_two_four():
    """2:4 and fine-tuned, minus dense."""
    return points("two_four", "dense")


def claim_half():
    """Half the MACs and fine-tuned, minus dense."""
    return points("half", "dense")


def ratio(slow, fast, images=64, rounds=60):
    """Time of `slow` over time of `fast`, turn by turn; the interval is that of the median by bootstrap over ten blocks."""
    torch.set_num_threads(1)
    x = last(torch.zeros(images, *SHAPE[1:]))
    with torch.inference_mode():
        blocks = [race({"slow": lambda: slow(x), "fast": lambda: fast(x)}, runs=rounds // 10, seconds=60.0) for _ in range(10)]
    return interval([block["slow"].median_ms / block["fast"].median_ms for block in blocks])


def claim_eights():
    """At most half the MACs in multiples of eight channels and fine-tuned, minus dense."""
    return points("eights", "dense")


def claim_half_latency():
    """Dense time over the time of the network with half the MACs."""
    dense, half = (load_model(f"pruning-{n}").to(memory_format=torch.channels_last) for n in ("plain", "half"))
    return ratio(dense, half)


def claim_eights_latency():
    """Dense time over the time of the network with at most half the MACs in multiples of eight channels."""
    dense, eights = (load_model(f"pruning-{n}").to(memory_format=torch.channels_last) for n in ("plain", "eights"))
    return ratio(dense, eights)


def claim_zeros_latency():
    """Dense time over the time of the same network with 80 % of its weights at zero."""
    dense, sparse = (load_model(f"pruning-{n}").to(memory_format=torch.channels_last) for n in ("plain", "sparse80"))
    return ratio(dense, sparse)


