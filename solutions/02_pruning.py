# ---
# title: Pruning
# minutes: 80
# prerequisites: start_here
# systems: Magnitude and channel pruning
# passport: yes
# ---

# %% [markdown]
# # Pruning
#
# Four of five weights of a trained network can go, and it still knows its trousers from its coats. In this lab you decide which weights
# go, you repair the damage, and you find out when a smaller network is also a faster one.
#
# | time | you need | you train | your row in the passport |
# |---|---|---|---|
# | about 80 minutes | lab `start_here` | 10 seconds, live | the garments network at half its work |
#
# Everything runs on your own processor, without a network connection.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("pruning")

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from tinylib.core.checkpoint import load_model, load_record
from tinylib.datasets import garments
from tinylib.measure.energy import load_energy_table
from tinylib.measure.latency import race
from tinylib.measure.profile import profile
from tinylib.nn.fit import evaluate, fit, recalibrate_bn
from tinylib.prune.channel import cut_channels as cut_any_network
from tinylib.prune.channel import keep_strongest, mask_channels
from tinylib.prune.groups import channel_graph
from tinylib.prune.magnitude import keep_masks, kept_count, prunable, sparsity_of
from tinylib.prune.sensitivity import choose_ratios
from tinylib.show import plots, progress
from tinylib.show.style import COLOURS

# %% [markdown]
# ## Why it matters
#
# A weight costs more to fetch than to use. The bars show what one 32-bit number costs in a 45 nm chip: *published* figures, from the
# table that `tinylib` ships with its source. Whoever reads each weight once per answer, as a device that serves one user does, pays for
# weights in memory traffic. So the first question is not how fast we can multiply. It is how many weights we need.

# %%
table = load_energy_table()
use, fetch = table.mac_pj("float32"), 4 * table.byte_pj("DRAM")
figure, ax = plt.subplots(figsize=(6.4, 2.6))
plots.bars(ax, {"compute: one multiply and add": use, "memory: one weight from DRAM": fetch}, ylabel="energy (pJ)")
ax.set_title(f"Fetching a weight costs {fetch / use:.0f} times as much as using it")
plt.show()
print("Source:", table.source)

# %% [markdown]
# ## What you will be able to do
#
# - choose which weights stay, with an exact count (exercise 1), in a pattern that hardware likes (exercise 2);
# - find the layers that hurt, and give every layer its own ratio (exercise 3);
# - retrain a pruned network so that its zeros stay zeros;
# - say which channels must be removed together (exercise 4), and remove them for good (exercise 5);
# - tell zeros that make a network smaller from cuts that make it faster (the measurement, the decision, the quiz).
#
# ## Three predictions
#
# Write a number in place of `None` before you read on. Nobody counts whether it is right; a guess makes the result stick.

# %%
predict("pruning.one_shot", 75)  ### SOLUTION: None

# %%
predict("pruning.tuned", 85)  ### SOLUTION: None

# %%
predict("pruning.speed", 3)  ### SOLUTION: None

# %% [markdown]
# ## Play first
#
# The network is a small one: five 3x3 convolutions and a linear layer, 78,936 weights, trained on photographs of clothes (garments, ten
# classes). The panel removes the smallest weights and asks the rest to classify 500 images, at once, without any training.
#
# Start with all layers. How far can you go before the accuracy breaks? Then choose one layer at a time: which one gives up first, and is
# it the largest?

# %% volatile=true
panel("pruning.magnitude")

# %% [markdown]
# ## The idea
#
# Let a layer hold $n$ weights $w_1 \dots w_n$ and let its **sparsity** $s$ be the share of them that is removed. Pruning multiplies the
# weights by a **mask** $m_i \in \{0, 1\}$:
#
# $$ \hat w_i = m_i \, w_i, \qquad \sum_i m_i = \mathrm{round}\big((1 - s)\, n\big). $$
#
# Which $m_i$ are 1? **Magnitude pruning** keeps the largest $|w_i|$. Among all masks with that many ones, this one makes the change of the
# weights, $\sum_i (w_i - \hat w_i)^2$, as small as it can be: what leaves the sum is exactly the squares of what was removed.
#
# By hand: $w = (1, -3, 2, 0.5)$ and $s = 0.5$. Keep $\mathrm{round}(0.5 \cdot 4) = 2$ weights: $-3$ and $2$. The mask is $(0, 1, 1, 0)$ and
# the change is $1^2 + 0.5^2 = 1.25$. No other pair does better.
#
# Why should it work at all? Look at the weights that training leaves behind.

# %%
dense = load_model("pruning-plain").to(memory_format=torch.channels_last)
weights = prunable(dense)
figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.7))
for ax, layer in zip(axes, ("layer1", "layer3", "layer4")):
    w = weights[f"{layer}.conv.weight"].detach().numpy().ravel()
    share = np.mean(np.abs(w) < 0.25 * np.abs(w).max())
    ax.hist(w, 61, color=COLOURS["original"])
    ax.axvspan(-0.25 * np.abs(w).max(), 0.25 * np.abs(w).max(), color=COLOURS["ours"], alpha=0.15)
    ax.set(xlabel="weight", title=f"{layer}: {share:.0%} inside")
axes[0].set_ylabel("count")
plt.show()
print("Shaded: less than a quarter of the layer's largest magnitude. Most weights lie there.")

# %% [markdown]
# ## Build 1: a mask with an exact count
#
# *Difficulty 1 of 5, about 8 minutes.*
#
# The count must be exact, because files, budgets and hardware count on it. Two traps lie here. Comparing with a threshold keeps too many
# weights when several are equal (weights rounded to 8 bits often are). And "largest" means largest in absolute value.

# %% exercise="pruning.magnitude_mask"
def magnitude_mask(weight: Tensor, sparsity: float) -> Tensor:
    """Bool mask of weight's shape, True where a weight is kept.

    Exactly round((1 - sparsity) * n) of the n weights stay: those of largest magnitude.
    Ties keep the first in memory order.
    """
    ### BEGIN SOLUTION
    magnitude = weight.abs().flatten()
    keep = round((1 - sparsity) * magnitude.numel())
    mask = torch.zeros_like(magnitude, dtype=torch.bool)
    mask[torch.sort(magnitude, descending=True, stable=True).indices[:keep]] = True
    return mask.view(weight.shape)
    ### END SOLUTION

# %% check="pruning.magnitude_mask" points=3
check("pruning.magnitude_mask", magnitude_mask)

# %% [markdown]
# `ready` gives you your own function once it passes, and the reference until then. So you can go on and come back.
#
# Should every layer lose the same share, or should all weights of the network compete with each other? Both remove 80 %. The table says
# how differently they spread it.

# %%
# NBVAL_CHECK_OUTPUT
mask_of = ready("pruning.magnitude_mask", magnitude_mask)
together = mask_of(torch.cat([w.detach().flatten() for w in weights.values()]), 0.8)
parts = together.split([w.numel() for w in weights.values()])
global_masks = {name: part.view(w.shape) for (name, w), part in zip(weights.items(), parts)}
print("layer        weights   kept, each 80 %   kept, together")
for name, w in weights.items():
    alone, ranked = int(mask_of(w.detach(), 0.8).sum()), int(global_masks[name].sum())
    print(f"{name.split('.')[0]:<10} {w.numel():>9,} {alone:>17,} {ranked:>16,}")
print(f"{'all':<10} {together.numel():>9,} {'':>17} {int(together.sum()):>16,}")

# %% [markdown]
# The first layer holds 216 weights, a quarter of a per cent of the network, and everything the network sees passes through them. Ranked
# together with all others they mostly stay: they are larger. One ratio for all would take 173 of the 216.
#
# ## Build 2: two of every four
#
# *Difficulty 2 of 5, about 8 minutes.*
#
# Zeros scattered at random are hard to skip. A pattern is easier: some tensor cores run twice as fast when **two of every four**
# neighbouring weights are zero (*published*: the abstract of arXiv 2104.08378 says twice the math throughput). Neighbours means neighbours
# along the input channels, dimension 1, at the same output channel and the same place of the kernel: those are the products that are summed
# one after the other.

# %% exercise="pruning.two_four_mask"
def two_four_mask(weight: Tensor) -> Tensor:
    """Bool mask that keeps two of every four neighbours along dimension 1.

    The two of largest magnitude stay; ties keep the first.
    weight: (k, c) of a linear layer or (k, c, h, w) of a convolution, c divisible by 4.
    """
    ### BEGIN SOLUTION
    rows = weight.abs().movedim(1, -1)                       # (k, c) or (k, h, w, c)
    fours = rows.reshape(-1, 4)
    best = torch.sort(fours, dim=1, descending=True, stable=True).indices[:, :2]
    mask = torch.zeros_like(fours, dtype=torch.bool).scatter_(1, best, True)
    return mask.view(rows.shape).movedim(-1, 1)
    ### END SOLUTION

# %% check="pruning.two_four_mask" points=2
check("pruning.two_four_mask", two_four_mask)

# %% [markdown]
# ## Build 3: how much does each layer mind?
#
# *Difficulty 2 of 5, about 10 minutes.*
#
# A **sensitivity scan** prunes one layer at a time, scores the network, and puts the layer back. The curves tell you where weights are
# cheap. Your function gets the weights by name, a function `evaluate()` that scores the network as its weights are *now*, and a mask function
# such as yours. The network must end bit for bit as it began.

# %% exercise="pruning.sensitivity_scan"
def sensitivity_scan(weights: dict[str, Tensor], sparsities: list[float], evaluate, mask) -> dict:
    """Scores with one layer pruned at a time: name -> one score for each sparsity.

    `evaluate()` scores the network that holds these very tensors, so change them in place
    and put every weight back exactly. `mask(weight, sparsity)` gives a bool mask.
    """
    ### BEGIN SOLUTION
    scores = {}
    with torch.no_grad():
        for name, weight in weights.items():
            before = weight.clone()
            scores[name] = []
            for sparsity in sparsities:
                weight.copy_(before * mask(before, sparsity))
                scores[name].append(evaluate())
            weight.copy_(before)
    return scores
    ### END SOLUTION

# %% check="pruning.sensitivity_scan" points=3
check("pruning.sensitivity_scan", sensitivity_scan)

# %% [markdown]
# Your scan on the real network: 6 layers, 5 sparsities, 500 validation images for each point.

# %% volatile=true
scan = ready("pruning.sensitivity_scan", sensitivity_scan)
images, labels = garments.load().val.tensors()
images = images.contiguous(memory_format=torch.channels_last)
few, sparsities = (images[:500], labels[:500]), [0.0, 0.5, 0.7, 0.8, 0.9]
curves = scan(prunable(dense), sparsities, lambda: evaluate(dense, few), mask_of)
figure, ax = plt.subplots(figsize=(6.8, 3.4))
percent = {name.split(".")[0]: [100 * v for v in curve] for name, curve in curves.items()}
plots.sensitivity(ax, sparsities, percent, xlabel="sparsity of one layer", ylabel="accuracy (%)")
ranked = sorted(percent, key=lambda name: percent[name][-1])
ax.set_title(f"{ranked[0]} breaks first, {ranked[-1]} minds least")
plt.show()

# %% [markdown]
# ### From curves to ratios
#
# Fix a lowest acceptable accuracy, the *floor*. Each layer takes the largest sparsity whose curve is still at the floor or above. Lower the floor
# until the layers together lose 80 % of the weights. `choose_ratios` does that on the recorded scan (1,000 images, 8 sparsities).

# %%
# NBVAL_CHECK_OUTPUT
record = load_record("pruning-sweep")
sizes = {name: w.numel() for name, w in weights.items()}
known = record["scan"]
ratios = choose_ratios(known["curves"], known["sparsities"], sizes, target=0.8)
keeps = {name: kept_count(sizes[name], ratio) for name, ratio in ratios.items()}
for name, ratio in ratios.items():
    print(f"{name.split('.')[0]:<10} sparsity {ratio:.2f}   keeps {keeps[name]:>6,} of {sizes[name]:>6,}")
print(f"removed in all: {1 - sum(keeps.values()) / sum(sizes.values()):.1%}")

# %% [markdown]
# ## Your code live
#
# The same panel as above, now driven by *your* mask once it passes its check. The switch changes between yours and the reference; they should
# not differ by a single weight.

# %% volatile=true
panel("pruning.magnitude", {"pruning.magnitude_mask": magnitude_mask})

# %% [markdown]
# ## Repair: train what is left
#
# The remaining weights can take over. Training is as always, with one rule: **after every step, the removed weights go back to zero**.
# Masking the gradient alone is not enough, because momentum and weight decay move weights too.
#
# Here is one epoch, live: 17,000 images, about 6 seconds on a quiet machine. Watch how much of the accuracy one epoch brings back.

# %% volatile=true
train_images, train_labels = garments.load().train.tensors()
train = train_images.contiguous(memory_format=torch.channels_last), train_labels
sparse = copy.deepcopy(dense)
reset = keep_masks(sparse, global_masks)
one_shot = evaluate(sparse, (images, labels))
with progress.bar("fine-tuning") as show_step:
    def after_step(step):
        reset()
        show_step(step)
    order = torch.Generator().manual_seed(0)
    fit(sparse, train, epochs=1, lr=0.03, generator=order, on_step=after_step)
tuned, whole = evaluate(sparse, (images, labels)), evaluate(dense, (images, labels))
print(f"{sparsity_of(sparse):.0%} zeros: {one_shot:.1%} before, {tuned:.1%} after one epoch; dense {whole:.1%}")

# %% [markdown]
# One network proves little. Below are several, each trained from scratch with its own seed, pruned to 80 %, fine-tuned for three epochs, and
# tested *once* on the whole test set of 10,000 images (*measured before*, shipped as a record; `tinylib data make pruning-seeds` remakes it).
# The whiskers are one standard deviation over the seeds. For fairness there is also the dense network trained for the same three extra epochs.

# %%
seeds = load_record("pruning-seeds")
names = {"dense": "original: dense", "dense_more": "original: dense,\n3 more epochs",
         "one_shot": "failure: 80 % zeros,\nnot tuned", "sparse": "ours: 80 % zeros,\ntuned",
         "two_four": "second: 2:4,\ntuned"}
means = {key: 100 * np.mean([row[key] for row in seeds]) for key in names}
bars = {names[key]: means[key] for key in names}
spread = {names[key]: 100 * np.std([row[key] for row in seeds], ddof=1) for key in names}
figure, ax = plt.subplots(figsize=(7.2, 3.4))
plots.bars(ax, bars, spread=spread, ylabel="test accuracy (%)")
back, lost = means["sparse"] - means["one_shot"], means["dense"] - means["sparse"]
ax.set_title(f"{len(seeds)} networks: three epochs win back {back:.0f} points; {lost:.1f} are lost in the end")
plt.show()

# %% [markdown]
# ### Reveal

# %%
reveal("pruning.one_shot", round(means["one_shot"], 1), "%")
reveal("pruning.tuned", round(means["sparse"], 1), "%")

# %% [markdown]
# ## Are zeros fast?
#
# The sparse network multiplies by zero 80 % of the time. Let us measure both networks turn by turn on 64 images, so that a busy moment of your
# machine hits both. This is *measured here*, on your processor, with one thread.

# %% volatile=true
zeros = load_model("pruning-sparse80").to(memory_format=torch.channels_last)
batch = images[:64]
with torch.inference_mode():
    times = race({"dense": lambda: dense(batch), "zeros": lambda: zeros(batch)}, seconds=2.0)
speed = times["dense"].median_ms / times["zeros"].median_ms
print(f"dense {times['dense']}\nzeros {times['zeros']}")
print(f"With {sparsity_of(zeros):.0%} zeros the network is {speed:.2f} times as fast.")

# %% volatile=true
reveal("pruning.speed", round(speed, 2), "times as fast")

# %% [markdown]
# A dense kernel visits every weight, zero or not. To gain time the zeros must leave the arithmetic, and there are three ways: a sparse kernel (it pays
# off above roughly 85 to 90 % zeros on a processor like this one), hardware for a pattern such as 2:4, or **smaller dense matrices**. The last works
# everywhere. It removes whole **channels**.
#
# ## Channels go in company
#
# A convolution's weight has shape $(k, c, h, w)$: $k$ output channels, $c$ input channels. Removing output channel $i$ removes row $i$ of this
# layer, entry $i$ of the norm behind it, and column $i$ of every layer that reads it. With a share $p$ of all channels kept, a layer
# keeps $p \cdot k$ rows and $p \cdot c$ columns: its work shrinks like $p^2$.
#
# Which channel is worth least? The layer *behind* decides: a channel that nobody listens to is worth nothing, however large its own filter.
# So the importance of channel $i$ is the length of column $i$ in the layers that read it, $\sqrt{\sum_{k,h,w} W_{k i h w}^2}$.
#
# But a channel rarely stands alone. In a residual block the sum ties channel $i$ of one side to channel $i$ of the other. A depth-wise filter
# belongs to the channel it reads. A concatenation shifts numbers.
#
# ## Build 4: which channels must go together?
#
# *Difficulty 4 of 5, about 15 minutes.*
#
# The network is a list of nodes in the order of the computation: `(name, kind, sources, channels)`. The kinds:
#
# - `input`, `conv`: make new channels;
# - `norm`, `depthwise`, `relu`: channel $i$ comes from channel $i$;
# - `add`: channel $i$ of both sources and of the sum are one;
# - `concat`: the sources' channels one after the other.
#
# By hand: for `a = conv(x)`, `n = norm(a)`, `s = add(n, x)`, removing channel 2 of `a` takes `(a, 2)`, `(n, 2)` and `(x, 2)`, since the sum needs both sides.

# %% exercise="pruning.coupled"
def coupled(graph: list[tuple], layer: str, channel: int) -> set[tuple[str, int]]:
    """All (name, channel) that must go when this channel of this layer goes, itself included.

    Only nodes of kind conv, depthwise, norm and input are named: the others hold no weights.
    """
    ### BEGIN SOLUTION
    same_as, labels = {}, {}      # label -> label it was tied to; node -> label of each channel

    def root(label):
        while label in same_as:
            label = same_as[label]
        return label

    for name, kind, sources, channels in graph:
        if kind in ("input", "conv"):
            labels[name] = [(name, i) for i in range(channels)]
        elif kind == "concat":
            labels[name] = [label for source in sources for label in labels[source]]
        else:
            labels[name] = labels[sources[0]]
        if kind == "add":
            for one, other in zip(labels[sources[0]], labels[sources[1]]):
                if root(one) != root(other):
                    same_as[root(one)] = root(other)
    wanted = root(labels[layer][channel])
    kinds = {name: kind for name, kind, _, _ in graph}
    weighted = [name for name in labels if kinds[name] in ("conv", "depthwise", "norm", "input")]
    return {(name, i) for name in weighted for i, label in enumerate(labels[name]) if root(label) == wanted}
    ### END SOLUTION

# %% check="pruning.coupled" points=4
check("pruning.coupled", coupled)

# %% [markdown]
# Choose a layer and a channel of this block and see what your function takes away. Try `stem`, `wide` and `thin`: which of them stands almost alone?

# %% volatile=true
panel("pruning.coupled", {"pruning.coupled": coupled})

# %% [markdown]
# ## Build 5: cut for good
#
# *Difficulty 3 of 5, about 15 minutes.*
#
# The network is `conv -> norm -> ReLU -> depth-wise -> ReLU -> flatten -> head`. You get the four layers and the channels to keep; you give four smaller
# layers. The test of a cut is strict: the small network must compute **the same numbers** as the full one in which the head ignores the removed channels.
# Not nearly the same: with whole-number weights, exactly the same.
#
# Remember what `flatten` does: all pixels of channel 0 first, then all pixels of channel 1. The head therefore reads $h \cdot w$ columns per channel.

# %% exercise="pruning.cut_channels"
def cut_channels(conv: nn.Conv2d, norm: nn.BatchNorm2d, depthwise: nn.Conv2d,
                 head: nn.Linear, keep: Tensor) -> tuple:
    """(conv, norm, depthwise, head): new, smaller layers with only the channels in `keep`.

    `keep` holds ascending indices. conv has no bias; depthwise has one filter and one bias
    a channel. The layers that were given stay as they are.
    """
    ### BEGIN SOLUTION
    n, pixels = len(keep), head.in_features // conv.out_channels
    conv, norm, depthwise, head = map(copy.deepcopy, (conv, norm, depthwise, head))
    conv.weight.data = conv.weight.data[keep]
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name).data = getattr(norm, name).data[keep]
    depthwise.weight.data = depthwise.weight.data[keep]
    depthwise.bias.data = depthwise.bias.data[keep]
    columns = head.weight.data.view(head.out_features, -1, pixels)
    head.weight.data, head.in_features = columns[:, keep].flatten(1), n * pixels
    conv.out_channels = norm.num_features = n
    depthwise.in_channels = depthwise.out_channels = depthwise.groups = n
    return conv, norm, depthwise, head
    ### END SOLUTION

# %% check="pruning.cut_channels" points=5
check("pruning.cut_channels", cut_channels)

# %% [markdown]
# `tinylib.prune.channel` does this for any network that `torch.fx` can trace: labels travel through the real graph as in exercise 4, then rows and columns are
# cut as in exercise 5. Here is the garments network, with seven inverted residuals. One group holds the channels that one sum after the other ties together.

# %%
# NBVAL_CHECK_OUTPUT
base, example = load_model("garments-base"), torch.zeros(1, 1, 28, 28)
graph = channel_graph(base, example)
for group in graph.groups:
    print(f"{group.name:<22} {group.size:>4} channels, cut in {len(group.rows)}, read by {len(group.columns)} layers")
print("must stay:", graph.fixed)

# %% [markdown]
# Is the library's cut exact too? The same test, in 64-bit floats, with random images: the masked network and the cut network.

# %%
# NBVAL_CHECK_OUTPUT
kept = keep_strongest(base, graph, 0.7)
exact = copy.deepcopy(base).double()
masked = mask_channels(exact, example.double(), kept)
cut = cut_any_network(exact, example.double(), kept)
x = torch.randn(8, 1, 28, 28, dtype=torch.float64)
with torch.no_grad():
    gap = (masked(x) - cut(x)).abs().max() / masked(x).abs().max()
print(f"masked and cut agree to 1e-12 of the scale: {bool(gap <= 1e-12)}")
for name, net in (("full", base), ("cut", cut.float())):
    cost = profile(net, example)
    print(f"{name:<5} {cost.macs:>10,} MACs {cost.params:>8,} parameters")

# %% [markdown]
# Now the plain network again: move the share of channels and the budget. The title turns red when the budget is broken.

# %% volatile=true
panel("pruning.channels")

# %% [markdown]
# ## Measured: removed channels are fast
#
# Four networks, same images, same thread, turn by turn, *measured here*: dense; 80 % zeros; cut to half the MACs with whatever counts came out
# (17, 33 and 67 channels a layer); and cut a little further, to multiples of eight (16, 32 and 72). All but the first were fine-tuned for three epochs.

# %% volatile=true
half = load_model("pruning-half").to(memory_format=torch.channels_last)
eights = load_model("pruning-eights").to(memory_format=torch.channels_last)
nets = {"original: dense": dense, "failure: 80 % zeros": zeros,
        "second: half the MACs\n(17, 33, 67)": half, "ours: in eights\n(16, 32, 72)": eights}
with torch.inference_mode():
    times = race({name: (lambda net=net: net(batch)) for name, net in nets.items()}, seconds=4.0)
figure, ax = plt.subplots(figsize=(7.0, 3.2))
plots.bars(ax, {n: t.median_ms for n, t in times.items()}, ylabel="time for 64 images (ms)",
           spread={n: (t.high_ms - t.low_ms) / 2 for n, t in times.items()})
_, no_gain, some, most = (times["original: dense"].median_ms / t.median_ms for t in times.values())
ax.set_title(f"Times as fast as dense: zeros {no_gain:.2f}, half {some:.2f}, in eights {most:.2f}")
plt.show()

# %% [markdown]
# Half the MACs are rarely half the time. Norms and activations shrink only with $p$, not with $p^2$; small matrices fill the processor less well.
# And the kernels of this processor lay channels out in blocks of eight, so that 17 channels cost as much as 24. That is why pruning tools round
# channel counts to multiples of eight: fewer channels *that the kernel can see*.
#
# ## Experiment: what is worth its bytes, what is worth its MACs?
#
# One network (seed 0), every setting fine-tuned for two epochs, 3,000 validation images (*recorded*; `tinylib data make pruning-sweep` remakes
# it). Left: storage, with a mask bit for every weight. Right: the MACs that a dense kernel runs. The same networks, two different pictures.

# %%
rows = record["rows"]
figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.5), sharey=True)
for ax, cost, scale, budget in ((axes[0], "bytes", 1024, 100), (axes[1], "macs", 1e6, 1.5)):
    points = {name: [(r[cost] / scale, 100 * r["tuned"]) for r in rows if r["kind"] == name.split(": ")[1]]
              for name in ("ours: zeros", "second: channels", "original: dense")}
    label = {"bytes": "storage (KiB)", "macs": "MACs a dense kernel runs (millions)"}[cost]
    plots.pareto(ax, points, xlabel=label, ylabel="validation accuracy (%)", budget=budget)
axes[1].get_legend().remove()
axes[1].set_ylabel("")
axes[0].set_title("Zeros win on storage ...")
axes[1].set_title("... and save no work at all")
plt.show()

# %% [markdown]
# And does it matter *which* weights go? The control draws them blindly. All four networks below keep 20 % of the weights.

# %%
# NBVAL_CHECK_OUTPUT
print("80 % removed               before tuning   after two epochs")
for row in [r for r in rows if r["kind"] == "way"]:
    print(f"{row['setting']:<26} {row['one_shot']:>12.1%} {row['tuned']:>18.1%}")

# %% [markdown]
# Read the table with care: the order *before* tuning need not be the order *after* it. One network and one seed show differences of a point or
# more; they do not show differences of a tenth.
#
# ## Break it, and repair it without training
#
# Cut the plain network to half its MACs and do nothing else: it is as good as lost. One reason can be repaired in a second, without a label and without a
# gradient. The norms still subtract the mean and divide by the spread that they saw *before* the cut. Run a few training images through the network and count
# these statistics anew (`recalibrate_bn`). Change the number of images and see how few are enough.

# %% volatile=true
share = 0.71                                    # of the channels: about half the MACs
kept = keep_strongest(dense, channel_graph(dense, example), share)
broken = cut_any_network(dense, example, kept)
before = evaluate(broken, (images, labels))
number_of_images = 1000
recalibrate_bn(broken, train[0][:number_of_images].split(500))
after, trained = evaluate(broken, (images, labels)), evaluate(half, (images, labels))
print(f"cut: {before:.1%}   norms counted anew on {number_of_images} images: {after:.1%}   trained: {trained:.1%}")

# %% [markdown]
# ## Decide
#
# You ship to a device with dense kernels. Its budget of MACs is your own number. Here is the sweep.

# %%
# NBVAL_CHECK_OUTPUT
print("kind      setting        MACs run     bytes   accuracy")
for row in rows:
    if row["kind"] in ("zeros", "2:4", "channels"):
        cost = f"{row['macs']:>15,} {row['bytes']:>9,}"
        print(f"{row['kind']:<9} {row['setting']:>7} {cost} {row['tuned']:>10.1%}")

# %%
answer("pruning.decide", ["channels", 0.5])  ### SOLUTION: None

# %% [markdown] reason="pruning.decide.reason" points=2
# Why this row? Two or three sentences: what the device does with zeros, what you gave up, and what you would measure on the device before shipping.

# %% [markdown]
# ## Exit quiz
#
# Five questions. Three of them have numbers of your own.

# %%
answer("pruning.quiz.1", 467)  ### SOLUTION: None

# %%
answer("pruning.quiz.2", 5200)  ### SOLUTION: None

# %%
answer("pruning.quiz.3", "c")  ### SOLUTION: None

# %%
answer("pruning.quiz.4", 536256)  ### SOLUTION: None

# %%
answer("pruning.quiz.5", 8)  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# *Published* figures are from the abstracts of the papers named; ours are *measured before* and shipped (`pruning-seeds`), on the test set.

# %%
# NBVAL_CHECK_OUTPUT
points = {key: 100 * np.mean([row[key] - row["dense"] for row in seeds]) for key in ("sparse", "two_four", "eights")}
for what, published, ours in (
    ("single weights", "AlexNet 9 times, VGG-16 13 times fewer, no loss (Han 2015)", f"5 times fewer: {points['sparse']:+.1f} points"),
    ("2:4 pattern", "twice the math throughput, accuracy kept (Mishra 2021)", f"{points['two_four']:+.1f} points; no such hardware here"),
    ("channels", "VGG-16 5 times faster, 0.3 % more error (He 2017)", f"45 % of the MACs: {points['eights']:+.1f} points"),
):
    print(f"{what:<15} published: {published}\n{'':<15} here:      {ours}")

# %% [markdown]
# Why the gap? AlexNet and VGG hold tens of millions of weights in fully connected layers, far more than their task needs. Ours has 79
# thousand, so there is less to give. Their fine-tuning lasts longer than the training of our network. And a speed-up belongs to a kernel
# and a machine: ours is this processor, one thread.
#
# Fairness costs something too: a dense network trained for the same three extra epochs gains a little, so against *that* network the
# 80 % sparse one is about half a point behind. The claims of this lab, with their intervals, are in `data/claims/pruning.toml`; `tinylib claims` prints them.

# %% [markdown]
# ## Your passport
#
# The passport collects one row a lab: a network that you could ship, with everything it costs. This row is the garments network of `start_here`,
# cut to half its MACs and fine-tuned for four epochs (a shipped checkpoint). Accuracy is *measured here*, on the whole test set.

# %%
from tinylib.course.passport import stamp
from tinylib.measure.size import model_bytes

small, test = load_model("pruning-garments-half"), garments.load().test.tensors()
cost = profile(small, example, fuse=True)
row = stamp("pruning", small, accuracy=evaluate(small, test), n_bytes=model_bytes(small),
            macs=cost.macs, peak_bytes=cost.peak_bytes)
print(f"accuracy {row.accuracy:.2%}, {row.n_bytes:,} bytes, {row.macs:,} MACs, peak {row.peak_bytes:,} bytes")

# %% [markdown]
# ## Read next
#
# - `tinylib/prune/groups.py`: the labels of exercise 4 on a real graph, with everything it refuses to touch and why.
# - Han, Pool, Tran, Dally: *Learning both Weights and Connections for Efficient Neural Networks* (NeurIPS 2015). Train, prune, train again.
# - He, Zhang, Sun: *Channel Pruning for Accelerating Very Deep Neural Networks* (ICCV 2017). It refits the kept weights by least squares.
# - Fang et al.: *DepGraph: Towards Any Structural Pruning* (CVPR 2023). The general form of exercise 4.
# - In this course, quantization takes the other road to fewer bytes: the same weights, fewer bits each.
