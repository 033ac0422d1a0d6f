# ---
# title: Training on a quantum machine
# minutes: 80
# prerequisites: quantum_circuits
# systems: QOC
# passport: no
# ---

# %% [markdown]
# # Training on a quantum machine
#
# **80 minutes.** You need the lab `quantum_circuits`, or an idea of what a circuit with trained angles is. About half a minute of computing.
#
# A simulator can run backwards; a machine cannot. QOC (Wang et al., DAC 2022) trains with gradients that come from running circuits only, and skips
# the gradients
# that are not worth their circuits. You will build both halves, and measure whether the second one pays.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("qoc")

import math
import matplotlib.pyplot as plt
import numpy as np
import torch
from tinylib.show.style import COLOURS

# %% [markdown]
# ## Why it matters
#
# | | simulator | machine |
# |---|---|---|
# | what one sees | all $2^n$ amplitudes | one string of bits for each run |
# | gradient of 18 weights | one backward pass | 36 more circuits for every sample |
# | 80 steps with a batch of 8 | 80 backward passes | 23,680 circuits, each run hundreds of times |
# | each value | exact | noisy |
#
# Circuits are the price here. Where a simulation no longer fits any computer, this is the only way to train.
#
# ## What you will be able to do
#
# - get exact gradients from shifted circuits, with shared, scaled and controlled angles
# - join them with ordinary backprop
# - choose which gradients to measure, and keep the others truly frozen
# - say which gradients noise destroys, and count circuits before you run them

# %% [markdown]
# ## Two predictions

# %%
predict("qoc.errors", 10.0)  ### SOLUTION: None

# %%
predict("qoc.gain", 3.0)  ### SOLUTION: None

# %% [markdown]
# ## Play first
#
# Two weights and a loss. Arrows point downhill: grey the exact gradient, pink the measured one. A **shot** is one run and one reading of a circuit.
# The descent
# stops when its 240 circuits are used up.

# %%
panel("qoc.landscape")

# %% [markdown]
# - Go down to 4 shots. Which arrows turn the wrong way: the long or the short ones?
# - Raise the noise at many shots. The arrows shrink; do they turn?
# - Switch the pruned share between 0 and 0.5. How many steps do the same circuits pay for?
#
# ## The idea: two circuits make a slope
#
# A gate $e^{-i\frac{w}{2}G}$ with $G^2 = 1$ (all rotations: X, Y, Z, XX, ZZ ...) makes any measured value a sine of its angle:
# $f(w) = a + b\cos w + c\sin w$. For such a function a *wide* difference is exact:
#
# $$\frac{df}{dw} = \frac{f(w + \frac\pi2) - f(w - \frac\pi2)}{2}$$
#
# **By hand.** $f(w) = \cos w$. Then $\cos(w + \frac\pi2) - \cos(w - \frac\pi2) = -2\sin w$, and half of it is $-\sin w$. Exact, at any $w$.
#
# Three things need care.
#
# - **Shared**: a weight that sits in several gates. The rule holds for *one* gate: shift each alone and add up.
# - **Scaled**: a gate's angle is $s\,w + \dots$ By the chain rule, multiply by $s$.
# - **Controlled** rotations: their values also contain $\cos\frac w2$ and $\sin\frac w2$. Two circuits cannot separate both frequencies. Four can:
#
# $$\frac{df}{dw} = \tfrac{\sqrt2+1}{4\sqrt2}\left[f(w + \tfrac\pi2) - f(w - \tfrac\pi2)\right]
# - \tfrac{\sqrt2-1}{4\sqrt2}\left[f(w + \tfrac{3\pi}2) - f(w - \tfrac{3\pi}2)\right]$$

# %% [markdown]
# ### Build 1: parameter shift  (25 minutes)
#
# `run(slots)` runs the circuit once with these gate angles and returns one value. A **slot** is one angle of one gate. `kinds[slot]` is `"rotation"` or
# `"controlled"`. `uses[w]` lists the `(slot, scale)` pairs of weight `w`. Slots without a weight carry input: leave them alone. Every run is counted.

# %% exercise="qoc.param_shift"
def param_shift(run, slots: np.ndarray, uses: list[list[tuple[int, float]]], kinds: list[str]) -> np.ndarray:
    """Gradient (n_weights,) of run's value with respect to the weights, by shifted circuits only."""
    ### BEGIN SOLUTION
    c, d = (math.sqrt(2) + 1) / (4 * math.sqrt(2)), (math.sqrt(2) - 1) / (4 * math.sqrt(2))
    quarter = math.pi / 2

    def difference(slot, by):
        up, down = np.array(slots, dtype=float), np.array(slots, dtype=float)
        up[slot] += by
        down[slot] -= by
        return run(up) - run(down)

    def slope(slot):
        if kinds[slot] == "rotation":
            return difference(slot, quarter) / 2
        return c * difference(slot, quarter) - d * difference(slot, 3 * quarter)

    return np.array([sum(scale * slope(slot) for slot, scale in weight) for weight in uses])
    ### END SOLUTION

# %% check="qoc.param_shift" points=6
check("qoc.param_shift", param_shift)

# %% [markdown]
# ### Build 2: join it with backprop  (10 minutes)
#
# The loss (softmax, cross entropy) is computed on an ordinary computer from the measured values $z$, so backprop gives $\partial L/\partial z$
# there: `upstream`,
# one number for every sample $b$ and output $o$. The machine gives the Jacobian $\partial z_{bo}/\partial w$. The gradient is their product, summed
# over samples and outputs.

# %% exercise="qoc.chain_rule"
def chain_rule(jacobian: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    """jacobian (b, o, w), upstream (b, o) -> gradient of the loss (w,)."""
    ### BEGIN SOLUTION
    return (jacobian * upstream[:, :, None]).sum((0, 1))
    ### END SOLUTION

# %% check="qoc.chain_rule" points=3
check("qoc.chain_rule", chain_rule)

# %% [markdown]
# ## Your code on a real network
#
# The digit network of `quantum_circuits`: four wires, 16 pixels, 18 weights. Below, your two functions produce the gradient of the loss for three
# pictures from
# circuits alone. Autograd, which looks inside the simulator, is the judge.

# %%
# NBVAL_CHECK_OUTPUT
from tinylib.quantum.circuit import run, run_angles
from tinylib.quantum.digit_task import load, loss, network, start_weights
from tinylib.quantum.readout import expect_z

shift, chain = ready("qoc.param_shift", param_shift), ready("qoc.chain_rule", chain_rule)
data, circuit = load(), network()
images, labels = (t[:3] for t in data["train"])
weights = start_weights(circuit.n_weights, torch.Generator().manual_seed(0)).double().requires_grad_()
(exact,) = torch.autograd.grad(loss(expect_z(run(circuit, weights, images.double())), labels), weights)

# %%
# NBVAL_CHECK_OUTPUT
uses = [[(slot, scale) for slot, (_, _, a) in enumerate(circuit.slots) for i, scale in a.weights if i == w] for w in range(circuit.n_weights)]
kinds, runs = ["rotation"] * len(circuit.slots), 0

def machine(slots, wire):
    global runs
    runs += 1
    return expect_z(run_angles(circuit, torch.tensor(slots)[None]))[0, wire].item()

angles = circuit.angles(weights.detach(), images.double())
jacobian = torch.tensor(np.array([[shift(lambda s, o=o: machine(s, o), row.numpy(), uses, kinds) for o in range(4)] for row in angles]))
z = expect_z(run_angles(circuit, angles)).requires_grad_()
(upstream,) = torch.autograd.grad(loss(z, labels), z)
gap = (chain(jacobian, upstream) - exact).abs().max().item()
print("equal to autograd" if gap < 1e-7 else f"differs from autograd by {gap:.2g}", f"after {runs} runs (one output read at a time)")

# %% [markdown]
# A machine reads all four wires at once, so a quarter of the runs is enough: 3 samples x 18 weights x 2 = 108. `tinylib.quantum.qoc.jacobian` does
# that, and runs all
# shifted circuits as one batch.
#
# ## Experiment: which gradients does noise destroy?
#
# The record holds gradients at 30 random points: exact, and measured on a model of the machine *yorktown* (calibration of March 2021) with 256 shots.
# (Remake it with `tinylib data make qoc-effects`.)

# %%
from tinylib.core.checkpoint import load_record

record = load_record("qoc-effects")
true, device, shots = (np.concatenate([e[k] for e in record["errors"]]) for k in ("true", "device", "shots"))
size, error = np.abs(true), {"device": np.abs(device - true) / np.abs(true), "shots": np.abs(shots - true) / np.abs(true)}
slopes = [np.polyfit(np.log(np.abs(e["true"])), np.log(np.abs(np.array(e["device"]) - e["true"]) / np.abs(e["true"])), 1)[0] for e in record["errors"]]
fig, ax = plt.subplots(figsize=(7, 3.4))
ax.loglog(size, error["device"], "x", color=COLOURS["failure"], markersize=3, label="machine and shots")
edges = np.quantile(size, np.linspace(0, 1, 7))
for key, colour, marker in (("device", "failure", "o"), ("shots", "ours", "s")):
    middle = [np.median(error[key][(size >= a) & (size <= b)]) for a, b in zip(edges, edges[1:])]
    label = "median, machine and shots" if key == "device" else "median, shots only"
    ax.loglog(np.sqrt(np.maximum(edges[:-1], 1e-3) * edges[1:]), middle, marker=marker, color=COLOURS[colour], label=label)
ax.axhline(1, color=COLOURS["budget"], linestyle="--")
ax.text(size.max(), 1.1, "error as large as the gradient", ha="right", fontsize=8, color=COLOURS["budget"])
ax.set(title="The smaller the gradient, the larger its relative error", xlabel="size of the exact gradient", ylabel="relative error",
       xlim=(1e-3, None), ylim=(1e-3, 1e3))
ax.legend(fontsize=8)
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
print(f"slope of log error over log size: {np.mean(slopes):.2f} on the machine ({min(slopes):.2f} to {max(slopes):.2f} over {len(slopes)} seeds)")
third = np.quantile(size, [1 / 3, 2 / 3])
small, large = (100 * np.median(error["device"][part]) for part in (size < third[0], size > third[1]))
print(f"median relative error: smallest third {small:.0f} %, largest third {large:.0f} %")
reveal("qoc.errors", round(float(10 ** -np.mean(slopes)), 1), "times")

# %% [markdown]
# Shot noise has about the same size for every gradient: its relative error falls like 1 / size. The machine's own noise shrinks all values, so part
# of the error is
# proportional to the gradient and hurts large ones as well. Small gradients lose either way: two circuits are paid for a number that is mostly noise.
#
# ## Probabilistic gradient pruning
#
# Skip them. But a gradient that is small now may matter later, so QOC draws instead of cutting:
#
# 1. **Accumulate** (one step): measure all gradients and remember $|g|$.
# 2. **Prune** (two steps): draw $(1 - r)\,n$ weights without replacement, with probability proportional to the accumulated $|g|$. Measure these;
# freeze the others.
# 3. Forget the sums and start again.
#
# Not measured: $r \cdot 2/3$ of all gradients; a third for $r = 0.5$.

# %% [markdown]
# ### Build 3: the sampler  (20 minutes)
#
# Draw one weight, take it out, draw the next. Zeros have no chance while others are left; when only zeros are left, all of them are alike.

# %% exercise="qoc.sample_weights"
def sample_weights(magnitude: np.ndarray, keep: int, rng: np.random.Generator) -> list[int]:
    """`keep` different indices, sorted, drawn without replacement with probability proportional to magnitude."""
    ### BEGIN SOLUTION
    left, chosen = list(range(len(magnitude))), []
    for _ in range(keep):
        p = np.array([magnitude[i] for i in left], dtype=float)
        p = p / p.sum() if p.sum() > 0 else np.full(len(left), 1 / len(left))
        chosen.append(left.pop(int(rng.choice(len(left), p=p))))
    return sorted(chosen)
    ### END SOLUTION

# %% check="qoc.sample_weights" points=4
check("qoc.sample_weights", sample_weights)

# %% [markdown]
# ### Build 4: freeze means freeze  (15 minutes)
#
# Adam keeps two running means for every weight, `m` of the gradient and `v` of its square, and a step count `t` that corrects their bias:
#
# $$m \leftarrow 0.9\,m + 0.1\,g, \qquad v \leftarrow 0.999\,v + 0.001\,g^2, \qquad w
# \leftarrow w - \mathrm{lr}\,\frac{m/(1 - 0.9^t)}{\sqrt{v/(1 - 0.999^t)} + 10^{-8}}$$
#
# A weight that was not chosen keeps *everything*: its value, `m`, `v` and its own `t`. `state` is a dictionary with the arrays `m`, `v` and `t`.

# %% exercise="qoc.frozen_adam_step"
def frozen_adam_step(weights: np.ndarray, grad: np.ndarray, chosen: list[int], state: dict, lr: float) -> tuple[np.ndarray, dict]:
    """(new weights, new state); only the chosen weights and their entries of m, v and t differ."""
    ### BEGIN SOLUTION
    weights, m, v, t = weights.copy(), state["m"].copy(), state["v"].copy(), state["t"].copy()
    c, g = np.array(chosen, dtype=int), grad[chosen]
    t[c] += 1
    m[c] = 0.9 * m[c] + 0.1 * g
    v[c] = 0.999 * v[c] + 0.001 * g**2
    weights[c] -= lr * (m[c] / (1 - 0.9 ** t[c])) / (np.sqrt(v[c] / (1 - 0.999 ** t[c])) + 1e-8)
    return weights, {"m": m, "v": v, "t": t}
    ### END SOLUTION

# %% check="qoc.frozen_adam_step" points=4
check("qoc.frozen_adam_step", frozen_adam_step)

# %% [markdown]
# ## Your code live
#
# The panel now runs on your three functions: the arrows, the drawing and the descent.

# %%
panel("qoc.landscape", {"qoc.param_shift": param_shift, "qoc.sample_weights": sample_weights, "qoc.frozen_adam_step": frozen_adam_step})

# %% [markdown]
# ## Experiment: does pruning pay?
#
# First live and short: the digit network on the model of *yorktown*, 256 shots, 3,000 circuits for each of two trainings. (The machine's circuit is
# the network
# rewritten by qiskit; the shift rule differentiates what the noisy machine really does.)

# %%
from tinylib.quantum.convert import transpile
from tinylib.quantum.digit_task import MAPPINGS
from tinylib.quantum.noise import load_device
from tinylib.quantum.qoc import DeviceMachine, GradientPruner, train

physical, noisy, read = transpile(circuit, load_device("yorktown"), MAPPINGS["yorktown"])
for ratio in (0.0, 0.5):
    generator = torch.Generator().manual_seed(0)
    first = start_weights(circuit.n_weights, generator)
    history = train(physical, first, data["train"], DeviceMachine(noisy, read, 256, generator), loss,
                    GradientPruner(len(first), ratio, accumulate=1, prune=2, generator=generator), budget=3000, batch=8, lr=0.1, generator=generator)
    print(f"ratio {ratio}: {len(history)} steps with {history[-1].circuits} circuits, {sum(h.measured for h in history)} gradients, "
          f"loss {history[0].loss:.2f} -> {np.mean([h.loss for h in history[-3:]]):.2f}")

# %% [markdown]
# Too short to tell. The record has 24,000 circuits each, five seeds, three ratios, test accuracy by the noisy machine's exact values. Settings were
# chosen on the
# validation split; the test split was used once.

# %%
marks = np.array(record["marks"]) / 1000
curves = {ratio: np.array([r["accuracy"] for r in record["runs"] if r["ratio"] == ratio]) * 100 for ratio in (0.0, 0.5, 0.9)}
fig, ax = plt.subplots(figsize=(7, 3.4))
for (ratio, curve), key, marker in zip(curves.items(), ("original", "ours", "second"), "so^"):
    ax.plot(marks, curve.mean(0), marker=marker, color=COLOURS[key], label=f"pruned share r = {ratio:g}")
    ax.fill_between(marks, curve.min(0), curve.max(0), color=COLOURS[key], alpha=0.15)
gain = curves[0.5][:, -1] - curves[0.0][:, -1]
ax.set(title=f"After 24,000 circuits, r = 0.5 differs from no pruning by {gain.mean():+.1f} points", xlabel="thousand circuits", ylabel="test accuracy (%)")
ax.legend(loc="lower right")
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
from scipy import stats

for ratio in (0.5, 0.9):
    for at, name in ((2, "12,000"), (-1, "24,000")):
        paired = curves[ratio][:, at] - curves[0.0][:, at]
        half = stats.t.ppf(0.975, len(paired) - 1) * paired.std(ddof=1) / math.sqrt(len(paired))
        print(f"r = {ratio}, {name} circuits: {paired.mean():+.1f} points [{paired.mean() - half:+.1f}, {paired.mean() + half:+.1f}] over {len(paired)} seeds")
reveal("qoc.gain", round(float(gain.mean()), 1), "points")

# %% [markdown]
# On average pruning with r = 0.5 costs nothing and gains nothing here: a third of the gradients can stay unmeasured, and the circuits saved
# buy half as many steps again. Yet single seeds differ by ten points and more, so five seeds cannot show a small effect in either direction.
# With r = 0.9 training is slower at first, as far as five seeds can tell, but it does not break. Both are **null results**, and the claims say so.
#
# ## Break it: the zero that was not frozen
#
# It is tempting to put zeros where nothing was measured and to use an ordinary Adam. Below, weight 1 is measured in the first step only, so it should stay
# where that step put it. Where does it go? Repair it: set `optimizer = "frozen"`, and your function takes over.

# %%
optimizer = "ordinary"
frozen = ready("qoc.frozen_adam_step", frozen_adam_step)
w, state = torch.zeros(2, requires_grad=True), {k: np.zeros(2) for k in "mvt"}
ordinary, path = torch.optim.Adam([w], lr=0.1), []
for step in range(10):
    grad, chosen = (np.array([1.0, 1.0]), [0, 1]) if step == 0 else (np.array([1.0, 0.0]), [0])
    if optimizer == "frozen":
        new, state = frozen(w.detach().double().numpy(), grad, chosen, state, 0.1)
        w.data = torch.tensor(new).float()
    else:
        w.grad = torch.tensor(grad).float()
        ordinary.step()
    path.append(w[1].item())
print(f"{optimizer}: weight 1 goes from {path[0]:.2f} to {path[-1]:.2f} although it was measured once")

# %% [markdown]
# ## Decide: a plan for the day
#
# More steps, or all gradients in each? Run the cell to see your numbers.

# %%
answer("qoc.decide", {"ratio": 0.5, "prune": 4})  ### SOLUTION: None

# %% [markdown] reason="qoc.decide.reason" points=2
# *In two sentences: your plan skips most gradients that it can. When would you choose a smaller ratio, although it makes fewer steps?*

# %% [markdown]
# ## Exit quiz

# %%
answer("qoc.quiz.1", 148)  ### SOLUTION: None

# %%
answer("qoc.quiz.2", 0.1875)  ### SOLUTION: None

# %%
answer("qoc.quiz.3", 4)  ### SOLUTION: None

# %%
answer("qoc.quiz.4", "b")  ### SOLUTION: None

# %%
answer("qoc.quiz.5", "c")  ### SOLUTION: None

# %% [markdown]
# ## Measured beside published
#
# | | published (QOC, DAC 2022) | here |
# |---|---|---|
# | machines | five real ones | a model of one, simulated with its calibration |
# | 4 classes | above 60 % | 62 % without pruning, 62 % with r = 0.5 |
# | pruning against none | up to 7 points better | -0.1 points, interval -17 to +17: no effect shown |
# | gradients saved | a third (window 1 + 2, r = 0.5) | the same |
#
# Why the gap: one simulated machine instead of five real ones, other images, a circuit with other gates, 256 shots, and trainings that stop at 24,000 circuits,
# where single seeds still differ a lot.
#
# ## Read next
#
# - Wang, Li, Gu, Ding, Pan, Han: *QOC: Quantum On-Chip Training with Parameter Shift and Gradient Pruning*, DAC 2022.
# - Schuld, Bergholm, Gogolin, Izaac, Killoran: *Evaluating analytic gradients on quantum hardware*, 2019, for the shift rule.
# - `tinylib/quantum/qoc.py`, 170 lines: everything above, batched.
