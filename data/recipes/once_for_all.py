"""Once-for-All on garments: the full network, progressive shrinking, measured pairs, networks trained alone."""

import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_checkpoint, save_checkpoint, save_record
from tinylib.core.seed import generator, rng
from tinylib.datasets import garments
from tinylib.nas.once_for_all import Shape, SuperNet, narrowed, phases, resized, shrinking_loss
from tinylib.nn.fit import evaluate, fit, recalibrate_bn
from tinylib.nn.layers import initialise
from tinylib.search.space import Space

SEED = 0
TRAIN = 12_000          # images used for training here
FULL_EPOCHS, SHRINK_EPOCHS = 8, (2, 1, 2, 1, 2)
RECALIBRATION, VALIDATION = 1_000, 1_500
FACTORY = "tinylib.nas.once_for_all:build"


def flip(x, generator):
    """Mirror half of the images of a batch left to right."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def training_images():
    data = garments.load()
    images, labels = data.train.tensors()
    return images[:TRAIN].contiguous(memory_format=torch.channels_last), labels[:TRAIN], data


def train_full(seed):
    """The largest network alone, at every resolution of the space."""
    images, labels, _ = training_images()
    net = initialise(SuperNet(Shape()), generator(seed, "weights")).to(memory_format=torch.channels_last)
    for block in net.blocks.values():
        torch.nn.init.normal_(block.depthwise.weight, 0, (2 / 49) ** 0.5, generator=generator(seed, "depthwise", block.c_in, block.c_out))
    space = narrowed(net.space, {"kernel": (7,), "depth": (3,), "expand": (4,)})
    fit(net, (images, labels), epochs=FULL_EPOCHS, lr=0.1, weight_decay=3e-4, generator=generator(seed, "order"), augment=flip,
        loss=shrinking_loss(net, space, rng(seed, "full")), on_step=progress("full"))
    return net


def shrink(teacher, seed):
    """Progressive shrinking from the full network, which stays as the frozen teacher."""
    images, labels, _ = training_images()
    net = SuperNet(Shape()).to(memory_format=torch.channels_last)
    net.load_state_dict(teacher.state_dict())
    teacher.eval()
    for (name, allowed, count), epochs in zip(phases(net.shape), SHRINK_EPOCHS):
        if name.startswith("width"):
            net.sort(kept=() if name == "width 1" else allowed["expand"][1:-1])
        space = narrowed(net.space, allowed)
        fit(net, (images, labels), epochs=epochs, lr=0.03, weight_decay=3e-4, generator=generator(seed, name), augment=flip,
            loss=shrinking_loss(net, space, rng(seed, name), count=count, teacher=teacher), on_step=progress(name))
    return net


def progress(name):
    start = time.time()

    def on_step(step):
        if step.index % 90 == 0:
            print(f"{name}: step {step.index}/{step.total} loss {step.loss:.3f} {time.time() - start:.0f} s", flush=True)

    return on_step


def accuracy(plain, data, resolution, images, *, part="val", count=VALIDATION):
    """Accuracy of an extracted network after recalibration on training images, at its resolution."""
    recalibrate_bn(plain, [resized(chunk, resolution) for chunk in images[:RECALIBRATION].split(250)])
    chosen = getattr(data, part)
    x, y = (chosen.take(count) if count else chosen).tensors()
    return evaluate(plain, (resized(x, resolution), y))


PROBES = {      # name -> (kernel, expand, depth, resolution), the same choice in every block
    "full": (7, 4, 3, 28), "kernel 3": (3, 4, 3, 28), "width 2": (7, 2, 3, 28), "depth 1": (7, 4, 1, 28), "kernel 3, width 2": (3, 2, 3, 28),
    "half": (3, 3, 2, 24), "smallest": (3, 2, 1, 20),
}
ALONE = ("kernel 3, width 2", "half", "smallest")


def candidate(space: Space, kernel, expand, depth, resolution):
    kinds = {"kernel": kernel, "expand": expand, "depth": depth, "resolution": resolution}
    return space.canonical({g.name: next(v for k, v in kinds.items() if g.name.startswith(k)) for g in space.genes})


def probe(net, data, images):
    """Test accuracy of every probe network: stale statistics, and recalibrated."""
    found = {}
    for name, sizes in PROBES.items():
        chosen = candidate(net.space, *sizes)
        plain = net.extract(chosen).eval()
        x, y = data.test.tensors()
        stale = evaluate(plain, (resized(x, sizes[3]), y))
        found[name] = {"stale": stale, "recalibrated": accuracy(plain, data, sizes[3], images, part="test", count=None)}
    return found


def train_alone(sizes, seed):
    """One network of the space by itself, from fresh weights, as long as the full one."""
    images, labels, data = training_images()
    net = SuperNet(Shape())
    plain = initialise(net.extract(candidate(net.space, *sizes)), generator(seed, "alone")).to(memory_format=torch.channels_last)
    fit(plain, (resized(images, sizes[3]), labels), epochs=FULL_EPOCHS, lr=0.1, weight_decay=3e-4, generator=generator(seed, "order"), augment=flip)
    x, y = data.test.tensors()
    return evaluate(plain, (resized(x, sizes[3]), y))


def run(seed):
    """One seed of the whole story: full network, its slices, shrinking, the same networks trained alone."""
    torch.set_num_threads(1)
    images, _, data = training_images()
    start = time.process_time()
    full = train_full(seed)
    if seed == SEED:
        save("teacher", full, start)
    result = {"seed": seed, "sliced": probe(full, data, images)}
    ordered = SuperNet(Shape())
    ordered.load_state_dict(full.state_dict())
    ordered.sort()
    result["sorted"] = probe(ordered, data, images)
    net = shrink(full, seed)
    if seed == SEED:
        save("supernet", net, start)
    result["shrunk"] = probe(net, data, images)
    result["alone"] = {name: train_alone(PROBES[name], seed) for name in ALONE}
    result["seconds"] = time.process_time() - start
    return result


def save(name, net, start):
    save_checkpoint(f"once_for_all-{name}", {k: v.contiguous() for k, v in net.state_dict().items()}, factory="tinylib.nas.once_for_all:garments_supernet",
                    arguments={}, recipe=f"tinylib data make once_for_all-{name}", seed=SEED, seconds=time.process_time() - start, metrics={})


def teacher():
    """Remake the full network (about five minutes)."""
    start = time.process_time()
    save("teacher", train_full(SEED), start)


def supernet():
    """Remake the shrunk super-network from the shipped full one (about eight minutes)."""
    start = time.process_time()
    full = SuperNet(Shape())
    full.load_state_dict(load_checkpoint("once_for_all-teacher")[0])
    save("supernet", shrink(full, SEED), start)


def effects(seeds=(0, 1, 2)):
    """Remake the record of all seeds (about 45 minutes on one core)."""
    save_effects([run(seed) for seed in seeds])


def save_effects(runs):
    save_record("once_for_all-effects", runs, recipe="tinylib data make once_for_all-effects", seed=SEED, seconds=sum(r["seconds"] for r in runs),
                note="test accuracy (10,000 images) of seven networks cut from the full one, sorted, shrunk, or trained alone")


def pairs(count=1000):
    """Remake 1,000 (code, accuracy) pairs of the shrunk super-network on validation images (about ten minutes)."""
    torch.set_num_threads(1)
    start = time.process_time()
    images, _, data = training_images()
    net = SuperNet(Shape())
    net.load_state_dict(load_checkpoint("once_for_all-supernet")[0])
    draw, codes, found = rng(SEED, "pairs"), [], []
    while len(codes) < count:
        chosen = net.space.sample(draw)
        codes.append(net.space.encode(chosen))
        found.append(accuracy(net.extract(chosen).eval(), data, chosen["resolution"], images))
        if len(codes) % 50 == 0:
            print(len(codes), f"{time.process_time() - start:.0f} s", flush=True)
    save_record("once_for_all-pairs", {"codes": np.array(codes, dtype=np.uint8), "accuracy": np.array(found)}, seed=SEED,
                recipe="tinylib data make once_for_all-pairs", seconds=time.process_time() - start,
                note=f"one-hot codes of the space and accuracy on {VALIDATION} validation images, recalibrated on {RECALIBRATION} training images")
