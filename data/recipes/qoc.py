"""Records and claims of the lab `qoc`: training on a noisy device model with gradients from circuits only.

Chosen on the validation split with seeds 100 to 103: batch 8, learning rate 0.1, 256 shots, 24,000 circuits, yorktown. Measured once on the test
split with seeds 0 to 4.
"""

import time

import numpy as np
import torch
from scipy import stats

from tinylib.core.checkpoint import save_record
from tinylib.quantum.convert import transpile
from tinylib.quantum.digit_task import MAPPINGS, accuracy, load, loss, network, start_weights
from tinylib.quantum.noise import load_device
from tinylib.quantum.qoc import DeviceMachine, GradientPruner, ShotMachine, gradient, jacobian, train

DEVICE, SHOTS, BATCH, LR, BUDGET = "yorktown", 256, 8, 0.1, 24_000
SEEDS, RATIOS = tuple(range(5)), (0.0, 0.5, 0.9)
MARKS = (3_000, 6_000, 12_000, 18_000, 24_000)
COMMAND = "tinylib data make qoc-effects"


def device_circuit():
    """(circuit in the device's gates, the machine, wires to read)."""
    return transpile(network(), load_device(DEVICE), MAPPINGS[DEVICE])


def training(seed: int, ratio: float, split: str = "test", budget: int = BUDGET) -> dict:
    """One training under noise; accuracy on `split` at several counts of circuits, by exact noisy expectations."""
    torch.set_num_threads(1)
    data, (circuit, machine, read) = load(), device_circuit()
    generator = torch.Generator().manual_seed(seed)
    weights = start_weights(circuit.n_weights, generator)
    noisy = DeviceMachine(machine, read, SHOTS, generator)
    pruner = GradientPruner(len(weights), ratio, accumulate=1, prune=2, generator=generator)
    history = train(circuit, weights, data["train"], noisy, loss, pruner, budget, BATCH, LR, generator)
    exact, (x, y) = DeviceMachine(machine, read), data[split]
    curve = []
    for mark in (m for m in MARKS if m <= budget):
        at = [step for step in history if step.circuits <= mark][-1].weights
        curve.append(accuracy(exact(circuit, circuit.angles(at, x)), y))
    return {"seed": seed, "ratio": ratio, "steps": len(history), "circuits": history[-1].circuits, "accuracy": curve}


def gradient_errors(seed: int, points: int = 6) -> dict:
    """Exact and measured gradients of the loss at random weights: lists of equal length."""
    torch.set_num_threads(1)
    (x, y), (circuit, machine, read) = load()["train"], device_circuit()
    generator = torch.Generator().manual_seed(seed)
    true, seen, shots_only = [], [], []
    for _ in range(points):
        weights, rows = start_weights(circuit.n_weights, generator), torch.randperm(len(x), generator=generator)[:BATCH]
        machines = (ShotMachine(), DeviceMachine(machine, read, SHOTS, generator), ShotMachine(SHOTS, generator))
        for measure, kept in zip(machines, (true, seen, shots_only)):
            z = measure(circuit, circuit.angles(weights, x[rows])).requires_grad_()
            (upstream,) = torch.autograd.grad(loss(z, y[rows]), z)
            kept += gradient(jacobian(circuit, weights, x[rows], measure)[0], upstream).tolist()
    return {"seed": seed, "true": true, "device": seen, "shots": shots_only}


def interval(values: list[float]) -> dict:
    """Mean and 95 % t-interval."""
    mean, half = float(np.mean(values)), float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return {"value": mean, "low": mean - half, "high": mean + half}


def slope(true: list[float], seen: list[float]) -> float:
    """Slope of log relative error over log size, least squares."""
    g, error = np.abs(true), np.abs(np.array(seen) - np.array(true))
    keep = (g > 1e-6) & (error > 0)
    return float(np.polyfit(np.log(g[keep]), np.log(error[keep] / g[keep]), 1)[0])


def small_gradients() -> dict:
    """Slope on the noisy device, over seeds."""
    return interval([slope(e["true"], e["device"]) for e in map(gradient_errors, SEEDS)])


def gain(ratio: float) -> dict:
    """Accuracy of pruned minus unpruned training at the same number of circuits, in points, paired by seed."""
    return interval([100 * (training(s, ratio)["accuracy"][-1] - training(s, 0.0)["accuracy"][-1]) for s in SEEDS])


def pruning() -> dict:
    return gain(0.5)


def too_much_pruning() -> dict:
    return gain(0.9)


def effects() -> None:
    """All of the above in one record."""
    start, runs = time.process_time(), []
    for seed in SEEDS:
        for ratio in RATIOS:
            runs.append(training(seed, ratio))
            print(seed, ratio, runs[-1]["accuracy"], flush=True)
    errors = [gradient_errors(seed) for seed in SEEDS]
    content = {"device": DEVICE, "shots": SHOTS, "batch": BATCH, "marks": MARKS, "runs": runs, "errors": errors}
    save_record("qoc-effects", content, recipe=COMMAND, seed=0, seconds=time.process_time() - start,
                note="simulated: density matrices with the calibration of ibmqx2 (yorktown) of March 2021, and drawn shots")
