"""Find the latents of a given picture, and move latents along a direction that means something.

Paper: Anycost GAN, section 3.4: a projection that looks at several sub-generators stays true in the cheap preview. Lab: anycost_gan.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tinylib.gan.generator import FULL, Config, Generator

LAYERS = 5


def mean_w(net: Generator, generator: torch.Generator, count: int = 1000) -> Tensor:
    """The mean of `count` mapped latents: (1, d). The picture that it makes is the most ordinary one."""
    with torch.no_grad():
        return net.mapping(torch.randn(count, net.latent, generator=generator)).mean(0, keepdim=True)


def project(net: Generator, target: Tensor, start: Tensor, *, steps: int = 150, lr: float = 0.05, keep: float = 0.01,
            configs: Sequence[Config] = (FULL,), on_step: Callable[[int, float], object] | None = None) -> Tensor:
    """One w for each convolution, (b, 5, d), whose pictures come near `target` (b, 3, 32, 32); Adam from `start` (1, d).

    The configurations take turns, each compared at its own resolution. `keep` pulls towards the start, where pictures look like pictures.
    """
    w = start[:, None].expand(len(target), LAYERS, -1).clone().requires_grad_()
    update = torch.optim.Adam([w], lr=lr)
    for index in range(steps):
        picture = net.synthesis(w, configs[index % len(configs)])[-1]
        wanted = F.avg_pool2d(target, target.shape[-1] // picture.shape[-1])
        loss = F.mse_loss(picture, wanted) + keep * (w - start[:, None]).square().mean()
        update.zero_grad()
        loss.backward(inputs=[w])
        update.step()
        if on_step:
            on_step(index, loss.item())
    return w.detach()


def direction(w: Tensor, scores: Tensor) -> Tensor:
    """Unit vector (d,) of the covariance of w (n, d) with `scores` (n,): where high scores lie among the latents that occur.

    A regression's slope would point where little of w varies, and pictures would hardly move along it.
    """
    slope = (w - w.mean(0)).T @ (scores - scores.mean())
    return slope / slope.norm()


def redness(pictures: Tensor) -> Tensor:
    """(b,): mean of red minus green over the middle of the picture."""
    side = pictures.shape[-1]
    middle = pictures[:, :, side // 4:-side // 4, side // 4:-side // 4]
    return (middle[:, 0] - middle[:, 1]).mean((1, 2))


def mouth(pictures: Tensor) -> Tensor:
    """(b,): how much darker the place of the mouth is than the cheeks on both sides of it."""
    s = pictures.shape[-1]
    rows = pictures.mean(1)[:, 5 * s // 8:7 * s // 8]
    cheeks = torch.cat([rows[:, :, s // 8:s // 4], rows[:, :, 3 * s // 4:7 * s // 8]], 2)
    return cheeks.mean((1, 2)) - rows[:, :, 3 * s // 8:5 * s // 8].mean((1, 2))


def brightness(pictures: Tensor) -> Tensor:
    """(b,): mean of all colours in the middle of the picture."""
    side = pictures.shape[-1]
    return pictures[:, :, side // 4:-side // 4, side // 4:-side // 4].mean((1, 2, 3))


ATTRIBUTES = {"redder": redness, "darker mouth": mouth, "brighter": brightness}
