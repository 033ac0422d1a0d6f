"""The deployment passport: one row a compressed network, collected over the labs in `my_labs/passport.json`."""

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root

KINDS = ("measured here", "emulated", "simulated", "modelled")


@dataclass(frozen=True)
class Row:
    """What a network costs and is worth.

    `lab`: slug. `network`: hash of its weights. `accuracy`: share of right test answers, 0 to 1. `n_bytes`: weights as stored.
    `macs`: of one inference. `peak_bytes`: activations at the worst moment. `instructions`: of one inference on the device, where known.
    `kind`: how the costs were found ("measured here", "emulated", "simulated" or "modelled").
    """

    lab: str
    network: str
    accuracy: float
    n_bytes: int
    macs: int
    peak_bytes: int
    instructions: int | None = None
    kind: str = "measured here"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise TinylibError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not (isinstance(self.accuracy, float) and 0 <= self.accuracy <= 1):
            raise TinylibError(f"accuracy is a share between 0 and 1, not {self.accuracy!r}")
        for name in ("n_bytes", "macs", "peak_bytes", "instructions"):
            value = getattr(self, name)
            if not (name == "instructions" and value is None) and not (isinstance(value, int) and value >= 0):
                raise TinylibError(f"{name} is a whole number of at least 0, not {value!r}")


def passport_file() -> Path:
    """`my_labs/passport.json`, or `passport.json` in TINYLIB_HOME when that is set."""
    home = os.environ.get("TINYLIB_HOME")
    return Path(home) / "passport.json" if home else project_root() / "my_labs" / "passport.json"


def network_hash(state_dict: dict) -> str:
    """Sixteen hex digits over names, shapes, types and values of a state dict (tensors or numpy arrays)."""
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        value = state_dict[name]
        array = value.detach().cpu().contiguous().numpy() if hasattr(value, "detach") else value
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def stamp(lab: str, network, *, accuracy: float, n_bytes: float, macs: int, peak_bytes: int, instructions: int | None = None,
          kind: str = "measured here") -> Row:
    """Put the network of a lab into the passport, in place of the lab's earlier row; gives the row.

    `network`: torch module or state dict. `n_bytes` is rounded up to whole bytes.
    """
    state = network.state_dict() if hasattr(network, "state_dict") else network
    row = Row(lab, network_hash(state), float(accuracy), math.ceil(n_bytes), int(macs), int(peak_bytes),
              None if instructions is None else int(instructions), kind)
    write_rows([r for r in read_rows() if r.lab != lab] + [row])
    return row


def write_rows(rows: list[Row]) -> None:
    """Replace the file in one step, so that a crash leaves the old one."""
    file = passport_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    draft.replace(file)


def read_rows() -> list[Row]:
    """The rows so far; empty without a file. Raises TinylibError for a damaged one."""
    file = passport_file()
    try:
        return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))] if file.exists() else []
    except (ValueError, TypeError, TinylibError):
        raise TinylibError(f"{file} is damaged. Move it away; each lab writes its row again when it is run.") from None
