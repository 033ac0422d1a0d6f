"""Adaptive grouping: which offsets share one batched multiplication, what padding that costs, and the search for the best setting.

Offsets are taken in symmetric pairs (0, K-1), (1, K-2), ...: on a submanifold map both of a pair have the same size. A group grows while
1 - smallest / largest stays within the tolerance. It is padded to its largest offset and multiplied at once when that is below the threshold.
Paper: TorchSparse (Tang et al., MLSys 2022), section 4.2.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from tinylib.core.errors import TinylibError

TOLERANCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
THRESHOLDS = (0, 256, 1024, 4096, 2**62)


@dataclass(frozen=True)
class Plan:
    """How the offsets of one layer are grouped; tolerance 0..1, threshold in rows."""

    tolerance: float
    threshold: int


@dataclass(frozen=True)
class Group:
    """Offsets that are multiplied together, their sizes in pairs, and whether as one padded batch or one after the other."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    batched: bool

    @property
    def rows(self) -> int:
        """Rows of the multiplication, padding included."""
        return len(self.sizes) * max(self.sizes) if self.batched else sum(self.sizes)

    @property
    def launches(self) -> int:
        """Multiplications that are started."""
        return 1 if self.batched else len(self.sizes)


def symmetric_order(count: int) -> list[int]:
    """0, K-1, 1, K-2, ...; the middle of an odd count comes last."""
    return [i for a in range((count + 1) // 2) for i in dict.fromkeys((a, count - 1 - a))]


def group_offsets(sizes: Sequence[int], tolerance: float, threshold: int, *, centre: int | None = None) -> list[Group]:
    """Groups of the offsets that have pairs, in symmetric order. `centre`, the identity of a submanifold map, is a group of its own and last.

    Tolerance 0 puts together equal sizes only, tolerance 1 everything. Offsets without pairs belong to no group.
    """
    if not 0 <= tolerance <= 1 or threshold < 0:
        raise TinylibError(f"the tolerance must be from 0 to 1 and the threshold not negative, not {tolerance} and {threshold}")
    sizes, runs = [int(s) for s in sizes], []
    for d in symmetric_order(len(sizes)):
        if not sizes[d] or d == centre:
            continue
        trial = [sizes[i] for i in (runs[-1] if runs else [])] + [sizes[d]]
        if not runs or 1 - min(trial) / max(trial) > tolerance:
            runs.append([])
        runs[-1].append(d)
    if centre is not None and sizes[centre]:
        runs.append([centre])
    parts = [(tuple(run), tuple(sizes[d] for d in run)) for run in runs]
    return [Group(run, part, max(part) < threshold) for run, part in parts]


def padded_macs(groups: Iterable[Group], c_in: int, c_out: int) -> int:
    """Multiply-accumulates that are done: batched groups count their largest offset for every offset, others only their pairs."""
    return sum(g.rows for g in groups) * c_in * c_out


def useful_macs(groups: Iterable[Group], c_in: int, c_out: int) -> int:
    """Multiply-accumulates that matter: pairs x channels in x channels out."""
    return sum(sum(g.sizes) for g in groups) * c_in * c_out


def launches(groups: Iterable[Group]) -> int:
    """Multiplications that are started: one for a batched group, one for each offset of another."""
    return sum(g.launches for g in groups)


@dataclass(frozen=True)
class MatmulModel:
    """A machine that pays `launch_us` for each multiplication and reaches half of `gmacs` (10^9 MACs a second) at `half_rows` rows."""

    launch_us: float = 10.0
    gmacs: float = 5000.0
    half_rows: int = 2000

    def time_us(self, groups: Iterable[Group], c_in: int, c_out: int) -> float:
        """Modelled time of all groups in microseconds: launch + MACs / (peak x rows / (rows + half_rows)) for each multiplication."""
        rows = [r for g in groups for r in ([g.rows] if g.batched else g.sizes)]
        return sum(self.launch_us + (r + self.half_rows) * c_in * c_out / (self.gmacs * 1e3) for r in rows)


def tune(cost: Callable[[Plan], float], *, tolerances: Sequence[float] = TOLERANCES, thresholds: Sequence[int] = THRESHOLDS) -> tuple[Plan, dict[Plan, float]]:
    """(the plan of least cost, the cost of each). `cost` gets a plan and gives time summed over the sample inputs of one layer.

    The first of equal plans wins, so a plan with more padding is taken only when it pays.
    """
    costs = {plan: cost(plan) for plan in (Plan(*pair) for pair in product(tolerances, thresholds))}
    if not costs:
        raise TinylibError("give at least one tolerance and one threshold")
    return min(costs, key=costs.get), costs
