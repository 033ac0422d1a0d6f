"""What a student gets back, as Markdown and HTML: properties in words, misconceptions, hints, comments; never an instance or an expected value."""

import html

from tinylib.check import find
from tinylib.classroom.assignment import Assignment
from tinylib.classroom.judge import Result, Score

MARKS = {"passed": "passed", "partly": "partly", "by hand": "graded by hand", "unanswered": "not answered",
         "missing": "cell missing", "not started": "not started"}


def markdown(result: Result, assignment: Assignment, hand: dict | None = None, total: float | None = None, late: float = 0.0) -> str:
    """The feedback as Markdown. `hand`: part id -> {"points", "comment"} of what a person graded; `total` where a gradebook knows it; `late`: points lost."""
    hand = hand or {}
    if total is None:
        total = result.points + sum(float(hand.get(p.id, {}).get("points") or 0) for p in assignment.by_hand)
    lines = [f"# {assignment.stem}: {_plain(result.learner)}", "", f"**{total:g} of {assignment.points():g} points**", ""]
    if late:
        lines += [f"It came late: {late:g} points are taken off in this total.", ""]
    waiting = [p for p in assignment.by_hand if hand.get(p.id, {}).get("points") is None]
    if waiting:
        lines += [f"{assignment.points(waiting):g} points are graded by a person and still open.", ""]
    lines += [f"- {_plain(note)}" for note in result.notes] + [""] * bool(result.notes)
    for score in result.scores:
        lines += _part(score) + _by_person(hand.get(score.id, {}))
    for part in assignment.by_hand:
        given = hand.get(part.id, {})
        points = "open" if given.get("points") is None else f"{float(given['points']):g}"
        lines += [f"## {part.id}: {points} of {part.points:g}", ""] + ([f"> {_plain(given['comment'])}", ""] if given.get("comment") else [])
    return "\n".join(lines)


def _by_person(given: dict) -> list[str]:
    changed = [f"Points after a person's look: {float(given['points']):g}", ""] if given.get("points") is not None else []
    return changed + ([f"> {_plain(given['comment'])}", ""] if given.get("comment") else [])


def _part(score: Score) -> list[str]:
    lines = [f"## {score.id}: {score.points:g} of {score.max_points:g} ({MARKS.get(score.kind, 'not yet')})", ""]
    if score.kind == "passed":
        return [*lines, _plain(score.sentence), ""]
    lines += [_plain(score.sentence), ""] if score.sentence else []
    lines += [f"- held: {_plain(name)}" for name in score.held] + [f"- **failed: {_plain(name)}**" for name in score.broken]
    lines += [""] if score.held or score.broken else []
    if score.misconception:
        lines += [f"A likely reason: {_plain(score.misconception)}", ""]
    if score.broken or score.kind == "not started":
        hints = find.exercise(score.id).hints
        lines += ["Hints:", *(f"{i}. {hint}" for i, hint in enumerate(hints, 1)), ""]
    return lines


def _plain(text) -> str:
    """Text from a submission or a person, without line breaks and Markdown or HTML of its own."""
    return html.escape(" ".join(str(text).split()), quote=False)[:600]


def page(text: str, title: str) -> str:
    """A small HTML page of our own Markdown (headings, lists, quotes, paragraphs)."""
    body, inside = [], ""
    for line in text.split("\n"):
        kind = "ul" if line.startswith("- ") else "ol" if line[:2].rstrip(".").isdigit() and ". " in line[:4] else ""
        if kind != inside:
            body += [f"</{inside}>"] * bool(inside) + [f"<{kind}>"] * bool(kind)
            inside = kind
        body.append(_line(line, kind))
    body += [f"</{inside}>"] * bool(inside)
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
            '<body style="font-family:sans-serif;max-width:46em;margin:2em auto;line-height:1.45">' + "\n".join(filter(None, body)) + "</body></html>\n")


def _line(line: str, kind: str) -> str:
    text = line.partition(" ")[2] if kind else line.lstrip("#> ")
    text = html.escape(html.unescape(text), quote=False)
    while text.count("**") >= 2:
        text = text.replace("**", "<strong>", 1).replace("**", "</strong>", 1)
    if kind:
        return f"<li>{text}</li>"
    tag = {"# ": "h1", "##": "h2", "> ": "blockquote"}.get(line[:2], "p")
    return f"<{tag}>{text}</{tag}>" if line else ""
