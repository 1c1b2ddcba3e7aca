"""Figures of the rows' own geometry: PR by layer and R_V by generation step, one curve per arm."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
from analysis.figures.drawing import Drawing, drawing
from analysis.stats.row_geometry import LayerEffects, StepCurves


def layer_effects(effects: LayerEffects, name: str) -> Drawing:
    """Mean difference in PR to the recipient by layer."""
    with style.figure(_height(effects), layout="constrained") as (fig, axes):
        axes.axhline(0, color=style.INK, lw=0.8)
        _curves(axes, effects)
        axes.set_xlabel("layer")
        axes.set_ylabel(f"PR of the {effects.window} window, arm − recipient")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        style.grid(axes, "y")
        data = _curve_data(effects, "layer") | {"p_max_statistic": effects.p_max.ravel()}
        about = f"Participation ratio of the {effects.window} window by layer, arm less recipient"
        return drawing(fig, name, about, data)


def steps(curves: StepCurves) -> Drawing:
    """ln R_V of the sliding window at every step, mean over pairs."""
    with style.figure(_height(curves), layout="constrained") as (fig, axes):
        _curves(axes, curves)
        axes.set_xlabel("fed token")
        axes.set_ylabel("ln $R_V$ of the sliding window")
        style.grid(axes, "y")
        data = _curve_data(curves, "step") | {"n": curves.n.ravel()}
        return drawing(fig, "steps", "ln R_V of the sliding window by generation step", data)


def _height(curves: LayerEffects | StepCurves) -> float:
    """Inches: the legend has a line for each arm shown."""
    return 3.1 + style.LEGEND_LINE * len(curves.arms[: style.MOST_CURVES])


def _curves(axes: Axes, curves: LayerEffects | StepCurves) -> None:
    """Means with bands of the first style.MOST_CURVES arms."""
    x = np.arange(curves.mean.shape[1])
    handles = []
    for mean, low, high, colour in zip(
        curves.mean, curves.low, curves.high, style.LINE_COLOURS, strict=False
    ):
        handles += style.banded_curve(axes, x, mean, low, high, colour)
    style.named_curves(axes, handles, [arm.label for arm in curves.arms[: style.MOST_CURVES]])


def _curve_data(curves: LayerEffects | StepCurves, x: str) -> dict[str, np.ndarray]:
    arms, count = curves.mean.shape
    data = {"arm": np.repeat([arm.label for arm in curves.arms], count), x: np.tile(np.arange(count), arms)}
    return data | {name: getattr(curves, name).ravel() for name in ("mean", "low", "high")}
