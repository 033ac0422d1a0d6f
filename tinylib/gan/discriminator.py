"""A discriminator that is told which sub-generator made the picture it judges.

One network judges all channel ratios and resolutions; the code of the configuration scales and shifts the channels of its two lowest
blocks. At the start the scales are 1 and the shifts 0: it begins as an ordinary discriminator. Paper: Anycost GAN, section 3.3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.seed import generator as seeded
from tinylib.gan.generator import RESOLUTIONS, SPACE, Config

WIDTHS = (32, 64, 64, 64)           # channels at 32, 16, 8 and 4 pixels


def code_of(config: Config) -> Tensor:
    """One-hot code (23,) of a configuration: resolution, then the ratio of each layer that it uses."""
    return torch.from_numpy(SPACE.encode(config.candidate()))


class Block(nn.Module):
    """Residual block that halves the side: (b, c, h, w) -> (b, k, h / 2, w / 2)."""

    def __init__(self, c: int, k: int):
        super().__init__()
        self.one, self.two, self.skip = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, k, 3, padding=1), nn.Conv2d(c, k, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.one(x), 0.2) * 2**0.5
        y = F.leaky_relu(self.two(F.avg_pool2d(y, 2)), 0.2) * 2**0.5
        return (y + self.skip(F.avg_pool2d(x, 2))) * 2**-0.5


class Conditioned(nn.Module):
    """Per-channel scale (1 at the start) and shift (0 at the start) from a code (code,): (b, c, h, w) -> (b, c, h, w)."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.scale, self.shift = nn.Linear(code, channels, bias=False), nn.Linear(code, channels, bias=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return x * (1 + self.scale(code))[:, None, None] + self.shift(code)[:, None, None]


class Discriminator(nn.Module):
    """Logits (b,) for pictures (b, 3, side, side) with side 8, 16 or 32 and the code (23,) of a configuration; high means real."""

    def __init__(self, *, seed: int = 0):
        super().__init__()
        code = len(code_of(Config()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)                # drawn anew below
            self.inputs = nn.ModuleDict({str(r): nn.Conv2d(3, c, 1) for r, c in zip(RESOLUTIONS[::-1], WIDTHS)})
            self.blocks = nn.ModuleList(Block(c, k) for c, k in zip(WIDTHS, WIDTHS[1:]))
            self.conditions = nn.ModuleList(Conditioned(c, code) for c in WIDTHS[-2:])
            self.last = nn.Conv2d(WIDTHS[-1] + 1, WIDTHS[-1], 3, padding=1)
            self.hidden, self.logit = nn.Linear(16 * WIDTHS[-1], WIDTHS[-1]), nn.Linear(WIDTHS[-1], 1)
        g = seeded(seed, "discriminator")
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.ndim > 1 and not name.startswith("conditions"):
                    p.copy_(torch.randn(p.shape, generator=g) / p[0].numel() ** 0.5)
                else:
                    p.zero_()

    def forward(self, pictures: Tensor, code: Tensor) -> Tensor:
        side = pictures.shape[-1]
        x = F.leaky_relu(self.inputs[str(side)](pictures), 0.2) * 2**0.5
        for block in self.blocks[RESOLUTIONS[::-1].index(side):]:
            if x.shape[-1] == RESOLUTIONS[0]:
                x = self.conditions[0](x, code)
            x = block(x)
        x = F.leaky_relu(self.last(with_spread(self.conditions[1](x, code))), 0.2) * 2**0.5
        return self.logit(F.leaky_relu(self.hidden(x.flatten(1)), 0.2) * 2**0.5)[:, 0]


def with_spread(x: Tensor, group: int = 4) -> Tensor:
    """One more channel: how much the pictures of a group differ, so that a generator that repeats itself is seen."""
    b, c, h, w = x.shape
    g = group if b % group == 0 else b
    spread = (x.view(g, -1, c, h, w).var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, spread.repeat(g).view(b, 1, 1, 1).expand(b, 1, h, w)], 1)
