"""A second, differently written right answer for each exercise of `torchsparse`."""

import torch


def coarser(coords, factor):
    cells = {(scan, x // factor, y // factor, z // factor) for scan, x, y, z in coords.tolist()}
    return torch.tensor(sorted(cells), dtype=torch.int64).reshape(-1, 4)


def kernel_map(source, target, kernel, stride=1, dilation=1):
    """All distances at once, without any table."""
    if len(torch.unique(source, dim=0)) < len(source):
        raise ValueError("coordinates twice")
    away = source[:, None] - target[None] * torch.tensor([1, stride, stride, stride])
    axis = torch.arange(kernel) * dilation - (kernel - 1) // 2 * dilation
    return [torch.nonzero((away == torch.stack([torch.tensor(0), *offset])).all(2)).T for offset in torch.cartesian_prod(axis, axis, axis)]


def sparse_conv(feats, weight, pairs, n_outputs):
    """Each offset as a 0/1 matrix between outputs and inputs, in double precision."""
    out = torch.zeros(n_outputs, weight.shape[2], dtype=torch.float64)
    for matrix, (inputs, outputs) in zip(weight.double(), pairs):
        link = torch.zeros(n_outputs, len(feats), dtype=torch.float64)
        link[outputs, inputs] = 1
        out = out + link @ feats.double() @ matrix
    return out.to(feats.dtype)


def group_offsets(sizes, tolerance, threshold):
    """Recursively: the longest allowed beginning is the first group."""
    def cut(order):
        if not order:
            return []
        stop = 1
        while stop < len(order):
            part = [sizes[d] for d in order[:stop + 1]]
            if (max(part) - min(part)) / max(part) > tolerance:
                break
            stop += 1
        head = order[:stop]
        return ([[d] for d in head] if max(sizes[d] for d in head) >= threshold else [head]) + cut(order[stop:])

    order = sorted(range(len(sizes)), key=lambda d: (min(d, len(sizes) - 1 - d), d))
    return cut([d for d in order if sizes[d]])


ALTERNATIVES = {"torchsparse.coarser": coarser, "torchsparse.kernel_map": kernel_map, "torchsparse.sparse_conv": sparse_conv,
                "torchsparse.group_offsets": group_offsets}
