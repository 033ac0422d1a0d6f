"""QOC: training a circuit whose gradients come from running circuits only, with probabilistic gradient pruning.

Wang, Li, Gu, Ding, Pan, Han: QOC, Quantum On-Chip Training with Parameter Shift and Gradient Pruning, DAC 2022.
A machine is anything that maps (circuit, slots [B, n_slots]) to measured <Z> values [B, n]; nothing is differentiated through it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.quantum.circuit import Circuit, run_angles
from tinylib.quantum.gates import gate
from tinylib.quantum.noise import NoisyMachine
from tinylib.quantum.readout import expect_z_of, expect_z_shots, probabilities

Machine = Callable[[Circuit, Tensor], Tensor]
FOUR = tuple((math.sqrt(2) + sign) / (4 * math.sqrt(2)) for sign in (1, -1))
RULES = {2: ((math.pi / 2, 0.5), (-math.pi / 2, -0.5)),
         4: ((math.pi / 2, FOUR[0]), (-math.pi / 2, -FOUR[0]), (3 * math.pi / 2, -FOUR[1]), (-3 * math.pi / 2, FOUR[1]))}


@dataclass(frozen=True)
class Shift:
    """One circuit to run: move `slot` by `by`, then the result counts `factor` times towards the derivative of `weight`."""

    weight: int
    slot: int
    by: float
    factor: float


def shifts(circuit: Circuit, chosen: Tensor | None = None) -> list[Shift]:
    """All circuits that the gradient of the chosen weights (default: all) needs, for one sample.

    Every slot in which a weight occurs is shifted alone; the chain rule multiplies by the weight's scale there. Gates with generator eigenvalues
    +-1/2 (rotations) or 0, 1 (phases) take two circuits, controlled rotations (0, +-1/2) four. Slots that carry features only are not touched.
    """
    wanted = set(range(circuit.n_weights)) if chosen is None else set(chosen.tolist())
    plan = []
    for slot, (number, position, angle) in enumerate(circuit.slots):
        rule = RULES[gate(circuit.operations[number].name).shifts[position]]
        plan += [Shift(w, slot, by, scale * factor) for w, scale in angle.weights if w in wanted for by, factor in rule]
    return plan


def jacobian(circuit: Circuit, weights: Tensor, features: Tensor | None, machine: Machine, chosen: Tensor | None = None) -> tuple[Tensor, int]:
    """(d<Z>/dweights [b, n_outputs, n_weights], circuits run): measured, column by column; weights not chosen have zero columns."""
    slots, plan = circuit.angles(weights, features), shifts(circuit, chosen)
    if not plan:
        raise TinylibError("No weight to differentiate: choose at least one.")
    moved = slots.repeat(len(plan), 1, 1)
    for i, shift in enumerate(plan):
        moved[i, :, shift.slot] += shift.by
    measured = machine(circuit, moved.flatten(0, 1)).reshape(len(plan), len(slots), -1)
    factors = torch.zeros(circuit.n_weights, len(plan), dtype=measured.dtype)
    for i, shift in enumerate(plan):
        factors[shift.weight, i] = shift.factor
    return torch.einsum("wp,pbo->bow", factors, measured), len(plan) * len(slots)


def gradient(measured_jacobian: Tensor, upstream: Tensor) -> Tensor:
    """Chain rule: sum over samples and outputs of upstream [b, n_outputs] (dL/d<Z>, by backprop) times the Jacobian -> [n_weights]."""
    return torch.einsum("bow,bo->w", measured_jacobian, upstream)


class ShotMachine:
    """A noise-free machine; `shots=None` gives exact values."""

    def __init__(self, shots: int | None = None, generator: torch.Generator | None = None):
        self.shots, self.generator = shots, generator

    def __call__(self, circuit: Circuit, slots: Tensor) -> Tensor:
        return measured(probabilities(run_angles(circuit, slots)), self.shots, self.generator)


class DeviceMachine:
    """A noisy device with misreading and finitely many shots; `read` says which wire of the transpiled circuit holds each of ours."""

    def __init__(self, machine: NoisyMachine, read: tuple[int, ...], shots: int | None = None, generator: torch.Generator | None = None):
        self.machine, self.read, self.shots, self.generator = machine, list(read), shots, generator

    def __call__(self, circuit: Circuit, slots: Tensor) -> Tensor:
        return measured(self.machine.probabilities(circuit, slots), self.shots, self.generator)[:, self.read]


def measured(probs: Tensor, shots: int | None, generator: torch.Generator | None) -> Tensor:
    """Outcome probabilities [B, 2^n] -> <Z> [B, n]; estimated from `shots` measurements unless None."""
    return expect_z_of(probs) if shots is None else expect_z_shots(probs, shots, generator)


class GradientPruner:
    """Which gradients to measure next. `accumulate` steps measure all and add up |g|, then `prune` steps measure only some; then it starts again.

    In a pruning step, (1 - ratio) n weights are drawn without replacement, each with probability proportional to its sum of |g|; the others are
    frozen. Saved: ratio * prune / (accumulate + prune) of all gradients. `ratio` 0 measures everything.
    """

    def __init__(self, n_weights: int, ratio: float = 0.5, accumulate: int = 1, prune: int = 2, generator: torch.Generator | None = None):
        if not 0 <= ratio < 1 or accumulate < 1 or prune < 0:
            raise TinylibError(f"ratio {ratio} must be in [0, 1), accumulate {accumulate} at least 1, prune {prune} at least 0.")
        self.n, self.keep = n_weights, max(1, round((1 - ratio) * n_weights))
        self.accumulate, self.period, self.generator = accumulate, accumulate + prune, generator
        self.step, self.magnitude = 0, torch.zeros(n_weights)

    def choose(self) -> Tensor:
        """Sorted numbers of the weights whose gradients to measure in this step."""
        phase = self.step % self.period
        self.step += 1
        if phase == 0:
            self.magnitude = torch.zeros(self.n)
        if phase < self.accumulate:
            return torch.arange(self.n)
        return sample_by_magnitude(self.magnitude, self.keep, self.generator)

    def observe(self, grad: Tensor) -> None:
        """Tell it the gradient [n_weights] of the step just done; only accumulation steps count."""
        if (self.step - 1) % self.period < self.accumulate:
            self.magnitude += grad.abs().to(self.magnitude.dtype)


def sample_by_magnitude(magnitude: Tensor, keep: int, generator: torch.Generator | None = None) -> Tensor:
    """`keep` different indices, sorted, drawn one after the other with probability proportional to magnitude; zeros come last, at random."""
    if not 0 < keep <= len(magnitude):
        raise TinylibError(f"Cannot keep {keep} of {len(magnitude)} weights.")
    draws = torch.rand(len(magnitude), generator=generator, dtype=torch.float64)
    clocks = -draws.log() / magnitude.to(torch.float64).clamp(min=0)       # exponential clocks: the first to ring is drawn first
    clocks = torch.where(magnitude > 0, clocks, torch.inf)
    order = sorted(range(len(magnitude)), key=lambda i: (clocks[i].item(), draws[i].item()))
    return torch.tensor(sorted(order[:keep]))


class FrozenAdam:
    """Adam that leaves everything of a frozen weight alone: its value, both moments and its own step count."""

    def __init__(self, n_weights: int, lr: float = 0.1, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.lr, self.betas, self.eps = lr, betas, eps
        self.m, self.v, self.t = (torch.zeros(n_weights, dtype=torch.float64) for _ in range(3))

    def step(self, weights: Tensor, grad: Tensor, chosen: Tensor) -> Tensor:
        """New weights [n_weights]; only the chosen ones differ."""
        (b1, b2), g, result = self.betas, grad[chosen].to(torch.float64), weights.clone()
        self.t[chosen] += 1
        self.m[chosen] = b1 * self.m[chosen] + (1 - b1) * g
        self.v[chosen] = b2 * self.v[chosen] + (1 - b2) * g * g
        m, v = self.m[chosen] / (1 - b1 ** self.t[chosen]), self.v[chosen] / (1 - b2 ** self.t[chosen])
        result[chosen] -= (self.lr * m / (v.sqrt() + self.eps)).to(weights.dtype)
        return result


@dataclass(frozen=True)
class Step:
    """One training step: circuits run so far, loss of the batch, weights after it, how many gradients were measured."""

    circuits: int
    loss: float
    weights: Tensor
    measured: int


def train(circuit: Circuit, weights: Tensor, data: tuple[Tensor, Tensor], machine: Machine, loss: Callable[[Tensor, Tensor], Tensor], pruner: GradientPruner,
          budget: int, batch: int, lr: float, generator: torch.Generator) -> list[Step]:
    """Train until the next step would run more than `budget` circuits; data is (features, labels).

    A step runs the batch once for the loss, then the shifted circuits of the chosen weights; the loss is differentiated by backprop with
    respect to the measured values only.
    """
    features, labels = data
    adam, circuits, history = FrozenAdam(len(weights), lr), 0, []
    while True:
        chosen = pruner.choose()
        if circuits + batch * (1 + len(shifts(circuit, chosen))) > budget:
            return history
        rows = torch.randperm(len(features), generator=generator)[:batch]
        outputs = machine(circuit, circuit.angles(weights, features[rows])).requires_grad_()
        value = loss(outputs, labels[rows])
        (upstream,) = torch.autograd.grad(value, outputs)
        measured_jacobian, runs = jacobian(circuit, weights, features[rows], machine, chosen)
        grad = gradient(measured_jacobian, upstream)
        pruner.observe(grad)
        weights = adam.step(weights, grad, chosen)
        circuits += runs + batch
        history.append(Step(circuits, value.item(), weights, len(chosen)))
