"""A meter for training memory: the bytes that autograd really keeps for the backward pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Saved:
    """What one forward pass kept. `tensors`: (shape, dtype, bytes of the storage) of each storage counted, in order of saving."""

    bytes: int
    tensors: tuple[tuple[tuple[int, ...], str, int], ...]


def saved_bytes(forward: Callable[[], object], *, exclude: Iterable[torch.Tensor] = ()) -> Saved:
    """Run `forward()` and count the storages that its graph saves for backward, each once.

    Pass parameters and module buffers in `exclude`: they are in memory anyway. A layer's input that the next layer
    saves too is one storage and counted once; a saved view counts its whole storage, because that is what stays alive.
    The network's input counts when a layer saves it, unless excluded. Tensors that a custom Function keeps as plain attributes of
    `ctx` are not seen.
    """
    fixed = {_key(t) for t in exclude}
    seen: dict[int, tuple[tuple[int, ...], str, int]] = {}
    keep: list[torch.Tensor] = []       # a freed storage's address could be used again

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        key = _key(tensor)
        if key not in fixed and key not in seen:
            seen[key] = (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor.untyped_storage().nbytes())
            keep.append(tensor)
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return Saved(sum(t[2] for t in seen.values()), tuple(seen.values()))


def saved_by_model(model: torch.nn.Module, *inputs: object) -> Saved:
    """`saved_bytes` of `model(*inputs)` in its present mode, parameters and module buffers excluded."""
    return saved_bytes(lambda: model(*inputs), exclude=[*model.parameters(), *model.buffers()])


def _key(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata
