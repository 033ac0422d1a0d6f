# ---
# title: Anycost GAN: a preview in a ninth of the arithmetic
# minutes: 80
# prerequisites: start_here
# systems: Anycost GAN
# passport: no
# ---

# %% [markdown]
# # Anycost GAN: a preview in a ninth of the arithmetic
#
# **80 minutes.** You need PyTorch convolutions. The computing takes about half a minute, on this machine, offline.
#
# Someone edits a picture with a slider. While the slider moves, the picture must follow at once; when it stops, the picture may take its time.
# One generator serves both: its small slices draw nearly what the full network draws.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("anycost_gan")

import matplotlib.pyplot as plt
import numpy as np
import torch

# %% [markdown]
# ## Why it matters
#
# A slider feels live up to about 100 ms a picture. The published face generator (StyleGAN2 at 1024 pixels) needs 144 billion MACs a picture: seconds on a
# desktop processor. A second, smaller network would be fast, but it would draw **another face**: two networks trained apart agree on nothing.
# The preview has to show what the full network will draw.
#
# | | MACs | what it shows |
# |---|---|---|
# | the full generator | all | the picture |
# | a small network trained alone | few | some picture |
# | a slice of an anycost generator | few | nearly *the* picture |
#
# ## What you will be able to do
#
# - slice a modulated convolution, and know why the order of two steps decides
# - sort the channels of a trained network without changing what it draws
# - sample the sub-networks of a training step
# - search the best sub-network for a budget of MACs
# - say what a preview may cost, and what it keeps
#
# ## Two predictions

# %%
predict("anycost_gan.nearer", 10)  ### SOLUTION: None

# %%
predict("anycost_gan.faster", 3)  ### SOLUTION: None

# %% [markdown]
# ## The pictures
#
# 130 faces by one vendor (Noto Emoji, Apache-2.0), 32 x 32 pixels in colour, on white. Real artwork, and very few pictures for a GAN: so the discriminator
# only sees moved, recoloured and partly covered copies, of real and drawn pictures alike.

# %%
from tinylib.datasets import emoji
from tinylib.panels.anycost_gan import network, shown

art = emoji.load()
real = emoji.on_colour(art.google[art.labels == 0], np.array([255, 255, 255]))
net = network()
with torch.no_grad():
    drawn = net(torch.randn(24, 64, generator=torch.Generator().manual_seed(4)))

def sheet(pictures, columns=12):
    """Pictures in rows, as one image."""
    side = pictures[0].shape[0]
    return np.stack(pictures).reshape(-1, columns, side, side, 3).swapaxes(1, 2).reshape(-1, columns * side, 3)

fig, axes = plt.subplots(2, 1, figsize=(8, 3.2))
for ax, pictures, title in zip(axes, (real[::5][:24], [shown(p) for p in drawn]), ("Real faces, by artists", "Drawn by our generator, none picked by hand")):
    ax.imshow(sheet(list(pictures)), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left")
plt.show()

# %% [markdown]
# Half an hour of training on one core gives faces with flaws. They are good enough to ask the lab's question: do the slices draw *the same* flawed face?
#
# ## Play first
#
# A face, drawn twice from the same latent numbers: by a slice of the network, and by all of it.

# %%
panel("anycost_gan.preview")

# %% [markdown]
# - How far can you go down before the expression changes?
# - Which control saves more MACs: the channels or the side?
# - Do milliseconds fall as fast as MACs?
#
# ## The idea
#
# A **mapping** network turns a latent $z$ (64 numbers) into a **style** $w$. The picture starts from a learned constant. Each layer is a **modulated
# convolution**: for an example with style factors $s_c$ (one for each input channel) the weight becomes
#
# $$w'_{k c i j} = \frac{s_c \, w_{k c i j}}{\sqrt{\sum_{c, i, j} (s_c \, w_{k c i j})^2 + 10^{-8}}}$$
#
# The fraction is the **demodulation**: each output channel gets unit variance back. After 8, 16 and 32 pixels a *to-colours* layer (1 x 1, not demodulated)
# adds its picture to the one below, enlarged. So a smaller picture is a prefix of the same computation.
#
# Anycost training has three parts:
#
# 1. **All resolutions**: the discriminator judges the outputs of 32 pixels and of one smaller side.
# 2. **All widths**: the channels are sorted once by importance, then each step trains a random slice, the first $r \cdot c$ channels of each layer.
# 3. **Consistency**: the slice also copies the full picture, for the same latent and the same noise. The discriminator is told which slice it judges.
#    (Each layer may add noise times a learned strength. Drawn faces have no grain: here the strengths stayed at zero.)
#
# **By hand.** One output channel, two inputs, 1 x 1: weights 3 and 4, styles 1. Full: $\sqrt{9 + 16} = 5$, so the weights become 0.6 and 0.8. The slice
# with one input has $\sqrt{9} = 3$: weight 1. Dividing by 5 there would give 0.6, a picture that fades with every layer.

# %% [markdown]
# ### Build 1: a modulated convolution that can be sliced  (15 minutes)
#
# `x` has $c$ channels, perhaps fewer than the weight; `out` outputs are wanted. The style comes in full length. Padding keeps the side.

# %% exercise="anycost_gan.modulated_conv"
import torch
import torch.nn.functional as F


def modulated_conv(x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, out: int, demodulate: bool = True) -> torch.Tensor:
    """First channels only: x (b, c, h, w), weight (K >= out, C >= c, k, k), style (b, C) -> (b, out, h, w); each example has its own weight."""
    ### BEGIN SOLUTION
    c = x.shape[1]
    weight, style = weight[:out, :c], style[:, :c]
    y = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
    if demodulate:
        power = style.square() @ weight.square().sum((2, 3)).T
        y = y * torch.rsqrt(power + 1e-8)[:, :, None, None]
    return y
    ### END SOLUTION

# %% check="anycost_gan.modulated_conv" points=5
check("anycost_gan.modulated_conv", modulated_conv)

# %% [markdown]
# Scaling the inputs and the outputs is the same linear map as scaling the weight, and one convolution serves the whole batch. The published code makes a
# weight for each example and runs a grouped convolution. Same numbers, another cost:

# %% volatile=true
from tinylib.gan.modulated import grouped_conv
from tinylib.measure.latency import race

ours = ready("anycost_gan.modulated_conv", modulated_conv)
x, weight, style = torch.randn(8, 48, 16, 16), torch.randn(48, 48, 3, 3), torch.randn(8, 48)
times = race({"scaled inputs": lambda: ours(x, weight, style, 48), "grouped weights": lambda: grouped_conv(x, weight, style)}, seconds=1)
print("largest difference:", f"{(ours(x, weight, style, 48) - grouped_conv(x, weight, style)).abs().max():.1e}")
for name, time in times.items():
    print(f"{name:16s} {time}")

# %% [markdown]
# **What a slice costs.** A formula counts it, and a profiler that sees every operator agrees:

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.gan.generator import FULL, RATIOS, RESOLUTIONS, Config, macs
from tinylib.gan.order import extract
from tinylib.measure.profile import profile

print("thousand MACs a picture\nratio " + "".join(f"{side:>8} px" for side in RESOLUTIONS))
for ratio in RATIOS:
    print(f"{ratio:5}" + "".join(f"{macs(Config.uniform(ratio, side)) / 1e3:11,.0f}" for side in RESOLUTIONS))
half = Config.uniform(1 / 2, 16)
print("formula equals profiler:", profile(extract(net, half), torch.zeros(1, 64)).macs == macs(half))

# %% [markdown]
# Half the channels cost a quarter, since inputs and outputs are both halved. `extract` cuts the slice out as a network of its own:

# %%
# NBVAL_CHECK_OUTPUT
z = torch.randn(16, 64, generator=torch.Generator().manual_seed(7))
small = extract(net, half)
with torch.no_grad():
    same = torch.allclose(small(z), net(z, half), atol=1e-5)
count = lambda model: sum(p.numel() for p in model.parameters())
print(f"{count(net):,} parameters in full, {count(small):,} in the preview; same pictures: {same}")

# %% [markdown]
# ### Build 2: sort the channels  (15 minutes)
#
# A slice keeps the *first* channels, so the important ones should come first. The score of a hidden channel is how much the next layer listens to it:
# the sum of $|w|$ over the next weight's column, times the mean size of its style factor. Reordering must not change the full output, so everything
# that belongs to a channel moves with it.
#
# The next layer's style is `style_weight @ w + style_bias`, one row for each hidden channel.

# %% exercise="anycost_gan.sort_channels"
import torch


def sort_channels(make_weight, make_bias, read_weight, style_weight, style_bias, mean_style) -> tuple:
    """The first five tensors with the c hidden channels by falling score, equal ones in memory order.

    make_weight (c, ...), make_bias (c,): the layer that makes the channels. read_weight (k, c, 1, 1): the one that reads them.
    style_weight (c, d), style_bias (c,): the reader's style. mean_style (c,): mean size of its factors.
    """
    ### BEGIN SOLUTION
    score = read_weight.abs().sum(dim=(0, 2, 3)) * mean_style
    order = torch.argsort(score, descending=True, stable=True)
    return make_weight[order], make_bias[order], read_weight[:, order], style_weight[order], style_bias[order]
    ### END SOLUTION

# %% check="anycost_gan.sort_channels" points=5
check("anycost_gan.sort_channels", sort_channels)

# %% [markdown]
# Does sorting help by itself? Here is the generator after part 1, at full width, never trained to be sliced. We slice it as it is, then sorted.

# %%
from tinylib.core.checkpoint import load_model
from tinylib.gan.order import sort_channels as sort_network
from tinylib.gan.search import squared_error

plain = load_model("anycost_gan-full")
test = torch.randn(100, 64, generator=torch.Generator().manual_seed(11))
before = [squared_error(plain, Config.uniform(r), test).mean().item() for r in RATIOS[:3]]
with torch.no_grad():
    picture = plain(test[:4])
    sort_network(plain, plain.mapping(test))
    moved = (plain(test[:4]) - picture).abs().max().item()
after = [squared_error(plain, Config.uniform(r), test).mean().item() for r in RATIOS[:3]]
print(f"full output moved by {moved:.0e}")
for r, b, a in zip(RATIOS, before, after):
    print(f"ratio {r:4}: error of the slice {b:.3f} unsorted, {a:.3f} sorted")

# %% [markdown]
# ### Build 3: which slice does a step train?  (8 minutes)
#
# Users mostly take one ratio for all layers, searches want any mixture. So a share `flexible` of the steps draws each layer's ratio by itself, and the
# others draw one for all. `rng` is a numpy generator.

# %% exercise="anycost_gan.sample_ratios"
def sample_ratios(rng, layers: int, flexible: float, ratios: list) -> list:
    """Ratios of the layers for one step: with probability `flexible` each layer its own, else one for all; every ratio equally likely."""
    ### BEGIN SOLUTION
    if rng.random() < flexible:
        return [float(r) for r in rng.choice(ratios, size=layers)]
    return [float(rng.choice(ratios))] * layers
    ### END SOLUTION

# %% check="anycost_gan.sample_ratios" points=3
check("anycost_gan.sample_ratios", sample_ratios)

# %% [markdown]
# The discriminator gets the slice's code, one-hot, as a scale (1 at first) and a shift (0 at first) of channels in its two lowest blocks. **Real
# pictures get the code of a slice drawn at random.** If they all carried the code of the full network, the code alone would give every other slice away.
#
# ## Your code live
#
# The panel from the start, drawn by your convolution.

# %%
panel("anycost_gan.preview", {"anycost_gan.modulated_conv": modulated_conv})

# %% [markdown]
# ## Experiment: nearer than a network of its own?
#
# The rival has half the channels from the start and is trained alone, with the same losses. Second parts and rivals were trained three times each, after
# *one* first part. The rivals had 2,000 steps, ours 9,000 in all:
# compare where the faces agree, not how well they are drawn.
# 500 latents that no training saw. `tinylib data make anycost_gan-effects` repeats the comparison.

# %%
alone = load_model("anycost_gan-alone")
with torch.no_grad():
    rows = {"full": net(z[:12]), "slice, 1/2 of the channels": net(z[:12], Config.uniform(1 / 2)), "slice, 1/4": net(z[:12], Config.uniform(1 / 4)),
            "trained alone, 1/2": alone(z[:12])}
fig, axes = plt.subplots(4, 1, figsize=(8, 3.4))
for ax, (name, pictures) in zip(axes, rows.items()):
    ax.imshow(sheet([shown(p) for p in pictures]), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
fig.suptitle("Same latents: the slices draw the full network's faces", x=0.02, ha="left", fontweight="bold", fontsize=11)
plt.show()

# %%
from tinylib.core.checkpoint import load_record
from tinylib.show.plots import bars

record = load_record("anycost_gan-effects")
mean = lambda values: float(np.mean(list(values)))
error = {"ours: slice, 1/2": [r["anycost"]["32"]["0.5"] for r in record["runs"]], "second: trained alone, 1/2": [r["alone"] for r in record["runs"]],
         "original: sliced untrained": [record["sliced"]["32"]["0.5"]] * 3, "two unrelated faces": [r["unrelated"] for r in record["runs"]]}
nearer = mean(error["second: trained alone, 1/2"]) / mean(error["ours: slice, 1/2"])
fig, ax = plt.subplots(figsize=(7, 3.2))
bars(ax, {k: mean(v) for k, v in error.items()}, ylabel="mean squared error to full", spread={k: (max(v) - min(v)) / 2 for k, v in error.items()})
ax.set(title=f"The slice is {nearer:.1f} times nearer to the full picture")
plt.show()

# %%
reveal("anycost_gan.nearer", round(nearer, 1), "times")

# %% [markdown]
# Are the slices also good pictures by themselves? A **Frechet distance** compares the features of 2,000 drawn pictures with those of the real ones, here by a
# small network of ours that tells ten kinds of emoji apart. *It is not the published FID*, and it compares with nothing outside this lab. One seed; the real
# pictures are those of the training, so it cannot see whether faces were learned by heart.

# %%
for name, value in record["frechet"].items():
    print(f"{name:22s} {value:8.2f}")

# %% [markdown]
# **Time.** At 32 pixels a full picture is about a hundred small operators, and each has a price of its own. An application pays what does not depend on
# the latent only once: `renderer` cuts the slice out, keeps the sums of squared weights, asks for all styles in one product, and folds bias, noise and
# gain together. The same pictures with half of the operators. All three below are drawn by it, the full one too, turn by turn, on this machine, now:

# %% volatile=true
from tinylib.gan.render import renderer

cases = {"full": FULL, "preview: 1/2, 16 px": half, "1/2, 32 px": Config.uniform(1 / 2)}
drawers = {name: renderer(net, config) for name, config in cases.items()}
print("same pictures as the slice:", torch.allclose(drawers["preview: 1/2, 16 px"](z), small(z), atol=1e-5))
for batch in (1, 8):
    zs = torch.randn(batch, 64)
    times = race({name: (lambda drawer=drawer, zs=zs: drawer(zs)) for name, drawer in drawers.items()}, runs=100, seconds=2)
    for name, config in cases.items():
        fast = times["full"].fastest_ms / times[name].fastest_ms
        print(f"{batch} at a time, {name:20s} {times[name].fastest_ms:6.2f} ms, {fast:4.1f} times as fast, MACs {macs() / macs(config):4.1f} times fewer")
    if batch == 1:
        faster = times["full"].fastest_ms / times["preview: 1/2, 16 px"].fastest_ms

# %% volatile=true
reveal("anycost_gan.faster", round(faster, 1), "times")

# %% [markdown]
# One at a time, MACs fall faster than time: what is left of the fixed price shrinks with neither channels nor pixels. Eight at a time share it. (Fastest of
# many runs, since other programs only ever add time; on a busy machine the full generator suffers more, so compare when nothing else runs.)
#
# ## Edit in the preview, render in full
#
# A **direction** in the space of $w$ changes one thing. We find it by regression: measure something on many drawn pictures (redness, the dark of the mouth),
# and ask along which direction of $w$ it rises.

# %%
panel("anycost_gan.edit")

# %%
print("500 faces, preview of 16 pixels and half the channels; mean of three second parts")
for name in record["edits"]["0"]:
    share = {k: mean(e[name][k] for e in record["edits"].values()) for k in ("full", "agree", "correlation")}
    print(f"{name:11s} moved as asked in full {100 * share['full']:5.1f} %, preview agrees {100 * share['agree']:5.1f} %, "
          f"correlation {share['correlation']:.2f}")

# %% [markdown]
# **A given picture** must first be found in the latent space. `project` searches one style for each layer by gradient descent; slices take turns, so that the
# preview of the result is right as well.

# %%
from tinylib.gan.project import mean_w, project
from tinylib.gan.train import pictures_of

names = list(art.names[art.labels == 0])
target = pictures_of(real[[names.index(n) for n in ("slightly_smiling_face", "open_mouth", "rage", "cold_face")]])
begin = mean_w(net, torch.Generator().manual_seed(0))
found = project(net, target, begin, steps=120, configs=(FULL, Config.uniform(1 / 2)))
with torch.no_grad():
    rows = {"given": target, "full": net.synthesis(found)[-1], "1/2 of the channels": net.synthesis(found, Config.uniform(1 / 2))[-1]}
fig, axes = plt.subplots(3, 1, figsize=(4.2, 3.2))
for ax, (name, pictures) in zip(axes, rows.items()):
    ax.imshow(sheet([shown(p) for p in pictures], columns=4), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
fig.suptitle("A given face, found again", x=0.02, ha="left", fontweight="bold", fontsize=11)
plt.show()

# %% [markdown]
# ### Build 4: the best slice for a budget  (15 minutes)
#
# Layers are not equal. With a budget of MACs, which ratios come nearest to the full picture? Walk uphill:
#
# 1. Start with the smallest ratio in every layer. If that is over the budget, raise `ValueError`.
# 2. Look at all candidates that differ in **one** layer and keep the budget. Take the one with the least error, if it is less than now.
# 3. Stop when none is.
#
# `error(ratios)` and `macs(ratios)` take a tuple. An error costs many pictures, MACs cost nothing: never ask for the error of a candidate over the budget.

# %% exercise="anycost_gan.search_budget"
def search_budget(error, macs, layers: int, ratios: list, budget: float) -> list:
    """Ratios (layers) found by changing one layer at a time, always to the least error within the budget; ValueError when nothing fits."""
    ### BEGIN SOLUTION
    here = (min(ratios),) * layers
    if macs(here) > budget:
        raise ValueError("the smallest sub-network is over the budget")
    now = error(here)
    while True:
        near = [here[:i] + (r,) + here[i + 1:] for i in range(layers) for r in ratios if r != here[i]]
        scored = [(error(c), c) for c in near if macs(c) <= budget]
        if not scored or min(scored)[0] >= now:
            return list(here)
        now, here = min(scored)
    ### END SOLUTION

# %% check="anycost_gan.search_budget" points=5
check("anycost_gan.search_budget", search_budget)

# %% [markdown]
# All 1,024 mixtures at 32 pixels were measured once, so you can see how near to the best your walk comes.

# %%
panel("anycost_gan.budget", {"anycost_gan.search_budget": search_budget})

# %% [markdown]
# `tinylib.gan.search` does the same by evolution, as the paper does. It searched on 16 latents; the errors are of 200 others.

# %%
for row in record["search"]:
    print(f"{100 * row['share']:.0f} % of the MACs: found {row['found_error']:.4f} with ratios {row['ratios']}, "
          f"uniform {row['uniform']} {row['uniform_error']:.4f}")

# %% [markdown]
# ## Break it
#
# Someone wants to save work: "the demodulation factors of the full network are known, so the slices can use them too". The preview fades. Set the first
# line right, `True` or `False`, and run the cell again.

# %%
slice_first = True  ### SOLUTION: False

from tinylib.gan.modulated import demodulation
from tinylib.panels.anycost_gan import difference, drawn_by, faces

def conv(x, weight, style, out, demodulate):
    """A modulated convolution with the factors of the slice, or of the whole weight."""
    c = x.shape[1]
    own = (weight[:out, :c], style[:, :c]) if slice_first else (weight, style)
    y = torch.nn.functional.conv2d(x * style[:, :c, None, None], weight[:out, :c], padding=weight.shape[-1] // 2)
    return y * demodulation(*own)[:, :out, None, None] if demodulate else y

full_picture = drawn_by(conv, net, faces(), FULL)
for ratio in RATIOS[:3]:
    print(f"ratio {ratio:4}: {difference(drawn_by(conv, net, faces(), Config.uniform(ratio)), full_picture):5.1f} of 255 levels from the full picture")

# %% [markdown]
# A slice is a network of its own: its factors belong to its own weights. They cost few MACs, and the full network's factors are too small for it.
#
# ## Decide
#
# Run the cell to read it, then choose.

# %%
answer("anycost_gan.decide", {"ratio": 0.25, "resolution": 32})  ### SOLUTION: None

# %% [markdown] reason="anycost_gan.decide.reason" points=2
# *Your reason, in two or three sentences: what does the buyer lose with your ratio, and when would you take fewer pixels instead?*

# %% [markdown]
# ## Exit quiz

# %%
answer("anycost_gan.quiz.1", 589824)  ### SOLUTION: None

# %%
answer("anycost_gan.quiz.2", "b")  ### SOLUTION: None

# %%
answer("anycost_gan.quiz.3", 2187)  ### SOLUTION: None

# %%
answer("anycost_gan.quiz.4", "c")  ### SOLUTION: None

# %%
answer("anycost_gan.quiz.5", "d")  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# | | published (Anycost GAN, CVPR 2021) | here |
# |---|---|---|
# | pictures | photographs of faces, 1,024 pixels | 130 drawn faces, 32 pixels |
# | full generator | 144 billion MACs | 43 million MACs |
# | preview | 6 to 12 times as fast on desktop processors | measured above, on your machine |
# | slice against a network trained alone | better pictures, and the same face | nearer to the full picture; see the figure |
# | quality | FID 3.08 at 512 pixels | Frechet distance on features of our own; not comparable |
#
# Our network is so small that fixed costs of each operator eat a part of the gain, which they do not at 1,024 pixels. Ours was trained for half an hour on one
# core, the published one for days on several GPUs: it has fewer flaws, not another idea.
#
# ## Read next
#
# - `tinylib/gan/`: `modulated.py`, `generator.py`, `order.py` and `train.py`, in this order.
# - Lin, Zhang, Ganz, Han, Zhu: *Anycost GANs for Interactive Image Synthesis and Editing* (CVPR 2021).
# - Karras et al.: *Analyzing and Improving the Image Quality of StyleGAN* (CVPR 2020), for the modulated convolution.
