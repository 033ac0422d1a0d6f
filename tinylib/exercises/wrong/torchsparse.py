"""Typical wrong answers of the lab `torchsparse`, and plain right ones that they vary."""

from itertools import product

import torch

# --- coarser ------------------------------------------------------------------------------------------------------------


def truncates(coords, factor):
    cells = torch.cat([coords[:, :1], (coords[:, 1:] / factor).long()], 1)
    return torch.unique(cells, dim=0)


def merges_scans(coords, factor):
    return torch.unique(torch.div(coords, factor, rounding_mode="floor"), dim=0)


def keeps_doubles(coords, factor):
    cells = torch.cat([coords[:, :1], torch.div(coords[:, 1:], factor, rounding_mode="floor")], 1)
    order = sorted(range(len(cells)), key=lambda i: cells[i].tolist())
    return cells[order]


def stays_on_the_fine_grid(coords, factor):
    cells = torch.cat([coords[:, :1], torch.div(coords[:, 1:], factor, rounding_mode="floor") * factor], 1)
    return torch.unique(cells, dim=0)


# --- kernel map ---------------------------------------------------------------------------------------------------------


def mapped(source, target, kernel, stride, dilation, *, key=tuple, refuse=True, even=True, spread=True, sign=1, scan=True):
    """The map with a dictionary, with one of its parts left out."""
    rows = {key(p if scan else [0, *p[1:]]): j for j, p in enumerate(source.tolist())}
    if refuse and len({tuple(p) for p in source.tolist()}) != len(source):
        raise ValueError("two rows have the same coordinates")
    first = (kernel - 1) // 2 if even else kernel // 2
    steps = [(i - first) * (dilation if spread else 1) for i in range(kernel)]
    pairs = []
    for d in product(steps, repeat=3):
        wanted = [key([b if scan else 0] + [stride * c + sign * o for c, o in zip(place, d)]) for b, *place in target.tolist()]
        found = [(rows[w], k) for k, w in enumerate(wanted) if w in rows]
        pairs.append(torch.tensor(found, dtype=torch.int64).reshape(-1, 2).T)
    return pairs


def plain_map(source, target, kernel, stride=1, dilation=1):
    return mapped(source, target, kernel, stride, dilation)


def packs(source, target, kernel, stride=1, dilation=1):
    return mapped(source, target, kernel, stride, dilation, key=lambda p: ((p[0] * 1000 + p[1]) * 1000 + p[2]) * 1000 + p[3])


def forgets_the_scan(source, target, kernel, stride=1, dilation=1):
    return mapped(source, target, kernel, stride, dilation, scan=False)


def takes_the_last(source, target, kernel, stride=1, dilation=1):
    return mapped(source, target, kernel, stride, dilation, refuse=False)


def mirrored(source, target, kernel, stride=1, dilation=1):
    return mapped(source, target, kernel, stride, dilation, sign=-1)


def centres_even(source, target, kernel, stride=1, dilation=1):
    return mapped(source, target, kernel, stride, dilation, even=False)


def never_spreads(source, target, kernel, stride=1, dilation=1):
    return mapped(source, target, kernel, stride, dilation, spread=False)


# --- gather, matmul, scatter --------------------------------------------------------------------------------------------


def plain_conv(feats, weight, pairs, n_outputs):
    wide = torch.float32 if feats.dtype == torch.float16 else feats.dtype
    out = torch.zeros(n_outputs, weight.shape[2], dtype=wide)
    for w, (inputs, outputs) in zip(weight, pairs):
        out = out.index_add(0, outputs, feats[inputs].to(wide) @ w.to(wide))
    return out.to(feats.dtype)


def overwrites(feats, weight, pairs, n_outputs):
    out = torch.zeros(n_outputs, weight.shape[2], dtype=feats.dtype)
    for w, (inputs, outputs) in zip(weight, pairs):
        out[outputs] = (feats[inputs].float() @ w.float()).to(feats.dtype) if feats.dtype == torch.float16 else feats[inputs] @ w
    return out


def all_at_once(feats, weight, pairs, n_outputs):
    wide = torch.float32 if feats.dtype == torch.float16 else feats.dtype
    out = torch.zeros(n_outputs, weight.shape[2], dtype=wide)
    if len(pairs):
        products = torch.cat([feats[inputs].to(wide) @ w.to(wide) for w, (inputs, _) in zip(weight, pairs)])
        out[torch.cat([p[1] for p in pairs])] += products
    return out.to(feats.dtype)


def stays_half(feats, weight, pairs, n_outputs):
    out = torch.zeros(n_outputs, weight.shape[2], dtype=feats.dtype)
    for w, (inputs, outputs) in zip(weight, pairs):
        out = out.index_add(0, outputs, feats[inputs] @ w)
    return out


def backwards(feats, weight, pairs, n_outputs):
    turned = [torch.stack([p[1] % max(len(feats), 1), p[0] % max(n_outputs, 1)]) for p in pairs]
    return plain_conv(feats, weight, turned, n_outputs)


# --- grouping -----------------------------------------------------------------------------------------------------------


def grouped(sizes, tolerance, threshold, *, order=None, compare="group", zero=True, split=True):
    """The grouping with one of its parts changed."""
    count = len(sizes)
    order = order or [d for i in range((count + 1) // 2) for d in dict.fromkeys((i, count - 1 - i))]
    groups = []
    for d in order:
        if zero and not sizes[d]:
            continue
        held = [sizes[e] for e in groups[-1]] if groups else []
        held = held[-1:] if compare == "last" else held[:1] if compare == "first" else held
        both = held + [sizes[d]]
        if held and 1 - min(both) / max(max(both), 1) <= tolerance:
            groups[-1].append(d)
        else:
            groups.append([d])
    alone = lambda group: split and max(sizes[d] for d in group) >= threshold
    return [part for group in groups for part in ([[d] for d in group] if alone(group) else [group])]


def plain_groups(sizes, tolerance, threshold):
    return grouped(sizes, tolerance, threshold)


def in_index_order(sizes, tolerance, threshold):
    return grouped(sizes, tolerance, threshold, order=list(range(len(sizes))))


def compares_with_the_last(sizes, tolerance, threshold):
    return grouped(sizes, tolerance, threshold, compare="last")


def keeps_empty(sizes, tolerance, threshold):
    return grouped(sizes, tolerance, threshold, zero=False)


def always_batches(sizes, tolerance, threshold):
    return grouped(sizes, tolerance, threshold, split=False)


def middle_twice(sizes, tolerance, threshold):
    count = len(sizes)
    return grouped(sizes, tolerance, threshold, order=[d for i in range((count + 1) // 2) for d in (i, count - 1 - i)])
