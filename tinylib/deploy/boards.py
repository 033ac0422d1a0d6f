"""Microcontroller boards as data files: `data/boards/<name>.toml` with SRAM, flash, clock, core and where the figures are from."""

import tomllib
from dataclasses import dataclass

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir


@dataclass(frozen=True)
class Board:
    """What limits a program: bytes of SRAM (one block that the program may use) and flash, clock in Hz, core, data source."""

    name: str
    core: str
    sram_bytes: int
    flash_bytes: int
    clock_hz: int
    source: str
    note: str = ""


def board_names() -> list[str]:
    """Names of all boards that have a data file."""
    return sorted(path.stem for path in (data_dir() / "boards").glob("*.toml"))


def load_board(name: str) -> Board:
    """The board called `name`; an unknown name raises TinylibError with the known ones."""
    path = data_dir() / "boards" / f"{name}.toml"
    if not path.is_file():
        raise TinylibError(f"No board {name!r}. Known boards: {', '.join(board_names())}. A new one is a file data/boards/NAME.toml.")
    return Board(name=name, **tomllib.loads(path.read_text()))
