"""A small transformer, BERT-like (classify) or GPT-like (next word): plain enough that every accelerator trace can be checked by hand."""

import math

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError


class Attention(nn.Module):
    """Multi-head attention in three named steps, so that an accelerator model can stand between them."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if dim % heads:
            raise TinylibError(f"{dim} features do not divide into {heads} heads")
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, n, d) -> three tensors (b, h, n, d / h): queries, keys, values."""
        b, n, _ = x.shape
        return self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def join(self, heads: Tensor) -> Tensor:
        """(b, h, n, d / h) -> (b, n, d) through the output layer."""
        return self.out(heads.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Norm, attention, add; norm, two layers, add."""

    def __init__(self, dim: int, heads: int, inner: int):
        super().__init__()
        self.attention, self.norm1, self.norm2 = Attention(dim, heads), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.inner = nn.Sequential(nn.Linear(dim, inner), nn.ReLU(), nn.Linear(inner, dim))

    def after_attention(self, x: Tensor, heads: Tensor) -> Tensor:
        """Rest of the block once the heads' outputs (b, h, n, d / h) are known."""
        x = x + self.attention.join(heads)
        return x + self.inner(self.norm2(x))


class Transformer(nn.Module):
    """(b, n) token numbers -> (b, outputs) logits of the first token, or with `causal` (b, n, outputs) of every next word."""

    def __init__(self, words: int, outputs: int, length: int, dim: int, heads: int, layers: int, inner: int, causal: bool):
        super().__init__()
        self.causal = causal
        self.words, self.places = nn.Embedding(words, dim), nn.Parameter(0.02 * torch.randn(length, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, inner) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, outputs)

    def embed(self, tokens: Tensor) -> Tensor:
        """(b, n) -> (b, n, d)."""
        return self.words(tokens) + self.places[:tokens.shape[1]]

    def read_out(self, x: Tensor) -> Tensor:
        """Logits of the first token, or of every token when causal."""
        return self.head(self.norm(x if self.causal else x[:, 0]))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            q, k, v = block.attention.project(block.norm1(x))
            x = block.after_attention(x, attention_probabilities(q, k, self.causal) @ v)
        return self.read_out(x)


def attention_probabilities(q: Tensor, k: Tensor, causal: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(size)): (b, h, n, m), rows sum to 1; causal: the last query stands at the last key."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        n, m = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(n, m, dtype=torch.bool).triu(m - n + 1), float("-inf"))
    return scores.softmax(-1)


def transformer(*, words: int = 2003, outputs: int = 6, length: int = 48, dim: int = 64, heads: int = 4, layers: int = 4, inner: int = 128,
                causal: bool = False) -> Transformer:
    """The network of a checkpoint from plain numbers."""
    return Transformer(words, outputs, length, dim, heads, layers, inner, causal)
