"""The cards beside data sets, checkpoints and records: what a file is, where it comes from, its hash, the command that remakes it."""

import hashlib
import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from tinylib.core.errors import TinylibError

NO_CARD = ("README.md", "LICENSES.md")          # files in data/ that are text about it
NO_CARD_FOLDERS = ("recipes", "claims", "boards", "devices", "machines")     # code, and facts with their source inside


@dataclass(frozen=True)
class Card:
    """One card and the file that it is about."""

    path: Path
    fields: dict

    @property
    def name(self) -> str:
        """Name as `tinylib data make` takes it."""
        return self.fields.get("name", self.path.name.removesuffix(".json").removesuffix(".card"))

    @property
    def file(self) -> Path:
        """The file itself."""
        return self.path.parent / str(self.fields.get("file", ""))


def read_cards(data: Path) -> list[Card]:
    """Every card under `data`: a .json with a "sha256". Raises TinylibError for JSON that cannot be read."""
    found = []
    for path in sorted(data.rglob("*.json")):
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError):
            raise TinylibError(f"data/{path.relative_to(data).as_posix()} is not readable as JSON") from None
        if isinstance(fields, dict) and "sha256" in fields:
            found.append(Card(path, fields))
    return found


def card_problems(card: Card) -> list[str]:
    """What is wrong with a card or its file; empty when the file is what the card says."""
    remedy = f"remake it with: tinylib data make {card.name}"
    if not card.fields.get("file") or not card.file.is_file():
        return [f"{card.path.name}: its file {card.fields.get('file')!r} is missing; {remedy}"]
    found = []
    if hashlib.sha256(card.file.read_bytes()).hexdigest() != card.fields["sha256"]:
        found.append(f"{card.file.name} is not what its card says; {remedy}")
    if not card.fields.get("recipe"):
        found.append(f"{card.path.name} names no recipe")
    return found


def without_card(data: Path, cards: list[Card]) -> list[Path]:
    """Files under `data` that no card is about."""
    known = {card.path for card in cards} | {card.file for card in cards}
    return [path for path in sorted(data.rglob("*")) if path.is_file() and path not in known and path.name not in NO_CARD
            and path.relative_to(data).parts[0] not in NO_CARD_FOLDERS and "__pycache__" not in path.parts]


def recipe_function(file: Path, function: str):
    """The function of a recipe file, None when there is no such file or function. Recipes may import each other by name."""
    if not file.is_file():
        return None
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec = importlib.util.spec_from_file_location(f"recipe_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    return found if callable(found) else None
