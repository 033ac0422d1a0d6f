"""A search space as data: genes with values, some of them active only when another gene is large enough.

A candidate is a dict gene name -> value, with None for a gene that is not active, so that one network has one candidate and one code.
Lab: once_for_all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError

Candidate = dict


@dataclass(frozen=True)
class Gene:
    """One choice. With `needs=("depth", 2)` it is active only where gene "depth" has a value of at least 2."""

    name: str
    values: tuple
    needs: tuple[str, float] | None = None


@dataclass(frozen=True)
class Space:
    """An ordered list of genes; a gene may need only genes before it."""

    genes: tuple[Gene, ...]

    def __post_init__(self):
        seen = set()
        for gene in self.genes:
            if gene.name in seen or not gene.values or len(set(gene.values)) != len(gene.values):
                raise TinylibError(f"gene {gene.name!r} is listed twice, or has no values or equal ones")
            if gene.needs and gene.needs[0] not in seen:
                raise TinylibError(f"gene {gene.name!r} needs {gene.needs[0]!r}, which does not stand before it")
            seen.add(gene.name)

    def canonical(self, candidate: Candidate) -> Candidate:
        """The candidate with None for every gene that is not active; raises when a value is none of the gene's."""
        clean: Candidate = {}
        for gene in self.genes:
            if not _active(gene, clean):
                clean[gene.name] = None
            elif candidate.get(gene.name) in gene.values:
                clean[gene.name] = candidate[gene.name]
            else:
                raise TinylibError(f"gene {gene.name!r} must be one of {gene.values}, not {candidate.get(gene.name)!r}")
        return clean

    def encode(self, candidate: Candidate) -> np.ndarray:
        """One-hot code, float32 (length,): one place for each value of each gene; zeros for a gene that is not active."""
        clean = self.canonical(candidate)
        return np.array([float(clean[g.name] == v and clean[g.name] is not None) for g in self.genes for v in g.values], dtype=np.float32)

    def decode(self, code: np.ndarray) -> Candidate:
        """The candidate of a code; raises when the code belongs to no network."""
        parts = np.split(np.asarray(code), np.cumsum([len(g.values) for g in self.genes])[:-1])
        raw = {g.name: g.values[int(part.argmax())] if part.any() else None for g, part in zip(self.genes, parts)}
        clean = self.canonical(raw)
        if not np.array_equal(self.encode(clean), code):
            raise TinylibError("this code belongs to no network of the space")
        return clean

    def sample(self, rng: np.random.Generator) -> Candidate:
        """Every active gene drawn uniformly."""
        clean: Candidate = {}
        for gene in self.genes:
            clean[gene.name] = _draw(gene, rng) if _active(gene, clean) else None
        return clean

    def mutate(self, candidate: Candidate, rng: np.random.Generator, *, rate: float = 0.1) -> Candidate:
        """Each active gene is drawn anew with probability `rate`; a gene that wakes up is drawn."""
        clean: Candidate = {}
        for gene in self.genes:
            if not _active(gene, clean):
                clean[gene.name] = None
            elif candidate[gene.name] is None or rng.random() < rate:
                clean[gene.name] = _draw(gene, rng)
            else:
                clean[gene.name] = candidate[gene.name]
        return clean

    def cross(self, one: Candidate, other: Candidate, rng: np.random.Generator) -> Candidate:
        """Each active gene from one parent or the other; from the one that has it where only one does."""
        clean: Candidate = {}
        for gene in self.genes:
            options = [p[gene.name] for p in (one, other) if p[gene.name] is not None]
            if not _active(gene, clean):
                clean[gene.name] = None
            else:
                clean[gene.name] = options[int(rng.integers(len(options)))] if options else _draw(gene, rng)
        return clean

    def size(self) -> int:
        """Number of different networks."""
        return sum(1 for _ in self.all()) if self._count() is None else self._count()

    def _count(self) -> int | None:
        """Count by formula when every need points at a gene without needs of its own; else None."""
        free = [g for g in self.genes if not g.needs]
        names = {g.name for g in free}
        if any(g.needs and g.needs[0] not in names for g in self.genes):
            return None
        total = 1
        for gene in free:
            readers = [g for g in self.genes if g.needs and g.needs[0] == gene.name]
            total *= sum(int(np.prod([len(r.values) for r in readers if value >= r.needs[1]], dtype=object)) for value in gene.values)
        return total

    def all(self) -> Iterator[Candidate]:
        """Every network once; for small spaces."""
        def grow(prefix: Candidate, rest: tuple[Gene, ...]) -> Iterator[Candidate]:
            if not rest:
                yield dict(prefix)
                return
            values = rest[0].values if _active(rest[0], prefix) else (None,)
            for value in values:
                yield from grow({**prefix, rest[0].name: value}, rest[1:])

        return grow({}, self.genes)


def _active(gene: Gene, chosen: Candidate) -> bool:
    if gene.needs is None:
        return True
    value = chosen[gene.needs[0]]
    return value is not None and value >= gene.needs[1]


def _draw(gene: Gene, rng: np.random.Generator):
    return gene.values[int(rng.integers(len(gene.values)))]
