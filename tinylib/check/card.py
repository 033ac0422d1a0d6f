"""Cards: what a learner reads after a check, an answer or a prediction, as HTML and as plain text. Every value is escaped."""

import html
import re
from dataclasses import dataclass, field

import numpy as np

from tinylib.check import matrix
from tinylib.check.facts import a_kind, same
from tinylib.check.question import Item
from tinylib.check.verdict import CheckResult

COLOURS = {"passed": "#009E73", "not yet": "#E69F00", "quiet": "#999999", "note": "#0072B2"}
TINTS = {"passed": "0,158,115", "not yet": "230,159,0", "quiet": "153,153,153", "note": "0,114,178"}
SMALL = 60          # elements of an argument shown in full
OUTPUT_LINES = 8


@dataclass(frozen=True)
class Card:
    """Two forms of one message, and plain data for programs that read a notebook's outputs."""

    html: str
    text: str
    data: dict = field(default_factory=dict)


def result_card(result: CheckResult, hints_in_text: int = 0) -> Card:
    """Card of a check. The text form shows the first `hints_in_text` hints; the HTML form folds all three."""
    data = {"id": result.id, "status": result.status, "kind": result.kind}
    if result.passed:
        return card("passed", "passed", result.id, [result.sentence], data=data)
    if result.kind == "not started":
        return card("quiet", "not started yet", result.id, [result.sentence], [_hints(result.hints)], data=data)
    rich, text = [], []
    if result.line:
        text.append(f"Line {result.line_number}: {result.line}")
        rich.append(f'<div>Line {result.line_number} of your cell: <code>{html.escape(result.line)}</code></div>')
    for part in (_misconception(result), _case(result), _comparison(result), _output(result)):
        rich.append(part[0])
        text += [part[1]] if part[1] else []
    rich.append(_hints(result.hints))
    text += [f"Hint {i + 1}: {hint}" for i, hint in enumerate(result.hints[:hints_in_text])]
    return card("not yet", "not yet", result.id, [result.sentence], rich, text, data)


def card(tone: str, badge: str, title: str, sentences: list[str], rich: list[str] = (), text: list[str] = (), data: dict | None = None) -> Card:
    """A card from plain sentences (escaped, `code` and line breaks kept), ready HTML parts and the matching plain lines."""
    head = (f'<span style="border:1px solid {COLOURS[tone]};border-radius:3px;padding:.05em .5em;font-weight:bold;'
            f'background:rgba({TINTS[tone]},.25)">{html.escape(badge)}</span> '
            f'<code style="opacity:.8;background:transparent">{html.escape(title)}</code>')
    body = "".join(f"<div>{inline(s)}</div>" for s in sentences if s) + "".join(rich)
    style = (f"border-left:4px solid {COLOURS[tone]};background:rgba({TINTS[tone]},.07);padding:.5em .9em;margin:.3em 0;"
             "max-width:62em;line-height:1.55;overflow-x:auto")
    lines = [f"[{badge}] {title}", *(line for s in [*sentences, *text] if s for line in s.splitlines())]
    return Card(f'<div class="tinylib-card" style="{style}"><div>{head}</div>{body}</div>', "\n  ".join(lines), dict(data or {}))


def inline(text: str) -> str:
    """Escaped text with `code` spans and line breaks."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(str(text))).replace("\n", "<br>")


def folded(summary: str, inner: str) -> str:
    """A closed fold."""
    return (f'<details style="margin:.3em 0"><summary style="cursor:pointer">{html.escape(summary)}</summary>'
            f'<div style="padding-left:1.2em">{inner}</div></details>')


def _hints(hints) -> str:
    """Three folds, each inside the one before: the next hint is offered after the last was read."""
    inner = ""
    for number in range(len(hints), 0, -1):
        inner = folded(f"Hint {number} of {len(hints)}", inline(hints[number - 1]) + inner)
    return inner


def _misconception(result):
    if not result.misconception:
        return "", ""
    return f'<div><b>Likely cause:</b> {inline(result.misconception)}</div>', f"Likely cause: {result.misconception}"


def _case(result):
    if result.failure is None:
        return "", ""
    title = f"Smallest failing case (number {result.failure.index + 1} of {result.instances})"
    arguments = result.failure.args
    words = [f"{name} = {argument_text(value)}" for name, value in arguments.items()]
    parts = [matrix.one(name, v) if _pictured(v) else f"<div>{inline(name)} = <code>{html.escape(argument_text(v))}</code></div>"
             for name, v in arguments.items()]
    return (f'<div style="margin-top:.4em"><b>{title}</b></div><div style="display:flex;flex-wrap:wrap;gap:.3em 1.5em;align-items:flex-start">'
            f'{"".join(parts)}</div>', f"{title}: {'; '.join(words)}")


def _pictured(value) -> bool:
    return isinstance(value, np.ndarray) and 1 <= value.ndim <= 2 and 1 < value.size <= SMALL and value.shape[-1] <= matrix.COLUMNS


def argument_text(value) -> str:
    """A short text of an argument: small arrays in full, large ones by shape and type."""
    if isinstance(value, np.ndarray):
        return matrix.as_text(value).replace("\n", "") if value.size <= SMALL else a_kind(value)
    text = repr(value)
    return text if len(text) <= 300 else text[:280] + " ..."


def _comparison(result):
    """Expected beside got, for the facts that differ: arrays as pictures."""
    failure = result.failure
    if failure is None or not failure.got:
        return "", ""
    differing = [k for k, want in failure.expected.items() if k in failure.got and not same(failure.got[k], want)][:3]
    rich, text = [], []
    for key in differing:
        want, got = failure.expected[key], failure.got[key]
        if all(isinstance(v, np.ndarray) and v.ndim and v.dtype.kind in "biufc" for v in (want, got)):
            rich.append(matrix.side_by_side(key, want, got))
        else:
            values = [f"<code>{html.escape(argument_text(v))}</code>" for v in (want, got)]
            rich.append(f"<div>{inline(key)}: expected {values[0]}, got {values[1]}</div>")
        text += [f"expected {key}: {argument_text(want)}", f"got      {key}: {argument_text(got)}"]
    return "".join(rich), "\n".join(text)


def _output(result):
    lines = result.output.strip().splitlines()
    if not lines:
        return "", ""
    shown = [line[:160] for line in lines[:OUTPUT_LINES]] + ([f"... ({len(lines) - OUTPUT_LINES:,} more lines)"] if len(lines) > OUTPUT_LINES else [])
    block = "\n".join(shown)
    return folded("What your code printed", f'<pre style="margin:0;white-space:pre-wrap">{html.escape(block)}</pre>'), f"Your code printed:\n{block}"


def question_card(id: str, kind: str, item: Item) -> Card:
    """A question without an answer yet."""
    choices = [f"{letter}: {text}" for letter, text in item.choices]
    rich = ['<ul style="margin:.3em 0">' + "".join(f"<li><b>{html.escape(a)}</b>: {inline(t)}</li>" for a, t in item.choices) + "</ul>"] if choices else []
    how = "Write the letter, in quotes, in place of `None`." if choices else "Write your answer in place of `None`."
    rich.append(f'<div style="opacity:.8">{inline(how)}</div>')
    return card("note", kind, id, [item.prompt], rich, [*choices, how], {"id": id, "status": "not yet", "kind": "unanswered"})


def answer_card(result: CheckResult, item: Item, value) -> Card:
    """An answered quiz item or decision; a right one comes with its explanation."""
    texts = {letter.lower(): f"{letter}: {text}" for letter, text in item.choices}
    said = f"Your answer: {texts.get(str(value).strip().lower(), argument_text(value)) if texts else argument_text(value)}"
    sentences = [item.prompt, said, result.sentence]
    return card(result.status, result.status, result.id, sentences, data={"id": result.id, "status": result.status, "kind": result.kind})
