"""The recurring plots of the course: functions of an Axes and plain numbers. They return None and print nothing.

Every title is the caller's: it says the finding. Every function names its axes with units.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tinylib.show.style import COLOURS, DIVERGING, HATCHES, MARKERS, SEQUENTIAL


def histogram(ax: Axes, values: Mapping[str, np.ndarray], *, xlabel: str, bins: int = 61, ylabel: str = "count") -> None:
    """Histograms of several arrays over one set of bins. Keys are meanings of `COLOURS` or "meaning: label"."""
    flat = {name: np.asarray(v, dtype=float).ravel() for name, v in values.items()}
    low, high = min(v.min() for v in flat.values()), max(v.max() for v in flat.values())
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    for name, v in flat.items():
        meaning, label = _split(name)
        ax.hist(v, edges, color=COLOURS[meaning], alpha=0.65, label=label, histtype="stepfilled")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if len(flat) > 1:
        ax.legend()


def sensitivity(ax: Axes, ratios: Sequence[float], curves: Mapping[str, Sequence[float]], *, xlabel: str, ylabel: str, floor: float | None = None) -> None:
    """One curve per layer over the ratio tried, each labelled at its end; `floor` is the least value we accept."""
    shades = np.linspace(0.15, 0.9, max(len(curves), 1))
    colours = {name: colormaps[SEQUENTIAL](shade) for name, shade in zip(curves, shades)}
    for name, values in curves.items():
        ax.plot(ratios, values, marker="o", color=colours[name], markersize=3)
    _end_labels(ax, ratios[-1], {name: values[-1] for name, values in curves.items()}, colours)
    if floor is not None:
        limit_line(ax, floor, "least accepted", axis="y")
    ax.set(xlabel=xlabel, ylabel=ylabel)


def pareto(ax: Axes, points: Mapping[str, Sequence[tuple[float, float]]], *, xlabel: str, ylabel: str,
           budget: float | None = None, log: bool = False, spread: Mapping[str, Sequence[float]] | None = None) -> None:
    """Cost against quality, one series per meaning, joined in order of cost; the budget is a dashed vertical line.

    `spread[series]` holds half widths of the quality's interval, in the order of the points.
    """
    for name, series in points.items():
        meaning, label = _split(name)
        order = sorted(range(len(series)), key=lambda i: series[i][0])
        x, y = [series[i][0] for i in order], [series[i][1] for i in order]
        error = [spread[name][i] for i in order] if spread and name in spread else None
        ax.errorbar(x, y, error, color=COLOURS[meaning], marker=MARKERS[meaning], label=label, capsize=3)
    if log:
        ax.set_xscale("log")
    if budget is not None:
        limit_line(ax, budget, "budget", axis="x")
    ax.set(xlabel=xlabel + (" (log scale)" if log else ""), ylabel=ylabel)
    ax.legend(loc="lower right")


def scatter(ax: Axes, points: Mapping[str, Sequence[tuple[float, float]]], *, xlabel: str, ylabel: str, budget: float | None = None, log: bool = False) -> None:
    """Clouds of (cost, quality), one per meaning, not joined; the budget is a dashed vertical line. `log` sets both axes."""
    for name, cloud in points.items():
        meaning, label = _split(name)
        ax.plot([p[0] for p in cloud], [p[1] for p in cloud], linestyle="none", color=COLOURS[meaning], marker=MARKERS[meaning], label=label)
    if log:
        ax.set(xscale="log", yscale="log")
    if budget is not None:
        limit_line(ax, budget, "budget", axis="x")
    note = " (log scale)" if log else ""
    ax.set(xlabel=xlabel + note, ylabel=ylabel + note)
    ax.legend(fontsize=8)


def roofline(ax: Axes, peak_macs: float, bandwidth: float, points: Mapping[str, tuple[float, float]] | None = None) -> None:
    """The roof of a machine (MAC/s over MAC per byte) and named points (intensity, MAC/s reached or reachable).

    `peak_macs` in MAC/s, `bandwidth` in bytes/s. Both axes are logarithmic.
    """
    points = points or {}
    ridge = peak_macs / bandwidth
    xs = [ridge, *(p[0] for p in points.values())]
    x = np.geomspace(min(xs) / 8, max(xs) * 8, 200)
    ax.loglog(x, np.minimum(peak_macs, x * bandwidth) / 1e9, color=COLOURS["original"], linewidth=2.5)
    ax.axvspan(x[0], ridge, color=COLOURS["memory"], alpha=0.12, linewidth=0)
    ax.axvspan(ridge, x[-1], color=COLOURS["compute"], alpha=0.12, linewidth=0)
    for text, place, align in (("memory bound", x[0] * 1.2, "left"), ("compute bound", x[-1] / 1.2, "right")):
        ax.text(place, 1.25 * peak_macs / 1e9, text, ha=align, va="bottom", fontsize=9)
    for label, (intensity, rate) in points.items():
        meaning, shown = _split(label)
        ax.plot(intensity, rate / 1e9, marker=MARKERS[meaning], color=COLOURS[meaning], linestyle="none", markersize=8)
        ax.annotate(shown, (intensity, rate / 1e9), xytext=(6, -13), textcoords="offset points", fontsize=9)
    lowest = min([x[0] * bandwidth, *(p[1] for p in points.values())]) / 1e9
    ax.set(xlim=(x[0], x[-1]), ylim=(lowest / 1.6, 2.6 * peak_macs / 1e9),
           xlabel="arithmetic intensity (MAC per byte, log scale)", ylabel="GMAC/s (log scale)")


def memory_over_steps(ax: Axes, live: Mapping[str, Sequence[float]], *, budget: float | None = None, steps: Sequence[str] | None = None) -> None:
    """Stacked bars of the bytes alive at each step, one layer of the stack per buffer; red edge where the budget is broken.

    `live[buffer][step]` in bytes (0 where it is dead); drawn in KiB.
    """
    names = list(live)
    table = np.array([live[n] for n in names], dtype=float) / 1024      # (buffers, steps)
    x, bottom = np.arange(table.shape[1]), np.zeros(table.shape[1])
    shades = np.linspace(0.35, 1.0, len(names))
    for i, (name, row) in enumerate(zip(names, table)):
        ax.bar(x, row, 0.8, bottom, color=COLOURS["memory"], alpha=shades[i], edgecolor="white", linewidth=0.8)
        for step in np.flatnonzero(row):
            if row[step] > 0.06 * table.sum(0).max():
                ax.text(step, bottom[step] + row[step] / 2, name, ha="center", va="center", fontsize=8)
        bottom += row
    if budget is not None:
        for step in np.flatnonzero(bottom > budget / 1024):
            ax.bar(step, bottom[step], 0.8, fill=False, edgecolor=COLOURS["budget"], linewidth=2)
        limit_line(ax, budget / 1024, "budget", axis="y")
    ax.set_xticks(x, steps if steps is not None else [str(i) for i in x])
    ax.set(xlabel="step", ylabel="alive (KiB)")


def bars(ax: Axes, values: Mapping[str, float], *, ylabel: str, spread: Mapping[str, float | tuple[float, float]] | None = None,
         budget: float | None = None, unit: str = "") -> None:
    """One labelled bar per name ("meaning: label"), its number on top; `spread`: half width of an interval, or (below, above)."""
    for i, (name, value) in enumerate(values.items()):
        meaning, label = _split(name)
        broken = budget is not None and value > budget
        low, high = _sides((spread or {}).get(name, 0.0))
        ax.bar(i, value, 0.65, color=COLOURS[meaning], hatch=HATCHES[meaning], edgecolor=COLOURS["budget"] if broken else "white",
               linewidth=2 if broken else 0, yerr=[[low], [high]] if low or high else None, capsize=4)
        ax.annotate(f"{value:.3g}{unit}", (i, value + high), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9)
    if budget is not None:
        limit_line(ax, budget, "budget", axis="y")
    ax.set_xticks(range(len(values)), [_split(n)[1] for n in values])
    ax.margins(y=0.15)
    ax.grid(False, axis="x")
    ax.set(ylabel=ylabel)


def matrix_pair(axes: Sequence[Axes], left: np.ndarray, right: np.ndarray, *, titles: tuple[str, str] = ("expected", "got"), difference: bool = True) -> None:
    """Two matrices with one colour scale, and on a third Axes (if given) right minus left centred on zero."""
    left, right = np.atleast_2d(np.asarray(left, float)), np.atleast_2d(np.asarray(right, float))
    low, high = float(min(left.min(), right.min())), float(max(left.max(), right.max()))
    for ax, values, title in zip(axes, (left, right), titles):
        image = ax.imshow(values, cmap=SEQUENTIAL, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        ax.set_title(title)
        ax.figure.colorbar(image, ax=ax, shrink=0.8)
    if difference and len(axes) > 2:
        gap = right - left
        top = float(np.abs(gap).max()) or 1.0
        image = axes[2].imshow(gap, cmap=DIVERGING, vmin=-top, vmax=top, aspect="auto", interpolation="nearest")
        axes[2].set_title("difference")
        axes[2].figure.colorbar(image, ax=axes[2], shrink=0.8)
    for ax in axes:
        ax.grid(False)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))


def limit_line(ax: Axes, value: float, label: str, *, axis: str = "y") -> None:
    """A limit drawn as a limit: dashed, in the budget's colour, named. `axis` says which coordinate it bounds."""
    draw, place, turn = (ax.axhline, (1.0, value), 0) if axis == "y" else (ax.axvline, (value, 1.0), 90)
    draw(value, color=COLOURS["budget"], linestyle="--", linewidth=1.8)
    transform = ax.get_yaxis_transform() if axis == "y" else ax.get_xaxis_transform()
    ax.text(*place, f" {label} ", transform=transform, rotation=turn, ha="right", va="bottom" if axis == "y" else "top",
            color=COLOURS["budget"], fontsize=9, bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5})


def _sides(spread: float | tuple[float, float]) -> tuple[float, float]:
    """A half width, or (below, above), as (below, above)."""
    return spread if isinstance(spread, tuple) else (spread, spread)


def _end_labels(ax: Axes, x: float, ends: Mapping[str, float], colours: Mapping[str, object]) -> None:
    """Names at the right end of curves, moved apart so that none covers another; same order as the ends."""
    low, high = ax.get_ylim()
    gap, place = (high - low) * 0.055, -np.inf
    for name in sorted(ends, key=ends.get):
        place = max(place + gap, ends[name])
        ax.annotate(name, (x, ends[name]), xytext=(1.02, place), textcoords=ax.get_yaxis_transform(), va="center", fontsize=8,
                    color=colours[name], annotation_clip=False)


def _split(name: str) -> tuple[str, str]:
    """Name "meaning: label" -> (meaning, label); a bare meaning labels itself; an unknown one is drawn as ours."""
    meaning, _, label = name.partition(": ")
    if meaning in COLOURS:
        return meaning, label or meaning
    return "ours", name
