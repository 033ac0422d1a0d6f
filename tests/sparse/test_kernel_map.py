"""Maps against brute force as sets for each offset: three look-ups, negative coordinates, batches, even kernels, crafted collisions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.sparse import lookup
from tinylib.sparse.kernel_map import kernel_map, offsets
from tinylib.sparse.tensor import downsample

METHODS = ["grid", "sort", "hash"]


def cloud(n, *, side=6, batches=2, seed=0, ordered=False):
    """n different coordinates around the origin, negative ones too, in any order."""
    rng = np.random.default_rng(seed)
    cells = batches * side**3
    rows = np.stack(np.unravel_index(rng.permutation(cells)[:n], (batches, side, side, side)), 1)
    rows[:, 1:] -= side // 2
    return torch.from_numpy(rows[np.lexsort(rows.T[::-1])] if ordered else rows)


def brute_force(source, target, shifts, stride):
    """Sets of (input, output) for each offset, by comparing everything with everything."""
    rows = {tuple(p): j for j, p in enumerate(source.tolist())}
    out = []
    for d in shifts.tolist():
        wanted = [(b, *(s * c + o for s, c, o in zip(stride, q, d))) for b, *q in target.tolist()]
        out.append({(rows[w], k) for k, w in enumerate(wanted) if w in rows})
    return out


def as_sets(kmap):
    return [set(zip(*(side.tolist() for side in kmap.offset(d)))) for d in range(len(kmap.sizes))]


CASES = [(3, 1, 1), (2, 1, 1), (2, 2, 1), (3, 2, 1), (3, 1, 2), (3, 2, 2), (4, 2, 1), (5, 1, 1), (1, 1, 1), ((3, 1, 2), (2, 1, 3), (1, 2, 2)),
         ((3, 1, 1), (2, 1, 1), 1)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kernel, stride, dilation", CASES)
@pytest.mark.parametrize("ordered", [False, True])
def test_maps_equal_brute_force(kernel, stride, dilation, method, ordered):
    source = cloud(90, ordered=ordered)
    steps = (stride,) * 3 if isinstance(stride, int) else stride
    for semantics in ("floor", "window"):
        target = source if steps == (1, 1, 1) else downsample(source, stride, semantics=semantics, kernel=kernel, dilation=dilation)
        kmap = kernel_map(source, target, kernel=kernel, stride=stride, dilation=dilation, method=method)
        expected = brute_force(source, target, offsets(kernel, dilation), steps)
        assert as_sets(kmap) == expected and kmap.pairs == sum(map(len, expected)), "no pair twice, none missing"
        assert [sorted(a.tolist()) == a.tolist() for _, a in map(kmap.offset, range(len(kmap.sizes)))] == [True] * len(kmap.sizes)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 8), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["auto", *METHODS]), st.integers(0, 9))
def test_any_two_clouds(n, side, kernel, stride, dilation, method, seed):
    source, target = cloud(min(n, 2 * side**3), side=side, seed=seed), cloud(min(17, 2 * side**3), side=side, seed=seed + 1)
    kmap = kernel_map(source, target, kernel=kernel, stride=stride, dilation=dilation, method=method)
    assert as_sets(kmap) == brute_force(source, target, offsets(kernel, dilation), (stride,) * 3)


def test_offsets_and_their_order():
    assert offsets(2).tolist()[:3] == [[0, 0, 0], [0, 0, 1], [0, 1, 0]] and offsets(2).max() == 1
    assert sorted({x for x, _, _ in offsets(4).tolist()}) == [-1, 0, 1, 2]
    for kernel in (1, 3, 5, (3, 1, 5)):
        assert torch.equal(offsets(kernel, 2), -offsets(kernel, 2).flip(0)), "opposites stand at i and K - 1 - i"


def test_symmetry_and_identity():
    source = cloud(120)
    kmap = kernel_map(source, source.clone(), kernel=3, dilation=2)
    sets = as_sets(kmap)
    assert kmap.same and kmap.centre == 13
    assert all({(k, j) for j, k in sets[d]} == sets[26 - d] for d in range(27))
    inputs, outputs = kmap.offset(13)
    assert torch.equal(inputs, outputs) and torch.equal(inputs, torch.arange(120))
    assert kernel_map(source, source, kernel=2).centre is None


def test_reversed_swaps_roles_and_sorts():
    source = cloud(100)
    kmap = kernel_map(source, downsample(source, 2), kernel=3, stride=2)
    back = kmap.reversed
    assert as_sets(back) == [{(k, j) for j, k in s} for s in as_sets(kmap)]
    assert (back.n_inputs, back.n_outputs) == (kmap.n_outputs, kmap.n_inputs)
    assert all(torch.equal(o, o.sort().values) for _, o in map(back.offset, range(27)))
    assert as_sets(back.reversed) == as_sets(kmap)


def test_orders_by_row_are_stable():
    source = cloud(100)
    kmap = kernel_map(source, downsample(source, 2), kernel=3, stride=2)
    assert torch.equal(kmap.by_input, kmap.inputs.argsort(stable=True)) and torch.equal(kmap.by_output, kmap.outputs.argsort(stable=True))


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_empty_clouds_and_one_point(method):
    none, one = torch.zeros(0, 4, dtype=torch.int64), torch.tensor([[3, -7, 0, 2]])
    for source, target in ((none, none), (none, one), (one, none)):
        assert kernel_map(source, target, kernel=3, method=method).pairs == 0
    assert as_sets(kernel_map(one, one, kernel=3, method=method))[13] == {(0, 0)}
    assert kernel_map(one, one, kernel=3, method=method).pairs == 1


@pytest.mark.parametrize("method", METHODS)
def test_batches_do_not_see_each_other(method):
    xyz = cloud(50, batches=1)[:, 1:]
    both = torch.cat([torch.cat([torch.full((50, 1), b), xyz], 1) for b in (0, 1)])
    single = kernel_map(both[:50], both[:50], kernel=3, method=method)
    assert as_sets(kernel_map(both, both, kernel=3, method=method)) == [s | {(j + 50, k + 50) for j, k in s} for s in as_sets(single)]


@pytest.mark.parametrize("method", METHODS)
def test_a_row_of_cells_does_not_wrap_to_the_next(method):
    source = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 9], [0, 0, 1, 0], [0, 0, 1, 9], [1, 0, 0, 0]])
    assert kernel_map(source, source, kernel=3, method=method).pairs == 5 + 4, "(0,0,0)-(0,1,0) and (0,0,9)-(0,1,9), both ways"


def colliding(n, size=64):
    """n different cells whose codes fall on one slot of a table of `size` slots."""
    found = []
    for x in range(100_000):
        if int(lookup.mixed(0, x, 0, 0)) % size == 0:
            found.append([0, x, 0, 0])
            if len(found) == n:
                return torch.tensor(found)
    raise AssertionError("no collisions found")


def test_a_crafted_collision_costs_a_step_and_never_a_wrong_neighbour():
    cells = colliding(40, size=128)
    source, absent = cells[:20], cells[20:]
    assert as_sets(kernel_map(source, source, kernel=3, method="hash")) == brute_force(source, source, offsets(3), (1, 1, 1))
    assert kernel_map(source, absent, kernel=1, method="hash").pairs == 0

    def silent(source, target, slots=128):
        table = {int(lookup.mixed(*row)) % slots: j for j, row in enumerate(source.tolist())}
        return sum(int(lookup.mixed(*row)) % slots in table for row in target.tolist())

    assert silent(source, absent) == 20, "a table that stores codes only finds every absent cell"


def test_far_apart_points_use_the_hash_and_other_methods_say_so():
    far = torch.tensor([[0, -2**40, -2**40, -2**40], [0, 2**40, 2**40, 2**40], [0, 2**40, 2**40, 2**40 + 1]])
    assert kernel_map(far, far, kernel=3).pairs == 5
    with pytest.raises(TinylibError, match="'hash'"):
        kernel_map(far, far, kernel=3, method="sort")
    wide = torch.tensor([[0, 0, 0, 0], [0, 10**6, 10**6, 3]])
    with pytest.raises(TinylibError, match="GiB"):
        kernel_map(wide, wide, kernel=3, method="grid")
    assert kernel_map(wide, wide, kernel=3).pairs == 2


def test_mistakes_are_named():
    good = cloud(4)
    for bad in (good[:, :3], good.double(), good[0]):
        with pytest.raises(TinylibError, match="whole numbers"):
            kernel_map(bad, good, kernel=3)
    with pytest.raises(TinylibError, match="method"):
        kernel_map(good, good, kernel=3, method="magic")
    with pytest.raises(TinylibError, match="kernel"):
        kernel_map(good, good, kernel=0)


def codes(places, shift=32):
    """How many different 64-bit codes the rows have, mixed as `lookup.mixed` does, in Python's whole numbers."""
    found = set()
    for place in places:
        code = 0xCBF29CE484222325
        for word in place:
            code = (code ^ word % 2**64) * 0x9E3779B97F4A7C15 % 2**64
            code ^= code >> shift if shift else 0
        found.add(code)
    return len(found)


def test_coordinates_of_either_sign_get_codes_of_their_own():
    places = [(0, x, y, z) for x in range(-12, 12) for y in range(-12, 12) for z in range(-4, 4)]
    assert len({int(lookup.mixed(*p)) for p in places}) == codes(places) == len(places)
    assert codes(places, shift=0) < len(places)             # the planted bug: without the shift, signs undo each other
