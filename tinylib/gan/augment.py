"""Changes that both real and generated pictures get before the discriminator sees them, so that few pictures are not learned by heart.

Differentiable, with parameters of its own for each picture. Paper: DiffAugment (Zhao et al., NeurIPS 2020).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def augmented(x: Tensor, generator: torch.Generator, *, colour: float = 1.0, move: float = 1 / 8, cut: float = 1 / 2) -> Tensor:
    """Colour, then translation, then a cut-out square: (b, 3, h, w) -> (b, 3, h, w)."""
    return cut_out(moved(coloured(x, generator, colour), generator, move), generator, cut)


def coloured(x: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Brightness + U(-.5, .5), saturation x U(0, 2), contrast x U(.5, 1.5), each drawn towards no change as `strength` goes to 0."""
    shift, saturation, contrast = (strength * (torch.rand(3, len(x), 1, 1, 1, generator=generator) - 0.5)).unbind(0)
    x = x + shift
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + 2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (1 + contrast)


def moved(x: Tensor, generator: torch.Generator, share: float = 1 / 8) -> Tensor:
    """Each picture moved by up to `share` of its side in both directions; zeros come in."""
    b, _, h, w = x.shape
    most = int(h * share + 0.5)
    rows, columns = (torch.randint(-most, most + 1, (b, 1, 1), generator=generator) for _ in range(2))
    y, z = torch.arange(h)[None, :, None] + rows + most, torch.arange(w)[None, None, :] + columns + most
    padded = F.pad(x, (most,) * 4).permute(0, 2, 3, 1)
    return padded[torch.arange(b)[:, None, None], y, z].permute(0, 3, 1, 2)


def cut_out(x: Tensor, generator: torch.Generator, share: float = 1 / 2) -> Tensor:
    """A square of `share` of the side set to zero, its centre anywhere, so that it may reach over the border."""
    b, _, h, w = x.shape
    size = int(h * share + 0.5)
    top, left = (torch.randint(0, h + (1 - size % 2), (b, 1, 1), generator=generator) - size // 2 for _ in range(2))
    y, z = torch.arange(h)[None, :, None], torch.arange(w)[None, None, :]
    inside = (y >= top) & (y < top + size) & (z >= left) & (z < left + size)
    return x * ~inside[:, None]
