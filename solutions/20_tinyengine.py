# ---
# title: TinyEngine: a network on a microcontroller
# minutes: 100
# prerequisites: start_here, quantization
# systems: TinyEngine (MCUNet, MCUNetV2)
# passport: yes
# ---

# %% [markdown]
# # TinyEngine: a network on a microcontroller
#
# **100 minutes.** You need Python, and to have seen integers stand for real numbers (lab `quantization`). You read a little C; you write none.
# No board is needed: the program runs on an *emulated* Cortex-M inside the real limits of a real board.
#
# A trained network is not yet a program. Somebody must decide in which order numbers are read, where each tensor lies, and what happens when the
# memory is too small. In this lab you make these decisions, and count what they cost.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("tinyengine")

import matplotlib.pyplot as plt
import numpy as np
import torch

# %% [markdown]
# ## Why it matters
#
# | board | SRAM (tensors) | flash (code and weights) | clock |
# |---|---|---|---|
# | STM32G431 | 32 KiB | 128 KiB | 170 MHz |
# | nRF52840 | 256 KiB | 1 MiB | 64 MHz |
# | STM32F746 | 320 KiB | 1 MiB | 216 MHz |
# | a phone | several million KiB | more | 3,000 MHz |
#
# There is no operating system, no heap, and no room for an interpreter with everything in it. A tensor that is one byte too large is not slow: it does not
# run. On the other hand the network never changes. All sizes are known beforehand, and a program can be written for exactly this one.
#
# ## What you will be able to do
#
# - scale sums back to 8 bits with integers alone, in one rounding
# - prove that a memory plan is valid, and make one
# - run a depth-wise convolution in the memory of its own input
# - find which part of a picture a patch needs, and say when patches pay
# - explain where the instructions of a convolution go, and how to halve them several times
#
# ## Two predictions

# %%
predict("tinyengine.simd", 4.0)  ### SOLUTION: None

# %%
predict("tinyengine.patches", "b")  ### SOLUTION: None

# %% [markdown]
# ## Play first: a map of memory
#
# Below is the memory of a network like MobileNetV2 on 64x64 colour pictures (its weights are seeded, not trained: here only bytes count). Each box is a
# buffer: how long it lives (left to right) and where it lies (bottom to top). Orange boxes are *scratch*, room that an operator needs besides its tensors.
#
# *Patches*: the first operators run on one part of the picture after the other, so that no large tensor exists whole.
# *In place*: a depth-wise convolution writes its output over its input.

# %%
panel("tinyengine.map")

# %% [markdown]
# - Which two buffers make the peak when nothing is patched?
# - Find the smallest number of operators in patches with which the network fits.
# - With 17 operators in patches the peak grows again, and so do the MACs. Why?
#
# ## The idea: know everything beforehand
#
# TinyEngine (Lin et al., MCUNet, 2020 and MCUNetV2, 2021) takes the network, its weights and the board, and writes C for them: only the kernels that are
# used, every size a constant, one array for all tensors. It is a compiler for one network. Ours is `tinylib.deploy`; it does the same for any small integer
# graph, and every program it writes is compared bit for bit with a reference.
#
# Letters: `h w` picture, `c` channels in, `k` channels out. Tensors are int8 in HWC order: the channels of one pixel lie side by side.
#
# ### One number at a time
#
# Weights and activations are integers that stand for real numbers. A sum of products `acc` (32 bits) belongs to a finer scale than the output, so it is
# multiplied by a real number below 1. On a chip without fast reals, that number is written as $m / 2^s$ with integers $m$ and $s$:
#
# $$y = \mathrm{clip}\left(z + \left\lfloor \frac{acc \cdot m + 2^{s-1}}{2^s} \right\rfloor,\ low,\ high\right)$$
#
# $2^{s-1}$ is half a step: it turns rounding down into rounding to the nearest, ties upwards. $z$ is the output's zero point.
# `low` and `high` also hold a ReLU.
#
# **By hand.** $m = 2^{30}$ and $s = 31$ mean "times one half". $acc = 3$: 1.5 is a tie and becomes 2. $acc = -3$: -1.5 becomes -1, upwards again.

# %% [markdown]
# ### Build 1: back to 8 bits  (10 minutes)
#
# `acc`, `multiplier` and `shift` are int32 arrays of one shape. The product needs up to 62 bits. Return int8.

# %% exercise="tinyengine.requantise"
def requantise(acc: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, zero: int, low: int, high: int) -> np.ndarray:
    """int8 array: acc * multiplier / 2**shift to the nearest (ties upwards), plus zero, clipped to [low, high]."""
    ### BEGIN SOLUTION
    product = acc.astype(np.int64) * multiplier
    half = np.int64(1) << (shift.astype(np.int64) - 1)
    scaled = (product + half) >> shift.astype(np.int64)
    return np.clip(scaled + zero, low, high).astype(np.int8)
    ### END SOLUTION

# %% check="tinyengine.requantise" points=3
check("tinyengine.requantise", requantise)

# %% [markdown]
# On a Cortex-M4 this takes four instructions: a multiplication that keeps the high word and adds (`SMMLA`), a shift, a saturation (`SSAT`) and the store.
# The zero point and the half step are added together as one constant.
#
# ## Memory: a plan and its proof
#
# A **buffer** is (size, first, last): bytes, and the first and last step in which it is alive, *both included*. Two buffers may share bytes if they never
# live at the same time. Before you plan, write the proof: a function that finds every pair that is wrong. An allocator without a proof is a guess.
#
# ### Build 2: the proof  (10 minutes)

# %% exercise="tinyengine.conflicts"
def conflicts(buffers: list[tuple[int, int, int]], offsets: list[int]) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, of buffers that are alive in the same step and share at least one byte."""
    ### BEGIN SOLUTION
    found = []
    for j, (size_j, first_j, last_j) in enumerate(buffers):
        for i, (size_i, first_i, last_i) in enumerate(buffers[:j]):
            together = first_i <= last_j and first_j <= last_i
            start, end = max(offsets[i], offsets[j]), min(offsets[i] + size_i, offsets[j] + size_j)
            if together and start < end:
                found.append((i, j))
    return found
    ### END SOLUTION

# %% check="tinyengine.conflicts" points=3
check("tinyengine.conflicts", conflicts)

# %% [markdown]
# ### Build 3: the allocator  (15 minutes)
#
# The best plan is hard to find (the problem is NP-hard), a good one is not. **Largest first**: go through the buffers from the largest to the smallest (equal
# sizes in the given order), and give each the lowest offset where it meets no buffer that is already placed *and* alive together with it.
# A buffer of 0 bytes gets offset 0.
#
# **By hand.** (4, 0, 0), (8, 0, 2), (6, 1, 1). The second is the largest: offset 0. The third lives in step 1, together with it: offset 8. The first lives
# only in step 0, beside the second, and the third is not there yet: offset 8 as well. The arena has 14 bytes instead of 18.

# %% exercise="tinyengine.place"
def place(buffers: list[tuple[int, int, int]]) -> list[int]:
    """Offset of each buffer (size, first, last), in the order given; largest first, lowest gap."""
    ### BEGIN SOLUTION
    offsets, done = [0] * len(buffers), []
    for i in sorted(range(len(buffers)), key=lambda i: -buffers[i][0]):
        size, first, last = buffers[i]
        in_the_way = [(offsets[j], offsets[j] + buffers[j][0]) for j in done if buffers[j][0] and buffers[j][1] <= last and first <= buffers[j][2]]
        at = 0
        for low, high in sorted(in_the_way):
            if size and at + size > low:
                at = max(at, high)
        offsets[i] = at
        done.append(i)
    return offsets
    ### END SOLUTION

# %% check="tinyengine.place" points=5
check("tinyengine.place", place)

# %% [markdown]
# ## Your plan for a real network
#
# `garments` is the trained network of this course. We turn it into integers as in lab `quantization`, with an argmax at the end. Then your allocator places
# its buffers, and your proof checks the plan.

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.core.checkpoint import load_model
from tinylib.datasets.garments import load
from tinylib.deploy.planner import plan
from tinylib.quantize.convert import quantise_input, quantize_model

splits = load()
network = load_model("garments-base")
graph = quantize_model(network, splits.val.take(64).tensors()[0], head="argmax")

my_place, my_proof = ready("tinyengine.place", place), ready("tinyengine.conflicts", conflicts)
for name, made in (("in place", plan(graph)), ("not in place", plan(graph, in_place=False))):
    buffers = [(-(-b.size // 4) * 4, b.first, b.last) for b in made.buffers]      # whole words
    offsets = my_place(buffers)
    arena = max(at + size for at, (size, _, _) in zip(offsets, buffers))
    print(f"{name:13s} {len(buffers)} buffers: {made.unplanned_bytes:6d} bytes without a plan, yours {arena} (no plan can beat {made.bound_bytes}), "
          f"{len(my_proof(buffers, offsets))} conflicts")

# %% [markdown]
# ## Break it: equal lifetimes
#
# An allocator that was in real use compared lifetimes with strict inequalities only: "is this end *strictly inside* that life?" Two buffers with exactly
# the same life passed as strangers and got the same address. It is easy to overlook, since most lifetimes differ. Here it is. What does your proof say?
#
# Repair it: which comparison of `first` and `last` is enough? Then, in the cell after it, place four buffers yourself.

# %%
# NBVAL_CHECK_OUTPUT
def strict_place(buffers):
    """First fit with the mistake: equal lifetimes do not count as alive together."""
    offsets = []
    for i, (size, first, last) in enumerate(buffers):
        at = 0
        for j in sorted(range(i), key=lambda j: offsets[j]):
            other, start, end = buffers[j]
            together = start < first < end or start < last < end or first < start < last or first < end < last
            if together and at < offsets[j] + other and offsets[j] < at + size:
                at = offsets[j] + other
        offsets.append(at)
    return offsets

twins = [(16, 0, 2), (24, 1, 3), (24, 1, 3)]
print("offsets", strict_place(twins), "conflicts", my_proof(twins, strict_place(twins)))

# %%
answer("tinyengine.order", [0, 24, 48, 0])  ### SOLUTION: None

# %% [markdown]
# ## In place: one tensor instead of two
#
# A depth-wise convolution keeps channels apart: output channel 5 needs input channel 5 and nothing else. So copy *one channel* out, and overwrite it. Peak:
# one tensor and a channel, instead of two tensors. In HWC order this works with a stride as well: outputs of channel `c` lie where inputs of channel `c` lay.
#
# ### Build 4: depth-wise in place  (15 minutes)
#
# `memory` is (h, w, c), `weight` (c, r, r) with odd r. Stride 1; outside the picture is 0. Write the result into `memory`, return nothing. The check also
# looks at how much memory you took besides.

# %% exercise="tinyengine.depthwise_in_place"
def depthwise_in_place(memory: np.ndarray, weight: np.ndarray) -> None:
    """Replace each channel of `memory` by its correlation with its own kernel, with no second picture in memory."""
    ### BEGIN SOLUTION
    h, w, channels = memory.shape
    r = weight.shape[1] // 2
    plane = np.zeros((h + 2 * r, w + 2 * r), memory.dtype)
    for c in range(channels):
        plane[r:r + h, r:r + w] = memory[:, :, c]
        memory[:, :, c] = 0
        for i in range(2 * r + 1):
            for j in range(2 * r + 1):
                memory[:, :, c] += weight[c, i, j] * plane[i:i + h, j:j + w]
    ### END SOLUTION

# %% check="tinyengine.depthwise_in_place" points=5
check("tinyengine.depthwise_in_place", depthwise_in_place)

# %% [markdown]
# Your plan above already used it: the second line was without. The peak of `garments` fell by 29 %. It must **not** be done when somebody reads the input
# later, for example a residual sum. The planner knows all readers of a tensor, so it can tell.
#
# ## Instructions: five steps down
#
# Memory decides whether a program runs, instructions decide how long. The layer of this section is a 3x3 convolution, 16 to 16 channels on 8x8 pixels:
# 147,456 MACs. First the plainest loops (`finish` is your `requantise` in C), then the same loops in another order.
#
# The emulator runs compiled Cortex-M4 code with only the board's memory present, counts every instruction, and compares every output byte with the integer
# reference. **Instructions are not cycles**: a load, a branch and a division take several. The count is exact; a time on a board would have to be measured.

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.deploy.ladder import measure, text

print(text("1_naive"))
steps = [measure("1_naive"), measure("2_reordered")]
for step in steps:
    print(f"{step.name:12s} {step.instructions:7d} instructions, {step.per_mac:.2f} per MAC, bits right: {step.right}")

# %% [markdown]
# **Reordering** made the channel loop the innermost one: bytes are read in the order in which they lie, and one test of the border serves 16 products.
# What is left per MAC? Two loads, one multiply-add, and the counting of the loop.
#
# **Unrolling** goes on: two output channels at once, so that each activation is loaded once for two products; four inputs written out, so that the loop is
# counted a quarter as often. The zero point of the input moves into the bias beforehand: $\sum w (x - z) = \sum w x - z \sum w$.
#
# **SIMD**: `SMLAD` multiplies two pairs of 16-bit numbers and adds both products in one instruction. Our bytes are widened by `SXTB16`: of four bytes it
# takes number 0 and 2, after a rotation number 1 and 3. The order does not matter as long as weights and activations share it.

# %%
# NBVAL_CHECK_OUTPUT
print("\n".join(line.strip() for line in text("4_simd").splitlines() if "SMLAD" in line or "SXTB16" in line and "const" in line))
steps += [measure("3_unrolled"), measure("4_simd"), measure("5_im2col")]
for step in steps[2:]:
    print(f"{step.name:12s} {step.instructions:7d} instructions, {step.per_mac:.2f} per MAC, bits right: {step.right}")

# %% [markdown]
# The last step is what `tinylib.deploy` generates. **im2col**: the inputs of three pixels are copied into a small buffer, already widened and padded, once for
# all 16 output channels. Then two channels meet three pixels in registers: 12 `SMLAD` (24 MACs) for 4 loads and 4 extensions. That is 20 instructions for 24
# MACs, and it fills all 14 registers that the processor has free.

# %%
fig, ax = plt.subplots(figsize=(7, 3))
bars = ax.barh([s.name for s in steps], [s.per_mac for s in steps], color=["#999999", "#E69F00", "#E69F00", "#E69F00", "#0072B2"])
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.axvline(0.5, color="#D55E00", linestyle="--")
ax.text(0.55, -0.55, "limit: two MACs in one instruction", color="#D55E00", va="center")
ax.invert_yaxis()
ax.set(ylim=(4.5, -0.8), xlabel="instructions per MAC (emulated Cortex-M4)",
       title=f"Five steps: {steps[0].instructions / steps[-1].instructions:.1f} times fewer instructions")
plt.show()
reveal("tinyengine.simd", round(steps[0].instructions / steps[-1].instructions, 2), "times")

# %% [markdown]
# The compiler (ziglang, always the same, so that counts agree everywhere) already unrolls and reorders what it can prove. It does not know that the picture
# has a border only at its edge, and it never uses `SMLAD` by itself here.
#
# ### Your turn
#
# Change the C of a step and measure it. For example: write the channel loop of step 4 with eight channels a turn. A wrong result is shown as `right=False`.

# %%
mine = text("4_simd")
print(measure("mine", mine))

# %% [markdown]
# ## Experiment: the whole network
#
# Three programs for `garments`, same compiler, same bits: a generic **interpreter** in C (sizes from a table, one MAC at a time), **generated** C without
# SIMD, and generated C **with** SIMD.

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.deploy.boards import load_board
from tinylib.deploy.interpreter import generate_interpreted
from tinylib.deploy.program import Program

made, apart = plan(graph), plan(graph, in_place=False)
program, board = Program(made), load_board("nrf52840")
interpreter = Program(apart, files=generate_interpreted(apart))
pictures = quantise_input(graph, splits.test.take(1000).tensors()[0])
runs = {"interpreter": interpreter.run_on(interpreter.machine(board), pictures[0])[1],
        "generated": program.run_on(program.machine(board, flags=("-DTINY_PORTABLE",)), pictures[0])[1],
        "with SIMD": program.run_on(program.machine(board), pictures[0])[1]}
for name, run in runs.items():
    print(f"{name:12s} {run.instructions:9d} instructions, {run.instructions / made.macs:5.2f} per MAC, {run.stack_bytes} bytes of stack")

# %% [markdown]
# And it fits the smallest board: 32 KiB of SRAM. In this emulation nothing else is mapped; an access outside would stop the program and name the buffer.
# The estimated time uses a table of cycles (`tinylib/deploy/cost.py`): an estimate, nothing more.
#
# **Is it right?** The same C, compiled for this machine, runs 1,000 test pictures, and the emulated board 200 of them, against the integer reference.
# (`python -m benchmarks.mcu --images 10000` does it for all 10,000.)

# %%
# NBVAL_CHECK_OUTPUT
small = load_board("stm32g431")
machine = program.machine(small)
got, run = program.run_on(machine, pictures[0])
print(f"{small.name}: {made.peak_bytes} bytes of arena + {run.stack_bytes} of stack in {small.sram_bytes} bytes of SRAM")
print(f"{machine.flash_bytes} of {small.flash_bytes} bytes of flash; about {run.estimated_ms(small.clock_hz):.0f} ms a picture (estimate)")

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.quantize.integer import run as reference

expected, labels = reference(graph, pictures), splits.test.labels[:1000]
on_host = program.run_on_host(pictures)
on_board = np.array([program.run_on(machine, picture)[0] for picture in pictures[:200]])
print(f"host: {(on_host == expected).sum()} of 1000 equal, emulated: {(on_board == expected[:200]).sum()} of 200 equal")

# %% [markdown]
# ## Patches: never whole
#
# The first layers have the largest tensors. Run them on one part of the picture after the other, and only one part exists at a time. Convolutions look at
# neighbours, so a patch needs a margin, the **halo**, which its neighbour computes as well: memory is paid with MACs.
#
# Output rows `first` to `end` (not included) of a layer with `kernel`, `stride` and `pad` need the input rows
#
# $$\big[\ first \cdot stride - pad,\ \ (end - 1) \cdot stride - pad + kernel\ \big)$$
#
# cut at the true border. There the padding is the zero point, as always; at an inner edge there is no padding, but real data.
#
# ### Build 5: what a patch needs  (15 minutes)
#
# `layers` lists (kernel, stride, pad, size of the input) from first to last; `out` is the range of the last output. Return the ranges of all tensors, from the
# input of the first layer to `out`.

# %% exercise="tinyengine.patch_rows"
def patch_rows(layers: list[tuple[int, int, int, int]], out: tuple[int, int]) -> list[tuple[int, int]]:
    """Ranges (first row, row after the last) of every tensor: one more than there are layers."""
    ### BEGIN SOLUTION
    ranges = [tuple(out)]
    for kernel, stride, pad, size in reversed(layers):
        first, end = ranges[0]
        ranges.insert(0, (max(0, first * stride - pad), min(size, (end - 1) * stride - pad + kernel)))
    return ranges
    ### END SOLUTION

# %% check="tinyengine.patch_rows" points=4
check("tinyengine.patch_rows", patch_rows)

# %% [markdown]
# ## Your code live
#
# Now the map runs on your allocator and your ranges. The switch compares them with the reference.
#
# The cell after it searches all split points and patch counts. Then it runs the patched program on an emulated board with 256 KiB, where the other
# could not even be linked. With patches or without, every bit is the same.

# %%
panel("tinyengine.map", {"tinyengine.place": place, "tinyengine.patch_rows": patch_rows})

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.core.errors import TinylibError
from tinylib.deploy.planner import search_patching
from tinylib.deploy.seeded import late_heavy, mobilenet

large = mobilenet()
whole, best = plan(large), search_patching(large)
print(f"whole: {whole.peak_bytes / 1024:.0f} KiB; search over split and patches: {best.patching}")
print(f"patched: {best.peak_bytes / 1024:.0f} KiB, {whole.peak_bytes / best.peak_bytes:.1f} times less, {100 * (best.macs / whole.macs - 1):.0f} % more MACs")

picture = np.random.default_rng(0).integers(-128, 128, (1, 64, 64, 3)).astype(np.int8)
patched, unpatched = Program(best), Program(whole)
try:
    unpatched.machine(board)
except TinylibError as error:
    print(error)
on_board, run = patched.run_on(patched.machine(board), picture[0])
right = bool((on_board == reference(large, picture)[0]).all())
print(f"patched on {board.name}: {run.instructions / 1e6:.1f} million instructions; same answer as the reference: {right}")
reveal("tinyengine.patches", "b")

# %% [markdown]
# ### When patches do harm
#
# Four 5x5 layers on 16x16 pixels, all tensors alike. Nothing is large and early, so there is nothing to gain, and a 5x5 halo is a large part of a small patch.

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.deploy.patch import Patching

alike = late_heavy()
plain, forced = plan(alike), plan(alike, patching=Patching(4, 2, 2))
print(f"whole {plain.peak_bytes} bytes; 2 x 2 patches {forced.peak_bytes} bytes and {forced.macs / plain.macs:.1f} times the MACs")
print("the search answers:", search_patching(alike).patching or "do not patch")

# %% [markdown]
# ## Decide
#
# Few patches and an early split cost few MACs; many save more memory. Use the map or the cell below.

# %%
answer("tinyengine.decide", {"split": 5, "patches": 3})  ### SOLUTION: None

# %%
split, n = 3, 2
trial = plan(large, patching=Patching(split, n, n))
print(f"{trial.peak_bytes / 1024:.0f} KiB, {100 * (trial.macs / whole.macs - 1):.1f} % more MACs")

# %% [markdown] reason="tinyengine.decide.reason" points=2
# *Your reason, in two or three sentences: why this split, and why not one operator earlier?*

# %% [markdown]
# ## A row for the passport
#
# The capstone compares what all labs did to a network. This is the row of `garments` in 8 bits on a microcontroller.

# %%
from tinylib.course.passport import stamp

row = stamp("tinyengine", network, accuracy=float((on_host[:, 0] == labels).mean()),
            n_bytes=sum(op.weight.size + 4 * op.bias.size for op in graph.ops if op.weight is not None), macs=made.macs,
            peak_bytes=made.peak_bytes, instructions=runs["with SIMD"].instructions, kind="emulated")
print(f"{100 * row.accuracy:.1f} % right on 1,000 test pictures:", row)

# %% [markdown]
# ## Exit quiz

# %%
answer("tinyengine.quiz.1", -2)  ### SOLUTION: None

# %%
answer("tinyengine.quiz.2", "c")  ### SOLUTION: None

# %%
answer("tinyengine.quiz.3", 12)  ### SOLUTION: None

# %%
answer("tinyengine.quiz.4", "d")  ### SOLUTION: None

# %%
answer("tinyengine.quiz.5", "b")  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# | effect | published | here | why they differ |
# |---|---|---|---|
# | generated C, against others | 1.7 to 3.3 times faster (MCUNet) | 5.0 times fewer instructions | we count, not time; our interpreter is plain C |
# | SIMD on top | part of the above | 2.4 times fewer | loads and widening remain |
# | in-place depth-wise | about half of the block's peak | 29 % less peak | other buffers and scratch are alive as well |
# | patches on MobileNetV2 | 8 times less peak (MCUNetV2) | 4.0 times less, 25 % more MACs | 64x64 pixels instead of 224x224: the halo is a larger share |
# | patches that do harm | reported by users of the released engine | 1.5 times *more* peak | small pictures, wide kernels |
#
# Everything here is emulated or counted; nothing was timed on a board.
#
# ## Read next
#
# - J. Lin et al., *MCUNet: Tiny Deep Learning on IoT Devices*, NeurIPS 2020, and *MCUNetV2: Memory-Efficient Patch-based Inference*, 2021
# - L. Lai, N. Suda, V. Chandra, *CMSIS-NN: Efficient Neural Network Kernels for Arm Cortex-M CPUs*, 2018
# - B. Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, 2018
# - `tinylib deploy --help`: your own network as a folder of C for one board, with self-check vectors
