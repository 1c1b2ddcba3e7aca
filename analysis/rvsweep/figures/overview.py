"""The figure of the first screen: what each arm does, over the layers that it patches."""

from collections import Counter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, columns, drawing, told
from rvsweep.stats.overview import ArmEffect, Overview
from rvsweep.stats.paired import NO_ESTIMATE


def effects_over_layers(overview: Overview, colours: list[str], layers: int) -> Drawing:
    """Bars from the first to the last patched layer at the arm's difference; its control's interval behind.

    Layer l is drawn from l to l + 1, of `layers`; `colours` by index of the arm.
    """
    named = _named(overview)
    with style.figure(3.3 + style.LEGEND_LINE * len(named), layout="constrained") as (fig, axes):
        draw_effects(axes, overview, colours, layers)
        about = f"{overview.table.outcome.title}: difference to the unpatched arm over the patched layers"
        return drawing(fig, "overview", about, _data(overview.effects))


def draw_effects(axes: Axes, overview: Overview, colours: list[str], layers: int) -> None:
    """The same on given axes."""
    axes.axhline(0, color=style.INK, lw=0.8, zorder=1)
    for effect, share in zip(overview.effects, _shares(overview.effects), strict=True):
        _control_band(axes, effect)
        _arm_bar(axes, effect, colours[effect.line.arm.index], share)
    source = next((line for line in overview.table.lines if line.arm.kind == "source" and line.paired), None)
    if source and not overview.table.outcome.bounded:
        axes.axhline(source.paired.difference.value, color=style.SOURCE, lw=1, ls=(0, (4, 3)), zorder=1)
        style.data_text(axes, layers, source.paired.difference.value, "source", color=style.SOURCE,
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
    data["control"] = [e.control.line.control.label if e.control else "" for e in effects]
    own = [e.control.effect if e.control else NO_ESTIMATE for e in effects]
    return data | columns(own, control_difference="value", control_low="low", control_high="high")
