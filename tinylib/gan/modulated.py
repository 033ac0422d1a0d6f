"""The modulated convolution: a style scales the input channels, demodulation brings the outputs back to unit variance.

Papers: StyleGAN2 (Karras et al., CVPR 2020); sliceable as in Anycost GAN (Lin et al., CVPR 2021). Lab: anycost_gan.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.nas.elastic import ElasticConv2d, ElasticLinear

EPS = 1e-8


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """Factors (b, k) that give each output channel unit variance for inputs of unit variance.

    1 / sqrt(sum over c, i, j of (weight[k, c, i, j] x style[b, c])^2 + 1e-8); weight (k, c, kh, kw), style (b, c), **already sliced**.
    """
    return torch.rsqrt(style.square() @ weight.square().sum((2, 3)).T + EPS)


def modulated_conv(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True) -> Tensor:
    """Convolution with its own weight for each example, computed with one shared weight: (b, c, h, w) -> (b, k, h, w), same padding.

    Scaling the inputs by the style and the outputs by the demodulation is the same linear map as scaling the weight, and needs no
    weight of its own for each example.
    """
    y = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
    return y * demodulation(weight, style)[:, :, None, None] if demodulate else y


def grouped_conv(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True) -> Tensor:
    """The same map as published: b weights (k, c, kh, kw), one a group of one convolution over b * c channels."""
    b, c, h, w = x.shape
    own = weight[None] * style[:, None, :, None, None]
    if demodulate:
        own = own * demodulation(weight, style)[:, :, None, None, None]
    y = F.conv2d(x.reshape(1, b * c, h, w), own.flatten(0, 1), padding=weight.shape[-1] // 2, groups=b)
    return y.view(b, -1, h, w)


class ModulatedConv2d(ElasticConv2d):
    """Elastic modulated convolution; slices first, demodulates after. `style` turns w (b, d) into one factor for each input channel.

    (b, c <= in_channels, h, w), (b, d) -> (b, out, h, w). With `demodulate=False` (to colours) slicing changes the scale of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, style: int, demodulate: bool = True, generator: torch.Generator):
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.style = ElasticLinear(style, in_channels)
        self.demodulate = demodulate
        with torch.no_grad():
            scale = 1.0 if demodulate else in_channels**-0.5
            self.weight.copy_(torch.randn(self.weight.shape, generator=generator) * scale)
            self.bias.zero_()
            self.style.weight.copy_(torch.randn(self.style.weight.shape, generator=generator) * style**-0.5)
            self.style.bias.fill_(1.0)

    def forward(self, x: Tensor, w: Tensor, out: int | None = None) -> Tensor:
        weight, bias = self.sliced(x.shape[1], out)
        return modulated_conv(x, weight, self.style(w, x.shape[1]), demodulate=self.demodulate) + bias[:, None, None]


class StyledConv(ModulatedConv2d):
    """Modulated convolution, noise times a learned strength, leaky ReLU that keeps the variance. `noise` (b or 1, 1, h, w) or None."""

    def __init__(self, in_channels: int, out_channels: int, *, style: int, generator: torch.Generator):
        super().__init__(in_channels, out_channels, 3, style=style, generator=generator)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, out: int | None = None, noise: Tensor | None = None) -> Tensor:
        y = super().forward(x, w, out)
        if noise is not None:
            y = y + self.strength * noise
        return F.leaky_relu(y, 0.2) * 2**0.5
