"""A second, differently written right answer for each exercise of `lite_transformer`."""

import torch
from torch import nn


def light_convolution(x, kernel, causal, keep=None):
    h, k = kernel.shape
    if keep is not None:
        x = x * keep.unsqueeze(-1).to(x.dtype)
    taps = torch.exp(kernel - kernel.max(dim=1, keepdim=True).values)
    taps = taps / taps.sum(dim=1, keepdim=True)
    heads = x.unflatten(2, (h, -1))
    out = torch.zeros_like(heads)
    n = x.shape[1]
    for j in range(k):
        shift = j - (k - 1 if causal else k // 2)           # output t hears word t + shift
        low, high = max(0, -shift), min(n, n - shift)
        if low < high:
            out[:, low:high] = out[:, low:high] + heads[:, low + shift:high + shift] * taps[:, j, None]
    return out.flatten(2)


class LongShort(nn.Module):
    def __init__(self, dim, make_attention, make_convolution):
        super().__init__()
        self.half = dim // 2
        self.branches = nn.ModuleDict({"near": make_convolution(self.half), "far": make_attention(dim - self.half)})

    def forward(self, x):
        out = torch.empty_like(x)
        out[:, :, :self.half] = self.branches["far"](x[:, :, :self.half])
        out[:, :, self.half:] = self.branches["near"](x[:, :, self.half:])
        return out


def layer_macs(n, d, near, taps, inner):
    def dense(rows, columns_in, columns_out):
        return rows * columns_in * columns_out

    far = d - near
    return {"linear": sum(dense(n, w, w) for w in [far] * 4 + [near] * 2), "attention": dense(n, far, n) + dense(n, n, far),
            "convolution": n * near * taps, "feed_forward": dense(n, d, inner) + dense(n, inner, d)}


class ConvolutionStream:
    def __init__(self, kernel):
        self.taps, self.words = kernel.softmax(dim=-1), []

    def __call__(self, x):
        h, k = self.taps.shape
        self.words = (self.words + [x])[-k:]
        heads = [word.unflatten(1, (h, -1)) for word in self.words]
        return sum(self.taps[:, k - len(heads) + i, None] * word for i, word in enumerate(heads)).flatten(1)

    def reorder(self, index):
        self.words = [word.index_select(0, index) for word in self.words]


ALTERNATIVES = {"lite_transformer.light_convolution": light_convolution, "lite_transformer.long_short": LongShort,
                "lite_transformer.layer_macs": layer_macs, "lite_transformer.convolution_stream": ConvolutionStream}
