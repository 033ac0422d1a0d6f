"""The task of the quantum labs: four classes of digits, 4 x 4 pixels, on four wires."""

import math

import torch
from torch import Tensor, nn

from tinylib.datasets import digits
from tinylib.quantum.circuit import Circuit, encoder, op, rotation_layer, weight
from tinylib.quantum.gates import gate
from tinylib.quantum.layer import QuantumLayer

CLASSES = (0, 1, 2, 3)
WIRES = 4
LAYERS = ("rzz", "rxx", "ry", "rz", "ry")
SHARPNESS = 4.0         # <Z> lies in [-1, 1]; softmax needs room to be sure
MAPPINGS = {"santiago": (0, 1, 2, 3), "lima": (0, 1, 3, 4), "yorktown": (0, 1, 2, 3)}     # neighbours in the chain are coupled


def load() -> dict[str, tuple[Tensor, Tensor]]:
    """"train", "val", "test" -> (images [n, 16] in 0..1, labels [n]): 394, 122 and 204 pictures, each 2 x 2 pixels of 8 x 8 averaged."""
    data, result = digits.load(), {}
    for name in ("train", "val", "test"):
        split = getattr(data, name)
        labels = torch.tensor(split.labels).long()
        keep = torch.isin(labels, torch.tensor(CLASSES))
        images = torch.tensor(split.images)[keep].float() / 255
        result[name] = (nn.functional.avg_pool2d(images[:, None], 2).flatten(1), labels[keep])
    return result


def chain(name: str, first_weight: int) -> Circuit:
    """A trained two-wire gate on (0, 1), (1, 2), (2, 3): what all three machines can do without swaps."""
    return Circuit(WIRES, tuple(op(name, q, q + 1, angles=[weight(first_weight + q)]) for q in range(WIRES - 1)))


def network(layers: tuple[str, ...] = LAYERS) -> Circuit:
    """Sixteen pixels as RY, RZ, RX, RY angles up to a quarter turn, then the trained layers: 18 weights."""
    circuit, count = encoder(WIRES, ["ry", "rz", "rx", "ry"], scale=math.pi / 2), 0
    for name in layers:
        layer = chain(name, count) if gate(name).n_wires == 2 else rotation_layer(WIRES, name, count)
        circuit, count = circuit + layer, count + len(layer.slots)
    return circuit


def loss(z: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy; class k is read from wire k."""
    return nn.functional.cross_entropy(SHARPNESS * z, labels)


def accuracy(outputs: Tensor, labels: Tensor) -> float:
    """Share of samples whose largest output is the label."""
    return (outputs.argmax(1) == labels).float().mean().item()


def start_weights(count: int, generator: torch.Generator) -> Tensor:
    """Small random angles, within 0.3 of half a turn."""
    return (torch.rand(count, generator=generator) * 2 - 1) * 0.3 * math.pi


def fit(model: nn.Module, data: tuple[Tensor, Tensor], steps: int, generator: torch.Generator, lr: float = 0.05, sharpness: float = 1.0,
        batch: int = 64) -> None:
    """Adam on cross entropy of sharpness * outputs."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        rows = torch.randperm(len(data[1]), generator=generator)[:batch]
        value = nn.functional.cross_entropy(sharpness * model(data[0][rows]), data[1][rows])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()


def trained_layer(seed: int, data: tuple[Tensor, Tensor], steps: int = 300) -> QuantumLayer:
    """The network trained without noise."""
    generator = torch.Generator().manual_seed(seed)
    layer = QuantumLayer(network())
    layer.weights.data = start_weights(layer.circuit.n_weights, generator)
    fit(layer, data, steps, generator, sharpness=SHARPNESS)
    return layer


def trained_regression(seed: int, data: tuple[Tensor, Tensor], steps: int = 300) -> nn.Linear:
    """The classical baseline: softmax regression on the same sixteen numbers, 68 weights."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Linear(16, len(CLASSES))
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=generator) * 0.01
    fit(model, data, steps, generator)
    return model
