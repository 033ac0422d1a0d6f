"""Elastic layers: a slice is the extracted layer bit for bit; sorting leaves the function; each test sees a planted bug."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.nas.elastic import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticDepthwise,
    ElasticLayerNorm,
    ElasticLinear,
    active_kernel,
    importance,
    permute_channels,
    sorted_order,
)


@pytest.fixture
def seeded():
    return torch.manual_seed(0)


def randomised(layer: nn.Module) -> nn.Module:
    """Every parameter and statistic drawn anew, so that no test leans on an initial 0, 1 or identity."""
    with torch.no_grad():
        for tensor in [*layer.parameters(), *layer.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1)
    return layer.eval()


CASES = [
    (ElasticConv2d(6, 8, 3, stride=2, padding=1), torch.Size([2, 4, 7, 7]), (5,)),
    (ElasticConv2d(6, 8, 1, bias=False), torch.Size([2, 6, 5, 5]), (8,)),
    (ElasticDepthwise(6, (3, 5, 7), stride=2), torch.Size([2, 4, 9, 9]), (3,)),
    (ElasticDepthwise(6, (3, 5, 7)), torch.Size([2, 6, 9, 9]), (5,)),
    (ElasticDepthwise(6, (3, 5, 7)), torch.Size([1, 1, 9, 9]), (7,)),
    (ElasticLinear(6, 8), torch.Size([2, 3, 4]), (5,)),
    (ElasticBatchNorm2d(6), torch.Size([2, 4, 3, 3]), ()),
    (ElasticLayerNorm(6), torch.Size([2, 3, 4]), ()),
]


@pytest.mark.parametrize(("layer", "shape", "size"), CASES, ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else str(tuple(v)))
def test_extracted_equals_sliced_bit_for_bit(seeded, layer, shape, size):
    layer, x = randomised(layer), torch.randn(shape)
    channels = shape[-1] if isinstance(layer, ElasticLinear | ElasticLayerNorm) else shape[1]
    plain = layer.extract(channels, *size).eval()
    assert type(plain).__module__.startswith("torch.nn")
    assert torch.equal(plain(x), layer(x, *size))


@pytest.mark.parametrize(("layer", "plain"), [
    (ElasticConv2d(4, 8, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)), (ElasticLinear(4, 8), nn.Linear(4, 8)),
    (ElasticBatchNorm2d(4), nn.BatchNorm2d(4)), (ElasticLayerNorm(4), nn.LayerNorm(4)),
], ids=lambda v: type(v).__name__)
def test_the_largest_size_is_the_plain_layer(seeded, layer, plain):
    randomised(layer)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 4) if isinstance(plain, nn.Linear | nn.LayerNorm) else torch.randn(2, 4, 6, 6)
    assert torch.equal(plain.eval()(x), layer(x))


def by_hand(weight, transforms, size):
    """Kernel of each channel by loops over output positions: the definition, 7 -> 5 -> 3."""
    weight = weight.double()
    while weight.shape[-1] > size:
        s = weight.shape[-1] - 2
        out = torch.zeros(len(weight), 1, s, s, dtype=torch.float64)
        for c in range(len(weight)):
            centre = [weight[c, 0, 1 + i // s, 1 + i % s].item() for i in range(s * s)]
            for o in range(s * s):
                out[c, 0, o // s, o % s] = sum(transforms[s][o, i].item() * centre[i] for i in range(s * s))
        weight = out
    return weight


@pytest.mark.parametrize("size", [3, 5, 7])
def test_active_kernel_goes_through_every_size(seeded, size):
    weight = torch.randn(2, 1, 7, 7)
    transforms = {s: torch.randn(s * s, s * s) for s in (3, 5)}
    expected = by_hand(weight, transforms, size)
    assert torch.allclose(active_kernel(weight, transforms, size).double(), expected, atol=1e-4)
    skips_five = F.linear(weight[:, :, 2:-2, 2:-2].reshape(2, 1, 9), transforms[3]).view(2, 1, 3, 3)
    transposed = active_kernel(weight, {s: t.T for s, t in transforms.items()}, size)
    if size == 3:
        assert not torch.allclose(skips_five.double(), expected, atol=1e-2), "7 -> 3 without 5 must differ"
    if size < 7:
        assert not torch.allclose(transposed.double(), expected, atol=1e-2), "a transposed matrix must differ"


def test_identity_transforms_give_the_centre(seeded):
    layer = ElasticDepthwise(3, (3, 5, 7))
    assert torch.equal(layer.kernel(3, 3), layer.weight[:, :, 2:-2, 2:-2])


def test_the_border_of_the_largest_kernel_gets_no_gradient_from_a_small_one(seeded):
    layer = ElasticDepthwise(3, (3, 5, 7))
    layer(torch.randn(1, 3, 9, 9), 3).square().sum().backward()
    grad = layer.weight.grad
    inner = torch.zeros_like(grad, dtype=torch.bool)
    inner[:, :, 2:-2, 2:-2] = True
    assert grad[inner].abs().min() > 0 and (grad[~inner] == 0).all()
    assert layer.transforms["5"].grad.abs().sum() > 0, "3 goes through the 5 x 5 matrix"


def test_batch_norm_in_training_moves_only_the_channels_it_saw(seeded):
    layer = ElasticBatchNorm2d(4).train()
    before = layer.running_mean.clone()
    layer(torch.randn(8, 2, 3, 3) + 5)
    assert (layer.running_mean[:2] != before[:2]).all() and torch.equal(layer.running_mean[2:], before[2:])


def test_sizes_that_do_not_exist_are_named():
    with pytest.raises(TinylibError, match="out must be from 1 to 8, not 9"):
        ElasticConv2d(4, 8, 1)(torch.zeros(1, 4, 2, 2), 9)
    with pytest.raises(TinylibError, match="input channels"):
        ElasticConv2d(4, 8, 1)(torch.zeros(1, 5, 2, 2))
    with pytest.raises(TinylibError, match="one of"):
        ElasticDepthwise(4, (3, 5))(torch.zeros(1, 4, 8, 8), 7)
    with pytest.raises(TinylibError, match="two apart"):
        ElasticDepthwise(4, (3, 7))


class Block(nn.Module):
    """Widen, filter, narrow: the hidden channels are what gets sorted."""

    def __init__(self):
        super().__init__()
        self.expand, self.bn1 = ElasticConv2d(4, 12, 1), ElasticBatchNorm2d(12)
        self.depthwise, self.bn2 = ElasticDepthwise(12, (3, 5)), ElasticBatchNorm2d(12)
        self.project = ElasticConv2d(12, 4, 1)

    def forward(self, x, hidden=12, size=5):
        y = F.relu6(self.bn1(self.expand(x, hidden)))
        return self.project(F.relu6(self.bn2(self.depthwise(y, size))))

    def sort(self, kept=(), forget=()):
        order = sorted_order(importance(self.project.weight), kept=kept)
        makers = [m for m in (self.expand, self.bn1, self.depthwise, self.bn2) if m not in forget]
        permute_channels(order, makers=makers, readers=[self.project])
        return order


def test_sorting_leaves_the_outputs_and_orders_the_importance(seeded):
    block = randomised(Block()).double()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    before = block(x)
    transforms = block.depthwise.transforms["3"].detach().clone()
    block.sort()
    assert torch.allclose(block(x), before, rtol=0, atol=1e-12 * before.abs().max().item())
    assert (importance(block.project.weight).diff() <= 0).all()
    assert torch.equal(block.depthwise.transforms["3"], transforms)
    assert not torch.allclose(block(x, hidden=6), before), "a smaller slice is another function"


@pytest.mark.parametrize("forgotten", ["bn1", "depthwise", "bn2"])
def test_sorting_that_forgets_a_layer_is_seen(seeded, forgotten):
    block = randomised(Block()).double()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    before = block(x)
    block.sort(forget=(getattr(block, forgotten),))
    assert not torch.allclose(block(x), before)


def test_trained_sizes_keep_their_channels(seeded):
    scores = torch.tensor([1.0, 5, 2, 9, 9, 3])
    assert sorted_order(scores).tolist() == [3, 4, 1, 5, 2, 0]
    order = sorted_order(scores, kept=(3,))
    assert sorted(order[:3].tolist()) == [0, 1, 2] and order.tolist() == [1, 2, 0, 3, 4, 5]


def test_importance_is_the_l1_norm_of_what_the_next_layer_reads():
    weight = torch.tensor([[1.0, -2.0], [3.0, 0.5]])[:, :, None, None]
    assert importance(weight).tolist() == [4.0, 2.5]


def test_an_order_of_the_wrong_length_is_refused():
    with pytest.raises(TinylibError, match="channels"):
        permute_channels(torch.arange(3), makers=[nn.BatchNorm2d(4)], readers=[])
