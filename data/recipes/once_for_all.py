"""Once-for-All on garments: the full network, progressive shrinking, measured pairs, networks trained alone."""

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import t as t_distribution

from tinylib.core.checkpoint import load_checkpoint, load_record, save_checkpoint, save_record
from tinylib.core.seed import generator, rng
from tinylib.datasets import garments
from tinylib.measure.latency_table import load_device, load_tables, measured_table, modelled_table
from tinylib.nas.once_for_all import Shape, SuperNet, narrowed, phases, resized, shrinking_loss, table_blocks, table_keys
from tinylib.nn.fit import evaluate, fit, recalibrate_bn
from tinylib.nn.layers import initialise
from tinylib.search.evolution import evolve, random_search
from tinylib.search.predictor import fit_predictor, rank_correlation
from tinylib.search.space import Space

SEED, SEEDS = 0, (0, 1, 2)          # the shipped networks; the effects
CACHE = Path(__file__).parents[2] / ".cache"
DEVICES, BOARD = ("mobile_gpu", "matrix_accelerator"), "stm32f746"
PAIRS, PAIR_IMAGES, PAIR_RECALIBRATION = 1_000, 500, 250
TRAIN = 9_000           # images used for training here
FULL_EPOCHS, SHRINK_EPOCHS = 7, (1, 1, 1, 1, 2)
RECALIBRATION, TEST = 500, 4_000


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
        fit(net, (images, labels), epochs=epochs, lr=0.03, batch=128, weight_decay=3e-4, generator=generator(seed, name), augment=flip,
            loss=shrinking_loss(net, space, rng(seed, name), count=count, teacher=teacher), on_step=progress(name))
    return net


def progress(name):
    start = time.time()

    def on_step(step):
        if step.index % 20 == 0:
            print(f"{name}: step {step.index}/{step.total} loss {step.loss:.3f} {time.time() - start:.0f} s", flush=True)

    return on_step


def accuracy(plain, examples, resolution, images):
    """Accuracy on (images, labels) of an extracted network after recalibration on training images, at its resolution."""
    recalibrate_bn(plain, [resized(chunk, resolution) for chunk in images[:RECALIBRATION].split(125)])
    return evaluate(plain, (resized(examples[0], resolution), examples[1]))


PROBES = {      # name -> (kernel, expand, depth, resolution), the same choice in every block
    "full": (7, 4, 3, 28), "kernel 3": (3, 4, 3, 28), "width 2": (7, 2, 3, 28), "depth 1": (7, 4, 1, 28), "kernel 3, width 2": (3, 2, 3, 28),
    "half": (3, 3, 2, 24), "smallest": (3, 2, 1, 20),
}
ALONE = ("half", "smallest")


def candidate(space: Space, kernel, expand, depth, resolution):
    kinds = {"kernel": kernel, "expand": expand, "depth": depth, "resolution": resolution}
    return space.canonical({g.name: next(v for k, v in kinds.items() if g.name.startswith(k)) for g in space.genes})


def probe(net, data, images):
    """Accuracy of every probe network on the first 4,000 test images: stale statistics, and recalibrated."""
    found = {}
    test = data.test.take(TEST).tensors()
    for name, sizes in PROBES.items():
        chosen = candidate(net.space, *sizes)
        plain = net.extract(chosen).eval()
        stale = evaluate(plain, (resized(test[0], sizes[3]), test[1]))
        found[name] = {"stale": stale, "recalibrated": accuracy(plain, test, sizes[3], images)}
    return found


def train_alone(sizes, seed):
    """One network of the space by itself, from fresh weights, as long as the full one."""
    images, labels, data = training_images()
    net = SuperNet(Shape())
    plain = initialise(net.extract(candidate(net.space, *sizes)), generator(seed, "alone")).to(memory_format=torch.channels_last)
    fit(plain, (resized(images, sizes[3]), labels), epochs=FULL_EPOCHS, lr=0.1, weight_decay=3e-4, generator=generator(seed, "order"), augment=flip)
    x, y = data.test.take(TEST).tensors()
    return evaluate(plain, (resized(x, sizes[3]), y))


def restored(name):
    """The shipped super-network `name`, in eval mode."""
    net = SuperNet(Shape())
    net.load_state_dict(load_checkpoint(f"once_for_all-{name}")[0])
    return net.eval()


def trained(kind, seed):
    """The full ("teacher") or shrunk ("supernet") network of a seed: shipped for seed 0, else trained and kept in .cache."""
    if seed == SEED:
        return restored(kind)
    CACHE.mkdir(exist_ok=True)
    path = CACHE / f"once_for_all-{kind}-{seed} {' '.join(map(str, (FULL_EPOCHS, *SHRINK_EPOCHS * (kind == 'supernet'))))}.safetensors"
    net = SuperNet(Shape())
    if not path.exists():
        made = train_full(seed) if kind == "teacher" else shrink(trained("teacher", seed), seed)
        save_file({k: v.contiguous() for k, v in made.state_dict().items()}, path)
    net.load_state_dict(load_file(path))
    return net.eval()


def part(seed, name, make):
    """[result of `make()`, CPU seconds], kept in .cache: a remake that dies, or that is run in parts, goes on where it stopped."""
    CACHE.mkdir(exist_ok=True)
    origin = [load_checkpoint(f"once_for_all-{kind}")[1]["sha256"][:8] for kind in ("teacher", "supernet")] if seed == SEED else []
    path = CACHE / f"once_for_all-effects-{seed} {' '.join(map(str, (name, FULL_EPOCHS, *SHRINK_EPOCHS, *origin)))}.json"
    if not path.exists():
        start = time.process_time()
        path.write_text(json.dumps([make(), time.process_time() - start]))
    return json.loads(path.read_text())


def seed_effects(seed):
    """One whole seed: seven networks cut from its full network, sorted, shrunk, and two trained alone: (effects, CPU seconds)."""
    torch.set_num_threads(1)
    cuts = {cut: part(seed, cut, partial(cut_effects, seed, cut)) for cut in ("sliced", "sorted", "shrunk")}
    alone = {name: part(seed, f"alone {name}", partial(train_alone, PROBES[name], seed)) for name in ALONE}
    found = {cut: result for cut, (result, _) in cuts.items()} | {"alone": {name: result for name, (result, _) in alone.items()}}
    return found, sum(seconds for _, seconds in [*cuts.values(), *alone.values()])


def cut_effects(seed, cut):
    """The seven networks cut from the full network as it is, from its sorted copy, or from the shrunk super-network."""
    images, _, data = training_images()
    net = trained("supernet" if cut == "shrunk" else "teacher", seed)
    if cut == "sorted":
        net.sort()
    return probe(net, data, images)


def effects():
    """Remake the accuracies of cut, sorted, shrunk and lone networks for three whole seeds (half an hour; in parts, kept in .cache)."""
    runs = [seed_effects(seed) for seed in SEEDS]
    save_record("once_for_all-effects", {"seeds": [found for found, _ in runs]}, recipe="tinylib data make once_for_all-effects", seed=SEED,
                seconds=sum(seconds for _, seconds in runs), note="test accuracy of networks cut from the full one, sorted or shrunk or trained "
                "alone (first 4,000 images); three whole seeds")


def save(name, net, start):
    save_checkpoint(f"once_for_all-{name}", {k: v.contiguous() for k, v in net.state_dict().items()}, factory="tinylib.nas.once_for_all:garments_supernet",
                    arguments={}, recipe=f"tinylib data make once_for_all-{name}", seed=SEED, seconds=time.process_time() - start, metrics={})


def teacher():
    """Remake the full network (about five minutes)."""
    start = time.process_time()
    save("teacher", train_full(SEED), start)


def supernet():
    """Remake the shrunk super-network from the shipped full one (about five minutes)."""
    torch.set_num_threads(1)
    start = time.process_time()
    save("supernet", shrink(restored("teacher"), SEED), start)


def pairs():
    """Remake the (code, accuracy) pairs of the shrunk super-network on validation images (about four minutes)."""
    start = time.process_time()
    save_pairs(measured_pairs(0, PAIRS), time.process_time() - start)


def measured_pairs(first, last):
    """Pairs first to last of the fixed draw: codes and accuracies."""
    torch.set_num_threads(1)
    images, _, data = training_images()
    x, y = data.val.take(PAIR_IMAGES).tensors()
    net, draw, codes, found = restored("supernet"), rng(SEED, "pairs"), [], []
    sized = {r: (resized(x, r), resized(images[:PAIR_RECALIBRATION], r)) for r in net.shape.resolutions}
    for chosen in [net.space.sample(draw) for _ in range(last)][first:]:
        own, few = sized[chosen["resolution"]]
        plain = net.extract(chosen)
        recalibrate_bn(plain, [few])
        codes.append(net.space.encode(chosen))
        found.append(evaluate(plain, (own, y)))
    return np.array(codes, dtype=np.uint8), np.array(found)


def save_pairs(measured, seconds):
    save_record("once_for_all-pairs", {"codes": measured[0], "accuracy": measured[1]}, seed=SEED, seconds=seconds,
                recipe="tinylib data make once_for_all-pairs", note=f"{len(measured[1])} one-hot codes and accuracies on {PAIR_IMAGES} "
                f"validation images, recalibrated on {PAIR_RECALIBRATION} training images")


def latency():
    """Remake the latency tables: this CPU measured block by block, two devices modelled (seconds)."""
    torch.set_num_threads(1)
    start = time.process_time()
    blocks = table_blocks(SuperNet(Shape()))
    tables = [measured_table(blocks), *(modelled_table(blocks, load_device(name)) for name in DEVICES)]
    save_record("once_for_all-latency", {t.device: row(t) for t in tables}, seed=SEED,
                recipe="tinylib data make once_for_all-latency", seconds=time.process_time() - start,
                note="ms of every block, one image: fastest of 15 runs on the CPU that made this record; modelled devices from data/devices/*.toml")


def row(table):
    """A table as the record has it."""
    return {"kind": table.kind, "unit": table.unit, "entries": dict(table.entries)}


def instructions():
    """Remake the microcontroller's table: every block in int8 on an emulated Cortex-M7, instructions counted (five minutes)."""
    from tinylib.deploy.boards import load_board
    from tinylib.deploy.table import emulated_table

    torch.set_num_threads(1)
    start = time.process_time()
    table = emulated_table(table_blocks(restored("supernet"), training_images()[0][:32]), load_board(BOARD), on_block=lambda *block: print(*block, flush=True))
    save_record("once_for_all-instructions", {table.device: row(table)}, seed=SEED, recipe="tinylib data make once_for_all-instructions",
                seconds=time.process_time() - start, note=f"million instructions of every block, int8, one image, on an emulated {BOARD} "
                "(Cortex-M7), code generated by tinylib.deploy and compiled by ziglang; instructions are not cycles")


def whole():
    """Remake the check of that table: ten whole networks emulated end to end, beside the sum of their blocks (a minute)."""
    from tinylib.deploy.boards import load_board
    from tinylib.deploy.table import instructions

    torch.set_num_threads(1)
    start, net, images, draw = time.process_time(), restored("supernet"), training_images()[0][:32], rng(SEED, "whole")
    table, found = load_tables("once_for_all-instructions")["microcontroller"], []
    for chosen in [net.shape.largest(), candidate(net.space, *PROBES["smallest"]), *(net.space.sample(draw) for _ in range(8))]:
        count = instructions(net.extract(chosen).eval(), resized(images, chosen["resolution"]), load_board(BOARD)) / 1e6
        found.append({"candidate": chosen, "whole": count, "table": price(table, net.shape)(chosen)})
        print(found[-1]["whole"], found[-1]["table"], flush=True)
    save_record("once_for_all-whole", found, seed=SEED, recipe="tinylib data make once_for_all-whole", seconds=time.process_time() - start,
                note="million instructions of ten whole networks on the emulated board, and the sum of their blocks in the table")


SEARCH = {"population": 32, "generations": 10}
SHARE = 0.5             # budget as a share of the full network's cost
SPLITS, HELD_OUT = 10, 60


def known_tables():
    """The four devices in the lab's order."""
    found = load_tables("once_for_all-latency", "once_for_all-instructions")
    return {name: found[name] for name in ("this CPU", "microcontroller", "mobile GPU", "matrix accelerator")}


def price(table, shape):
    """Candidate -> cost in the table's unit."""
    return lambda chosen: table(table_keys(shape, chosen))


def guesser(space, steps=400):
    """Candidate -> accuracy guessed by a predictor of all shipped pairs."""
    shipped = load_record("once_for_all-pairs")
    model = fit_predictor(shipped["codes"], shipped["accuracy"], generator=generator(SEED, "predictor"), steps=steps)
    return lambda chosen: float(model(torch.from_numpy(space.encode(chosen))[None]).detach())


def devices():
    """Remake the search of four devices: ten seeds of evolution and random search, the winners' accuracies (two minutes)."""
    torch.set_num_threads(1)
    start = time.process_time()
    shape, tables, images, data = Shape(), known_tables(), *training_images()[::2]
    space, net, test = shape.space(), restored("supernet"), data.test.take(TEST).tensors()
    guess, rows, races = guesser(space), [], []
    for name, table in tables.items():
        cost = price(table, shape)
        budget = SHARE * cost(shape.largest())
        won = evolve(space, guess, cost, budget, rng=rng(SEED, name), **SEARCH)
        rows.append({"home": name, "kind": table.kind, "unit": table.unit, "budget": budget, "candidate": won.best, "guess": won.score,
                     "accuracy": accuracy(net.extract(won.best).eval(), test, won.best["resolution"], images),
                     "cost": {other: price(t, shape)(won.best) for other, t in tables.items()}})
    cost = price(tables["microcontroller"], shape)
    budget = SHARE * cost(shape.largest()) / 2
    for seed in range(10):
        ours = evolve(space, guess, cost, budget, rng=rng(seed, "evolve"), **SEARCH)
        blind = random_search(space, guess, cost, budget, rng=rng(seed, "random"), evaluations=ours.evaluations)
        true = [accuracy(net.extract(f.best).eval(), test, f.best["resolution"], images) for f in (ours, blind)]
        races.append({"evolution": ours.score, "random": blind.score, "evaluations": ours.evaluations, "true": true,
                      "history": ours.history})
    save_record("once_for_all-devices", {"rows": rows, "races": races, "budget": budget}, recipe="tinylib data make once_for_all-devices", seed=SEED,
                seconds=time.process_time() - start, note="winners for half of the full network's cost, 4,000 test images; races on the predictor")


def taus():
    """Kendall's tau on held-out pairs for ten random splits."""
    shipped = load_record("once_for_all-pairs")
    codes, truth, found = shipped["codes"].astype(np.float32), shipped["accuracy"], []
    for split in range(SPLITS):
        order = rng(split, "split").permutation(len(truth))
        held, used = order[:HELD_OUT], order[HELD_OUT:]
        model = fit_predictor(codes[used], truth[used], generator=generator(split, "predictor"), steps=300)
        found.append(rank_correlation(model(torch.from_numpy(codes[held])).detach().numpy(), truth[held]))
    return found


def interval(values):
    """Mean with a 95 % t interval over the values."""
    values = np.asarray(values, dtype=float)
    half = float(t_distribution.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values)**0.5)
    mean = float(values.mean())
    return {"value": mean, "low": mean - half, "high": mean + half}


def exactly(value):
    """One network, one number."""
    return {"value": float(value), "low": float(value), "high": float(value)}


def over_seeds(gain):
    """Interval of `gain(effects of one seed)` in points over the whole seeds."""
    return interval([100 * gain(found) for found in load_record("once_for_all-effects")["seeds"]])


def claim_recalibration():
    return over_seeds(lambda e: e["sliced"]["width 2"]["recalibrated"] - e["sliced"]["width 2"]["stale"])


def claim_sorting():
    return over_seeds(lambda e: e["sorted"]["width 2"]["recalibrated"] - e["sliced"]["width 2"]["recalibrated"])


def claim_shrinking():
    return over_seeds(lambda e: np.mean([e["shrunk"][n]["recalibrated"] - e["sorted"][n]["recalibrated"] for n in PROBES if n != "full"]))


def claim_alone():
    return over_seeds(lambda e: np.mean([e["shrunk"][n]["recalibrated"] - a for n, a in e["alone"].items()]))


def claim_predictor():
    return interval(taus())


def claim_evolution():
    return interval([100 * (r["evolution"] - r["random"]) for r in load_record("once_for_all-devices")["races"]])


def claim_true():
    return interval([100 * (r["true"][0] - r["true"][1]) for r in load_record("once_for_all-devices")["races"]])


def claim_home():
    rows = load_record("once_for_all-devices")["rows"]
    return exactly(sum(all(r["accuracy"] <= home["accuracy"] for r in rows if r["cost"][home["home"]] <= home["budget"]) for home in rows))


def claim_sum():
    """Largest relative error of the table's sum against whole emulated networks, in per cent."""
    return exactly(max(100 * abs(r["table"] / r["whole"] - 1) for r in load_record("once_for_all-whole")))
