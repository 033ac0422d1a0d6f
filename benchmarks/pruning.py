"""At equal MACs, is our channel cut as accurate after fine-tuning, as fast to make, and as fast to run as that of torch-pruning?

Both sides cut the same trained network to at most half its MACs with one ratio for all groups, both counted by `tinylib.measure`; both
are fine-tuned for one epoch with the same seeds. torch-pruning ranks by the norm of the whole group (its usual importance), ours by the layers
that read a channel.
"""

import argparse
import copy
import importlib.metadata
import importlib.util
import json
import platform
import subprocess
import sys
import time

import torch

from benchmarks.rivals.environment import ensure
from tinylib.core.checkpoint import load_model
from tinylib.core.seed import generator
from tinylib.datasets import garments
from tinylib.measure.latency import race
from tinylib.measure.profile import profile
from tinylib.nn.fit import evaluate, fit
from tinylib.prune.channel import cut_channels, keep_strongest, shrink_to
from tinylib.prune.groups import channel_graph

EXAMPLE = torch.zeros(1, 1, 28, 28)
NETWORKS = ("pruning-plain", "garments-base")


def macs(model):
    """MACs of one image."""
    return profile(model, EXAMPLE).macs


def rival_cut(model, ratio):
    """torch-pruning at one ratio for all groups; the classifier stays."""
    import torch_pruning

    model = copy.deepcopy(model)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    pruner = torch_pruning.pruner.BasePruner(model, EXAMPLE, importance=importance, pruning_ratio=ratio, ignored_layers=[model.classifier])
    pruner.step()
    return model


def rival_shrink(model, budget, steps=64):
    """The smallest common ratio of torch-pruning that meets the budget of MACs."""
    low, high = 0, steps                                          # low is over the budget, high within
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if macs(rival_cut(model, middle / steps)) <= budget else (middle, high)
    return rival_cut(model, high / steps)


def our_cut(model, share):
    """Ours at one share for all groups."""
    graph = channel_graph(model, EXAMPLE)
    return cut_channels(model, graph, keep_strongest(model, graph, share))


def fastest_ms(function, runs=7):
    """CPU time of the fastest of several runs: a busy machine does not count."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def tuned_error(model, train, test, seeds):
    """Mean error in per cent after one epoch of fine-tuning, over seeds."""
    errors = []
    for seed in seeds:
        net = copy.deepcopy(model).to(memory_format=torch.channels_last)
        fit(net, train, epochs=1, lr=0.05, generator=generator(seed, "benchmark"))
        errors.append(100 * (1 - evaluate(net, test)))
    return sum(errors) / len(errors)


def compare(name, train, test, seeds):
    """Rows of one network."""
    model = load_model(name)
    budget = 0.5 * macs(model)
    ours = cut_channels(model, EXAMPLE, shrink_to(model, EXAMPLE, macs, budget))
    rival = rival_shrink(model, budget)
    images = test[0][:64]
    nets = {"ours": ours.to(memory_format=torch.channels_last).eval(), "rival": rival.to(memory_format=torch.channels_last).eval()}
    with torch.inference_mode():
        times = race({side: (lambda net=net: net(images)) for side, net in nets.items()}, runs=100, seconds=4.0)
    figures = {
        "MACs an image": (macs(ours), macs(rival), "MAC"),
        "error after one epoch of fine-tuning": (tuned_error(ours, train, test, seeds), tuned_error(rival, train, test, seeds), "%"),
        "error without fine-tuning": (100 * (1 - evaluate(ours, test)), 100 * (1 - evaluate(rival, test)), "%"),
        "latency, 64 images": (times["ours"].median_ms, times["rival"].median_ms, "ms"),
        "CPU time of one cut": (fastest_ms(lambda: our_cut(model, 0.7)), fastest_ms(lambda: rival_cut(model, 0.3)), "ms"),
    }
    return [{"case": f"{name}, {what}", "ours": round(a, 3), "rival": round(b, 3), "unit": unit, "ratio": round(b / a, 3)}
            for what, (a, b, unit) in figures.items()]


def main():
    """Print a table; with --json one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    if importlib.util.find_spec("torch_pruning") is None:
        return subprocess.run([str(ensure("pruning")), "-m", "benchmarks.pruning", *sys.argv[1:]]).returncode
    torch.set_num_threads(1)
    splits = garments.load()
    train, test = ((x.contiguous(memory_format=torch.channels_last), y) for x, y in (splits.train.tensors(), splits.val.tensors()))
    rows = [row for name in NETWORKS for row in compare(name, train, test, range(args.seeds))]
    for row in rows:
        print(f"{row['case']:<55} ours {row['ours']:>12,} rival {row['rival']:>12,} {row['unit']:<4} ratio {row['ratio']}")
    if args.json:
        versions = {"torch": torch.__version__, "torch-pruning": importlib.metadata.version("torch-pruning"), "python": platform.python_version()}
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": rows, "machine": f"{platform.machine()}, one thread", "versions": versions}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
