"""A second, differently written right answer for each exercise of `start_here`."""

import math


def output_size(n, kernel, stride, padding, dilation):
    cover = dilation * (kernel - 1) + 1
    return len(range(-padding, n + padding - cover + 1, stride))


def conv_params(c, k, kernel, groups, bias):
    one_group = (c // groups) * (k // groups) * math.prod(kernel)
    return groups * one_group + int(bias) * k


def conv_macs(c, k, kernel, size, stride, padding, dilation, groups):
    total = (c // groups) * k
    for n, taps in zip(size, kernel):
        total *= taps * math.floor(1 + (n + 2 * padding - 1 - dilation * (taps - 1)) / stride)
    return total


def peak_bytes(sizes, steps):
    born = {name: 0 for name in sizes} | {output: i for i, (output, _) in enumerate(steps)}
    dies = dict(born)
    for i, (_, inputs) in enumerate(steps):
        for name in inputs:
            dies[name] = i
    load = [0] * (len(steps) + 1)
    for name, size in sizes.items():
        load[born[name]] += size
        load[dies[name] + 1] -= size
    highest, now = 0, 0
    for change in load:
        now += change
        highest = max(highest, now)
    return highest


def roofline(macs, numbers, bits, peak_macs, bandwidth):
    moved = numbers * bits / 8
    seconds = max(moved / bandwidth, macs / peak_macs)
    return macs / moved, macs / seconds, seconds * 1000


ALTERNATIVES = {
    "start_here.output_size": output_size,
    "start_here.conv_params": conv_params,
    "start_here.conv_macs": conv_macs,
    "start_here.peak_bytes": peak_bytes,
    "start_here.roofline": roofline,
}
