"""A Frechet distance on the features of a small network of our own. **Not FID**: its numbers compare with nothing outside this course.

The published FID (Heusel et al., NeurIPS 2017) takes its features from Inception-v3, which is not here. The formula is the same.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.nn.models import plain_net

SIDE = 32


class EmojiFeatures(nn.Module):
    """Pictures (b, 3, side, side) in [-1, 1] -> features (b, 32) of a network that tells ten classes of emoji apart."""

    def __init__(self):
        super().__init__()
        self.net = plain_net(classes=10, c_in=3, widths=(16, 24, 32))

    def logits(self, x: Tensor) -> Tensor:
        """(b, 10)."""
        return self.net(x)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures of fewer pixels are first brought to 32 x 32, bilinear."""
        if x.shape[-1] != SIDE:
            x = F.interpolate(x, size=SIDE, mode="bilinear", align_corners=False)
        for layer in list(self.net.children())[:-1]:
            x = layer(x)
        return x


def emoji_features() -> EmojiFeatures:
    """Factory of the checkpoint."""
    return EmojiFeatures()


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Squared Frechet distance of the normal distributions fitted to features (n, d) and (m, d); at least 2 rows each.

    |mean - mean'|^2 + trace(C + C' - 2 (C C')^(1/2)), the trace of the root by the eigenvalues of C C'.
    """
    if min(len(one), len(other)) < 2:
        raise TinylibError("a Frechet distance needs at least two rows on both sides")
    means = [np.asarray(a, np.float64).mean(0) for a in (one, other)]
    covariances = [np.atleast_2d(np.cov(np.asarray(a, np.float64), rowvar=False)) for a in (one, other)]
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0)
    return float(np.square(means[0] - means[1]).sum() + sum(np.trace(c) for c in covariances) - 2 * np.sqrt(eigenvalues).sum())


@torch.no_grad()
def features_of(net: Callable[[Tensor], Tensor], pictures: Tensor, batch: int = 100) -> np.ndarray:
    """(n, d) float64, in batches; pictures are cut to [-1, 1] as when shown."""
    return torch.cat([net(part.clamp(-1, 1)) for part in pictures.split(batch)]).double().numpy()
