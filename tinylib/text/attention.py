"""Multi-head attention: to oneself, to the past, to another sentence; with a cache for one token at a time, and how far it looks.

`keep` (b, m) is True where a key is a real token. A query that may see no key at all gets zeros.
Paper: Vaswani et al., NeurIPS 2017. Labs: lite_transformer and its successors.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError


class KeyValues:
    """Keys and values of the tokens read so far, in memory taken once: (2, b, h, length, size), the first `used` are filled."""

    def __init__(self, store: Tensor, used: int = 0):
        self.store, self.used = store, used
        self.keys, self.values = store.unbind(0)

    def append(self, pair: Tensor) -> None:
        """Add one token: `pair` (2, b, h, size)."""
        if self.used == self.store.shape[3]:
            raise TinylibError(f"the cache holds {self.used} tokens and is full; start decoding with a larger length")
        self.store.select(3, self.used).copy_(pair)
        self.used += 1

    def reorder(self, index: Tensor) -> None:
        """Row i becomes what row index[i] was; more or fewer rows than before are fine."""
        _, _, heads, length, size = self.store.shape
        store = self.store.new_empty(2, len(index), heads, length, size)
        store[:, :, :, :self.used] = self.store[:, index, :, :self.used]
        self.__init__(store, self.used)


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

    def cache(self, b: int, length: int) -> KeyValues:
        """Room for `length` tokens of b sentences, of the weights' kind of number."""
        return KeyValues(self.qkv.weight.new_empty(2, b, self.heads, length, self.dim // self.heads))

    def remember(self, memory: Tensor) -> KeyValues:
        """Keys and values of `memory` (b, m, d), to look at with `look` at every step."""
        d = self.dim
        pair = F.linear(memory, self.qkv.weight[d:], self.qkv.bias[d:])
        return KeyValues(torch.stack(self._split(pair, 2)), memory.shape[1])

    def step(self, x: Tensor, cache: KeyValues) -> Tensor:
        """The next token x (b, d) of a causal sentence: its output (b, d); its key and value go into the cache."""
        qkv = self.qkv(x).view(len(x), 3, self.heads, -1)
        cache.append(qkv[:, 1:].transpose(0, 1))
        return self._read(qkv[:, 0], cache, None)

    def look(self, x: Tensor, cache: KeyValues, keep: Tensor | None = None) -> Tensor:
        """One token x (b, d) looks at a remembered sentence: (b, d)."""
        q = F.linear(x, self.qkv.weight[:self.dim], self.qkv.bias[:self.dim])
        return self._read(q.view(len(x), self.heads, -1), cache, None if keep is None else keep[:, None, None])

    def _read(self, q: Tensor, cache: KeyValues, mask: Tensor | None) -> Tensor:
        keys, values = cache.keys.narrow(2, 0, cache.used), cache.values.narrow(2, 0, cache.used)
        return self.out(F.scaled_dot_product_attention(q.unsqueeze(2), keys, values, attn_mask=mask).view(len(q), self.dim))

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
