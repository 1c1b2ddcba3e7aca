"""Figures of several files side by side."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, columns, drawing, told
from rvsweep.stats.matched_arms import OutcomeComparison, Side
from rvsweep.stats.paired import NO_ESTIMATE

MOST_ARMS = 40  # in one style.figure; the table and the CSV hold all


def pr_by_depth(sides: list[Side]) -> Drawing | None:
    """Source less base in participation ratio over depth as a share, one curve per file."""
    shown = [side for side in sides if side.geometry.pr_difference is not None]
    if not shown:
        return None
    with style.figure(3.7, layout="constrained") as (fig, axes):
        axes.axhline(0, color=style.INK, lw=0.8)
        handles, points = [], []
        colours = dict(zip((side.name for side in sides), style.curve_colours(len(sides)), strict=True))
        for side in shown:
            curve, layers = side.geometry.pr_difference, side.results.n_layers
            depth = np.arange(layers) / layers
            handles += style.banded_curve(axes, depth, curve.mean, curve.low, curve.high, colours[side.name])
            parts = ([side.name] * layers, range(layers), depth, curve.mean, curve.low, curve.high)
            points += zip(*parts, strict=True)
        names = [f"{side.name} (n = {side.geometry.pr_difference.counted})" for side in shown]
        style.named_curves(axes, handles, names)
        axes.set_xlabel("depth (layer / layers)")
        axes.set_ylabel("PR, source − base")
        style.grid(axes, "y")
        of_points = ("file", "layer", "depth", "mean", "low", "high")
        data = dict(zip(of_points, zip(*points, strict=True), strict=True))
        return drawing(fig, "pr-depth", "Difference in participation ratio by depth", data)


def effects(sides: list[Side], comparison: OutcomeComparison, name: str) -> Drawing:
    """Every matched arm's difference to its recipient, one line per file, a colour each."""
    shown = comparison.arms[:MOST_ARMS]
    colours = style.curve_colours(len(sides))
    height = sum(0.22 + 0.17 * len(sides) for _ in shown) + 0.65 + 0.25 * len(sides)
    with style.figure(height) as (fig, axes):
        axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
        y = 0.0
        for arm in shown:
            style.row_label(axes, 0, y, style.shortened(arm.label, 58), fontsize=8.5)
            y += 0.17
            for side, line, colour in zip(sides, arm.lines, colours, strict=True):
                if line:
                    gid = told(side.name, line.paired.difference, line.paired.p)
                    style.estimate_bar(axes, line.paired.difference, y, colour, gid)
                y += 0.17
            y += 0.05
        axes.set_ylim(y, -0.15)
        style.no_y_axis(axes)
        axes.set_xlabel(style.outcome_scale(comparison.outcome))
        axes.xaxis.set_major_locator(MaxNLocator(6))
        style.grid(axes, "x")
        handles = [axes.plot([], [], color=colour, lw=1.8)[0] for colour in colours]
        top = 1 - (0.08 + 0.2 * len(sides)) / height
        fig.subplots_adjust(left=0.03, right=0.97, top=top, bottom=0.5 / height)
        style.named_curves(axes, handles, [side.name for side in sides])
        about = f"{comparison.outcome.title}: arms less their recipients, by file"
        return drawing(fig, name, about, _effects_data(sides, comparison))


def _effects_data(sides: list[Side], comparison: OutcomeComparison) -> dict[str, list]:
    found = [
        (arm.label, side.name, line)
        for arm in comparison.arms
        for side, line in zip(sides, arm.lines, strict=True)
        if line
    ]
    lines = [line for *_, line in found]
    data = {"arm": [label for label, *_ in found], "file": [name for _, name, _ in found]}
    data["layers"] = [line.arm.settings.get("layers", "") for line in lines]
    data |= columns([line.paired.difference for line in lines], difference="value", low="low", high="high")
    data |= columns([line.paired for line in lines], d_z="d_z", n="n")
    data |= columns([line.paired.difference for line in lines], n_sources="sources", n_bases="bases")
    return data | columns([line.transfer or NO_ESTIMATE for line in lines], transfer_percent="value")
