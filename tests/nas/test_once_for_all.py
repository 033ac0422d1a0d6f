"""The super-network: the largest is a plain network, a cut equals the slice, sorting keeps the function, and the cost formula is the meter's."""

import numpy as np
import pytest
import torch
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.profile import profile
from tinylib.nas.elastic import ElasticBatchNorm2d
from tinylib.nas.once_for_all import Shape, SuperNet, narrowed, phases, resized, shrinking_loss
from tinylib.nn.blocks import InvertedResidual
from tinylib.nn.layers import ConvBNAct

SMALL = Shape(stem=4, stages=((6, 1), (8, 2)), head=12, resolutions=(12, 16), depths=(1, 2), expands=(2, 3), kernels=(3, 5))


def net(seed=0):
    torch.manual_seed(seed)
    made = SuperNet(SMALL)
    with torch.no_grad():
        for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
            if "running_var" in name:
                tensor.copy_(torch.rand_like(tensor) + 0.5)
            elif tensor.is_floating_point():
                tensor.add_(0.2 * torch.randn_like(tensor))
    return made.eval()


def images(resolution=16):
    return torch.randn(3, 1, resolution, resolution, generator=torch.Generator().manual_seed(1))


class Plain(nn.Module):
    """The largest network written out by hand, without elastic layers."""

    def __init__(self):
        super().__init__()
        self.stem = ConvBNAct(1, 4, 3, stride=2)
        self.body = nn.Sequential(InvertedResidual(4, 6, expand=3, kernel=5), InvertedResidual(6, 6, expand=3, kernel=5),
                                  InvertedResidual(6, 8, stride=2, expand=3, kernel=5), InvertedResidual(8, 8, expand=3, kernel=5))
        self.head, self.classifier = ConvBNAct(8, 12, 1), nn.Linear(12, 10)

    def forward(self, x):
        return self.classifier(self.head(self.body(self.stem(x))).mean((2, 3)))


def test_the_largest_network_is_the_plain_one():
    made, plain = net(), Plain().eval()
    source = dict(made.state_dict())
    target = plain.state_dict()
    names = {"expand.conv.weight": "expand.weight", "depthwise.conv.weight": "depthwise.weight", "project.conv.weight": "project.weight"}
    for key in target:
        if key.startswith("body."):
            _, index, rest = key.split(".", 2)
            block = ("0_0", "0_1", "1_0", "1_1")[int(index)]
            part, kind, leaf = rest.split(".")
            norm = {"expand": "bn1", "depthwise": "bn2", "project": "bn3"}[part]
            rest = names.get(rest, f"{norm}.{leaf}" if kind == "bn" else rest)
            target[key] = source[f"blocks.{block}.{rest}"]
        else:
            target[key] = source[key]
    plain.load_state_dict(target)
    x = images()
    assert torch.equal(plain(x), made(x, SMALL.largest()))
    assert not torch.equal(plain(x), made(x, {**SMALL.largest(), "kernel1.1": 3})), "a smaller kernel is seen"


@pytest.mark.parametrize("seed", range(6))
def test_extracted_equals_sliced_bit_for_bit(seed):
    made = net(seed)
    chosen = made.space.sample(np.random.default_rng(seed))
    x = images(chosen["resolution"])
    plain = made.extract(chosen)
    assert torch.equal(plain(x), made(x, chosen))
    with torch.no_grad():
        for p in plain.parameters():
            p.zero_()
    assert made.stem.conv.weight.abs().sum() > 0, "the extracted network owns its weights"


def test_a_cut_from_the_wrong_end_would_be_seen(monkeypatch):
    """Planted bug: a norm that hands out its last channels."""
    made, chosen = net(), SMALL.space().canonical({g.name: min(g.values) for g in SMALL.space().genes})
    right = ElasticBatchNorm2d.extract

    def last(self, channels):
        cut, whole = right(self, channels), right(self, self.num_features)
        cut.running_mean.copy_(whole.running_mean[-channels:])
        return cut

    x = images(chosen["resolution"])
    assert torch.equal(made.extract(chosen)(x), made(x, chosen))
    monkeypatch.setattr(ElasticBatchNorm2d, "extract", last)
    assert not torch.equal(made.extract(chosen)(x), made(x, chosen))


def test_sorting_leaves_the_largest_network():
    made = net().double()
    x = images().double()
    before = made(x, SMALL.largest())
    made.sort()
    assert torch.allclose(made(x, SMALL.largest()), before, rtol=0, atol=1e-12 * before.abs().max().item())
    block = made.blocks["1_0"]
    with torch.no_grad():
        block.bn2.running_mean.copy_(block.bn2.running_mean.flip(0))
    assert not torch.allclose(made(x, SMALL.largest()), before), "a forgotten statistic is seen"


def test_sorting_again_keeps_the_trained_set():
    made = net()
    made.sort()
    kept = {name: block.project.weight[:, :2 * block.c_in].detach().clone() for name, block in made.blocks.items()}
    made.sort(kept=(2,))
    for name, block in made.blocks.items():
        columns = {tuple(c.flatten().tolist()) for c in block.project.weight[:, :2 * block.c_in].transpose(0, 1)}
        assert columns == {tuple(c.flatten().tolist()) for c in kept[name].transpose(0, 1)}


def macs_by_formula(shape, chosen):
    """MACs written out: stem, then 1x1, depth-wise, 1x1 for each block, head, classifier."""
    side = -(-chosen["resolution"] // 2)
    total, before = shape.c_in * shape.stem * 9 * side**2, shape.stem
    for s, j, kernel, expand in shape.blocks(chosen):
        channels, stride = shape.stages[s]
        hidden, small = before * expand, -(-side // (stride if j == 0 else 1))
        total += before * hidden * side**2 + hidden * kernel**2 * small**2 + hidden * channels * small**2
        side, before = small, channels
    return total + before * shape.head * side**2 + shape.head * shape.classes


@pytest.mark.parametrize("seed", range(4))
def test_macs_by_formula_are_the_meter_s(seed):
    made = net()
    chosen = made.space.sample(np.random.default_rng(seed))
    cost = profile(made.extract(chosen), images(chosen["resolution"])[:1])
    assert cost.macs == macs_by_formula(SMALL, chosen)
    assert cost.macs != macs_by_formula(SMALL, {**chosen, "kernel0.0": 8 - chosen["kernel0.0"]})


def test_the_space_has_the_size_of_the_formula():
    shape = Shape()
    assert shape.space().size() == 3 * sum(9**d for d in (1, 2, 3)) ** 2


def test_phases_open_kernel_then_depth_then_width():
    names = [name for name, _, _ in phases(Shape())]
    assert names == ["kernel", "depth 1", "depth 2", "width 1", "width 2"]
    sizes = [narrowed(Shape().space(), allowed).size() for _, allowed, _ in phases(Shape())]
    assert sizes == sorted(sizes) and sizes[-1] == Shape().space().size() and len(set(sizes)) == 5


def test_shrinking_trains_only_what_the_phase_allows():
    made = net().train()
    space = narrowed(made.space, {"kernel": (3,), "depth": (1,), "expand": (2,)})
    shrinking_loss(made, space, np.random.default_rng(0), count=2, teacher=net())(made, images(), torch.tensor([0, 1, 2])).backward()
    block = made.blocks["0_0"]
    assert block.expand.weight.grad[:8].abs().sum() > 0 and (block.expand.weight.grad[8:] == 0).all()
    assert made.blocks["0_1"].expand.weight.grad is None, "a skipped block gets no gradient"


def test_images_change_size_only_when_they_must():
    x = images(16)
    assert resized(x, 16) is x and resized(x, 12).shape == (3, 1, 12, 12)


def test_an_expansion_of_one_is_refused():
    with pytest.raises(TinylibError, match="expansion below 2"):
        SuperNet(Shape(expands=(1, 2)))
