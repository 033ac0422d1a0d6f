# ---
# title: Temporal shift: a 2D network that sees time
# minutes: 70
# prerequisites: start_here
# systems: TSM
# passport: no
# ---

# %% [markdown]
# # Temporal shift: a 2D network that sees time
#
# **70 minutes.** You need PyTorch indexing. The computing takes about half a minute, on this machine, offline.
#
# A network for pictures does not see time. A network for videos does, with 3D convolutions that cost several times as much.
# The temporal shift module (TSM) gives a picture network a sense of time for **0 MACs and 0 parameters**: it moves a few channels by one frame.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("tsm")

import matplotlib.pyplot as plt
import numpy as np
import torch

# %% [markdown]
# ## Why it matters
#
# A door camera sees one picture after another. To tell *coming* from *going* it must compare frames.
#
# | way to see time | MACs of a 3x3 layer, 64 to 64 channels, 8 frames of 12 x 12 | can answer after each frame? |
# |---|---|---|
# | look at each frame alone, average | 42 million | yes, but blind to order |
# | 3D convolution, 3 x 3 x 3 | 127 million | not without waiting |
# | temporal shift + the 2D layer | 42 million | yes |
#
# Three times the arithmetic is the price of a 3D kernel with three frames. The shift pays nothing but moved bytes.
#
# ## What you will be able to do
#
# - shift channels through time, at the ends of a clip too, and say what its gradient is
# - prove that averaging over frames is blind to their order
# - turn a trained clip network into one that takes frames as they come
# - count what the shift really costs: bytes
# - choose a shift for a camera with a budget
#
# ## Two predictions

# %%
predict("tsm.blind", 50)  ### SOLUTION: None

# %%
predict("tsm.early", 4)  ### SOLUTION: None

# %% [markdown]
# ## The clips
#
# Real garments, synthetic motion: eight frames of 24 x 24 pixels. Eight classes in four pairs. **Each clip played backwards belongs to the other class of its
# pair**, so the pictures alone never tell the two apart.

# %%
from tinylib.datasets import clips
from tinylib.panels.tsm import examples

images, labels = examples()
fig, axes = plt.subplots(4, 8, figsize=(7, 3.8))
for row, kind in zip(axes, (1, 2, 5, 6)):
    clip = images[labels == kind][0]
    for t, ax in enumerate(row):
        ax.imshow(clip[t], cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(clips.CLASSES[kind], rotation=0, ha="right", va="center")
fig.suptitle("Every motion is also another motion backwards", x=0.02, ha="left", fontweight="bold", fontsize=11)
plt.show()

# %% [markdown]
# ## Play first
#
# A clip inside the network is a tensor $(b, t, c, h, w)$: batch, time, channels, height, width. The panel shows 16 channels over 8 frames. A number
# says which frame a value comes from.

# %%
panel("tsm.shift")

# %% [markdown]
# - Which channels of frame 1 are empty, and why?
# - Go from "one way" to "two ways". Where do the zeros appear?
# - What does it cost to move half of the channels each way?
#
# ## The idea
#
# A 2D layer computes each output from all channels **of one frame**. So put a little of the neighbouring frames into those channels, and the layer that
# is there anyway computes with the past, the present and the future. With $m = \lfloor c f \rfloor$ shifted channels in each direction:
#
# $$y_{t, i} = x_{t-1, i} \;\; (i < m), \qquad y_{t, i} = x_{t+1, i} \;\; (m \le i < 2m), \qquad y_{t, i} = x_{t, i} \;\; \text{else},$$
#
# and zero where no such frame exists. The paper shifts $f = 1/8$ each way. More would move more bytes and leave less of the frame itself.
#
# The shift stands **inside the residual branch**. The skip beside it carries the frame's own channels on, so nothing is lost. (Ours stands in all four
# blocks. One of them halves the side and has no skip; the published online network shifts only where a skip is.)
#
# **By hand.** One channel, three frames with the values 5, 7, 9. From the frame before: 0, 5, 7. From the frame after: 7, 9, 0.

# %% [markdown]
# ### Build 1: the shift  (15 minutes)
#
# `mode` is "past" (only the first $m$ channels move), "both", or "none". The input must stay as it is.

# %% exercise="tsm.temporal_shift"
import torch


def temporal_shift(x: torch.Tensor, fraction: float = 1 / 8, mode: str = "both") -> torch.Tensor:
    """Clip (b, t, c, h, w) with int(c * fraction) channels a direction moved by one frame; zeros where no frame is."""
    ### BEGIN SOLUTION
    m = int(x.shape[2] * fraction) if mode != "none" else 0
    out = torch.zeros_like(x)
    out[:, 1:, :m] = x[:, :-1, :m]
    rest = 2 * m if mode == "both" else m
    if mode == "both":
        out[:, :-1, m:rest] = x[:, 1:, m:rest]
    out[:, :, rest:] = x[:, :, rest:]
    return out
    ### END SOLUTION

# %% check="tsm.temporal_shift" points=5
check("tsm.temporal_shift", temporal_shift)

# %% [markdown]
# The check also looked at the gradient. The shift is linear, so its gradient is the **opposite shift**: what came from the past goes back to the past.
#
# ### Build 2: is a network blind?  (8 minutes)
#
# Play the clips backwards. How much does the answer change at most? Give the largest absolute difference over all outputs, as a float.

# %% exercise="tsm.order_gap"
def order_gap(model, clips) -> float:
    """Largest |model(clips) - model(clips played backwards)|; clips (b, t, c, h, w)."""
    ### BEGIN SOLUTION
    difference = model(clips) - model(clips.flip(1))
    return difference.abs().max().item()
    ### END SOLUTION

# %% check="tsm.order_gap" points=3
check("tsm.order_gap", order_gap)

# %% [markdown]
# Three networks with the same layers, the same parameters and the same MACs. Only the shift in front of each residual branch differs.

# %%
from tinylib.core.checkpoint import load_model, load_record

nets = {"no shift": load_model("tsm-none"), "one way": load_model("tsm-past"), "two ways": load_model("tsm-both")}
some = torch.from_numpy(images).float()[:, :, None] / 127.5 - 1
gap = ready("tsm.order_gap", order_gap)
with torch.no_grad():
    for name, net in nets.items():
        print(f"{name:9s} the answer changes by up to {gap(net, some):.6f} when the clip runs backwards")

# %% [markdown]
# The first number is zero up to rounding, and it must be: a mean over frames does not know their order. No training can mend that.
#
# ### Build 3: bytes moved  (8 minutes)
#
# No multiplication happens, but numbers change their place in memory. Count the bytes that one shift of one clip writes into another frame.

# %% exercise="tsm.bytes_moved"
def bytes_moved(c: int, t: int, h: int, w: int, fraction: float, mode: str, bytes_each: int) -> int:
    """Bytes whose frame changes when a clip (t, c, h, w) is shifted."""
    ### BEGIN SOLUTION
    ways = {"none": 0, "past": 1, "both": 2}[mode]
    return ways * int(c * fraction) * (t - 1) * h * w * bytes_each
    ### END SOLUTION

# %% check="tsm.bytes_moved" points=3
check("tsm.bytes_moved", bytes_moved)

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.measure.profile import profile

count = ready("tsm.bytes_moved", bytes_moved)
for name, net in nets.items():
    cost = profile(net, some[:1])
    mode = {"no shift": "none", "one way": "past", "two ways": "both"}[name]
    layers = [(16, 12), (16, 12), (16, 12), (32, 6)]      # channels and side of the four shifted layers
    moved = sum(count(c, 8, side, side, 1 / 8, mode, 4) for c, side in layers)
    print(f"{name:9s} {cost.params:,} parameters, {cost.macs / 1e6:.2f} MMAC a clip, {moved / 1024:5.1f} KiB moved")

# %% [markdown]
# ## Your code live
#
# The first panel again, driven by your two functions.

# %%
panel("tsm.shift", {"tsm.temporal_shift": temporal_shift, "tsm.bytes_moved": bytes_moved})

# %% [markdown]
# ### Build 4: one frame at a time  (15 minutes)
#
# A camera delivers frame after frame. With the one-way shift a layer needs from the past only the channels that move: keep them, and let each frame
# find those of the frame before.
#
# `frame` is $(b, c, h, w)$. The first frame, and the first after `reset()`, finds zeros. Two objects are two cameras: they must not mix.

# %% exercise="tsm.streaming_shift"
import torch


class StreamingShift:
    """The one-way shift for frames that come one by one."""

    def __init__(self, fraction: float):
        self.fraction = fraction
        self.waiting = None

    def __call__(self, frame: torch.Tensor) -> torch.Tensor:
        """Frame (b, c, h, w) with its first int(c * fraction) channels taken from the frame before."""
        ### BEGIN SOLUTION
        m = int(frame.shape[1] * self.fraction)
        held = torch.zeros_like(frame[:, :m]) if self.waiting is None else self.waiting
        self.waiting = frame[:, :m].clone()
        return torch.cat([held, frame[:, m:]], dim=1)
        ### END SOLUTION

    def reset(self) -> None:
        """Forget the video: the next frame is the first of another one."""
        ### BEGIN SOLUTION
        self.waiting = None
        ### END SOLUTION

# %% check="tsm.streaming_shift" points=5
check("tsm.streaming_shift", StreamingShift)

# %% [markdown]
# Now the whole network as a stream. `to_streaming` puts such an object in place of every shift. Frame by frame, the running mean must be what the clip network
# computes from all frames at once. Exactly the same sums in another order: we allow rounding, $10^{-5}$.

# %%
from tinylib.video.tsm import to_streaming

stream = to_streaming(nets["one way"])
with torch.no_grad():
    for t in range(8):
        online = stream(some[:, t])
    offline = nets["one way"](some)
print("stream and clip network agree within 1e-5:", torch.allclose(online, offline, atol=1e-5))

# %%
panel("tsm.stream", {"tsm.streaming_shift": StreamingShift})

# %% [markdown]
# - Move "frames seen" from 1 to 8. When does the stream make up its mind?
# - Between which two classes does "no shift" waver, clip after clip?
#
# ## Draw a gesture
#
# Press on the black field, drag the garment, let go. Your stroke becomes eight frames like those of the training. The blue table is the stream, driven by
# your `StreamingShift`: one column after each frame. Beside it, two networks that wait for the whole clip. Without a mouse the two sliders draw.

# %%
panel("tsm.gesture", {"tsm.streaming_shift": StreamingShift})

# %% [markdown]
# - Draw "left", then "right". In which frame do the two part, and what does "no shift" say to both?
# - Draw a diagonal or a circle. No network has a class for it, yet each gives 100 % away: probabilities are shares among the *known* classes.
# - A hand starts slowly. What does the stream believe while the garment hardly moves?
#
# How often is a drawn stroke understood? No hands were measured here. These are 800 strokes by a *modelled* hand (slow at both ends, askew, bent,
# trembling) on test garments, seen by the three networks of this lab, and the test clips beside them:

# %%
drawn, tested = load_record("tsm-gestures"), load_record("tsm-effects")["runs"][0]
for mode, name in (("past", "stream, one way"), ("both", "two ways"), ("none", "no shift")):
    print(f"{name:16s} {100 * drawn[mode]['accuracy']:5.1f} % of the strokes, {100 * tested[mode]['accuracy']:5.1f} % of the test clips")

# %% [markdown]
# ## Experiment: five seeds
#
# Each network was trained five times, from the same initial weights for all three, on the same 1,600 clips. 1,600 test clips, of garments nobody trained on.
# `tinylib data make tsm-effects` repeats it in about 15 minutes.

# %%
from tinylib.show.plots import bars

record = load_record("tsm-effects")
mean = lambda mode, key: 100 * sum(run[mode][key] for run in record["runs"]) / len(record["runs"])
spread = {m: 50 * (max(r[m]["accuracy"] for r in record["runs"]) - min(r[m]["accuracy"] for r in record["runs"])) for m in ("none", "past", "both")}
names = {"none": "original: no shift", "past": "ours: one way", "both": "second: two ways"}
fig, ax = plt.subplots(figsize=(6.5, 3.2))
bars(ax, {names[m]: mean(m, "accuracy") for m in names}, ylabel="test accuracy (%)", spread={names[m]: spread[m] for m in names})
ax.set(ylim=(0, 112), title=f"The shift adds {mean('past', 'accuracy') - mean('none', 'accuracy'):.0f} points at equal MACs and parameters")
plt.show()

# %%
reveal("tsm.blind", round(mean("none", "accuracy"), 1), "%")

# %% [markdown]
# Without shift the network finds the right *pair* nearly always, and tosses a coin inside it.

# %%
for mode in ("none", "past", "both"):
    print(f"{mode:5s} pair right {mean(mode, 'pair'):5.1f} %, direction right when the pair is {mean(mode, 'direction'):5.1f} %")

# %% [markdown]
# **How many channels?** One seed, validation clips: here even one channel of sixteen carries enough past, and moving all of them does no harm. On real videos
# the paper finds the best accuracy near 1/8 to 1/4, since too large a shift takes the present away.

# %%
for fraction, scores in record["fractions"].items():
    m = int(16 * float(fraction))
    moved = count(16, 8, 12, 12, float(fraction), "past", 4)
    print(f"{m:2d} of 16 channels: accuracy {100 * scores['accuracy']:5.1f} %, {moved / 1024:5.1f} KiB moved by the first layer")

# %% [markdown]
# **What does it cost by the clock?** One clip by the one-way network with each fraction, turn by turn, and one frame of the stream:

# %% volatile=true
from tinylib.measure.latency import race
from tinylib.video.models import clip_net

widths = {f"{int(16 * f):2d} of 16": clip_net(mode="past", fraction=f).eval() for f in (0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)}
stream.reset()
with torch.no_grad():
    times = race({name: (lambda net=net: net(some[:1])) for name, net in widths.items()} | {"a frame": lambda: stream(some[:1, 0])}, runs=40, seconds=2)
for name in widths:
    print(f"{name}: {times[name].fastest_ms:.2f} ms a clip, {100 * times[name].fastest_ms / times[' 0 of 16'].fastest_ms - 100:+.0f} %")
clip_ms, frame_ms = times[" 2 of 16"].fastest_ms, times["a frame"].fastest_ms
print(f"stream: {frame_ms:.2f} ms a frame; a whole clip of 8 frames takes {clip_ms / frame_ms:.1f} times as long")

# %% [markdown]
# Fastest of many runs. A clip this small is copied in no time, so a few per cent between the fractions are noise. (The paper moved 1/8 because moving *all*
# channels of a large network was felt.) And a frame costs nearly as much as the clip: at this size PyTorch's depth-wise layers take as long for one picture
# as for eight. What the stream gains here is not time in all, but an answer without waiting for the end.
#
# **How early?** The stream answers after each frame. 400 fresh clips, computed now:

# %%
from tinylib.datasets import garments

split = clips.make_split(garments.load().test.images, 400, np.random.default_rng(99))
x, y = torch.from_numpy(split.images).float()[:, :, None] / 127.5 - 1, torch.from_numpy(split.labels.astype("int64"))
stream.reset()
with torch.no_grad():
    early = [100 * (stream(x[:, t]).argmax(1) == y).float().mean().item() for t in range(8)]
fig, ax = plt.subplots(figsize=(6.5, 3))
ax.plot(range(1, 9), early, color="#0072B2", marker="o")
ax.axhline(90, color="#D55E00", linestyle="--")
enough = next(t + 1 for t, a in enumerate(early) if a >= 90)
ax.set(xlabel="frames seen", ylabel="accuracy so far (%)", title=f"Nine clips in ten are clear after {enough} of 8 frames")
plt.show()
reveal("tsm.early", enough, "frames")

# %% [markdown]
# ## Break it
#
# The camera runs on. A second video starts, and the first one is still there. Which method of the stream must be called between two videos? Put its
# name into the first line as text, and run the cell again: the two numbers should agree.

# %%
between_videos = "reset"  ### SOLUTION: None

def watch(stream, videos):
    """Answers (n,) for videos (n, t, c, h, w) that come one after the other."""
    answers = []
    for video in videos:
        if between_videos:
            getattr(stream, between_videos)()
        for frame in video:
            logits = stream(frame[None])
        answers.append(logits.argmax(1).item())
    return torch.tensor(answers)

with torch.no_grad():
    right = (watch(to_streaming(nets["one way"]), x[:60]) == y[:60]).float().mean()
    alone = (nets["one way"](x[:60]).argmax(1) == y[:60]).float().mean()
print(f"one after the other {100 * right:.0f} %, each by itself {100 * alone:.0f} %")

# %% [markdown]
# The old video's channels wait in every layer, and its logits stay in the running mean. The object has a method that forgets both.
#
# ## Decide
#
# Your door camera, your budget. Run the cell to read it, then choose.

# %%
answer("tsm.decide", {"mode": "past", "fraction": 0.125})  ### SOLUTION: None

# %% [markdown] reason="tsm.decide.reason" points=2
# *Your reason, in two or three sentences: what would you lose with a smaller fraction, and what with the two-way shift?*

# %% [markdown]
# ## Exit quiz

# %%
answer("tsm.quiz.1", 3528)  ### SOLUTION: None

# %%
answer("tsm.quiz.2", "c")  ### SOLUTION: None

# %%
answer("tsm.quiz.3", 1764)  ### SOLUTION: None

# %%
answer("tsm.quiz.4", "b")  ### SOLUTION: None

# %%
answer("tsm.quiz.5", "a")  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# | | published (TSM, ICCV 2019, ResNet-50) | here |
# |---|---|---|
# | extra MACs and parameters of the shift | 0 | 0, exact |
# | Kinetics, 8 frames: averaging, then shift | 70.6 %, 74.1 % | not measured: no such videos here |
# | classes that differ in order only | a large gain on Something-Something | from a coin toss to nearly all, on clips built for it |
#
# Our clips are the extreme case: order is the *only* cue, so the gain is as large as it can be. In Kinetics most classes can be read off one frame, and the
# gain is a few points. The published accuracies are those of the authors' repository.
#
# ## Read next
#
# - `tinylib/video/tsm.py`: the same shift, in place and under autograd; `add_shift` and `to_streaming` for any 2D network.
# - Lin, Gan, Han: *TSM: Temporal Shift Module for Efficient Video Understanding* (ICCV 2019).
