"""Networks and recorded results on disk: safetensors, npz or JSON, each with a card that says how it was made, and a hash.

A card is `<name>.json` beside a checkpoint, `<name>.card.json` beside a record. No pickle is read or written.
"""

import hashlib
import importlib
import io
import json
from pathlib import Path

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def write_card(path: Path, card: dict) -> None:
    """Write a card as readable JSON with a fixed order of keys."""
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_card(path: Path, name: str) -> dict:
    """Read the card of `name`; a missing or broken one raises TinylibError with the command that remakes it."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TinylibError(f"{path.name} is missing or damaged. Remake it with: tinylib data make {name}") from error
    if not isinstance(card, dict) or "sha256" not in card:
        raise TinylibError(f"{path.name} is not a card with a hash. Remake it with: tinylib data make {name}")
    return card


def verified_bytes(path: Path, card: dict, name: str) -> bytes:
    """Content of `path` when it has the card's SHA-256; else TinylibError with the command that remakes it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TinylibError(f"{path.name} is missing. Remake it with: tinylib data make {name}") from error
    if sha256(content) != card["sha256"]:
        raise TinylibError(f"{path.name} is damaged (its hash is not the card's). Remake it with: tinylib data make {name}")
    return content


def _folder(kind: str) -> Path:
    folder = data_dir() / kind
    folder.mkdir(exist_ok=True)
    return folder


def save_checkpoint(name: str, state_dict: dict, *, factory: str, arguments: dict, recipe: str, seed: int, seconds: float, metrics: dict) -> Path:
    """Write `data/checkpoints/<name>.safetensors` and its card; returns the path.

    `factory`: "package.module:function" that builds the network from `arguments` (JSON values).
    `recipe`: the command that remakes it. `seconds`: CPU time of the recipe. `metrics`: name to number.
    """
    from safetensors.torch import save

    content = save({key: value.detach().cpu().contiguous().clone() for key, value in state_dict.items()})
    path = _folder("checkpoints") / f"{name}.safetensors"
    path.write_bytes(content)
    write_card(path.with_suffix(".json"), {
        "name": name, "file": path.name, "factory": factory, "arguments": arguments, "recipe": recipe, "seed": seed,
        "seconds": round(seconds, 1), "metrics": metrics, "bytes": len(content), "sha256": sha256(content)})
    return path


def load_checkpoint(name: str) -> tuple[dict, dict]:
    """(state_dict, card) of a checkpoint whose hash was checked."""
    from safetensors.torch import load

    path = data_dir() / "checkpoints" / f"{name}.safetensors"
    card = read_card(path.with_suffix(".json"), name)
    return load(verified_bytes(path, card, name)), card


def load_model(name: str):
    """The network of a checkpoint, built by its factory, in eval mode. The global random state is left as it was."""
    import torch

    state, card = load_checkpoint(name)
    module, _, function = card["factory"].partition(":")
    with torch.random.fork_rng(devices=[]):
        model = getattr(importlib.import_module(module), function)(**card["arguments"])
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise TinylibError(f"Checkpoint {name} does not fit {card['factory']}. Remake it with: tinylib data make {name}") from error
    return model.eval()


def save_record(name: str, content: object, *, recipe: str, seed: int, seconds: float, note: str) -> Path:
    """Write `data/records/<name>.npz` (a dict of numpy arrays) or `.json` (any other JSON value) and its card; returns the path."""
    arrays = isinstance(content, dict) and bool(content) and all(isinstance(value, np.ndarray) for value in content.values())
    if arrays:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **content)
        raw = buffer.getvalue()
    else:
        raw = (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    folder = _folder("records")
    path, other = (folder / f"{name}{ending}" for ending in ((".npz", ".json") if arrays else (".json", ".npz")))
    other.unlink(missing_ok=True)
    path.write_bytes(raw)
    write_card(folder / f"{name}.card.json", {
        "name": name, "file": path.name, "recipe": recipe, "seed": seed, "seconds": round(seconds, 1), "note": note,
        "bytes": len(raw), "sha256": sha256(raw)})
    return path


def load_record(name: str):
    """The record: dict of arrays for an npz, else the JSON value. Hash checked."""
    folder = data_dir() / "records"
    card = read_card(folder / f"{name}.card.json", name)
    raw = verified_bytes(folder / card["file"], card, name)
    if card["file"].endswith(".npz"):
        with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    return json.loads(raw)
