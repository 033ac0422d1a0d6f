"""Data sets on disk: one compressed npz with a card, a typed split, and the offline tools that make them from packages."""

import io
import json
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylib.core.checkpoint import read_card, sha256, verified_bytes, write_card
from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir

KINDS = ("real", "rendered", "synthetic")


@dataclass(frozen=True)
class Split:
    """Images (n, h, w) or (n, h, w, c) as uint8 and labels (n,) as uint8 or int64."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, n: int) -> "Split":
        """The first n examples (the shipped order is shuffled, so this is a fair sample)."""
        return Split(self.images[:n], self.labels[:n])

    def tensors(self):
        """(images float32 (n, c, h, w) in [-1, 1], labels int64 (n,)) as torch tensors."""
        import torch

        images = self.images[..., None] if self.images.ndim == 3 else self.images
        scaled = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float().div_(127.5).sub_(1.0)
        return scaled, torch.from_numpy(self.labels.astype(np.int64))


@dataclass(frozen=True)
class Splits:
    """Training, validation and test split, the names of the classes, and what the pictures are: real, rendered or synthetic."""

    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    kind: str


def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """An npz with LZMA inside (np.load reads it); the same bytes for the same arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_LZMA
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def save_set(name: str, arrays: dict[str, np.ndarray], *, title: str, source: str, licence: str, attribution: str, kind: str, made: str,
             share_alike: bool = False) -> Path:
    """Write `sets/<name>.npz` and its card (into `share_alike/` for such licences); returns the path of the npz."""
    if kind not in KINDS:
        raise TinylibError(f"kind must be one of {KINDS}, got {kind!r}")
    folder = data_dir() / ("share_alike" if share_alike else "sets")
    folder.mkdir(exist_ok=True)
    content = pack(arrays)
    path = folder / f"{name}.npz"
    path.write_bytes(content)
    write_card(path.with_suffix(".json"), {
        "name": name, "title": title, "file": path.name, "source": source, "licence": licence, "attribution": attribution, "kind": kind,
        "made": made, "recipe": f"tinylib data make {name}", "arrays": {key: [*value.shape] for key, value in arrays.items()},
        "bytes": len(content), "sha256": sha256(content)})
    return path


def load_set(name: str) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays, card) of a shipped set, hash checked; a missing or damaged one raises TinylibError with the command that remakes it."""
    folder = next((f for f in (data_dir() / "sets", data_dir() / "share_alike") if (f / f"{name}.json").exists()), data_dir() / "sets")
    card = read_card(folder / f"{name}.json", name)
    raw = verified_bytes(folder / f"{name}.npz", card, name)
    with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}, card


def stratified(labels: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Shuffled indices of `per_class` random examples of each class; TinylibError when a class has fewer."""
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < per_class:
            raise TinylibError(f"class {label} has {len(members)} examples, {per_class} wanted")
        chosen.append(rng.choice(members, per_class, replace=False))
    return rng.permutation(np.concatenate(chosen))


def debian_package(package: str, folder: Path) -> Path:
    """Download and unpack a Debian package under `folder` (no root needed); returns the unpacked tree. Only for `make`."""
    _run(["apt-get", "download", package], folder)
    archive = next(folder.glob(f"{package}_*.deb"))
    tree = folder / package
    _run(["dpkg", "-x", str(archive), str(tree)], folder)
    return tree


def npm_package(package: str, folder: Path) -> Path:
    """Download an npm package ("name@version") with `npm pack`; returns the path of the .tgz. Only for `make`."""
    answer = json.loads(_run(["npm", "pack", "--json", package], folder))
    return folder / answer[0]["filename"]


def _run(command: list[str], folder: Path) -> str:
    try:
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        raise TinylibError(f"{' '.join(command)} failed: {detail.strip()[-300:]}. Making this set needs {command[0]} and a network.") from error
