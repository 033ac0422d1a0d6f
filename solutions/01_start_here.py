# ---
# title: Start here: what a network costs
# minutes: 75
# prerequisites: none
# systems: Costs of a network
# passport: no
# ---

# %% [markdown]
# # Start here: what a network costs
#
# **75 minutes.** You need Python and a little PyTorch. Everything runs on this machine, without a network connection, in about half a minute of computing.
#
# A network has more than one price. It is paid in parameters, in arithmetic, in memory, in time and in energy, and each at a different place.
# By the end of this lab you can work out each of them with a pencil, and you will have checked your pencil against this machine.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("start_here")

import matplotlib.pyplot as plt
import torch
from torch import nn

# %% [markdown]
# ## Why it matters
#
# | | parameters | at 8 bits | fits a microcontroller with 1 MiB of flash? |
# |---|---|---|---|
# | ResNet-50 (published) | 25.6 million | 24 MiB | no, 24 times too large |
# | MobileNetV2 (published) | 3.5 million | 3.3 MiB | no |
# | `garments`, the small network of this course | 60,010 | 59 KiB | yes |
#
# Flash holds the weights. The tensors between the layers live in another, smaller memory: the same chip has about 320 KiB of it, a phone 20,000 times more.
# A network may fit one memory and break the other. It may have few operations and still be slow.
# To make a network efficient, first find out *which* price is too high.
#
# ## What you will be able to do
#
# - work out the output size, the parameters and the operations of any convolution
# - find the peak of a network's memory, with residuals, and lower it by changing the order of the steps
# - say whether a layer waits for arithmetic or for memory, and how fast it can be at best
# - explain why 8 times fewer operations are not 8 times faster
# - choose a block that fits two budgets

# %% [markdown]
# ## How a lab works
#
# 1. **Predict.** You commit to a guess before you see the result. A wrong guess costs nothing; it makes the result stick.
# 2. **Play.** A panel with sliders shows the idea. It also has one line of text that says what the picture shows.
# 3. **Build.** You write a function of a few lines. Replace `raise NotImplementedError` and run the cell.
# 4. **Check.** The next cell tests your function on many small cases and shows the first one that fails. Check as often as you like.
# 5. **Decide.** You choose a configuration under a budget and give your reason.
#
# Stuck? Go on. Each later cell uses a reference until yours passes, and says so. In a class, each answer cell is graded by itself:
# a function must not call one from another cell.
#
# ## Two predictions
#
# In each cell, replace `None` by your guess and run it.

# %%
predict("start_here.time", 4.0)  ### SOLUTION: None

# %%
predict("start_here.where", "b")  ### SOLUTION: None

# %% [markdown]
# ## Play first
#
# A **convolution** moves a small window over an image. At each place it multiplies what it sees by its **weights** and adds up. The numbers in its input
# and output are its **activations**. A **depth-wise** convolution keeps the channels apart; a **1x1** convolution only mixes them.
#
# The panel shows one convolution on 32x32 pixels. Move one slider at a time.

# %%
panel("start_here.conv")

# %% [markdown]
# - Double the channels of the full convolution. What happens to the MACs? And to the activations?
# - Which of the three bars does the kernel leave alone?
# - Which setting has the fewest parameters and still breaks the memory budget?
#
# ## The idea: count, do not guess
#
# The letters are the same in the whole course: `b` batch, `c` channels in, `k` channels out, `h w` image height and width, `n` points, `t` time, `d` features.
#
# **1 MAC** is one multiply and one add (*multiply-accumulate*). Some papers count it as two FLOPs; we never do.
#
# A convolution takes $(b, c, h, w)$ to $(b, k, h', w')$ with a kernel of $r \times s$ weights.
# With $g$ **groups**, an output channel sees only $c/g$ input channels. Depth-wise is the extreme: $g = c$.
#
# $$\text{parameters} = k \cdot \tfrac{c}{g} \cdot r \cdot s \;(+\,k \text{ for a bias})$$
# $$\text{MACs} = b \cdot h' \cdot w' \cdot k \cdot \tfrac{c}{g} \cdot r \cdot s$$
#
# **By hand.** A 3x3 image with one channel, a 2x2 kernel, two output channels, no bias. The window has 2 x 2 places.
# Parameters: 2 x 1 x 2 x 2 = **8**. MACs: each of the 8 weights is used at each of the 4 places, **32**.

# %% [markdown]
# ### Build 1: how many places?  (5 minutes)
#
# **Stride**: the step from one place to the next. **Padding**: zeros added at *both* ends. **Dilation** `d`: the window's taps lie `d` apart, so `kernel` taps
# cover `d * (kernel - 1) + 1` positions. A window that would hang over the end is not computed.

# %% exercise="start_here.output_size"
def output_size(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Number of window places on a line of `n` positions."""
    ### BEGIN SOLUTION
    cover = dilation * (kernel - 1) + 1
    return (n + 2 * padding - cover) // stride + 1
    ### END SOLUTION

# %% check="start_here.output_size" points=2
check("start_here.output_size", output_size)

# %% [markdown]
# ### Build 2: parameters  (5 minutes)
#
# `kernel` is a pair, height and width. `bias` is True or False.

# %% exercise="start_here.conv_params"
def conv_params(c: int, k: int, kernel: tuple[int, int], groups: int, bias: bool) -> int:
    """Parameters of a convolution from c to k channels."""
    ### BEGIN SOLUTION
    weights = k * (c // groups) * kernel[0] * kernel[1]
    return weights + k if bias else weights
    ### END SOLUTION

# %% check="start_here.conv_params" points=3
check("start_here.conv_params", conv_params)

# %% [markdown]
# ### Build 3: MACs  (10 minutes)
#
# For one image (`b = 1`) of `size` = (h, w). Work out both output sides inside the function: it is graded by itself.

# %% exercise="start_here.conv_macs"
def conv_macs(c: int, k: int, kernel: tuple[int, int], size: tuple[int, int],
              stride: int, padding: int, dilation: int, groups: int) -> int:
    """MACs of a convolution on one image. Products with padding zeros count, a bias does not."""
    ### BEGIN SOLUTION
    places = 1
    for n, taps in zip(size, kernel):
        places *= (n + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
    return places * k * (c // groups) * kernel[0] * kernel[1]
    ### END SOLUTION

# %% check="start_here.conv_macs" points=4
check("start_here.conv_macs", conv_macs)

# %% [markdown]
# ## Your code on a real network
#
# `garments` is a trained network for 28x28 pictures of clothes. We note which input size each convolution sees, and let your functions count.

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.core.checkpoint import load_model

network, image, seen = load_model("garments-base"), torch.zeros(1, 1, 28, 28), []
convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
note = lambda m, inputs, output: seen.append((m, tuple(inputs[0].shape[2:])))
hooks = [m.register_forward_hook(note) for m in convolutions]
with torch.no_grad():
    network(image)
for hook in hooks:
    hook.remove()

count_macs = ready("start_here.conv_macs", conv_macs)
count_params = ready("start_here.conv_params", conv_params)
macs, params = [], []
for m, size in seen:
    c, k, kernel = m.in_channels, m.out_channels, m.kernel_size
    macs.append(count_macs(c, k, kernel, size, m.stride[0], m.padding[0], m.dilation[0], m.groups))
    params.append(count_params(c, k, kernel, m.groups, m.bias is not None))
print(f"{len(seen)} convolutions: {sum(macs):,} MACs, {sum(params):,} parameters")
depthwise = sum(n for n, (m, _) in zip(macs, seen) if m.groups > 1)
print(f"depth-wise layers: {100 * depthwise / sum(macs):.0f} % of these MACs")

# %% [markdown]
# The library has a meter that needs no formula. It runs the network once, watches every operator, and names those it does not know. Does it agree with you?
# Only the final linear layer is missing in your count: 96 x 10 = 960 MACs. The meter's parameters include
# the linear layer and two numbers for each channel that is normalised.
#
# After that, the panel again: now it runs on *your* functions, and the switch compares them with the reference.

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.measure.profile import profile

report = profile(network, image, fuse=True)
print(f"{report.macs:,} MACs in all, {report.macs - 960:,} without the linear layer")
print(f"{report.params:,} parameters; unknown operators: {report.unknown or 'none'}")

# %%
panel("start_here.conv", {"start_here.conv_params": conv_params,
                          "start_here.conv_macs": conv_macs})

# %% [markdown]
# ## Memory: who is alive?
#
# Weights can stay in flash. Activations need working memory (SRAM), but not all at once: a tensor's room is free again after its last use.
# So the price is the **peak**: the most bytes alive at any one step.
#
# - A step needs its inputs *and* its output: it reads while it writes.
# - A **residual** connection (`y = f(x) + x`) keeps `x` waiting while `f` runs.
#
# **By hand.** `x` has 4 KiB, `wide` 16, `filtered` 16, `narrow` 4, and `y = narrow + x` 4.
#
# | step | alive | KiB |
# |---|---|---|
# | make `wide` from `x` | x, wide | 20 |
# | make `filtered` from `wide` | **x**, wide, filtered | **36** |
# | make `narrow` from `filtered` | **x**, filtered, narrow | 24 |
# | make `y` from `narrow` and `x` | x, narrow, y | 12 |
#
# Looking at one layer at a time, you would say 32 and run out of memory.

# %% [markdown]
# ### Build 4: peak memory  (15 minutes)
#
# `sizes` gives the bytes of every tensor. `steps` lists (output, [inputs]) in the order in which they run. Tensors that no step makes are the network's inputs:
# they are alive from the start. A tensor that nobody reads is alive at its own step only.

# %% exercise="start_here.peak_bytes"
def peak_bytes(sizes: dict[str, int], steps: list[tuple[str, list[str]]]) -> int:
    """Largest sum of the sizes that are alive at one step."""
    ### BEGIN SOLUTION
    last_use = {name: i for i, (_, inputs) in enumerate(steps) for name in inputs}
    made = {output for output, _ in steps}
    alive = {name for name in sizes if name not in made}
    peak = 0
    for i, (output, _) in enumerate(steps):
        alive.add(output)
        peak = max(peak, sum(sizes[name] for name in alive))
        alive = {name for name in alive if last_use.get(name, -1) > i}
    return peak
    ### END SOLUTION

# %% check="start_here.peak_bytes" points=6
check("start_here.peak_bytes", peak_bytes)

# %% [markdown]
# Below, your function meets the first block of `garments` (16 channels, widened to 48, on 14x14 pixels, 4 bytes each). The meter follows the real tensors
# of the running network and should find the same peak.

# %%
# NBVAL_CHECK_OUTPUT
peak_of = ready("start_here.peak_bytes", peak_bytes)
narrow, wide = 16 * 14 * 14 * 4, 48 * 14 * 14 * 4
sizes = {"x": narrow, "wide": wide, "filtered": wide, "narrow": narrow, "y": narrow}
steps = [("wide", ["x"]), ("filtered", ["wide"]),
         ("narrow", ["filtered"]), ("y", ["narrow", "x"])]
metered = profile(network.blocks[0], torch.zeros(1, 16, 14, 14), fuse=True)
print(f"your peak {peak_of(sizes, steps):,} bytes, the meter's {metered.peak_bytes:,} bytes")

# %%
panel("start_here.memory", {"start_here.peak_bytes": peak_bytes})

# %% [markdown]
# - Make the block fit in 64 KiB by the image side alone. Then by the expansion alone.
# - Switch the residual off and on. By how much does it raise the peak?
# - Is there a setting where the residual does not matter?
#
# ### Reveal: where is the peak?

# %%
from tinylib.measure.arena import live_bytes

live = live_bytes(report.buffers) / 1024      # KiB alive at each step of the whole network
fig, ax = plt.subplots(figsize=(7, 2.8))
ax.bar(range(len(live)), live, color="#56B4E9", width=1.0)
ax.set(title="The first block needs the most memory, long before the widest layers",
       xlabel="step (operator)", ylabel="alive (KiB)")
ax.text(live.argmax() + 1, live.max() - 4, report.peak_step.split(":")[0])
plt.show()
block = report.peak_step.split(".")[1]
reveal("start_here.where", "b" if block == "0" else "c")
print(report)

# %% [markdown]
# ## Break it: the same steps, another order
#
# This small graph has two branches. Nothing in it can be made smaller, and the chip has **86 KiB**. In the given order it does not fit.
# Change `order` until it does, then give your order in the cell below.

# %%
# NBVAL_CHECK_OUTPUT
sizes = {"x": 16, "a1": 64, "a2": 8, "b1": 32, "b2": 4, "y": 12}      # KiB
inputs = {"a1": ["x"], "a2": ["a1"], "b1": ["x"], "b2": ["b1"], "y": ["a2", "b2"]}
order = ["a1", "b1", "a2", "b2", "y"]
print(f"peak {peak_of(sizes, [(name, inputs[name]) for name in order])} KiB of 86 KiB")

# %%
answer("start_here.order", ["b1", "b2", "a1", "a2", "y"])  ### SOLUTION: None

# %% [markdown]
# ## Time: arithmetic or traffic?
#
# A machine has two limits: how many MACs it can do in a second, and how many bytes it can move. Divide a layer's MACs by the bytes it moves and you
# get its **arithmetic intensity**, in MAC per byte. Then
#
# $$\text{rate} \le \min(\text{peak}, \ \text{intensity} \times \text{bandwidth})$$
#
# Drawn over the intensity this looks like a **roof**. It bends at the **ridge**, peak / bandwidth. Left of it a layer is *memory bound*: it waits for bytes,
# and fewer MACs do not help. Right of it, it is *compute bound*.
#
# **By hand.** 1000 MACs on 1000 bytes: intensity 1. With a peak of 4 MAC and a bandwidth of 1 byte per nanosecond, the rate is min(4, 1 x 1) = 1,
# a quarter of the peak. On 10 bytes the intensity is 100, and the rate is the peak, 4.

# %% [markdown]
# ### Build 5: the roof  (10 minutes)
#
# `numbers` counts all numbers that the layer reads or writes, once each; `bits` is the width of one.
# `peak_macs` is in MAC per second, `bandwidth` in bytes per second.

# %% exercise="start_here.roofline"
def roofline(macs: int, numbers: int, bits: int,
             peak_macs: float, bandwidth: float) -> tuple[float, float, float]:
    """(intensity in MAC/byte, best rate in MAC per second, least time in milliseconds)."""
    ### BEGIN SOLUTION
    intensity = macs / (numbers * bits / 8)
    rate = min(peak_macs, intensity * bandwidth)
    return intensity, rate, 1000 * macs / rate
    ### END SOLUTION

# %% check="start_here.roofline" points=5
check("start_here.roofline", roofline)

# %%
panel("start_here.roof", {"start_here.roofline": roofline})

# %% [markdown]
# - Raise the batch of the linear layer. Why does its intensity grow, and the depth-wise layer's hardly at all?
# - Find the 1x1 convolution that sits nearest to the ridge.
#
# ## Experiment: 8 times fewer MACs
#
# First, the roof of *this* machine, with one thread: the rate of a large matrix product, and of a long copy.

# %% volatile=true
from tinylib.measure.roofline import measure_machine

machine = measure_machine(seconds=1.0)
print(f"measured here: {machine.macs_per_second / 1e9:.0f} GMAC/s,",
      f"{machine.bytes_per_second / 1e9:.1f} GB/s, ridge at {machine.ridge:.1f} MAC per byte")

# %% [markdown]
# Now the convolution of your first prediction, and what replaces it. Each is timed many times, turn by turn. We compare the *fastest* runs, because a busy
# machine can only add time; the median and the middle half of the runs stand beside them. Your roof says what would be possible.

# %% volatile=true
from tinylib.measure.latency import race

x = torch.randn(1, 64, 32, 32)
conv = lambda r, groups: nn.Conv2d(64, 64, r, padding=r // 2, groups=groups, bias=False)
layers = {"full 3x3": conv(3, 1), "depth-wise 3x3": conv(3, 64), "1x1": conv(1, 1)}
layers["depth-wise + 1x1"] = nn.Sequential(layers["depth-wise 3x3"], layers["1x1"])
with torch.no_grad():
    times = race({name: lambda m=m: m(x) for name, m in layers.items()}, runs=200, seconds=3)

roof = ready("start_here.roofline", roofline)
for name in ("full 3x3", "depth-wise 3x3", "1x1"):
    m = layers[name]
    macs = count_macs(64, 64, m.kernel_size, (32, 32), 1, m.padding[0], 1, m.groups)
    numbers = 2 * x.numel() + m.weight.numel()
    intensity, _, least = roof(macs, numbers, 32, machine.macs_per_second, machine.bytes_per_second)
    print(f"{name:14s} {macs / 1e6:5.2f} MMAC {intensity:5.1f} MAC/byte: at least {least:.3f} ms,",
          f"fastest {times[name].fastest_ms:.3f} ms, median {times[name]}")

# %% volatile=true
from tinylib.show.plots import bars

fastest = {name: t.fastest_ms for name, t in times.items()}
factor = fastest["full 3x3"] / fastest["depth-wise + 1x1"]
label = {"full 3x3": "original: full 3x3", "depth-wise 3x3": "memory: depth-wise 3x3",
         "1x1": "compute: 1x1", "depth-wise + 1x1": "ours: depth-wise + 1x1"}
fig, ax = plt.subplots(figsize=(7, 3.2))
bars(ax, {label[name]: t for name, t in fastest.items()}, ylabel="time (ms, fastest run)",
     spread={label[name]: (0, t.median_ms - t.fastest_ms) for name, t in times.items()})
ax.set_title(f"7.9 times fewer MACs, {factor:.1f} times less time (whisker: median)")
plt.show()
reveal("start_here.time", round(factor, 2), "times")

# %% [markdown]
# The depth-wise layer does a seventh of the 1x1 layer's MACs and takes almost as long. It moves the same activations and does little with each; it is also a
# kernel that libraries tune less. (A measured time a little under its roof? Then this kernel is better than the
# matrix product that set the roof, or the machine was busy just then: run both cells again.)
#
# **MACs predict time only among layers of the same kind.** That is why later labs measure latency instead of trusting a count.
#
# ## Energy: moving is dearer than computing
#
# Energy is hard to measure on a laptop. Here is a model with *published* prices per operation (45 nm chip; Horowitz, ISSCC 2014), not a measurement:
# the arithmetic of one picture, and reading each weight once from external memory (DRAM).

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.measure.energy import load_energy_table

prices = load_energy_table()
for dtype, bytes_each in (("float32", 4), ("int8", 1)):
    arithmetic = report.macs * prices.mac_pj(dtype) / 1e6
    reading = report.params * bytes_each * prices.byte_pj("DRAM") / 1e6
    print(f"{dtype:8s} arithmetic {arithmetic:5.2f} uJ, weights from DRAM {reading:5.2f} uJ,",
          f"{reading / arithmetic:.0f} times as much")

# %% [markdown]
# At 8 bits arithmetic becomes 15 times cheaper in this model, and traffic 4 times. Smaller numbers help both; fewer bytes help where it hurts.
#
# ## Decide: one block, two budgets
#
# An 8-bit inverted residual block (16 to 48 pixels on a side) must fit the memory for activations *and* the memory for weights.
# Within both, take the most MACs: among networks that fit one memory, those with more MACs tend to be more accurate (published: MCUNet, 2020).
# Run the next cell to see your budgets.

# %%
answer("start_here.decide", {"side": 24, "channels": 24, "expand": 2})  ### SOLUTION: None

# %% [markdown]
# This cell tries the whole family with your functions. Put *your* two budgets in the first line, and search `family` for the best block that fits.
# It has 80 blocks; one line with `max` and a condition is enough.

# %%
from itertools import product

PEAK_KIB, WEIGHTS_KIB = 80, 6
family = []
for side, c, expand in product((16, 24, 32, 48), (8, 16, 24, 32, 48), (2, 3, 4, 6)):
    wide, pixels = expand * c, side * side
    sizes = {"x": pixels * c, "wide": pixels * wide, "filtered": pixels * wide,
             "narrow": pixels * c, "y": pixels * c}
    three = [(c, wide, (1, 1), 1), (wide, wide, (3, 3), wide), (wide, c, (1, 1), 1)]
    family.append({
        "side": side, "channels": c, "expand": expand,
        "peak": peak_of(sizes, steps) / 1024,
        "weights": sum(count_params(i, o, k, g, False) for i, o, k, g in three) / 1024,
        "macs": sum(count_macs(i, o, k, (side, side), 1, k[0] // 2, 1, g) for i, o, k, g in three)})
fits = [b for b in family if b["weights"] <= WEIGHTS_KIB]
print(len(family), "blocks;", sum(b["peak"] <= PEAK_KIB for b in fits), "fit both budgets")

# %%
from tinylib.show.plots import scatter

place = lambda blocks: [(b["peak"], b["macs"] / 1e6) for b in blocks]
fig, ax = plt.subplots(figsize=(7, 3.4))
scatter(ax, {"original: too many weights": place([b for b in family if b not in fits]),
             "ours: weights fit": place(fits)},
        xlabel="peak of activations (KiB)", ylabel="work (MMAC)", budget=PEAK_KIB, log=True)
ax.set_title("The best block is the highest blue point left of the line")
plt.show()

# %% [markdown] reason="start_here.decide.reason" points=2
# *Your reason, in two or three sentences: which budget stopped you first, and what would you ask the chip's maker for?*

# %% [markdown]
# ## Exit quiz
#
# Five short questions; the numbers are yours. Replace `None` and run the cell as often as you like.

# %%
answer("start_here.quiz.1", 45360)  ### SOLUTION: None

# %%
answer("start_here.quiz.2", 54)  ### SOLUTION: None

# %%
answer("start_here.quiz.3", "c")  ### SOLUTION: None

# %%
answer("start_here.quiz.4", "b")  ### SOLUTION: None

# %%
answer("start_here.quiz.5", "a")  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# | number | published | here | why they differ |
# |---|---|---|---|
# | depth-wise + 1x1 against full 3x3, MACs | 8 to 9 times fewer (MobileNet, 2017) | 7.9 times, exact | the gain is 1 / (1/k + 1/9) for k output channels |
# | the same, time | not given there | about 3 times less, measured | the depth-wise half waits for memory |
# | energy of a float32 MAC | 4.6 pJ (Horowitz, 2014) | not measured | a laptop has no meter for it; the ratio matters here, not the value |
#
# ## Read next
#
# - `tinylib/measure/profile.py`: the meter you compared yourself with. `arena.py` beside it places the buffers for real.
# - *Roofline: an insightful visual performance model* (Williams, Waterman, Patterson, 2009), six pages.
# - *Computing's energy problem* (Horowitz, 2014): where the prices come from.
#
# **Next lab:** take weights away. Pruning makes a network smaller; whether it also gets faster depends on what you learned here.
