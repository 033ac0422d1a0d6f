"""Runs the learner's functions of `start_here` on one instance and reports plain facts."""

import copy


def output_size(fn, args):
    return {"size": fn(args["n"], args["kernel"], args["stride"], args["padding"], args["dilation"])}


def conv_params(fn, args):
    return {"params": fn(args["c"], args["k"], tuple(args["kernel"]), args["groups"], args["bias"])}


def conv_macs(fn, args):
    return {"macs": fn(args["c"], args["k"], tuple(args["kernel"]), tuple(args["size"]), args["stride"], args["padding"], args["dilation"],
                       args["groups"])}


def peak_bytes(fn, args):
    sizes, steps = dict(args["sizes"]), [(output, list(inputs)) for output, inputs in args["steps"]]
    before = copy.deepcopy((sizes, steps))
    peak = fn(sizes, steps)
    return {"peak": peak, "mutated": (sizes, steps) != before}


def roofline(fn, args):
    result = fn(args["macs"], args["numbers"], args["bits"], args["peak_macs"], args["bandwidth"])
    if type(result) is not tuple or len(result) != 3:
        raise TypeError("return three numbers: intensity, rate, milliseconds")
    return {"intensity": result[0], "rate": result[1], "milliseconds": result[2]}
