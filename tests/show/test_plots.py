"""The recurring plots draw what they are given, with units on every axis."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinylib.show import plots, style


@pytest.fixture
def ax():
    return Figure().add_subplot()


def dashed(ax):
    return [line for line in ax.lines if line.get_linestyle() == "--" and line.get_color() == style.COLOURS["budget"]]


def test_histogram_counts_everything(ax):
    plots.histogram(ax, {"original: before": np.zeros((3, 4)), "ours: after": np.ones(5)}, xlabel="weight")
    assert ax.get_legend() is not None and ax.get_ylabel() == "count"
    heights = [max(p.get_xy()[:, 1]) for p in ax.patches]
    assert heights == [12, 5]


def test_histogram_of_one_value(ax):
    plots.histogram(ax, {"ours": np.full(7, 2.0)}, xlabel="weight")
    assert max(ax.patches[0].get_xy()[:, 1]) == 7


def test_sensitivity_labels_each_curve(ax):
    plots.sensitivity(ax, [0, 0.5], {"conv1": [1, 0.9], "conv2": [1, 0.2]}, xlabel="sparsity", ylabel="accuracy", floor=0.5)
    assert {t.get_text().strip() for t in ax.texts} == {"conv1", "conv2", "least accepted"} and len(dashed(ax)) == 1


def test_pareto_sorts_by_cost_and_draws_the_budget(ax):
    plots.pareto(ax, {"ours: cut": [(3, 0.9), (1, 0.5)]}, xlabel="MMAC", ylabel="accuracy", budget=2, log=True, spread={"ours: cut": [0.01, 0.02]})
    assert list(ax.lines[0].get_xdata()) == [1, 3] and len(dashed(ax)) == 1 and "log" in ax.get_xlabel()


def test_roofline_bends_at_the_ridge(ax):
    plots.roofline(ax, 20e9, 10e9, {"ours: conv": (1.0, 5e9)})
    x, y = ax.lines[0].get_xdata(), ax.lines[0].get_ydata()
    assert np.allclose(y, np.minimum(20, 10 * x))
    assert {"memory bound", "compute bound", "conv"} <= {t.get_text() for t in ax.texts}


def test_memory_stack_is_the_sum_and_breaks_red(ax):
    plots.memory_over_steps(ax, {"in": [2048, 0], "out": [1024, 1024]}, budget=2048, steps=["a", "b"])
    tops = {round(p.get_x() + p.get_width() / 2): p.get_y() + p.get_height() for p in ax.patches}
    assert tops == {0: 3.0, 1: 1.0} and len(dashed(ax)) == 1
    red = [p for p in ax.patches if not p.get_fill()]
    assert len(red) == 1 and red[0].get_height() == 3.0


def test_bars_turn_red_over_budget(ax):
    plots.bars(ax, {"original: dense": 4.0, "ours: cut": 1.0}, ylabel="ms", budget=2, spread={"ours: cut": 0.1})
    assert [p.get_linewidth() for p in ax.patches] == [2, 0] and len(dashed(ax)) == 1


def test_matrix_pair_shares_its_scale():
    axes = Figure().subplots(1, 3)
    plots.matrix_pair(axes, np.array([[0.0, 1.0]]), np.array([[0.0, 3.0]]))
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim() == (0, 3)
    assert axes[2].images[0].get_clim() == (-2, 2)


def test_every_meaning_has_colour_marker_and_hatch():
    assert set(style.COLOURS) == set(style.MARKERS) == set(style.HATCHES)
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


def test_bars_take_uneven_spread(ax):
    plots.bars(ax, {"ours: cut": 2.0}, ylabel="ms", spread={"ours: cut": (0, 3.0)})
    assert [t.xy for t in ax.texts] == [(0, 5.0)]


def test_scatter_draws_every_point(ax):
    plots.scatter(ax, {"ours: fits": [(1, 2), (3, 4)], "original: does not": []}, xlabel="KiB", ylabel="MMAC", budget=2, log=True)
    assert list(ax.lines[0].get_xdata()) == [1, 3] and ax.get_ylabel() == "MMAC (log scale)" and len(dashed(ax)) == 1
