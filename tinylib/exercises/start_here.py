"""Exercises and questions of the lab `start_here`: what a network costs, and where the cost is paid."""

import numpy as np

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.check.question import Question
from tinylib.exercises.harness import start_here as harness
from tinylib.exercises.questions.start_here import ask_bound, ask_decide, ask_fewer_macs, ask_macs, ask_order, ask_peak, ask_sram, ask_time, ask_where

# --- output size ------------------------------------------------------------------------------------------------------


def random_window(rng: np.random.Generator) -> Args:
    kernel, dilation = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    n = int(rng.integers(1, 20)) + dilation * (kernel - 1)
    return {"n": n, "kernel": kernel, "stride": int(rng.integers(1, 4)), "padding": int(rng.integers(0, 4)), "dilation": dilation}


def output_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [dict(n=5, kernel=3, stride=1, padding=0, dilation=1), dict(n=5, kernel=3, stride=1, padding=1, dilation=1),
             dict(n=6, kernel=3, stride=2, padding=0, dilation=1), dict(n=9, kernel=3, stride=1, padding=0, dilation=2)]
    return fixed + [random_window(rng) for _ in range(12)]


def output_oracle(args: Args) -> Facts:
    """Slide the window over the padded line and count its places."""
    line = args["n"] + 2 * args["padding"]
    reach = args["dilation"] * (args["kernel"] - 1)
    return {"size": sum(1 for start in range(0, line, args["stride"]) if start + reach < line)}


def output_size(n, kernel, stride, padding, dilation):
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def rounded_up(n, kernel, stride, padding, dilation):
    return -(-(n + 2 * padding - dilation * (kernel - 1) - 1) // stride) + 1


def one_side(n, kernel, stride, padding, dilation):
    return (n + padding - dilation * (kernel - 1) - 1) // stride + 1


def without_dilation(n, kernel, stride, padding, dilation):
    return (n + 2 * padding - kernel) // stride + 1


OUTPUT = Exercise(
    "start_here.output_size", 2, 5, harness.output_size, output_instances, output_oracle, (shape_and_dtype("size"), agrees("size")),
    (Misconception(rounded_up, "A window that would hang over the end is not computed: round down."),
     Misconception(one_side, "Padding is added on both sides of the line."),
     Misconception(without_dilation, "With dilation d the window's taps lie d apart, so it covers d * (kernel - 1) + 1 places.")),
    ("Where can the first window start, and where the last one?", "The window covers dilation * (kernel - 1) + 1 places of a line n + 2 * padding long.",
     "(length - cover) // stride + 1"), output_size)

# --- parameters and MACs of a convolution ------------------------------------------------------------------------------


def random_conv(rng: np.random.Generator) -> Args:
    groups = int(rng.choice([1, 1, 2, 3, 4]))
    kernel = [int(v) for v in rng.integers(1, 6, 2)]
    dilation = int(rng.integers(1, 3))
    size = [int(rng.integers(4, 30)) + dilation * 4 for _ in range(2)]
    return {"c": groups * int(rng.integers(1, 9)), "k": groups * int(rng.integers(1, 9)), "kernel": kernel, "size": size, "stride": int(rng.integers(1, 4)),
            "padding": int(rng.integers(0, 3)), "dilation": dilation, "groups": groups, "bias": bool(rng.integers(0, 2))}


def conv_instances(rng: np.random.Generator) -> list[Args]:
    base = dict(c=1, k=2, kernel=[2, 2], size=[3, 3], stride=1, padding=0, dilation=1, groups=1, bias=False)
    fixed = [base, base | dict(bias=True), base | dict(c=4, k=8, kernel=[3, 1], size=[6, 8], groups=2, padding=1, bias=True),
             base | dict(c=6, k=6, kernel=[3, 3], size=[7, 9], groups=6, stride=2, padding=1), base | dict(c=3, k=5, kernel=[3, 3], size=[9, 8], dilation=2)]
    return fixed + [random_conv(rng) for _ in range(10)]


def params_instances(rng: np.random.Generator) -> list[Args]:
    return [only_params(args) for args in conv_instances(rng)]


def only_params(args: Args) -> Args:
    """A convolution's arguments without those that its parameters do not depend on."""
    return {name: args[name] for name in ("c", "k", "kernel", "groups", "bias")}


def macs_instances(rng: np.random.Generator) -> list[Args]:
    return [{name: value for name, value in args.items() if name != "bias"} for args in conv_instances(rng)]


def params_oracle(args: Args) -> Facts:
    """Count the weights one by one: each output channel sees the input channels of its own group."""
    weights = sum(1 for out in range(args["k"]) for c in range(args["c"])
                  if out * args["groups"] // args["k"] == c * args["groups"] // args["c"] for _ in range(args["kernel"][0] * args["kernel"][1]))
    return {"params": weights + (args["k"] if args["bias"] else 0)}


def macs_oracle(args: Args) -> Facts:
    """Window places along both sides, times the weights: each weight is used once at each place."""
    places = [output_oracle(dict(n=n, kernel=k, stride=args["stride"], padding=args["padding"], dilation=args["dilation"]))["size"]
              for n, k in zip(args["size"], args["kernel"])]
    return {"macs": places[0] * places[1] * params_oracle(args | {"bias": False})["params"]}


def conv_params(c, k, kernel, groups, bias):
    return k * (c // groups) * kernel[0] * kernel[1] + (k if bias else 0)


def groups_forgotten(c, k, kernel, groups, bias):
    return k * c * kernel[0] * kernel[1] + (k if bias else 0)


def groups_twice(c, k, kernel, groups, bias):
    return (k // groups) * (c // groups) * kernel[0] * kernel[1] + (k if bias else 0)


def bias_of_inputs(c, k, kernel, groups, bias):
    return k * (c // groups) * kernel[0] * kernel[1] + (c if bias else 0)


def conv_macs(c, k, kernel, size, stride, padding, dilation, groups):
    h, w = (output_size(n, taps, stride, padding, dilation) for n, taps in zip(size, kernel))
    return h * w * k * (c // groups) * kernel[0] * kernel[1]


def macs_at_inputs(c, k, kernel, size, stride, padding, dilation, groups):
    return size[0] * size[1] * k * (c // groups) * kernel[0] * kernel[1]


def macs_without_groups(c, k, kernel, size, stride, padding, dilation, groups):
    return conv_macs(c, k, kernel, size, stride, padding, dilation, 1)


def flops(c, k, kernel, size, stride, padding, dilation, groups):
    return 2 * conv_macs(c, k, kernel, size, stride, padding, dilation, groups)


PARAMS = Exercise(
    "start_here.conv_params", 3, 5, harness.conv_params, params_instances, params_oracle, (shape_and_dtype("params"), agrees("params")),
    (Misconception(groups_forgotten, "With groups, an output channel sees only the c / groups input channels of its own group."),
     Misconception(groups_twice, "There are still k output channels in all: only the input side is divided by groups."),
     Misconception(bias_of_inputs, "A bias belongs to an output channel: k numbers, not c.")),
    ("How many numbers does one output channel own?", "One output channel: (c / groups) * kernel height * kernel width weights, and one bias if there is any.",
     "k * (c // groups) * kernel[0] * kernel[1] + (k if bias else 0)"), conv_params)

MACS = Exercise(
    "start_here.conv_macs", 4, 10, harness.conv_macs, macs_instances, macs_oracle, (shape_and_dtype("macs"), agrees("macs")),
    (Misconception(macs_at_inputs, "The window is computed at output places. Stride, padding and dilation change how many there are."),
     Misconception(macs_without_groups, "With groups, each output needs only c / groups input channels."),
     Misconception(flops, "That counts a multiply and an add as two. In this course they are one MAC together.")),
    ("How many outputs are there, and how many products does each one need?",
     "Outputs: h_out * w_out * k. Each needs (c / groups) * kernel height * kernel width.",
     "Compute h_out and w_out with the rule of the first exercise, written again inside this function."), conv_macs)

# --- peak memory ------------------------------------------------------------------------------------------------------


def random_graph(rng: np.random.Generator, steps: int) -> Args:
    names, sizes, list_of_steps = ["x"], {"x": 4 * int(rng.integers(1, 9))}, []
    for i in range(steps):
        inputs = [names[-1]]
        if i and rng.random() < 0.5:
            inputs.append(names[int(rng.integers(0, len(names) - 1))])
        names.append(f"t{i + 1}")
        sizes[names[-1]] = 4 * int(rng.integers(1, 17))
        list_of_steps.append([names[-1], inputs])
    return {"sizes": sizes, "steps": list_of_steps}


def graph_instances(rng: np.random.Generator) -> list[Args]:
    chain = {"sizes": {"x": 4, "a": 8}, "steps": [["a", ["x"]]]}
    longer = {"sizes": {"x": 4, "a": 8, "b": 2}, "steps": [["a", ["x"]], ["b", ["a"]]]}
    block = {"sizes": {"x": 4, "wide": 16, "filtered": 16, "narrow": 4, "y": 4},
             "steps": [["wide", ["x"]], ["filtered", ["wide"]], ["narrow", ["filtered"]], ["y", ["narrow", "x"]]]}
    late = {"sizes": {"x": 6, "p": 2, "a": 8, "b": 8, "y": 3}, "steps": [["a", ["p"]], ["b", ["a"]], ["y", ["b", "x"]]]}
    fork = {"sizes": {"x": 4, "a": 12, "b": 4, "c": 8, "y": 16}, "steps": [["a", ["x"]], ["b", ["x"]], ["c", ["a"]], ["y", ["b", "c"]]]}
    return sorted([chain, longer, block, late, fork, *(random_graph(rng, int(rng.integers(3, 10))) for _ in range(8))], key=size_of)


def peak_oracle(args: Args) -> Facts:
    """At every step, ask of every tensor whether it exists already and whether anybody still needs it."""
    steps, peaks = args["steps"], []
    made = {output: i for i, (output, _) in enumerate(steps)}
    for now in range(len(steps)):
        total = 0
        for name, size in args["sizes"].items():
            exists = made.get(name, -1) <= now
            needed = made.get(name, -1) == now or any(name in inputs for _, inputs in steps[now:])
            total += size if exists and needed else 0
        peaks.append(total)
    return {"peak": max(peaks), "mutated": False}


def peak_bytes(sizes, steps):
    last = {name: i for i, (_, inputs) in enumerate(steps) for name in inputs}
    alive = {name for name in sizes if name not in {output for output, _ in steps}}
    peak = 0
    for i, (output, _) in enumerate(steps):
        alive.add(output)
        peak = max(peak, sum(sizes[name] for name in alive))
        alive = {name for name in alive if last.get(name, -1) > i}
    return peak


def one_layer_at_a_time(sizes, steps):
    return max(sizes[output] + sum(sizes[name] for name in set(inputs)) for output, inputs in steps)


def everything(sizes, steps):
    return sum(sizes.values())


def largest(sizes, steps):
    return max(sizes.values())


def freed_too_early(sizes, steps):
    last = {name: i for i, (_, inputs) in enumerate(steps) for name in inputs}
    alive = {name for name in sizes if name not in {output for output, _ in steps}}
    peak = 0
    for i, (output, _) in enumerate(steps):
        alive = {name for name in alive if last.get(name, -1) > i} | {output}
        peak = max(peak, sum(sizes[name] for name in alive))
    return peak


PEAK = Exercise(
    "start_here.peak_bytes", 6, 15, harness.peak_bytes, graph_instances, peak_oracle, (shape_and_dtype("peak"), agrees("peak"), no_mutation(group="manners")),
    (Misconception(one_layer_at_a_time, "That is one step's inputs plus its output. A tensor that waits for a later step takes room too."),
     Misconception(everything, "That is the sum of all tensors. A tensor's room is free again after its last use."),
     Misconception(largest, "That is the largest tensor alone. A step needs its inputs and its output at the same time."),
     Misconception(freed_too_early, "A step reads its inputs while it writes its output: both are alive at that step.")),
    ("Walk through the steps and keep a set of the tensors that are alive.", "A tensor dies after the last step that reads it. Find those steps first.",
     "At each step: add the output, measure the sum, then drop what no later step reads. The inputs of the network are alive from the start."), peak_bytes)

# --- roofline -----------------------------------------------------------------------------------------------------------


def roof_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [dict(macs=1000, numbers=1000, bits=8, peak_macs=4e9, bandwidth=1e9), dict(macs=1000, numbers=10, bits=8, peak_macs=4e9, bandwidth=1e9),
             dict(macs=1000, numbers=250, bits=8, peak_macs=4e9, bandwidth=1e9), dict(macs=8000, numbers=1000, bits=32, peak_macs=8e9, bandwidth=2e9)]
    drawn = [dict(macs=int(rng.integers(10**4, 10**8)), numbers=int(rng.integers(10**3, 10**7)), bits=int(rng.choice([4, 8, 16, 32])),
                  peak_macs=float(rng.integers(1, 50)) * 1e9, bandwidth=float(rng.integers(1, 20)) * 1e9) for _ in range(10)]
    return fixed + drawn


def roof_oracle(args: Args) -> Facts:
    """Wait for the slower of both: the arithmetic alone, or the traffic alone."""
    moved = args["numbers"] * args["bits"] / 8
    seconds = max(args["macs"] / args["peak_macs"], moved / args["bandwidth"])
    return {"intensity": args["macs"] / moved, "rate": args["macs"] / seconds, "milliseconds": 1e3 * seconds}


def roofline(macs, numbers, bits, peak_macs, bandwidth):
    intensity = macs / (numbers * bits / 8)
    rate = min(peak_macs, intensity * bandwidth)
    return intensity, rate, 1e3 * macs / rate


def in_bits(macs, numbers, bits, peak_macs, bandwidth):
    return roofline(macs, 8 * numbers, bits, peak_macs, bandwidth)


def wrong_side(macs, numbers, bits, peak_macs, bandwidth):
    intensity = macs / (numbers * bits / 8)
    rate = max(peak_macs, intensity * bandwidth)
    return intensity, rate, 1e3 * macs / rate


def one_after_the_other(macs, numbers, bits, peak_macs, bandwidth):
    seconds = macs / peak_macs + numbers * bits / 8 / bandwidth
    return macs / (numbers * bits / 8), macs / seconds, 1e3 * seconds


TOLERANCE = 1e-9     # a few float64 roundings, in whatever order the learner divides

ROOF = Exercise(
    "start_here.roofline", 5, 10, harness.roofline, roof_instances, roof_oracle,
    (agrees("intensity", rtol=TOLERANCE), agrees("rate", rtol=TOLERANCE), agrees("milliseconds", rtol=TOLERANCE)),
    (Misconception(in_bits, "Intensity is per byte: eight bits make a byte."),
     Misconception(wrong_side, "Both limits hold, so the lower one decides."),
     Misconception(one_after_the_other, "The roof assumes that data moves while the machine computes: wait for the slower of both, not for their sum.")),
    ("First turn numbers and bits into bytes.", "The rate is limited twice: by peak_macs, and by intensity * bandwidth.",
     "rate = min(peak_macs, intensity * bandwidth); milliseconds = 1000 * macs / rate"), roofline)

EXERCISES = (OUTPUT, PARAMS, MACS, PEAK, ROOF)

QUESTIONS = (
    Question("start_here.time", "prediction", 1, ask_time),
    Question("start_here.where", "prediction", 1, ask_where),
    Question("start_here.order", "decision", 2, ask_order),
    Question("start_here.decide", "decision", 3, ask_decide),
    Question("start_here.quiz.1", "quiz", 1, ask_macs),
    Question("start_here.quiz.2", "quiz", 1, ask_peak),
    Question("start_here.quiz.3", "quiz", 1, ask_fewer_macs),
    Question("start_here.quiz.4", "quiz", 1, ask_sram),
    Question("start_here.quiz.5", "quiz", 1, ask_bound),
)
