"""Random circuits for the tests of the quantum room."""

import numpy as np
import torch

from tinylib.quantum.circuit import Angle, Circuit, op
from tinylib.quantum.gates import GATES


def random_angle(rng, n_weights, n_features):
    """A number, a weight, a feature, or a sum of several."""
    weights = tuple((int(rng.integers(n_weights)), float(rng.normal())) for _ in range(rng.integers(0, 3)))
    features = tuple((int(rng.integers(n_features)), float(rng.normal())) for _ in range(rng.integers(0, 2)))
    return Angle(weights, features, float(rng.normal()))


def random_circuit(rng, n_wires, length, names=None, n_weights=5, n_features=3):
    """Any gates that fit, on any wires in any order."""
    names = [n for n in (names or GATES) if GATES[n].n_wires <= n_wires]
    operations = []
    for name in rng.choice(names, length):
        g = GATES[str(name)]
        wires = [int(w) for w in rng.permutation(n_wires)[: g.n_wires]]
        operations.append(op(str(name), *wires, angles=[random_angle(rng, n_weights, n_features) for _ in range(g.n_angles)]))
    return Circuit(n_wires, tuple(operations))


def inputs(circuit, rng, batch):
    """float64 weights [n_weights] and features [batch, n_features] that require gradients."""
    weights = torch.tensor(rng.normal(size=max(circuit.n_weights, 1)), requires_grad=True)
    features = torch.tensor(rng.normal(size=(batch, max(circuit.n_features, 1))), requires_grad=True)
    return weights, features


def rng(seed):
    return np.random.default_rng(seed)
