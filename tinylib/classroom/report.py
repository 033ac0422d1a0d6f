"""For the instructor: what was hard, what separates, which mistakes are common, whose work is alike. Information for a person, no penalty."""

import ast
import hashlib
from collections import Counter, defaultdict

import numpy as np

from tinylib.classroom.answers import Answers
from tinylib.classroom.assignment import Assignment
from tinylib.classroom.judge import Result

FEW = 5             # below so many students a correlation says nothing
ALIKE_PARTS = 2     # so many equal answers make a pair worth a look


def items(results: list[Result]) -> list[dict]:
    """Per part: mean share of its points (difficulty), correlation with the rest of the total (discrimination), common misconceptions."""
    results = [r for r in results if r.kind == "notebook"]
    totals = np.array([r.points for r in results], float)
    by_part = defaultdict(list)
    for result in results:
        for score in result.scores:
            by_part[score.id].append(score)
    return [_item(name, scores, totals) for name, scores in by_part.items()]


def _item(name, scores, totals) -> dict:
    points = np.array([s.points for s in scores], float)
    rest = totals - points
    varies = len(points) >= FEW and np.ptp(points) > 0 and np.ptp(rest) > 0
    common = Counter(s.misconception for s in scores if s.misconception).most_common(3)
    kinds = Counter(s.kind for s in scores)
    return {"part": name, "students": len(scores), "mean": float(points.mean() / max(s.max_points for s in scores)),
            "discrimination": float(np.corrcoef(points, rest)[0, 1]) if varies else None, "misconceptions": common, "kinds": dict(kinds)}


def skeleton(source: str) -> str:
    """Hash of the code's shape: names, constants' values, comments and docstrings do not count. "" for what does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body[:] = body[1:] or [ast.Pass()]
    shape = [type(n).__name__ for n in ast.walk(tree)]
    return hashlib.sha256(" ".join(shape).encode()).hexdigest()[:16] if len(shape) > 25 else ""


def alike(submissions: list[Answers], results: list[Result], assignment: Assignment) -> list[tuple[str, str, list[str]]]:
    """(student, student, parts) of pairs with several answers of the same shape, or the same wrong answer to a question; most first."""
    groups = defaultdict(set)
    stubs = {p.id: p.stub for p in assignment.parts}
    for answers in submissions:
        for part in (p for p in assignment.parts if p.kind == "exercise"):
            source = answers.sources.get(part.id, "")
            if source.strip() != stubs[part.id].strip() and skeleton(source):
                groups[part.id, skeleton(source)].add(answers.learner)
    for result in results:
        for score in result.scores:
            if score.kind == "wrong" and score.answer:
                groups[score.id, score.answer].add(result.learner)
    pairs = defaultdict(set)
    for (part, _), names in groups.items():
        for a in names:
            for b in names:
                if a < b:
                    pairs[a, b].add(part)
    found = [(a, b, sorted(parts)) for (a, b), parts in pairs.items() if len(parts) >= ALIKE_PARTS]
    return sorted(found, key=lambda pair: (-len(pair[2]), pair[:2]))


def text(results: list[Result], submissions: list[Answers], assignment: Assignment) -> str:
    """The report as text."""
    lines = [f"{assignment.stem}: {len(results)} students; machine-graded points out of {assignment.points(assignment.by_machine):g}, "
             f"{assignment.points(assignment.by_hand):g} more by hand.", *(sorted({r.level for r in results})), ""]
    lines.append(f"{'part':34} {'mean':>6} {'discr.':>7}  outcome")
    for item in items(results):
        discrimination = "-" if item["discrimination"] is None else f"{item['discrimination']:.2f}"
        outcome = ", ".join(f"{n} {kind}" for kind, n in sorted(item["kinds"].items(), key=lambda pair: -pair[1]))
        lines.append(f"{item['part']:34} {item['mean']:6.0%} {discrimination:>7}  {outcome}")
        lines += [f"{'':50}{n} x {sentence}" for sentence, n in item["misconceptions"]]
    lines += ["", "Odd submissions:"] + [f"  {r.learner}: {' '.join(r.notes)}" for r in results if r.notes]
    pairs = alike(submissions, results, assignment)
    lines += ["", "Alike (for a person to look at; short answers are often alike by chance):"]
    lines += [f"  {a} and {b}: {', '.join(parts)}" for a, b, parts in pairs[:20]] or ["  none"]
    return "\n".join(lines)
