"""SpAtten's four ways to fetch less (Wang, Zhang, Han, HPCA 2021): tokens, heads and values pruned, and bits fetched step by step.

Tokens and heads are pruned in cascade: what is gone stays gone for all later layers. Values are pruned for one query at a time.
Bits: the most significant ones first; the rest only when no probability is large.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.text.encoder import Transformer, attention_probabilities


@dataclass(frozen=True)
class Plan:
    """Shares kept in the last layer (tokens, heads) and for every query (values); bits. `msb` 0 means 32-bit floats.

    A query whose largest probability is below `threshold` fetches the `lsb` low bits too; threshold 0 never does.
    """

    tokens: float = 1.0
    heads: float = 1.0
    values: float = 1.0
    msb: int = 0
    lsb: int = 0
    threshold: float = 0.0

    def __post_init__(self):
        if not all(0 < share <= 1 for share in (self.tokens, self.heads, self.values)):
            raise TinylibError("shares lie above 0 and at most at 1")
        if self.msb < 0 or self.lsb < 0 or (self.msb == 0 and self.lsb):
            raise TinylibError("low bits need high bits; 0 high bits means floats")


@dataclass(frozen=True)
class Trace:
    """What the attention of b passages did, for an accelerator model. Counts a layer: (L,); of each head: (b, L, h), 0 where pruned.

    `value_rows`: different rows of V needed; `value_uses`: (query, row) pairs; `refetched`: queries that fetched the low bits.
    `alive` (b, L, n): tokens that enter each layer.
    """

    queries: np.ndarray
    keys: np.ndarray
    value_rows: np.ndarray
    value_uses: np.ndarray
    refetched: np.ndarray
    alive: np.ndarray
    head_size: int
    msb: int
    lsb: int

    def sample(self, index: int) -> dict:
        """The arguments of `tinylib.accel.spatten.Work` for one passage."""
        picked = {name: getattr(self, name)[index] for name in ("value_rows", "value_uses", "refetched")}
        return {"queries": self.queries, "keys": self.keys, **picked, "head_size": self.head_size, "msb": self.msb or 32, "lsb": self.lsb}


def counts(share: float, n: int, layers: int) -> list[int]:
    """How many of n stay in each layer: all in the first, round(share * n) in the last, in even steps between; never below 1."""
    steps = max(layers - 1, 1)
    return [max(1, round(n * (1 - (1 - share) * layer / steps))) for layer in range(layers)]


def top_k(scores: Tensor, k: int) -> Tensor:
    """Bool mask like scores (..., n), True at the k largest of the last dimension; ties keep the first."""
    order = torch.sort(scores, dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, order, True)


def quantize(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """(integers of x's shape as int32, scale): symmetric, one scale for each matrix (the last two dimensions)."""
    scale = x.abs().amax((-1, -2), keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
    return torch.round(x / scale).to(torch.int32), scale


def split_bits(q: Tensor, lsb: int) -> tuple[Tensor, Tensor]:
    """(high, low) of two's complement integers: low holds the last `lsb` bits and is never negative."""
    return q >> lsb, q & (2**lsb - 1)


def recompose(high: Tensor, low: Tensor, lsb: int) -> Tensor:
    """The integers that `split_bits` split."""
    return (high << lsb) + low


def high_and_full(x: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """x as the machine sees it with the high bits only, and with all bits; x itself for a plan of floats."""
    if not plan.msb:
        return x, x
    q, scale = quantize(x, plan.msb + plan.lsb)
    return (split_bits(q, plan.lsb)[0] << plan.lsb) * scale, q * scale


def attend(q: Tensor, k: Tensor, v: Tensor, plan: Plan) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(output (b, h, n, d), probabilities (b, h, n, m), values kept (b, h, n, m), low bits fetched (b, h, n)) of one layer."""
    (q1, q2), (k1, k2), (v1, v2) = (high_and_full(x, plan) for x in (q, k, v))
    probs = attention_probabilities(q1, k1)
    asked = probs.amax(-1) < plan.threshold
    if plan.msb and plan.lsb and asked.any():
        probs = torch.where(asked[..., None], attention_probabilities(q2, k2), probs)
        v1 = torch.where(asked.any(-1)[..., None, None], v2, v1)
    else:
        asked = torch.zeros_like(asked)
    m = k.shape[-2]
    kept = top_k(probs, max(1, round(plan.values * m))) if plan.values < 1 else torch.ones_like(probs, dtype=torch.bool)
    return (probs * kept) @ v1, probs, kept, asked


class Cascade:
    """Bookkeeping of one batch: which tokens (by their first place) and heads are left, and how important each has been so far."""

    def __init__(self, b: int, n: int, heads: int, layers: int, plan: Plan, protected: int):
        self.plan, self.protected = plan, protected
        self.places = torch.arange(n).expand(b, n)
        self.importance, self.head_importance = torch.zeros(b, n), torch.zeros(b, heads)
        self.live = torch.ones(b, heads, dtype=torch.bool)
        self.token_counts, self.head_counts = counts(plan.tokens, n, layers), counts(plan.heads, heads, layers)
        self.rows: list[tuple] = []
        self.alive: list[Tensor] = []

    def enter(self, layer: int) -> Tensor:
        """Prune for this layer; returns the columns (b, m) of the tokens still there that stay, in their old order."""
        scores = self.importance.gather(1, self.places)
        scores = scores.masked_fill(self.places == self.protected, float("inf"))
        stay = top_k(scores, self.token_counts[layer])
        columns = stay.nonzero()[:, 1].view(len(scores), -1)
        self.places = self.places.gather(1, columns)
        self.live = self.live & top_k(self.head_importance.masked_fill(~self.live, -1.0), self.head_counts[layer])
        self.alive.append(torch.zeros_like(self.importance, dtype=torch.bool).scatter_(1, self.places, True))
        return columns

    def leave(self, out: Tensor, probs: Tensor, kept: Tensor, asked: Tensor) -> Tensor:
        """Add this layer's importance and counts; returns the output with pruned heads at zero."""
        live = self.live[:, :, None, None]
        self.importance = self.importance.scatter_add(1, self.places, (probs * live).sum((1, 2)))
        out = out * live
        self.head_importance = self.head_importance + out.abs().sum((2, 3))
        self.rows.append((out.shape[2], probs.shape[3], *(x * self.live for x in (kept.any(2).sum(2), kept.sum((2, 3)), asked.sum(2)))))
        return out

    def trace(self, head_size: int) -> Trace:
        """Everything that was counted."""
        queries, keys, *counted = zip(*self.rows)
        arrays = [torch.stack(c, 1).numpy() for c in counted]
        return Trace(np.array(queries), np.array(keys), *arrays, torch.stack(self.alive, 1).numpy(), head_size, self.plan.msb, self.plan.lsb)


def rows_of(x: Tensor, columns: Tensor) -> Tensor:
    """x (b, n, d) at columns (b, m): (b, m, d)."""
    return x.gather(1, columns[..., None].expand(-1, -1, x.shape[-1]))


@torch.no_grad()
def classify(model: Transformer, tokens: Tensor, plan: Plan) -> tuple[Tensor, Trace]:
    """BERT-like work: (logits (b, classes), trace) of tokens (b, n). The first token is the one that is read out and is never pruned."""
    x = model.embed(tokens)
    size = x.shape[-1] // model.blocks[0].attention.heads
    state = Cascade(*tokens.shape, model.blocks[0].attention.heads, len(model.blocks), plan, protected=0)
    for layer, block in enumerate(model.blocks):
        x = rows_of(x, state.enter(layer))
        x = block.after_attention(x, state.leave(*attend(*block.attention.project(block.norm1(x)), plan)))
    return model.read_out(x), state.trace(size)


@dataclass(frozen=True)
class Cache:
    """Keys and values (b, h, n, d) of each layer for the n tokens read so far, and what the tokens and heads have been worth."""

    keys: list[Tensor]
    values: list[Tensor]
    importance: Tensor
    head_importance: Tensor


@torch.no_grad()
def read_prompt(model: Transformer, tokens: Tensor) -> Cache:
    """GPT-like work, first half: read a prompt (b, n) densely and keep its keys, values and importance."""
    x, keys, values = model.embed(tokens), [], []
    importance, head_importance = 0, 0
    for block in model.blocks:
        q, k, v = block.attention.project(block.norm1(x))
        probs = attention_probabilities(q, k, causal=True)
        out = probs @ v
        keys.append(k)
        values.append(v)
        importance, head_importance = importance + probs.sum((1, 2)), head_importance + out.abs().sum((2, 3))
        x = block.after_attention(x, out)
    return Cache(keys, values, importance, head_importance)


@torch.no_grad()
def next_word(model: Transformer, cache: Cache, token: Tensor, plan: Plan) -> tuple[Tensor, Trace]:
    """GPT-like work, one step: (logits (b, words), trace) after token (b,) that follows the cached ones. One query a layer."""
    b, n = cache.importance.shape
    x = (model.words(token) + model.places[n])[:, None]
    state = Cascade(b, n + 1, model.blocks[0].attention.heads, len(model.blocks), plan, protected=n)
    state.importance = torch.cat([cache.importance, torch.zeros(b, 1)], 1)
    state.head_importance = cache.head_importance
    for layer, block in enumerate(model.blocks):
        state.enter(layer)
        q, k, v = block.attention.project(block.norm1(x))
        index = state.places[:, None, :, None].expand(-1, k.shape[1], -1, k.shape[3])
        k, v = (torch.cat([old[layer], new], 2).gather(2, index) for old, new in ((cache.keys, k), (cache.values, v)))
        x = block.after_attention(x, state.leave(*attend(q, k, v, plan)))
    return model.read_out(x)[:, -1], state.trace(k.shape[3])
