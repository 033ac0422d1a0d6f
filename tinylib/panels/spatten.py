"""Panel of the lab `spatten`: a sentence whose tokens fade, with bytes and cycles."""

import functools

import numpy as np
import torch
from matplotlib.figure import Figure

from tinylib.accel.machine import load_machine
from tinylib.accel.spatten import Work, simulated
from tinylib.core.checkpoint import load_model
from tinylib.datasets import verses
from tinylib.show.panel import Panel, Slider
from tinylib.show.style import COLOURS
from tinylib.text.encoder import attention_probabilities
from tinylib.text.spatten import Plan, counts, high_and_full

MSB, LSB = 4, 4
PASSAGES = 6


@functools.cache
def network():
    """The reader of seed 0."""
    return load_model("spatten-reader0")


@functools.cache
def examples() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Tokens (6, 48), labels and the vocabulary of some test passages."""
    data = verses.load()
    part = data.test.take(PASSAGES)
    return part.tokens, part.labels, data.words


def layer_run(block, x, alive, threshold, functions):
    """(x after the block, probabilities (h, n, n), asked (h, n)) of one layer; dead columns get no probability."""
    q, k, v = block.attention.project(block.norm1(x))
    (q1, q2), (k1, k2), (v1, v2) = (high_and_full(t, Plan(msb=MSB, lsb=LSB)) for t in (q, k, v))
    asked = functions["spatten.fetch_more"](q1[0][:, alive], k1[0][:, alive], threshold)
    more = torch.zeros(q.shape[1:3], dtype=torch.bool)
    more[:, alive] = asked
    few, all_bits = (_masked(a, b, alive) for a, b in ((q1[0], k1[0]), (q2[0], k2[0])))
    probs = torch.where(more[..., None], all_bits, few)
    values = torch.where(more.any(-1)[:, None, None], v2[0], v1[0])
    return block.after_attention(x, (probs @ values)[None]), probs, asked


def _masked(q, k, alive):
    """Probabilities over living keys, zero elsewhere."""
    out = torch.zeros(q.shape[0], q.shape[1], k.shape[1])
    out[:, :, alive] = attention_probabilities(q, k[:, alive])
    return out


@torch.no_grad()
def fade_compute(params: dict, functions: dict) -> dict:
    """Layers survived by each token of a passage, the answer, and what the machine needs."""
    tokens, labels, words = examples()
    row = params["passage"] - 1
    net, n = network(), tokens.shape[1]
    x = net.embed(torch.from_numpy(tokens[row:row + 1]))
    keep = counts(params["tokens"], n, len(net.blocks))
    importance, alive = torch.zeros(n), torch.ones(n, dtype=torch.bool)
    survived, refetched = np.zeros(n, int), []
    for layer, block in enumerate(net.blocks):
        survived += alive.numpy()
        x, probs, asked = layer_run(block, x, alive, params["threshold"], functions)
        refetched.append(asked.sum(-1).numpy())
        if layer + 1 < len(keep):
            importance, alive = functions["spatten.prune_step"](importance, alive, probs, keep[layer + 1])
    keys, asked = np.array(keep), np.array(refetched)
    full = np.repeat(keys[:, None], asked.shape[1], 1)
    work = Work(keys, keys, full, full * keys[:, None], asked, 16, MSB, LSB)
    moved = sum(functions["spatten.dram_bytes"](m, m, m, int(a), 16, MSB, LSB) for m, heads in zip(keep, asked) for a in heads)
    guess = int(net.read_out(x).argmax())
    return {"words": [words[t] for t in tokens[row]], "survived": survived, "right": guess == int(labels[row]), "guess": verses.CLASSES[guess],
            "label": verses.CLASSES[int(labels[row])], "bytes": int(moved), "cycles": int(simulated(work, load_machine("spatten_sixteenth"))["cycles"]),
            "asked": float(asked.sum() / (keys.sum() * asked.shape[1]))}


def fade_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    for place, (word, layers) in enumerate(zip(record["words"], record["survived"])):
        ax.text(place % 8, -(place // 8), word, ha="center", va="center", fontsize=9, alpha=(0.12, 0.25, 0.45, 0.7, 1.0)[min(layers, 4)],
                color=COLOURS["ours"] if layers >= 4 else "black", fontweight="bold" if layers >= 4 else "normal")
    ax.set(xlim=(-0.7, 7.7), ylim=(-5.6, 0.6), title=fade_finding(record))
    ax.axis("off")


def fade_finding(record: dict) -> str:
    """Title: tokens left, bytes, cycles, and whether the answer is right."""
    left = int((record["survived"] >= 4).sum())
    verdict = "correct" if record["right"] else "wrong"
    return f"{left} of {len(record['words'])} tokens left: {record['bytes']:,} bytes, {record['cycles']:,} cycles, '{record['guess']}' is {verdict}"


def fade_describe(record: dict) -> str:
    left = [w for w, layers in zip(record["words"], record["survived"]) if layers >= 4]
    return (f"{fade_finding(record)} (the passage is from: {record['label']}). Low bits were fetched for {100 * record['asked']:.0f} % of the queries. "
            f"Left in the last layer: {' '.join(left)}. Dense at 32 bits: 196,608 bytes. Cycles are simulated.")


PANELS = (
    Panel("spatten.fade", (Slider("tokens", "share of tokens kept in the last layer", (1.0, 0.85, 0.7, 0.5, 0.35, 0.2), 0.5),
                           Slider("threshold", "fetch low bits below this probability", (0.0, 0.05, 0.1, 0.2, 0.4), 0.1),
                           Slider("passage", "passage (number)", tuple(range(1, PASSAGES + 1)), 1)),
          fade_compute, fade_draw, fade_describe, uses=("spatten.prune_step", "spatten.fetch_more", "spatten.dram_bytes"), figsize=(7.6, 3.8)),
)
