"""What a student gets back, as Markdown and HTML: properties in words, misconceptions, hints, comments; never an instance or an expected value."""

import html
import re

from tinylib.check import find
from tinylib.check.learner import learner_rng
from tinylib.classroom.assignment import Assignment, Part
from tinylib.classroom.judge import Result, Score

MARKS = {"passed": "passed", "partly": "partly", "unanswered": "not answered", "missing": "cell missing", "not started": "not started", "wrong": "not yet",
         "error": "not yet", "time": "not yet", "value": "not yet"}
HEADING = re.compile(r"## (.+): (\S+) of (\S+) \((.+)\)")
COLOURS = {"passed": "#009E73", "partly": "#E69F00", "not yet": "#D55E00", "graded by a person": "#0072B2", "still open": "#0072B2"}


def markdown(result: Result, assignment: Assignment, hand: dict | None = None, total: float | None = None, late: float = 0.0) -> str:
    """The feedback as Markdown. `hand`: part id -> {"points", "comment"} of what a person graded; `total` where a gradebook knows it; `late`: points lost."""
    hand = hand or {}
    if total is None:
        total = result.points + sum(float(hand.get(p.id, {}).get("points") or 0) for p in assignment.by_hand)
    waiting = [p for p in assignment.by_hand if hand.get(p.id, {}).get("points") is None]
    lines = [f"# {_title(assignment)}: feedback for {_plain(result.learner)}", "", f"**{total:g} of {assignment.points():g} points**", "", summary(result), ""]
    if late:
        lines += [f"It came late: {late:g} points are taken off in this total.", ""]
    if waiting:
        lines += [f"{assignment.points(waiting):g} points are graded by a person and still open.", ""]
    lines += [f"- {_plain(note)}" for note in result.notes] + [""] * bool(result.notes)
    scores = {s.id: s for s in result.scores}
    for part in assignment.parts:
        given = hand.get(part.id, {})
        lines += _by_hand(part, given) if part.kind == "reason" else [*_part(scores[part.id], part, assignment, result.learner), *_by_person(given)]
    return "\n".join(lines)


def summary(result: Result) -> str:
    """One sentence on the exercises, which says first what is there."""
    code = [s for s in result.scores if s.groups or s.kind in ("not started", "missing")]
    passed, partly = (sum(s.kind == kind for s in code) for kind in ("passed", "partly"))
    open_now = sum(s.kind in ("not started", "missing") for s in code)
    rest = len(code) - passed - partly - open_now
    if code and passed == len(code):
        return "Every exercise passes. Well done."
    told = [f"{n} {words}" for n, words in ((passed, "pass"), (partly, "hold in part"), (rest, "do not hold yet"), (open_now, "are not started")) if n]
    return f"Of {len(code)} exercises {', '.join(told)}." if told else ""


def _title(assignment: Assignment) -> str:
    return assignment.slug.replace("_", " ").capitalize()


def name_of(part: Part, assignment: Assignment) -> str:
    """A part as a student knows it: the function's name, "quiz 2", "prediction time"."""
    short = part.id.removeprefix(f"{assignment.slug}.")
    words = {"exercise": part.entry, "prediction": f"prediction {short}", "quiz": short.replace(".", " "), "decision": f"decision {short}"}
    return _plain(words.get(part.kind, "your reason" if short.endswith("reason") else short).replace("decision decide", "decision"))


def _by_hand(part: Part, given: dict) -> list[str]:
    is_open = given.get("points") is None
    points = "open" if is_open else f"{float(given['points']):g}"
    return [f"## your reason: {points} of {part.points:g} ({'still open' if is_open else 'graded by a person'})", "", *_comment(given)]


def _by_person(given: dict) -> list[str]:
    changed = [f"Points after a person's look: {float(given['points']):g}", ""] if given.get("points") is not None else []
    return changed + _comment(given)


def _comment(given: dict) -> list[str]:
    return [f"> {_plain(given['comment'], 4000)}", ""] if given.get("comment") else []


def _part(score: Score, part: Part, assignment: Assignment, learner: str) -> list[str]:
    lines = [f"## {name_of(part, assignment)}: {score.points:g} of {score.max_points:g} ({MARKS.get(score.kind, 'not yet')})", ""]
    if part.kind in ("quiz", "decision") and score.kind != "passed":
        lines += [_plain(find.question(part.id).ask(learner_rng(learner, part.id)).prompt, 2000), ""]
    lines += [_plain(score.sentence), ""] if score.sentence else []
    if score.kind == "passed":
        return lines
    lines += [f"- holds: {_plain(name)}" for name in score.held] + [f"- **does not hold yet: {_plain(name)}**" for name in score.broken]
    lines += [""] if score.held or score.broken else []
    if score.misconception:
        lines += [f"A likely reason: {_plain(score.misconception)}", ""]
    if score.broken or score.kind == "not started":
        lines += ["Hints, the last says most:", "", *(f"{i}. {hint}" for i, hint in enumerate(find.exercise(score.id).hints, 1)), ""]
    return lines


def _plain(text, most: int = 600) -> str:
    """Text from a submission or a person, without line breaks and Markdown or HTML of its own."""
    return html.escape(" ".join(str(text).split()), quote=False)[:most]


def page(text: str, title: str) -> str:
    """An HTML page of our own Markdown (headings, lists, quotes, paragraphs): one card a part, its colour and words say how it went."""
    body, inside, cards = [], "", 0
    for line in text.split("\n"):
        kind = "ul" if line.startswith("- ") else "ol" if line[:2].rstrip(".").isdigit() and ". " in line[:4] else ""
        if kind != inside:
            body += [f"</{inside}>"] * bool(inside) + [f"<{kind}>"] * bool(kind)
            inside = kind
        if line.startswith("## "):
            body += ["</section>"] * bool(cards) + [_card(line)]
            cards += 1
        else:
            body.append(_line(line, kind))
    body += [f"</{inside}>"] * bool(inside) + ["</section>"] * bool(cards)
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
            f"<style>{STYLE}</style></head><body><main>\n" + "\n".join(filter(None, body)) + "\n</main></body></html>\n")


def _card(line: str) -> str:
    found = HEADING.fullmatch(line)
    if not found:
        return f"<section>{_line(line, '')}"
    name, points, most, mark = (_safe(part) for part in found.groups())
    colour = COLOURS.get(mark, "#999999")
    return (f'<section style="border-color:{colour}"><h2>{name} <small>{mark}</small> <span class="points">{points} of {most}</span></h2>')


def _line(line: str, kind: str) -> str:
    text = _safe(line.partition(" ")[2] if kind else line.lstrip("#> "))
    total = re.fullmatch(r"\*\*(\S+) of (\S+) points\*\*", line)
    if total:
        bar = f'<div class="bar"><div style="width:{_per_cent(*total.groups()):.0f}%"></div></div>'
        return f'<p class="total"><strong>{total[1]}</strong> of {total[2]} points</p>{bar}'
    while text.count("**") >= 2:
        text = text.replace("**", "<strong>", 1).replace("**", "</strong>", 1)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    if kind:
        return f'<li class="{"todo" if "<strong>" in text else "item"}">{text}</li>'
    tag = {"# ": "h1", "##": "h2", "> ": "blockquote"}.get(line[:2], "p")
    return f"<{tag}>{text}</{tag}>" if line else ""


def _per_cent(got: str, most: str) -> float:
    return max(0.0, min(100.0, 100 * float(got) / float(most))) if float(most) else 0.0


def _safe(text: str) -> str:
    return html.escape(html.unescape(text), quote=False)


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #f4f5f7; margin: 0 }
main { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .5rem }
.total { font-size: 1.15rem; margin: 0 } .total strong { font-size: 1.9rem }
.bar { height: .6rem; border-radius: .3rem; background: #dcdfe4; margin: .3rem 0 1rem; overflow: hidden } .bar div { height: 100%; background: #0072B2 }
section { background: #fff; border-left: .35rem solid #999; border-radius: .4rem; padding: .7rem 1.1rem; margin: .8rem 0; box-shadow: 0 1px 2px #0002 }
h2 { font-size: 1.05rem; margin: 0 0 .3rem; display: flex; gap: .6rem; align-items: baseline; flex-wrap: wrap }
h2 small { font-weight: 400; color: #555 } .points { margin-left: auto; font-variant-numeric: tabular-nums }
p { margin: .4rem 0 } ul, ol { margin: .4rem 0; padding-left: 1.4rem } li { margin: .15rem 0 } li.todo::marker { color: #D55E00 }
blockquote { margin: .5rem 0; padding: .5rem .8rem; background: #eaf3fa; border-radius: .3rem }
code { background: #eef0f2; padding: 0 .2rem; border-radius: .2rem }
@media print { body { background: #fff } section { box-shadow: none; border: 1px solid #ccc; break-inside: avoid } }
"""
