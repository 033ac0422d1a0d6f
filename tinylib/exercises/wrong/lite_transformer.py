"""References and typical wrong answers of the lab `lite_transformer`, in the learner's calling form."""

import torch
import torch.nn.functional as F
from torch import nn

from tinylib.text import convolution

# --- lightweight convolution --------------------------------------------------------------------------------------------


def light_convolution(x, kernel, causal, keep=None):
    return convolution.light_convolution(x, kernel, causal=causal, keep=keep)


def _slide(x, taps, left, keep=None):
    return convolution.convolve(convolution.silence(x, keep), taps, left=left)


def softmax_over_heads(x, kernel, causal, keep=None):
    return _slide(x, kernel.softmax(0), convolution.reach(kernel.shape[1], causal), keep)


def raw_taps(x, kernel, causal, keep=None):
    return _slide(x, kernel, convolution.reach(kernel.shape[1], causal), keep)


def looks_ahead(x, kernel, causal, keep=None):
    return light_convolution(x, kernel, False, keep)


def turned_round(x, kernel, causal, keep=None):
    return light_convolution(x, kernel.flip(1), causal, keep)


def forgets_padding(x, kernel, causal, keep=None):
    return light_convolution(x, kernel, causal)


def silences_afterwards(x, kernel, causal, keep=None):
    return convolution.silence(light_convolution(x, kernel, causal), keep)


def heads_take_turns(x, kernel, causal, keep=None):
    taps = kernel.softmax(1).repeat(x.shape[2] // kernel.shape[0], 1)
    return _slide(x, taps, convolution.reach(kernel.shape[1], causal), keep)


# --- long and short -----------------------------------------------------------------------------------------------------


class LongShort(nn.Module):
    """The left half of the channels to attention, the right half to the convolution."""

    def __init__(self, dim, make_attention, make_convolution):
        super().__init__()
        self.attention, self.convolution = make_attention(dim // 2), make_convolution(dim // 2)

    def forward(self, x):
        far, near = x.chunk(2, -1)
        return torch.cat([self.attention(far), self.convolution(near)], -1)


class FullWidth(LongShort):
    """Both branches see everything, and their results are added."""

    def __init__(self, dim, make_attention, make_convolution):
        super().__init__(2 * dim, make_attention, make_convolution)

    def forward(self, x):
        return self.attention(x) + self.convolution(x)


class Swapped(LongShort):
    """The wrong halves."""

    def forward(self, x):
        near, far = x.chunk(2, -1)
        return torch.cat([self.convolution(near), self.attention(far)], -1)


class JoinedSwapped(LongShort):
    """The right halves, joined in the wrong order."""

    def forward(self, x):
        far, near = x.chunk(2, -1)
        return torch.cat([self.convolution(near), self.attention(far)], -1)


class TakesTurns(LongShort):
    """Even channels and odd channels."""

    def forward(self, x):
        return torch.cat([self.attention(x[..., ::2]), self.convolution(x[..., 1::2])], -1)


class Added(LongShort):
    """The halves are added, so that half of the channels is lost."""

    def forward(self, x):
        far, near = x.chunk(2, -1)
        return self.attention(far) + self.convolution(near)


class Unregistered(LongShort):
    """The branches in a plain list, which PyTorch does not look into."""

    def __init__(self, dim, make_attention, make_convolution):
        nn.Module.__init__(self)
        self.parts = [make_attention(dim // 2), make_convolution(dim // 2)]

    def forward(self, x):
        return torch.cat([part(half) for part, half in zip(self.parts, x.chunk(2, -1))], -1)


# --- MACs ---------------------------------------------------------------------------------------------------------------


def layer_macs(n, d, near, taps, inner):
    far = d - near
    return {"linear": 4 * n * far**2 + 2 * n * near**2, "attention": 2 * n**2 * far, "convolution": n * near * taps, "feed_forward": 2 * n * d * inner}


def forgets_the_square(n, d, near, taps, inner):
    return layer_macs(n, d, near, taps, inner) | {"attention": 2 * n * (d - near)}


def scores_only(n, d, near, taps, inner):
    return layer_macs(n, d, near, taps, inner) | {"attention": n**2 * (d - near)}


def both_full_width(n, d, near, taps, inner):
    return layer_macs(n, d, 0, taps, inner) | {"linear": 6 * n * d**2, "convolution": n * d * taps}


def mixes_all_channels(n, d, near, taps, inner):
    return layer_macs(n, d, near, taps, inner) | {"convolution": n * near**2 * taps}


def one_layer_only(n, d, near, taps, inner):
    return layer_macs(n, d, near, taps, inner) | {"feed_forward": n * d * inner}


def three_matrices(n, d, near, taps, inner):
    return layer_macs(n, d, near, taps, inner) | {"linear": 3 * n * (d - near) ** 2 + 2 * n * near**2}


# --- one word at a time -------------------------------------------------------------------------------------------------


class ConvolutionStream:
    """A causal lightweight convolution that keeps the last k - 1 words."""

    def __init__(self, kernel):
        self.kernel, self.past = kernel, None

    def taps(self, c):
        """Taps of each channel (k, c)."""
        return self.kernel.softmax(1).repeat_interleave(c // len(self.kernel), 0).t()

    def first(self, x):
        """What stands before the first word."""
        return x.new_zeros(len(x), self.kernel.shape[1] - 1, x.shape[1])

    def __call__(self, x):
        words = torch.cat([self.first(x) if self.past is None else self.past, x[:, None]], 1)
        self.past = words[:, 1:]
        return (words * self.taps(x.shape[1])).sum(1)

    def reorder(self, index):
        if self.past is not None:
            self.past = self.past[index]


class RepeatsFirstWord(ConvolutionStream):
    """Fills the time before the sentence with its first word."""

    def first(self, x):
        return x[:, None].expand(-1, self.kernel.shape[1] - 1, -1)


class NewestFirst(ConvolutionStream):
    """Applies the taps in the wrong direction."""

    def taps(self, c):
        return super().taps(c).flip(0)


class StaysInOrder(ConvolutionStream):
    """Ignores which sentences go on."""

    def reorder(self, index):
        self.past = self.past[torch.arange(len(index)) % len(self.past)]


class ScattersRows(ConvolutionStream):
    """Sends row i to index[i] instead of fetching it from there."""

    def reorder(self, index):
        past = self.past[torch.arange(len(index)) % len(self.past)].clone()
        for i, target in enumerate(index.tolist()):
            if target < len(past):
                past[target] = self.past[i % len(self.past)]
        self.past = past


class StartsAnew(ConvolutionStream):
    """Forgets everything at a reorder."""

    def reorder(self, index):
        self.past = None


class SharedPast(ConvolutionStream):
    """Keeps the past in the class, so two streams mix."""

    shared = None

    def __init__(self, kernel):
        self.kernel = kernel
        type(self).shared = None

    @property
    def past(self):
        return type(self).shared

    @past.setter
    def past(self, value):
        type(self).shared = value


class WithoutPresent(ConvolutionStream):
    """Reads the past before the new word has joined it: everything comes one word late."""

    def __call__(self, x):
        k = self.kernel.shape[1]
        past = x.new_zeros(len(x), k, x.shape[1]) if self.past is None else self.past
        out = (past * self.taps(x.shape[1])).sum(1)
        self.past = torch.cat([past[:, 1:], x[:, None]], 1)
        return out


def full(x, kernel, causal):
    """Grouped convolution of PyTorch, for tests: x (b, n, c)."""
    k, c = kernel.shape[1], x.shape[2]
    left = k - 1 if causal else k // 2
    weight = kernel.softmax(1).repeat_interleave(c // len(kernel), 0)[:, None]
    return F.conv1d(F.pad(x.transpose(1, 2), (left, k - 1 - left)), weight, groups=c).transpose(1, 2)
