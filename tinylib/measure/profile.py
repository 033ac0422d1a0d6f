"""What one forward pass of any torch.nn.Module costs: MACs, parameters, activation bytes, and the peak of memory.

The network runs once, in eval mode without gradients, while a dispatch mode sees every operator. Each storage that an operator
makes is a buffer; it lives from that operator to the last one that reads it or a view of it. Convention: the network's
inputs are alive from the start until their last use, its outputs until the end; parameters and module buffers (running
statistics) are not activations; scratch memory inside an operator is not seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tinylib.core.units import kib, si
from tinylib.measure.arena import Buffer, live_bytes, peak_bytes
from tinylib.measure.operators import is_elementwise, macs_of, name_of


@dataclass(frozen=True)
class Layer:
    """One module with its own operators, over all its calls; a parent's row holds what it does outside its children.

    `activation_bytes`: size of the buffers it made. `shape`: of its last result.
    """

    name: str
    kind: str
    macs: int
    params: int
    activation_bytes: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """Costs of one forward pass. `unknown` names operators whose MACs are not in the count; check that it is empty.

    `buffers` have step numbers; `steps[i]` names step i. `peak_bytes` is the largest sum alive at one step, at `peak_step`.
    """

    layers: tuple[Layer, ...]
    macs: int
    params: int
    unknown: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    steps: tuple[str, ...]

    @property
    def peak_bytes(self) -> int:
        """Largest sum of live activation bytes over all steps."""
        return peak_bytes(self.buffers)

    @property
    def peak_step(self) -> str:
        """Name of the first step at which `peak_bytes` are alive."""
        return self.steps[int(live_bytes(self.buffers).argmax())] if self.buffers else ""

    def table(self) -> str:
        """Layers and totals as aligned text."""
        rows = [("layer", "kind", "output", "MACs", "parameters", "activation")]
        rows += [(x.name or "(top)", x.kind, "x".join(map(str, x.shape)), f"{x.macs:,}", f"{x.params:,}", kib(x.activation_bytes)) for x in self.layers]
        rows.append(("total", "", "", f"{self.macs:,}", f"{self.params:,}", f"peak {kib(self.peak_bytes)}"))
        widths = [max(len(r[i]) for r in rows) for i in range(6)]
        lines = ["  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))) for r in rows]
        note = [f"not counted, unknown operators: {', '.join(self.unknown)}"] if self.unknown else []
        return "\n".join([*lines, *note])

    def __str__(self) -> str:
        return f"{si(self.macs, 'MAC')}, {self.params:,} parameters, peak {kib(self.peak_bytes)} at {self.peak_step}"


def profile(model: nn.Module, *inputs: object, activation_bits: int | None = None, fuse: bool = False) -> Profile:
    """Run `model(*inputs)` once and count. `inputs` are tensors or nests of them; the model's mode is restored.

    `activation_bits` counts floating-point activations at that width (8 for an integer network) instead of their real
    dtype. `fuse=True` lets an element-wise operator (norm, activation, sum of a residual) overwrite an input of the same
    size that nobody reads later, as inference engines do; without it every operator gets a buffer of its own, as in
    eager PyTorch. In-place operators and views never get one.
    """
    recorder = _Recorder(model)
    training = {m: m.training for m in model.modules()}
    fastpath = torch.backends.mha.get_fastpath_enabled()
    hooks = recorder.attach()
    try:
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), recorder:
            recorder.born(tree_leaves(inputs), "input")
            outputs = model(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
        for hook in hooks:
            hook.remove()
        for module, flag in training.items():
            module.training = flag
    return recorder.result(tree_leaves(outputs), activation_bits, fuse)


@dataclass
class _Storage:
    """A storage seen during the run: who made it, when, when last used, and (for fusing) which inputs it might overwrite."""

    name: str
    nbytes: int
    floating_bits: int      # bits of one element, 0 for a dtype that is not floating
    first: int
    last: int
    sources: tuple[int, ...] = ()
    auxiliary: bool = False


class _Recorder(TorchDispatchMode):
    """Sees every operator below autograd. Keeps all tensors alive until the end, so that a storage's address names it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.names = {module: name for name, module in model.named_modules()}
        self.fixed = {_key(t) for t in [*model.parameters(), *model.buffers()]}
        self.storages: dict[int, _Storage] = {}
        self.keep: list[torch.Tensor] = []
        self.steps: list[str] = []
        self.unknown: set[str] = set()
        self.rows: dict[nn.Module, dict] = {}
        self.stack: list[nn.Module] = [model]

    def attach(self) -> list:
        """Hooks that tell which module is running."""
        def leave(module: nn.Module, args: tuple, out: object) -> None:
            self.stack.pop()

        enter = [m.register_forward_pre_hook(lambda m, args: self.stack.append(m)) for m in self.names]
        return enter + [m.register_forward_hook(leave) for m in self.names]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors_in = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        tensors_out = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
        macs = macs_of(func, args, out)
        if macs is None:
            self.unknown.add(name_of(func))
        if not func.is_view and (macs is None or macs or any(t.numel() for t in tensors_out)):
            self.step(func, tensors_in, tensors_out, macs or 0)
        self.keep.extend(tensors_out)
        return out

    def step(self, func, tensors_in: list, tensors_out: list, macs: int) -> None:
        """One operator that does work: its inputs are read now, its new storages are born now."""
        module = self.stack[-1]
        label = f"{self.names[module] or type(self.model).__name__}:{name_of(func)}"
        sources = tuple(dict.fromkeys(_key(t) for t in tensors_in if _key(t) in self.storages))
        now = len(self.steps)
        self.steps.append(label)
        for key in sources:
            self.storages[key].last = now
        new = self.born(tensors_out, label, sources if is_elementwise(func) else ())
        row = self.rows.setdefault(module, {"macs": 0, "bytes": [], "shape": ()})
        row["macs"] += macs
        row["bytes"] += new
        if tensors_out:
            row["shape"] = tuple(tensors_out[0].shape)

    def born(self, tensors: Iterable, name: str, sources: tuple[int, ...] = ()) -> list[int]:
        """Register storages not seen before; results after the first are statistics until somebody reads them."""
        now, new = max(len(self.steps) - 1, 0), []
        for i, tensor in enumerate(t for t in tensors if isinstance(t, torch.Tensor)):
            key = _key(tensor)
            self.keep.append(tensor)
            if key in self.storages or key in self.fixed or not tensor.untyped_storage().nbytes():
                continue
            bits = tensor.element_size() * 8 if tensor.is_floating_point() else 0
            nbytes = tensor.untyped_storage().nbytes()
            self.storages[key] = _Storage(name, nbytes, bits, now, now, sources, auxiliary=i > 0 and name != "input")
            new.append(key)
        return new

    def result(self, outputs: Iterable, activation_bits: int | None, fuse: bool) -> Profile:
        """The finished profile."""
        end = max(len(self.steps) - 1, 0)
        for tensor in outputs:
            if isinstance(tensor, torch.Tensor) and _key(tensor) in self.storages:
                self.storages[_key(tensor)].last, self.storages[_key(tensor)].auxiliary = end, False
        alive = {k: s for k, s in self.storages.items() if not (s.auxiliary and s.first == s.last)}
        sizes = {k: _bytes(s, activation_bits) for k, s in alive.items()}
        buffers = [Buffer(s.name, sizes[k], s.first, s.last) for k, s in alive.items()]
        if fuse:
            buffers = _fuse(alive, sizes)
        layers = tuple(Layer(self.names[m], type(m).__name__, r["macs"], _own_params(m), sum(sizes.get(k, 0) for k in r["bytes"]), r["shape"])
                       for m, r in self.rows.items())
        macs = sum(layer.macs for layer in layers)
        params = sum(p.numel() for p in self.model.parameters())
        return Profile(layers, macs, params, tuple(sorted(self.unknown)), tuple(buffers), tuple(self.steps))


def _fuse(storages: dict[int, _Storage], sizes: dict[int, int]) -> list[Buffer]:
    """Buffers after letting each element-wise result take over an input of its size that dies at that very step."""
    owner: dict[int, int] = {}
    merged: dict[int, Buffer] = {}
    for key, s in storages.items():
        home = next((owner[q] for q in s.sources if q in owner and merged[owner[q]].last == s.first and sizes[q] == sizes[key]), None)
        if home is None:
            owner[key], merged[key] = key, Buffer(s.name, sizes[key], s.first, s.last)
        else:
            owner[key], merged[home] = home, replace(merged[home], last=max(merged[home].last, s.last))
    return list(merged.values())


def _bytes(storage: _Storage, activation_bits: int | None) -> int:
    """Size in bytes, floating-point elements re-counted at `activation_bits`."""
    if activation_bits is None or not storage.floating_bits:
        return storage.nbytes
    return -(-storage.nbytes * activation_bits // storage.floating_bits)


def _own_params(module: nn.Module) -> int:
    """Parameters that belong to the module itself, not to a child."""
    return sum(p.numel() for p in module.parameters(recurse=False))


def _key(tensor: torch.Tensor) -> int:
    """Identity of the memory behind a tensor; views share it."""
    return tensor.untyped_storage()._cdata


def by_kind(layers: Sequence[Layer]) -> dict[str, int]:
    """MACs summed by kind of layer, largest first."""
    totals: dict[str, int] = {}
    for layer in layers:
        totals[layer.kind] = totals.get(layer.kind, 0) + layer.macs
    return dict(sorted(totals.items(), key=lambda item: -item[1]))
