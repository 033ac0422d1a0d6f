"""A style-based generator with elastic channels and several outputs: one network, many costs.

Paper: Anycost GAN (Lin et al., CVPR 2021). Lab: anycost_gan.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.core.seed import generator as seeded
from tinylib.gan.modulated import ModulatedConv2d, StyledConv
from tinylib.search.space import Gene, Space

RATIOS = (1 / 4, 1 / 2, 3 / 4, 1)
RESOLUTIONS = (8, 16, 32)
SIDES = (8, 16, 16, 32, 32)             # side of the output of each of the five styled convolutions
WIDTHS = (64, 64, 48, 32, 32)           # channels of each, at ratio 1; the constant input has those of the first
LAST = {8: 1, 16: 3, 32: 5}             # how many convolutions an output of a resolution needs

SPACE = Space((Gene("resolution", RESOLUTIONS), *(Gene(f"r{i}", RATIOS, ("resolution", side)) for i, side in enumerate(SIDES))))


@dataclass(frozen=True)
class Config:
    """One sub-generator: channel ratio of each convolution and the output's side in pixels."""

    ratios: tuple[float, ...] = (1,) * len(SIDES)
    resolution: int = 32

    def __post_init__(self):
        if len(self.ratios) != len(SIDES) or self.resolution not in RESOLUTIONS or not all(0 < r <= 1 for r in self.ratios):
            raise TinylibError(f"a configuration has {len(SIDES)} ratios in (0, 1] and a resolution of {RESOLUTIONS}, not {self}")

    @classmethod
    def uniform(cls, ratio: float, resolution: int = 32) -> "Config":
        """The same ratio everywhere."""
        return cls((ratio,) * len(SIDES), resolution)

    @classmethod
    def of(cls, candidate: dict) -> "Config":
        """From a candidate of SPACE; layers that are not active get ratio 1."""
        return cls(tuple(candidate[f"r{i}"] or 1 for i in range(len(SIDES))), candidate["resolution"])

    def candidate(self) -> dict:
        """As a candidate of SPACE."""
        return SPACE.canonical({"resolution": self.resolution, **{f"r{i}": r for i, r in enumerate(self.ratios)}})

    def channels(self, widths: Sequence[int] = WIDTHS) -> tuple[int, ...]:
        """Channels of each convolution: round(ratio * width), at least 1."""
        return tuple(max(1, round(r * c)) for r, c in zip(self.ratios, widths))


FULL = Config()


class Constant(nn.Module):
    """The learned input (c, side, side), the same for every picture."""

    def __init__(self, channels: int, side: int, generator: torch.Generator):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, side, side, generator=generator))

    def forward(self, batch: int, channels: int) -> Tensor:
        return self.weight[:channels].expand(batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)


class Mapping(nn.Sequential):
    """z (b, d) -> w (b, d): z brought to unit mean square, then `depth` linear layers with leaky ReLU."""

    def __init__(self, d: int, depth: int, generator: torch.Generator):
        layers = [nn.Linear(d, d) for _ in range(depth)]
        super().__init__(*(m for layer in layers for m in (layer, nn.LeakyReLU(0.2))))
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(torch.randn(d, d, generator=generator) * (2 / d) ** 0.5)
                layer.bias.zero_()

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))


class Generator(nn.Module):
    """Mapping, constant input, five styled convolutions, a to-colours layer at 8, 16 and 32 pixels; colours are summed up the scales.

    A lower resolution is a prefix of the computation, a lower ratio the first channels of each layer.
    """

    def __init__(self, *, widths: Sequence[int] = WIDTHS, resolution: int = 32, latent: int = 64, depth: int = 3, seed: int = 0):
        super().__init__()
        g = seeded(seed, "generator")
        self.widths, self.resolution, self.latent = tuple(widths), resolution, latent
        sides, widths = SIDES[:LAST[resolution]], self.widths[:LAST[resolution]]
        self.mapping = Mapping(latent, depth, g)
        self.constant = Constant(widths[0], SIDES[0], g)
        self.convs = nn.ModuleList(StyledConv(c, k, style=latent, generator=g) for c, k in zip((widths[0], *widths), widths))
        self.colours = nn.ModuleList(ModulatedConv2d(widths[LAST[r] - 1], 3, 1, style=latent, demodulate=False, generator=g) for r in RESOLUTIONS
                                     if r <= resolution)
        for i, side in enumerate(sides):
            self.register_buffer(f"noise{i}", torch.randn(1, 1, side, side, generator=g))

    def forward(self, z: Tensor, config: Config | None = None, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Pictures (b, 3, side, side), about [-1, 1], for latents z (b, d)."""
        return self.synthesis(self.mapping(z), config, noise)[-1]

    def synthesis(self, w: Tensor, config: Config | None = None, noise: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Pictures of every resolution up to the configuration's, from w (b, d), or (b, 5, d) with one w for each convolution.

        Without a configuration: all that this network has.
        `noise`: five tensors (b or 1, 1, side, side); None takes the fixed ones, so that equal w give equal pictures.
        """
        config = config or Config(resolution=self.resolution)
        if config.resolution > self.resolution:
            raise TinylibError(f"this generator ends at {self.resolution} pixels, not {config.resolution}")
        styles = w.unbind(1) if w.ndim == 3 else [w] * len(self.convs)
        channels = config.channels(self.widths)
        x, picture, pictures = self.constant(len(w), channels[0]), None, []
        for i in range(LAST[config.resolution]):
            if x.shape[-1] < SIDES[i]:
                x, picture = doubled(x), doubled(picture)
            x = self.convs[i](x, styles[i], channels[i], getattr(self, f"noise{i}") if noise is None else noise[i])
            if i + 1 in LAST.values():
                colour = self.colours[len(pictures)](x, styles[i])
                picture = colour if picture is None else picture + colour
                pictures.append(picture)
        return pictures


def doubled(x: Tensor) -> Tensor:
    """Twice the side, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def fresh_noise(batch: int, generator: torch.Generator) -> list[Tensor]:
    """Noise for `batch` pictures, one tensor a convolution; hand the same to teacher and student."""
    return [torch.randn(batch, 1, side, side, generator=generator) for side in SIDES]


def macs(config: Config = FULL, *, widths: Sequence[int] = WIDTHS, latent: int = 64, depth: int = 3) -> int:
    """MACs of one picture by formula: mapping, styles, demodulations, convolutions, to-colours layers.

    A demodulation is a product of (c) styles and (k, c) sums of squared weights: c x k MACs.
    """
    channels = config.channels(widths)
    total = depth * latent * latent
    for i, (c, k) in enumerate(zip((channels[0], *channels), channels)):
        if i < LAST[config.resolution]:
            total += latent * c + c * k + 9 * c * k * SIDES[i] ** 2
            if i + 1 in LAST.values():
                total += latent * k + 3 * k * SIDES[i] ** 2
    return total


def anycost_generator(**arguments) -> Generator:
    """Factory of the checkpoints; see Generator for the arguments."""
    return Generator(**arguments)
