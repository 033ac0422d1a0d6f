"""A circuit as a torch layer."""

import math

import torch
from torch import Tensor, nn

from tinylib.quantum.circuit import Circuit, run
from tinylib.quantum.fusion import compile_circuit
from tinylib.quantum.readout import expect_z


class QuantumLayer(nn.Module):
    """A circuit as a torch layer: features [b, n_features] -> <Z> of every wire [b, n_wires]; gradients by autograd.

    The fast path by default; `fast=False` runs gate by gate, with equal results.
    """

    def __init__(self, circuit: Circuit, fast: bool = True, generator: torch.Generator | None = None):
        super().__init__()
        self.circuit = circuit
        self.weights = nn.Parameter((torch.rand(circuit.n_weights, generator=generator) * 2 - 1) * math.pi)
        self._fast = compile_circuit(circuit) if fast else None

    def forward(self, features: Tensor | None = None) -> Tensor:
        return self._fast.expect_z(self.weights, features) if self._fast else expect_z(run(self.circuit, self.weights, features))
