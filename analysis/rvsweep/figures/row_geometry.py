"""Figures of the rows' own geometry and attention: by layer and by generation step."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, drawing
from rvsweep.figures.heat_map import heat_map, height, mark_found
from rvsweep.stats.row_geometry import Curves, LayerEffects

ATTENDED = {"donor": "cells that the patch wrote", "bos": "the first cell"}


def layer_effects(effects: LayerEffects, name: str, colours: list[str]) -> Drawing:
    """Mean difference in PR to the recipient by layer. `colours` by index of the arm."""
    scale = f"PR of the {effects.window} window, arm − recipient"
    with style.figure(_height(effects), layout="constrained") as (fig, axes):
        if _draw(fig, axes, effects, colours, scale):
            mark_found(axes, effects.p_max < 0.05)
        else:
            axes.axhline(0, color=style.INK, lw=0.8)
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        data = _curve_data(effects, "layer") | {"p_max_statistic": effects.p_max.ravel()}
        about = f"Participation ratio of the {effects.window} window by layer, arm less recipient"
        return drawing(fig, name, about, data)


def steps(curves: Curves, colours: list[str]) -> Drawing:
    """ln R_V of the sliding window at every step, mean over pairs. `colours` by index of the arm."""
    with style.figure(_height(curves), layout="constrained") as (fig, axes):
        _draw(fig, axes, curves, colours, "ln $R_V$ of the sliding window")
        axes.set_xlabel("fed token")
        data = _curve_data(curves, "step") | {"n": curves.n.ravel()}
        return drawing(fig, "steps", "ln R_V of the sliding window by generation step", data)


def attention(curves: Curves, measure: str, colours: list[str]) -> Drawing:
    """Attention on the cells of ATTENDED by layer, mean over pairs. `colours` by index of the arm."""
    cells = ATTENDED[measure]
    with style.figure(_height(curves), layout="constrained") as (fig, axes):
        _draw(fig, axes, curves, colours, f"attention on {cells}")
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        data = _curve_data(curves, "layer") | {"n": curves.n.ravel()}
        about = f"Attention on {cells} by layer, where the first token is drawn"
        return drawing(fig, f"attention-{measure}", about, data)


def _height(curves: LayerEffects | Curves) -> float:
    """Inches: a legend or a map has a line for each arm."""
    if len(curves.arms) > style.MOST_CURVES:
        return height(curves.arms)
    return 3.1 + style.LEGEND_LINE * len(curves.arms)


def _draw(fig: Figure, axes: Axes, curves: LayerEffects | Curves, colours: list[str], scale: str) -> bool:
    """Means with bands, or of many arms a heat map; returns whether it is one."""
    if len(curves.arms) > style.MOST_CURVES:
        heat_map(fig, axes, curves.arms, curves.mean, scale)
        return True
    x = np.arange(curves.mean.shape[1])
    handles = []
    for arm, mean, low, high in zip(curves.arms, curves.mean, curves.low, curves.high, strict=True):
        handles += style.banded_curve(axes, x, mean, low, high, colours[arm.index])
    style.named_curves(axes, handles, [arm.label for arm in curves.arms])
    axes.set_ylabel(scale)
    style.grid(axes, "y")
    return False


def _curve_data(curves: LayerEffects | Curves, x: str) -> dict[str, np.ndarray]:
    arms, count = curves.mean.shape
    data = {"arm": np.repeat([arm.label for arm in curves.arms], count), x: np.tile(np.arange(count), arms)}
    return data | {name: getattr(curves, name).ravel() for name in ("mean", "low", "high")}
