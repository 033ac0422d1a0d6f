"""The fast path: a circuit is compiled once into few large steps; `circuit.run` stays the path to read, and tests hold both equal.

Design note. Gates are scheduled as early as their wires allow, into stages: first all one-wire gates (a *product*), then the many-wire gates.
- All one-wire matrices of the circuit are computed in one call per kind of gate; those of one wire and stage are multiplied; up to four
  neighbouring wires are joined by a Kronecker product into one block of at most 16 x 16.
- Many-wire gates that only relabel basis states (CX, SWAP, CCX, ...) join into one permutation, diagonal ones (CZ, RZZ, CRZ, ...) into one phase vector.
- The state is kept as [2^n, b], batch last: blocks are plain matrix products, a permutation moves whole rows.
- Blocks, permutations and phases run inside one autograd function whose backward is written by hand; it keeps the states between steps.
What fits none of these (a controlled U3, an encoder gate in the middle of a circuit) is applied one by one between such segments.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tinylib.core.errors import TinylibError
from tinylib.quantum.circuit import Circuit, Operation, run
from tinylib.quantum.gates import complex_of, gate
from tinylib.quantum.readout import expect_z, z_signs
from tinylib.quantum.stages import permutation_of, phase_pattern, schedule
from tinylib.quantum.state import apply_matrix

BLOCK_WIRES = 4


def kron_all(matrices: Tensor) -> Tensor:
    """[..., k, r, c] -> [..., r^k, c^k]: the Kronecker product along the third last axis, first factor most significant (c = 1: vectors)."""
    k = matrices.shape[-3]
    if k == 1:
        return matrices[..., 0, :, :]
    if k % 2:
        left, right = kron_all(matrices[..., :-1, :, :]), matrices[..., -1, :, :]
    else:
        left, right = matrices[..., 0::2, :, :], matrices[..., 1::2, :, :]
    rows, columns = left.shape[-2] * right.shape[-2], left.shape[-1] * right.shape[-1]
    joined = (left[..., :, None, :, None] * right[..., None, :, None, :]).reshape(*left.shape[:-2], rows, columns)
    return joined if k % 2 else kron_all(joined)


def split_wires(n_wires: int) -> list[int]:
    """Sizes of the blocks: as few as possible, none over BLOCK_WIRES, as equal as possible, larger ones first."""
    count = -(-n_wires // BLOCK_WIRES)
    return [n_wires // count + (i < n_wires % count) for i in range(count)]


class _Segment(torch.autograd.Function):
    """Runs a list of ("blocks", layer), ("rows", index, inverse), ("phase", row) on a state [2^n, b].

    Inputs after the program and the state: phases [k, 2^n] or None, then for each block of wires its matrices [n_layers, d, d].
    Backward of y = A x for complex tensors: gradient of x is A^H g, gradient of A is the sum of g x^H.
    """

    @staticmethod
    def forward(ctx, program, state, phases, *blocks):
        kept = []
        for kind, *what in program:
            if kind == "rows":
                state = state.index_select(0, what[0])
            elif kind == "phase":
                kept.append(state)
                state = state * phases[what[0]][:, None]
            else:
                left = 1
                for matrices in blocks:
                    x = state.view(left, matrices.shape[-1], -1)
                    kept.append(x)
                    state = _product(matrices[what[0]], x).view(state.shape)
                    left *= matrices.shape[-1]
        ctx.program, ctx.kept, ctx.phases, ctx.blocks = program, kept, phases, blocks
        return state

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        kept, phases = iter(reversed(ctx.kept)), ctx.phases
        adjoint = [m.mH.resolve_conj().contiguous() for m in ctx.blocks]
        block_grads = [torch.zeros_like(m) for m in ctx.blocks]
        phase_grad = None if phases is None else torch.zeros_like(phases)
        g = g.resolve_conj().contiguous()
        for kind, *what in reversed(ctx.program):
            if kind == "rows":
                g = g.index_select(0, what[1])
            elif kind == "phase":
                phase_grad[what[0]] = (g * next(kept).conj()).sum(1)
                g = g * phases[what[0]].conj()[:, None]
            else:
                for i in reversed(range(len(adjoint))):
                    x = next(kept)
                    gx = g.view(x.shape)
                    block_grads[i][what[0]] = gx[0] @ x[0].mH if len(x) == 1 else (gx @ x.mH).sum(0)
                    g = _product(adjoint[i][what[0]], gx).view(g.shape)
        return None, g, phase_grad, *block_grads


def _product(matrix: Tensor, x: Tensor) -> Tensor:
    """matrix [d, d] on the middle axis of x [left, d, right]."""
    return (matrix @ x[0])[None] if len(x) == 1 else matrix @ x


class _ExpectZ(torch.autograd.Function):
    """State [2^n, b] -> <Z> [b, n], with its gradient 2 psi (signs @ g)."""

    @staticmethod
    def forward(ctx, state, signs):
        ctx.save_for_backward(state, signs)
        return (state.real**2 + state.imag**2).T @ signs

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        state, signs = ctx.saved_tensors
        return state * (signs @ (2 * g.T)), None


@dataclass(frozen=True)
class Bank:
    """Operations of one kind whose matrices are computed in one call: `rows` are operation numbers, `start` the first of their slots."""

    name: str
    each: bool
    rows: tuple[int, ...]
    start: int


class Compiled:
    """A circuit ready to run fast: `state(weights, features)` and `expect_z(weights, features)`, equal to the gate-by-gate path.

    weights [n_weights] are shared by the batch. With weights [b, n_weights], each sample its own, nothing can be fused and it runs gate by gate.
    """

    def __init__(self, circuit: Circuit):
        self.circuit, self.stages = circuit, schedule(circuit)
        self._per_sample = {i for i, o in enumerate(circuit.operations) if any(a.features for a in o.angles)}
        self._phases: list[tuple[list[int], Tensor, Tensor]] = []
        self._layers: list[dict[int, list[int]]] = []
        self._plan = self._make_plan()
        self._make_banks()
        self._make_tables()
        self._cast: dict[torch.dtype, tuple] = {}

    def _make_plan(self) -> list[tuple]:
        """[("segment", program) or ("single", operation number), ...] after the first stage's product, which makes the start state."""
        plan: list[tuple] = []
        for number, stage in enumerate(self.stages):
            if number and stage.product:
                flat = [i for ops in stage.product.values() for i in ops]
                if self._per_sample & set(flat):
                    plan += [("single", i) for i in flat]
                else:
                    self._append(plan, ("blocks", len(self._layers)))
                    self._layers.append(stage.product)
            for i in stage.entangle:
                self._plan_entangler(plan, i)
        return plan

    @staticmethod
    def _append(plan: list[tuple], step: tuple) -> None:
        if not plan or plan[-1][0] != "segment":
            plan.append(("segment", []))
        plan[-1][1].append(step)

    def _plan_entangler(self, plan: list[tuple], i: int) -> None:
        operation, n = self.circuit.operations[i], self.circuit.n_wires
        last = plan[-1][1][-1] if plan and plan[-1][0] == "segment" else (None,)
        rows = permutation_of(operation.name, operation.wires, n)
        pattern = None if i in self._per_sample else phase_pattern(operation.name, operation.wires, n)
        if rows is not None:
            if last[0] == "rows":
                plan[-1][1].pop()
                rows = last[1][rows]
            self._append(plan, ("rows", rows, rows.argsort()))
        elif pattern is not None:
            if last[0] != "phase":
                self._append(plan, ("phase", len(self._phases)))
                self._phases.append(([], torch.zeros(0, 2**n, dtype=torch.float64), torch.zeros(2**n, dtype=torch.float64)))
            ops, patterns, fixed = self._phases[-1]
            if operation.angles:
                self._phases[-1] = ([*ops, i], torch.cat([patterns, pattern[None]]), fixed)
            else:
                self._phases[-1] = (ops, patterns, fixed + pattern)
        else:
            plan.append(("single", i))

    def _make_banks(self) -> None:
        """Order the slots so that every kind of gate owns one slice, then the phases."""
        phase_ops = [i for ops, _, _ in self._phases for i in ops]
        fused = set(phase_ops) | {i for stage in self.stages for i in stage.entangle if self._needs_no_matrix(i)}
        kinds: dict[tuple[bool, str], list[int]] = {}
        for i, operation in enumerate(self.circuit.operations):
            if i not in fused:
                kinds.setdefault((i in self._per_sample, operation.name), []).append(i)
        order, self._banks, self._where = [], [], {}
        for (each, name), rows in sorted(kinds.items()):
            self._banks.append(Bank(name, each, tuple(rows), len(order)))
            self._where |= {i: (len(self._banks) - 1, r) for r, i in enumerate(rows)}
            order += [s for i in rows for s in self._slots_of(i)]
        self._phase_start = len(order)
        self._order = order + [s for i in phase_ops for s in self._slots_of(i)]

    def _needs_no_matrix(self, i: int) -> bool:
        operation: Operation = self.circuit.operations[i]
        return not operation.angles and (gate(operation.name).diagonal or permutation_of(operation.name, operation.wires, self.circuit.n_wires) is not None)

    def _slots_of(self, i: int) -> range:
        start = self.circuit.first_slot[i]
        return range(start, start + len(self.circuit.operations[i].angles))

    def _make_tables(self) -> None:
        """Where in the row of all shared one-wire matrices (identity last) each layer, wire and depth finds its matrix: [n_layers, n, depth]."""
        self._shared = [b for b in self._banks if not b.each and gate(b.name).n_wires == 1]
        position = {i: p for p, i in enumerate(i for b in self._shared for i in b.rows)}
        depth = max((len(ops) for layer in self._layers for ops in layer.values()), default=1)
        table = torch.full((len(self._layers), self.circuit.n_wires, depth), len(position))
        for l, layer in enumerate(self._layers):
            for w, ops in layer.items():
                table[l, w, : len(ops)] = torch.tensor([position[i] for i in ops])
        self._table, self._position, self._identity = table, position, len(position)
        self._start_depth = max((len(ops) for ops in self.stages[0].product.values()), default=0)

    def _constants(self, dtype: torch.dtype) -> tuple:
        if dtype not in self._cast:
            w, f, offset = (t[..., self._order].to(dtype) for t in self.circuit.linear_map)
            phases = [(len(ops), patterns.to(dtype), fixed.to(dtype)) for ops, patterns, fixed in self._phases]
            self._cast[dtype] = (w, f, offset, phases, z_signs(self.circuit.n_wires, dtype), torch.eye(2, dtype=complex_of(dtype)))
        return self._cast[dtype]

    def _matrices(self, weights: Tensor | None, features: Tensor | None, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
        """Matrices of every bank ([k, d, d] shared or [b, k, d, d]) and the ordered shared angles [n_slots]."""
        w, f, offset, *_ = self._constants(dtype)
        angles = offset if not self.circuit.n_weights else torch.addmv(offset, w.T, weights[: self.circuit.n_weights])
        result = []
        for bank in self._banks:
            g = gate(bank.name)
            part = slice(bank.start, bank.start + len(bank.rows) * g.n_angles)
            values = angles[part]
            if bank.each:
                values = values + features[:, : self.circuit.n_features] @ f[:, part]
            result.append(g.matrix(values.reshape(*values.shape[:-1], len(bank.rows), g.n_angles)))
        return result, angles

    def _start(self, matrices: list[Tensor], shared: Tensor, batch: int) -> Tensor:
        """State after the first product [2^n, b]: every wire's vector is column 0 of its matrices' product; their Kronecker product is the state."""
        product, n = self.stages[0].product, self.circuit.n_wires
        vectors = None
        for depth in range(max(self._start_depth, 1)):
            ops = [product[w][depth] if len(product.get(w, ())) > depth else None for w in range(n)]
            if not self._per_sample & set(ops):
                layer = _rows(shared, [self._identity if i is None else self._position[i] for i in ops])
            else:
                layer = self._mixed_layer(ops, matrices, shared, batch)
            vectors = layer[..., :1] if vectors is None else layer @ vectors
        state = kron_all(vectors)[..., 0]
        return state.T.contiguous() if state.dim() == 2 else state[:, None]

    def _mixed_layer(self, ops: list[int | None], matrices: list[Tensor], shared: Tensor, batch: int) -> Tensor:
        """[b, n, 2, 2] of one gate per wire, some of them per sample."""
        bank = {self._where[i][0] for i in ops if i in self._per_sample}
        if len(bank) == 1 and self._per_sample.issuperset(ops):
            return _rows(matrices[bank.pop()], [self._where[i][1] for i in ops])
        parts = [matrices[self._where[i][0]][:, self._where[i][1]] if i in self._per_sample
                 else shared[self._identity if i is None else self._position[i]].expand(batch, 2, 2) for i in ops]
        return torch.stack(parts, dim=1)

    def _blocks(self, shared: Tensor) -> list[Tensor]:
        """For each block of wires, its matrices in all layers [n_layers, d, d]."""
        if not self._layers:
            return []
        layers = _rows(shared, self._table.flatten().tolist()).reshape(*self._table.shape, 2, 2)
        product = layers[:, :, 0]
        for depth in range(1, layers.shape[2]):
            product = layers[:, :, depth] @ product
        sizes = split_wires(self.circuit.n_wires)
        if len(set(sizes)) == 1:
            joined = kron_all(product.reshape(len(product), len(sizes), sizes[0], 2, 2))
            return list(joined.unbind(1))
        return [kron_all(part) for part in product.split(sizes, dim=1)]

    def _final(self, weights: Tensor | None, features: Tensor | None) -> Tensor:
        """State [2^n, b]."""
        dtype = next((t.dtype for t in (weights, features) if t is not None), torch.float64)
        self._demand(weights, features)
        matrices, angles = self._matrices(weights, features, dtype)
        *_, eye = self._constants(dtype)
        kinds = [m for m, b in zip(matrices, self._banks) if b in self._shared]
        shared = torch.cat([*kinds, eye[None]])
        state = self._start(matrices, shared, 1 if features is None else len(features))
        blocks, phases = self._blocks(shared), self._phase_vectors(angles, dtype)
        for kind, what in self._plan:
            if kind == "segment":
                state = _Segment.apply(what, state, phases, *blocks)
            else:
                bank, row = self._where[what]
                full = state.T.reshape(-1, *[2] * self.circuit.n_wires)
                state = apply_matrix(full, matrices[bank][..., row, :, :], self.circuit.operations[what].wires).flatten(1).T.contiguous()
        return state

    def _phase_vectors(self, angles: Tensor, dtype: torch.dtype) -> Tensor | None:
        """e^(i phase) [k, 2^n] of every fused diagonal step."""
        start, rows = self._phase_start, []
        for count, patterns, fixed in self._constants(dtype)[3]:
            rows.append(fixed + angles[start : start + count] @ patterns if count else fixed)
            start += count
        return None if not rows else torch.polar(torch.ones((), dtype=dtype).expand(len(rows), rows[0].shape[0]), torch.stack(rows))

    def _demand(self, weights: Tensor | None, features: Tensor | None) -> None:
        for name, given, needed in (("weights", weights, self.circuit.n_weights), ("features", features, self.circuit.n_features)):
            if needed and (given is None or given.shape[-1] < needed):
                raise TinylibError(f"The circuit needs {needed} {name}, got {None if given is None else given.shape[-1]}.")

    def state(self, weights: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """States [b, 2, ..., 2]."""
        if weights is not None and weights.dim() == 2:
            return run(self.circuit, weights, features)
        return self._final(weights, features).T.reshape(-1, *[2] * self.circuit.n_wires)

    def expect_z(self, weights: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """<Z> of every wire [b, n]."""
        if weights is not None and weights.dim() == 2:
            return expect_z(run(self.circuit, weights, features))
        state = self._final(weights, features)
        return _ExpectZ.apply(state, self._constants(state.real.dtype)[4])


def _rows(bank: Tensor, rows: list[int]) -> Tensor:
    """bank[..., rows, :, :]; a run of consecutive rows is a view, which is cheaper to differentiate."""
    if rows == list(range(rows[0], rows[0] + len(rows))):
        return bank[..., rows[0] : rows[0] + len(rows), :, :]
    return bank.index_select(-3, torch.tensor(rows))


def compile_circuit(circuit: Circuit) -> Compiled:
    """The circuit's fast path."""
    return Compiled(circuit)
