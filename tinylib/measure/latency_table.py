"""Latency of a network as a sum of entries, one for each block: measure or model every block once, then any network costs a few additions.

The sum leaves out what blocks do to each other (caches, fusion), so check it against whole networks. Lab: once_for_all.
Paper: ProxylessNAS and Once-for-All (Cai et al., ICLR 2019 and 2020) search with such tables.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tinylib.core.checkpoint import load_record
from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir
from tinylib.measure.latency import race


@dataclass(frozen=True)
class LatencyTable:
    """Cost of each block's key on one device; `kind`: "measured here", "emulated" or "modelled".

    `unit` is "ms" where time was measured or modelled. An emulated board has instructions, which are not time: see deploy.table.
    """

    device: str
    kind: str
    entries: Mapping[str, float]
    unit: str = "ms"

    def __call__(self, keys: Iterable[str]) -> float:
        """Sum of the entries in `unit`; a key that the table lacks raises TinylibError."""
        total = 0.0
        for key in keys:
            if key not in self.entries:
                raise TinylibError(f"the table of {self.device} has no entry {key!r}")
            total += self.entries[key]
        return total


def load_tables(*records: str) -> dict[str, LatencyTable]:
    """Tables by device out of shipped records {device: {"kind", "unit", "entries"}}, in the order of the records."""
    return {name: LatencyTable(name, row["kind"], row["entries"], row["unit"]) for record in records for name, row in load_record(record).items()}


@dataclass(frozen=True)
class Device:
    """A modelled device: MAC/s by kind of operator, bytes/s to memory, seconds to launch one operator, bytes of one value."""

    name: str
    macs_per_second: Mapping[str, float]
    bytes_per_second: float
    launch_seconds: float
    value_bytes: int
    source: str

    def operator_ms(self, kind: str, macs: int, values: int) -> float:
        """Launch plus the longer of arithmetic and traffic (`values` read or written), in ms."""
        return 1e3 * (self.launch_seconds + max(macs / self.macs_per_second[kind], values * self.value_bytes / self.bytes_per_second))


def load_device(name: str) -> Device:
    """The modelled device of data/devices/<name>.toml; an unknown name raises TinylibError with the known ones."""
    path = data_dir() / "devices" / f"{name}.toml"
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.toml"))
        raise TinylibError(f"No modelled device {name!r}. Known: {', '.join(known)}. A new one is a file data/devices/NAME.toml.")
    return Device(**tomllib.loads(path.read_text(encoding="utf-8")))


def measured_table(blocks: Mapping[str, tuple[nn.Module, Tensor]], *, runs: int = 15, group: int = 12) -> LatencyTable:
    """Fastest of `runs` calls of every block on its example, on this CPU with the present number of threads.

    Blocks are timed in groups, turn by turn, so that a busy moment hits neighbours alike; the fastest run finds the quiet one.
    """
    entries, names = {}, list(blocks)
    with torch.inference_mode():
        for start in range(0, len(names), group):
            some = {name: (lambda pair=blocks[name]: pair[0](pair[1])) for name in names[start:start + group]}
            entries |= {name: time.fastest_ms for name, time in race(some, runs=runs, warmup=2, seconds=60.0).items()}
    return LatencyTable("this CPU", "measured here", entries)


def modelled_table(blocks: Mapping[str, tuple[nn.Module, Tensor]], device: Device) -> LatencyTable:
    """Time of every block by the model of `device`: the sum over its convolutions and linear layers; the rest is taken as fused."""
    return LatencyTable(device.name, "modelled", {name: modelled_ms(block, example, device) for name, (block, example) in blocks.items()})


def modelled_ms(block: nn.Module, example: Tensor, device: Device) -> float:
    """Milliseconds of one call of `block` on `example` by the model of `device`."""
    total = [0.0]

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
        places = output[0, 0].numel() if isinstance(module, nn.Conv2d) else 1
        values = inputs[0].numel() + output.numel() + module.weight.numel()
        total[0] += device.operator_ms("depthwise" if depthwise else "dense", len(output) * places * module.weight.numel(), values)

    handles = [m.register_forward_hook(add) for m in block.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    try:
        with torch.inference_mode():
            block(example)
    finally:
        for handle in handles:
            handle.remove()
    return total[0]
