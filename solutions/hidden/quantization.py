"""Private instances of the lab quantization (public here; a class keeps its own, see the instructor's guide)."""

import numpy as np

from tinylib.check.facts import size_of


def growing(instances):
    return sorted(instances, key=size_of)


def affine_params(rng):
    def near(value):
        return round(float(value + rng.uniform(-0.3, 0.3)), 3)

    return growing([{"low": near(-1), "high": near(1), "bits": 2}, {"low": near(2), "high": near(7), "bits": 8}, {"low": near(-6), "high": near(-2), "bits": 5},
                    {"low": near(-3), "high": near(11), "bits": 8}, {"low": near(-0.4), "high": near(250), "bits": 10}, {"low": 0.0, "high": 0.0, "bits": 4},
                    {"low": -1.0, "high": 2.9, "bits": 8}])


def per_channel(rng):
    def one(*shape, bits):
        return {"weight": (rng.normal(size=shape) * rng.uniform(0.01, 9, (shape[0], *[1] * (len(shape) - 1)))).astype(np.float32), "bits": bits}

    negative, silent = one(4, 3, bits=5), one(4, 2, 3, 3, bits=6)
    negative["weight"] = -np.abs(negative["weight"])
    silent["weight"][[0, 3]] = 0
    return growing([negative, silent, one(3, 3, bits=4), one(5, 5, 1, 1, bits=3), one(7, 1, 5, 5, bits=8)])


def requantise(rng):
    def one(rows, k, reach, lift):
        size = int(np.log2(reach))
        return {"acc": rng.integers(-reach, reach, (rows, k)).astype(np.int32), "multiplier": rng.integers(2**30, 2**31 - 1, k).astype(np.int32),
                "shift": (31 + rng.integers(size - lift, size - 4, k)).astype(np.int32), "zero_point": int(rng.integers(-128, 128))}

    odd = rng.choice(np.arange(-99, 99, 2), (2, 4)).astype(np.int32)
    ties = {"acc": odd, "multiplier": np.full(4, 2**30, np.int32), "shift": np.full(4, 31, np.int32), "zero_point": int(rng.integers(-20, 20))}
    ends = {"acc": np.array([[2**31 - 1, -(2**31)]], np.int32), "multiplier": np.array([2**31 - 1, 2**30 + 1], np.int32), "shift": np.array([56, 55], np.int32),
            "zero_point": int(rng.integers(-9, 9))}
    return growing([ties, ends, one(3, 5, 2**15, 8), one(7, 3, 2**22, 9), one(9, 9, 2**18, 8)])


def kmeans_update(rng):
    def one(n, q, empty):
        used = np.delete(np.arange(q), empty)
        return {"values": rng.normal(size=n) * 3, "codes": rng.choice(used, n).astype(np.int64), "centroids": np.sort(rng.normal(size=q) * 3)}

    return growing([one(5, 3, [0]), one(9, 4, [3]), one(30, 6, [2, 5]), one(100, 16, [0, 7, 15])])


def fake_quantise(rng):
    def one(shape, bits):
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        scale, zero_point = round(float(rng.uniform(0.05, 0.9)), 3), int(rng.integers(low, high + 1))
        x = rng.uniform(-1.3, 1.3, shape) * scale * 2**bits
        return {"x": x, "scale": scale, "zero_point": zero_point, "low": low, "high": high, "above": np.round(rng.normal(size=shape) * 2 + 5, 2)}

    return growing([one((9,), 3), one((12,), 8), one((4, 6), 4), one((3, 4, 5), 5)])


INSTANCES = {
    "quantization.affine_params": affine_params, "quantization.per_channel": per_channel, "quantization.requantise": requantise,
    "quantization.kmeans_update": kmeans_update, "quantization.fake_quantise": fake_quantise,
}
