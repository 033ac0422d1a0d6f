"""Networks and records of the lab spatten. Ratios were chosen on the validation part; `seeds` looks at the test part once."""

import time

import torch
import torch.nn.functional as F

from tinylib.core.checkpoint import save_checkpoint
from tinylib.core.seed import derive, generator
from tinylib.datasets import verses
from tinylib.nn.fit import evaluate, fit
from tinylib.text.encoder import transformer

SEEDS = (0, 1, 2)
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
