# ---
# title: SpAtten: attention that fetches less
# minutes: 75
# prerequisites: start_here
# systems: SpAtten
# passport: no
# ---

# %% [markdown]
# # SpAtten: attention that fetches less
#
# **75 minutes.** You need matrix products and the softmax. The computing takes about half a minute, on this machine, offline.
#
# Attention compares each word with all others, and most of what it fetches for that hardly matters. SpAtten is an accelerator that finds out
# *while it computes*: words that nobody looks at are dropped, heads that say little are dropped, and numbers come with few bits first.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("spatten")

import matplotlib.pyplot as plt
import numpy as np
import torch

# %% [markdown]
# ## Why it matters
#
# One step of text generation with a GPT-2-sized network over 1,024 words reads every key and every value of the past: **72 MiB** at 32 bits,
# for 19 million MACs.
# That is a quarter of a MAC per byte. The lab `start_here` calls this memory bound: the multipliers wait for DRAM, the external memory.
#
# Fewer MACs do not help there. Fewer bytes do.
#
# ## What you will be able to do
#
# - measure which tokens a network listens to, and drop the others for all later layers
# - select the k largest numbers without sorting, ties included
# - decide for each query whether a few bits are enough
# - count the bytes that attention moves
# - say which part of the published tenfold saving a small network shows, and why
#
# ## Two predictions

# %%
predict("spatten.factor", 6.5)  ### SOLUTION: None

# %%
predict("spatten.tokens", 1)  ### SOLUTION: None

# %% [markdown]
# ## The reader
#
# A small Transformer encoder (4 layers, 4 heads, 64 features) reads 48 words and says from which of six kinds of book they come. Real text, trained in this
# project. The passages are from the King James Bible, split by chapter.

# %%
from tinylib.panels.spatten import examples

tokens, labels, words = examples()
print(" ".join(words[t] for t in tokens[0][1:25]), "...")
print("tokens:", tokens.shape, " kind of book:", labels[0])

# %% [markdown]
# ## Play first
#
# The reader at work on one passage. Faded words are gone in the last layer. Bytes and cycles are *simulated*.

# %%
panel("spatten.fade")

# %% [markdown]
# - Which kinds of word go first?
# - Lower the share of tokens until the answer changes. How many words are left?
# - Raise the threshold. What grows, bytes or cycles?
#
# ## The idea
#
# Attention of one head: queries $Q$ $(n, d)$, keys $K$ $(n, d)$, values $V$ $(n, d)$.
#
# $$P = \mathrm{softmax}(Q K^\top / \sqrt{d}), \qquad \text{output} = P V.$$
#
# Column $j$ of $P$ says how much all tokens listen to token $j$. Its sum is what the token *earned*. SpAtten adds this up over heads and layers:
#
# $$\text{importance}_j = \sum_{\text{layers}} \sum_{\text{heads}} \sum_i P_{ij}.$$
#
# After each layer only the tokens with the largest importance go on. **Cascade** means: a token that is gone is never computed or fetched again, in no later
# layer. The same is done with heads.
#
# **By hand.** Two living tokens, one head, $P = \begin{pmatrix} 0.9 & 0.1 \\ 0.6 & 0.4 \end{pmatrix}$. Token 0 earned 1.5, token 1 earned 0.5.

# %% [markdown]
# ### Build 1: one step of the cascade  (15 minutes)
#
# `importance` (n,) so far, `alive` (n,) booleans, `probs` (heads, n, n) of this layer. Only living queries pay, and only living tokens earn.
# Then `keep` tokens stay: **token 0 always** (it carries the answer), then the living ones of largest importance, ties in their order.

# %% exercise="spatten.prune_step"
import torch


def prune_step(importance, alive, probs, keep: int):
    """(new importance (n,), new alive (n,) with exactly `keep` True)."""
    ### BEGIN SOLUTION
    both = alive[:, None] & alive[None, :]
    total = importance + (probs * both).sum(dim=(0, 1))
    scores = torch.where(alive, total, -torch.inf)
    scores[0] = torch.inf
    order = torch.sort(scores, descending=True, stable=True).indices
    stay = torch.zeros_like(alive)
    stay[order[:keep]] = True
    return total, stay
    ### END SOLUTION

# %% check="spatten.prune_step" points=5
check("spatten.prune_step", prune_step)

# %% [markdown]
# ### Build 2: the k largest, without a sort  (15 minutes)
#
# Sorting does more than we need. The engine compares all candidates with one of them, the **pivot**, and goes on with one side only (*quick-select*).
#
# - Candidates keep their order. The pivot is the one in the middle: `left[len(left) // 2]`. Each round costs `len(left)` comparisons.
# - If at least as many are larger as we still want, go on with the larger ones. If larger and equal ones together are enough, stop.
#   Else take them all and go on with the smaller ones.
# - Exactly `k` places stay; among equal numbers the first ones. For `k = 0` nothing is compared.

# %% exercise="spatten.top_k"
def top_k(values: list, k: int):
    """(places of the k largest in rising order, number of comparisons)."""
    ### BEGIN SOLUTION
    left, wanted, compared, limit = list(values), k, 0, float("inf")
    while wanted:
        compared += len(left)
        limit = left[len(left) // 2]
        larger = [v for v in left if v > limit]
        equal = left.count(limit)
        if len(larger) >= wanted:
            left = larger
        elif len(larger) + equal >= wanted:
            wanted -= len(larger)
            break
        else:
            wanted -= len(larger) + equal
            left = [v for v in left if v < limit]
    at_limit = [i for i, v in enumerate(values) if v == limit][:wanted]
    return sorted([i for i, v in enumerate(values) if v > limit] + at_limit), compared
    ### END SOLUTION

# %% check="spatten.top_k" points=5
check("spatten.top_k", top_k)

# %% [markdown]
# How much does it save? Random numbers of many lengths, half of them kept.

# %%
select = ready("spatten.top_k", top_k)
rng = np.random.default_rng(0)
lengths = (16, 64, 256, 1024)
mean = [np.mean([select(rng.random(n).tolist(), n // 2)[1] for _ in range(20)]) for n in lengths]
fig, ax = plt.subplots(figsize=(6.2, 3))
ax.plot(lengths, [n * np.log2(n) for n in lengths], color="#999999", marker="s", label="n log2 n (a sort)")
ax.plot(lengths, mean, color="#0072B2", marker="o", label="quick-select")
ax.set(xscale="log", yscale="log", xlabel="candidates n (log scale)", ylabel="comparisons (log scale)",
       title=f"At n = 1,024 quick-select compares {mean[-1] / 1024:.1f} times per number")
ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# ### Build 3: are a few bits enough?  (10 minutes)
#
# Numbers lie in memory as high bits and low bits. The machine fetches the high bits first and computes the probabilities. If a row has one large
# probability, rounding hardly moves it. If the row is flat, it may. So a query fetches the low bits too when its **largest** probability is *below* a
# threshold.
#
# `q` (h, n, d) and `k` (h, m, d) come from the high bits. Give a boolean for each query of each head.

# %% exercise="spatten.fetch_more"
import torch


def fetch_more(q, k, threshold: float):
    """Booleans (h, n): True where a query must fetch the low bits."""
    ### BEGIN SOLUTION
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return scores.softmax(dim=-1).amax(dim=-1) < threshold
    ### END SOLUTION

# %% check="spatten.fetch_more" points=3
check("spatten.fetch_more", fetch_more)

# %% [markdown]
# ### Build 4: bytes  (12 minutes)
#
# One head moves `queries` rows of queries in and as many rows of outputs out, `keys` rows of keys, and `value_rows` rows of values (value pruning may leave
# some out). A row has `head_size` numbers; a row of `b` bits a number takes a whole number of bytes, rounded up.
#
# - Queries, keys and values come with `msb` bits. Outputs leave with `msb + lsb` bits.
# - Each of the `asked` queries fetches `lsb` more bits of its row. If any asks, every key row and every value row fetches its `lsb` bits too, **once**.
# - A head without any value row is pruned and moves nothing.

# %% exercise="spatten.dram_bytes"
def dram_bytes(queries: int, keys: int, value_rows: int, asked: int, head_size: int, msb: int, lsb: int) -> int:
    """Bytes that one head moves between DRAM and the chip."""
    ### BEGIN SOLUTION
    if value_rows == 0:
        return 0
    row = lambda bits: (head_size * bits + 7) // 8
    total = queries * (row(msb) + row(msb + lsb)) + (keys + value_rows) * row(msb)
    if asked:
        total += (asked + keys + value_rows) * row(lsb)
    return total
    ### END SOLUTION

# %% check="spatten.dram_bytes" points=4
check("spatten.dram_bytes", dram_bytes)

# %%
# NBVAL_CHECK_OUTPUT
bytes_of = ready("spatten.dram_bytes", dram_bytes)
for name, sizes in {"dense, 8 bits": (4, 4, 4, 0, 16, 8, 0), "4 bits first, nobody asks": (4, 4, 4, 0, 16, 4, 4), "one query asks": (4, 4, 4, 1, 16, 4, 4),
                    "half the tokens": (2, 2, 2, 0, 16, 4, 4)}.items():
    print(f"{name:26s} {bytes_of(*sizes):4d} bytes")

# %% [markdown]
# ## Your code live

# %%
panel("spatten.fade", {"spatten.prune_step": prune_step, "spatten.fetch_more": fetch_more, "spatten.dram_bytes": dram_bytes})

# %% [markdown]
# ## Experiment: each mechanism alone
#
# Bytes are *simulated* and checked by a second program that shares no code with the simulator. Accuracy and nats are *measured here* on validation
# passages, one network each, without training the pruned network again (*recorded*, `spatten-sweep`).

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.core.checkpoint import load_record

sweep = load_record("spatten-sweep")
for name, unit in (("reader", "accuracy"), ("writer", "nats")):
    dense = sweep[name]["dense, 32 bits"]
    print(f"{name}: {unit} {dense[unit]:.3f} dense")
    for plan, row in sweep[name].items():
        if plan != "dense, 32 bits":
            print(f"  {plan:10s} {dense['dram_bytes'] / row['dram_bytes']:5.2f}x fewer bytes {dense['cycles'] / row['cycles']:5.2f}x fewer cycles"
                  f"   {unit} {row[unit]:.3f}")

# %% [markdown]
# - The **reader** takes a whole passage at once. Each key is used by 48 queries, so its multipliers are the limit, and fewer bytes save few cycles.
# - The **writer** has one query a step. Each key is used once, so memory is the limit.
# - Dropping values per query even *costs* the reader time here: the small machine's top-k engine becomes the bottleneck.
#
# Now a gentle plan for the reader (30 % of the tokens dropped by the last layer, 6 bits), three networks, all test passages, once.

# %%
effects = load_record("spatten-effects")
runs = effects["runs"]
factor = np.mean([r["dense, 32 bits"]["dram_bytes"] / r["gentle"]["dram_bytes"] for r in runs])
change = [100 * (r["gentle"]["accuracy"] - r["dense, 32 bits"]["accuracy"]) for r in runs]
kinds = {"tokens": "#E69F00", "bits": "#56B4E9", "gentle": "#0072B2"}
fig, ax = plt.subplots(figsize=(6.4, 3.2))
for plan, colour, marker in zip(kinds, kinds.values(), "s^o"):
    ax.scatter([r["dense, 32 bits"]["dram_bytes"] / r[plan]["dram_bytes"] for r in runs],
               [100 * (r[plan]["accuracy"] - r["dense, 32 bits"]["accuracy"]) for r in runs], color=colour, marker=marker, label=plan, s=40)
ax.axhline(-1, color="#D55E00", linestyle="--")
ax.text(3, -1, "one point", color="#D55E00", va="bottom", fontsize=9)
ax.set(xlabel="times fewer DRAM bytes (simulated)", ylabel="accuracy change (points)",
       title=f"{factor:.1f} times fewer bytes; accuracy {np.mean(change):+.1f} points")
ax.legend(fontsize=9)
plt.show()

# %%
reveal("spatten.factor", round(float(factor), 2), "times")

# %%
reveal("spatten.tokens", round(-float(np.mean(change)), 2), "points")

# %% [markdown]
# The three networks lose between nothing and two points; the interval is wide (`tinylib claims`), so we cannot say that the loss stays within one point.
#
# ## Where the published tenfold comes from
#
# Now the size of GPT-2, one generation step over 1,024 words. The pruned shares are set by hand, near the paper's: this is about bytes, not about accuracy.

# %%
scale = load_record("spatten-scale")
dense = scale["dense, 32 bits"]
factors = {name: dense["dram_bytes"] / row["dram_bytes"] for name, row in scale.items() if name != "dense, 32 bits"}
fig, ax = plt.subplots(figsize=(6.6, 3))
ax.barh(list(factors)[::-1], list(factors.values())[::-1], color="#0072B2")
for i, value in enumerate(list(factors.values())[::-1]):
    ax.text(value, i, f" {value:.1f}x", va="center", fontsize=9)
ax.axvline(10, color="#D55E00", linestyle="--")
ax.text(10, 0.5, " published", color="#D55E00", va="center", fontsize=9)
ax.set(xlabel="times fewer DRAM bytes (simulated)", title=f"Bits alone give {factors['bits']:.1f}x; everything gives {factors['all four']:.1f}x")
plt.show()

# %% [markdown]
# Half of the saving (on a log scale) is the change from 32 bits to few. Long inputs do the rest: of a thousand words many are never looked at again. Our
# 48-word passages have few words to spare.
#
# ## Break it
#
# A layer late in the cascade, on a row of equal importances. A colleague's engine keeps *all* tokens that reach the limit, and its buffer has two places.
# Which rule do you need? Change the word and run the cell again.

# %%
rule = "exactly k"  ### SOLUTION: "all at the limit"
values, room = [3, 5, 5, 5, 1], 2
limit = sorted(values)[-room]
kept = [i for i, v in enumerate(values) if v >= limit] if rule == "all at the limit" else ready("spatten.top_k", top_k)(values, room)[0]
print(f"{rule}: tokens {kept} in a buffer for {room}:", "fits" if len(kept) <= room else "overflow")

# %% [markdown]
# ## Decide

# %%
answer("spatten.decide", {"tokens": 0.5, "msb": 6})  ### SOLUTION: None

# %% [markdown] reason="spatten.decide.reason" points=2
# *Your reason, in two or three sentences: which of the two knobs would you turn first for a longer text, and why?*

# %% [markdown]
# ## Exit quiz

# %%
answer("spatten.quiz.1", 3072)  ### SOLUTION: None

# %%
answer("spatten.quiz.2", "b")  ### SOLUTION: None

# %%
answer("spatten.quiz.3", -10)  ### SOLUTION: None

# %%
answer("spatten.quiz.4", 180)  ### SOLUTION: None

# %%
answer("spatten.quiz.5", "a")  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# | | published (Wang, Zhang, Han, HPCA 2021) | here |
# |---|---|---|
# | DRAM bytes, all mechanisms | 10.0 times fewer (as remembered) | the table above: reader and writer *simulated*; 13.2 times at GPT-2's size |
# | accuracy | no loss, after training the pruned network again | the reader loses about a point at 6.3 times fewer bytes, without training again |
# | machine | 1 GHz, 512 GB/s (as remembered) | a sixteenth of it for the small networks, *modelled* |
#
# We do not train the pruned network again, and our texts are short: both cost accuracy that the paper keeps.
#
# ## Read next
#
# - `tinylib/accel/spatten.py`: the machine. `tinylib/accel/audit.py`: the checker that shares no code with it.
# - Wang, Zhang, Han: *SpAtten: Efficient Sparse Attention Architecture with Cascade Token and Head Pruning* (HPCA 2021).
