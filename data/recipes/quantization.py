"""Networks, records and claims of the lab `quantization`. All choices were made on the validation split; `seeds` looks at the test set once."""

import copy
import math
import time

import numpy as np
import torch
from scipy.stats import t

from tinylib.core.checkpoint import load_model, load_record, save_checkpoint, save_record
from tinylib.core.errors import TinylibError
from tinylib.core.seed import generator
from tinylib.datasets import garments
from tinylib.nn.fit import evaluate, fit
from tinylib.nn.models import build
from tinylib.quantize.convert import accuracy, quantize_model
from tinylib.quantize.cost import layer_costs, scale_bytes, weight_bytes
from tinylib.quantize.kmeans import codebook_bytes, share_weights
from tinylib.quantize.linear import round_trip, weight_grid
from tinylib.quantize.ordinary import make_ordinary
from tinylib.quantize.qat import prepare
from tinylib.quantize.trace import fold_model

EPOCHS = 9                              # as in the recipe of garments-base, which is seed 0
SEEDS = (0, 1, 2, 3, 4)
CALIBRATION = 256                       # training pictures that set the ranges of the activations
TUNE = {"epochs": 1, "lr": 0.01, "batch": 128, "weight_decay": 0.0}
TUNED = {"per tensor": (3, 4), "per channel": (3, 4), "codebook": (4,)}
SHARED_LR = 1e-4                        # a centroid's gradient is the sum over its cluster, so its steps must be smaller
WAYS = ("per tensor", "per channel", "codebook")


def flip(x, generator):
    """Mirror half of the images of a batch left to right."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def train(seed: int) -> None:
    """Train `quantization-seed<seed>` as garments-base was trained (about two minutes of CPU)."""
    torch.set_num_threads(1)
    start = time.process_time()
    data = garments.load()
    model = build("garment_net", generator=generator(seed, "weights")).to(memory_format=torch.channels_last)
    images, labels = data.train.tensors()
    fit(model, (images.contiguous(memory_format=torch.channels_last), labels), epochs=EPOCHS, lr=0.1, batch=128, weight_decay=3e-4,
        generator=generator(seed, "order"), augment=flip)
    metrics = {"val_accuracy": evaluate(model, data.val.tensors()), "test_accuracy": evaluate(model, data.test.tensors())}
    name = f"quantization-seed{seed}"
    save_checkpoint(name, model.state_dict(), factory="tinylib.nn.models:garment_net", arguments={}, recipe=f"tinylib data make {name}",
                    seed=seed, seconds=time.process_time() - start, metrics=metrics)
    print(name, metrics, f"{time.process_time() - start:.0f} s", flush=True)


def seed1():
    train(1)


def seed2():
    train(2)


def seed3():
    train(3)


def seed4():
    train(4)


def last(x):
    """The same tensor with its channels last in memory: the faster layout for convolutions here."""
    return x.contiguous(memory_format=torch.channels_last)


def tensors(split, count=None):
    """Images (channels last) and labels of a split."""
    images, labels = split.tensors()
    return last(images[:count]), labels[:count]


def network(seed):
    """The trained network of a seed."""
    return load_model("garments-base" if seed == 0 else f"quantization-seed{seed}")


def tuned(model, data, seed, **changes):
    """Train a prepared or shared network in place for one epoch."""
    model = model.to(memory_format=torch.channels_last)
    fit(model, data, **{**TUNE, **changes}, generator=generator(seed, "tune"), augment=flip)
    return model


def integers(model, some, train_data, test, seed):
    """Float, and all integers at 8 bits."""
    return {"float": evaluate(model, test), "int8": accuracy(quantize_model(model, some), test[0].contiguous(), test[1])}


def four_bits_shared(model, some, train_data, test, seed):
    """4-bit weights and activations, one scale a layer: as rounded, and after half an epoch of training."""
    net = last_model(prepare(model, some, weight_bits=4, activation_bits=4, per_channel=False))
    before = evaluate(net, test)
    return {"four_tensor": before, "four_trained": evaluate(tuned(net, train_data, seed, epochs=0.5), test)}


def four_bits_otherwise(model, some, train_data, test, seed):
    """4 bits with a scale per channel; and weights alone at 4 bits: even levels and codebook."""
    shared = make_ordinary(share_weights(fold_model(model, some), 4))
    return {"four_channel": evaluate(last_model(prepare(model, some, weight_bits=4, activation_bits=4)), test),
            "weights_linear": evaluate(last_model(prepare(model, some, weight_bits=4, activation_bits=None, per_channel=False)), test),
            "weights_codebook": evaluate(last_model(shared), test)}


def last_model(model):
    """The model with its weights in channels-last order."""
    return model.to(memory_format=torch.channels_last)


PARTS = (integers, four_bits_shared, four_bits_otherwise)


def one_seed(seed, train_data, test):
    """Test accuracies of one network in every form."""
    model, some = network(seed), train_data[0][:CALIBRATION].contiguous()
    row = {"seed": seed}
    for part in PARTS:
        row |= part(model, some, train_data, test, seed)
    return row


def seeds():
    """Up to five networks (three are in the record), each in seven forms, tested once (about 6 minutes of CPU). Goes on where it stopped."""
    torch.set_num_threads(1)
    splits = garments.load()
    train_data, test = tensors(splits.train), tensors(splits.test)
    try:
        rows = load_record("quantization-seeds")
        rows = [] if len(rows) == len(SEEDS) else rows
    except TinylibError:
        rows = []
    spent = 0.0
    for seed in SEEDS[len(rows):]:
        start = time.process_time()
        rows.append(one_seed(seed, train_data, test))
        spent += time.process_time() - start
        print(rows[-1], f"{spent:.0f} s", flush=True)
        save_record("quantization-seeds", rows, recipe="tinylib data make quantization-seeds", seed=0, seconds=spent,
                    note="Accuracy on the 10,000 test images, measured once for each of five networks. four_*: 4-bit weights and activations; "
                         "weights_*: 4-bit weights, float activations, one scale or one codebook a layer, no training.")


def rounded(folded, some, way, bits):
    """The network with its weights at `bits` in one of the three ways, ready to evaluate or train."""
    if way == "codebook":
        return share_weights(copy.deepcopy(folded), bits)
    return prepare(folded, some, weight_bits=bits, activation_bits=None, per_channel=way == "per channel")


def stored_bytes(costs, way, bits):
    """Bytes of the weights with their scales or codebooks."""
    if way == "codebook":
        return sum(codebook_bytes(cost.weights, bits) for cost in costs)
    return weight_bytes(costs, bits) + scale_bytes(costs, per_channel=way == "per channel")


def one_layer(folded, name):
    """The network with the weights of one layer at 3 bits, one scale; all others float."""
    net = copy.deepcopy(folded)
    weight = net.get_submodule(name).weight.data
    weight.copy_(round_trip(weight, weight_grid(weight, 3, per_channel=False)))
    return net.to(memory_format=torch.channels_last)


def sweep():
    """Validation accuracy of garments-base over bits and ways, without and with an epoch of training, and by layer (about 5 minutes)."""
    torch.set_num_threads(1)
    start, splits = time.process_time(), garments.load()
    train_data, val = tensors(splits.train), tensors(splits.val)
    model, some = network(0), train_data[0][:CALIBRATION].contiguous()
    folded, costs = fold_model(model, some), layer_costs(model, some)
    rows = []
    for way in WAYS:
        for bits in range(2, 9):
            net = rounded(folded, some, way, bits)
            row = {"way": way, "bits": bits, "bytes": stored_bytes(costs, way, bits), "plain": evaluate(net.to(memory_format=torch.channels_last), val)}
            changes = {"lr": SHARED_LR} if way == "codebook" else {}
            row["tuned"] = evaluate(tuned(net, train_data, 0, **changes), val) if bits in TUNED[way] else None
            rows.append(row)
            print(row, f"{time.process_time() - start:.0f} s", flush=True)
    few = tuple(tensor[:1500] for tensor in val)
    layers = {cost.name: evaluate(one_layer(folded, cost.name), few) for cost in costs}
    content = {"float": evaluate(model, val), "rows": rows, "layers": layers, "layers_float": evaluate(model, few)}
    save_record("quantization-sweep", content, recipe="tinylib data make quantization-sweep", seed=0, seconds=time.process_time() - start,
                note="Accuracy on the 3,000 validation images; weights rounded, activations float. plain: as it is; tuned: one epoch of training. "
                     "layers: one layer at 3 bits per tensor, all others float, 1,500 images.")


def interval(values):
    """Mean and 95 % t-interval of paired differences over the seeds, in points."""
    values = 100 * np.asarray(values)
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def gap(after, before):
    """Difference of two columns of the record of seeds."""
    return interval([row[after] - row[before] for row in load_record("quantization-seeds")])


def eight_bits():
    return gap("int8", "float")


def four_bits():
    return gap("four_tensor", "float")


def training():
    return gap("four_trained", "four_tensor")


def per_channel():
    return gap("four_channel", "four_tensor")


def codebook():
    return gap("weights_codebook", "weights_linear")
