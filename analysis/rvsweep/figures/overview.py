"""The figure of the first screen: what each arm does, over the layers that it patches."""

from collections import Counter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, columns, drawing, told
from rvsweep.stats.overview import ArmEffect, Overview
from rvsweep.stats.paired import NO_ESTIMATE, Estimate

MOST_RANKED = 14  # arms


def overview_figure(overview: Overview, colours: list[str], layers: int) -> Drawing:
    """The arms that differ most, MOST_RANKED at most: left their layers, right their difference with its control's behind.

    Layer l is drawn from l to l + 1, of `layers`; `colours` by index of the arm. The data are of all arms.
    """
    shown = sorted(overview.effects, key=_size, reverse=True)[:MOST_RANKED]
    with style.figure(0.7 + 0.31 * len(shown), layout="constrained") as (fig, axes):
        axes.remove()
        left, right = fig.subplots(1, 2, sharey=True, width_ratios=(2, 3))
        for at, effect in enumerate(shown):
            arm, paired, y = effect.line.arm, effect.line.paired, at + 0.72
            gid = told(arm.label, paired.difference, paired.p)
            name = style.shortened(arm.label, 60)  # may go on over the right axes
            style.row_label(left, 0, at + 0.33, name, fontsize=7.5, in_layout=False)
            style.row_bar(left, arm.ranges, y, colours[arm.index], gid)
            style.estimate_bar(right, paired.difference, y, colours[arm.index], gid)
            own = effect.control.effect if effect.control else NO_ESTIMATE
            if np.isfinite(own.low):
                box = {"color": style.MUTED, "alpha": 0.25, "lw": 0, "zorder": 0}
                right.add_patch(Rectangle((own.low, y - 0.24), own.high - own.low, 0.48, **box))
        _ranked_axes(left, right, overview, shown, layers)
        about = f"{overview.table.outcome.title}: the arms that differ most, their layers and differences"
        return drawing(fig, "overview", about, _data(overview.effects))


def _size(effect: ArmEffect) -> float:
    return abs(effect.line.paired.difference.value)


def _ranked_axes(left: Axes, right: Axes, overview: Overview, shown: list[ArmEffect], layers: int) -> None:
    """Means decide how far the right axis goes: an interval of few pairs may leave it."""
    source = _source(overview)
    values = [effect.line.paired.difference for effect in shown] + ([source] if source else [])
    reach = 2 * max(abs(estimate.value) for estimate in values) or 1.0
    right.axvline(0, color=style.INK, lw=0.8, zorder=1)
    if source:
        right.axvline(source.value, color=style.SOURCE, lw=1, ls=(0, (4, 3)), zorder=1)
        style.data_text(
            right, source.value, -0.15, "source", color=style.SOURCE, ha="center", va="center", fontsize=7.5
        )
    ends = np.array([(0.0, e.value, e.low, e.high) for e in values])
    low, high = max(np.nanmin(ends), -reach), min(np.nanmax(ends), reach)
    right.set_xlim(low - 0.03 * reach, high + 0.03 * reach)
    right.set_ylim(len(shown) + 0.1, -0.4)
    right.patch.set_visible(False)  # names of arms may lie below
    right.set_xlabel(style.outcome_scale(overview.table.outcome))
    right.xaxis.set_major_locator(MaxNLocator(5))
    left.set_xlim(0, layers)
    left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    left.set_xlabel("layer")
    for axes in (left, right):
        style.no_y_axis(axes)
        style.grid(axes, "x")


def _source(overview: Overview) -> Estimate | None:
    """The gap that a patch could close."""
    lines = (line for line in overview.table.lines if line.arm.kind == "source" and line.paired)
    line = None if overview.table.outcome.bounded else next(lines, None)
    return line and line.paired.difference


def draw_effects(axes: Axes, overview: Overview, colours: list[str], layers: int) -> None:
    """Bars from the first to the last patched layer at the arm's difference; its control's interval behind."""
    axes.axhline(0, color=style.INK, lw=0.8, zorder=1)
    for effect, share in zip(overview.effects, _shares(overview.effects), strict=True):
        _control_band(axes, effect)
        _arm_bar(axes, effect, colours[effect.line.arm.index], share)
    if source := _source(overview):
        axes.axhline(source.value, color=style.SOURCE, lw=1, ls=(0, (4, 3)), zorder=1)
        style.data_text(axes, layers, source.value, "source", color=style.SOURCE,
                        ha="right", va="bottom", fontsize=8)  # fmt: skip
    axes.set_xlim(0, layers)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("layer")
    axes.set_ylabel(style.outcome_scale(overview.table.outcome))
    style.grid(axes, "y")
    named = _named(overview)
    handles = [axes.plot([], [], color=colours[e.line.arm.index], lw=3)[0] for e in named]
    style.named_curves(axes, handles, [e.line.arm.label for e in named])


def _named(overview: Overview) -> list[ArmEffect]:
    """Those that the legend names."""
    return overview.effects if len(overview.effects) <= style.MOST_CURVES else [overview.largest]


def _shares(effects: list[ArmEffect]) -> list[float]:
    """Where in its band each arm's interval stands, so that arms of the same layers stand side by side."""
    total, seen, shares = Counter(effect.line.arm.ranges for effect in effects), Counter(), []
    for effect in effects:
        ranges = effect.line.arm.ranges
        shares.append((seen[ranges] + 1) / (total[ranges] + 1))
        seen[ranges] += 1
    return shares


def _control_band(axes: Axes, effect: ArmEffect) -> None:
    own = effect.control.effect if effect.control else NO_ESTIMATE
    if np.isfinite(own.low):
        for start, end in effect.line.arm.ranges:
            corner, height = (start, own.low), own.high - own.low
            axes.add_patch(
                Rectangle(corner, end - start, height, color=style.MUTED, alpha=0.25, lw=0, zorder=0)
            )
            axes.plot([start, end], [own.value] * 2, color=style.MUTED, lw=1, zorder=2)


def _arm_bar(axes: Axes, effect: ArmEffect, colour: str, share: float) -> None:
    difference, ranges = effect.line.paired.difference, effect.line.arm.ranges
    options = {"lw": 3, "solid_capstyle": "butt", "zorder": 4}
    options["gid"] = told(effect.line.arm.label, difference, effect.line.paired.p)
    for start, end in ranges:
        axes.plot([start, end], [difference.value] * 2, color=colour, **options)
    for (_, left), (right, _) in zip(ranges, ranges[1:], strict=False):
        axes.plot([left, right], [difference.value] * 2, color=colour, lw=0.8, ls=":", zorder=4)
    if ranges and np.isfinite(difference.low):
        start, end = ranges[0]
        x = start + share * (end - start)
        axes.vlines(x, difference.low, difference.high, color=colour, lw=1.2, zorder=3)


def _data(effects: list[ArmEffect]) -> dict[str, list]:
    data = columns(effects, arm="line.arm.label")
    data["layers"] = [effect.line.arm.settings.get("layers", "") for effect in effects]
    data |= columns(
        [e.line.paired.difference for e in effects], difference="value", low="low", high="high", n="n"
    )
    data["control"] = [e.control.line.label if e.control else "" for e in effects]
    own = [e.control.effect if e.control else NO_ESTIMATE for e in effects]
    return data | columns(own, control_difference="value", control_low="low", control_high="high")
