"""Temporal shift: a 2D network sees time when a few channels move by one frame, at no MAC and no parameter.

Clips are (b, t, c, h, w). The shift sits inside the residual branch, so the trunk keeps every frame's own information.
`to_streaming` turns a network with the one-way shift into one that takes a frame and gives a prediction.
Paper: TSM (Lin et al., ICCV 2019). Lab: tsm.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError

MODES = ("none", "both", "past")


def shifted_channels(channels: int, fraction: float, mode: str = "past") -> int:
    """Channels that move in one direction: floor(channels x fraction); all of them (1) one way, half of them (0.5) each way."""
    if mode not in MODES:
        raise TinylibError(f"mode must be one of {MODES}, not {mode!r}")
    most = 0.5 if mode == "both" else 1
    if not 0 <= fraction <= most:
        raise TinylibError(f"the fraction of channels that move in one direction must be from 0 to {most} in mode {mode!r}, not {fraction}")
    return int(channels * fraction) if mode != "none" else 0


def temporal_shift(x: Tensor, fraction: float = 1 / 8, mode: str = "both") -> Tensor:
    """Clip (b, t, c, h, w) with some channels moved by one frame; a new tensor, `x` stays.

    The first m = floor(c x fraction) channels come from the frame before ("past", "both"); in mode "both" the next m come from the frame
    after. Places that no frame fills are zero; nothing crosses from one clip to another. Mode "none" gives `x` back.
    """
    m = shifted_channels(x.shape[2], fraction, mode)
    if m == 0:
        return x
    out = torch.zeros_like(x)
    out[:, 1:, :m] = x[:, :-1, :m]
    rest = m
    if mode == "both":
        out[:, :-1, m:2 * m] = x[:, 1:, m:2 * m]
        rest = 2 * m
    out[:, :, rest:] = x[:, :, rest:]
    return out


class InPlaceShift(torch.autograd.Function):
    """`temporal_shift` that overwrites its input and needs one channel-frame of memory; right under autograd.

    The shift is linear, so backward is the opposite shift of the gradient and nothing is saved. The input is marked as changed:
    autograd itself refuses when another operation still needs the old values.
    """

    @staticmethod
    def forward(ctx, x: Tensor, fraction: float, mode: str) -> Tensor:
        ctx.fraction, ctx.mode = fraction, mode
        ctx.mark_dirty(x)
        m = shifted_channels(x.shape[2], fraction, mode)
        if m:
            _move(x, slice(0, m), later=True)
            if mode == "both":
                _move(x, slice(m, 2 * m), later=False)
        return x

    @staticmethod
    def backward(ctx, grad: Tensor):
        m = shifted_channels(grad.shape[2], ctx.fraction, ctx.mode)
        if not m:
            return grad, None, None
        grad = grad.clone()
        _move(grad, slice(0, m), later=False)
        if ctx.mode == "both":
            _move(grad, slice(m, 2 * m), later=True)
        return grad, None, None


def temporal_shift_(x: Tensor, fraction: float = 1 / 8, mode: str = "both") -> Tensor:
    """`temporal_shift` in place; `x` (b, t, c, h, w) must not be a leaf that needs a gradient."""
    return InPlaceShift.apply(x, fraction, mode)


def _move(x: Tensor, channels: slice, *, later: bool) -> None:
    frames = range(x.shape[1] - 1, 0, -1) if later else range(x.shape[1] - 1)
    for t in frames:
        x[:, t, channels] = x[:, t - 1 if later else t + 1, channels]
    x[:, 0 if later else -1, channels] = 0


class Shift(nn.Module):
    """The temporal shift in front of a 2D layer: frames come as (b t, c, h, w), `frames` of them a clip."""

    def __init__(self, frames: int, *, fraction: float = 1 / 8, mode: str = "both"):
        super().__init__()
        shifted_channels(1, fraction, mode)         # names a wrong mode or fraction now, not in the first forward pass
        self.frames, self.fraction, self.mode = frames, fraction, mode

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] % self.frames:
            raise TinylibError(f"{x.shape[0]} frames do not make clips of {self.frames}")
        return temporal_shift(x.unflatten(0, (-1, self.frames)), self.fraction, self.mode).flatten(0, 1)

    def extra_repr(self) -> str:
        return f"frames={self.frames}, fraction={self.fraction}, mode={self.mode!r}"


class StreamingShift(nn.Module):
    """One frame at a time: the first m channels (b, m, h, w) wait here for the next frame. `reset()` between videos."""

    def __init__(self, fraction: float):
        super().__init__()
        self.fraction, self.waiting = fraction, None

    def forward(self, x: Tensor) -> Tensor:
        m = shifted_channels(x.shape[1], self.fraction)
        held = torch.zeros_like(x[:, :m]) if self.waiting is None else self.waiting
        if held.shape != x[:, :m].shape:
            raise TinylibError(f"a frame of shape {tuple(x.shape)} after one of another shape; call reset() between videos")
        self.waiting = x[:, :m].detach().clone()
        return torch.cat([held, x[:, m:]], 1)


class ClipNet(nn.Module):
    """Any 2D network applied to each frame, its logits averaged over frames: (b, t, c, h, w) -> (b, classes).

    `per_frame=True` gives the logits of each frame (b, t, classes) instead.
    """

    def __init__(self, frame_net: nn.Module):
        super().__init__()
        self.frame_net = frame_net

    def forward(self, clips: Tensor, *, per_frame: bool = False) -> Tensor:
        logits = self.frame_net(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        return logits if per_frame else logits.mean(1)


def add_shift(model: nn.Module, where: Callable[[str, nn.Module], bool], *, frames: int, fraction: float = 1 / 8, mode: str = "both") -> nn.Module:
    """A copy of a 2D network with a `Shift` in front of every module that `where(name, module)` picks (the first layer of each residual branch)."""
    copy = deepcopy(model)
    picked = [name for name, module in copy.named_modules() if name and where(name, module)]
    if not picked:
        raise TinylibError("no module was picked to be shifted")
    for name in picked:
        parent = copy.get_submodule(name.rpartition(".")[0])
        leaf = name.rpartition(".")[2]
        setattr(parent, leaf, nn.Sequential(Shift(frames, fraction=fraction, mode=mode), getattr(parent, leaf)))
    return copy


class Streaming(nn.Module):
    """Frame-by-frame twin of a `ClipNet`: (b, c, h, w) -> logits of the mean over the frames so far (b, classes)."""

    def __init__(self, frame_net: nn.Module):
        super().__init__()
        self.frame_net = frame_net
        self.reset()

    def forward(self, frame: Tensor) -> Tensor:
        logits = self.frame_net(frame)
        self.total = logits if self.total is None else self.total + logits
        self.count += 1
        return self.total / self.count

    def reset(self) -> None:
        """Forget the video so far."""
        self.total, self.count = None, 0
        for module in self.frame_net.modules():
            if isinstance(module, StreamingShift):
                module.waiting = None

    def state_bytes(self) -> int:
        """Bytes that wait between two frames."""
        return sum(m.waiting.nbytes for m in self.frame_net.modules() if isinstance(m, StreamingShift) and m.waiting is not None)


def to_streaming(model: ClipNet) -> Streaming:
    """The frame-by-frame network of a clip network with one-way shifts, in eval mode with its own weights.

    Raises TinylibError for shifts in mode "both": they look one frame ahead, which a stream does not have.
    """
    net = deepcopy(model.frame_net).eval()
    for name, module in list(net.named_modules()):
        if isinstance(module, Shift):
            if module.mode == "both":
                raise TinylibError(f"{name or 'the network'} shifts from the frame after; train with mode='past' to stream")
            parent, leaf = net.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
            setattr(parent, leaf, StreamingShift(module.fraction if module.mode == "past" else 0.0))
    return Streaming(net)


def bytes_moved(channels: int, frames: int, height: int, width: int, *, fraction: float, mode: str, bytes_each: int = 4) -> int:
    """Bytes written by one shift of one clip: moved channels x (frames - 1) x places, for each direction."""
    ways = 2 if mode == "both" else 1
    return ways * shifted_channels(channels, fraction, mode) * (frames - 1) * height * width * bytes_each
