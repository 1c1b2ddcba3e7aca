"""Figures of the prompts' own geometry: R_V and PR by layer, source against base."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, drawing
from rvsweep.stats.prompt_geometry import LayerCurve, PromptGeometry

LABELLED_PAIRS = 24  # up to here each pair has its own labelled line
DIFFERENCE = "#7c4a12"


def r_v_scatter(geometry: PromptGeometry, pair_ids: np.ndarray) -> Drawing:
    """R_V of base and source with a line per pair; means with intervals beside them. `pair_ids` [N]."""
    n, complete = geometry.n, geometry.complete
    base, source = geometry.r_v_base[complete], geometry.r_v_source[complete]
    with style.figure(3.7, layout="constrained") as (fig, axes):
        alpha, many = 0.15 if n > 200 else 0.45, n > style.MANY_POINTS // 4
        axes.plot([0, 1], [base, source], color=style.MUTED, lw=0.8, alpha=alpha, zorder=1, rasterized=many)
        points = {"s": 26, "alpha": 0.75, "linewidths": 0, "zorder": 2, "rasterized": n > style.MANY_POINTS}
        means = geometry.lines[0]  # of R_V
        for x, values, estimate, colour, side in (
            (0, base, means.base, style.BASE, -0.16),
            (1, source, means.source, style.SOURCE, 0.16),
        ):
            axes.scatter(np.full(n, x), values, color=colour, **points)
            style.estimate_over_points(axes, estimate, x + side, colour, vertical=True)
        axes.set_xlim(-0.5, 1.5)
        axes.set_xticks([0, 1], [f"{name}\n(n = {means.base.counted})" for name in ("base", "source")])
        axes.set_ylabel("$R_V$ = PR(late) / PR(early)")
        style.grid(axes, "y")
        about = "R_V of base and source prompts, one line per pair, means with 95 % intervals"
        data = {"pair": pair_ids[complete], "r_v_base": base, "r_v_source": source}
        return drawing(fig, "rv", about, data)


def log_r_v_differences(geometry: PromptGeometry, pair_ids: np.ndarray) -> Drawing:
    """ln R_V(source) - ln R_V(base) of every pair and its mean. `pair_ids` [N]."""
    n, complete = geometry.n, geometry.complete
    values = np.log(geometry.r_v_source[complete]) - np.log(geometry.r_v_base[complete])
    order = np.argsort(values, kind="stable")
    values, labels = values[order], pair_ids[complete][order]
    labelled = n <= LABELLED_PAIRS
    with style.figure(max(3.0, 0.95 + 0.22 * n) if labelled else 3.7, layout="constrained") as (fig, axes):
        y, step, many = np.arange(n), 1.0 if labelled else n / 18, n > style.MANY_POINTS
        axes.axvline(0, color=style.INK, lw=0.8)
        axes.hlines(y, 0, values, color=style.RULE, lw=1.2, zorder=1, rasterized=many)
        axes.scatter(values, y, s=24, color=style.MUTED, linewidths=0, zorder=2, rasterized=many)
        above = n - 1 + 1.3 * step
        style.estimate_over_points(axes, geometry.log_r_v.difference, above, style.SOURCE, vertical=False)
        ticks, texts = [above], ["mean"]
        if labelled:
            names = [style.shortened(" ".join(label.split()), 16) for label in labels]
            ticks, texts = [*y, *ticks], [*names, *texts]
        axes.set_yticks(ticks, texts, parse_math=False)
        axes.set_ylim(-0.8 * step, n - 1 + 2.2 * step)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("ln $R_V$(source) − ln $R_V$(base)")
        if not labelled:
            axes.set_ylabel("pairs, sorted")
        style.grid(axes, "x")
        about = "Difference of ln R_V between source and base for every pair, with the mean and its interval"
        return drawing(fig, "lnrv", about, {"pair": labels, "ln_r_v_source_minus_base": values})


def pr_by_layer(geometry: PromptGeometry, early: int, late: int) -> Drawing:
    """PR of source and base with pointwise bands; the layers `early` and `late` are marked."""
    curves = (("base", geometry.pr_base, style.BASE), ("source", geometry.pr_source, style.SOURCE))
    layers = geometry.pr_base.mean.size
    with style.figure(3.7, layout="constrained") as (fig, axes):
        for name, curve, colour in curves:
            _layer_curve(axes, curve, colour, f"{name} (n = {curve.counted})")
        axes.set_ylabel("participation ratio of V")
        axes.margins(y=0.12)
        _mark_layers(axes, early, late, layers)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
        data = {"layer": np.arange(layers)}
        for name, curve, _ in curves:
            data |= {f"{name}_mean": curve.mean, f"{name}_low": curve.low, f"{name}_high": curve.high}
        return drawing(fig, "pr", "Participation ratio by layer, source and base, mean and 95 % band", data)


def pr_difference_by_layer(geometry: PromptGeometry, early: int, late: int) -> Drawing:
    """Source less base in PR, with its pointwise band and the paler one that holds all layers at once."""
    curve, half_width = geometry.pr_difference, geometry.simultaneous_half_width()
    layers = np.arange(curve.mean.size)
    low, high = curve.mean - half_width, curve.mean + half_width
    with style.figure(3.7, layout="constrained") as (fig, axes):
        axes.axhline(0, color=style.INK, lw=0.8)
        _layer_curve(axes, curve, DIFFERENCE, f"source − base (n = {curve.counted})")
        axes.set_ylabel("difference in participation ratio")
        axes.margins(y=0.12)
        limits = axes.get_ylim()
        axes.fill_between(layers, low, high, color=DIFFERENCE, alpha=0.1, linewidth=0)
        axes.set_ylim(limits)  # a band of few pairs may be far wider than the data
        _mark_layers(axes, early, late, curve.mean.size)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)
        data = {"layer": layers, "mean": curve.mean, "low": curve.low, "high": curve.high}
        data |= {"simultaneous_low": low, "simultaneous_high": high, "p_max_statistic": geometry.pr_max.p}
        about = "Paired difference in participation ratio by layer with 95 % band"
        return drawing(fig, "prdiff", about, data)


def _layer_curve(axes: Axes, curve: LayerCurve, colour: str, label: str) -> None:
    layers = np.arange(curve.mean.size)
    if len(curve.pairs) <= LABELLED_PAIRS:
        axes.plot(layers, curve.pairs.T, color=colour, lw=0.6, alpha=0.3)
    axes.fill_between(layers, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(layers, curve.mean, color=colour, lw=2, label=label)


def _mark_layers(axes: Axes, early: int, late: int, layers: int) -> None:
    options = {"transform": axes.get_xaxis_transform(), "va": "top", "fontsize": 8, "color": style.MUTED}
    for layer, name in {early: "early", late: "late"}.items():
        axes.axvline(layer, color=style.MUTED, lw=0.9, ls=(0, (3, 3)), zorder=0)
        side = "right" if layer > layers / 2 else "left"
        axes.text(layer, 0.995, f" {name} L{layer} ", ha=side, **options)
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    style.grid(axes, "y")
