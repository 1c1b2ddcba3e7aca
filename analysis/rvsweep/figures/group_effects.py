"""The figure of an outcome's effects by group of the source prompt."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, columns, drawing
from rvsweep.figures.heat_map import heat_map, height
from rvsweep.stats.group_effects import GroupEffects
from rvsweep.stats.outcome_table import OutcomeTable


def group_curves(table: OutcomeTable, effects: GroupEffects, name: str, colours: list[str]) -> Drawing:
    """Mean difference by source group; of many arms a heat map. `colours` by index of the arm."""
    arms = [line.line.arm for line in effects.lines]
    with style.figure(curves_height(effects), layout="constrained") as (fig, axes):
        draw_groups(fig, axes, table, effects, colours)
        data = {
            "arm": [arm.label for arm in arms for _ in effects.groups],
            "group": effects.groups * len(effects.lines),
        }
        estimates = [estimate for line in effects.lines for estimate in line.effects]
        data |= columns(estimates, mean="value", low="low", high="high", n="n", n_sources="sources")
        return drawing(fig, name, f"{table.outcome.title} by group of the source prompt", data)


def curves_height(effects: GroupEffects) -> float:
    """Inches."""
    arms = [line.line.arm for line in effects.lines]
    return height(arms) + 0.4 if len(arms) > style.MOST_CURVES else 3.1 + style.LEGEND_LINE * len(arms)


def draw_groups(
    fig: Figure, axes: Axes, table: OutcomeTable, effects: GroupEffects, colours: list[str]
) -> None:
    """The same on given axes."""
    arms = [line.line.arm for line in effects.lines]
    many = len(arms) > style.MOST_CURVES
    x = np.arange(len(effects.groups)) + (0.5 if many else 0)
    if many:
        means = np.array([[e.value for e in line.effects] for line in effects.lines])
        heat_map(fig, axes, arms, means, style.outcome_scale(table.outcome))
    else:
        _curves(axes, effects, colours)
        axes.set_ylabel(style.outcome_scale(table.outcome))
        style.grid(axes, "y")
    with_levels = zip(effects.groups, effects.levels, strict=True)
    names = [g if level is None else g.replace("recursive_l", "L") for g, level in with_levels]
    turned = {"rotation": 45, "ha": "right"} if len(x) > 6 else {"rotation": 0, "ha": "center"}
    axes.set_xticks(x, names, parse_math=False, **turned)
    axes.set_xlabel("group of the source prompt")


def _curves(axes: Axes, effects: GroupEffects, colours: list[str]) -> None:
    """Groups with a dose level stand first and are joined."""
    x = np.arange(len(effects.groups))
    dosed = [i for i in x if effects.levels[i] is not None]
    axes.axhline(0, color=style.INK, lw=0.8)
    handles = []
    for at, line in enumerate(effects.lines):
        colour = colours[line.line.arm.index]
        beside = x + 0.5 * (at + 0.5 - len(effects.lines) / 2) / len(effects.lines)
        mean, low, high = np.array([(e.value, e.low, e.high) for e in line.effects]).T
        axes.vlines(beside, low, high, color=colour, lw=1.4, alpha=0.6)
        axes.plot(beside, mean, "o", ms=4, color=colour)
        axes.plot(beside[dosed], mean[dosed], color=colour, lw=1.2)
        handles += axes.plot([], [], "-o", ms=4, lw=1.2, color=colour)
    style.named_curves(axes, handles, [line.line.arm.label for line in effects.lines])
