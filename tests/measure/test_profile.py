"""The profiler against torch's own counter, closed forms and networks drawn by hand; each oracle also sees a planted bug."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tinylib.measure import operators
from tinylib.measure.profile import by_kind, profile


def torch_macs(model, *inputs):
    """torch counts two FLOPs for a MAC. It does not count the CPU's fused attention, so attention runs as plain products here."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model.eval()(*inputs)
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


CONVOLUTIONS = [
    (nn.Conv2d(4, 6, 3), (2, 4, 9, 8)),
    (nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=4, bias=False), (1, 4, 9, 8)),
    (nn.Conv2d(4, 8, (3, 1), stride=(1, 2), padding=(2, 0), dilation=(2, 1), groups=2), (3, 4, 10, 7)),
    (nn.Conv1d(3, 5, 4, stride=3), (2, 3, 20)),
    (nn.Conv3d(2, 3, 2), (1, 2, 4, 5, 6)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5, 6)),
    (nn.ConvTranspose1d(3, 2, 4, stride=3), (2, 3, 7)),
]


def direct_macs(conv, shape):
    """Multiplications of a convolution, from its definition: every (input or output) position times the kernel it meets."""
    out = conv(torch.zeros(shape))
    taps = 1
    for k in conv.kernel_size:
        taps *= k
    if conv.transposed:
        return torch.zeros(shape)[:, 0].numel() * conv.in_channels * (conv.out_channels // conv.groups) * taps
    return shape[0] * conv.out_channels * out[0, 0].numel() * (conv.in_channels // conv.groups) * taps


@pytest.mark.parametrize("conv, shape", CONVOLUTIONS, ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else str(v))
def test_convolutions(conv, shape):
    result = profile(conv, torch.randn(shape))
    assert result.macs == direct_macs(conv, shape) == torch_macs(conv, torch.randn(shape))
    assert result.params == sum(p.numel() for p in conv.parameters()) and not result.unknown


def test_a_convolution_that_forgets_groups_is_seen(monkeypatch):
    conv, shape = CONVOLUTIONS[1]
    monkeypatch.setitem(operators.MACS, "convolution", lambda a, out: out.numel() * conv.in_channels * 9)
    assert profile(conv, torch.randn(shape)).macs != direct_macs(conv, shape)


class Attention(nn.Module):
    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)


class Products(nn.Module):
    def forward(self, a, b, c):
        return torch.baddbmm(c, a, b) + a @ b, torch.einsum("bnm,bmp->nbp", a, b)


def test_attention_closed_form():
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 8)
    result = profile(Attention(), q, k, v)
    assert result.macs == 2 * 3 * 5 * 7 * (8 + 8) and not result.unknown
    assert result.macs == torch_macs(Attention(), q, k, v)


def test_products_closed_form():
    a, b, c = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(2, 3, 5)
    result = profile(Products(), a, b, c)
    assert result.macs == 3 * (2 * 3 * 4 * 5) == torch_macs(Products(), a, b, c) and not result.unknown


def test_vectors_and_linear():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 4)

        def forward(self, x):
            return self.linear(x) @ torch.ones(4), torch.dot(x[0, 0], x[0, 1])
    result = profile(Net(), torch.randn(2, 3, 6))
    assert result.macs == 2 * 3 * 6 * 4 + 2 * 3 * 4 + 6 and not result.unknown


@pytest.mark.parametrize("model, inputs", [
    (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (2, 5, 16)),
    (nn.MultiheadAttention(8, 2, batch_first=True), None),
    (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Hardswish(), nn.MaxPool2d(2), nn.GroupNorm(2, 8), nn.AdaptiveAvgPool2d(2),
                   nn.Flatten(), nn.Linear(32, 4), nn.Softmax(-1)), (2, 3, 12, 12)),
    (nn.Sequential(nn.Embedding(7, 6), nn.LayerNorm(6), nn.Linear(6, 3), nn.GELU(), nn.Upsample(scale_factor=2)), "tokens"),
], ids=["encoder", "mha", "convnet", "tokens"])
def test_whole_networks_against_torch(model, inputs):
    if inputs is None:
        args = (torch.randn(2, 5, 8),) * 3
    else:
        args = (torch.randint(0, 7, (2, 5)),) if inputs == "tokens" else (torch.randn(inputs),)
    result = profile(model, *args)
    assert not result.unknown
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        assert result.macs == torch_macs(model, *args) == sum(layer.macs for layer in result.layers)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_recurrent_closed_form():
    result = profile(nn.LSTM(4, 8, num_layers=2), torch.randn(5, 3, 4))
    assert result.macs == 5 * 3 * 4 * 8 * ((4 + 8) + (8 + 8))
    assert profile(nn.GRU(4, 8), torch.randn(5, 3, 4)).macs == 5 * 3 * 3 * 8 * (4 + 8)


def test_an_unknown_operator_is_named():
    class Fourier(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x).abs()
    result = profile(Fourier(), torch.randn(2, 8))
    assert result.unknown == ("_fft_r2c",) and "_fft_r2c" in result.table()


def test_mode_and_hooks_are_given_back():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(0.5)).train()
    model[0].eval()
    profile(model, torch.randn(1, 1, 5, 5))
    assert model.training and not model[0].training and model[1].training
    assert not model[0]._forward_hooks and not model[0]._forward_pre_hooks


def test_a_model_that_fails_leaves_no_hook():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2))
    with pytest.raises(RuntimeError):
        profile(model, torch.randn(1, 3))
    assert not model[0]._forward_hooks and profile(model[0], torch.randn(1, 3)).macs == 6


def test_a_shared_parameter_counts_once_and_a_reused_layer_twice():
    layer = nn.Linear(4, 4, bias=False)
    result = profile(nn.Sequential(layer, nn.ReLU(), layer), torch.randn(1, 4))
    assert result.params == 16 and result.macs == 32
    assert by_kind(result.layers) == {"Linear": 32, "ReLU": 0}


# Peak memory. Every tensor below has one unit: 1 x 2 x 4 x 4 floats = 128 bytes, unless said.
UNIT = 2 * 4 * 4 * 4


def conv(k=2, c=2):
    return nn.Conv2d(c, k, 3, padding=1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = conv(), conv()

    def forward(self, x):
        return self.b(self.a(x)) + x


class TwoResiduals(nn.Module):
    """Overlapping: x is added after b, a's output after c."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv(), conv(), conv()

    def forward(self, x):
        u = self.a(x)
        v = self.b(u) + x
        return self.c(v) + u


class Concat(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = conv(), conv(4)

    def forward(self, x):
        return torch.cat([self.a(x), self.b(x)], 1)


X = torch.randn(1, 2, 4, 4)


@pytest.mark.parametrize("model, units, fused", [
    (nn.Sequential(conv(), conv(), conv()), 2, 2),
    (nn.Sequential(conv(6), conv(2, 6)), 4, 4),                  # 2 -> 6 channels: 1 + 3
    (Residual(), 3, 3),                                         # at b: x, a's output, b's output
    (TwoResiduals(), 4, 3),                                     # at the first sum: x, u, b's output, v; fused: v takes b's place
    (Concat(), 6, 6),                                           # at the concat: 1 + 2 in, 3 out; x is dead
    (nn.Sequential(conv(), nn.BatchNorm2d(2), nn.ReLU()), 2, 2),
    (nn.Sequential(conv(6, 2), nn.ReLU(), conv(2, 6)), 6, 4),   # eager ReLU: 3 + 3; fused: 1 + 3
    (nn.Sequential(conv(6, 2), nn.ReLU(inplace=True), conv(2, 6)), 4, 4),
    (nn.Sequential(conv(), nn.Flatten(), nn.Unflatten(1, (2, 4, 4)), conv()), 2, 2),
], ids=["chain", "wide", "residual", "two residuals", "concat", "bn relu", "eager relu", "in-place relu", "views"])
def test_peak_by_hand(model, units, fused):
    assert profile(model, X).peak_bytes == units * UNIT
    assert profile(model, X, fuse=True).peak_bytes == fused * UNIT
    assert profile(model, X, fuse=True, activation_bits=8).peak_bytes == fused * UNIT // 4


def test_max_pool_indices_are_no_activation():
    model = nn.Sequential(nn.MaxPool2d(2))
    assert profile(model, X).peak_bytes == UNIT + UNIT // 4


def test_used_indices_are_an_activation():
    class Pool(nn.Module):
        def forward(self, x):
            return F.max_pool2d(x, 2, return_indices=True)
    assert profile(Pool(), X).peak_bytes == UNIT + UNIT // 4 + 2 * UNIT // 4


def test_lifetimes_that_ignore_the_residual_are_seen(monkeypatch):
    """The planted bug of the classic formula: largest input plus output of one layer."""
    result = profile(Residual(), X)
    sizes = [layer.activation_bytes for layer in result.layers]
    assert max(a + b for a, b in zip([UNIT, *sizes], sizes)) != result.peak_bytes


def test_table_adds_up():
    result = profile(nn.Sequential(conv(), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10)), X)
    assert "total" in result.table() and f"{result.macs:,}" in result.table()
    assert result.macs == 2 * 16 * 2 * 9 + 320 and result.peak_step in result.steps
