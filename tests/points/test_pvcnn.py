"""The three networks: costs, order of points, comparable size; intersection over union against counting."""

import itertools

import pytest
import torch
from torch import nn

from tinylib.measure.profile import profile
from tinylib.points.part_iou import mean_iou, part_ious, predicted
from tinylib.points.pvcnn import cost, part_net

KINDS = ("point", "voxel", "both")
OF_CLASS = ((0, 1), (2, 3, 4))


def cloud(b=2, n=60, classes=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.cat([torch.rand(b, 3, n, generator=g) * 2 - 1, torch.zeros(b, classes, n)], 1)


@pytest.mark.parametrize("branches", KINDS)
@torch.no_grad()
def test_permuting_the_points_permutes_the_answer(branches):
    net, x = part_net(branches=branches).double().eval(), cloud().double()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(net(x[:, :, order]), net(x)[:, :, order], atol=1e-10)


@pytest.mark.parametrize("branches", KINDS)
@pytest.mark.parametrize("n", [1, 64])
def test_cost_by_formula_is_the_profilers(branches, n):
    net, x = part_net(branches=branches), cloud(1, n)
    found, price = profile(net, x), cost(n, branches=branches)
    assert found.macs == price.macs and not found.unknown
    rows = {layer.name: layer for layer in found.layers}
    made = sum(row.activation_bytes for name, row in rows.items() if ".voxel." in name and row.kind == "Conv3d")
    inputs = sum(4 * block.r**3 * block.voxel[0].in_channels for block in net.blocks if hasattr(block, "voxel"))
    assert made + inputs == price.grid_bytes
    linear = sum(row.activation_bytes for name, row in rows.items() if ".point." in name and row.kind == "Conv1d")
    read = sum(4 * n * block.voxel[0].out_channels for block in net.blocks if hasattr(block, "voxel"))
    assert linear + read == price.point_bytes


def test_the_three_have_about_as_many_parameters():
    sizes = [sum(p.numel() for p in part_net(branches=kind).parameters()) for kind in KINDS]
    assert max(sizes) < 1.03 * min(sizes) and 4 * max(sizes) < 300_000


@torch.no_grad()
def test_only_the_point_branch_tells_points_of_one_place_apart():
    """Two points of one cell with features of their own: the grid gives both the same, the MLP does not."""
    x = torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0))
    same = torch.zeros(1, 3, 2)
    for branches, alike in (("voxel", True), ("both", False), ("point", False)):
        block = part_net(branches=branches).blocks[0].eval()
        out = block(x, same)
        assert torch.allclose(out[..., 0], out[..., 1], atol=1e-6) == alike


def test_networks_come_from_their_generator():
    one, two = (part_net(generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters()))
    assert isinstance(one, nn.Module) and not torch.equal(one.head[-1].weight, part_net().head[-1].weight)


def iou_by_counting(guess, truth, part):
    """Over union, point by point."""
    both = sum(g == part and t == part for g, t in zip(guess, truth))
    either = sum(g == part or t == part for g, t in zip(guess, truth))
    return both / either if either else 1.0


def test_iou_is_what_counting_gives():
    g = torch.Generator().manual_seed(0)
    guess, truth = (torch.randint(0, 4, (5, 7), generator=g) for _ in range(2))
    found = part_ious(guess, truth, (0, 1, 2, 3, 9))
    for i, (j, part) in itertools.product(range(5), enumerate((0, 1, 2, 3, 9))):
        assert found[i, j].item() == pytest.approx(iou_by_counting(guess[i].tolist(), truth[i].tolist(), part))
    assert (found[:, 4] == 1).all(), "a part in neither counts as right"


def test_objects_count_alike_whatever_their_class():
    truth = torch.tensor([[0, 0, 1], [0, 1, 1], [2, 3, 4]])
    guess = torch.tensor([[0, 0, 1], [0, 1, 1], [2, 2, 4]])
    mean, by_part = mean_iou(guess, truth, torch.tensor([0, 0, 1]), OF_CLASS)
    assert mean == pytest.approx((1 + 1 + (1 / 2 + 0 + 1) / 3) / 3)
    assert by_part == pytest.approx({0: 1.0, 1: 1.0, 2: 0.5, 3: 0.0, 4: 1.0})
    assert mean != pytest.approx(sum(by_part.values()) / 5), "a mean over parts is another number"


def test_a_part_that_classes_share_is_averaged_over_all_their_objects():
    truth = torch.tensor([[0, 1], [0, 1], [0, 1]])
    guess = torch.tensor([[0, 1], [0, 1], [1, 0]])
    mean, by_part = mean_iou(guess, truth, torch.tensor([0, 0, 1]), ((0, 1), (0, 1)))
    assert mean == pytest.approx(2 / 3) and by_part == pytest.approx({0: 2 / 3, 1: 2 / 3})


def test_only_parts_of_the_class_are_chosen():
    logits = torch.zeros(2, 5, 3)
    logits[:, 4] = 9.0
    logits[:, 1] = 1.0
    assert predicted(logits, torch.tensor([0, 1]), OF_CLASS).tolist() == [[1] * 3, [4] * 3]
