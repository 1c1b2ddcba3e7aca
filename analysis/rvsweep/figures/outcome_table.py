"""Figures of an outcome: arms by their level, against their recipients and against their controls."""

import itertools
import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, columns, drawing, told
from rvsweep.stats.outcome_table import ArmLine, ControlLine, OutcomeTable
from rvsweep.stats.paired import Estimate

HEADINGS = {
    "base": "Unpatched",
    "source": "Unpatched",
    "v_proj": "v_proj patched",
    "kv_cache": "KV cache patched",
}
COUNTS = {"n": "n", "n_sources": "sources", "n_bases": "bases"}
LABEL_CHARACTERS = 54
LINE_HEIGHT = 0.16  # inches
BAR_ZONE = 0.34  # inches
AXIS_ZONE = 0.55  # inches
MOST_POINTS = 20_000  # beyond this they are drawn as one picture
FOREST_LINES = 60  # beyond this a forest plot is unreadable; its table and CSV hold all


def outcome_levels(table: OutcomeTable, colours: list[str]) -> Drawing:
    """Every arm's mean over pairs with its interval, every pair as a point. `colours` by index of the arm."""
    lines = [line for line in table.lines if line.level.n]
    layout = _arm_layout(lines)
    with style.figure(layout.height + AXIS_ZONE) as (fig, axes):
        for line, y in zip(lines, layout.centres, strict=True):
            colour = colours[line.arm.index]
            if table.outcome.counts_keywords and np.isfinite(line.level.value):
                axes.barh(y, line.level.value, height=0.24, color=colour, alpha=0.25, linewidth=0, zorder=1)
            _points(axes, table.values[:, line.arm.index], y, colour, table.values.size)
            style.estimate_over_points(
                axes, line.level, y, colour, vertical=False, gid=told(line.arm.label, line.level)
            )
        base = next((line.level.value for line in lines if line.arm.kind == "base"), np.nan)
        if np.isfinite(base):
            axes.axvline(base, color=style.BASE, lw=0.9, ls=(0, (3, 3)), zorder=0)
        if table.outcome.counts_keywords:
            axes.set_xlim(left=0)
        _finish_arms(fig, axes, layout, [line.level.counted for line in lines], _unit(table))
        about = f"{table.outcome.title} by arm, mean, 95 % interval and every pair"
        return drawing(fig, table.outcome.name, about, _estimates(lines, [line.level for line in lines]))


def outcome_differences(table: OutcomeTable, colours: list[str]) -> Drawing | None:
    """Every arm minus its unpatched recipient, pair by pair; None where nothing can be compared."""
    lines = [line for line in table.lines if line.paired is not None]
    if not lines:
        return None
    layout = _arm_layout(lines)
    with style.figure(layout.height + AXIS_ZONE) as (fig, axes):
        axes.axvline(0, color=style.INK, lw=0.8, zorder=0)
        for line, y in zip(lines, layout.centres, strict=True):
            colour = colours[line.arm.index]
            bound = line.equivalence.bound if line.equivalence else np.nan
            style.bound_box(axes, bound, (y - BAR_ZONE / 2, y + BAR_ZONE / 2), upright=False)
            _points(axes, table.differences[:, line.arm.index], y, colour, table.values.size)
            gid = told(line.arm.label, line.paired.difference, line.paired.p)
            style.estimate_over_points(axes, line.paired.difference, y, colour, vertical=False, gid=gid)
        scale = "difference in ln $R_V$" if table.outcome.ratio else "difference, " + _unit(table)
        recipients = dict.fromkeys(line.recipient.kind for line in lines)
        counts = [line.paired.difference.counted for line in lines]
        _finish_arms(fig, axes, layout, counts, f"{scale} (arm − {' or '.join(recipients)})")
        data = _estimates(lines, [line.paired.difference for line in lines])
        about = f"{table.outcome.title}: difference to the unpatched arm"
        return drawing(fig, table.outcome.name + "-difference", about, data)


def control_forest(table: OutcomeTable, colours: list[str]) -> Drawing:
    """Each arm of `table.controls` less each of its controls, with intervals."""
    entries: list[tuple[str, ControlLine | None]] = []  # arms as headings, their controls below
    for _, of_arm in itertools.groupby(table.controls[:FOREST_LINES], key=lambda line: line.arm.index):
        of_arm = list(of_arm)
        entries.append((of_arm[0].arm.label, None))
        entries += [(line.name, line) for line in of_arm]
    height = 0.21 * len(entries) + 0.75
    with style.figure(height) as (fig, axes):
        axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
        for y, (label, line) in enumerate(entries):
            if line is None:
                style.row_label(axes, -0.42, y, style.shortened(label, 62), fontsize=8.5, weight="bold")
            else:
                style.row_label(axes, -0.4, y, label, fontsize=8.5)
                style.bound_box(axes, line.equivalence.bound, (y - 0.4, y + 0.4), upright=False)
                gid = told(line.label, line.paired.difference, line.paired.p)
                style.estimate_bar(axes, line.paired.difference, y, colours[line.arm.index], gid)
        axes.set_ylim(len(entries) - 0.4, -0.6)
        style.no_y_axis(axes)
        axes.set_xlabel(f"arm − control ({style.outcome_scale(table.outcome)})")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        style.grid(axes, "x")
        fig.subplots_adjust(left=0.31, right=0.97, top=1 - 0.05 / height, bottom=0.55 / height)
        data = columns(table.controls, arm="arm.label", control="name")
        differences = [line.paired.difference for line in table.controls]
        data |= columns(differences, difference="value", low="low", high="high", **COUNTS)
        tests = {"p": "paired.p", "p_holm": "p_holm", "p_tost": "equivalence.p"}
        data |= columns(table.controls, **tests)
        about = f"{table.outcome.title}: arms less their controls"
        return drawing(fig, table.outcome.name + "-forest", about, data)


def _estimates(lines: list[ArmLine], estimates: list[Estimate]) -> dict[str, list]:
    data = columns(lines, arm="arm.label")
    return data | columns(estimates, value="value", low="low", high="high", sd="sd", **COUNTS)


@dataclass(frozen=True)
class ArmLayout:
    """Heights in inches from the top: labels above, points and bar below."""

    headings: list[tuple[float, str]]
    label_tops: list[float]
    labels: list[list[str]]  # lines of text
    centres: list[float]
    height: float


def _arm_layout(lines: list[ArmLine]) -> ArmLayout:
    y, group = 0.05, None
    headings, tops, labels, centres = [], [], [], []
    for line in lines:
        heading = HEADINGS.get(line.arm.kind, "Other sites patched")
        if heading != group:
            y += 0.08 if group else 0
            headings.append((y, heading))
            y += 0.27
            group = heading
        label = textwrap.wrap(line.arm.label, LABEL_CHARACTERS, max_lines=3, placeholder=" …")
        tops.append(y)
        labels.append(label or ["(no label)"])
        y += LINE_HEIGHT * len(labels[-1])
        centres.append(y + BAR_ZONE / 2)
        y += BAR_ZONE + 0.1
    return ArmLayout(headings, tops, labels, centres, y)


def _finish_arms(fig, axes: Axes, layout: ArmLayout, counts: list[str], unit: str) -> None:
    total = layout.height + AXIS_ZONE
    fig.subplots_adjust(left=0.03, right=0.97, top=1 - 0.03 / total, bottom=(AXIS_ZONE - 0.03) / total)
    axes.set_ylim(layout.height, 0)
    style.no_y_axis(axes)
    # Text interrupts grid and reference lines.
    options = {"transform": axes.get_yaxis_transform(), "va": "top", "zorder": 1.5}
    options["bbox"] = {"facecolor": "white", "linewidth": 0, "pad": 0.8}
    for y, heading in layout.headings:
        axes.text(0, y, heading, **options, fontsize=8.5, color=style.MUTED, weight="bold")
    for top, label, n in zip(layout.label_tops, layout.labels, counts, strict=True):
        for index, part in enumerate(label):
            style.data_text(axes, 0, top + index * LINE_HEIGHT, part, **options, fontsize=8.5)
        axes.text(1, top, f"n = {n}", **options, ha="right", fontsize=8, color=style.MUTED)
    axes.set_xlabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    style.grid(axes, "x")


def _points(axes: Axes, values: np.ndarray, y: float, colour: str, total: int) -> None:
    """Pairs from top to bottom in file order, so that a pair has the same height in every arm."""
    offsets = np.linspace(-0.11, 0.11, len(values)) if len(values) > 1 else np.zeros(1)
    nowhere = np.full(len(values), np.nan)
    x, heights = (np.column_stack([at, at, nowhere]).ravel() for at in (values, y + offsets))
    options = {"lw": 3.9, "alpha": 0.55, "solid_capstyle": "round", "zorder": 2}
    axes.plot(
        x, heights, color=colour, rasterized=total > MOST_POINTS, **options
    )  # one path: a few bytes a dot


def _unit(table: OutcomeTable) -> str:
    if table.outcome.ratio:
        return f"$R_V$ = {table.outcome.unit}"
    return f"keywords {table.outcome.unit}" if table.outcome.counts_keywords else table.outcome.unit
