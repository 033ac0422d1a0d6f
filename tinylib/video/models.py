"""The clip network of the tsm lab: a small 2D inverted-residual network per frame, with or without the temporal shift."""

import torch

from tinylib.nn.models import build
from tinylib.video.tsm import ClipNet, add_shift

SIZES = {"stem": 16, "stages": ((2, 16, 2, 1), (2, 32, 2, 2)), "head": 64}


def clip_net(*, mode: str = "both", fraction: float = 1 / 8, frames: int = 8, classes: int = 8, generator: torch.Generator | None = None) -> ClipNet:
    """Clips (b, frames, 1, h, w) -> logits (b, classes). The shift stands in front of every block's first layer.

    Three of the four blocks have a skip beside the shift. The one that halves the side has none, so there the moved channels of a frame are lost;
    the published online network leaves such blocks without a shift.
    `mode` and `fraction` change neither weights, parameters nor MACs: networks of all modes can share a state dict.
    """
    frame_net = build("garment_net", generator=generator, classes=classes, c_in=1, **SIZES)
    return ClipNet(add_shift(frame_net, lambda name, module: name.endswith(".expand"), frames=frames, fraction=fraction, mode=mode))
