"""How many seconds does one training step of a quantum network take, against PennyLane, Qiskit Aer and TorchQuantum?

The same work for all: batch 32, RY encoding of one feature per wire, four layers of U3 on every wire and a ring of CNOTs, <Z> of every wire, the sum
as loss, gradient of all weights; complex64 where the rival has it, the same number of threads. Best of the repetitions (other work on the machine
only adds time); rivals alternate with ours.
Rivals: `pip install -r benchmarks/rivals/quantum.txt` into an environment that has tinylib. A missing rival is named, not skipped in silence.
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings

BATCH, LAYERS = 32, 4
# TorchQuantum 0.1.8 needs qiskit 0.46 and a CUDA build of torch, so it was measured once in an environment of its own, on the work
# described above with 2 threads, when the project was planned. Milliseconds a step.
TORCHQUANTUM_MS = {4: 32.0, 8: 72.0, 12: 236.0}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wires", type=int, nargs="*", default=[4, 8, 12])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=20.0, help="time limit for each slow rival and size")
    return parser.parse_args()


def inputs(n):
    import torch
    generator = torch.Generator().manual_seed(n)
    return torch.rand(LAYERS * n * 3, generator=generator) * 6 - 3, torch.rand(BATCH, n, generator=generator)


def tinylib_step(n, fast=True):
    from tinylib.quantum.circuit import encoder, stack
    from tinylib.quantum.layer import QuantumLayer
    layer = QuantumLayer(encoder(n, ["ry"], scale=1.0) + stack(n, ["u3", "cx"] * LAYERS), fast=fast)
    weights, x = inputs(n)
    layer.weights.data = weights

    def step():
        layer.weights.grad = None
        z = layer(x)
        z.sum().backward()
        return z.detach(), layer.weights.grad
    return step


def pennylane_step(n, device, method):
    import pennylane as qml
    import torch
    dev = qml.device(device, wires=n) if device == "default.qubit" else qml.device(device, wires=n, c_dtype=__import__("numpy").complex64)

    @qml.qnode(dev, interface="torch", diff_method=method)
    def circuit(x, w):
        for q in range(n):
            qml.RY(x[..., q], wires=q)
        for layer in range(LAYERS):
            for q in range(n):
                qml.U3(*(w[(layer * n + q) * 3 + j] for j in range(3)), wires=q)
            for q in range(n):
                qml.CNOT(wires=[q, (q + 1) % n])
        return [qml.expval(qml.PauliZ(q)) for q in range(n)]

    weights, x = inputs(n)
    w = weights.clone().requires_grad_()

    def step():
        w.grad = None
        if method == "backprop":
            z = torch.stack(list(circuit(x, w)), dim=-1)
        else:
            z = torch.stack([torch.stack(list(circuit(row, w))) for row in x])
        z.sum().backward()
        return z.detach(), w.grad
    return step


def aer_step(n):
    """Aer has no gradients of its own: two shifted circuits a weight and sample would be needed. Here one forward pass of the batch only."""
    import torch
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer import AerSimulator

    from tinylib.quantum.circuit import encoder, stack
    from tinylib.quantum.convert import to_qiskit
    circuit = encoder(n, ["ry"], scale=1.0) + stack(n, ["u3", "cx"] * LAYERS)
    weights, x = inputs(n)
    simulator = AerSimulator(method="statevector", precision="single")

    def step():
        jobs = []
        for row in circuit.angles(weights, x):
            job = to_qiskit(circuit, row)
            for q in range(n):
                job.save_expectation_value(SparsePauliOp("Z"), [q], label=str(q))
            jobs.append(job)
        result = simulator.run(jobs, shots=1).result()
        return torch.tensor([[result.data(i)[str(q)] for q in range(n)] for i in range(len(jobs))]), None
    return step


RIVALS = {
    "pennylane default.qubit, backprop": lambda n: pennylane_step(n, "default.qubit", "backprop"),
    "pennylane lightning.qubit, adjoint": lambda n: pennylane_step(n, "lightning.qubit", "adjoint"),
    "aer, forward pass only": aer_step,
    "tinylib gate by gate": lambda n: tinylib_step(n, fast=False),
}


def timed(step):
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1e3


def agree(ours, theirs):
    """Largest difference in values and gradients: the same work was done."""
    (z, g), (rz, rg) = ours(), theirs()
    return max((z - rz).abs().max().item(), 0.0 if rg is None else (g - rg).abs().max().item())


def compare(n, options):
    ours, rows = tinylib_step(n), []
    for _ in range(5):
        ours()
    for name, build in RIVALS.items():
        try:
            step = build(n)
            difference = agree(ours, step)
        except ImportError as error:
            print(f"missing rival: {name} ({error.name}); pip install -r benchmarks/rivals/quantum.txt", file=sys.stderr)
            continue
        assert difference < 2e-3, f"{name} computes something else: {difference}"
        mine, theirs, begin = [], [], time.perf_counter()
        while len(theirs) < options.repeat and (len(theirs) < 2 or time.perf_counter() - begin < options.seconds):
            theirs.append(timed(step))
            mine += [timed(ours) for _ in range(5)]
        rows.append({"case": f"{name}, {n} wires", "ours": min(mine), "rival": min(theirs), "unit": "ms"})
    quickest = min(r["ours"] for r in rows)
    rows.append({"case": f"torchquantum 0.1.8 (measured earlier, 2 threads), {n} wires", "ours": quickest, "rival": TORCHQUANTUM_MS[n], "unit": "ms"})
    for row in rows:
        row["ratio"] = row["rival"] / row["ours"]
        print(f"{row['case']:66s} ours {row['ours']:8.2f} ms   rival {row['rival']:8.1f} ms   {row['ratio']:6.1f}x", flush=True)
    return rows


def main():
    options = arguments()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    warnings.simplefilter("ignore")
    import torch
    torch.set_num_threads(options.threads)
    rows = [row for n in options.wires for row in compare(n, options)]
    if options.json:
        from importlib.metadata import PackageNotFoundError, version
        versions = {}
        for package in ("torch", "pennylane", "pennylane-lightning", "qiskit-aer"):
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                versions[package] = "missing"
        machine = f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads"
        print(json.dumps({"question": __doc__.splitlines()[0], "rows": rows, "machine": machine, "versions": versions}))


if __name__ == "__main__":
    main()
