"""Shapes, sizes and residuals of the stock networks; initial weights come from the generator alone."""

import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.nn.blocks import InvertedResidual
from tinylib.nn.layers import round_channels
from tinylib.nn.models import build


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ["garment_net", "plain_net"])
def test_logits_and_size(name):
    model = build(name, generator=seeded()).eval()
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) < 100_000


def test_garment_net_has_residual_adds_and_a_stride_2_stem():
    model = build("garment_net", generator=seeded())
    assert model.stem(torch.zeros(1, 1, 28, 28)).shape == (1, 16, 14, 14)
    assert sum(b.residual for b in model.blocks) == 5


def test_an_inverted_residual_equals_its_parts_written_out():
    block = InvertedResidual(4, 4, expand=3).eval()
    x = torch.randn(2, 4, 5, 5, generator=seeded())
    y = block.expand.bn(torch.einsum("ncij,oc->noij", x, block.expand.conv.weight[:, :, 0, 0])).clamp(0, 6)
    padded = torch.nn.functional.pad(y, (1, 1, 1, 1))
    z = sum(padded[:, :, i:i + 5, j:j + 5] * block.depthwise.conv.weight[:, 0, i, j][:, None, None] for i in range(3) for j in range(3))
    z = block.depthwise.bn(z).clamp(0, 6)
    expected = x + block.project.bn(torch.einsum("ncij,oc->noij", z, block.project.conv.weight[:, :, 0, 0]))
    assert torch.allclose(block(x), expected, atol=1e-5)
    block.residual = False      # planted bug: the input is not added
    assert not torch.allclose(block(x), expected, atol=1e-5)


@pytest.mark.parametrize(("c_out", "stride", "residual"), [(8, 1, True), (8, 2, False), (16, 1, False)])
def test_the_input_is_added_only_where_shapes_allow(c_out, stride, residual):
    block = InvertedResidual(8, c_out, stride=stride)
    assert block.residual is residual
    assert block(torch.zeros(1, 8, 7, 7)).shape == (1, c_out, -(-7 // stride), -(-7 // stride))


def test_expansion_one_has_no_first_convolution():
    assert not hasattr(InvertedResidual(8, 8, expand=1), "expand")


def test_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, second, other = (build("garment_net", generator=seeded(s)).state_dict() for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_initial_weights_keep_the_variance_of_the_fan_out():
    weight = build("garment_net", generator=seeded()).blocks[3].project.conv.weight
    assert abs(weight.std().item() / (2 / weight.shape[0]) ** 0.5 - 1) < 0.1


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(TinylibError, match="garment_net"):
        build("resnet")


@pytest.mark.parametrize(("given", "expected"), [(3, 8), (12, 16), (11, 16), (10.5, 16), (17.6, 16), (24, 24), (100, 104)])
def test_rounded_channels(given, expected):
    assert round_channels(given) == expected
