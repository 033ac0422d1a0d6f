"""Networks and records of the lab spatten. Ratios were chosen on the validation part."""

import time

import numpy as np
import torch
import torch.nn.functional as F

from tinylib.accel.machine import load_machine
from tinylib.accel.spatten import Work, simulated
from tinylib.core.checkpoint import load_model, load_record, save_checkpoint, save_record
from tinylib.core.seed import derive, generator
from tinylib.datasets import verses
from tinylib.nn.fit import evaluate, fit
from tinylib.text.encoder import transformer
from tinylib.text.spatten import Plan, classify, counts, next_word, read_prompt

WRITER = {"outputs": 803, "length": 48, "causal": True, "words": 803}       # the 800 most frequent words


def started(seed, **arguments):
    """A fresh network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        return transformer(**arguments)


def reader(seed=0):
    """The classifier of one seed: three epochs, about a minute of CPU."""
    torch.set_num_threads(1)
    start, data = time.process_time(), verses.load()
    net = started(seed)
    fit(net, data.train.tensors(), epochs=3, lr=2e-3, batch=64, optimiser="adam", generator=generator(seed, "order"))
    metrics = {"val_accuracy": evaluate(net, data.val.tensors())}
    save_checkpoint(f"spatten-reader{seed}", net.state_dict(), factory="tinylib.text.encoder:transformer", arguments={},
                    recipe=f"tinylib data make spatten-reader{seed}", seed=seed, seconds=time.process_time() - start, metrics=metrics)
    print(seed, metrics, f"{time.process_time() - start:.0f} s", flush=True)


def reader0():
    """Seed 0."""
    reader(0)


def reader1():
    """Seed 1."""
    reader(1)


def reader2():
    """Seed 2."""
    reader(2)


def known(tokens, words=WRITER["words"]):
    """Tokens with rarer words replaced by the number of "other"."""
    return torch.where(tokens < words, tokens, verses.OTHER)


def next_word_loss(net, tokens, _):
    """Mean cross-entropy of every next word, in nats."""
    return F.cross_entropy(net(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def writer():
    """The GPT-like network: next word among 800, three epochs, about two minutes of CPU."""
    torch.set_num_threads(1)
    start, data = time.process_time(), verses.load()
    net = started(0, **WRITER)
    train, val = known(data.train.tensors()[0]), known(data.val.tensors()[0])
    fit(net, (train, train[:, 0]), epochs=3, lr=2e-3, batch=64, optimiser="adam", loss=next_word_loss, generator=generator(0, "order"))
    with torch.no_grad():
        metrics = {"val_nats": sum(next_word_loss(net, part, None).item() * len(part) for part in val.split(500)) / len(val)}
    save_checkpoint("spatten-writer", net.state_dict(), factory="tinylib.text.encoder:transformer", arguments=WRITER,
                    recipe="tinylib data make spatten-writer", seed=0, seconds=time.process_time() - start, metrics=metrics)
    print(metrics, f"{time.process_time() - start:.0f} s", flush=True)


# Bits of the reader are static (all fetched at once), as in the paper for BERT; the writer's are progressive.
READER_PLANS = {"dense, 32 bits": Plan(), "tokens": Plan(tokens=0.35), "heads": Plan(heads=0.5), "values": Plan(values=0.35),
                "bits": Plan(msb=8), "all four": Plan(tokens=0.35, heads=0.5, values=0.35, msb=8),
                "gentle": Plan(tokens=0.7, msb=6)}
EFFECT_PLANS = {"dense, 32 bits": Plan(), "tokens": Plan(tokens=0.7), "bits": Plan(msb=6), "gentle": Plan(tokens=0.7, msb=6)}
WRITER_PLANS = {"dense, 32 bits": Plan(), "tokens": Plan(tokens=0.35), "heads": Plan(heads=0.75), "values": Plan(values=0.35),
                "bits, no refetch": Plan(msb=6), "bits": Plan(msb=6, lsb=4, threshold=0.1),
                "all four": Plan(tokens=0.35, heads=0.75, values=0.35, msb=6, lsb=4, threshold=0.1)}
SIMULATED = 20          # passages whose events are simulated


def machine_numbers(traces):
    """Mean DRAM bytes, MACs and cycles a passage of the first SIMULATED, on the small machine; share of queries that fetched low bits."""
    machine, rows, asked, all_queries = load_machine("spatten_sixteenth"), [], 0, 0
    for trace in traces:
        asked += int(trace.refetched.sum())
        all_queries += int(((trace.value_rows > 0) * trace.queries[:, None]).sum())
        rows += [simulated(Work(**trace.sample(i)), machine) for i in range(min(SIMULATED - len(rows), len(trace.refetched)))]
    return {**{key: float(np.mean([row[key] for row in rows])) for key in rows[0]}, "refetched": asked / all_queries}


def reader_row(net, part, plan):
    """Accuracy of a reader under a plan, with the machine's numbers."""
    right, traces = 0, []
    for tokens, labels in zip(*(t.split(250) for t in part.tensors())):
        logits, trace = classify(net, tokens, plan)
        right += (logits.argmax(1) == labels).sum().item()
        traces.append(trace)
    return {"accuracy": right / len(part), **machine_numbers(traces)}


def writer_row(net, part, plan):
    """Nats of the last word of each passage, with the machine's numbers of that one step. Prompts are read densely."""
    nats, traces = 0.0, []
    for tokens in known(part.tensors()[0]).split(250):
        logits, trace = next_word(net, read_prompt(net, tokens[:, :-2]), tokens[:, -2], plan)
        nats += F.cross_entropy(logits, tokens[:, -1], reduction="sum").item()
        traces.append(trace)
    return {"nats": nats / len(part), **machine_numbers(traces)}


def sweep():
    """1,000 validation passages: every mechanism alone and all together, for the reader and the writer of seed 0 (about half a minute of CPU)."""
    torch.set_num_threads(1)
    start, val = time.process_time(), verses.load().val.take(1000)
    reader_net, writer_net = load_model("spatten-reader0"), load_model("spatten-writer")
    rows = {"reader": {name: reader_row(reader_net, val, plan) for name, plan in READER_PLANS.items()},
            "writer": {name: writer_row(writer_net, val, plan) for name, plan in WRITER_PLANS.items()}}
    save_record("spatten-sweep", rows, recipe="tinylib data make spatten-sweep", seed=0, seconds=time.process_time() - start,
                note="Accuracy and nats: measured on the first 1,000 validation passages. DRAM bytes and cycles: simulated, attention only, mean of 20, "
                "one sixteenth of the SpAtten machine; dense is the same machine with 32-bit numbers.")


def effects():
    """The gentle plan, chosen on validation, once on all test passages; three readers (about a minute of CPU)."""
    torch.set_num_threads(1)
    start, test = time.process_time(), verses.load().test
    runs = [{name: reader_row(load_model(f"spatten-reader{seed}"), test, plan) for name, plan in EFFECT_PLANS.items()} for seed in range(3)]
    save_record("spatten-effects", {"passages": len(test), "runs": runs}, recipe="tinylib data make spatten-effects", seed=0,
                seconds=time.process_time() - start, note="Accuracy: measured once on all test passages, three networks. DRAM bytes and cycles: simulated, "
                "attention only, mean of 20 passages, one sixteenth of the SpAtten machine; dense is the same machine with 32-bit numbers.")


def over_runs(number):
    """Mean and 95 % t-interval over the three readers; `number(run)` is one number of a run."""
    values = np.array([number(run) for run in load_record("spatten-effects")["runs"]])
    half = 4.3027 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def accuracy_change():
    """Points of test accuracy that the gentle plan adds to the dense reader, paired by seed."""
    return over_runs(lambda run: 100 * (run["gentle"]["accuracy"] - run["dense, 32 bits"]["accuracy"]))


def reader_ratio(plan, key):
    """How many times fewer bytes or cycles a plan needs than the dense reader."""
    return over_runs(lambda run: run["dense, 32 bits"][key] / run[plan][key])


def bytes_ratio():
    """DRAM bytes, dense over gentle."""
    return reader_ratio("gentle", "dram_bytes")


def bytes_ratio_tokens():
    """DRAM bytes, dense over tokens alone."""
    return reader_ratio("tokens", "dram_bytes")


def bytes_ratio_bits():
    """DRAM bytes, dense over bits alone."""
    return reader_ratio("bits", "dram_bytes")


def cycles_ratio():
    """Cycles, dense over gentle."""
    return reader_ratio("gentle", "cycles")


def refetch_gain():
    """Nats of the last word that fetching low bits saves: no refetch minus refetch (validation, one writer)."""
    rows = load_record("spatten-sweep")["writer"]
    gain = rows["bits, no refetch"]["nats"] - rows["bits"]["nats"]
    return {"value": gain, "low": gain, "high": gain}


def scale_bytes_ratio():
    """DRAM bytes of one step at the size of GPT-2, dense over all four."""
    rows = load_record("spatten-scale")
    ratio = rows["dense, 32 bits"]["dram_bytes"] / rows["all four"]["dram_bytes"]
    return {"value": ratio, "low": ratio, "high": ratio}


def step_work(n=1024, layers=12, heads=12, tokens=1.0, live=1.0, values=1.0, msb=32, lsb=0, asked=0.0):
    """One generation step of a network of GPT-2's shape, from shares alone: no network is run. `asked`: share of heads that fetch low bits."""
    keys, head_counts = np.array(counts(tokens, n, layers)), np.array(counts(live, heads, layers))
    running = np.arange(heads) < head_counts[:, None]
    rows = np.maximum(1, np.round(values * keys)).astype(int)[:, None] * running
    place = np.cumsum(running).reshape(running.shape)
    refetched = (np.floor(place * asked) > np.floor((place - 1) * asked)) & running
    return Work(np.ones(layers, int), keys, rows, rows, refetched.astype(int), 64, msb, lsb)


SCALE = {"dense, 32 bits": {}, "tokens": {"tokens": 0.1}, "heads": {"live": 0.83}, "values": {"values": 0.5}, "bits": {"msb": 6, "lsb": 4, "asked": 0.059},
         "tokens, heads, bits": {"tokens": 0.1, "live": 0.83, "msb": 6, "lsb": 4, "asked": 0.059},
         "all four": {"tokens": 0.1, "live": 0.83, "values": 0.5, "msb": 6, "lsb": 4, "asked": 0.059}}


def scale():
    """The whole machine at the size of GPT-2, from shares near the published ones: bytes and cycles only, nothing is said about accuracy."""
    start, machine = time.process_time(), load_machine("spatten")
    save_record("spatten-scale", {name: simulated(step_work(**shares), machine) for name, shares in SCALE.items()},
                recipe="tinylib data make spatten-scale", seed=0, seconds=time.process_time() - start,
                note="Simulated: one generation step after 1,024 tokens, 12 layers of 12 heads of 64, attention only. Shares are set by hand; no accuracy.")
