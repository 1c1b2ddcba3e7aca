"""Arms by layers, steps or groups, where they are too many for curves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rvsweep.data.arms import Arm
from rvsweep.figures import style

ROW = 0.16  # inches


def height(arms: Sequence[Arm]) -> float:
    """Of a figure of so many arms, in inches."""
    return 1.3 + ROW * len(arms)


def heat_map(fig: Figure, axes: Axes, arms: Sequence[Arm], values: np.ndarray, scale: str) -> None:
    """Values [A, K] over K equal columns, column k from k to k + 1; hatched where there is no value."""
    finite = np.abs(values[np.isfinite(values)])
    reach = finite.max(initial=0) or 1.0
    style.hatched(axes)
    extent = (0, values.shape[1], len(arms), 0)
    options = {"aspect": "auto", "interpolation": "none", "extent": extent}
    shown = axes.imshow(values, cmap=style.DIVERGING, vmin=-reach, vmax=reach, **options)
    names = [style.shortened(arm.label, 28) for arm in arms]
    axes.set_yticks(np.arange(len(arms)) + 0.5, names, parse_math=False, fontsize=7)
    axes.tick_params(axis="y", length=0)
    bar = fig.colorbar(shown, ax=axes, location="top", pad=0.01, aspect=40)
    bar.outline.set_visible(False)
    bar.set_label(scale, fontsize=8)


def mark_found(axes: Axes, found: np.ndarray) -> None:
    """A dot in each cell of `found` [A, K]."""
    y, x = np.nonzero(found)
    axes.plot(x + 0.5, y + 0.5, ".", ms=2.5, color=style.INK, lw=0)
