"""Figures of prompts and of arms, each a function from computed numbers to a drawing."""

import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.comparison import ArmLine, OutcomeTable
from analysis.figure_style import (
    BASE,
    INK,
    MANY_POINTS,
    MUTED,
    RULE,
    SOURCE,
    Drawing,
    data_text,
    drawing,
    figure,
)
from analysis.geometry import ExperimentA, LayerCurve
from analysis.resampling import Bootstrap
from analysis.statistics import Estimate, mean_with_interval

LABELLED_PAIRS = 24  # up to here each pair has its own labelled line
HEADINGS = {
    "base": "Unpatched",
    "source": "Unpatched",
    "v_proj": "Experiment B · v_proj patched",
    "kv_cache": "Experiment C · KV cache patched",
}
LABEL_CHARACTERS = 54
LINE_HEIGHT = 0.16  # inches
BAR_ZONE = 0.34
AXIS_ZONE = 0.55


def r_v_scatter(a: ExperimentA, pair_ids: np.ndarray, bootstrap: Bootstrap) -> Drawing:
    """R_V of base and source with a line per pair; means with intervals beside them."""
    base, source = a.r_v_base[a.complete], a.r_v_source[a.complete]
    with figure(3.7, layout="constrained") as (fig, axes):
        crowded = a.n > 200
        axes.plot(
            [0, 1],
            [base, source],
            color=MUTED,
            lw=0.8,
            alpha=0.15 if crowded else 0.45,
            zorder=1,
            rasterized=a.n > MANY_POINTS // 4,
        )
        for x, values, colour, side in ((0, base, BASE, -0.16), (1, source, SOURCE, 0.16)):
            axes.scatter(
                np.full(a.n, x),
                values,
                s=26,
                color=colour,
                alpha=0.75,
                linewidths=0,
                zorder=2,
                rasterized=a.n > MANY_POINTS,
            )
            _estimate(axes, mean_with_interval(values, bootstrap), x + side, colour, vertical=True)
        axes.set_xlim(-0.5, 1.5)
        axes.set_xticks([0, 1], [f"base\n(n = {a.n})", f"source\n(n = {a.n})"])
        axes.set_ylabel("$R_V$ = PR(late) / PR(early)")
        axes.grid(axis="y", color=RULE, lw=0.6)
        axes.set_axisbelow(True)
        return drawing(
            fig,
            "rv",
            "R_V of base and source prompts, one line per pair, means with 95 % intervals",
            {"pair": pair_ids[a.complete], "r_v_base": base, "r_v_source": source},
        )


def log_r_v_differences(a: ExperimentA, pair_ids: np.ndarray) -> Drawing:
    """ln R_V(source) - ln R_V(base) of every pair and its mean."""
    values = np.log(a.r_v_source[a.complete]) - np.log(a.r_v_base[a.complete])
    labels = pair_ids[a.complete]
    order = np.argsort(values, kind="stable")
    labelled = a.n <= LABELLED_PAIRS
    height = max(3.0, 0.95 + 0.22 * a.n) if labelled else 3.7
    with figure(height, layout="constrained") as (fig, axes):
        y = np.arange(a.n)
        step = 1.0 if labelled else a.n / 18
        axes.axvline(0, color=INK, lw=0.8)
        axes.hlines(y, 0, values[order], color=RULE, lw=1.2, zorder=1, rasterized=a.n > MANY_POINTS)
        axes.scatter(
            values[order], y, s=24, color=MUTED, linewidths=0, zorder=2, rasterized=a.n > MANY_POINTS
        )
        _estimate(axes, a.log_r_v.difference, a.n - 1 + 1.3 * step, SOURCE, vertical=False)
        ticks = [a.n - 1 + 1.3 * step]
        texts = ["mean"]
        if labelled:
            ticks, texts = [*y, *ticks], [*(_short(labels[i], 16) for i in order), *texts]
        axes.set_yticks(ticks, texts, parse_math=False)
        axes.set_ylim(-0.8 * step, a.n - 1 + 2.2 * step)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("ln $R_V$(source) − ln $R_V$(base)")
        if not labelled:
            axes.set_ylabel("pairs, sorted")
        axes.grid(axis="x", color=RULE, lw=0.6)
        axes.set_axisbelow(True)
        return drawing(
            fig,
            "lnrv",
            "Difference of ln R_V between source and base for every pair, with the mean and its interval",
            {"pair": labels[order], "ln_r_v_source_minus_base": values[order]},
        )


def pr_by_layer(a: ExperimentA, early: int, late: int) -> Drawing:
    with figure(3.7, layout="constrained") as (fig, axes):
        for curve, colour, name in ((a.pr_base, BASE, "base"), (a.pr_source, SOURCE, "source")):
            _layer_curve(axes, curve, colour, f"{name} (n = {len(curve.pairs)})")
        axes.set_ylabel("participation ratio of V")
        axes.margins(y=0.12)
        _mark_layers(axes, early, late, a.pr_base.mean.size)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
        data = {"layer": np.arange(a.pr_base.mean.size)}
        for curve, name in ((a.pr_base, "base"), (a.pr_source, "source")):
            data |= {f"{name}_mean": curve.mean, f"{name}_low": curve.low, f"{name}_high": curve.high}
        return drawing(fig, "pr", "Participation ratio by layer, source and base, mean and 95 % band", data)


def pr_difference_by_layer(a: ExperimentA, early: int, late: int) -> Drawing:
    with figure(3.7, layout="constrained") as (fig, axes):
        axes.axhline(0, color=INK, lw=0.8)
        curve, wide = a.pr_difference, simultaneous_half_width(a)
        layers = np.arange(curve.mean.size)
        _layer_curve(axes, a.pr_difference, "#7c4a12", f"source − base (n = {len(a.pr_difference.pairs)})")
        axes.set_ylabel("difference in participation ratio")
        axes.margins(y=0.12)
        limits = axes.get_ylim()
        low, high = curve.mean - wide, curve.mean + wide
        axes.fill_between(layers, low, high, color="#7c4a12", alpha=0.1, linewidth=0)
        axes.set_ylim(limits)  # a band of few pairs may be far wider than the data
        _mark_layers(axes, early, late, a.pr_difference.mean.size)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)
        data = {
            "layer": layers,
            "mean": curve.mean,
            "low": curve.low,
            "high": curve.high,
            "simultaneous_low": low,
            "simultaneous_high": high,
            "p_max_statistic": a.pr_max.p,
        }
        return drawing(
            fig, "prdiff", "Paired difference in participation ratio by layer with 95 % band", data
        )


def simultaneous_half_width(a: ExperimentA) -> np.ndarray:
    """[L] half width of the band that holds every layer at once, from the max-statistic; NaN where none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(a.pr_max.critical * a.pr_difference.mean / a.pr_max.t)


def outcome_levels(table: OutcomeTable, colours: list[str]) -> Drawing:
    """Every arm's mean over pairs with its interval, every pair as a point."""
    lines = [line for line in table.lines if line.level.n]
    layout = _arm_layout(lines)
    bars = table.outcome.name in ("keyword_count", "keyword_rate")
    with figure(layout.height + AXIS_ZONE) as (fig, axes):
        for line, y in zip(lines, layout.centres, strict=True):
            colour = colours[line.arm.index]
            if bars and np.isfinite(line.level.value):
                axes.barh(y, line.level.value, height=0.24, color=colour, alpha=0.25, linewidth=0, zorder=1)
            _points(axes, table.values[:, line.arm.index], y, colour, table.values.size)
            _estimate(axes, line.level, y, colour, vertical=False)
        base = next((line.level.value for line in lines if line.arm.kind == "base"), np.nan)
        if np.isfinite(base):
            axes.axvline(base, color=BASE, lw=0.9, ls=(0, (3, 3)), zorder=0)
        if bars:
            axes.set_xlim(left=0)
        _finish_arms(fig, axes, layout, [line.level.n for line in lines], _unit(table))
        return drawing(
            fig,
            table.outcome.name,
            f"{table.outcome.title} by arm, mean, 95 % interval and every pair",
            _estimates(lines, [line.level for line in lines]),
        )


def outcome_differences(table: OutcomeTable, colours: list[str]) -> Drawing | None:
    """Every arm minus its unpatched recipient, pair by pair; None where nothing can be compared."""
    lines = [line for line in table.lines if line.paired is not None]
    if not lines:
        return None
    layout = _arm_layout(lines)
    with figure(layout.height + AXIS_ZONE) as (fig, axes):
        axes.axvline(0, color=INK, lw=0.8, zorder=0)
        for line, y in zip(lines, layout.centres, strict=True):
            colour = colours[line.arm.index]
            _points(axes, table.differences[:, line.arm.index], y, colour, table.values.size)
            _estimate(axes, line.paired.difference, y, colour, vertical=False)
        scale = "difference in ln $R_V$" if table.outcome.ratio else "difference, " + _unit(table)
        recipients = dict.fromkeys(line.recipient.kind for line in lines)
        counts = [line.paired.n for line in lines]
        _finish_arms(fig, axes, layout, counts, f"{scale} (arm − {' or '.join(recipients)})")
        return drawing(
            fig,
            table.outcome.name + "-difference",
            f"{table.outcome.title}: difference to the unpatched arm",
            _estimates(lines, [line.paired.difference for line in lines]),
        )


def _estimates(lines: list[ArmLine], estimates: list[Estimate]) -> dict[str, list]:
    columns = {"arm": [line.arm.label for line in lines]}
    for name in ("value", "low", "high", "sd", "n"):
        columns[name] = [getattr(estimate, name) for estimate in estimates]
    return columns


@dataclass(frozen=True)
class ArmLayout:
    """Places in inches from the top: labels above, points and bar below."""

    headings: list[tuple[float, str]]
    label_tops: list[float]
    labels: list[str]
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
        label = textwrap.wrap(line.arm.label, LABEL_CHARACTERS, max_lines=3, placeholder=" …") or [
            "(no label)"
        ]
        tops.append(y)
        labels.append("\n".join(label))
        y += LINE_HEIGHT * len(label)
        centres.append(y + BAR_ZONE / 2)
        y += BAR_ZONE + 0.1
    return ArmLayout(headings, tops, labels, centres, y)


def _finish_arms(fig, axes: Axes, layout: ArmLayout, counts: list[int], unit: str) -> None:
    total = layout.height + AXIS_ZONE
    fig.subplots_adjust(left=0.03, right=0.97, top=1 - 0.03 / total, bottom=(AXIS_ZONE - 0.03) / total)
    axes.set_ylim(layout.height, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    # Text interrupts grid and reference lines.
    place = {"transform": axes.get_yaxis_transform(), "va": "top", "zorder": 1.5}
    place["bbox"] = {"facecolor": "white", "linewidth": 0, "pad": 0.8}
    for y, heading in layout.headings:
        axes.text(0, y, heading, **place, fontsize=8.5, color=MUTED, weight="bold")
    for y, label, n in zip(layout.label_tops, layout.labels, counts, strict=True):
        for index, part in enumerate(label.split("\n")):
            data_text(axes, 0, y + index * LINE_HEIGHT, part, **place, fontsize=8.5)
        axes.text(1, y, f"n = {n}", **place, ha="right", fontsize=8, color=MUTED)
    axes.set_xlabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color=RULE, lw=0.6)
    axes.set_axisbelow(True)


def _points(axes: Axes, values: np.ndarray, y: float, colour: str, total: int) -> None:
    """Pairs from top to bottom in file order, so that a pair has the same height in every arm."""
    offsets = np.linspace(-0.11, 0.11, len(values)) if len(values) > 1 else np.zeros(1)
    axes.scatter(
        values,
        y + offsets,
        s=15,
        color=colour,
        alpha=0.55,
        linewidths=0,
        zorder=2,
        rasterized=total > MANY_POINTS,
    )


def _estimate(axes: Axes, estimate: Estimate, at: float, colour: str, vertical: bool) -> None:
    """A mean and its interval at position `at` of the other axis."""
    ends = ([at, at], [estimate.low, estimate.high])
    place = (at, estimate.value)
    if not vertical:
        ends, place = ends[::-1], place[::-1]
    axes.plot(*ends, color="white", lw=3.8, zorder=3, solid_capstyle="butt")
    axes.plot(*ends, color=colour, lw=2.2, zorder=4, solid_capstyle="butt")
    axes.plot(*place, marker="D", ms=5.5, color=colour, mec="white", mew=0.9, zorder=5)


def _layer_curve(axes: Axes, curve: LayerCurve, colour: str, label: str) -> None:
    layers = np.arange(curve.mean.size)
    if len(curve.pairs) <= LABELLED_PAIRS:
        axes.plot(layers, curve.pairs.T, color=colour, lw=0.6, alpha=0.3)
    axes.fill_between(layers, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(layers, curve.mean, color=colour, lw=2, label=label)


def _mark_layers(axes: Axes, early: int, late: int, layers: int) -> None:
    for layer, name in dict([(early, "early"), (late, "late")]).items():
        axes.axvline(layer, color=MUTED, lw=0.9, ls=(0, (3, 3)), zorder=0)
        left = layer > layers / 2
        axes.text(
            layer,
            0.995,
            f" {name} L{layer} ",
            transform=axes.get_xaxis_transform(),
            va="top",
            ha="right" if left else "left",
            fontsize=8,
            color=MUTED,
        )
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.set_axisbelow(True)


def _unit(table: OutcomeTable) -> str:
    if table.outcome.ratio:
        return f"$R_V$ = {table.outcome.unit}"
    keywords = table.outcome.name in ("keyword_count", "keyword_rate")
    return f"keywords {table.outcome.unit}" if keywords else table.outcome.unit


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
