"""Voxelise and devoxelise against loops and grid_sample; identities, borders, degenerate clouds, gradients, costs."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.profile import profile
from tinylib.points.pvconv import PVConv, alone, cells, devoxelise, grid_bytes, nearest, places, point_bytes, pvconv_macs, voxelise, with_operations

F64 = torch.float64


def draw(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def places_of(b, n, r, seed=0):
    return torch.rand(b, 3, n, generator=torch.Generator().manual_seed(seed), dtype=F64) * (r - 1)


def voxelise_by_loops(features, at, r):
    """One point after the other into its cell; then every cell's sum divided by its count."""
    b, c, n = features.shape
    total, count = torch.zeros(b, c, r, r, r, dtype=F64), torch.zeros(b, r, r, r, dtype=F64)
    for i, j in itertools.product(range(b), range(n)):
        x, y, z = (round(v) for v in at[i, :, j].tolist())
        total[i, :, x, y, z] += features[i, :, j]
        count[i, x, y, z] += 1
    return total / count.clamp_min(1)[:, None]


def devoxelise_by_loops(grid, at):
    """Every cell counts for a point with the product of 1 - distance along each axis, where that is positive."""
    r = grid.shape[-1]
    out = torch.zeros(grid.shape[0], grid.shape[1], at.shape[2], dtype=F64)
    for i, j in itertools.product(range(len(at)), range(at.shape[2])):
        for cell in itertools.product(range(r), repeat=3):
            weight = 1.0
            for axis in range(3):
                weight *= max(0.0, 1 - abs(at[i, axis, j].item() - cell[axis]))
            out[i, :, j] += weight * grid[(i, slice(None), *cell)]
    return out


def grid_sample(grid, at):
    """PyTorch's own trilinear reading: corners aligned, axes in the order z, y, x."""
    r = grid.shape[-1]
    where = (2 * at / max(r - 1, 1) - 1).flip(1).transpose(1, 2)[:, :, None, None]
    return F.grid_sample(grid, where, mode="bilinear", align_corners=True)[..., 0, 0]


CASES = [(1, 1, 1, 1), (2, 3, 7, 2), (2, 2, 30, 3), (1, 4, 50, 5), (3, 1, 9, 1), (0, 2, 4, 3)]


@pytest.mark.parametrize(("b", "c", "n", "r"), CASES)
def test_both_equal_their_loops_and_leave_their_inputs(b, c, n, r):
    features, at, grid = draw(b, c, n), places_of(b, n, r), draw(b, c, r, r, r, seed=1)
    kept = features.clone(), at.clone(), grid.clone()
    assert torch.allclose(voxelise(features, at, r), voxelise_by_loops(features, at, r), atol=1e-12)
    assert torch.allclose(devoxelise(grid, at), devoxelise_by_loops(grid, at), atol=1e-12)
    assert all(torch.equal(x, y) for x, y in zip(kept, (features, at, grid)))


def test_a_second_oracle_for_the_reading():
    grid, at = draw(2, 3, 6, 6, 6), places_of(2, 200, 6)
    assert torch.allclose(devoxelise(grid, at), grid_sample(grid, at), atol=1e-12)
    unflipped = F.grid_sample(grid, (2 * at / 5 - 1).transpose(1, 2)[:, :, None, None], align_corners=True)[..., 0, 0]
    assert (devoxelise(grid, at) - unflipped).abs().max() > 0.5, "the order of the axes matters"


def test_planted_bugs_are_seen():
    features, at, r = draw(2, 3, 40), places_of(2, 40, 3), 3
    right = voxelise_by_loops(features, at, r)
    summed = torch.zeros(2, 3, 27, dtype=F64).scatter_add_(2, cells(at, r)[:, None].expand(-1, 3, -1), features).view_as(right)
    assert not torch.allclose(summed, right), "sum instead of mean"
    assert not torch.allclose(voxelise(features, at.floor(), r), right), "floor instead of round"
    assert not torch.allclose(nearest(right, at), devoxelise_by_loops(right, at)), "nearest instead of trilinear"
    shared = voxelise(features.transpose(0, 1).reshape(1, 3, -1), at.transpose(0, 1).reshape(1, 3, -1), r)
    assert not torch.allclose(shared.expand(2, -1, -1, -1, -1), right), "one grid for the whole batch"


def test_halves_round_to_even():
    at = torch.tensor([[[0.5, 1.5, 2.5]] * 3], dtype=F64)
    assert cells(at, 4).tolist() == [[0, 2 * 21, 2 * 21]]


def test_the_sum_is_kept():
    features, at, r = draw(2, 3, 100), places_of(2, 100, 4), 4
    count = voxelise_count(at, r)
    assert torch.allclose((voxelise(features, at, r).flatten(2) * count[:, None]).sum(2), features.sum(2), atol=1e-12)


def voxelise_count(at, r):
    return torch.stack([torch.bincount(row, minlength=r**3) for row in cells(at, r)]).to(F64)


def test_non_zero_cells_are_the_occupied_ones():
    at = places_of(2, 60, 5)
    filled = voxelise(torch.ones(2, 1, 60, dtype=F64), at, 5).flatten(1)
    assert torch.equal(filled, (voxelise_count(at, 5) > 0).to(F64))


@pytest.mark.parametrize("r", [1, 2, 5])
def test_constant_and_affine_grids_are_read_exactly(r):
    axis = torch.arange(r, dtype=F64)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    affine, at = (7 + 2 * x - 3 * y + 5 * z)[None, None], places_of(1, 50, r)
    expected = 7 + 2 * at[:, :1] - 3 * at[:, 1:2] + 5 * at[:, 2:]
    assert torch.allclose(devoxelise(affine, at), expected, atol=1e-12)
    assert torch.allclose(devoxelise(torch.full_like(affine, 4.0), at), torch.full_like(expected, 4.0), atol=1e-12)


def test_points_on_distinct_centres_come_back():
    r = 4
    cell = torch.randperm(r**3, generator=torch.Generator().manual_seed(0))[:20]
    at = torch.stack([cell // r**2, cell // r % r, cell % r])[None].to(F64)
    features = draw(1, 5, 20)
    assert torch.equal(devoxelise(voxelise(features, at, r), at), features)


def test_the_upper_border_never_reads_beyond():
    grid = draw(1, 2, 3, 3, 3)
    corner = torch.full((1, 3, 1), 2.0, dtype=F64)
    assert torch.equal(devoxelise(grid, corner)[..., 0], grid[..., -1, -1, -1])
    edge = torch.tensor([[[2.0], [2.0], [0.5]]], dtype=F64)
    assert torch.allclose(devoxelise(grid, edge)[..., 0], grid[..., 2, 2, :2].mean(-1))


def test_gradients_are_those_of_the_loops():
    at = places_of(2, 6, 3) * 0.96 + 0.02        # away from cell borders, where the reading has a kink
    features, grid = draw(2, 2, 6).requires_grad_(), draw(2, 2, 3, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: voxelise(f, at, 3), features)
    assert torch.autograd.gradcheck(devoxelise, (grid, at.requires_grad_()))


def test_places_carry_no_gradient_and_stay_inside():
    coords = draw(2, 3, 30).requires_grad_()
    at = places(coords, 5)
    assert not at.requires_grad and at.min() >= 0 and at.max() <= 4
    assert torch.allclose(places(coords, 5), places(3 * coords + 7, 5), atol=1e-4), "place and size of the cloud do not matter"
    ball = torch.tensor([[[-1.0, 1.0], [0.0, 0.0], [0.5, -0.5]]])
    assert places(ball, 8, normalize=False).tolist() == [[[0.0, 7.0], [4.0, 4.0], [6.0, 2.0]]]


@pytest.mark.parametrize("cloud", [torch.ones(1, 3, 5) / 3, torch.zeros(1, 3, 1), torch.full((2, 3, 4), 1e6)], ids=["repeated", "one", "far"])
@pytest.mark.parametrize("normalize", [True, False])
def test_degenerate_clouds_give_numbers(cloud, normalize):
    net = PVConv(3, 4, 3, normalize=normalize).eval()
    with torch.no_grad():
        assert net(cloud, cloud).isfinite().all()
    assert places(cloud, 3, normalize=normalize).isfinite().all()
    assert places(torch.ones(1, 3, 2), 3, eps=0.0).isnan().all(), "what eps is for"


def warm(net, seed=0):
    """Drawn batch-norm statistics, so that nothing hides behind zeros and ones."""
    g = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3, generator=g)
            module.running_var.uniform_(0.5, 1.5, generator=g)
    return net.double().eval()


@torch.no_grad()
def test_the_branches_are_added():
    net, x, coords = warm(PVConv(3, 4, 3)), draw(2, 3, 20), draw(2, 3, 20, seed=1)
    at = places(coords, 3)
    assert torch.allclose(net(x, coords), devoxelise_by_loops(net.voxel(voxelise_by_loops(x, at, 3)), at) + net.point(x), atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("branches", ["both", "voxel", "point"])
def test_the_order_of_the_points_does_not_matter(branches):
    net, x, coords = warm(PVConv(3, 4, 3, branches=branches)), draw(2, 3, 20), draw(2, 3, 20, seed=1)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(net(x[:, :, order], coords[:, :, order]), net(x, coords)[:, :, order], atol=1e-10)


@pytest.mark.parametrize("branches", ["both", "voxel", "point"])
@pytest.mark.parametrize(("c_in", "c_out", "r", "n"), [(3, 16, 6, 512), (5, 4, 2, 7)])
def test_costs_by_formula_are_those_of_the_profiler(branches, c_in, c_out, r, n):
    found = profile(PVConv(c_in, c_out, r, branches=branches), torch.randn(1, c_in, n), torch.randn(1, 3, n))
    assert found.macs == pvconv_macs(c_in, c_out, r, n, branches=branches) and not found.unknown
    made = lambda kind: sum(layer.activation_bytes for layer in found.layers if layer.kind == kind)
    if branches != "point":
        assert made("Conv3d") + 4 * r**3 * c_in == grid_bytes(c_in, c_out, r)
    read = 4 * n * c_out if branches != "point" else 0         # what devoxelise gives, not a layer of its own
    assert made("Conv1d") + read == point_bytes(c_out, n, branches=branches)


def test_a_grid_costs_eight_times_as_much_at_twice_the_resolution():
    assert grid_bytes(3, 16, 12) == 8 * grid_bytes(3, 16, 6)
    assert pvconv_macs(3, 16, 12, 512, branches="voxel") == 8 * pvconv_macs(3, 16, 6, 512, branches="voxel")


def test_who_is_alone():
    at = torch.tensor([[[0, 0, 1, 2.0]] * 3, [[0, 1, 2, 2.0]] * 3])
    assert alone(at, 3) == 4 / 8, "clouds of a batch do not share cells"
    assert alone(torch.zeros(1, 3, 5), 4) == 0 and alone(torch.zeros(1, 3, 1), 1) == 1


@torch.no_grad()
def test_operations_can_be_replaced_in_a_copy():
    net, x, coords = warm(PVConv(3, 4, 3)), draw(1, 3, 9), draw(1, 3, 9, seed=1)
    before = net(x, coords)
    other = with_operations(nn.Sequential(net), voxelise, nearest)[0]
    assert not torch.allclose(other(x, coords), before) and torch.equal(net(x, coords), before)


def test_mistakes_are_named():
    with pytest.raises(TinylibError, match="branches"):
        PVConv(3, 4, 3, branches="all")
    with pytest.raises(TinylibError, match="at least one cell"):
        places(torch.zeros(1, 3, 2), 0)
