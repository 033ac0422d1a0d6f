"""Panel of the lab `quantum_circuits`: a two-wire circuit, its amplitudes, both Bloch vectors, and noise after every gate."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure

from tinylib.quantum.noise import depolarizing
from tinylib.quantum.readout import probabilities_density
from tinylib.quantum.state import apply_superoperator, bloch_vector, density, density_as_matrix, reduced, zero_state
from tinylib.show.panel import Choice, Panel, Slider
from tinylib.show.style import COLOURS

CX = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.complex128)
H = (math.pi / 2, 0.0, math.pi)                  # the Hadamard gate as a U3
CIRCUITS = {                                     # each step: (label, wires, angles of a U3 or None for CX); "t" stands for the slider's angle
    "one turn": [("U3(t)", [0], ("t", 0.0, 0.0))],
    "turn, then phase": [("U3(t)", [0], ("t", 0.0, 0.0)), ("phase t", [0], (0.0, "t", 0.0))],
    "two turns": [("U3(t)", [0], ("t", 0.0, 0.0)), ("U3(t)", [1], ("t", 0.0, 0.0))],
    "turn, then CX": [("U3(t)", [0], ("t", 0.0, 0.0)), ("CX", [0, 1], None)],
    "H, CX, turn": [("H", [0], H), ("CX", [0, 1], None), ("U3(t)", [1], ("t", 0.0, 0.0))],
    "CX there and back": [("U3(t)", [0], ("t", 0.0, 0.0)), ("CX", [0, 1], None), ("CX", [0, 1], None)],
}
LABELS = ("|00>", "|01>", "|10>", "|11>")


def compute(params: dict, functions: dict) -> dict:
    """Amplitudes without noise, and the density matrix with noise, both by the functions given: a density matrix of two wires is a state of four."""
    act, u3 = functions["quantum_circuits.apply_gate"], functions["quantum_circuits.u3"]
    angle = math.radians(params["angle"])
    state = zero_state(2, 1, torch.complex128)
    rho, steps = density(state), CIRCUITS[params["circuit"]]
    for _, wires, angles in steps:
        gate = CX if angles is None else u3(*(angle if a == "t" else a for a in angles))
        state = act(state, gate, wires)
        rho = act(act(rho, gate, wires), gate.conj(), [2 + w for w in wires])
        if params["noise"]:
            rho = apply_superoperator(rho, depolarizing(params["noise"] / 100, len(wires)), wires)
    matrix = density_as_matrix(rho)
    return {"circuit": [(label, list(wires)) for label, wires, _ in steps], "amplitudes": state.reshape(4).numpy(), "noise": params["noise"],
            "noisy": probabilities_density(rho)[0].numpy(), "bloch": np.stack([bloch_vector(reduced(rho, w, is_density=True))[0].numpy() for w in (0, 1)]),
            "purity": float((matrix @ matrix).diagonal(dim1=1, dim2=2).sum().real)}


def finding(record: dict) -> str:
    """Title: entangled or not, and what noise did."""
    lengths = np.linalg.norm(record["bloch"], axis=1)
    if record["purity"] < 0.999:
        return f"Noise has mixed the state: purity {record['purity']:.2f}, Bloch vectors of length {lengths[0]:.2f} and {lengths[1]:.2f}"
    if lengths.min() < 0.999:
        return f"Entangled: alone, each wire's Bloch vector has length {lengths[0]:.2f}"
    return "Not entangled: both Bloch vectors reach the sphere"


def describe(record: dict) -> str:
    amplitudes = ", ".join(f"{label} {a.real:+.2f}{a.imag:+.2f}i" for label, a in zip(LABELS, record["amplitudes"]) if abs(a) > 0.005)
    vectors = "; ".join(f"wire {w} ({v[0]:+.2f}, {v[1]:+.2f}, {v[2]:+.2f})" for w, v in enumerate(record["bloch"]))
    return f"{finding(record)}. Amplitudes without noise: {amplitudes}. Bloch vectors (x, y, z): {vectors}."


def draw(figure: Figure, record: dict) -> None:
    left, middle, first, second = figure.subplots(1, 4, gridspec_kw={"width_ratios": [1.1, 1.5, 1, 1]})
    draw_circuit(left, record["circuit"])
    draw_amplitudes(middle, record)
    for wire, ax in enumerate((first, second)):
        draw_bloch(ax, record["bloch"][wire], wire, bool(record["noise"]))
    figure.suptitle(finding(record), x=0.01, ha="left", fontweight="bold", fontsize=11)


def draw_circuit(ax, steps: list) -> None:
    for wire in (0, 1):
        ax.plot([-0.6, len(steps) - 0.4], [-wire, -wire], color="black", linewidth=1, zorder=1)
        ax.text(-0.7, -wire, f"wire {wire}", ha="right", va="center", fontsize=9)
    for x, (label, wires) in enumerate(steps):
        if label == "CX":
            ax.plot([x, x], [0, -1], color="black", linewidth=1, zorder=1)
            ax.plot(x, -wires[0], "o", color="black", markersize=7)
            ax.plot(x, -wires[1], "o", color="white", markeredgecolor="black", markersize=13)
            ax.plot(x, -wires[1], "+", color="black", markersize=13)
        else:
            ax.text(x, -wires[0], label, ha="center", va="center", fontsize=9, bbox={"facecolor": "white", "edgecolor": "black", "pad": 3.5})
    ax.set(xlim=(-1.6, 2.7), ylim=(-1.7, 0.7))
    ax.axis("off")


def draw_amplitudes(ax, record: dict) -> None:
    """Probability bars, coloured by the phase of the amplitude; noisy probabilities as outlines."""
    a = record["amplitudes"]
    colours = matplotlib_phase(a)
    ax.bar(range(4), np.abs(a) ** 2, color=colours, width=0.7)
    for i, value in enumerate(a):
        if abs(value) > 0.02:
            ax.text(i, abs(value) ** 2 + 0.02, f"{math.degrees(np.angle(value)):.0f} deg", ha="center", fontsize=8)
    if record["noise"]:
        ax.bar(range(4), record["noisy"], width=0.7, fill=False, edgecolor=COLOURS["failure"], hatch="xx", linewidth=1.5, label="with noise")
        ax.legend(loc="upper right", fontsize=8)
    ax.set(xticks=range(4), xticklabels=LABELS, ylim=(0, 1.15), xlabel="outcome", ylabel="probability (label: phase)")


def matplotlib_phase(amplitudes: np.ndarray) -> list:
    """One colour per amplitude on a cyclic scale."""
    from matplotlib import colormaps
    return [colormaps["twilight"](0.5 + 0.9 * np.angle(a) / (2 * np.pi)) if abs(a) > 1e-9 else "#999999" for a in amplitudes]


def draw_bloch(ax, vector: np.ndarray, wire: int, noisy: bool) -> None:
    """A sphere seen from the front: x to the lower left, y to the right, z up."""
    t = np.linspace(0, 2 * np.pi, 100)
    ax.plot(np.cos(t), np.sin(t), color=COLOURS["original"], linewidth=1)
    ax.plot(np.cos(t), 0.3 * np.sin(t), color=COLOURS["original"], linewidth=0.7, linestyle=":")
    project = lambda v: (v[1] - 0.35 * v[0], v[2] - 0.3 * v[0])
    for axis, name in zip(np.eye(3), ("x", "y", "|0>")):
        px, py = project(axis)
        ax.plot([0, px], [0, py], color=COLOURS["original"], linewidth=0.7)
        ax.text(1.18 * px, 1.18 * py, name, ha="center", va="center", fontsize=8)
    ax.text(0, -1.18, "|1>", ha="center", va="center", fontsize=8)
    px, py = project(vector)
    colour = COLOURS["failure" if noisy else "ours"]
    ax.plot([0, px], [0, py], color=colour, linewidth=2.5)
    ax.plot(px, py, "x" if noisy else "o", color=colour, markersize=7)
    ax.set(xlim=(-1.35, 1.35), ylim=(-1.5, 1.4), aspect="equal")
    ax.set_title(f"wire {wire}: length {np.linalg.norm(vector):.2f}", fontsize=9, fontweight="normal", loc="center")
    ax.axis("off")


PANELS = (
    Panel("quantum_circuits.builder",
          (Choice("circuit", "circuit", tuple(CIRCUITS), "turn, then CX"), Slider("angle", "angle t (degrees)", tuple(range(0, 361, 15)), 60),
           Slider("noise", "noise after each gate (%)", (0, 1, 2, 5, 10, 20, 40), 0)),
          compute, draw, describe, ("quantum_circuits.apply_gate", "quantum_circuits.u3"), (9.5, 3.0)),
)
