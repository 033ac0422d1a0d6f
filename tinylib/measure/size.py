"""How many bytes a network takes in storage."""

from collections.abc import Mapping

from torch import nn

from tinylib.core.errors import TinylibError


def parameter_count(model: nn.Module) -> int:
    """Numbers in all parameters, a shared one once."""
    return sum(p.numel() for p in model.parameters())


def model_bytes(model: nn.Module, bits: int | Mapping[str, int] = 32, *, buffers: bool = True) -> int:
    """Bytes of the parameters at `bits` each, and of the floating-point buffers (running statistics) at their real width.

    `bits`: one width, or parameter name -> width; a name not listed stays at 32. Each tensor is rounded up to whole bytes.
    Integer counters (batches seen) are not needed for inference and not counted. Raises TinylibError for an unknown
    name or a width outside 1..64.
    """
    named = dict(model.named_parameters())
    widths = dict.fromkeys(named, bits) if isinstance(bits, int) else {**dict.fromkeys(named, 32), **bits}
    if set(widths) - set(named):
        raise TinylibError(f"No parameter named {sorted(set(widths) - set(named))[0]!r} in this model.")
    if any(not 1 <= w <= 64 for w in widths.values()):
        raise TinylibError("A width must lie between 1 and 64 bits.")
    total = sum(-(-p.numel() * widths[name] // 8) for name, p in named.items())
    extra = sum(b.numel() * b.element_size() for b in model.buffers() if b.is_floating_point()) if buffers else 0
    return total + extra
