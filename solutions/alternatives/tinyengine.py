"""A second, differently written right answer for each exercise of `tinyengine`."""

import numpy as np


def requantise(acc, multiplier, shift, zero, low, high):
    out = np.empty(acc.shape, np.int8)
    for i in range(acc.size):
        product, s = int(acc.flat[i]) * int(multiplier.flat[i]), int(shift.flat[i])
        out.flat[i] = min(high, max(low, (2 * product + 2**s) // 2 ** (s + 1) + zero))
    return out


def conflicts(buffers, offsets):
    def shared(a, b):
        return min(a[1], b[1]) - max(a[0], b[0])

    boxes = [((at, at + size), (first, last + 1)) for (size, first, last), at in zip(buffers, offsets)]
    return [(i, j) for j in range(len(boxes)) for i in range(j)
            if shared(boxes[i][0], boxes[j][0]) > 0 and shared(boxes[i][1], boxes[j][1]) > 0]


def place(buffers):
    order = sorted(range(len(buffers)), key=lambda i: (-buffers[i][0], i))
    where = {}
    for i in order:
        size, first, last = buffers[i]
        rivals = [(where[j], where[j] + buffers[j][0]) for j in where if buffers[j][0] and not (buffers[j][2] < first or last < buffers[j][1])]
        candidates = sorted({0, *(end for _, end in rivals)})
        where[i] = next(at for at in candidates if all(at + size <= start or end <= at for start, end in rivals)) if size else 0
    return [where[i] for i in range(len(buffers))]


def depthwise_in_place(memory, weight):
    h, w, c = memory.shape
    k = weight.shape[1]
    r = k // 2
    for channel in range(c):
        source = np.pad(memory[..., channel], r)
        view = np.lib.stride_tricks.sliding_window_view(source, (k, k))
        for y in range(h):
            memory[y, :, channel] = np.tensordot(view[y], weight[channel], axes=((1, 2), (0, 1)))


def patch_rows(layers, out):
    first, last = out[0], out[1] - 1
    ranges = [tuple(out)]
    for kernel, stride, pad, size in layers[::-1]:
        first, last = first * stride - pad, last * stride - pad + kernel - 1
        first, last = max(first, 0), min(last, size - 1)
        ranges.append((first, last + 1))
    return ranges[::-1]


ALTERNATIVES = {
    "tinyengine.requantise": requantise,
    "tinyengine.conflicts": conflicts,
    "tinyengine.place": place,
    "tinyengine.depthwise_in_place": depthwise_in_place,
    "tinyengine.patch_rows": patch_rows,
}
