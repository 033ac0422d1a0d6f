"""Train, evaluate, distil, and set batch-norm statistics anew. Nothing here draws a bar or sets a seed: see `on_step`, `generator`."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError

Batches = tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Step:
    """What `on_step` is told after each update: index from 0, number of steps in all, loss of the batch, learning rate."""

    index: int
    total: int
    loss: float
    lr: float


def fit(model: nn.Module, data: Batches, *, epochs: float, lr: float, generator: torch.Generator, batch: int = 128, momentum: float = 0.9,
        weight_decay: float = 1e-4, warmup: float = 0.05, optimiser: str = "sgd", parameters: Iterable[nn.Parameter] | None = None,
        loss: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None, augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        on_step: Callable[[Step], object] | None = None) -> list[float]:
    """Train in place with SGD (or "adam") and a cosine learning rate after a short warm-up; returns the mean loss of each epoch.

    `data`: (images, labels) shuffled here by `generator`, or a re-iterable of batches taken in its order. `loss(model, x, y)`
    defaults to cross-entropy. `augment(x, generator)` changes a batch. `on_step(Step)` is called after each update: the place to
    apply a mask or move a bar. Norms and biases get no weight decay. The model is left in eval mode.
    """
    whole = math.ceil(epochs)
    per_epoch = _steps(data, batch)
    total = max(1, round(epochs * per_epoch))
    wanted = [p for p in (model.parameters() if parameters is None else parameters) if p.requires_grad]
    if not wanted:
        raise TinylibError("nothing to train: no parameter requires a gradient")
    update = _optimiser(optimiser, wanted, lr, momentum, weight_decay)
    loss = loss or cross_entropy
    model.train()
    history, index = [], 0
    for _ in range(whole):
        losses = []
        for x, y in _batches(data, batch, generator):
            if index == total:
                break
            rate = lr * _schedule(index, total, warmup)
            for group in update.param_groups:
                group["lr"] = rate
            value = loss(model, augment(x, generator) if augment else x, y)
            update.zero_grad(set_to_none=True)
            value.backward()
            update.step()
            losses.append(value.item())
            if on_step:
                on_step(Step(index, total, losses[-1], rate))
            index += 1
        if losses:
            history.append(sum(losses) / len(losses))
    model.eval()
    return history


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of the model's logits for labels (n,)."""
    return F.cross_entropy(model(x), y)


def distillation(teacher: nn.Module, *, temperature: float = 4.0, weight: float = 0.7) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """A loss for `fit`: `weight` x soft loss against the frozen teacher + (1 - weight) x cross-entropy (Hinton et al. 2015)."""
    teacher.eval()

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            target = teacher(x)
        logits = model(x)
        return weight * distillation_loss(logits, target, temperature) + (1 - weight) * F.cross_entropy(logits, y)

    return loss


def distillation_loss(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """temperature^2 x KL(softmax(target / T) || softmax(logits / T)), mean over the n rows; the factor keeps gradients comparable."""
    own, other = F.log_softmax(logits / temperature, 1), F.log_softmax(target / temperature, 1)
    return F.kl_div(own, other, reduction="batchmean", log_target=True) * temperature**2


@torch.no_grad()
def predict_logits(model: nn.Module, images: Tensor, *, batch: int = 500) -> Tensor:
    """Logits (n, classes) in eval mode; the model's mode is put back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    out = torch.cat([model(part) for part in images.split(batch)])
    for module, mode in modes:
        module.training = mode
    return out


def evaluate(model: nn.Module, data: Batches, *, batch: int = 500) -> float:
    """Share of right answers in [0, 1], in eval mode."""
    correct = count = 0
    for x, y in [data] if _is_pair(data) else data:
        correct += (predict_logits(model, x, batch=batch).argmax(1) == y).sum().item()
        count += len(y)
    if not count:
        raise TinylibError("evaluate needs at least one example")
    return correct / count


@torch.no_grad()
def recalibrate_bn(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every batch norm's running mean and variance to those of all examples in `batches`, whatever the sizes of the batches.

    Sums are weighted by the number of values and kept in float64, so that unequal batches count by their size; the variance includes
    the spread between batches and is unbiased, as PyTorch's. Layers below normalise by each batch's own statistics meanwhile.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    sums: dict[nn.Module, list] = {}

    def collect(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach().transpose(0, 1).flatten(1).double()
        seen = sums.setdefault(module, [0, 0.0, 0.0])
        seen[0] += x.shape[1]
        seen[1] = seen[1] + x.sum(1)
        seen[2] = seen[2] + (x * x).sum(1)

    modes = [(module, module.training) for module in model.modules()]
    kept = [(m, m.momentum, m.num_batches_tracked.clone()) for m in norms]
    handles = [m.register_forward_pre_hook(collect) for m in norms]
    model.eval()
    try:
        for module in norms:
            module.train()
            module.momentum = 0.0
        for x in batches:
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        for module, momentum, tracked in kept:
            module.momentum = momentum
            module.num_batches_tracked.copy_(tracked)
        for module, mode in modes:
            module.training = mode
    if norms and not sums:
        raise TinylibError("recalibrate_bn needs at least one batch")
    for module, (count, total, squares) in sums.items():
        mean = total / count
        variance = (squares / count - mean * mean).clamp_min(0) * (count / max(count - 1, 1))
        module.running_mean.copy_(mean)
        module.running_var.copy_(variance)


def _is_pair(data: Batches) -> bool:
    return isinstance(data, tuple | list) and len(data) == 2 and isinstance(data[0], Tensor) and isinstance(data[1], Tensor)


def _steps(data: Batches, batch: int) -> int:
    if _is_pair(data):
        return max(1, len(data[1]) // batch)
    try:
        return len(data)
    except TypeError as error:
        raise TinylibError("fit needs (images, labels) or a sequence of batches with a length") from error


def _batches(data: Batches, batch: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    if not _is_pair(data):
        yield from data
        return
    images, labels = data
    order = torch.randperm(len(labels), generator=generator)
    for index in range(_steps(data, batch)):
        part = order[index * batch:(index + 1) * batch]
        yield images[part], labels[part]


def _schedule(index: int, total: int, warmup: float) -> float:
    rise = warmup * total
    return (index + 1) / (rise + 1) if index < rise else 0.5 * (1 + math.cos(math.pi * (index - rise) / max(total - rise, 1)))


def _optimiser(name: str, parameters: list[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
              {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)
    if name == "adam":
        return torch.optim.Adam(groups, lr=lr)
    raise TinylibError(f"no optimiser {name!r}; there are sgd and adam")
