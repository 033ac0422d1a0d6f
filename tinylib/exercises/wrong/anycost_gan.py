"""Reference and typical wrong functions of the lab `anycost_gan`."""

import torch

from tinylib.gan import modulated

# --- sliceable modulated convolution ------------------------------------------------------------------------------------


def modulated_conv(x, weight, style, out, demodulate=True):
    c = x.shape[1]
    return modulated.modulated_conv(x, weight[:out, :c], style[:, :c], demodulate=demodulate)


def demodulates_before_slicing(x, weight, style, out, demodulate=True):
    y = modulated_conv(x, weight, style, out, False)
    return y * modulated.demodulation(weight, style)[:, :out, None, None] if demodulate else y


def demodulates_without_style(x, weight, style, out, demodulate=True):
    y = modulated_conv(x, weight, style, out, False)
    return y * torch.rsqrt(weight[:out, :x.shape[1]].square().sum((1, 2, 3)) + 1e-8)[:, None, None] if demodulate else y


def always_demodulates(x, weight, style, out, demodulate=True):
    return modulated_conv(x, weight, style, out, True)


def first_style_for_all(x, weight, style, out, demodulate=True):
    return modulated_conv(x, weight, style[:1].expand_as(style), out, demodulate)


def forgets_style(x, weight, style, out, demodulate=True):
    return modulated_conv(x, weight, torch.ones_like(style), out, demodulate)


# --- sort the channels --------------------------------------------------------------------------------------------------


def _moved(order, make_weight, make_bias, read_weight, style_weight, style_bias):
    return make_weight[order], make_bias[order], read_weight[:, order], style_weight[order], style_bias[order]


def _score(read_weight, mean_style):
    return read_weight.abs().sum((0, 2, 3)) * mean_style


def sort_channels(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style):
    order = torch.argsort(_score(read_weight, mean_style), descending=True, stable=True)
    return _moved(order, make_weight, make_bias, read_weight, style_weight, style_bias)


def forgets_style_rows(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style):
    return *sort_channels(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style)[:3], style_weight, style_bias


def forgets_bias(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style):
    moved = sort_channels(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style)
    return moved[0], make_bias, *moved[2:]


def ascending(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style):
    order = torch.argsort(_score(read_weight, mean_style), stable=True)
    return _moved(order, make_weight, make_bias, read_weight, style_weight, style_bias)


def by_maker(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style):
    order = torch.argsort(make_weight.abs().sum((1, 2, 3)), descending=True, stable=True)
    return _moved(order, make_weight, make_bias, read_weight, style_weight, style_bias)


def without_style(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style):
    order = torch.argsort(_score(read_weight, 1.0), descending=True, stable=True)
    return _moved(order, make_weight, make_bias, read_weight, style_weight, style_bias)


# --- sample configurations ----------------------------------------------------------------------------------------------


def sample_ratios(rng, layers, flexible, ratios):
    if rng.random() < flexible:
        return [float(r) for r in rng.choice(ratios, layers)]
    return [float(rng.choice(ratios))] * layers


def always_free(rng, layers, flexible, ratios):
    return sample_ratios(rng, layers, 1.0, ratios)


def always_uniform(rng, layers, flexible, ratios):
    return sample_ratios(rng, layers, 0.0, ratios)


def turned_round(rng, layers, flexible, ratios):
    return sample_ratios(rng, layers, 1 - flexible, ratios)


def never_full(rng, layers, flexible, ratios):
    return sample_ratios(rng, layers, flexible, ratios[:-1])


# --- search under a budget ----------------------------------------------------------------------------------------------


def _neighbours(here, ratios):
    return [(*here[:i], r, *here[i + 1:]) for i in range(len(here)) for r in ratios if r != here[i]]


def search_budget(error, macs, layers, ratios, budget):
    here = (min(ratios),) * layers
    if macs(here) > budget:
        raise ValueError("nothing fits the budget")
    value = error(here)
    while True:
        near = [(error(c), c) for c in _neighbours(here, ratios) if macs(c) <= budget]
        best = min(near, default=(value, here))
        if best[0] >= value:
            return list(here)
        value, here = best


def ignores_budget(error, macs, layers, ratios, budget):
    search_budget(error, macs, layers, ratios, budget)
    return search_budget(error, macs, layers, ratios, float("inf"))


def one_step_only(error, macs, layers, ratios, budget):
    here = (min(ratios),) * layers
    if macs(here) > budget:
        raise ValueError("nothing fits the budget")
    return list(min([(error(here), here), *((error(c), c) for c in _neighbours(here, ratios) if macs(c) <= budget)])[1])


def never_refuses(error, macs, layers, ratios, budget):
    return search_budget(error, macs, layers, ratios, max(budget, macs((min(ratios),) * layers)))


def first_improvement(error, macs, layers, ratios, budget):
    here = (min(ratios),) * layers
    if macs(here) > budget:
        raise ValueError("nothing fits the budget")
    while True:
        value = error(here)
        better = next((c for c in _neighbours(here, ratios) if macs(c) <= budget and error(c) < value), None)
        if better is None:
            return list(here)
        here = better


def asks_too_much(error, macs, layers, ratios, budget):
    found = search_budget(error, macs, layers, ratios, budget)
    error((max(ratios),) * layers)
    return found
