"""A masked network and a cut network are the same function: random networks, hand-made ones, and planted bugs that must show."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.prune import groups
from tinylib.prune.channel import cut_channels, importance, keep_strongest, mask_channels, shrink_to
from tinylib.prune.groups import channel_graph

SIDE = 4
IMAGE = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.float64)


class RandomNet(nn.Module):
    """A network drawn from a list of numbers: convolutions, depth-wise, grouped, norms, additions, concatenations, a linear head."""

    def __init__(self, draws: list[tuple[int, int]], pooled: bool, smooth: bool):
        super().__init__()
        self.steps, self.layers, widths = [], nn.ModuleList(), [3]
        for kind, pick in draws:
            source = pick % len(widths)
            self._grow(kind % 8, source, widths, pick, smooth)
        self.pooled, self.source = pooled, len(widths) - 1
        self.head = nn.Linear(widths[-1] * (1 if pooled else SIDE * SIDE), 5)

    def _grow(self, kind, source, widths, pick, smooth):
        c = widths[source]
        made = {
            0: lambda: nn.Conv2d(c, 4, 3, padding=1), 1: lambda: nn.Conv2d(c, 6, 1, bias=False),
            2: lambda: nn.Conv2d(c, c * (1 + pick % 2), 3, padding=1, groups=c), 3: lambda: nn.BatchNorm2d(c, eps=0.0),
            4: lambda: nn.Sigmoid() if smooth else nn.ReLU(),
            5: lambda: nn.Conv2d(c, 4, 3, padding=1, groups=2) if c % 2 == 0 else nn.Identity(),
        }
        if kind in made:
            layer = made[kind]()
            self.layers.append(layer)
            self.steps.append(("layer", len(self.layers) - 1, source))
            widths.append(getattr(layer, "out_channels", c))
            return
        others = [i for i, w in enumerate(widths) if w == c or kind == 7]
        other = others[pick % len(others)]
        self.steps.append(("add" if kind == 6 else "cat", other, source))
        widths.append(c if kind == 6 else c + widths[other])

    def forward(self, x):
        made = [x]
        for what, which, source in self.steps:
            if what == "layer":
                made.append(self.layers[which](made[source]))
            elif what == "add":
                made.append(made[source] + made[which])
            else:
                made.append(torch.cat([made[source], made[which]], 1))
        x = made[self.source]
        return self.head(x.mean((2, 3)) if self.pooled else torch.flatten(x, 1))


def fill(model, rng, whole):
    """Small whole numbers (so that float64 is exact) or normal numbers, norms included."""
    model.double().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.dim() == 0:
                continue
            drawn = rng.integers(-1, 2, tensor.shape) if whole else rng.normal(size=tensor.shape)
            if "running_var" in name:
                drawn = np.ones(tensor.shape) if whole else rng.uniform(0.5, 2.0, tensor.shape)
            tensor.copy_(torch.from_numpy(np.asarray(drawn, dtype=np.float64)))
    return model


def random_kept(graph, rng):
    kept = {}
    for group in graph.groups:
        count = rng.integers(1, group.size + 1)
        kept[group.name] = sorted(rng.choice(group.size, count, replace=False).tolist())
    return kept


def gap(model, example, kept, x):
    """(largest difference between masked and cut, scale of the output)"""
    with torch.no_grad():
        masked, cut = mask_channels(model, example, kept)(x), cut_channels(model, example, kept)(x)
    return float((masked - cut).abs().max()), float(masked.abs().max())


nets = st.tuples(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 50)), min_size=1, max_size=9), st.booleans(), st.integers(0, 2**31))


@settings(max_examples=80, deadline=None)
@given(nets)
def test_masked_equals_cut_exactly_with_whole_numbers(net):
    draws, pooled, seed = net
    rng = np.random.default_rng(seed)
    model = fill(RandomNet(draws, pooled, smooth=False), rng, whole=True)
    x = torch.from_numpy(rng.integers(-2, 3, (2, 3, SIDE, SIDE)).astype(np.float64))
    difference, scale = gap(model, IMAGE, random_kept(channel_graph(model, IMAGE), rng), x)
    assert scale < 2**50 and difference == 0.0


@settings(max_examples=60, deadline=None)
@given(nets)
def test_masked_equals_cut_to_rounding(net):
    draws, pooled, seed = net
    rng = np.random.default_rng(seed)
    model = fill(RandomNet(draws, pooled, smooth=True), rng, whole=False)
    x = torch.from_numpy(rng.normal(size=(2, 3, SIDE, SIDE)))
    difference, scale = gap(model, IMAGE, random_kept(channel_graph(model, IMAGE), rng), x)
    assert difference <= 1e-12 * max(scale, 1.0)


@settings(max_examples=40, deadline=None)
@given(nets)
def test_the_model_is_left_alone_and_keeping_all_changes_nothing(net):
    draws, pooled, seed = net
    rng = np.random.default_rng(seed)
    model = fill(RandomNet(draws, pooled, smooth=False), rng, whole=False).train()
    before = copy.deepcopy(model.state_dict())
    graph = channel_graph(model, IMAGE)
    same = cut_channels(model, IMAGE, {g.name: list(range(g.size)) for g in graph.groups})
    cut_channels(model, IMAGE, random_kept(graph, rng))
    assert model.training
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    assert all(torch.equal(before[n], t) for n, t in same.state_dict().items())


class Block(nn.Module):
    """Stem, one inverted residual, a second branch joined by concatenation, flatten, linear: every coupling once."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, eps=0.0)
        self.expand, self.depth, self.project = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 4, 1)
        self.side = nn.Conv2d(4, 2, 1)
        self.head = nn.Linear(6 * SIDE * SIDE, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        y = x + self.project(torch.relu(self.depth(torch.relu(self.expand(x)))))
        y = torch.cat([y, self.side(y)], dim=1)
        return self.head(y.view(y.size(0), -1))


def test_the_groups_of_a_block_by_hand():
    graph = channel_graph(Block().double(), IMAGE)
    assert {g.name: (g.size, set(g.rows), set(g.columns)) for g in graph.groups} == {
        "stem": (4, {"stem", "norm", "project"}, {"expand", "side", "head"}),
        "expand": (8, {"expand", "depth"}, {"project"}),
        "side": (2, {"side"}, {"head"}),
    }
    pixels = SIDE * SIDE
    assert graph.group("side").columns["head"] == (tuple(range(4 * pixels, 5 * pixels)), tuple(range(5 * pixels, 6 * pixels)))
    assert graph.fixed == {"head": "the network's output"}


def test_counts_after_a_cut_by_hand():
    small = cut_channels(Block().double(), IMAGE, {"stem": [0, 3], "expand": [1, 2, 5], "side": [1]})
    shapes = {n: tuple(p.shape) for n, p in small.named_parameters() if n.endswith("weight")}
    assert shapes == {"stem.weight": (2, 3, 3, 3), "norm.weight": (2,), "expand.weight": (3, 2, 1, 1), "depth.weight": (3, 1, 3, 3),
                      "project.weight": (2, 3, 1, 1), "side.weight": (1, 2, 1, 1), "head.weight": (5, 48)}
    assert (small.depth.groups, small.depth.in_channels, small.depth.out_channels) == (3, 3, 3)
    assert small.norm.num_features == 2 and small.head.in_features == 48
    assert type(small) is Block


@pytest.mark.parametrize("bug", ["flatten", "concat", "residual", "importance of its own filter"])
def test_planted_bugs_show(monkeypatch, bug):
    rng = np.random.default_rng(1)
    model = fill(Block(), rng, whole=False)
    x = torch.from_numpy(rng.normal(size=(2, 3, SIDE, SIDE)))
    kept = {"stem": [0, 3], "expand": [1, 2, 5], "side": [1]}
    assert gap(model, IMAGE, kept, x)[0] < 1e-10
    if bug == "flatten":                                     # the columns of a flatten taken as interleaved
        monkeypatch.setattr(groups.np, "repeat", lambda labels, times: np.tile(labels, times))
    elif bug == "concat":                                    # the branches in the wrong order
        monkeypatch.setattr(groups.np, "concatenate", lambda parts: np.hstack(parts[::-1]))
    elif bug == "residual":                                  # the two sides of an addition not tied
        monkeypatch.setattr(groups.Labels, "_elementwise", lambda self, sources: self.of[sources[0]])
    else:
        assert not torch.allclose(importance(model, channel_graph(model, IMAGE).group("expand")),
                                  model.expand.weight.detach().flatten(1).norm(dim=1))
        return
    try:
        assert gap(model, IMAGE, kept, x)[0] > 1e-6
    except (RuntimeError, TinylibError):
        pass                                                 # the cut network does not even run


def test_importance_by_hand():
    model = Block().double()
    with torch.no_grad():
        model.project.weight.copy_(torch.arange(32, dtype=torch.float64).view(4, 8, 1, 1))
    got = importance(model, channel_graph(model, IMAGE).group("expand"))
    want = [sum((8 * k + c) ** 2 for k in range(4)) ** 0.5 for c in range(8)]
    assert torch.allclose(got, torch.tensor(want, dtype=torch.float64), rtol=1e-12)


def test_keep_strongest_counts_ties_and_multiples():
    model = Block().double()
    with torch.no_grad():
        model.project.weight.fill_(1.0)
    graph = channel_graph(model, IMAGE)
    assert keep_strongest(model, graph, {"expand": 0.5}) == {"expand": [0, 1, 2, 3]}
    assert keep_strongest(model, graph, {"expand": 0.01}) == {"expand": [0]}
    assert len(keep_strongest(model, graph, {"expand": 0.3}, multiple=4)["expand"]) == 4
    assert len(keep_strongest(model, graph, {"stem": 1.0}, multiple=8)["stem"]) == 4


def test_shrink_to_meets_the_budget_and_one_step_more_would_not():
    model, count = Block().double(), lambda m: sum(p.numel() for p in m.parameters())
    kept = shrink_to(model, IMAGE, count, 0.5 * count(model))
    assert count(cut_channels(model, IMAGE, kept)) <= 0.5 * count(model)
    with pytest.raises(TinylibError, match="smallest cut"):
        shrink_to(model, IMAGE, count, 3)


class Odd(nn.Module):
    """Operations that mix channels: nothing before them may be cut."""

    def __init__(self, what):
        super().__init__()
        self.what, self.a, self.b = what, nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.norm, self.head = nn.GroupNorm(2, 4), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(1, 4, 1, 1))

    def forward(self, x):
        x = self.a(x)
        if self.what == "group norm":
            x = self.norm(x)
        elif self.what == "softmax":
            x = torch.softmax(x, 1)
        elif self.what == "shuffle":
            x = x.view(x.size(0), 2, 2, SIDE, SIDE).transpose(1, 2).reshape(x.size(0), 4, SIDE, SIDE)
        elif self.what == "chunk":
            one, other = x.chunk(2, 1)
            x = torch.cat([other, one], 1)
        elif self.what == "size":
            x = x / x.size(1)
        elif self.what == "parameter":
            x = x * self.scale
        elif self.what == "fixed view":
            return self.head(self.b(x).mean((2, 3)).view(-1, 4)) + x.mean((1, 2, 3)).view(-1, 1)
        return self.head(self.b(x).mean((2, 3)))


@pytest.mark.parametrize("what", ["group norm", "softmax", "shuffle", "chunk", "size", "parameter", "fixed view"])
def test_what_mixes_channels_pins_them_and_is_named(what):
    graph = channel_graph(Odd(what).double(), IMAGE)
    assert "a" in graph.fixed and graph.fixed["a"].strip()
    assert ("b" in {g.name for g in graph.groups}) == (what != "fixed view")


def test_a_layer_used_twice_is_tied_to_itself():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.same, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.same(torch.relu(self.same(self.stem(x)))).mean((2, 3)))

    rng = np.random.default_rng(0)
    model = fill(Twice(), rng, whole=True)
    graph = channel_graph(model, IMAGE)
    assert [set(g.rows) for g in graph.groups] == [{"stem", "same"}]
    assert gap(model, IMAGE, {"stem": [1, 2]}, torch.ones(1, 3, SIDE, SIDE, dtype=torch.float64))[0] == 0.0


def test_errors_name_the_remedy():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(TinylibError, match="cannot be traced"):
        channel_graph(Branch(), IMAGE)
    model = Block().double()
    with pytest.raises(TinylibError, match="Known: stem"):
        cut_channels(model, IMAGE, {"nose": [0]})
    for wrong in ([], [1, 0], [0, 0], [4], [-1]):
        with pytest.raises(TinylibError, match="at least one"):
            cut_channels(model, IMAGE, {"stem": wrong})
