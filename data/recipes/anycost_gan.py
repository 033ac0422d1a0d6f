"""An anycost generator of emoji faces: all resolutions at full width, then all widths; and generators of one width trained alone."""

import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_model, load_record, save_checkpoint, save_record
from tinylib.core.paths import project_root
from tinylib.core.seed import generator, rng
from tinylib.datasets import emoji
from tinylib.gan.frechet import EmojiFeatures, features_of, frechet_distance
from tinylib.gan.generator import FULL, RATIOS, WIDTHS, Config, Generator, macs
from tinylib.gan.order import extract, reorder, sort_channels
from tinylib.gan.project import ATTRIBUTES, direction
from tinylib.gan.render import renderer
from tinylib.gan.search import search, squared_error
from tinylib.gan.train import Recipe, State, Trainer, pictures_of, start

SEED = 0
SEEDS = (0, 1, 2)                           # of the second stage and of the rivals; the first stage was run once
FULL_WIDTH = Recipe(steps=7_000)
ALL_WIDTHS = Recipe(steps=2_000, consistency=20.0)
ALONE = Recipe(steps=2_000, only=Config())
WHITE = np.array([255, 255, 255])


def faces():
    """The 130 faces of the Apache-2.0 vendor on white: float32 (130, 3, 32, 32) in [-1, 1]."""
    art = emoji.load()
    return pictures_of(emoji.on_colour(art.google[art.labels == emoji.CLASSES.index("face")], WHITE))


def folder():
    """Where stages wait for the next one; not part of the repository."""
    path = project_root() / ".cache" / "anycost_gan"
    path.mkdir(parents=True, exist_ok=True)
    return path


def keep(state: State, name: str) -> None:
    """Write the three networks of a training, so that it or the next stage can go on."""
    from safetensors.torch import save_file
    nets = {"generator": state.generator, "average": state.average, "discriminator": state.discriminator}
    save_file({f"{who}.{k}": v.contiguous() for who, net in nets.items() for k, v in net.state_dict().items()}, folder() / f"{name}.safetensors")


def kept(name: str) -> State:
    """The networks of a stage."""
    from safetensors.torch import load_file
    values, state = load_file(folder() / f"{name}.safetensors"), start(seed=SEED)
    for who, net in (("generator", state.generator), ("average", state.average), ("discriminator", state.discriminator)):
        net.load_state_dict({k.removeprefix(f"{who}."): v for k, v in values.items() if k.startswith(f"{who}.")})
    return state


def report(state: State, name: str):
    """Prints losses every 100 steps and keeps the networks every 1,000."""
    begin = time.process_time()

    def on_step(index, losses):
        if index % 100 == 99:
            print(name, index + 1, f"{time.process_time() - begin:.0f} s", {k: round(v, 3) for k, v in losses.items()}, flush=True)
        if index % 1000 == 999:
            keep(state, name)

    return on_step


def full():
    """Stage 1: full width, all resolutions (about 20 minutes on one core)."""
    torch.set_num_threads(1)
    state, begin = start(seed=SEED), time.process_time()
    Trainer(state, faces(), FULL_WIDTH, seed=SEED).run(report(state, "full"))
    keep(state, "full")
    ship(state.average, "full", SEED, time.process_time() - begin)


def ship(net: Generator, name: str, seed: int, seconds: float) -> None:
    """Save a generator as a checkpoint."""
    save_checkpoint(f"anycost_gan-{name}", net.state_dict(), factory="tinylib.gan.generator:anycost_generator", arguments={"widths": list(net.widths)},
                    recipe=f"tinylib data make anycost_gan-{name}", seed=seed, seconds=seconds, metrics={"macs": macs(widths=net.widths)})


def adapted(seed: int) -> State:
    """Stage 2: channels sorted, then all widths with the full output as target (about 6 minutes on one core)."""
    torch.set_num_threads(1)
    if not (folder() / "full.safetensors").exists():
        full()
    state = kept("full")
    with torch.no_grad():
        w = state.average.mapping(torch.randn(1_000, 64, generator=generator(SEED, "styles")))
    reorder(state.generator, sort_channels(state.average, w))
    Trainer(state, faces(), ALL_WIDTHS, seed=seed).run(report(state, f"anycost-{seed}"))
    keep(state, f"anycost-{seed}")
    return state


def anycost():
    """The generator of the lab: both stages."""
    begin = time.process_time()
    ship(adapted(SEED).average, "anycost", SEED, time.process_time() - begin)


def alone_of(seed: int) -> State:
    """Half the channels from the start, trained alone at 32 pixels (about 3 minutes on one core)."""
    torch.set_num_threads(1)
    state = start(seed=100 + seed, widths=Config.uniform(1 / 2).channels(WIDTHS))
    Trainer(state, faces(), ALONE, seed=100 + seed).run(report(state, f"alone-{seed}"))
    keep(state, f"alone-{seed}")
    return state


def alone():
    """The rival of the lab: half the channels, trained alone."""
    begin = time.process_time()
    ship(alone_of(SEED).average, "alone", SEED, time.process_time() - begin)


def features():
    """The network behind the Frechet distance: ten classes of emoji, by one vendor (about one minute)."""
    from tinylib.nn.fit import evaluate, fit
    torch.set_num_threads(1)
    art, begin = emoji.load(), time.process_time()
    picked = {part: art.part(part) for part in ("train", "val")}
    sets = {part: (pictures_of(emoji.on_colour(art.google[rows], WHITE)), torch.from_numpy(art.labels[rows].astype(np.int64)))
            for part, rows in picked.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net = EmojiFeatures()

    def mirrored(x, g):
        return torch.where(torch.rand(len(x), 1, 1, 1, generator=g) < 0.5, x.flip(3), x)

    fit(net.net, sets["train"], epochs=12, lr=0.1, batch=64, generator=generator(SEED, "order"), augment=mirrored)
    save_checkpoint("anycost_gan-features", net.state_dict(), factory="tinylib.gan.frechet:emoji_features", arguments={},
                    recipe="tinylib data make anycost_gan-features", seed=SEED, seconds=time.process_time() - begin,
                    metrics={"validation_accuracy": evaluate(net.net, sets["val"])})


COUNT = 500                 # latents of each comparison
HALF, PREVIEW = Config.uniform(1 / 2), Config.uniform(1 / 2, 16)


def test_latents(count=COUNT):
    return torch.randn(count, 64, generator=generator(SEED, "test latents"))


@torch.no_grad()
def errors(net, z):
    """Mean squared error of every uniform sub-generator to the full output, by side and ratio."""
    return {str(side): {str(r): float(np.mean([squared_error(net, Config.uniform(r, side), part).mean().item() for part in z.split(100)]))
                        for r in RATIOS} for side in (8, 16, 32)}


@torch.no_grad()
def between(one, other, z):
    """Mean squared difference of two generators' pictures for the same z."""
    return float((one(z) - other(z)).square().mean())


def run(seed):
    """What one second stage and one rival give."""
    net, rival, first = kept(f"anycost-{seed}").average, alone_network(seed), kept("full").average
    z, other = test_latents(), torch.randn(COUNT, 64, generator=generator(SEED, "other latents"))
    with torch.no_grad():
        unrelated = float((net(z) - net(other)).square().mean())
    return {"seed": seed, "anycost": errors(net, z), "alone": between(rival, net, z), "unrelated": unrelated, "full_moved": between(net, first, z)}


def alone_network(seed):
    """The rival's moving average."""
    from safetensors.torch import load_file
    net = Generator(widths=Config.uniform(1 / 2).channels(WIDTHS))
    values = load_file(folder() / f"alone-{seed}.safetensors")
    net.load_state_dict({k.removeprefix("average."): v for k, v in values.items() if k.startswith("average.")})
    return net.eval()


@torch.no_grad()
def frechet(net, config, real, count=2_000):
    """Frechet distance of a sub-generator's pictures to the 130 faces and their mirror images, on features of our own."""
    judge, z = load_model("anycost_gan-features"), torch.randn(count, 64, generator=generator(SEED, "frechet"))
    return frechet_distance(features_of(judge, torch.cat([net(part, config) for part in z.split(100)])), real)


def quality():
    """Frechet distances, one seed."""
    x = faces()
    real = features_of(load_model("anycost_gan-features"), torch.cat([x, x.flip(3)]))
    net = kept("anycost-0").average
    result = {f"anycost {r}": frechet(net, Config.uniform(r), real) for r in RATIOS}
    return result | {"full before adapting": frechet(kept("full").average, FULL, real), "sliced 0.5": frechet(kept("full").average, HALF, real),
                     "alone 0.5": frechet(alone_network(0), None, real)}


@torch.no_grad()
def edits(net, config=PREVIEW, count=COUNT):
    """For each attribute: share of latents whose preview and full picture both move the way that was asked, and correlation of the moves."""
    w = net.mapping(torch.randn(2_000, 64, generator=generator(SEED, "directions")))
    pictures = torch.cat([net.synthesis(part)[-1] for part in w.split(100)])
    test, result = net.mapping(test_latents(count)), {}
    for name, attribute in ATTRIBUTES.items():
        way = direction(w, attribute(pictures))
        step = way * (w @ way).std()
        moves = [torch.cat([attribute(net.synthesis(p + step, c)[-1]) - attribute(net.synthesis(p, c)[-1]) for p in test.split(100)])
                 for c in (config, FULL)]
        asked = moves[1] > 0
        result[name] = {"full": asked.float().mean().item(), "agree": (asked == (moves[0] > 0)).float().mean().item(),
                        "correlation": float(np.corrcoef(moves[0], moves[1])[0, 1])}
    return result


@torch.no_grad()
def table(net, count=16):
    """Squared error and MACs of all 1,024 sub-generators at 32 pixels."""
    from itertools import product
    z = torch.randn(count, 64, generator=generator(SEED, "table"))
    configs = [Config(ratios) for ratios in product(RATIOS, repeat=5)]
    return {"ratios": np.array([c.ratios for c in configs], np.float32), "macs": np.array([macs(c) for c in configs]),
            "error": np.array([squared_error(net, c, z).mean().item() for c in configs], np.float32)}


def searched(net, budgets=(0.3, 0.5, 0.7)):
    """Evolution's best at shares of the full MACs, judged on other latents than those it searched on, beside the uniform one that fits."""
    z, rows = torch.randn(16, 64, generator=generator(SEED, "table")), []
    for share in budgets:
        budget = int(share * macs())
        found = search(net, z, budget, rng=rng(SEED, "search", share))
        best = Config(tuple(found.best[f"r{i}"] for i in range(5)))
        uniform = Config.uniform(max(r for r in RATIOS if macs(Config.uniform(r)) <= budget))
        rows.append({"share": share, "ratios": best.ratios, "macs": macs(best), "evaluations": found.evaluations, "uniform": uniform.ratios[0],
                     **{f"{k}_error": squared_error(net, c, test_latents(200)).mean().item() for k, c in (("found", best), ("uniform", uniform))}})
    return rows


def effects():
    """All comparisons of the lab, from the kept stages (about three minutes after the trainings)."""
    torch.set_num_threads(1)
    begin, net = time.process_time(), load_model("anycost_gan-anycost")
    first = kept("full").average
    record = {"runs": [run(seed) for seed in SEEDS], "sliced": errors(first, test_latents()), "frechet": quality(),
              "edits": {str(seed): edits(kept(f"anycost-{seed}").average) for seed in SEEDS}, "search": searched(net)}
    save_record("anycost_gan-effects", record, recipe="tinylib data make anycost_gan-effects", seed=SEED, seconds=time.process_time() - begin,
                note=f"{COUNT} latents that no training saw; three seeds of the second stage and of the rivals after one first stage; "
                     "frechet and search: one seed")


def subs():
    """Remake the table of all 1,024 sub-generators (about half a minute)."""
    torch.set_num_threads(1)
    begin = time.process_time()
    save_record("anycost_gan-subs", table(load_model("anycost_gan-anycost")), recipe="tinylib data make anycost_gan-subs", seed=SEED,
                seconds=time.process_time() - begin, note="mean squared error to the full output over 16 latents, and MACs, one seed")


def interval(values):
    """Mean and 95 % t-interval of a logarithm, brought back: for factors."""
    from scipy import stats
    logs = np.log(np.asarray(values))
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    return {"value": float(np.exp(logs.mean())), "low": float(np.exp(logs.mean() - half)), "high": float(np.exp(logs.mean() + half))}


def nearer():
    """How many times nearer (mean squared error) the half sub-generator is to the full picture than a half-width network trained alone."""
    return interval([r["alone"] / r["anycost"]["32"]["0.5"] for r in load_record("anycost_gan-effects")["runs"]])


def adapting():
    """How many times nearer the half sub-generator is than the same slice of the generator before the second stage."""
    record = load_record("anycost_gan-effects")
    return interval([record["sliced"]["32"]["0.5"] / r["anycost"]["32"]["0.5"] for r in record["runs"]])


def as_fast(config, batch, make, of="median_ms", rounds=9):
    """How many times as fast a slice is as the full generator, both made by `make(net, config)`: median and range of rounds of interleaved runs.

    `of`: what counts of a round; the fastest run where other programs are about, since they only ever add time.
    """
    from tinylib.measure.latency import race
    torch.set_num_threads(1)
    net = load_model("anycost_gan-anycost")
    pair, z = {"full": make(net, FULL), "slice": make(net, config)}, test_latents(batch)
    with torch.no_grad():
        rows = [race({name: (lambda n=n: n(z)) for name, n in pair.items()}, runs=60, seconds=1) for _ in range(rounds)]
    factors = sorted(getattr(row["full"], of) / getattr(row["slice"], of) for row in rows)
    return {"value": factors[len(factors) // 2], "low": factors[0], "high": factors[-1]}


def preview_one():
    """Preview against full, one picture at a time."""
    return as_fast(PREVIEW, 1, extract)


def preview_eight():
    """Preview against full, eight pictures at a time."""
    return as_fast(PREVIEW, 8, extract)


def half_one():
    """Half the channels at full side against full, one picture at a time."""
    return as_fast(HALF, 1, extract)


def half_eight():
    """Half the channels at full side against full, eight pictures at a time."""
    return as_fast(HALF, 8, extract)


def preview_ready():
    """Preview against full, one picture at a time, both made ready to draw."""
    return as_fast(PREVIEW, 1, renderer, "fastest_ms")


def half_ready():
    """Half the channels at full side against full, one picture at a time, both made ready to draw."""
    return as_fast(HALF, 1, renderer, "fastest_ms")


def preview_macs():
    """MACs of the full generator over those of the preview: exact."""
    factor = macs() / macs(PREVIEW)
    return {"value": factor, "low": factor, "high": factor}


def agreement():
    """Percent of edits that move preview and full picture the same way, mean of three attributes: over three second stages."""
    from scipy import stats
    shares = np.array([100 * np.mean([a["agree"] for a in e.values()]) for e in load_record("anycost_gan-effects")["edits"].values()])
    half = stats.t.ppf(0.975, len(shares) - 1) * shares.std(ddof=1) / len(shares) ** 0.5
    return {"value": float(shares.mean()), "low": float(shares.mean() - half), "high": float(min(100, shares.mean() + half))}


def picked():
    """Error of the uniform sub-generator over that of the searched one, over the budgets, one seed."""
    factors = [row["uniform_error"] / row["found_error"] for row in load_record("anycost_gan-effects")["search"]]
    return {"value": float(np.exp(np.mean(np.log(factors)))), "low": min(factors), "high": max(factors)}


def quality_kept():
    """Frechet distance of half the channels over that of the full generator, one seed."""
    distances = load_record("anycost_gan-effects")["frechet"]
    factor = distances["anycost 0.5"] / distances["anycost 1"]
    return {"value": factor, "low": factor, "high": factor}
