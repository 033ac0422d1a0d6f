"""Coordinates: floor for negatives, duplicates refused, both ways to coarser voxels, the cache."""

from itertools import product

import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.sparse.kernel_map import offsets
from tinylib.sparse.tensor import MapCache, SparseTensor, concatenate, downsample, quantize, sparse_tensor

POINT = torch.zeros(1, 4, dtype=torch.int64)


def test_duplicates_are_refused_and_two_batches_are_not():
    coords = torch.tensor([[0, 1, 2, 3], [1, 1, 2, 3]])
    assert len(sparse_tensor(coords, torch.zeros(2, 5))) == 2
    with pytest.raises(TinylibError, match="same coordinates"):
        sparse_tensor(torch.cat([coords, coords[:1]]), torch.zeros(3, 5))
    with pytest.raises(TinylibError, match="same coordinates"):
        sparse_tensor(torch.tensor([[0, 2**50, -2**50, 0], [0, -2**50, 2**50, 2**50], [0, 2**50, -2**50, 0]]), torch.zeros(3, 1))


def test_bad_tensors_are_named():
    with pytest.raises(TinylibError, match="stands first"):
        sparse_tensor(torch.tensor([[-1, 0, 0, 0]]), torch.zeros(1, 1))
    with pytest.raises(TinylibError, match="need features"):
        sparse_tensor(POINT, torch.zeros(2, 1))
    with pytest.raises(TinylibError, match="whole numbers"):
        sparse_tensor(POINT.double(), torch.zeros(1, 1))
    with pytest.raises(TinylibError, match="stride"):
        SparseTensor(POINT, torch.zeros(1, 1), 0)


def test_empty_and_other_integer_types():
    assert len(sparse_tensor(POINT[:0], torch.zeros(0, 3))) == 0
    assert sparse_tensor(POINT.int(), torch.zeros(1, 3)).coords.dtype == torch.int64


def test_quantize_floors_negatives_and_inverse_finds_the_voxel():
    points = torch.tensor([[-0.1, 0.0, 0.3], [0.1, 0.2, 0.3], [-0.4, 0.1, 0.2], [-0.5, 0.4, -0.01]])
    coords, inverse = quantize(points, 0.5)
    assert coords.tolist() == [[0, -1, 0, -1], [0, -1, 0, 0], [0, 0, 0, 0]] and inverse.tolist() == [1, 2, 1, 0]
    assert torch.equal(coords[inverse][:, 1:], torch.floor(points / 0.5).long())
    assert (points / 0.5).int().tolist()[0] == [0, 0, 0], "truncation puts the first point into the wrong voxel"
    coords, inverse = quantize(points, 0.5, batch=torch.tensor([0, 1, 1, 0]))
    assert len(coords) == 4 and coords[inverse][:, 0].tolist() == [0, 1, 1, 0]
    for bad in (lambda: quantize(points[:, :2], 1.0), lambda: quantize(points, 0.0), lambda: quantize(points * torch.inf, 1.0)):
        with pytest.raises(TinylibError):
            bad()


def cloud(seed=0):
    return torch.unique(torch.randint(-5, 6, (60, 4), generator=torch.Generator().manual_seed(seed)).abs() * torch.tensor([1, 1, 1, -1]), dim=0)


@pytest.mark.parametrize("factor", [2, 3, (1, 2, 4)])
def test_floor_is_the_set_of_floored_cells(factor):
    coords = cloud()
    steps = (factor,) * 3 if isinstance(factor, int) else factor
    expected = sorted({(b, *(c // s for c, s in zip(p, steps))) for b, *p in coords.tolist()})
    assert [tuple(r) for r in downsample(coords, factor).tolist()] == expected
    truncated = sorted({(b, *(int(c / s) for c, s in zip(p, steps))) for b, *p in coords.tolist()})
    assert truncated != expected, "int() puts -1 and 1 into one cell"


@pytest.mark.parametrize("kernel, factor, dilation", [(3, 2, 1), (2, 2, 1), (3, 3, 1), (3, 2, 2), ((3, 1, 2), (2, 1, 2), 1)])
def test_window_is_every_cell_whose_window_touches_an_input(kernel, factor, dilation):
    coords = cloud(1)
    steps = (factor,) * 3 if isinstance(factor, int) else factor
    there, shifts = set(map(tuple, coords.tolist())), offsets(kernel, dilation).tolist()
    expected = [(b, *q) for b in range(6) for q in product(range(-9, 10), repeat=3)
                if any((b, *(s * c + o for s, c, o in zip(steps, q, d))) in there for d in shifts)]
    got = downsample(coords, factor, semantics="window", kernel=kernel, dilation=dilation)
    assert [tuple(r) for r in got.tolist()] == expected


def test_the_two_rules_agree_for_kernel_equal_to_stride_and_differ_for_three():
    coords = cloud(2)
    assert torch.equal(downsample(coords, 2, semantics="window", kernel=2), downsample(coords, 2))
    assert len(downsample(coords, 2, semantics="window", kernel=3)) > len(downsample(coords, 2))
    with pytest.raises(TinylibError, match="semantics"):
        downsample(coords, 2, semantics="ceil")


def test_replace_shares_the_cache_and_another_set_at_one_stride_branches():
    x = sparse_tensor(POINT, torch.zeros(1, 2))
    assert x.replace(torch.ones(1, 7)).maps is x.maps and x.maps.coords[1, 1, 1] is x.coords
    cache, other = MapCache(), POINT + 1
    first, same = cache.settle((2, 2, 2), POINT)
    assert same is cache and cache.settle((2, 2, 2), POINT.clone())[0] is first
    coords, branch = cache.settle((2, 2, 2), other)
    assert branch is not cache and branch.coords[2, 2, 2] is other and cache.coords[2, 2, 2] is POINT


def test_concatenate_wants_one_cloud():
    x = sparse_tensor(POINT, torch.zeros(1, 2))
    assert concatenate(x, x.replace(torch.ones(1, 3))).feats.tolist() == [[0, 0, 1, 1, 1]]
    with pytest.raises(TinylibError, match="different voxels"):
        concatenate(x, sparse_tensor(POINT + 1, torch.zeros(1, 2)))
