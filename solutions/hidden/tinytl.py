"""Private instances of the lab tinytl (public here; a class keeps its own, see the instructor's guide)."""

import numpy as np

from tinylib.check.facts import size_of
from tinylib.exercises.tinytl import layer, network_names, random_layers


def growing(instances):
    return sorted(instances, key=size_of)


def trained_names(rng):
    return growing([{"parameters": network_names(rng, 2 + i % 3), "method": m} for i, m in enumerate(("bias", "lite+bias", "bn+last", "lite", "last", "full"))])


def packed_relu(rng):
    def one(*shape, top=0.0):
        x = (4 * rng.normal(size=shape)).astype(np.float32)
        x.flat[:3] = 0.0, 6.0, -0.0
        return {"x": x, "top": top, "grad": rng.normal(size=shape).astype(np.float32)}

    return growing([one(5), one(7, top=6.0), one(3, 11, top=4.0), one(2, 5, 3, 3), one(4, 6, 5, 5, top=6.0)])


def frozen_conv(rng):
    def one(c, k, side, kernel, stride, padding, dilation, groups, bias):
        draw = lambda *shape: rng.integers(-4, 5, shape).astype(np.float64)
        return {"x": draw(2, c, side, side + 1), "weight": draw(k, c // groups, kernel, kernel), "bias": draw(k) if bias else None, "stride": stride,
                "padding": padding, "dilation": dilation, "groups": groups}

    return growing([one(2, 3, 4, 1, 2, 0, 1, 1, True), one(2, 2, 5, 2, 3, 0, 1, 2, True), one(3, 6, 6, 3, 2, 1, 1, 3, False),
                    one(2, 4, 7, 3, 1, 0, 2, 2, True)])


def lite_residual(rng):
    def one(h, w, c, c_out, stride, kernel):
        draw = lambda *shape: rng.normal(size=shape)
        return {"x": draw(1, c, h, w), "conv": draw(c, c // 2, kernel, kernel), "norm_scale": draw(c), "norm_shift": draw(c), "project": draw(c_out, c, 1, 1),
                "last_scale": draw(c_out), "last_shift": draw(c_out), "size": [-(-h // stride), -(-w // stride)], "stride": stride, "groups": 2}

    return growing([one(1, 1, 8, 8, 1, 1), one(3, 3, 8, 8, 1, 1), one(9, 9, 8, 16, 1, 5), one(9, 6, 16, 8, 2, 3), one(10, 10, 8, 8, 2, 3)])


def training_memory(rng):
    twins = [layer("a", "conv", ["image"], "x", 15, 15, False, True), layer("r", "packed relu", ["x"], "y", 15, 15),
             layer("b", "conv", ["y"], "p", 15, 15, True), layer("c", "conv", ["y"], "q", 15, 15, True), layer("s", "add", ["p", "q"], "z", 15, 15),
             layer("g", "groupnorm", ["z"], "n", 15, 15, groups=3), layer("u", "silu", ["n"], "o", 15, 15), layer("t", "linear", ["o"], "l", 15, 4, True, True)]
    return growing([{"layers": twins}, *({"layers": random_layers(rng, steps)} for steps in (2, 5, 7, 8))])


INSTANCES = {"tinytl.trained_names": trained_names, "tinytl.packed_relu": packed_relu, "tinytl.frozen_conv": frozen_conv,
             "tinytl.lite_residual": lite_residual, "tinytl.training_memory": training_memory}
