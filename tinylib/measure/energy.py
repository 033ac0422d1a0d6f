"""Energy of arithmetic and of moving data, from a published table. A model, not a measurement of your machine."""

import json
from dataclasses import dataclass

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir


@dataclass(frozen=True)
class EnergyTable:
    """Picojoule per operation ("int8 add") and per 64-bit access ("DRAM"), with the source."""

    name: str
    source: str
    operations: dict[str, float]
    accesses_64_bit: dict[str, float]

    def mac_pj(self, dtype: str) -> float:
        """One multiply and one add. An 8-bit product is added in 32 bits, a float in its own width."""
        total = "int32" if dtype.startswith("int") else dtype
        return self._operation(f"{dtype} multiply") + self._operation(f"{total} add")

    def byte_pj(self, memory: str) -> float:
        """One byte read from or written to `memory`."""
        if memory not in self.accesses_64_bit:
            raise TinylibError(f"No memory {memory!r} in {self.name}; there are {', '.join(self.accesses_64_bit)}.")
        return self.accesses_64_bit[memory] / 8

    def _operation(self, name: str) -> float:
        if name not in self.operations:
            raise TinylibError(f"No operation {name!r} in {self.name}; there are {', '.join(self.operations)}.")
        return self.operations[name]


def energy_uj(macs: int, moved_bytes: int, table: EnergyTable, *, dtype: str = "float32", memory: str = "DRAM") -> float:
    """Microjoule for `macs` of arithmetic and `moved_bytes` of traffic; everything else (control, leakage) is left out."""
    return (macs * table.mac_pj(dtype) + moved_bytes * table.byte_pj(memory)) / 1e6


def load_energy_table(name: str = "horowitz_45nm") -> EnergyTable:
    """The table `data/machines/<name>.json`."""
    path = data_dir() / "machines" / f"{name}.json"
    if not path.is_file():
        raise TinylibError(f"No energy table {name!r} in {path.parent}.")
    card = json.loads(path.read_text())
    return EnergyTable(card["name"], card["source"], card["operations"], card["accesses_64_bit"])
