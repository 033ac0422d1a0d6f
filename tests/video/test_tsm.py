"""Temporal shift against loops, its adjoint, in place, streaming equal to offline, and the blindness of averaging."""

import pytest
import torch
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.profile import profile
from tinylib.video.models import clip_net
from tinylib.video.tsm import ClipNet, Shift, add_shift, bytes_moved, shifted_channels, temporal_shift, temporal_shift_, to_streaming


def clip(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_loops(x, fraction, mode):
    """The definition, one channel and one frame at a time."""
    b, t, c = x.shape[:3]
    m = int(c * fraction)
    out = torch.zeros_like(x)
    for i in range(b):
        for time in range(t):
            for channel in range(c):
                source = time
                if mode != "none" and channel < m:
                    source = time - 1
                elif mode == "both" and channel < 2 * m:
                    source = time + 1
                if 0 <= source < t:
                    out[i, time, channel] = x[i, source, channel]
    return out


CASES = [(2, 4, 8, 3, 2), (1, 1, 8, 2, 2), (3, 2, 7, 1, 1), (2, 5, 9, 2, 3), (2, 3, 4, 2, 2), (0, 3, 8, 2, 2)]


@pytest.mark.parametrize("mode", ["none", "both", "past"])
@pytest.mark.parametrize("fraction", [0, 1 / 8, 1 / 4, 1 / 2, 1])
@pytest.mark.parametrize("shape", CASES, ids=str)
def test_shift_equals_loops_and_leaves_its_input(shape, fraction, mode):
    x = clip(*shape)
    fraction = min(fraction, 1 / 2) if mode == "both" else fraction         # half of the channels each way are all there are
    before = x.clone()
    expected = by_loops(x, fraction, mode)
    assert torch.equal(temporal_shift(x, fraction, mode), expected) and torch.equal(x, before)
    assert torch.equal(temporal_shift_(x.clone(), fraction, mode), expected)
    strided = x.transpose(3, 4).contiguous().transpose(3, 4)
    assert torch.equal(temporal_shift(strided, fraction, mode), expected)


def test_a_circular_roll_and_a_leak_between_clips_are_seen():
    x = clip(2, 4, 8, 2, 2)
    expected = by_loops(x, 1 / 8, "past")
    rolled = x.clone()
    rolled[:, :, :1] = x.roll(1, 1)[:, :, :1]
    leaked = x.flatten(0, 1).clone()
    leaked[1:, :1] = x.flatten(0, 1)[:-1, :1]
    leaked[0, :1] = 0
    assert not torch.equal(rolled, expected) and not torch.equal(leaked.view_as(x), expected)


@pytest.mark.parametrize("mode", ["both", "past"])
def test_the_adjoint_is_the_reverse_shift(mode):
    x, y = clip(2, 4, 8, 2, 2, seed=1).requires_grad_(), clip(2, 4, 8, 2, 2, seed=2)
    out = temporal_shift(x, 1 / 4, mode)
    out.backward(y)
    assert torch.isclose((out * y).sum(), (x * x.grad).sum(), rtol=1e-12), "<S x, y> = <x, S* y>"
    backwards = temporal_shift(y.flip(1), 1 / 4, mode).flip(1)
    assert torch.equal(x.grad, backwards), "time reversed twice"


@pytest.mark.parametrize("mode", ["none", "both", "past"])
def test_in_place_is_right_under_autograd(mode):
    x = clip(2, 3, 8, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: temporal_shift_(v * 2, 1 / 4, mode), x)
    a = torch.autograd.grad((temporal_shift_(x * 2, 1 / 4, mode) ** 3).sum(), x)[0]
    b = torch.autograd.grad((temporal_shift(x * 2, 1 / 4, mode) ** 3).sum(), x)[0]
    assert torch.equal(a, b)


def test_in_place_refuses_when_the_old_values_are_still_needed():
    x = clip(1, 3, 8, 1, 1).requires_grad_()
    y = x * 1
    squared = y**2
    shifted = temporal_shift_(y, 1 / 4)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (squared + shifted).sum().backward()


def trained_like(mode, fraction=1 / 4):
    """A network with drawn batch-norm statistics, so that nothing hides behind zeros and ones."""
    net = clip_net(mode=mode, fraction=fraction, generator=torch.Generator().manual_seed(3)).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=torch.Generator().manual_seed(4))
            module.running_var.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(5))
    return net


@pytest.mark.parametrize("mode", ["none", "past"])
@torch.no_grad()
def test_streaming_equals_offline_after_every_frame(mode):
    net, x = trained_like(mode), clip(2, 8, 1, 24, 24, dtype=torch.float32)
    running = net(x, per_frame=True).cumsum(1) / torch.arange(1, 9)[None, :, None]
    stream = to_streaming(net)
    for t in range(8):
        assert torch.allclose(stream(x[:, t]), running[:, t], atol=1e-5)
    assert (stream.state_bytes() > 0) == (mode == "past")


@torch.no_grad()
def test_a_stream_forgets_only_when_told_and_two_streams_do_not_mix():
    net, x, other = trained_like("past"), clip(1, 8, 1, 24, 24, dtype=torch.float32), clip(1, 8, 1, 24, 24, seed=9, dtype=torch.float32)
    one, two = to_streaming(net), to_streaming(net)
    for t in range(8):
        first, second = one(x[:, t]), two(other[:, t])
    assert torch.allclose(first, net(x), atol=1e-5) and torch.allclose(second, net(other), atol=1e-5)
    assert not torch.allclose(one(x[:, 0]), net(x, per_frame=True)[:, 0], atol=1e-3), "without reset the old video is still there"
    one.reset()
    assert torch.allclose(one(x[:, 0]), net(x, per_frame=True)[:, 0], atol=1e-5)


def test_a_two_way_network_cannot_stream():
    with pytest.raises(TinylibError, match="mode='past'"):
        to_streaming(trained_like("both"))


@torch.no_grad()
def test_averaging_over_frames_is_blind_to_their_order_and_the_shift_is_not():
    x = clip(3, 8, 1, 24, 24, dtype=torch.float32)
    blind = trained_like("none")
    assert torch.allclose(blind(x), blind(x.flip(1)), atol=1e-6)
    for mode in ("both", "past"):
        assert (trained_like(mode)(x) - trained_like(mode)(x.flip(1))).abs().max() > 1e-3


def test_the_shift_costs_neither_parameter_nor_mac():
    x = torch.zeros(1, 8, 1, 24, 24)
    costs = [profile(clip_net(mode=mode), x) for mode in ("none", "both", "past")]
    assert len({(c.macs, c.params) for c in costs}) == 1 and costs[0].macs > 0


def test_bytes_moved_are_the_values_that_change_place():
    x = torch.arange(1, 2 * 8 * 16 * 4 + 1, dtype=torch.float32).view(2, 8, 16, 2, 2)
    for mode, fraction in (("both", 1 / 8), ("past", 1 / 4), ("none", 1 / 8)):
        out = temporal_shift(x, fraction, mode)
        moved = ((out != x) & (out != 0)).sum().item() // 2
        assert 4 * moved == bytes_moved(16, 8, 2, 2, fraction=fraction, mode=mode)


def test_any_2d_network_can_be_shifted_and_mistakes_are_named():
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 1)))
    net = ClipNet(add_shift(plain, lambda name, m: name == "1.0", frames=4))
    assert net(torch.zeros(2, 4, 3, 6, 6), per_frame=True).shape[:2] == (2, 4)
    assert not any(isinstance(m, Shift) for m in plain.modules()), "the given network stays as it was"
    with pytest.raises(TinylibError, match="do not make clips"):
        net.frame_net(torch.zeros(7, 3, 6, 6))
    with pytest.raises(TinylibError, match="no module"):
        add_shift(plain, lambda name, m: False, frames=4)
    for call in (lambda: temporal_shift(torch.zeros(1, 1, 1, 1, 1), mode="future"), lambda: shifted_channels(8, 0.7, "both"), lambda: shifted_channels(8, 1.1),
                 lambda: Shift(4, mode="future"), lambda: Shift(4, fraction=-1), lambda: temporal_shift_(torch.zeros(1, 1, 1, 1, 1), mode="future"),
                 lambda: bytes_moved(8, 4, 2, 2, fraction=0.7, mode="both")):
        with pytest.raises(TinylibError, match="must be"):
            call()


class Residual(nn.Module):
    """A block of another kind than the course's own: norm first, two layers, a projected skip."""

    def __init__(self, c, k, stride):
        super().__init__()
        self.branch = nn.Sequential(nn.GroupNorm(2, c), nn.SiLU(), nn.Conv2d(c, k, 3, stride, 1), nn.SiLU(), nn.Conv2d(k, k, 3, padding=1))
        self.skip = nn.Conv2d(c, k, 1, stride)

    def forward(self, x):
        return self.branch(x) + self.skip(x)


@pytest.mark.parametrize("fraction", [1 / 8, 1])
@torch.no_grad()
def test_another_backbone_streams_as_it_runs_offline(fraction):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        backbone = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), Residual(16, 16, 1), Residual(16, 24, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5))
    net = ClipNet(add_shift(backbone, lambda name, m: name.endswith("branch"), frames=6, fraction=fraction, mode="past")).eval()
    x = clip(2, 6, 3, 12, 12, dtype=torch.float32)
    running = net(x, per_frame=True).cumsum(1) / torch.arange(1, 7)[None, :, None]
    stream = to_streaming(net)
    assert all(torch.allclose(stream(x[:, t]), running[:, t], atol=1e-5) for t in range(6))
    assert stream.state_bytes() == 2 * 4 * (int(16 * fraction) + int(16 * fraction)) * 6 * 6


def test_the_shift_stands_in_front_of_every_block_and_mostly_beside_a_skip():
    blocks = list(clip_net().frame_net.blocks)
    assert all(isinstance(next(iter(block.expand)), Shift) for block in blocks) and [block.residual for block in blocks] == [True, True, False, True]
