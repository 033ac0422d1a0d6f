"""Each layer meets its own maps and gets its own plan; the network's result stays."""

import pytest
import torch
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.sparse.autotune import measured_ms, modelled_us, seen_by_layers, tune_layers
from tinylib.sparse.conv import OnFeatures, SparseConv3d
from tinylib.sparse.tensor import sparse_tensor
from tinylib.sparse.tune import MatmulModel, Plan, group_offsets, launches, padded_macs


def sample(seed):
    coords = torch.unique(torch.randint(-8, 8, (300, 4), generator=torch.Generator().manual_seed(seed)) * torch.tensor([0, 1, 1, 1]), dim=0)
    return sparse_tensor(coords, torch.randn(len(coords), 3, generator=torch.Generator().manual_seed(seed)))


def network():
    make = lambda *args, **options: SparseConv3d(*args, generator=torch.Generator().manual_seed(0), **options)
    return nn.Sequential(make(3, 8), OnFeatures(nn.ReLU()), make(8, 8, 2, stride=2), make(8, 4, 2, stride=2, transposed=True))


def test_layers_see_their_maps():
    samples, net = [sample(0), sample(1)], network()
    seen = seen_by_layers(net, samples)
    assert list(seen) == ["0", "2", "3"] and all(len(met) == 2 for met in seen.values())
    for (feats, kmap), x in zip(seen["0"], samples):
        assert feats is x.feats and kmap.same and kmap.n_inputs == len(x)
    assert seen["3"][0][1] is seen["2"][0][1].reversed, "the way up uses the map of the way down"
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_tuned_by_a_model_and_the_result_stays():
    samples, net = [sample(0), sample(1)], network()
    with torch.no_grad():
        before = net(samples[0]).feats
        dear, cheap = MatmulModel(launch_us=1e6, gmacs=1.0, half_rows=0), MatmulModel(launch_us=0, gmacs=1.0, half_rows=0)
        for model, counted in ((dear, launches), (cheap, lambda groups: padded_macs(groups, 1, 1))):
            costs = tune_layers(net, samples, cost=modelled_us(model))
            for name, met in seen_by_layers(net, samples).items():
                plan = net.get_submodule(name).plan
                totals = {p: sum(counted(group_offsets(k.sizes.tolist(), p.tolerance, p.threshold, centre=k.centre)) for _, k in met) for p in costs[name]}
                assert costs[name][plan] == min(costs[name].values()) and totals[plan] == min(totals.values())
            assert torch.allclose(net(samples[0]).feats, before, atol=1e-5)


def test_measuring_gives_milliseconds():
    x, layer = sample(0), SparseConv3d(3, 8)
    assert measured_ms(layer, x.feats, layer.map_of(x), Plan(0.3, 1000), repeat=2) > 0
    costs = tune_layers(layer, [x], tolerances=(0.0, 1.0), thresholds=(0, 2**62))
    assert len(costs[""]) == 4 and layer.plan in costs[""]


def test_mistakes_are_named():
    for net, samples in ((nn.ReLU(), [sample(0)]), (network(), [])):
        with pytest.raises(TinylibError, match="at least one sample"):
            tune_layers(net, samples)
