"""Colours by meaning, and the look of every figure. The palette is Okabe and Ito's: readable without red-green vision."""

import matplotlib

COLOURS = {
    "original": "#999999",   # dense, uncompressed, the thing we start from
    "ours": "#0072B2",       # the technique of the lab
    "second": "#E69F00",     # a second method, a rival
    "budget": "#D55E00",     # a limit; drawn dashed
    "memory": "#56B4E9",
    "compute": "#009E73",
    "failure": "#CC79A7",    # failure or noise
}
MARKERS = {"original": "s", "ours": "o", "second": "^", "budget": "_", "memory": "D", "compute": "P", "failure": "x"}
HATCHES = {"original": "", "ours": "", "second": "//", "budget": "xx", "memory": "..", "compute": "\\\\", "failure": "xx"}
SEQUENTIAL = "viridis"      # heat maps of one sign
DIVERGING = "RdBu"          # heat maps centred on zero

RC = {
    "figure.figsize": (7.0, 3.6),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "hatch.linewidth": 0.5,
    "axes.prop_cycle": matplotlib.cycler(color=[COLOURS[m] for m in ("ours", "second", "compute", "failure", "memory", "original")]),
}


def use() -> None:
    """Set the look for every later figure of this process. Called by a lab's first cell, never by the library itself."""
    matplotlib.rcParams.update(RC)
