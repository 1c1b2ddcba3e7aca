"""Figures of several files side by side."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.figure_style import INK, RULE, Drawing, data_text, drawing, figure
from analysis.models import OutcomeComparison, Side
from analysis.study_figures import LINE_COLOURS, estimate_bar, named_curves, outcome_scale, quiet_grid

MOST_ARMS = 40  # in one figure; the table and the CSV hold all


def pr_by_depth(compared: list[Side]) -> Drawing | None:
    """Source less base in participation ratio over depth as a share, one curve per file."""
    shown = [side for side in compared if side.a.pr_difference is not None]
    if not shown:
        return None
    with figure(3.7, layout="constrained") as (fig, axes):
        axes.axhline(0, color=INK, lw=0.8)
        handles = []
        data = {"file": [], "layer": [], "depth": [], "mean": [], "low": [], "high": []}
        for side, colour in zip(shown, LINE_COLOURS, strict=False):
            curve, layers = side.a.pr_difference, side.results.n_layers
            depth = np.arange(layers) / layers
            axes.fill_between(depth, curve.low, curve.high, color=colour, alpha=0.13, linewidth=0)
            handles += axes.plot(depth, curve.mean, color=colour, lw=1.6)
            parts = ([side.name] * layers, range(layers), depth, curve.mean, curve.low, curve.high)
            for column, values in zip(data.values(), parts, strict=True):
                column.extend(values)
        named_curves(
            axes, handles, [f"{side.name} (n = {len(side.a.pr_difference.pairs)})" for side in shown]
        )
        axes.set_xlabel("depth (layer / layers)")
        axes.set_ylabel("PR, source − base")
        quiet_grid(axes)
        return drawing(fig, "pr-depth", "Difference in participation ratio by depth", data)


def effects(compared: list[Side], comparison: OutcomeComparison) -> Drawing:
    """Every matched arm's difference to its recipient, one line per file."""
    shown = comparison.arms[:MOST_ARMS]
    height = sum(0.22 + 0.17 * len(compared) for _ in shown) + 0.65
    with figure(height + 0.25 * len(compared)) as (fig, axes):
        axes.axvline(0, color=INK, lw=0.8, zorder=1)
        y, total = 0.0, height + 0.25 * len(compared)
        for arm in shown:
            label = arm.label if len(arm.label) <= 58 else arm.label[:57] + "…"
            data_text(axes, 0, y, label, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
            y += 0.17
            for at, line in enumerate(arm.lines):
                if line:
                    estimate_bar(axes, line.paired.difference, y, LINE_COLOURS[at % len(LINE_COLOURS)])
                y += 0.17
            y += 0.05
        axes.set_ylim(y, -0.15)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(outcome_scale(comparison.outcome))
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="x", color=RULE, lw=0.6)
        axes.set_axisbelow(True)
        handles = [
            axes.plot([], [], color=LINE_COLOURS[at % len(LINE_COLOURS)], lw=1.8)[0]
            for at in range(len(compared))
        ]
        top = 1 - (0.08 + 0.2 * len(compared)) / total
        fig.subplots_adjust(left=0.03, right=0.97, top=top, bottom=0.5 / total)
        named_curves(axes, handles, [side.name for side in compared])
        return drawing(
            fig,
            f"compare-{comparison.outcome.name}",
            f"{comparison.outcome.title}: arms less their recipients, by file",
            effects_data(compared, comparison),
        )


def effects_data(compared: list[Side], comparison: OutcomeComparison) -> dict[str, list]:
    columns = ("arm", "file", "layers", "difference", "low", "high", "d_z", "n", "transfer_percent")
    data: dict[str, list] = {name: [] for name in columns}
    for arm in comparison.arms:
        for side, line in zip(compared, arm.lines, strict=True):
            if line is None:
                continue
            found = line.paired.difference
            share = np.nan if line.transfer is None else line.transfer.value
            layers = line.arm.settings.get("layers", "")
            values = (
                arm.label,
                side.name,
                layers,
                found.value,
                found.low,
                found.high,
                line.paired.d_z,
                found.n,
                share,
            )
            for column, value in zip(data.values(), values, strict=True):
                column.append(value)
    return data
