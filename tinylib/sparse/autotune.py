"""Every layer of a network gets its own grouping: run sample clouds once, keep what each layer saw, take the plan of least cost."""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.sparse.conv import SparseConv3d, convolve
from tinylib.sparse.kernel_map import KernelMap
from tinylib.sparse.tensor import SparseTensor
from tinylib.sparse.tune import THRESHOLDS, TOLERANCES, MatmulModel, Plan, group_offsets, tune

Seen = list[tuple[Tensor, KernelMap]]
Cost = Callable[[SparseConv3d, Tensor, KernelMap, Plan], float]


@torch.no_grad()
def seen_by_layers(net: nn.Module, samples: Sequence[SparseTensor]) -> dict[str, Seen]:
    """For each sparse convolution, by name, the features and the kernel map it met in every sample."""
    seen = {name: [] for name, layer in net.named_modules() if isinstance(layer, SparseConv3d)}
    hooks = [net.get_submodule(name).register_forward_pre_hook(lambda layer, args, keep=keep: keep.append((args[0].feats, layer.map_of(args[0]))))
             for name, keep in seen.items()]
    try:
        for sample in samples:
            net(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def measured_ms(layer: SparseConv3d, feats: Tensor, kmap: KernelMap, plan: Plan, *, repeat: int = 3) -> float:
    """Fastest of `repeat` runs of the layer with a plan, in milliseconds on this machine."""
    times = []
    with torch.no_grad():
        for _ in range(repeat):
            start = time.perf_counter()
            convolve(feats, layer.weight, kmap, plan)
            times.append((time.perf_counter() - start) * 1e3)
    return min(times)


def modelled_us(model: MatmulModel) -> Cost:
    """The cost of a layer by a model of the machine, in microseconds."""
    return lambda layer, feats, kmap, plan: model.time_us(
        group_offsets(kmap.sizes.tolist(), plan.tolerance, plan.threshold, centre=kmap.centre), layer.c_in, layer.c_out)


def tune_layers(net: nn.Module, samples: Sequence[SparseTensor], *, cost: Cost = measured_ms, tolerances: Sequence[float] = TOLERANCES,
                thresholds: Sequence[int] = THRESHOLDS) -> dict[str, dict[Plan, float]]:
    """Sets `plan` of every sparse convolution in `net` to the cheapest over the samples; gives the costs of all plans, by layer.

    Set `layer.plan = None` to return to the fused form.
    """
    if not samples or not any(isinstance(layer, SparseConv3d) for layer in net.modules()):
        raise TinylibError("tuning needs a network with sparse convolutions and at least one sample cloud")
    costs = {}
    for name, met in seen_by_layers(net, samples).items():
        layer = net.get_submodule(name)
        total = lambda plan, layer=layer, met=met: sum(cost(layer, feats, kmap, plan) for feats, kmap in met)
        layer.plan, costs[name] = tune(total, tolerances=tolerances, thresholds=thresholds)
    return costs
