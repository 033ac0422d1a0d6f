"""Panels of the lab `tinyengine`: the memory map of a network, address over time, live while patches and in-place work change."""

from functools import cache

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinylib.core.units import KIB, kib
from tinylib.deploy.patch import Patching
from tinylib.deploy.planner import ALIGNMENT, Plan, plan
from tinylib.deploy.seeded import mobilenet
from tinylib.show import plots
from tinylib.show.panel import Panel, Slider, Toggle
from tinylib.show.style import COLOURS

BUDGET = 256 * KIB
SPLITS = (0, 3, 4, 5, 6, 10, 13, 17)        # operators run in patches; 0: none. Only points where patches are possible
SHOWN = 20                                   # steps drawn: later tensors are small


@cache
def _network():
    return mobilenet()


@cache
def planned(split: int, patches: int, in_place: bool) -> Plan:
    """The network's plan at one setting of the controls."""
    return plan(_network(), in_place=in_place, patching=Patching(split, patches, patches) if split and patches > 1 else None)


def map_compute(params: dict, functions: dict) -> dict:
    """Buffers of the plan, placed by the function given; the peak is where the highest buffer ends."""
    made = planned(params["split"], params["patches"], params["in_place"])
    rounded = [(-(-b.size // ALIGNMENT) * ALIGNMENT, b.first, b.last) for b in made.buffers]
    offsets = functions["tinyengine.place"](list(rounded))
    boxes = [(int(o), b.size, b.first, b.last, b.name) for o, b in zip(offsets, made.buffers)]
    whole = planned(0, 1, params["in_place"])
    rows = functions["tinyengine.patch_rows"]([(3, 1, 1, 64)], (16, 32)) if params["split"] and params["patches"] > 1 else None
    return {"boxes": boxes, "peak": max(o + size for o, size, *_ in boxes), "bound": made.bound_bytes, "extra_macs": 100 * (made.macs / whole.macs - 1),
            "patched": made.patching is not None, "split": params["split"], "patches": params["patches"], "in_place": params["in_place"], "halo": rows}


def finding(record: dict) -> str:
    """Title: the peak, whether it fits, and what it costs."""
    how = f"{record['patches']} x {record['patches']} patches over {record['split']} operators" if record["patched"] else "no patches"
    fits = "fits" if record["peak"] <= BUDGET else "breaks"
    cost = f", {record['extra_macs']:.0f} % more MACs" if record["patched"] else ""
    return f"{how}: {kib(record['peak'])} {fits} 256 KiB{cost}"


def map_draw(figure: Figure, record: dict) -> None:
    ax = figure.add_subplot()
    for offset, size, first, last, name in record["boxes"]:
        if not size or first >= SHOWN:
            continue
        broken = offset + size > BUDGET
        colour = COLOURS["failure"] if broken else COLOURS["second"] if "scratch" in name else COLOURS["memory"]
        hatch = "xx" if broken else "//" if "scratch" in name else "\\\\" if "+" in name else None
        ax.add_patch(Rectangle((first, offset / KIB), last - first + 1, size / KIB, facecolor=colour, edgecolor="black", linewidth=0.6, hatch=hatch,
                               alpha=0.85))
        if size > 0.08 * BUDGET and last > first:
            ax.text((first + min(last + 1, SHOWN)) / 2, (offset + size / 2) / KIB, name.replace("+", "\n"), ha="center", va="center", fontsize=7,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8})
    plots.limit_line(ax, BUDGET / KIB, "budget 256 KiB")
    ax.set(xlim=(0, SHOWN), xticks=range(0, SHOWN + 1, 2), ylim=(0, 1.12 * max(BUDGET, record["peak"]) / KIB), xlabel="time (operator)", ylabel="address (KiB)")
    ax.set_title(finding(record), color=COLOURS["budget"] if record["peak"] > BUDGET else "black", fontsize=11)


def map_describe(record: dict) -> str:
    largest = sorted(record["boxes"], key=lambda box: -box[1])[:3]
    names = ", ".join(f"{name} ({kib(size)}, operators {first}-{last})" for _, size, first, last, name in largest)
    place = "in-place depth-wise on" if record["in_place"] else "in-place depth-wise off"
    halo = f" A patch of the first layer's rows 16 to 32 reads rows {record['halo'][0][0]} to {record['halo'][0][1]}." if record["halo"] else ""
    return f"{finding(record)}; {place}.{halo} Lower bound {kib(record['bound'])}. Largest buffers: {names}."


PANELS = (
    Panel("tinyengine.map", (Slider("split", "operators in patches", SPLITS, 0), Slider("patches", "patches a side", (1, 2, 3, 4), 3),
                             Toggle("in_place", "in-place depth-wise", True)),
          map_compute, map_draw, map_describe, ("tinyengine.place", "tinyengine.patch_rows"), (8.0, 4.0)),
)
