"""The claims of the course: `data/claims/<slug>.toml`, one table `[[claim]]` for every effect that a lab shows.

A claim says what was published, what we found, how, over how many seeds, and with which command it is found again.
"""

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root
from tinylib.course.cards import recipe_function

KINDS = ("measured here", "emulated", "simulated", "modelled")
STATUSES = ("holds", "null", "reversed")


@dataclass(frozen=True)
class Claim:
    """One claim. `low` to `high` is the interval of `value` over `seeds` seeds; `recompute` is "data/recipes/<slug>.py:function"."""

    id: str
    text: str
    published: str
    source: str
    ours: str
    value: float
    low: float
    high: float
    unit: str
    kind: str
    seeds: int
    status: str
    command: str
    recompute: str

    @property
    def slug(self) -> str:
        """The lab that makes the claim."""
        return self.id.partition(".")[0]

    @property
    def result(self) -> str:
        """Value with its interval and unit: "2.1 [1.8, 2.4] points"."""
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}] {self.unit}".rstrip()


def load_claims(root: Path | None = None) -> list[Claim]:
    """Every claim of the course at `root`, by file. Raises TinylibError naming file and claim."""
    files = sorted(((root or project_root()) / "data" / "claims").glob("*.toml"))
    claims = [claim for file in files for claim in read_claims(file)]
    ids = [claim.id for claim in claims]
    twice = next((i for i in ids if ids.count(i) > 1), None)
    if twice:
        raise TinylibError(f"Two claims have the id {twice!r}.")
    return claims


def read_claims(file: Path) -> list[Claim]:
    """The claims of one file, checked."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TinylibError(f"{file.name}: not readable as TOML: {error}") from None
    if set(tables) != {"claim"} or not isinstance(tables["claim"], list):
        raise TinylibError(f"{file.name}: holds [[claim]] tables and nothing else")
    return [checked_claim(file, number, table) for number, table in enumerate(tables["claim"], 1)]


def checked_claim(file: Path, number: int, table: dict) -> Claim:
    """The claim, or a TinylibError with everything that is wrong with it."""
    where = f"{file.name}, claim {number} ({table.get('id', 'no id')})"
    wanted = {f.name: f.type for f in fields(Claim)}
    problems = [f"lacks {name}" for name in wanted if name not in table] + [f"has an unknown field {name}" for name in table if name not in wanted]
    for name, kind in wanted.items():
        value = table.get(name)
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) if kind is float else type(value) is kind
        if name in table and (not right or value == ""):
            if name != "unit" or not isinstance(value, str):
                problems.append(f"{name} = {value!r} is not a {kind.__name__}")
    if problems:
        raise TinylibError(f"{where}: {'; '.join(problems)}")
    claim = Claim(**{name: float(table[name]) if kind is float else table[name] for name, kind in wanted.items()})
    problems = inconsistencies(claim, file.stem)
    if problems:
        raise TinylibError(f"{where}: {'; '.join(problems)}")
    return claim


def inconsistencies(claim: Claim, slug: str) -> list[str]:
    """Values that do not fit together."""
    found = []
    if not claim.id.startswith(f"{slug}."):
        found.append(f"the id starts with '{slug}.'")
    if not claim.low <= claim.value <= claim.high:
        found.append("low <= value <= high does not hold")
    if claim.kind not in KINDS:
        found.append(f"kind is one of {', '.join(KINDS)}")
    if claim.status not in STATUSES:
        found.append(f"status is one of {', '.join(STATUSES)}")
    if claim.seeds < 1:
        found.append("seeds is at least 1")
    if ".py:" not in claim.recompute:
        found.append('recompute is "data/recipes/slug.py:function"')
    return found


def recipe(claim: Claim, root: Path | None = None):
    """The function that finds the claim's numbers again. Raises TinylibError when there is none."""
    path, _, function = claim.recompute.partition(":")
    found = recipe_function((root or project_root()) / path, function)
    if found is None:
        raise TinylibError(f"Claim {claim.id}: {path} has no function {function}")
    return found


def recompute(claim: Claim, root: Path | None = None) -> dict:
    """{"value", "low", "high"} found again, and "agrees": whether the new value lies in the claimed interval or the intervals meet."""
    found = recipe(claim, root)()
    if not isinstance(found, dict) or not {"value", "low", "high"} <= set(found):
        raise TinylibError(f"Claim {claim.id}: {claim.recompute} must return value, low and high; it returned {found!r}")
    new = {key: float(found[key]) for key in ("value", "low", "high")}
    return new | {"agrees": new["low"] <= claim.high and claim.low <= new["high"]}


def table(claims: list[Claim]) -> str:
    """The claims as a Markdown table."""
    lines = ["| lab | claim | published | ours | measured | seeds | status |", "|---|---|---|---|---|---|---|"]
    for c in claims:
        cells = (c.slug, c.text, f"{c.published} ({c.source})", c.ours, f"{c.result}, {c.kind}", str(c.seeds), c.status)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)
