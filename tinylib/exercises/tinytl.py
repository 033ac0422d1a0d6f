"""Exercises of the lab tinytl; its questions are in `questions/tinytl.py`."""

import math

import numpy as np
import torch.nn.functional as F

from tinylib.check.exercise import Exercise, Misconception, Property
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, no_mutation, shape_and_dtype
from tinylib.exercises.harness import tinytl as harness
from tinylib.exercises.questions.tinytl import QUESTIONS
from tinylib.exercises.wrong import tinytl as wrong
from tinylib.train.frozen import frozen_conv2d
from tinylib.train.frozen import packed_relu as packed_relu_of_the_library
from tinylib.train.memory import Layer, saved_by_rule
from tinylib.train.tinytl import METHODS

__all__ = ["EXERCISES", "QUESTIONS"]


def growing(instances):
    """Instances from small to large; the first that fails is the one shown."""
    return sorted(instances, key=size_of)


# 1. trained_names

def parameter(name, kind, own, lite=False, head=False):
    return {"name": f"{name}.{own}", "kind": kind, "own": own, "lite": lite, "head": head}


def network_names(rng, blocks):
    rows = [parameter("stem.conv", "conv", "weight"), parameter("stem.bn", "norm", "weight"), parameter("stem.bn", "norm", "bias")]
    for b in range(blocks):
        rows.append(parameter(f"block{b}.conv", "conv", "weight"))
        rows += [parameter(f"block{b}.conv", "conv", "bias")] if rng.random() < 0.5 else []
        rows += [parameter(f"block{b}.bn", "norm", own) for own in ("weight", "bias")]
        rows += [parameter(f"block{b}.lite.conv", "conv", "weight", lite=True)] if b or rng.random() < 0.5 else []
        rows += [parameter(f"block{b}.lite.norm", "norm", own, lite=True) for own in ("weight", "bias")]
    return [*rows, parameter("classifier", "linear", "weight", head=True), parameter("classifier", "linear", "bias", head=True)]


def names_instances(rng):
    small = [parameter("conv", "conv", "weight"), parameter("conv", "conv", "bias"), parameter("lite.norm", "norm", "bias", lite=True),
             parameter("top", "linear", "weight", head=True), parameter("top", "linear", "bias", head=True)]
    return growing([{"parameters": small, "method": "bias"}] + [{"parameters": network_names(rng, 1 + i % 3), "method": m} for i, m in enumerate(METHODS)])


def names_oracle(args):
    names = []
    for p in args["parameters"]:
        backbone = not p["lite"] and not p["head"]
        train = p["head"] or args["method"] == "full"
        train = train or (args["method"] == "bn+last" and backbone and p["kind"] == "norm")
        train = train or (args["method"] in ("bias", "lite+bias") and backbone and p["own"] == "bias")
        train = train or (args["method"] in ("lite", "lite+bias") and p["lite"])
        names += [p["name"]] if train else []
    return {"names": sorted(names)}


def trained_names(parameters, method):
    """Names of the parameters that the method trains."""
    rules = {"full": lambda p: True, "last": lambda p: False, "bn+last": lambda p: p["kind"] == "norm" and not p["lite"],
             "bias": lambda p: p["own"] == "bias" and not p["lite"], "lite": lambda p: p["lite"],
             "lite+bias": lambda p: p["lite"] or p["own"] == "bias"}
    return {p["name"] for p in parameters if p["head"] or rules[method](p)}


# 2. packed_relu

def relu_instances(rng):
    def one(*shape, top=0.0, whole=False):
        x = rng.integers(-2, 9, shape).astype(np.float32) if whole else (3 * rng.normal(size=shape)).astype(np.float32)
        return {"x": x, "top": top, "grad": rng.integers(1, 9, shape).astype(np.float32)}

    first = {"x": np.array([-1.0, 0.0, 2.0], np.float32), "top": 0.0, "grad": np.array([5.0, 6.0, 7.0], np.float32)}
    return growing([first, one(6, top=6.0, whole=True), one(8), one(3, 5, whole=True), one(2, 3, 4, 5, top=6.0), one(2, 7, 3, 3, whole=True, top=6.0)])


def relu_oracle(args):
    x, top = args["x"], args["top"] or math.inf
    y, grad = np.zeros_like(x), np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        y[index] = min(max(x[index], 0), top)
        grad[index] = args["grad"][index] if 0 < x[index] < top else 0
    return {"y": y, "grad_x": grad, "kept_bytes": (x.size + 7) // 8}


def right_bytes(text):
    """The number of kept bytes, as its own sentence."""
    def test(args, got, expected):
        kept, want = got["kept_bytes"], expected["kept_bytes"]
        if kept == want:
            return None
        less = " Save it with ctx.save_for_backward, where the meter (and PyTorch) can see it." if kept < want else ""
        return f"Your forward pass keeps {kept} bytes for backward; {text} is {want}.{less}"

    return Property(f"the meter sees {text}", test)


# 3. frozen_conv

def conv_instances(rng):
    def one(c, k, side, kernel, *, stride=1, padding=0, dilation=1, groups=1, bias=True, n=1):
        draw = lambda *shape: rng.integers(-3, 4, shape).astype(np.float64)
        return {"x": draw(n, c, side, side + 1), "weight": draw(k, c // groups, kernel, kernel), "bias": draw(k) if bias else None, "stride": stride,
                "padding": padding, "dilation": dilation, "groups": groups}

    return growing([one(1, 1, 3, 1), one(1, 2, 3, 2), one(2, 2, 4, 3, padding=1), one(2, 2, 4, 2, stride=2), one(2, 4, 5, 3, padding=1, stride=2),
                    one(4, 4, 5, 3, padding=1, groups=4, bias=False), one(4, 6, 6, 3, padding=2, dilation=2, groups=2, n=2), one(3, 3, 7, 3, stride=3, n=2)])


def conv_oracle(args):
    """Each product of the definition, forward and backward, one by one."""
    x, weight = args["x"], args["weight"]
    y, products = loop_conv(x, args)
    narrow, more = loop_conv(x[:, :, 1:], args)
    grad = np.zeros_like(x)
    for (n, o, i, j, c, a, b), w in products:
        grad[n, c, a, b] += w * y[n, o, i, j]
    for (n, _, _, _, c, a, b), w in more:
        grad[n, c, a + 1, b] += w
    bias = None if args["bias"] is None else y.sum((0, 2, 3)) + np.full(len(weight), narrow[:, 0].size, float)
    return {"y": y, "narrow": narrow, "grad_x": grad, "grad_bias": bias, "kept_bytes": 0}


def loop_conv(x, args):
    weight, s, p, d, g = args["weight"], args["stride"], args["padding"], args["dilation"], args["groups"]
    rows, columns = ((x.shape[2 + i] + 2 * p - d * (weight.shape[2 + i] - 1) - 1) // s + 1 for i in (0, 1))
    y, products = np.zeros((len(x), len(weight), rows, columns)), []
    for n, o, i, j in np.ndindex(*y.shape):
        y[n, o, i, j] = 0 if args["bias"] is None else args["bias"][o]
        for c, u, v in np.ndindex(*weight.shape[1:]):
            a, b = i * s + u * d - p, j * s + v * d - p
            channel = o // (len(weight) // g) * weight.shape[1] + c
            if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                y[n, o, i, j] += weight[o, c, u, v] * x[n, channel, a, b]
                products.append(((n, o, i, j, channel, a, b), weight[o, c, u, v]))
    return y, products


# 4. lite_residual

def lite_instances(rng):
    def one(h, w, *, c_out=8, stride=1, kernel=3, c=8, zero=False):
        pooled = [-(-side // 2) if max(h, w) > 1 else side for side in (h, w)]
        draw = lambda *shape: rng.normal(size=shape)
        size = [h, w] if stride == 1 else [-(-side // 2) for side in (h, w)]
        return {"x": draw(2, c, h, w), "conv": draw(c, c // 2, min(kernel, min(pooled) - 1 + min(pooled) % 2), min(kernel, min(pooled) - 1 + min(pooled) % 2)),
                "norm_scale": draw(c), "norm_shift": draw(c), "project": draw(c_out, c, 1, 1), "last_scale": np.zeros(c_out) if zero else draw(c_out),
                "last_shift": np.zeros(c_out) if zero else draw(c_out), "size": size, "stride": stride, "groups": 2}

    return growing([one(2, 2), one(4, 4, kernel=1), one(4, 4, zero=True), one(1, 1), one(6, 6), one(5, 7, c_out=16), one(8, 8, stride=2), one(7, 7, stride=2),
                    one(8, 6, c=16, kernel=5)])


def lite_oracle(args):
    """Pool, convolve, normalise, multiply, normalise, enlarge: by loops over the definition."""
    x = args["x"]
    if max(x.shape[2:]) > 1:
        windows = [[(i, min(i + 2, side)) for i in range(0, side, 2)] for side in x.shape[2:]]
        x = np.stack([np.stack([x[:, :, a:b, c:d].mean((2, 3)) for c, d in windows[1]], -1) for a, b in windows[0]], -2)
    geometry = {"weight": args["conv"], "stride": args["stride"], "padding": args["conv"].shape[2] // 2, "dilation": 1, "groups": args["groups"], "bias": None}
    y = np.maximum(normalise(loop_conv(x, geometry)[0], args["norm_scale"], args["norm_shift"]), 0)
    y = normalise(np.einsum("nchw,oc->nohw", y, args["project"][:, :, 0, 0]), args["last_scale"], args["last_shift"])
    return {"y": enlarge(y, args["size"])}


def normalise(x, scale, shift):
    groups = x.reshape(len(x), x.shape[1] // 8, -1)
    flat = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    return flat.reshape(x.shape) * scale[:, None, None] + shift[:, None, None]


def enlarge(x, size):
    out = np.zeros((*x.shape[:2], *size))
    for i, j in np.ndindex(*size):
        near = []
        for place, to, side in ((i, size[0], x.shape[2]), (j, size[1], x.shape[3])):
            at = max((place + 0.5) * side / to - 0.5, 0.0)
            low = min(int(at), side - 1)
            near.append((low, min(low + 1, side - 1), at - low))
        (a, b, f), (c, d, g) = near
        out[:, :, i, j] = (1 - f) * ((1 - g) * x[:, :, a, c] + g * x[:, :, a, d]) + f * ((1 - g) * x[:, :, b, c] + g * x[:, :, b, d])
    return out


def lite_residual(x, parts, size, stride, groups):
    """The branch of TinyTL, as a function of its weights."""
    if max(x.shape[2:]) > 1:
        x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    kernel = parts["conv"].shape[2]
    y = F.conv2d(x, parts["conv"], stride=stride, padding=kernel // 2, groups=groups)
    y = F.relu(F.group_norm(y, y.shape[1] // 8, parts["norm_scale"], parts["norm_shift"]))
    y = F.conv2d(y, parts["project"])
    y = F.group_norm(y, y.shape[1] // 8, parts["last_scale"], parts["last_shift"])
    return F.interpolate(y, size, mode="bilinear", align_corners=False)


# 5. training_memory

def layer(name, kind, inputs, output, size_in, size_out, weight=False, bias=False, groups=0):
    return {"name": name, "kind": kind, "inputs": inputs, "output": output, "size_in": size_in, "size_out": size_out, "groups": groups,
            "trains_weight": weight, "trains_bias": bias}


def random_layers(rng, steps):
    """A chain with a skip: convolutions, norms, activations, one addition, a linear layer that trains."""
    n = int(rng.integers(1, 5)) * 9
    layers, now, skip, start = [], "image", "image", int(rng.integers(0, 3))
    for i in range(steps):
        on, size = i >= start, n
        train = bool(on and rng.random() < 0.4), bool(on and rng.random() < 0.5)
        relu = str(rng.choice(["packed relu", "packed relu", "relu", "silu"]))
        layers.append(layer(f"conv{i}", "conv", [now], f"c{i}", size, size, *train))
        kind = str(rng.choice(["norm", "norm", "groupnorm"]))
        layers.append(layer(f"norm{i}", kind, [f"c{i}"], f"n{i}", size, size, train[0], train[1], groups=3 if kind == "groupnorm" else 0))
        layers.append(layer(f"act{i}", relu, [f"n{i}"], f"a{i}", size, size))
        now = f"a{i}"
        if i == steps // 2:
            layers.append(layer(f"twin{i}", "conv", [skip], f"w{i}", size, size, *train))
            layers.append(layer(f"add{i}", "add", [now, f"w{i}"], f"s{i}", size, size))
            now = f"s{i}"
        skip = f"a{i}" if i < steps // 2 else skip
    return [*layers, layer("top", "linear", [now], "logits", n, 10, True, True)]


def memory_instances(rng):
    head = layer("top", "linear", ["a"], "logits", 12, 5, True, True)
    frozen = [layer("conv", "conv", ["image"], "c", 12, 12), layer("act", "packed relu", ["c"], "a", 12, 12), head]
    bias = [layer("conv", "conv", ["image"], "c", 12, 12, False, True), layer("act", "packed relu", ["c"], "a", 12, 12), head]
    shared = [layer("one", "conv", ["image"], "c", 12, 12, True), layer("act", "relu", ["c"], "a", 12, 12), head]
    twin = [layer("one", "conv", ["image"], "c", 12, 12, True), layer("two", "conv", ["image"], "d", 12, 12, True),
            layer("sum", "add", ["c", "d"], "a", 12, 12), head]
    norms = [layer("conv", "conv", ["image"], "c", 12, 12, False, True), layer("gn", "groupnorm", ["c"], "g", 12, 12, groups=2),
             layer("act", "silu", ["g"], "a", 12, 12), head]
    return growing([{"layers": part} for part in (frozen, bias, shared, twin, norms, *(random_layers(rng, steps) for steps in (3, 4, 6)))])


def memory_oracle(args):
    """Who needs a gradient is found by walking back from each tensor; what is kept is written into a table by name."""
    made_by = {entry["output"]: entry for entry in args["layers"]}

    def needs(tensor):
        entry = made_by.get(tensor)
        return entry is not None and (entry["trains_weight"] or entry["trains_bias"] or any(needs(i) for i in entry["inputs"]))

    table, extra = {}, 0
    for entry in args["layers"]:
        kind, flows = entry["kind"], any(needs(i) for i in entry["inputs"])
        if kind in ("conv", "linear", "norm") and entry["trains_weight"] or kind == "groupnorm" and needs(entry["output"]) or kind == "silu" and flows:
            table[entry["inputs"][0]] = 4 * entry["size_in"]
        if kind == "relu" and flows:
            table[entry["output"]] = 4 * entry["size_out"]
        if kind == "packed relu" and flows:
            extra += entry["size_out"] // 8 + (entry["size_out"] % 8 > 0)
        if kind == "groupnorm" and needs(entry["output"]):
            extra += 8 * entry["groups"]
    return {"bytes": sum(table.values()) + extra}


def training_memory(layers):
    """Bytes kept for backward, by the library's rule."""
    return sum(saved_by_rule(Layer(**entry | {"inputs": tuple(entry["inputs"])}) for entry in layers).values())


def packed_relu(x, top):
    """The library's bit-packed ReLU."""
    return packed_relu_of_the_library(x, top)


def frozen_conv(x, weight, bias, stride, padding, dilation, groups):
    """The library's frozen convolution."""
    return frozen_conv2d(x, weight, bias, stride, padding, dilation, groups)


EXERCISES = (
    Exercise(
        "tinytl.trained_names", 2, 6, harness.trained_names, names_instances, names_oracle,
        (agrees("names", name="the method's parameters train, and no others"), no_mutation()),
        (
            Misconception(wrong.every_bias, "Your `bias` also trains biases inside the lite branches. In the methods without `lite`, those stay frozen."),
            Misconception(wrong.forgets_the_head, "The last layer trains in every method: the new task has new classes."),
            Misconception(wrong.without_norms, "Norms have a bias too, and most convolutions here have none. Ask for `own`, not for the kind of layer."),
        ),
        ("One rule a method; the head trains in all of them.", "Each entry says kind, own, lite and head; `bias` wants own == 'bias' and not lite.",
         "lite+bias is the union of the names of lite and of bias."), trained_names),
    Exercise(
        "tinytl.packed_relu", 3, 12, harness.packed_relu, relu_instances, relu_oracle,
        (shape_and_dtype("y"), agrees("y"), agrees("grad_x"), right_bytes("one bit an element, rounded up to bytes"), no_mutation()),
        (
            Misconception(wrong.a_byte_an_element, "A bool tensor takes a byte an element, eight times too much. Pack eight of them into one byte."),
            Misconception(wrong.ends_included, "At 0 and at the top the gradient is 0, as in PyTorch: the mask is 0 < x < top."),
            Misconception(wrong.top_forgotten, "With a top, elements above it get no gradient either. ReLU6 needs the mask of both ends."),
            Misconception(wrong.stock_relu, "The stock ReLU keeps a whole tensor of floats. Write a Function that keeps the packed mask."),
        ),
        ("The backward pass asks one yes-or-no question of each element: did it pass?",
         "np.packbits(mask.numpy()) packs eight answers into a byte; np.unpackbits(bytes, count=n) undoes it, also when 8 does not divide n.",
         "forward: ctx.save_for_backward(torch.from_numpy(np.packbits(...))). backward: unpack, reshape to grad.shape, multiply; return that and None."),
        packed_relu),
    Exercise(
        "tinytl.frozen_conv", 4, 15, harness.frozen_conv, conv_instances, conv_oracle,
        (agrees("y", 1e-9), agrees("narrow", 1e-9, name="a second call on another size works"), agrees("grad_x", 1e-9), agrees("grad_bias", 1e-9),
         right_bytes("no activation at all")),
        (
            Misconception(wrong.stock_conv, "F.conv2d keeps its input although the weight is frozen. Put it inside a Function that saves the weight alone."),
            Misconception(wrong.no_output_padding, "With a stride, the last rows of the input can be missing from your gradient: they need output_padding."),
            Misconception(wrong.convolved_again, "You flip the kernel once too often: conv_transpose2d with the same weight is already the gradient."),
            Misconception(wrong.bias_mean, "The bias is added at every place of every image, so its gradient is the sum over them, not the mean."),
            Misconception(wrong.bias_forgotten, "The weight is frozen, but the bias must get its gradient: that is what trains here."),
        ),
        ("y is linear in x: the gradient of x needs the weight and the gradient of y, not x itself. Keep x.shape as a plain attribute of ctx.",
         "F.conv_transpose2d(grad, weight, None, stride, padding, rest, groups, dilation) is the gradient of x; rest makes up for what the stride cut off.",
         "For each axis: rest = size - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1). The bias gets grad.sum((0, 2, 3)) if it is there."),
        frozen_conv),
    Exercise(
        "tinytl.lite_residual", 3, 12, harness.lite_residual, lite_instances, lite_oracle,
        (shape_and_dtype("y"), agrees("y", 1e-8, 1e-8), no_mutation()),
        (
            Misconception(wrong.not_pooled, "The branch must work on the halved map: pool first. That is what makes it cheap to train."),
            Misconception(wrong.nearest, "Enlarge bilinearly; nearest neighbours leave blocks of 2x2."),
            Misconception(wrong.stride_forgotten, "A block with stride 2 has a branch with stride 2 in its grouped convolution."),
            Misconception(wrong.border_dropped, "With an odd side the last row and column fall out of your pooling: ceil_mode=True, count_include_pad=False."),
        ),
        ("Six steps, in the order of the drawing; a map of one pixel is not pooled.",
         "F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False); padding is kernel // 2; group norm has 8 channels a group.",
         "F.interpolate(y, size, mode='bilinear', align_corners=False) at the end."), lite_residual),
    Exercise(
        "tinytl.training_memory", 4, 15, harness.training_memory, memory_instances, memory_oracle,
        (agrees("bytes", name="the bytes kept for backward are exact"), no_mutation()),
        (
            Misconception(wrong.counted_twice, "A tensor that two layers keep lies in memory once. Remember the names you have counted."),
            Misconception(wrong.gradient_everywhere, "An activation below the first trained parameter keeps nothing: no gradient has to pass there."),
            Misconception(wrong.free_group_norm, "A frozen group norm still keeps its input: its mean and deviation depend on it."),
            Misconception(wrong.masks_of_floats, "A packed ReLU keeps one bit an element, not a float."),
            Misconception(wrong.bits_cut_off, "Bits are rounded up to whole bytes: 12 bits take 2 bytes."),
        ),
        ("Walk through the layers in order. Keep two sets: tensors that need a gradient, and tensors already counted.",
         "An output needs a gradient when the layer trains something or one of its inputs needs one.",
         "conv, linear, norm: input if trains_weight. groupnorm: input and 8 bytes a group if its output needs a gradient. The activations: see the table."),
        training_memory),
)
