"""From a layer whose weight is computed (rounded, shared) back to an ordinary layer that holds the computed values."""

from torch import nn
from torch.nn.utils import parametrize


def make_ordinary(model: nn.Module) -> nn.Module:
    """Give every parametrized weight in `model` its present value as a plain parameter, in place; returns the model.

    PyTorch's own removal edits a class that deep copies share, and so would break the copies.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            value = module.weight.detach().clone()
            module.__class__ = type(module).__bases__[0]
            del module._modules["parametrizations"]
            module.weight = nn.Parameter(value)
    return model
