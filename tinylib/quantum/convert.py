"""To and from qiskit. Only the functions here import it, and only when called: it takes seconds.

Bit order. We write wire 0 first: outcome "011" means wire 0 read 0. Qiskit writes qubit 0 last and makes it the least significant bit.
Gate arguments keep their numbers in both; only vectors, matrices and strings are reversed, by `to_qiskit_order` (its own inverse).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.quantum.circuit import Angle, Circuit, Operation, op
from tinylib.quantum.noise import Device, NoisyMachine

TO_QISKIT = {"id": "IGate", "x": "XGate", "y": "YGate", "z": "ZGate", "h": "HGate", "s": "SGate", "sdg": "SdgGate", "t": "TGate", "tdg": "TdgGate",
             "sx": "SXGate", "sxdg": "SXdgGate", "swap": "SwapGate", "iswap": "iSwapGate", "rx": "RXGate", "ry": "RYGate", "rz": "RZGate",
             "rxx": "RXXGate", "ryy": "RYYGate", "rzz": "RZZGate", "rzx": "RZXGate", "p": "PhaseGate", "u2": "U2Gate", "u3": "U3Gate", "cx": "CXGate",
             "cy": "CYGate", "cz": "CZGate", "ch": "CHGate", "crx": "CRXGate", "cry": "CRYGate", "crz": "CRZGate", "cp": "CPhaseGate", "cu3": "CU3Gate",
             "ccx": "CCXGate", "ccz": "CCZGate", "cswap": "CSwapGate"}
FROM_QISKIT = {"u": "u3", "u1": "p", "cu1": "cp"}


def to_qiskit_order(flat: Tensor) -> Tensor:
    """[..., 2^n] in one bit order -> the same in the other. For a matrix apply it to both axes."""
    n_wires = flat.shape[-1].bit_length() - 1
    lead = flat.dim() - 1
    return flat.reshape(*flat.shape[:-1], *[2] * n_wires).permute(*range(lead), *range(lead + n_wires - 1, lead - 1, -1)).reshape(flat.shape)


def to_qiskit(circuit: Circuit, angles: Tensor | None = None) -> Any:
    """A QuantumCircuit. With `angles` [n_slots] all numbers are filled in; without, weights and features stay symbols w[i], x[j]."""
    from qiskit.circuit import ParameterVector, QuantumCircuit, library
    w, x = ParameterVector("w", circuit.n_weights), ParameterVector("x", circuit.n_features)
    result, values = QuantumCircuit(circuit.n_wires), None if angles is None else angles.detach().flatten().tolist()
    for start, operation in zip(circuit.first_slot, circuit.operations):
        if values is None:
            arguments = [_symbolic(a, w, x) for a in operation.angles]
        else:
            arguments = values[start : start + len(operation.angles)]
        result.append(getattr(library, TO_QISKIT[operation.name])(*arguments), operation.wires)
    return result


def _symbolic(angle: Angle, w: Sequence, x: Sequence) -> Any:
    return sum((s * w[i] for i, s in angle.weights), start=0) + sum((s * x[i] for i, s in angle.features), start=0) + angle.offset


def from_qiskit(circuit: Any) -> Circuit:
    """A circuit of gates we know, from a QuantumCircuit; symbols w[i] and x[j] may enter angles linearly. Measurements and barriers are dropped."""
    operations = []
    for instruction in circuit.data:
        name = FROM_QISKIT.get(instruction.operation.name, instruction.operation.name)
        if name in ("measure", "barrier"):
            continue
        wires = [circuit.find_bit(q).index for q in instruction.qubits]
        operations.append(op(name, *wires, angles=[_linear(a) for a in instruction.operation.params]))
    return Circuit(circuit.num_qubits, tuple(operations))


def _linear(value: Any) -> Angle:
    """A qiskit angle as offset + scales; refuses anything that is not linear in the symbols."""
    symbols = list(getattr(value, "parameters", ()))
    if not symbols:
        return Angle(offset=float(value))
    offset = float(value.bind({s: 0.0 for s in symbols}))
    scales = {s: float(value.bind({t: float(s == t) for t in symbols})) - offset for s in symbols}
    far = {s: 1.7 * (i + 1) for i, s in enumerate(symbols)}
    if abs(float(value.bind(far)) - offset - sum(scales[s] * far[s] for s in symbols)) > 1e-9:
        raise TinylibError(f"The angle {value} is not linear in its parameters.")
    pairs = sorted((s.name[0], int(s.name[2:-1]), scale) for s, scale in scales.items())
    return Angle(tuple((i, k) for n, i, k in pairs if n == "w"), tuple((i, k) for n, i, k in pairs if n == "x"), offset)


def to_target(device: Device) -> Any:
    """The device as a qiskit Target: gates, errors, durations, T1 and T2."""
    from qiskit.circuit import Measure, Parameter, library
    from qiskit.transpiler import InstructionProperties, QubitProperties, Target
    qubits = [QubitProperties(t1=a * 1e-9, t2=b * 1e-9) for a, b in zip(device.t1_ns, device.t2_ns)]
    target = Target(num_qubits=device.n_wires, qubit_properties=qubits)
    for name in device.basis:
        entry = getattr(library, TO_QISKIT[name])(*[Parameter("a")] * (name == "rz"))
        target.add_instruction(entry, {w: InstructionProperties(error=e, duration=d * 1e-9) for (g, w), (e, d) in device.gates.items() if g == name})
    readout = {(q,): InstructionProperties(error=(c[0][1] + c[1][0]) / 2) for q, c in enumerate(device.confusion)}
    target.add_instruction(Measure(), readout)
    return target


def transpile(circuit: Circuit, device: Device, mapping: Sequence[int] | None = None, level: int = 1) -> tuple[Circuit, NoisyMachine, tuple[int, ...]]:
    """The circuit in the device's gates and couplings, with weights and features still symbols.

    `mapping[w]`: physical wire of our wire w at the start; None lets qiskit choose. Swaps may move wires. Returns (circuit on *all* physical wires
    that it uses, renumbered 0.. in rising physical order; the machine that runs it; for each of our wires the wire of the new circuit to read).
    """
    from qiskit import transpile as qiskit_transpile
    if mapping is not None and (len(mapping) != circuit.n_wires or len(set(mapping)) != len(mapping) or not set(mapping) <= set(range(device.n_wires))):
        raise TinylibError(f"mapping {tuple(mapping)} must name {circuit.n_wires} different wires of {device.name} (0 to {device.n_wires - 1}).")
    done = qiskit_transpile(to_qiskit(circuit), target=to_target(device), initial_layout=None if mapping is None else list(mapping),
                            optimization_level=level, seed_transpiler=7)
    physical, final = from_qiskit(done), done.layout.final_index_layout()
    used = sorted({w for o in physical.operations for w in o.wires} | set(final))
    number = {w: i for i, w in enumerate(used)}
    operations = tuple(Operation(o.name, tuple(number[w] for w in o.wires), o.angles) for o in physical.operations)
    return Circuit(len(used), operations), NoisyMachine(device, tuple(used)), tuple(number[w] for w in final)


def aer_noise_model(device: Device) -> Any:
    """Aer's own noise model from the same calibration: gate channels by Aer's code, our readout table."""
    from qiskit_aer.noise import NoiseModel, ReadoutError
    from qiskit_aer.noise.device import basic_device_gate_errors
    model = NoiseModel(basis_gates=list(device.basis))
    for name, wires, error in basic_device_gate_errors(target=to_target(device)):
        model.add_quantum_error(error, name, wires)
    for q, rows in enumerate(device.confusion):
        model.add_readout_error(ReadoutError(np.array(rows)), [q])
    return model


def aer_density(circuit: Circuit, machine: NoisyMachine, angles: Tensor) -> Tensor:
    """Aer's density matrices [b, 2^n, 2^n] in our bit order for slots [b, n_slots] of a circuit in the device's gates (no readout error)."""
    from qiskit.circuit import QuantumCircuit
    from qiskit_aer import AerSimulator
    simulator = AerSimulator(method="density_matrix", noise_model=aer_noise_model(machine.device), max_parallel_threads=1)
    jobs = []
    for row in angles:
        job = QuantumCircuit(machine.device.n_wires)
        job.compose(to_qiskit(circuit, row), qubits=list(machine.mapping), inplace=True)
        job.save_density_matrix(qubits=list(machine.mapping))
        jobs.append(job)
    data = simulator.run(jobs, shots=1).result()
    matrices = torch.stack([torch.tensor(np.asarray(data.data(i)["density_matrix"])) for i in range(len(jobs))])
    return to_qiskit_order(to_qiskit_order(matrices).mT).mT


def aer_expect_z(circuit: Circuit, machine: NoisyMachine, angles: Tensor, shots: int, seed: int) -> Tensor:
    """<Z> of every wire [b, n] from Aer with gate noise, misreading and `shots` measurements a circuit."""
    from qiskit.circuit import QuantumCircuit
    from qiskit_aer import AerSimulator
    simulator = AerSimulator(method="density_matrix", noise_model=aer_noise_model(machine.device), seed_simulator=seed, max_parallel_threads=1)
    jobs = []
    for row in angles:
        job = QuantumCircuit(machine.device.n_wires, circuit.n_wires)
        job.compose(to_qiskit(circuit, row), qubits=list(machine.mapping), inplace=True)
        job.measure(list(machine.mapping), list(range(circuit.n_wires)))
        jobs.append(job)
    result, rows = simulator.run(jobs, shots=shots).result(), []
    for i in range(len(jobs)):
        counts = result.get_counts(i)
        rows.append([sum(c * (1 - 2 * int(bits[-1 - w])) for bits, c in counts.items()) / shots for w in range(circuit.n_wires)])
    return torch.tensor(rows, dtype=torch.float64)
