"""Arrays as small pictures: expected beside got, differing cells marked. HTML with inline styles only, and text."""

import html

import numpy as np

from tinylib.check.facts import close

ROWS, COLUMNS = 8, 10
MARK = "#CC79A7"


def side_by_side(key: str, expected: np.ndarray, got: np.ndarray) -> str:
    """HTML of two arrays of equal shape around their first differing cell, or each by itself when the shapes differ."""
    if expected.shape != got.shape:
        pictures = [_table(f"expected {key}", *_window(expected, None)), _table(f"got {key}", *_window(got, None))]
    else:
        wrong = ~close(expected, got, 0.0, 1e-6)
        pictures = [_table(f"expected {key}", *_window(expected, wrong)), _table(f"got {key}", *_window(got, wrong))]
    return f'<div style="display:flex;flex-wrap:wrap;gap:1.5em;margin:.4em 0">{"".join(pictures)}</div>'


def one(key: str, array: np.ndarray) -> str:
    """HTML of one small array."""
    return _table(key, *_window(array, None))


def as_text(array: np.ndarray) -> str:
    """The array, or its corner, as numpy prints it on one or several lines."""
    return np.array2string(np.asarray(array), threshold=64, edgeitems=3, precision=5, max_line_width=100, suppress_small=True)


def _window(array, wrong):
    """(2-D part, its marks, words for the part): the slice and the crop that hold the first marked cell."""
    array = np.atleast_2d(array)
    wrong = np.zeros(array.shape, bool) if wrong is None else np.atleast_2d(wrong)
    first = tuple(np.argwhere(wrong)[0]) if wrong.any() else (0,) * array.ndim
    lead = tuple(int(i) for i in first[:-2])
    plane, marks = array[lead], wrong[lead]
    top, left = _start(first[-2], plane.shape[0], ROWS), _start(first[-1], plane.shape[1], COLUMNS)
    part = (slice(top, top + ROWS), slice(left, left + COLUMNS))
    words = [f"slice [{', '.join(map(str, lead))}]"] if lead else []
    if plane.shape[0] > ROWS:
        words.append(f"rows {top} to {top + ROWS - 1} of {plane.shape[0]}")
    if plane.shape[1] > COLUMNS:
        words.append(f"columns {left} to {left + COLUMNS - 1} of {plane.shape[1]}")
    return plane[part], marks[part], ", ".join(words)


def _start(index, size, shown):
    return int(min(max(0, index - shown // 2), max(0, size - shown)))


def _table(title, cells, marks, words):
    scale = float(np.nanmax(np.abs(np.where(np.isfinite(cells), cells, 0)), initial=0)) or 1.0
    rows = "".join(f'<tr style="background:transparent">{"".join(_cell(v, m, scale) for v, m in zip(*pair))}</tr>' for pair in zip(cells, marks))
    caption = html.escape(title) + (f'<br><span style="opacity:.75">{html.escape(words)}</span>' if words else "")
    return (f'<div><div style="font-size:.9em;margin-bottom:.2em">{caption}</div>'
            f'<table style="border-collapse:separate;border-spacing:2px;margin:0;font-size:.85em">{rows or "<tr><td>(empty)</td></tr>"}</table></div>')


def _cell(value, marked, scale):
    size = abs(value) / scale if np.isfinite(value) else 0.0
    tint = f"rgba(0,114,178,{0.45 * size:.2f})" if np.real(value) >= 0 else f"rgba(230,159,0,{0.45 * size:.2f})"
    mark = f"outline:2px solid {MARK};outline-offset:-1px;font-weight:bold;" if marked else ""
    style = f"background:{tint};{mark}padding:.15em .45em;text-align:right;white-space:nowrap;font-family:monospace;border:0"
    return f'<td style="{style}"{" title=differs" if marked else ""}>{html.escape(number(value))}</td>'


def number(value) -> str:
    """A cell's text: whole numbers as they are, others with four digits, True and False as 1 and 0."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
