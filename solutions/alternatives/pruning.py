"""A second right answer to each exercise of the lab pruning, written another way."""

import copy

import torch


def magnitude_mask(weight, sparsity):
    """Python's own sort on pairs."""
    values = weight.flatten().tolist()
    ranked = sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))
    kept = set(ranked[: round((1 - sparsity) * len(values))])
    return torch.tensor([i in kept for i in range(len(values))], dtype=torch.bool).reshape(weight.shape)


def two_four_mask(weight):
    """Each weight counts those of its four that come before it in the ranking; fewer than two: it stays."""
    size = weight.abs().unflatten(1, (-1, 4))                     # (k, c/4, 4, ...)
    one, other = size.unsqueeze(2), size.unsqueeze(3)             # other x one
    place = torch.arange(4).view(1, 1, 4, *[1] * (weight.dim() - 2))
    earlier = place.unsqueeze(2) < place.unsqueeze(3)
    before = (one > other) | ((one == other) & earlier)
    return (before.sum(3) < 2).flatten(1, 2)


def sensitivity_scan(weights, sparsities, evaluate, mask):
    """All copies first; restored in a finally."""
    saved = {name: weight.detach().clone() for name, weight in weights.items()}

    def score(name, sparsity):
        try:
            weights[name].data[~mask(saved[name], sparsity)] = 0.0
            return evaluate()
        finally:
            weights[name].data[...] = saved[name]

    return {name: [score(name, s) for s in sparsities] for name in weights}


def coupled(graph, layer, channel):
    """Sets that are merged as the graph is read."""
    sets, out = [], {}

    def of(label):
        return next(s for s in sets if label in s)

    for name, kind, sources, channels in graph:
        if kind in ("conv", "input"):
            out[name] = [(name, i) for i in range(channels)]
            sets.extend({label} for label in out[name])
            continue
        out[name] = [label for source in (sources if kind == "concat" else sources[:1]) for label in out[source]]
        if kind == "add":
            for a, b in zip(out[sources[0]], out[sources[1]]):
                one, other = of(a), of(b)
                if one is not other:
                    sets.remove(other)
                    one |= other
        if kind in ("norm", "depthwise"):
            for i, label in enumerate(out[name]):
                of(label).add((name, i))
    return of(out[layer][channel])


def cut_channels(conv, norm, depthwise, head, keep):
    """Copies whose tensors are cut in place."""
    conv, norm, depthwise, head = (copy.deepcopy(m) for m in (conv, norm, depthwise, head))
    pixels = head.in_features // conv.out_channels
    columns = (keep[:, None] * pixels + torch.arange(pixels)).flatten()
    for layer in (conv, norm, depthwise):
        for name, tensor in list(layer.named_parameters()) + list(layer.named_buffers()):
            if tensor.dim():
                getattr(layer, name).data = tensor.data.index_select(0, keep)
    head.weight.data = head.weight.data.index_select(1, columns)
    depthwise.groups = len(keep)
    return conv, norm, depthwise, head


ALTERNATIVES = {
    "pruning.magnitude_mask": magnitude_mask, "pruning.two_four_mask": two_four_mask, "pruning.sensitivity_scan": sensitivity_scan,
    "pruning.coupled": coupled, "pruning.cut_channels": cut_channels,
}
