"""A small network that guesses a candidate's accuracy from its code, and the rank correlation that tells how well.

Paper: Once-for-All (Cai et al., ICLR 2020): a few hundred measured pairs replace the measuring. Lab: once_for_all.
"""

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn

from tinylib.core.errors import TinylibError


class Predictor(nn.Module):
    """Codes (b, d) -> guessed accuracy (b,): two hidden ReLU layers on top of a constant base accuracy."""

    def __init__(self, features: int, *, hidden: int = 64, base: float = 0.0):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.register_buffer("base", torch.tensor(float(base)))

    def forward(self, codes: Tensor) -> Tensor:
        return self.layers(codes).squeeze(-1) + self.base


def fit_predictor(codes: np.ndarray, accuracy: np.ndarray, *, generator: torch.Generator, hidden: int = 64, steps: int = 600,
                  lr: float = 3e-3, weight_decay: float = 1e-4) -> Predictor:
    """Predictor trained by least squares on codes (n, d) and accuracies (n,) in [0, 1]; full batches, Adam."""
    codes, accuracy = torch.as_tensor(codes, dtype=torch.float32), torch.as_tensor(accuracy, dtype=torch.float32)
    if len(codes) != len(accuracy) or len(codes) < 2:
        raise TinylibError(f"a predictor needs two or more pairs; got {len(codes)} codes and {len(accuracy)} accuracies")
    model = Predictor(codes.shape[1], hidden=hidden, base=accuracy.mean().item())
    with torch.no_grad():
        for p in model.parameters():
            bound = p.shape[-1] ** -0.5
            p.copy_((torch.rand(p.shape, generator=generator) * 2 - 1) * bound)
    update = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    for _ in range(steps):
        loss = (model(codes) - accuracy).square().mean()
        update.zero_grad(set_to_none=True)
        loss.backward()
        update.step()
    return model.eval()


def rank_correlation(guess: np.ndarray, truth: np.ndarray) -> float:
    """Kendall's tau-b: 1 when every pair is in the right order, -1 when every pair is in the wrong one."""
    return float(kendalltau(np.asarray(guess), np.asarray(truth)).statistic)
