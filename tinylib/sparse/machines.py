"""Machines for the cost model of `tune`: files of `data/machines/*_matmul.toml`, each with its source."""

import tomllib
from dataclasses import fields

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir
from tinylib.sparse.tune import MatmulModel


def matmul_model(name: str) -> MatmulModel:
    """The `MatmulModel` of `data/machines/<name>_matmul.toml`; TinylibError when the file is missing or a number is."""
    path = data_dir() / "machines" / f"{name}_matmul.toml"
    try:
        values = tomllib.loads(path.read_text())
        return MatmulModel(**{field.name: values[field.name] for field in fields(MatmulModel)})
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        known = sorted(p.stem.removesuffix("_matmul") for p in path.parent.glob("*_matmul.toml"))
        raise TinylibError(f"no readable machine {path.name}; there are {known}") from error
