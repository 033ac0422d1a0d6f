"""Runs the learner's functions of `tinyengine` on one instance and reports plain facts."""

import copy
import tracemalloc

import numpy as np

STEP = 1 << 16      # memory is reported in steps of 64 KiB: what Python itself needs differs from run to run


def requantise(fn, args):
    acc, multiplier, shift = (np.array(args[k], np.int32) for k in ("acc", "multiplier", "shift"))
    out = fn(acc, multiplier, shift, args["zero"], args["low"], args["high"])
    if not isinstance(out, np.ndarray):
        raise TypeError("return a numpy array")
    changed = not (np.array_equal(acc, args["acc"]) and np.array_equal(multiplier, args["multiplier"]) and np.array_equal(shift, args["shift"]))
    return {"y": out, "mutated": changed}


def conflicts(fn, args):
    buffers = [tuple(b) for b in args["buffers"]]
    found = fn(list(buffers), list(args["offsets"]))
    return {"pairs": sorted([int(i), int(j)] for i, j in found)}


def place(fn, args):
    buffers = [tuple(b) for b in args["buffers"]]
    given = copy.deepcopy(buffers)
    offsets = fn(given)
    return {"offsets": [int(o) for o in offsets], "mutated": given != buffers}


def depthwise_in_place(fn, args):
    memory, weight = np.array(args["memory"], np.int32), np.array(args["weight"], np.int32)
    fn(memory[:1, :1, :1].copy(), weight[:1].copy())        # first call: whatever Python sets up once is not counted
    tracemalloc.start()
    try:
        result = fn(memory, weight)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return {"memory": memory, "returned": "None" if result is None else "something", "extra_bytes": int(peak) // STEP * STEP}


def patch_rows(fn, args):
    layers = [tuple(layer) for layer in args["layers"]]
    return {"rows": [[int(a), int(b)] for a, b in fn(layers, tuple(args["out"]))]}
