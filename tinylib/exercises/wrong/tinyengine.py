"""Typical wrong answers of the lab `tinyengine`, one function each."""

import numpy as np


def truncated(acc, multiplier, shift, zero, low, high):
    scaled = (acc.astype(np.int64) * multiplier) >> shift.astype(np.int64)
    return np.clip(scaled + zero, low, high).astype(np.int8)


def ties_to_even(acc, multiplier, shift, zero, low, high):
    scaled = np.round(acc.astype(np.float64) * multiplier / 2.0**shift)
    return np.clip(scaled + zero, low, high).astype(np.int8)


def in_32_bits(acc, multiplier, shift, zero, low, high):
    with np.errstate(over="ignore"):
        product = acc * multiplier
    scaled = (product.astype(np.int64) + (np.int64(1) << (shift.astype(np.int64) - 1))) >> shift.astype(np.int64)
    return np.clip(scaled + zero, low, high).astype(np.int8)


def clamped_too_early(acc, multiplier, shift, zero, low, high):
    s = shift.astype(np.int64)
    scaled = (acc.astype(np.int64) * multiplier + (np.int64(1) << (s - 1))) >> s
    return (np.clip(scaled, low, high) + zero).astype(np.int8)


def strict_lifetimes(buffers, offsets):
    """As in an allocator that was in use: strict inequalities only, so equal lifetimes count as apart."""
    def inside(step, other):
        return other[1] < step < other[2]

    found = []
    for j in range(len(buffers)):
        for i in range(j):
            a, b = buffers[i], buffers[j]
            together = inside(a[1], b) or inside(a[2], b) or inside(b[1], a) or inside(b[2], a)
            if together and offsets[i] < offsets[j] + b[0] and offsets[j] < offsets[i] + a[0]:
                found.append((i, j))
    return found


def lifetimes_only(buffers, offsets):
    return [(i, j) for j, b in enumerate(buffers) for i, a in enumerate(buffers[:j]) if a[1] <= b[2] and b[1] <= a[2]]


def touching_is_sharing(buffers, offsets):
    return [(i, j) for j, b in enumerate(buffers) for i, a in enumerate(buffers[:j])
            if a[1] <= b[2] and b[1] <= a[2] and offsets[i] <= offsets[j] + b[0] and offsets[j] <= offsets[i] + a[0]]


def _first_fit(buffers, order, together):
    placed, offsets = [], [0] * len(buffers)
    for i in order:
        size, at = buffers[i][0], 0
        for start, end in sorted((offsets[j], offsets[j] + buffers[j][0]) for j in placed if buffers[j][0] and together(buffers[i], buffers[j])):
            if at + size <= start:
                break
            at = max(at, end)
        offsets[i] = at if size else 0
        placed.append(i)
    return offsets


def place_strict(buffers):
    return _first_fit(buffers, sorted(range(len(buffers)), key=lambda i: -buffers[i][0]), lambda a, b: a[1] < b[2] and b[1] < a[2])


def stacked(buffers):
    return [sum(size for size, _, _ in buffers[:i]) for i in range(len(buffers))]


def in_given_order(buffers):
    return _first_fit(buffers, range(len(buffers)), lambda a, b: a[1] <= b[2] and b[1] <= a[2])


def _sum_of_taps(plane, weight, h, w):
    k = weight.shape[0]
    return sum(weight[i, j] * plane[i:i + h, j:j + w] for i in range(k) for j in range(k))


def whole_copy(memory, weight):
    h, w, c = memory.shape
    r = weight.shape[1] // 2
    padded = np.pad(memory, ((r, r), (r, r), (0, 0)))
    result = np.stack([_sum_of_taps(padded[:, :, i], weight[i], h, w) for i in range(c)], axis=2)
    memory[:] = result


def while_reading(memory, weight):
    h, w, c = memory.shape
    k = weight.shape[1]
    r = k // 2
    for y in range(h):
        for x in range(w):
            total = np.zeros(c, memory.dtype)
            for i in range(k):
                for j in range(k):
                    if 0 <= y + i - r < h and 0 <= x + j - r < w:
                        total += weight[:, i, j] * memory[y + i - r, x + j - r]
            memory[y, x] = total


def convolution_flipped(memory, weight):
    h, w, c = memory.shape
    r = weight.shape[1] // 2
    for i in range(c):
        memory[:, :, i] = _sum_of_taps(np.pad(memory[:, :, i], r), weight[i, ::-1, ::-1], h, w)


def result_elsewhere(memory, weight):
    h, w, c = memory.shape
    r = weight.shape[1] // 2
    memory = np.stack([_sum_of_taps(np.pad(memory[:, :, i], r), weight[i], h, w) for i in range(c)], axis=2)


def without_halo(layers, out):
    ranges = [tuple(out)]
    for _, stride, _, size in reversed(layers):
        ranges.insert(0, (ranges[0][0] * stride, min(size, ranges[0][1] * stride)))
    return ranges


def not_cut(layers, out):
    ranges = [tuple(out)]
    for kernel, stride, pad, _ in reversed(layers):
        first, end = ranges[0]
        ranges.insert(0, (first * stride - pad, (end - 1) * stride - pad + kernel))
    return ranges


def end_times_stride(layers, out):
    ranges = [tuple(out)]
    for kernel, stride, pad, size in reversed(layers):
        first, end = ranges[0]
        ranges.insert(0, (max(0, first * stride - pad), min(size, end * stride - pad + kernel)))
    return ranges
