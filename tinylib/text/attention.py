"""Multi-head attention: to oneself, to the past, to another sentence; token by token with a cache; and how far it looks.

`keep` (b, m) is True where a key is a real token. A query that may see no key at all gets zeros.
Paper: Vaswani et al., NeurIPS 2017. Labs: lite_transformer and its successors.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError


class Past:
    """A layer that reads its own sentences token by token. Keys and values wait in memory taken once: (b, 2, h, length, size), `used` are filled."""

    def __init__(self, layer: "Attention", b: int, length: int):
        self.heads, self.used = layer.heads, 0
        self.weights = layer.qkv.weight, layer.qkv.bias, layer.out.weight, layer.out.bias       # bound once: looking them up costs as much as a product
        self.store = layer.qkv.weight.new_empty(b, 2, layer.heads, length, layer.dim // layer.heads)

    def step(self, x: Tensor) -> Tensor:
        """The next token x (b, d): its output (b, d)."""
        if self.used == self.store.shape[3]:
            raise TinylibError(f"the memory holds {self.used} tokens and is full; start with a larger length")
        weight, bias, out_weight, out_bias = self.weights
        qkv = F.linear(x, weight, bias).view(x.shape[0], 3, self.heads, -1)
        self.store.select(3, self.used).copy_(qkv.narrow(1, 1, 2))
        self.used += 1
        keys, values = self.store.narrow(3, 0, self.used).unbind(1)
        heads = F.scaled_dot_product_attention(qkv.select(1, 0).unsqueeze(2), keys, values)
        return F.linear(heads.reshape(x.shape), out_weight, out_bias)

    def reorder(self, index: Tensor) -> None:
        """Row i becomes what row index[i] was; more or fewer rows than before are fine."""
        store = self.store.new_empty(len(index), *self.store.shape[1:])
        store[:, :, :, :self.used] = self.store[index, :, :, :self.used]
        self.store = store


class Source:
    """A layer whose tokens look, one after another, at sentences that are known from the start: `memory` (b, m, d)."""

    def __init__(self, layer: "Attention", memory: Tensor, keep: Tensor | None):
        d, self.heads = layer.dim, layer.heads
        self.weights = layer.qkv.weight[:d], layer.qkv.bias[:d], layer.out.weight, layer.out.bias
        _, self.keys, self.values = layer.project(memory[:, :0], memory)
        self.keep, self.rows = None if keep is None else keep[:, None, None], torch.arange(len(memory))

    def step(self, x: Tensor) -> Tensor:
        """The next token x (b, d): what it found (b, d)."""
        weight, bias, out_weight, out_bias = self.weights
        q = F.linear(x, weight, bias).view(x.shape[0], self.heads, 1, -1)
        heads = F.scaled_dot_product_attention(q, self.keys, self.values, attn_mask=self.keep)
        return F.linear(heads.reshape(x.shape), out_weight, out_bias)

    def reorder(self, index: Tensor) -> None:
        """As `Past.reorder`. Beams that only change places within their sentence look at the same source: nothing is copied."""
        rows = self.rows[index]
        if not torch.equal(rows, self.rows):
            self.rows, self.keys, self.values = rows, self.keys[index], self.values[index]
            self.keep = None if self.keep is None else self.keep[index]


class Attention(nn.Module):
    """softmax(q k^T / sqrt(size)) v in `heads` heads: (b, n, d) -> (b, n, d). One matrix makes queries, keys and values."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if heads < 1 or dim % heads:
            raise TinylibError(f"{dim} channels do not divide into {heads} heads")
        self.dim, self.heads = dim, heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, *, memory: Tensor | None = None, keep: Tensor | None = None, causal: bool = False) -> Tensor:
        """x (b, n, d) looks at `memory` (b, m, d), or at itself; `causal`: token i at tokens 0 to i of itself."""
        q, k, v = self.project(x, memory)
        if causal and keep is None and memory is None:
            return self.join(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        return self.join(F.scaled_dot_product_attention(q, k, v, attn_mask=visible(q.shape[2], k.shape[2], keep=keep, causal=causal)))

    def probabilities(self, x: Tensor, *, memory: Tensor | None = None, keep: Tensor | None = None, causal: bool = False) -> Tensor:
        """Who looks where (b, h, n, m), for the same arguments as `forward`; rows sum to 1, or to 0 where no key may be seen."""
        q, k, _ = self.project(x, memory)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        seen = visible(q.shape[2], k.shape[2], keep=keep, causal=causal)
        return scores.softmax(-1) if seen is None else scores.masked_fill(~seen, float("-inf")).softmax(-1).masked_fill(~seen, 0.0)

    def project(self, x: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of x (b, h, n, size), keys and values of `memory` (or of x)."""
        if memory is None:
            return self._split(self.qkv(x), 3)
        d, weight, bias = self.dim, self.qkv.weight, self.qkv.bias
        return (*self._split(F.linear(x, weight[:d], bias[:d]), 1), *self._split(F.linear(memory, weight[d:], bias[d:]), 2))

    def join(self, heads: Tensor) -> Tensor:
        """(b, h, n, size) -> (b, n, d) through the output layer."""
        return self.out(heads.transpose(1, 2).flatten(2))

    def start(self, b: int, length: int) -> Past:
        """State before the first of at most `length` tokens of b sentences, for the weights as they are now."""
        return Past(self, b, length)

    def look(self, memory: Tensor, keep: Tensor | None = None) -> Source:
        """The same for tokens that look at `memory` (b, m, d)."""
        return Source(self, memory, keep)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        return x.unflatten(2, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def visible(n: int, m: int, *, keep: Tensor | None = None, causal: bool = False) -> Tensor | None:
    """Which of m keys n queries may see, bool (b or 1, 1, n or 1, m); None for all. `causal`: query i sees keys 0 to i."""
    seen = None if keep is None else keep[:, None, None]
    if causal:
        past = torch.ones(n, m, dtype=torch.bool).tril()[None, None]
        seen = past if seen is None else seen & past
    return seen


@torch.no_grad()
def attention_maps(model: nn.Module, *inputs: object) -> dict[str, Tensor]:
    """Probabilities (b, h, n, m) of every `Attention` in a model, by module name, for one run on `inputs` in eval mode."""
    maps, modes = {}, [(module, module.training) for module in model.modules()]

    def look(name: str):
        def hook(module: Attention, args: tuple, kwargs: dict) -> None:
            maps[name] = module.probabilities(*args, **kwargs)
        return hook

    hooks = [m.register_forward_pre_hook(look(name), with_kwargs=True) for name, m in model.named_modules() if isinstance(m, Attention)]
    try:
        model.eval()(*inputs)
    finally:
        for handle in hooks:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    return maps


def attention_distance(probabilities: Tensor, keep: Tensor | None = None) -> Tensor:
    """Mean distance |i - j| in tokens from query i to key j, weighted by attention: (h,) of maps (b, h, n, n).

    The mean is over all queries of all sentences; with `keep` (b, n) over the real ones.
    """
    place = torch.arange(probabilities.shape[-1], dtype=probabilities.dtype)
    distance = (probabilities * (place[:, None] - place).abs()).sum(-1)
    if keep is None:
        return distance.mean((0, 2))
    return (distance * keep[:, None]).sum((0, 2)) / keep.sum()
