"""Panel of the lab `qoc`: a loss over two angles, gradients measured with noise, and a descent that skips some of them."""

import math

import numpy as np
from matplotlib.figure import Figure

from tinylib.show.panel import Panel, Slider
from tinylib.show.style import COLOURS, SEQUENTIAL

SPAN = np.linspace(-math.pi, math.pi, 41)
ARROWS = np.linspace(-0.8 * math.pi, 0.8 * math.pi, 5)
START, BUDGET, LR, PERIOD = np.array([0.9, -0.5]), 240, 0.15, 3
KINDS = ["rotation", "rotation", "rotation"]
USES = [[(0, 1.0), (2, 0.5)], [(1, 1.0)]]           # weight 0 sits in two gates, once at half scale


def clean(slots) -> np.ndarray:
    """<Z> of a small circuit with three slots: a product of turns, in closed form; arrays broadcast."""
    a, b, c = slots
    return 0.75 * np.cos(a) * np.cos(b) + 0.25 * np.sin(c) * np.sin(b) - 0.3 * np.cos(c)


def slots_of(weights) -> tuple:
    return weights[0], weights[1], 0.5 * weights[0]


class Machine:
    """Measures with depolarising noise (values shrink by 1 - noise) and shot noise of `shots` readings; counts its runs."""

    def __init__(self, shots: int, noise: float, rng: np.random.Generator):
        self.shots, self.noise, self.rng, self.runs = shots, noise, rng, 0

    def __call__(self, slots) -> float:
        self.runs += 1
        value = (1 - self.noise) * float(clean(slots)) / 1.3
        return 1.3 * (2 * self.rng.binomial(self.shots, min(max((1 + value) / 2, 0), 1)) / self.shots - 1)


def compute(params: dict, functions: dict) -> dict:
    """Arrows of measured gradients and one descent, by the functions given."""
    shift, sample, step = (functions[f"qoc.{n}"] for n in ("param_shift", "sample_weights", "frozen_adam_step"))
    rng = np.random.default_rng(7)
    measure = lambda machine, weights, chosen=(0, 1): np.asarray(shift(machine, np.array(slots_of(weights)), [USES[i] for i in chosen], KINDS), dtype=float)
    machine = Machine(params["shots"], params["noise"] / 100, rng)
    points = np.array([(x, y) for x in ARROWS for y in ARROWS])
    seen = np.stack([measure(machine, p) for p in points])
    exact = np.stack([measure(clean, p) for p in points])
    walker = Machine(params["shots"], params["noise"] / 100, np.random.default_rng(11))
    path, measured = descend(walker, measure, sample, step, params["ratio"])
    cosine = float(np.mean((seen * exact).sum(1) / (np.linalg.norm(seen, axis=1) * np.linalg.norm(exact, axis=1) + 1e-12)))
    return {"points": points, "seen": seen, "exact": exact, "path": path, "runs": walker.runs, "steps": len(path) - 1, "measured": measured,
            "end": float(clean(slots_of(path[-1]))), "agreement": cosine}


def descend(machine: Machine, measure, sample, step, ratio: float) -> tuple[np.ndarray, int]:
    """Adam until the circuits are used up; of three steps the first measures both gradients, the others those that were drawn."""
    weights, state = START.copy(), {k: np.zeros(2) for k in "mvt"}
    path, measured, magnitude, rng, keep = [weights], 0, np.zeros(2), np.random.default_rng(3), max(1, round((1 - ratio) * 2))
    costs = [2 * len(u) for u in USES]
    while True:
        full = (len(path) - 1) % PERIOD == 0
        chosen = [0, 1] if full else sorted(int(i) for i in sample(magnitude, keep, rng))
        if machine.runs + sum(costs[i] for i in chosen) > BUDGET:
            return np.stack(path), measured
        gradient = np.zeros(2)
        gradient[chosen] = measure(machine, weights, chosen)
        magnitude = np.abs(gradient) if full else magnitude
        weights, state = step(weights.copy(), gradient, chosen, {k: v.copy() for k, v in state.items()}, LR)
        weights = np.asarray(weights, dtype=float)
        path.append(weights)
        measured += len(chosen)


def finding(record: dict) -> str:
    """Title: where the descent ended, and with how many circuits."""
    return f"{record['runs']} circuits, {record['steps']} steps: the loss falls to {record['end']:.2f}"


def describe(record: dict) -> str:
    return (f"{finding(record)}. {record['measured']} gradients were measured. The arrows point the same way as the exact gradient "
            f"to {100 * record['agreement']:.0f} % (mean cosine).")


def draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    x, y = np.meshgrid(SPAN, SPAN)
    shown = ax.contourf(x, y, clean(slots_of((x, y))), levels=14, cmap=SEQUENTIAL, alpha=0.75)
    figure.colorbar(shown, ax=ax, label="loss (mean sign)")
    for key, colour, width, label in (("exact", COLOURS["original"], 0.007, "exact"), ("seen", COLOURS["failure"], 0.004, "measured")):
        ax.quiver(record["points"][:, 0], record["points"][:, 1], -record[key][:, 0], -record[key][:, 1], color=colour, width=width, scale=9,
                  edgecolor="white", linewidth=0.3, label=f"downhill, {label}")
    ax.plot(*record["path"].T, "o-", color=COLOURS["ours"], markersize=3, linewidth=1.3, label="descent")
    ax.plot(*START, "s", color="white", markeredgecolor="black", markersize=7)
    ax.set(xlim=(-math.pi, math.pi), ylim=(-math.pi, math.pi), xlabel="weight 0 (radians)", ylabel="weight 1 (radians)", title=finding(record))
    ax.legend(loc="lower left", fontsize=7, frameon=True)


PANELS = (
    Panel("qoc.landscape", (Slider("shots", "shots a circuit", (4, 16, 64, 256, 1024, 16384), 64), Slider("noise", "noise (% lost)", (0, 10, 30, 50, 80), 10),
                            Slider("ratio", "pruned share r", (0.0, 0.5), 0.5)),
          compute, draw, describe, ("qoc.param_shift", "qoc.sample_weights", "qoc.frozen_adam_step"), (7.0, 4.2)),
)
