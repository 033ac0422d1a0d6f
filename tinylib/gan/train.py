"""Training of an anycost generator: first all resolutions at full width, then all widths, with the full output as their target.

Papers: Anycost GAN (Lin et al., CVPR 2021); lazy R1 penalty and moving average as in StyleGAN2. Lab: anycost_gan.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.gan.augment import augmented
from tinylib.gan.discriminator import Discriminator, code_of
from tinylib.gan.generator import FULL, RATIOS, RESOLUTIONS, SIDES, Config, Generator, Mapping, fresh_noise
from tinylib.gan.modulated import ModulatedConv2d


@dataclass(frozen=True)
class Recipe:
    """Numbers of one training. `consistency`: weight of the distance to the full generator's output; `r1` is applied every `lazy` steps."""

    steps: int
    batch: int = 8
    lr: float = 2e-3
    r1: float = 0.3
    lazy: int = 8
    average: float = 0.998
    colour: float = 0.5
    consistency: float = 0.0
    only: Config | None = None          # train this sub-generator alone, without the others


@dataclass
class State:
    """Everything that a training changes. `average` is the generator to use: a moving average of the weights."""

    generator: Generator
    average: Generator
    discriminator: Discriminator


def start(*, seed: int = 0, widths: tuple[int, ...] | None = None) -> State:
    """Fresh networks."""
    net = Generator(seed=seed) if widths is None else Generator(seed=seed, widths=widths)
    net = net.to(memory_format=torch.channels_last)
    return State(net, copy.deepcopy(net), Discriminator(seed=seed).to(memory_format=torch.channels_last))


def equalised(module: nn.Module, lr: float) -> list[dict]:
    """Parameter groups for Adam with lr / sqrt(inputs of a unit) for weights, a tenth of it in the mapping: StyleGAN2's equalised rates.

    Adam's steps do not depend on the scale of a gradient, so a smaller rate does what StyleGAN2's scaling at run time does.
    Weights that are demodulated have no scale of their own and keep the rate.
    """
    groups = []
    for owner in module.modules():
        for p in owner.parameters(recurse=False):
            unit = isinstance(owner, ModulatedConv2d) and owner.demodulate
            rate = lr if p.ndim < 2 or unit or not isinstance(owner, nn.Conv2d | nn.Linear) else lr / p[0].numel() ** 0.5
            groups.append({"params": [p], "lr": rate})
    slow = {id(p) for m in module.modules() if isinstance(m, Mapping) for p in m.parameters()}
    for group in groups:
        group["lr"] *= 0.1 if id(group["params"][0]) in slow else 1
    return groups


def sampled(rng: np.random.Generator, *, flexible: float = 0.5) -> tuple[float, ...]:
    """Channel ratios of one step: with probability `flexible` each layer its own, else one for all."""
    if rng.random() < flexible:
        return tuple(float(r) for r in rng.choice(RATIOS, len(SIDES)))
    return (float(rng.choice(RATIOS)),) * len(SIDES)


def scales(pictures: Tensor) -> dict[int, Tensor]:
    """Real pictures at 32, 16 and 8 pixels, each the mean of 2 x 2 of the one above."""
    result = {RESOLUTIONS[-1]: pictures}
    for side in RESOLUTIONS[-2::-1]:
        result[side] = F.avg_pool2d(result[side * 2], 2)
    return result


def drawn(pictures: Tensor, batch: int, generator: torch.Generator) -> Tensor:
    """A batch of real pictures, each mirrored with probability 1/2."""
    x = pictures[torch.randint(len(pictures), (batch,), generator=generator)]
    return torch.where(torch.rand(batch, 1, 1, 1, generator=generator) < 0.5, x.flip(3), x)


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference of the pictures, and of their means over 2 x 2 and 4 x 4 pixels."""
    return sum(F.mse_loss(F.avg_pool2d(one, s), F.avg_pool2d(other, s)) for s in (1, 2, 4))


class Trainer:
    """One training as a loop of `step()`; the same seed gives the same networks."""

    def __init__(self, state: State, pictures: Tensor, recipe: Recipe, *, seed: int):
        from tinylib.core.seed import generator, rng
        self.state, self.pictures, self.recipe = state, pictures, recipe
        self.g, self.rng = generator(seed, "gan", recipe.consistency), rng(seed, "configurations")
        self.opt_g = torch.optim.Adam(equalised(state.generator, recipe.lr), betas=(0.0, 0.99))
        self.opt_d = torch.optim.Adam(equalised(state.discriminator, recipe.lr), betas=(0.0, 0.99))
        self.index = 0

    def configuration(self, resolution: int = 32) -> Config:
        """The sub-generator of this step; full width unless consistency is trained."""
        if self.recipe.only:
            return self.recipe.only
        return Config(sampled(self.rng), resolution) if self.recipe.consistency else Config((1,) * len(SIDES), resolution)

    def judged(self, config: Config) -> list[Config]:
        """The configuration at its resolution and, unless it is trained alone, at one lower resolution."""
        if self.recipe.only:
            return [config]
        return [config, Config(config.ratios, int(self.rng.choice(RESOLUTIONS[:-1])))]

    def step(self) -> dict:
        """One update of the discriminator and one of the generator; returns the losses."""
        config = self.configuration()
        judged = self.judged(config)
        z = torch.randn(2, self.recipe.batch, self.state.generator.latent, generator=self.g)
        d = self.update_discriminator(z[0], config, judged)
        g = self.update_generator(z[1], config, judged)
        share = min(self.recipe.average, (1 + self.index) / (10 + self.index))
        with torch.no_grad():
            for slow, fast in zip(self.state.average.parameters(), self.state.generator.parameters()):
                slow.lerp_(fast, 1 - share)
        self.index += 1
        return {"discriminator": d, **g}

    def logits(self, x: Tensor, config: Config) -> Tensor:
        return self.state.discriminator(augmented(x, self.g, colour=self.recipe.colour), code_of(config))

    def update_discriminator(self, z: Tensor, config: Config, judged: list[Config]) -> float:
        """Logistic loss; real pictures carry the code of a configuration drawn for them alone, so that the code tells nothing."""
        net = self.state.generator
        with torch.no_grad():
            fakes = {p.shape[-1]: p for p in net.synthesis(net.mapping(z), config, fresh_noise(len(z), self.g))}
        reals = scales(drawn(self.pictures, len(z), self.g))
        loss = 0.0
        for one in judged:
            other = Config(self.configuration().ratios, one.resolution)
            real = reals[one.resolution].requires_grad_(self.index % self.recipe.lazy == 0)
            seen = augmented(real, self.g, colour=self.recipe.colour)
            logit = self.state.discriminator(seen, code_of(other))
            loss = loss + F.softplus(self.logits(fakes[one.resolution], one)).mean() + F.softplus(-logit).mean()
            if real.requires_grad:
                slope = torch.autograd.grad(logit.sum(), real, create_graph=True)[0]
                loss = loss + self.recipe.r1 / 2 * self.recipe.lazy * slope.square().sum((1, 2, 3)).mean()
        self.opt_d.zero_grad(set_to_none=True)
        loss.backward()
        self.opt_d.step()
        return loss.item()

    def update_generator(self, z: Tensor, config: Config, judged: list[Config]) -> dict:
        """Non-saturating loss, and with `consistency` the distance to the moving average's full output for the same z and noise."""
        net, noise = self.state.generator, fresh_noise(len(z), self.g)
        made = net.synthesis(net.mapping(z), config, noise)
        by_side = {p.shape[-1]: p for p in made}
        self.state.discriminator.requires_grad_(False)
        loss = sum(F.softplus(-self.logits(by_side[one.resolution], one)).mean() for one in judged)
        losses = {"generator": loss.item()}
        if self.recipe.consistency:
            with torch.no_grad():
                target = self.state.average.synthesis(self.state.average.mapping(z), FULL, noise)
            away = sum(distance(p, t) for p, t in zip(made, target)) / len(made)
            loss, losses["consistency"] = loss + self.recipe.consistency * away, away.item()
        self.opt_g.zero_grad(set_to_none=True)
        loss.backward()
        self.state.discriminator.requires_grad_(True)
        self.opt_g.step()
        return losses

    def run(self, on_step: Callable[[int, dict], object] | None = None) -> State:
        """All steps of the recipe, learning rate falling to a tenth over the last third."""
        bases = [[g["lr"] for g in opt.param_groups] for opt in (self.opt_g, self.opt_d)]
        for index in range(self.recipe.steps):
            fall = min(1.0, 0.1 + 2.7 * (1 - index / self.recipe.steps))
            for opt, rates in zip((self.opt_g, self.opt_d), bases):
                for group, rate in zip(opt.param_groups, rates):
                    group["lr"] = rate * fall
            losses = self.step()
            if on_step:
                on_step(index, losses)
        return self.state


def pictures_of(images: np.ndarray) -> Tensor:
    """uint8 (n, h, w, 3) -> float32 (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1


def latents(count: int, net: Generator, generator: torch.Generator, batch: int = 50) -> Iterator[Tensor]:
    """Batches of z, `count` in all."""
    for first in range(0, count, batch):
        yield torch.randn(min(batch, count - first), net.latent, generator=generator)
