"""Sparse convolution equals dense conv3d on the voxels that exist, in float64, with gradients; networks go down and come back."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tinylib.core.errors import TinylibError
from tinylib.sparse.conv import OnFeatures, SparseConv3d, convolve, gather_matmul_scatter, macs
from tinylib.sparse.kernel_map import kernel_map, offsets
from tinylib.sparse.tensor import concatenate, downsample, sparse_tensor
from tinylib.sparse.tune import Plan

CASES = [(3, 1, 1), (2, 1, 1), (2, 2, 1), (3, 2, 1), (3, 1, 2), (3, 2, 2), (4, 2, 1), (5, 1, 1), (1, 1, 1), ((3, 1, 2), (2, 1, 3), (1, 2, 2)),
         ((3, 1, 1), (2, 1, 1), 1)]
LOW, SIDE = -12, 24


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cloud(n, *, side=6, batches=2, seed=0):
    """n different coordinates around the origin, negative ones too, in any order."""
    cells = np.random.default_rng(seed).permutation(batches * side**3)[:n]
    rows = np.stack(np.unravel_index(cells, (batches, side, side, side)), 1)
    return torch.from_numpy(rows - [0, side // 2, side // 2, side // 2])


def three(value):
    return (value,) * 3 if isinstance(value, int) else tuple(value)


def grid_of(coords, feats, low):
    """(b, c, SIDE, SIDE, SIDE), zero where no voxel is; cell 0 has coordinate `low`."""
    grid = feats.new_zeros(2, feats.shape[1], SIDE, SIDE, SIDE)
    b, x, y, z = (coords - torch.tensor([0, *low])).T
    grid[b, :, x, y, z] = feats
    return grid


def dense_weight(weight, kernel):
    return weight.reshape(*three(kernel), *weight.shape[1:]).permute(4, 3, 0, 1, 2)


def by_conv3d(coords, feats, target, weight, kernel, stride, dilation):
    """The dense convolution read at the target voxels; the grid starts at the first offset of a cell that every stride divides."""
    first = offsets(kernel, dilation)[0].tolist()
    grid = grid_of(coords, feats, [LOW + f for f in first])
    out = F.conv3d(grid, dense_weight(weight, kernel), stride=three(stride), dilation=three(dilation))
    b, x, y, z = (target - torch.tensor([0, *(LOW // s for s in three(stride))])).T
    return out[b, :, x, y, z]


@pytest.mark.parametrize("semantics", ["floor", "window"])
@pytest.mark.parametrize("kernel, stride, dilation", CASES)
def test_equals_conv3d_with_gradients(kernel, stride, dilation, semantics):
    coords = cloud(90)
    target = coords if three(stride) == (1, 1, 1) else downsample(coords, stride, semantics=semantics, kernel=kernel, dilation=dilation)
    kmap = kernel_map(coords, target, kernel=kernel, stride=stride, dilation=dilation)
    feats, weight = drawn(90, 5).requires_grad_(), drawn(len(offsets(kernel)), 5, 7, seed=1).requires_grad_()
    got, expected = convolve(feats, weight, kmap), by_conv3d(coords, feats, target, weight, kernel, stride, dilation)
    assert torch.allclose(got, expected, atol=1e-10, rtol=0)
    upstream = drawn(*got.shape, seed=2)
    for a, b in zip(torch.autograd.grad(got, (feats, weight), upstream), torch.autograd.grad(expected, (feats, weight), upstream)):
        assert torch.allclose(a, b, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kernel, stride", [(2, 2), (3, 2), (3, 1)])
def test_transposed_equals_conv_transpose3d(kernel, stride):
    fine = cloud(90)
    coarse = fine if stride == 1 else downsample(fine, stride)
    kmap = kernel_map(fine, coarse, kernel=kernel, stride=stride).reversed
    feats, weight = drawn(len(coarse), 4), drawn(kernel**3, 4, 3, seed=1)
    got = convolve(feats, weight, kmap)
    grid = feats.new_zeros(2, 4, SIDE, SIDE, SIDE)
    b, x, y, z = (coarse - torch.tensor([0, *[LOW // stride] * 3])).T
    grid[b, :, x, y, z] = feats
    dense = F.conv_transpose3d(grid, weight.reshape(kernel, kernel, kernel, 4, 3).permute(3, 4, 0, 1, 2), stride=stride)
    b, x, y, z = (fine - torch.tensor([0, *(LOW + offsets(kernel)[0]).tolist()])).T
    assert torch.allclose(got, dense[b, :, x, y, z], atol=1e-10, rtol=0)


@pytest.mark.parametrize("same", [True, False])
def test_gradcheck(same):
    coords = cloud(25, side=4)
    kmap = kernel_map(coords, coords if same else downsample(coords, 2), kernel=3, stride=1 if same else 2)
    assert torch.autograd.gradcheck(lambda x, w: convolve(x, w, kmap), (drawn(25, 3).requires_grad_(), drawn(27, 3, 2, seed=1).requires_grad_()))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fused_in_threads_equals_one_after_the_other(threads):
    coords, before = cloud(5000, side=20, batches=1), torch.get_num_threads()
    for target, stride in ((coords, 1), (downsample(coords, 2), 2)):
        kmap = kernel_map(coords, target, kernel=3, stride=stride)
        feats, weight = drawn(5000, 18).requires_grad_(), drawn(27, 18, 20, seed=1).requires_grad_()
        plain = gather_matmul_scatter(feats, weight, kmap)
        upstream = drawn(*plain.shape, seed=2)
        expected = (plain, *torch.autograd.grad(plain, (feats, weight), upstream))
        torch.set_num_threads(threads)
        try:
            fused = convolve(feats, weight, kmap)
            got = (fused, *torch.autograd.grad(fused, (feats, weight), upstream))
        finally:
            torch.set_num_threads(before)
        assert all(torch.allclose(a, b, atol=1e-10, rtol=0) for a, b in zip(got, expected))


FORKED = """
import os, torch
from tinylib.sparse.conv import convolve
from tinylib.sparse.kernel_map import kernel_map
torch.set_num_threads(2)
coords = torch.unique(torch.randint(0, 20, (5000, 4)) * torch.tensor([0, 1, 1, 1]), dim=0)
kmap, feats, weight = kernel_map(coords, coords, kernel=3), torch.randn(len(coords), 64), torch.randn(27, 64, 64)
before, child = convolve(feats, weight, kmap), os.fork()
if not child:
    os._exit(0 if torch.equal(convolve(feats, weight, kmap), before) else 1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_gets_its_own_threads():
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=300)


def test_planted_bugs_are_seen():
    coords = cloud(90)
    kmap, feats, weight = kernel_map(coords, coords, kernel=3), drawn(90, 5), drawn(27, 5, 7, seed=1)
    expected = by_conv3d(coords, feats, coords, weight, 3, 1, 1)
    assert not torch.allclose(convolve(feats, weight.flip(0), kmap), expected, atol=1e-3), "offsets in the other order"
    overwritten = torch.zeros(90, 7, dtype=torch.float64)
    for d in range(27):
        inputs, outputs = kmap.offset(d)
        overwritten[outputs] = feats[inputs] @ weight[d]
    assert not torch.allclose(overwritten, expected, atol=1e-3), "scatter without add"


def test_shapes_that_are_not_whole_tiles_and_memory_that_is_not_contiguous():
    coords = cloud(97)
    kmap = kernel_map(coords, coords, kernel=3)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 2e-4)):
        for c_in, c_out in ((1, 1), (3, 17), (16, 16), (33, 40), (7, 64)):
            feats, weight = drawn(c_in, 97, dtype=dtype).T, drawn(27, c_out, c_in, seed=1, dtype=dtype).transpose(1, 2)
            assert c_in == 1 or not feats.is_contiguous()
            expected = by_conv3d(coords, feats.double(), coords, weight.double(), 3, 1, 1)
            assert torch.allclose(convolve(feats, weight, kmap).double(), expected, atol=tolerance, rtol=0)
            wide = drawn(97, 2 * c_in, dtype=dtype)[:, ::2]
            assert torch.allclose(convolve(wide, weight, kmap), convolve(wide.contiguous(), weight, kmap), atol=0, rtol=0)


PLANS = [Plan(0.0, 0), Plan(0.3, 40), Plan(0.3, 2**62), Plan(1.0, 2**62), Plan(1.0, 0)]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_grouped_equals_one_after_the_other_with_gradients(plan):
    coords = cloud(90)
    for kernel, stride in ((3, 1), (2, 2), (3, 2), (2, 1), (1, 1)):
        kmap = kernel_map(coords, coords if stride == 1 else downsample(coords, stride), kernel=kernel, stride=stride)
        for way in (kmap, kmap.reversed):
            feats, weight = drawn(way.n_inputs, 5).requires_grad_(), drawn(kernel**3, 5, 7, seed=1).requires_grad_()
            a, b = convolve(feats, weight, way, plan), convolve(feats, weight, way)
            upstream = drawn(*a.shape, seed=2)
            pairs = zip((a, *torch.autograd.grad(a, (feats, weight), upstream)), (b, *torch.autograd.grad(b, (feats, weight), upstream)))
            assert all(torch.allclose(x, y, atol=1e-11, rtol=0) for x, y in pairs)


def test_grouped_takes_empty_maps():
    none = torch.zeros(0, 4, dtype=torch.int64)
    assert convolve(drawn(0, 3), drawn(27, 3, 4), kernel_map(none, none, kernel=3), PLANS[1]).shape == (0, 4)
    assert not convolve(drawn(0, 3), drawn(8, 3, 4), kernel_map(none, torch.zeros(1, 4, dtype=torch.int64), kernel=2), PLANS[1]).any()


def test_half_accumulates_in_single():
    coords = cloud(200)
    kmap, feats, weight = kernel_map(coords, coords, kernel=3), drawn(200, 8).half(), drawn(27, 8, 8, seed=1).half()
    got = convolve(feats, weight, kmap)
    assert got.dtype == torch.float16
    assert torch.equal(got, convolve(feats.float(), weight.float(), kmap).half()), "rounded once, at the end"


def test_empty_clouds_and_lone_voxels():
    none, one = torch.zeros(0, 4, dtype=torch.int64), torch.tensor([[1, -4, 0, 9]])
    weight, feats = drawn(27, 3, 4).requires_grad_(), drawn(1, 3)
    out = convolve(feats, weight, kernel_map(one, one, kernel=3))
    assert torch.allclose(out, feats @ weight[13])
    empty = convolve(feats[:0], weight, kernel_map(none, none, kernel=3))
    empty.sum().backward()
    assert empty.shape == (0, 4) and not weight.grad.any()
    assert not convolve(feats[:0], weight, kernel_map(none, one, kernel=3)).any()


def test_mistakes_are_named():
    coords = cloud(5)
    kmap = kernel_map(coords, coords, kernel=3)
    good = drawn(5, 3)
    for feats, weight in ((drawn(4, 3), drawn(27, 3, 2)), (good, drawn(27, 4, 2)), (good, drawn(8, 3, 2)), (good.float(), drawn(27, 3, 2))):
        with pytest.raises(TinylibError):
            convolve(feats, weight, kmap)
    with pytest.raises(TinylibError, match="semantics"):
        SparseConv3d(1, 1, semantics="ceil")


def seeded(*args, **options):
    return SparseConv3d(*args, generator=torch.Generator().manual_seed(7), **options)


def block(c_in, c_out, *args, **options):
    return nn.Sequential(seeded(c_in, c_out, *args, **options), OnFeatures(nn.BatchNorm1d(c_out)), OnFeatures(nn.ReLU()))


class UNet(nn.Module):
    """Two levels down, two up, skips."""

    def __init__(self, width=8):
        super().__init__()
        self.stem, self.down1, self.down2 = block(3, width), block(width, width, 2, stride=2), block(width, width, 2, stride=2)
        self.up2, self.up1 = block(width, width, 2, stride=2, transposed=True), block(2 * width, width, 2, stride=2, transposed=True)
        self.head = seeded(2 * width, 5)

    def forward(self, x):
        one = self.stem(x)
        two = self.down1(one)
        back = concatenate(self.up2(self.down2(two)), two)
        return self.head(concatenate(self.up1(back), one))


def test_a_unet_returns_to_its_voxels_and_learns():
    coords = cloud(150, side=9)
    x, net = sparse_tensor(coords, drawn(150, 3, dtype=torch.float32)), UNet()
    out = net(x)
    assert out.coords is x.coords and out.feats.shape == (150, 5) and out.stride == (1, 1, 1)
    assert len(x.maps.maps) == 3, "one submanifold map for stem and head, two strided ones which the way up uses reversed"
    assert set(x.maps.coords) == {(1, 1, 1), (2, 2, 2), (4, 4, 4)}
    labels = torch.arange(150) % 5
    optimizer, losses = torch.optim.Adam(net.parameters(), 1e-2), []
    for _ in range(15):
        optimizer.zero_grad()
        losses.append(F.cross_entropy(net(x).feats, labels))
        losses[-1].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        optimizer.step()
    assert losses[-1] < losses[0] / 2


def test_a_module_equals_conv3d_and_bias_is_added_once():
    coords = cloud(60)
    x, layer = sparse_tensor(coords, drawn(60, 3, dtype=torch.float32)), seeded(3, 4, 3, stride=2, semantics="window")
    nn.init.constant_(layer.bias, 2.0)
    out = layer(x)
    assert torch.equal(out.coords, downsample(coords, 2, semantics="window", kernel=3)) and out.stride == (2, 2, 2)
    assert torch.allclose(out.feats, by_conv3d(coords, x.feats, out.coords, layer.weight, 3, 2, 1) + 2, atol=1e-5)


def test_two_rules_in_one_cloud_do_not_mix():
    x = sparse_tensor(cloud(60), drawn(60, 3, dtype=torch.float32))
    a, b = seeded(3, 4, 3, stride=2)(x), seeded(3, 4, 3, stride=2, semantics="window")(x)
    assert a.maps is x.maps and b.maps is not x.maps and len(a) < len(b)
    up = seeded(4, 2, 3, stride=2, transposed=True)
    for coarse in (a, b):
        out = up(coarse)
        assert out.coords is x.coords
        kmap = kernel_map(x.coords, coarse.coords, kernel=3, stride=2).reversed
        assert torch.allclose(out.feats, convolve(coarse.feats, up.weight, kmap) + up.bias)
    again = seeded(3, 4, 3, stride=2, semantics="window")(x)
    assert again.coords is b.coords, "found in the cache"


def test_going_up_without_having_come_down_is_refused():
    x = sparse_tensor(cloud(10), drawn(10, 3, dtype=torch.float32), stride=2)
    with pytest.raises(TinylibError, match="goes back where"):
        seeded(3, 3, 2, stride=2, transposed=True)(x)
    with pytest.raises(TinylibError, match="cannot go up"):
        seeded(3, 3, 3, stride=3, transposed=True)(x)


def test_macs_are_pairs_times_channels():
    coords = cloud(40)
    kmap = kernel_map(coords, coords, kernel=3)
    ones = convolve(torch.ones(40, 1), torch.ones(27, 1, 1), kmap)
    assert macs(kmap, 3, 5) == int(ones.sum()) * 15
