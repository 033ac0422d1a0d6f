# ---
# title: Quantization
# minutes: 80
# prerequisites: start_here
# systems: Linear and codebook quantization, integer inference
# passport: yes
# ---

# %% [markdown]
# # Quantization
#
# A trained network holds 32 bits for every weight. It needs far fewer. In this lab you put its numbers on a grid, run it with integers
# alone, go down until it breaks, and repair it.
#
# | time | you need | you train | your row in the passport |
# |---|---|---|---|
# | about 80 minutes | lab `start_here` | about 10 seconds, live | the garments network in int8 |
#
# Everything runs on your own processor, without a network connection.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("quantization")

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tinylib.core.checkpoint import load_model, load_record
from tinylib.datasets import garments
from tinylib.measure.energy import load_energy_table
from tinylib.nn.fit import evaluate, fit
from tinylib.quantize.convert import accuracy, quantise_input, quantize_model
from tinylib.quantize.cost import bit_operations, graph_bytes, layer_costs, scale_bytes, weight_bytes
from tinylib.quantize.integer import trace as run_integers
from tinylib.quantize.kmeans import assign, cluster
from tinylib.quantize.linear import round_trip, weight_grid
from tinylib.quantize.qat import prepare
from tinylib.quantize.trace import fold_model, run_float
from tinylib.quantize.trace import trace as trace_layers
from tinylib.show import plots, progress
from tinylib.show.style import COLOURS

# %% [markdown]
# ## Why it matters
#
# A microcontroller with 256 KiB of flash has no room for the 234 KiB of this small network beside its program; at 8 bits it takes a quarter.
# Many such chips have no floating-point unit at all. And integers are cheap: the bars show *published* energies of one multiply and add in a
# 45 nm chip, from the table that `tinylib` ships with its source.

# %%
table = load_energy_table()
cost = {"original: float32": table.mac_pj("float32"), "second: float16": table.mac_pj("float16"), "ours: int8": table.mac_pj("int8")}
figure, ax = plt.subplots(figsize=(6.4, 2.6))
plots.bars(ax, cost, ylabel="energy of one MAC (pJ)")
ax.set_title(f"An int8 MAC costs {cost['original: float32'] / cost['ours: int8']:.0f} times less energy than a float32 one")
plt.show()
print("Source:", table.source)

# %% [markdown]
# ## What you will be able to do
#
# - put any range of numbers on an integer grid that holds 0 exactly (exercise 1), with one scale per channel (exercise 2);
# - bring a sum of integer products back to 8 bits without a single float (exercise 3), and run a whole network so;
# - share a few values among many weights (exercise 4);
# - train through a rounding, whose gradient is zero (exercise 5);
# - choose bits and grid under a budget of bytes (the decision, the quiz).
#
# ## Three predictions
#
# Write a number in place of `None` before you read on. Nobody counts whether it is right; a guess makes the result stick.

# %%
predict("quantization.eight", 3)  ### SOLUTION: None

# %%
predict("quantization.four", 75)  ### SOLUTION: None

# %%
predict("quantization.trained", 80)  ### SOLUTION: None

# %% [markdown]
# ## Play first
#
# The network: seven inverted residuals, 56 thousand weights in 24 layers, trained on photographs of clothes (garments, ten classes). The panel
# rounds its weights and asks the rounded network to classify 200 images, at once, without any training. The activations stay float for now.
#
# Lower the bits of all layers together. Where does it break? Then spend bits unevenly: which of the two groups needs them more, the
# **depth-wise** layers (a ninth of the weights) or the others? Last, change the grid.

# %% volatile=true
panel("quantization.bits")

# %% [markdown]
# ## The idea
#
# A **grid** stands for real numbers by integers $q$ of $b$ bits, from $q_\min = -2^{b-1}$ to $q_\max = 2^{b-1} - 1$:
#
# $$ x \approx s\,(q - z), \qquad q = \mathrm{clip}\big(\lfloor x / s + \tfrac12 \rfloor + z,\; q_\min,\; q_\max\big). $$
#
# The **scale** $s$ is the distance of two neighbours on the grid. The **zero point** $z$ is the integer that stands for real 0. Inside the grid the
# error is at most $s/2$. Outside, values **saturate**: they land on the last grid point. Halves go upwards, everywhere in this course.
#
# To cover a range $[l, h]$: first widen it until it holds 0. Then $s = (h - l) / (2^b - 1)$, since $2^b$ levels have $2^b - 1$ steps between them, and
# $z = \lfloor q_\min - l / s + \tfrac12 \rfloor$, since $l$ should sit at $q_\min$.
#
# By hand: $[-1, 2]$ with 2 bits. Four levels, three steps: $s = 3 / 3 = 1$. $z = -2 + 1 = -1$. The integers $-2, -1, 0, 1$ stand for $-1, 0, 1, 2$.
#
# Why must 0 be on the grid *exactly*? Padding and ReLU produce it millions of times. You will meet this question again.

# %% [markdown]
# ## Build 1: scale and zero point
#
# *Difficulty 1 of 5, about 8 minutes.*

# %% exercise="quantization.affine_params"
import math


def affine_params(low: float, high: float, bits: int) -> tuple[float, int]:
    """(scale, zero_point) of the grid -2**(bits-1) .. 2**(bits-1)-1 over [low, high], widened to hold 0. An empty range has scale 1.0."""
    ### BEGIN SOLUTION
    low, high = min(low, 0.0), max(high, 0.0)
    first, last = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    scale = (high - low) / (last - first) if high > low else 1.0
    zero_point = math.floor(first - low / scale + 0.5)
    return scale, min(last, max(first, zero_point))
    ### END SOLUTION

# %% check="quantization.affine_params" points=2
check("quantization.affine_params", affine_params)

# %% [markdown]
# `ready` gives you your own function once it passes, and the reference until then. So you can go on and come back.
#
# The staircase below is drawn with your scale and zero point. Make the range lie on one side of 0. Then add bits until the stairs vanish.

# %% volatile=true
panel("quantization.line", {"quantization.affine_params": affine_params})

# %% [markdown]
# ### Real ranges
#
# Where does $[l, h]$ come from? For weights, look at them. For activations, run a few hundred training images through the float network and note the
# extremes: **calibration**. First, though, each batch norm is **folded** into its convolution: at inference it multiplies each channel by a
# constant and adds another, and weights and bias can do both.

# %%
# NBVAL_CHECK_OUTPUT
grid_of = ready("quantization.affine_params", affine_params)
net, splits = load_model("garments-base"), garments.load()
some = splits.train.take(256).tensors()[0]
layers = trace_layers(net, some)
values = run_float(layers, some)
print("values after             smallest  largest     scale   zero point")
for layer in [entry for entry in layers.layers if entry.kind in ("conv", "add", "linear")][:8]:
    low, high = float(values[layer.output].min()), float(values[layer.output].max())
    scale, zero_point = grid_of(low, high, 8)
    print(f"{layer.name:<24} {low:>8.2f} {high:>8.2f} {scale:>9.4f} {zero_point:>12}")

# %% [markdown]
# After ReLU6 every value lies between 0 and 6, so the zero point is -128 and all 256 integers count upwards from it. The thin layers of an inverted residual
# have no ReLU: their values go both ways.
#
# ## Build 2: one scale per channel
#
# *Difficulty 2 of 5, about 10 minutes.*
#
# Weights take the simpler **symmetric** grid: $z = 0$ and integers $-(2^{b-1}-1) \dots 2^{b-1}-1$. Folding has a price here: it multiplies every output
# channel by its own factor. Look at one depth-wise layer, largest magnitude of each channel:

# %%
folded = fold_model(net, some)
name = "blocks.0.depthwise.conv"
reach = folded.get_submodule(name).weight.detach().flatten(1).abs().amax(1).sort(descending=True).values
figure, ax = plt.subplots(figsize=(6.8, 2.8))
ax.bar(range(len(reach)), reach, color=COLOURS["ours"])
ax.axhline(float(reach[0]) / 7, color=COLOURS["failure"], label="one step of a shared 4-bit grid")
ax.set(xlabel="channel, in order", ylabel="largest |weight|")
ax.legend()
ax.set_title(f"The widest channel reaches {reach[0] / reach[-1]:.0f} times as far as the narrowest")
plt.show()

# %% [markdown]
# With one scale for all, the narrow channels get two or three levels, or none. So give each **output** channel its own scale. It costs one number per
# channel and no arithmetic: all products of one sum share the scale, so it leaves the sum, $\sum_i (s_k q_i)\, x_i = s_k \sum_i q_i x_i$. A scale per *input*
# channel could not leave it.

# %% exercise="quantization.per_channel"
def per_channel(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """(q, scale): int8 integers of weight's shape, and one float32 scale for each output channel (dimension 0), shape (k,).

    The largest magnitude of a channel becomes 2**(bits-1) - 1; halves go upwards; a channel of zeros has scale 1.
    """
    ### BEGIN SOLUTION
    largest = 2 ** (bits - 1) - 1
    limit = weight.flatten(1).abs().amax(1)
    scale = torch.where(limit > 0, limit / largest, torch.ones_like(limit))
    steps = weight / scale.reshape(-1, *[1] * (weight.dim() - 1))
    return torch.floor(steps + 0.5).clamp(-largest, largest).to(torch.int8), scale
    ### END SOLUTION

# %% check="quantization.per_channel" points=3
check("quantization.per_channel", per_channel)

# %% [markdown]
# Your function on every layer, at 4 bits. The shared scale is the same function on the weight as one long row.

# %%
quantise_weight = ready("quantization.per_channel", per_channel)
def relative_error(weight: Tensor, rows: Tensor) -> float:
    q, scale = quantise_weight(rows, 4)
    back = q.float() * scale.reshape(-1, *[1] * (rows.dim() - 1))
    return float((back.reshape(weight.shape) - weight).norm() / weight.norm())

weights = {n: m.weight.detach() for n, m in folded.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
errors = {n: (relative_error(w, w.reshape(1, -1)), relative_error(w, w)) for n, w in weights.items()}
figure, ax = plt.subplots(figsize=(7.2, 3.0))
for i, (label, meaning, marker) in enumerate((("one scale a layer", "original", "s"), ("one scale a channel", "ours", "o"))):
    ax.plot([100 * e[i] for e in errors.values()], marker, color=COLOURS[meaning], label=label)
ax.set(xlabel="layer, from input to output", ylabel="error of the weights (%)")
ax.legend()
worst = max(errors, key=lambda n: errors[n][0] / errors[n][1])
ax.set_title(f"A scale per channel gains most in {worst}: {errors[worst][0] / errors[worst][1]:.1f} times less error")
plt.show()

# %% [markdown]
# ## Build 3: integers only
#
# *Difficulty 3 of 5, about 10 minutes.*
#
# Now a layer: $y = \sum w x + \text{bias}$. Put both grids in, $w = s_w q_w$ and $x = s_x (q_x - z_x)$, and store the bias as an integer of $s_w s_x$:
#
# $$ y = s_w s_x \underbrace{\Big(\sum q_w (q_x - z_x) + q_\text{bias}\Big)}_{\text{acc, int32}}, \qquad
# q_y = \Big\lfloor \frac{s_w s_x}{s_y}\,\text{acc} + \tfrac12 \Big\rfloor + z_y . $$
#
# One real number is left: $M = s_w s_x / s_y$. Write it as $M \approx m / 2^{s}$ with an integer $m$ below $2^{31}$, and the whole step is a multiplication, an
# addition and a shift in 64 bits:
#
# $$ q_y = \mathrm{clip}\big((\text{acc} \cdot m + 2^{s-1}) \gg s \;+\; z_y,\; -128,\; 127\big). $$
#
# This is **requantisation**. The $2^{s-1}$ turns the shift's rounding down into rounding to nearest. By hand: $m = 2^{30}$, $s = 32$ is a quarter.
# acc $= 6$ gives $1.5$, rounded $2$; acc $= -6$ gives $-1.5$, rounded $-1$: halves go upwards.

# %% exercise="quantization.requantise"
def requantise(acc: Tensor, multiplier: Tensor, shift: Tensor, zero_point: int) -> Tensor:
    """int8 output: acc (n, k) int32 times multiplier / 2**shift (both (k,) int32), nearest, ties upwards, plus zero_point, saturated."""
    ### BEGIN SOLUTION
    m, s = multiplier.long(), shift.long()
    half = torch.ones_like(s) << (s - 1)
    y = (acc.long() * m + half) >> s
    return (y + zero_point).clamp(-128, 127).to(torch.int8)
    ### END SOLUTION

# %% check="quantization.requantise" points=3
check("quantization.requantise", requantise)

# %% [markdown]
# Now the real network. `quantize_model` traces it, folds, calibrates and writes an **integer graph**: the same thing that becomes C code in the
# microcontroller lab. We take one of its layers, do its sum here, and let *your* function finish it. The graph's own engine must agree bit for bit.

# %%
# NBVAL_CHECK_OUTPUT
finish = ready("quantization.requantise", requantise)
graph = quantize_model(net, some)
images, labels = splits.val.tensors()
inside = run_integers(graph, quantise_input(graph, images[:20]))
op = next(op for op in graph.ops if op.name == "head.conv")
x, y = graph.tensors[op.inputs[0]], graph.tensors[op.output]
pixels = torch.from_numpy(inside[x.name]).reshape(-1, x.shape[2]).int() - x.zero_point
acc = pixels @ torch.from_numpy(op.weight).reshape(len(op.weight), -1).int().T + torch.from_numpy(op.bias)
ours = finish(acc, torch.from_numpy(op.multiplier), torch.from_numpy(op.shift), y.zero_point).clamp(*op.clamp)
same = ours.numpy() == inside[y.name].reshape(ours.shape)
print(f"{op.name}: {same.size:,} outputs, {int((~same).sum())} differ from the integer engine")
print(f"the whole network: {graph_bytes(graph):,} bytes of constants; float32 weights and biases took {4 * sum(p.numel() for p in folded.parameters()):,}")

# %% [markdown]
# And what does the whole network lose, on the first 500 validation images?

# %% volatile=true
few = images[:500], labels[:500]
print(f"float {evaluate(net, few):.1%}, integers only {accuracy(graph, *few):.1%}")

# %% [markdown]
# ## Build 4: a codebook
#
# *Difficulty 2 of 5, about 8 minutes.*
#
# Must the levels be evenly spaced? **Codebook quantization** lets each layer choose its own $2^b$ values. Each weight stores the number of
# its value, its *code*. The values come from **k-means**: give every weight to the nearest centroid, move each centroid to the mean of its weights, repeat.
#
# Evenly spaced starting values leave some centroids in empty places, where no weight is near. Such a cluster has no mean. It keeps its centroid.

# %% exercise="quantization.kmeans_update"
def kmeans_update(values: Tensor, codes: Tensor, centroids: Tensor) -> Tensor:
    """New centroids (q,): the mean of the values (n,) whose code (n,) names it; a cluster without members keeps its centroid."""
    ### BEGIN SOLUTION
    count = torch.bincount(codes, minlength=len(centroids))
    total = torch.zeros_like(centroids).index_add_(0, codes, values)
    return torch.where(count > 0, total / count.clamp(min=1), centroids)
    ### END SOLUTION

# %% check="quantization.kmeans_update" points=2
check("quantization.kmeans_update", kmeans_update)

# %%
move = ready("quantization.kmeans_update", kmeans_update)
flat = weights["head.conv"].flatten()
start_at = torch.linspace(float(flat.min()), float(flat.max()), 16)
centroids = start_at.clone()
for _ in range(30):
    centroids = move(flat, assign(flat, centroids), centroids)
error = {"even": (start_at[assign(flat, start_at)] - flat).norm() / flat.norm(), "book": (centroids[assign(flat, centroids)] - flat).norm() / flat.norm()}
figure, ax = plt.subplots(figsize=(7.0, 3.0))
ax.hist(flat.numpy(), 80, color=COLOURS["original"], alpha=0.6)
top = ax.get_ylim()[1]
ax.vlines(start_at, 0.93 * top, top, color=COLOURS["failure"], linewidth=2, label="16 even levels")
ax.vlines(centroids, 0.80 * top, 0.87 * top, color=COLOURS["ours"], linewidth=2, label="16 centroids")
ax.set(xlabel="weight of head.conv", ylabel="count")
ax.legend(loc="center right")
ax.set_title(f"Centroids go where the weights are: error {error['even']:.0%} becomes {error['book']:.0%}")
plt.show()

# %% [markdown]
# ## Your code live
#
# The panel from the beginning, now driven by *your* functions once they pass. The switch changes between yours and the reference.

# %% volatile=true
panel("quantization.bits", {"quantization.per_channel": per_channel, "quantization.kmeans_update": kmeans_update})

# %% [markdown]
# ## Build 5: a gradient through the stairs
#
# *Difficulty 4 of 5, about 12 minutes.*
#
# Rounding is a staircase. Its gradient is 0 on every step, so nothing would learn. The **straight-through estimator** pretends, in the backward pass only, that
# the staircase is the line behind it: inside the grid the gradient passes unchanged. Outside it is 0, because there the output does not move whatever
# the weight does.
#
# The forward value is the grid's, exactly. Useful to know: in `z + (y - z).detach()` the value is that of `y` and the gradient that of `z`.

# %% exercise="quantization.fake_quantise"
def fake_quantise(x: Tensor, scale: float, zero_point: int, low: int, high: int) -> Tensor:
    """x on the grid of integers low..high, back as reals; the gradient to x is 1 where the integer was inside the grid, 0 where it saturated."""
    ### BEGIN SOLUTION
    q = torch.floor(x / scale + 0.5) + zero_point
    inside = (q >= low) & (q <= high)
    y = (q.clamp(low, high) - zero_point) * scale
    z = x * inside
    return z + (y - z).detach()
    ### END SOLUTION

# %% check="quantization.fake_quantise" points=3
check("quantization.fake_quantise", fake_quantise)

# %% [markdown]
# Now train through it, live: the worst case, 4 bits for weights *and* activations, one scale a layer. Your function rounds the weights in every forward
# pass; the float weights behind it collect the small steps. 40 steps of 128 images, about 10 seconds on a quiet machine.

# %% volatile=true
rounding = ready("quantization.fake_quantise", fake_quantise)
class Rounded(nn.Module):
    def forward(self, weight):
        return rounding(weight, float(weight.detach().abs().max()) / 7, 0, -7, 7)

student = prepare(net, some, weight_bits=None, activation_bits=4)
for module in list(student.modules()):
    if isinstance(module, nn.Conv2d | nn.Linear):
        parametrize.register_parametrization(module, "weight", Rounded())
before = evaluate(student, few)
with progress.bar("training through the rounding") as show_step:
    fit(student, splits.train.tensors(), epochs=0.303, lr=0.01, weight_decay=0.0, generator=torch.Generator().manual_seed(0), on_step=show_step)
print(f"4 bits everywhere: {before:.1%} as rounded, {evaluate(student, few):.1%} after 40 steps; float {evaluate(net, few):.1%}")

# %% [markdown]
# ## Experiment: bits, bytes, accuracy
#
# One network, every grid, 2 to 8 bits, weights only, 3,000 validation images (*recorded*; `tinylib data make quantization-sweep` remakes it). Rings: after one
# epoch of training with the rounding in (linear grids only). The bytes include what each grid needs besides: float32 scales, or the codebook.

# %%
sweep = load_record("quantization-sweep")
colours = {"per tensor": "original", "per channel": "ours", "codebook": "second"}
figure, ax = plt.subplots(figsize=(7.2, 3.8))
for way, meaning in colours.items():
    rows = [row for row in sweep["rows"] if row["way"] == way]
    ax.plot([r["bytes"] / 1024 for r in rows], [100 * r["plain"] for r in rows], ".-", color=COLOURS[meaning], label=way)
    trained = [r for r in rows if r["tuned"] is not None]
    ax.plot([r["bytes"] / 1024 for r in trained], [100 * r["tuned"] for r in trained], "o", markersize=9, fillstyle="none", color=COLOURS[meaning])
plots.limit_line(ax, 36, "36 KiB", axis="x")
ax.set(xlabel="weights with scales or codebooks (KiB)", ylabel="validation accuracy (%)", ylim=(0, 95))
ax.legend(loc="lower right")
four = next(r for r in sweep["rows"] if r["way"] == "per channel" and r["bits"] == 4)
ax.set_title(f"One epoch lifts 4 bits per channel from {four['plain']:.0%} to {four['tuned']:.0%}; 8 bits need none")
plt.show()

# %% [markdown]
# Look at 4 bits as rounded: here the scale per channel loses, although the error of every single layer is smaller. Accuracy is not a sum of errors,
# and one network is one sample. After an epoch of training the order is the expected one. The networks with other seeds come below.
#
# Which layers mind? One layer at a time at 3 bits with one scale, all others float, 1,500 images:

# %%
drops = {name: max(0.0, 100 * (sweep["layers_float"] - value)) for name, value in sweep["layers"].items()}
kinds = ["failure" if "depthwise" in name else "original" for name in drops]
figure, ax = plt.subplots(figsize=(7.2, 3.2))
ax.bar(range(len(drops)), drops.values(), color=[COLOURS[k] for k in kinds])
ax.set_xticks(range(len(drops)), [n.replace("blocks.", "").replace(".conv", "") for n in drops], rotation=60, ha="right", fontsize=8)
ax.set(ylabel="points lost")
fragile = max(drops, key=drops.get)
ax.set_title(f"{fragile} has {weights[fragile].numel()} weights, {weights[fragile].numel() / sum(w.numel() for w in weights.values()):.1%} of all, "
             f"and loses {drops[fragile]:.0f} points alone")
plt.show()

# %% [markdown]
# Everything the network sees goes through its first layer, and there are few weights to average an error away. That is the reason for **mixed
# bits**: layers that hurt get more, the others fewer. Costs are sums over layers, so they can be counted exactly. *Bit operations* are
# MACs x weight bits x activation bits, the work of hardware that computes bit by bit.

# %%
# NBVAL_CHECK_OUTPUT
costs = layer_costs(net, some)
plans = {"3 bits": 3, "first layer 8, others 3": {c.name: 8 if c.name == "stem.conv" else 3 for c in costs},
         "first and depth-wise 8, others 3": {c.name: 8 if c.name == "stem.conv" or c.kind == "depthwise" else 3 for c in costs}}
for label, bits in plans.items():
    total = weight_bytes(costs, bits) + scale_bytes(costs, per_channel=False)
    print(f"{label:<34} {total:>7,} bytes {bit_operations(costs, bits, 8) / 1e6:>7.1f} million bit operations")

# %% volatile=true
for label, bits in plans.items():
    plan = prepare(folded, some, weight_bits=bits, activation_bits=None, per_channel=False)
    print(f"{label:<34} {evaluate(plan, few):.1%}")

# %% [markdown]
# Eight bits for the first layer alone do not save a network that is broken in twenty other places; for the first and all depth-wise layers they do most of
# the work, for a fifth more bytes. Damages do not add up: a scan of one layer at a time is a hint, not a proof.
#
# One network proves little. Below are several, each trained from its own seed, in all forms, tested *once* on the 10,000 test images
# (*measured before*, shipped as a record; `tinylib data make quantization-seeds` remakes it). The lines on the bars show the spread over the networks.

# %%
seeds = load_record("quantization-seeds")
forms = {"original: float": "float", "ours: int8": "int8", "failure: 4 bits,\none scale": "four_tensor", "failure: 4 bits,\nper channel": "four_channel",
         "ours: 4 bits,\ntrained": "four_trained"}
means = {key: 100 * np.mean([row[key] for row in seeds]) for key in seeds[0] if key != "seed"}
spread = {key: 100 * np.std([row[key] for row in seeds], ddof=1) for key in means}
figure, ax = plt.subplots(figsize=(7.2, 3.5))
plots.bars(ax, {label: means[key] for label, key in forms.items()}, spread={label: spread[key] for label, key in forms.items()}, ylabel="test accuracy (%)")
lost = round(means["float"] - means["int8"], 2) + 0.0
ax.set_title(f"8 bits lose {lost:.1f} points, 4 bits {means['float'] - means['four_tensor']:.0f}; training wins back "
             f"{means['four_trained'] - means['four_tensor']:.0f}")
plt.show()
print(f"{len(seeds)} networks; weights only, 4 bits, no training: even levels {means['weights_linear']:.1f} %, codebook {means['weights_codebook']:.1f} %")

# %% [markdown]
# ### Reveal

# %%
reveal("quantization.eight", lost, "points")

# %%
reveal("quantization.four", round(means["four_tensor"], 1), "%")

# %%
reveal("quantization.trained", round(means["four_trained"], 1), "%")

# %% [markdown]
# ## Break it, and repair it
#
# Calibration trusts its images. Below, the camera delivers one broken picture among 256: nine hot pixels at 255, where all
# others lie between -1 and 1. Run the cell
# and see what one picture does to the whole network. Then repair it **without removing the picture**: `method` may be `"minmax"`, `"percentile"`
# (leave out the rarest values) or `"mse"` (the range with the least squared error).

# %% volatile=true
method = "percentile"  ### SOLUTION: "minmax"
broken = some.clone()
broken[17, 0, 3:6, 4:7] = 255.0
damaged = quantize_model(net, broken, activation_method=method)
tensor = damaged.tensors[damaged.input]
print(f"{method}: a step of the input is {tensor.scale:.4f}, accuracy {accuracy(damaged, *few):.1%}; with clean calibration {accuracy(graph, *few):.1%}")

# %% [markdown]
# With min-max the broken pixels stretch the grid: the honest values, -1 to 1, are left with three of the 256 levels: black, grey, white.
# A percentile gives up a few extreme values (they saturate) and keeps the steps small. Least squares does not help here: cutting off a pixel
# of 255 costs more than it saves. Every range is such a bargain between saturation and step size.
#
# ## Decide
#
# The weights go into flash. How many bytes they may take is your own number. Here is the sweep; "trained" is after the epoch with the rounding in.

# %%
# NBVAL_CHECK_OUTPUT
print("way           bits     bytes   as rounded   trained")
for row in sweep["rows"]:
    trained = f"{row['tuned']:.1%}" if row["tuned"] is not None else "-"
    print(f"{row['way']:<12} {row['bits']:>5} {row['bytes']:>9,} {row['plain']:>12.1%} {trained:>9}")

# %%
answer("quantization.decide", ["per channel", 4])  ### SOLUTION: None

# %% [markdown] reason="quantization.decide.reason" points=2
# Why this row? Two or three sentences: what the next cheaper row would have cost, what your choice needs at run time, and what you would still measure.

# %% [markdown]
# ## Exit quiz
#
# Five questions. Three of them have numbers of your own.

# %%
answer("quantization.quiz.1", -78)  ### SOLUTION: None

# %%
answer("quantization.quiz.2", -11)  ### SOLUTION: None

# %%
answer("quantization.quiz.3", 832)  ### SOLUTION: None

# %%
answer("quantization.quiz.4", "b")  ### SOLUTION: None

# %%
answer("quantization.quiz.5", "c")  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# *Published* figures are from the abstracts of the papers named; ours are *measured before* and shipped (`quantization-seeds`), means over the
# networks on the test set.

# %%
# NBVAL_CHECK_OUTPUT
points = {key: means[key] - means["float"] for key in means}
for what, published, ours in (
    ("8 bits", "within 2 % of float, no training (Krishnamoorthi 2018)", f"{points['int8']:+.2f} points"),
    ("4 bits", "weights only, with training: 2 to 10 % lost (the same)",
     f"weights and activations: {points['four_tensor']:+.1f} points as rounded, {points['four_trained']:+.1f} after half an epoch"),
    ("codebook", "35 to 49 times smaller, no loss (Han 2016), with pruning",
     f"about 8 times smaller, nothing pruned or tuned: {points['weights_codebook']:+.1f} points"),
):
    print(f"{what:<9} published: {published}\n{'':<9} here:      {ours}")
print(f"\n4 bits as rounded, a scale per channel against one a layer: {means['four_channel'] - means['four_tensor']:+.1f} points")
print(f"4-bit weights as rounded, codebook against even levels:     {means['weights_codebook'] - means['weights_linear']:+.1f} points")

# %% [markdown]
# Why the gap? Their networks hold millions of weights and classify a thousand kinds of things; ours has 56 thousand and little to spare. Their training
# lasts many epochs. And a mean hides that single networks differ by several points as rounded: look at the record before you
# trust one network, theirs or ours.
#
# The claims of this lab, with their intervals, are in `data/claims/quantization.toml`; `tinylib claims` prints them.

# %% [markdown]
# ## Your passport
#
# The passport collects one row a lab: a network that you could ship, with everything it costs. This row is the garments network as an integer
# graph. Its accuracy was *measured before* on the whole test set (`quantization-seeds`, seed 0); its bytes are all constants of the graph.

# %%
from tinylib.course.passport import stamp
from tinylib.measure.profile import profile

cost = profile(folded, some[:1], activation_bits=8, fuse=True)
state = {f"{op.name}.{part}": getattr(op, part) for op in graph.ops for part in ("weight", "bias") if op.weight is not None}
row = stamp("quantization", state, accuracy=seeds[0]["int8"], n_bytes=graph_bytes(graph), macs=cost.macs, peak_bytes=cost.peak_bytes)
print(f"accuracy {row.accuracy:.2%}, {row.n_bytes:,} bytes, {row.macs:,} MACs, peak {row.peak_bytes:,} bytes")

# %% [markdown]
# ## Read next
#
# - `tinylib/quantize/graph.py`: the whole integer arithmetic on one page. The microcontroller lab turns such a graph into C.
# - Jacob et al.: *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference* (CVPR 2018).
# - Krishnamoorthi: *Quantizing deep convolutional networks for efficient inference: A whitepaper* (arXiv 1806.08342).
# - Han, Mao, Dally: *Deep Compression* (ICLR 2016). Codebooks on top of pruning, and Huffman codes on top of both.
# - Bengio, Léonard, Courville: *Estimating or Propagating Gradients Through Stochastic Neurons* (arXiv 1308.3432). The straight-through estimator.
