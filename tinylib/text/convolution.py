"""Lightweight and dynamic convolution over words: one kernel for a group of channels ("head"), its taps a softmax.

Sentences are (b, n, c); output t is the sum over taps j of taps[j] * x[t + j - left], with zeros outside the sentence.
`left` is k - 1 for a causal kernel (the last tap is the present word), else k // 2.
Paper: Wu et al., Pay Less Attention with Lightweight and Dynamic Convolutions, ICLR 2019. Lab: lite_transformer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.text.dropout import dropout


def reach(taps: int, causal: bool) -> int:
    """How many words to the left the first of `taps` taps stands."""
    return taps - 1 if causal else taps // 2


def convolve(x: Tensor, taps: Tensor, *, left: int) -> Tensor:
    """Convolution of x (b, n, c) with `taps` (h, k), the same at every word; channels c / h at a time share a head's taps."""
    k, each = taps.shape[1], _channels_each(x, taps.shape[0])
    padded = F.pad(x, (0, 0, left, k - 1 - left)).transpose(1, 2).unsqueeze(2)      # one row of words, channels last in memory
    return F.conv2d(padded, taps.repeat_interleave(each, 0)[:, None, None], groups=x.shape[2]).squeeze(2).transpose(1, 2)


def convolve_each(x: Tensor, taps: Tensor, *, left: int) -> Tensor:
    """The same with `taps` (b, n, h, k) of every word's own."""
    n, h, k = taps.shape[1:]
    heads = F.pad(x, (0, 0, left, k - 1 - left)).unflatten(2, (h, _channels_each(x, h))).transpose(1, 2)
    places = (torch.arange(n)[:, None] + torch.arange(k)).flatten()
    windows = heads.index_select(2, places).unflatten(2, (n, k))                    # (b, h, n, k, c / h)
    return (taps.transpose(1, 2).unsqueeze(3) @ windows).squeeze(3).transpose(1, 2).flatten(2)


def light_convolution(x: Tensor, kernel: Tensor, *, causal: bool, keep: Tensor | None = None) -> Tensor:
    """(b, n, c) from x (b, n, c) and `kernel` (h, k), softmax over its k taps. Words where `keep` (b, n) is False count as zeros."""
    return convolve(silence(x, keep), kernel.softmax(-1), left=reach(kernel.shape[-1], causal))


def dynamic_convolution(x: Tensor, kernel: Tensor, *, causal: bool, keep: Tensor | None = None) -> Tensor:
    """`light_convolution` with `kernel` (b, n, h, k): each word has taps of its own."""
    return convolve_each(silence(x, keep), kernel.softmax(-1), left=reach(kernel.shape[-1], causal))


def silence(x: Tensor, keep: Tensor | None) -> Tensor:
    """x (b, n, c) with zeros at the words that are only padding."""
    return x if keep is None else x.masked_fill(~keep.unsqueeze(-1), 0.0)


class Window:
    """A branch that reads its sentences word by word. The last k - 1 words (b, k - 1, c) wait here; zeros at the start."""

    def __init__(self, branch: "ConvolutionBranch", b: int):
        c = branch.leave.in_features
        self.heads, self.taps, self.glu = branch.heads, branch.taps, branch.glu
        self.weights = branch.enter.weight, branch.enter.bias, branch.leave.weight, branch.leave.bias
        self.maker = branch.kernel.weight if branch.dynamic else None
        self.kernel = None if branch.dynamic else branch.kernel.softmax(-1).repeat_interleave(c // branch.heads, 0).t().contiguous()
        self.words = branch.leave.weight.new_zeros(b, branch.taps - 1, c)

    def step(self, x: Tensor) -> Tensor:
        """The next word x (b, c): its output (b, c)."""
        weight, bias, leave_weight, leave_bias = self.weights
        x = F.linear(x, weight, bias)
        x = F.glu(x) if self.glu else x
        words = torch.cat([self.words, x.unsqueeze(1)], 1)
        self.words = words.narrow(1, 1, self.taps - 1)
        if self.maker is None:
            mixed = (words * self.kernel).sum(1)
        else:
            taps = F.linear(x, self.maker).unflatten(1, (self.heads, -1)).softmax(-1).transpose(1, 2).unsqueeze(3)
            mixed = (words.unflatten(2, (self.heads, -1)) * taps).sum(1).flatten(1)
        return F.linear(mixed, leave_weight, leave_bias)

    def reorder(self, index: Tensor) -> None:
        """Row i becomes what row index[i] was; more or fewer rows than before are fine."""
        self.words = self.words[index]


class ConvolutionBranch(nn.Module):
    """Linear layer, optional gate (GLU), lightweight or dynamic convolution with `taps` taps in `heads` heads, linear layer: (b, n, c) -> (b, n, c)."""

    def __init__(self, dim: int, heads: int, taps: int, *, causal: bool, dynamic: bool = False, glu: bool = False, dropout: float = 0.0):
        super().__init__()
        if heads < 1 or dim % heads or taps < 1:
            raise TinylibError(f"{dim} channels in {heads} heads with {taps} taps: heads must divide channels, and taps must be at least 1")
        self.heads, self.taps, self.causal, self.dynamic, self.glu, self.dropout = heads, taps, causal, dynamic, glu, dropout
        self.enter, self.leave = nn.Linear(dim, (1 + glu) * dim), nn.Linear(dim, dim)
        if dynamic:
            self.kernel = nn.Linear(dim, heads * taps, bias=False)
        else:
            self.kernel = nn.Parameter(torch.zeros(heads, taps))

    def forward(self, x: Tensor, *, keep: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """`generator` draws which taps are dropped in training: after the softmax, so that the rest keep their size."""
        x = self.enter(x)
        x = silence(F.glu(x) if self.glu else x, keep)
        kernel = self.kernel(x).unflatten(-1, (self.heads, self.taps)) if self.dynamic else self.kernel
        taps = dropout(kernel.softmax(-1), self.dropout if self.training else 0.0, generator)
        return self.leave((convolve_each if self.dynamic else convolve)(x, taps, left=reach(self.taps, self.causal)))

    def start(self, b: int) -> Window:
        """State before the first word of b sentences, for the weights as they are now."""
        if not self.causal:
            raise TinylibError("a convolution that looks ahead cannot be read one word at a time")
        return Window(self, b)


def _channels_each(x: Tensor, heads: int) -> int:
    if x.shape[2] % heads:
        raise TinylibError(f"{x.shape[2]} channels do not divide into {heads} heads")
    return x.shape[2] // heads
