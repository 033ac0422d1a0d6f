"""The one inverted residual of the course (Sandler et al. 2018, MobileNetV2)."""

from collections.abc import Callable

from torch import Tensor, nn

from tinylib.nn.layers import ConvBNAct


class InvertedResidual(nn.Module):
    """Widen (1x1), filter each channel (depth-wise k x k), narrow (1x1, no activation); add the input when shapes allow.

    (n, c_in, h, w) -> (n, c_out, ceil(h / stride), ceil(w / stride)). `expand` is the widening factor; with 1 there is no first
    convolution. Children: `expand` (absent when the factor is 1), `depthwise`, `project`; `residual` says whether the input is added.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1, expand: int = 4, kernel: int = 3, act: str = "relu6",
                 norm: Callable[[int], nn.Module] = nn.BatchNorm2d, conv: Callable[..., nn.Module] = nn.Conv2d):
        super().__init__()
        hidden = c_in * expand
        parts = {"norm": norm, "conv": conv}
        self.residual = stride == 1 and c_in == c_out
        if expand != 1:
            self.expand = ConvBNAct(c_in, hidden, 1, act=act, **parts)
        self.depthwise = ConvBNAct(hidden, hidden, kernel, stride=stride, groups=hidden, act=act, **parts)
        self.project = ConvBNAct(hidden, c_out, 1, act=None, **parts)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if hasattr(self, "expand") else x
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y
