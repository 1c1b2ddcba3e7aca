"""Figures of study sections: depth, tokens, dose, controls, the rows' own geometry."""

import itertools
import re

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.comparison import ControlLine, OutcomeTable
from analysis.figure_style import INK, RULE, SOURCE, Drawing, data_text, drawing, figure
from analysis.groups import GroupEffects
from analysis.outcomes import Outcome
from analysis.row_geometry import LayerEffects, StepCurves
from analysis.scans import Scan
from analysis.statistics import Estimate

LINE_COLOURS = ("#0a6b53", "#6d28a8", SOURCE, "#1d5fa8", "#7c4a12", "#b3261e", "#4b5563", "#8a6d00")
MOST_CURVES = len(LINE_COLOURS)  # arms in one figure of curves
LEGEND_LINE = 0.17  # inches
FOREST_LINES = 60  # beyond this a forest plot is unreadable; its table and CSV hold all


def outcome_scale(outcome: Outcome) -> str:
    return "difference in ln $R_V$" if outcome.ratio else f"difference, {outcome.unit}".strip(", ")


def depth_heat_map(table: OutcomeTable, scan: Scan, name: str) -> Drawing | None:
    """Start x width: transfer where it is defined, else the difference; None for bands of one width.

    A ring marks p < 0.05 by the max-statistic over the bands of the scan.
    """
    bands = [line.arm.band for line in scan.lines]
    widths = sorted({end - start for start, end in bands})
    starts = sorted({start for start, _ in bands})
    if len(widths) < 2:
        return None
    shares = [line.transfer for line in scan.lines]
    as_transfer = all(share is not None for share in shares)
    values = [
        s.value if as_transfer else line.paired.difference.value
        for s, line in zip(shares, scan.lines, strict=True)
    ]
    grid = np.full((len(widths), len(starts)), np.nan)
    for (start, end), value in zip(bands, values, strict=True):
        grid[widths.index(end - start), starts.index(start)] = value
    reach = np.nanmax(np.abs(grid)) or 1.0
    with figure(1.5 + 0.32 * len(widths), layout="constrained") as (fig, axes):
        image = axes.imshow(grid, aspect="auto", origin="lower", cmap="RdBu_r", vmin=-reach, vmax=reach)
        for (start, end), value, p in zip(bands, values, scan.p_max, strict=True):
            x, y = starts.index(start), widths.index(end - start)
            if len(starts) <= 12:
                dark = abs(value) > 0.6 * reach
                axes.text(
                    x,
                    y,
                    _cell_text(value, reach),
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if dark else INK,
                )
            if p < 0.05:
                axes.plot(x + 0.34, y + 0.3, "o", ms=3, mfc="none", mec=INK, mew=0.8)
        step = max(1, len(starts) // 12)
        axes.set_xticks(range(0, len(starts), step), [str(s) for s in starts[::step]])
        axes.set_yticks(range(len(widths)), [str(w) for w in widths])
        axes.set_xlabel("first layer of the band")
        axes.set_ylabel("layers in the band")
        bar = fig.colorbar(image, ax=axes, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label("transfer, %" if as_transfer else outcome_scale(table.outcome))
        return drawing(
            fig, name, f"{table.outcome.title} by first layer and width of the patched band", _scan_data(scan)
        )


def _cell_text(value: float, reach: float) -> str:
    """Two digits of the largest value, short enough for a narrow cell: 12, 1.2, .12, −.04."""
    digits = max(0, 1 - int(np.floor(np.log10(reach))))
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text.removeprefix("0") if "." in text else text)


def depth_profile(table: OutcomeTable, scan: Scan, name: str, layers: int) -> Drawing:
    """Difference with its interval over the middle of the band, one line per width."""
    widths = sorted({line.arm.band[1] - line.arm.band[0] for line in scan.lines})
    with figure(3.4, layout="constrained") as (fig, axes):
        axes.axhline(0, color=INK, lw=0.8)
        for at, width in enumerate(widths):
            lines = [line for line in scan.lines if line.arm.band[1] - line.arm.band[0] == width]
            middle = np.array([sum(line.arm.band) / 2 - 0.5 for line in lines])
            colour = LINE_COLOURS[at % MOST_CURVES]
            estimates = [line.paired.difference for line in lines]
            axes.vlines(
                middle,
                [e.low for e in estimates],
                [e.high for e in estimates],
                color=colour,
                lw=1.4,
                alpha=0.6,
            )
            label = f"{width} layer{'' if width == 1 else 's'}"
            axes.plot(middle, [e.value for e in estimates], "-o", ms=3.5, lw=1.2, color=colour, label=label)
        axes.set_xlim(-0.5, layers - 0.5)
        axes.set_xlabel("middle of the patched band (layer)")
        axes.set_ylabel(outcome_scale(table.outcome))
        quiet_grid(axes)
        if len(widths) > 1:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(4, len(widths)), fontsize=8)
        return drawing(fig, name, f"{table.outcome.title} by depth of the patched band", _scan_data(scan))


def position_profile(table: OutcomeTable, scan: Scan, name: str) -> Drawing:
    """Difference with its interval for each choice of patched token positions."""
    labels = [re.sub(r":.*/", ": ", line.arm.settings["positions"]) for line in scan.lines]
    return _estimates_by_label(
        table, [line.paired.difference for line in scan.lines], labels, name,
        f"{table.outcome.title} by the token positions that are patched", _scan_data(scan),
    )  # fmt: skip


def group_curves(table: OutcomeTable, effects: GroupEffects, name: str) -> Drawing:
    """Mean difference by source group; groups with a dose level stand first and are joined."""
    x = np.arange(len(effects.groups))
    dosed = [i for i in x if effects.levels[i] is not None]
    shown = effects.lines[:MOST_CURVES]
    with figure(3.1 + LEGEND_LINE * len(shown), layout="constrained") as (fig, axes):
        axes.axhline(0, color=INK, lw=0.8)
        handles = []
        for at, line in enumerate(shown):
            colour = LINE_COLOURS[at]
            offset = 0.5 * (at + 0.5 - len(shown) / 2) / len(shown)
            value, low, high = (
                np.array([getattr(e, part) for e in line.effects]) for part in ("value", "low", "high")
            )
            axes.vlines(x + offset, low, high, color=colour, lw=1.4, alpha=0.6)
            axes.plot(x + offset, value, "o", ms=4, color=colour)
            axes.plot(x[dosed] + offset, value[dosed], color=colour, lw=1.2)
            handles += axes.plot([], [], "-o", ms=4, lw=1.2, color=colour)
        named_curves(axes, handles, [line.line.arm.label for line in shown])
        axes.set_xticks(x, [g.replace("recursive_l", "L") if effects.levels[i] is not None else g for i, g in enumerate(effects.groups)],
                        rotation=0 if len(x) <= 6 else 45, ha="center" if len(x) <= 6 else "right", parse_math=False)  # fmt: skip
        axes.set_xlabel("group of the source prompt")
        axes.set_ylabel(outcome_scale(table.outcome))
        quiet_grid(axes)
        data = {"arm": [], "group": [], "mean": [], "low": [], "high": [], "n": []}
        for line in effects.lines:
            for group, estimate in zip(effects.groups, line.effects, strict=True):
                for column, value in zip(
                    data,
                    (line.line.arm.label, group, estimate.value, estimate.low, estimate.high, estimate.n),
                    strict=True,
                ):
                    data[column].append(value)
        return drawing(fig, name, f"{table.outcome.title} by group of the source prompt", data)


def forest(table: OutcomeTable, colours: list[str]) -> Drawing | None:
    """Each arm less each of its controls, with intervals; None without controls."""
    lines = table.controls
    if not lines:
        return None
    shown = lines[:FOREST_LINES]
    entries: list[tuple[str, ControlLine | None]] = []
    for _, of_arm in itertools.groupby(shown, key=lambda line: line.arm.index):
        of_arm = list(of_arm)
        entries.append((of_arm[0].arm.label, None))
        entries += [(line.control.control, line) for line in of_arm]
    height = 0.21 * len(entries) + 0.75
    with figure(height) as (fig, axes):
        axes.axvline(0, color=INK, lw=0.8, zorder=1)
        labels = {"transform": axes.get_yaxis_transform(), "va": "center", "parse_math": False}
        for y, (label, line) in enumerate(entries):
            if line is None:
                text = label if len(label) <= 62 else label[:61] + "…"
                data_text(
                    axes,
                    -0.42,
                    y,
                    text,
                    transform=axes.get_yaxis_transform(),
                    va="center",
                    fontsize=8.5,
                    weight="bold",
                )
                continue
            axes.text(-0.4, y, label, **labels, fontsize=8.5)
            estimate_bar(axes, line.paired.difference, y, colours[line.arm.index])
        axes.set_ylim(len(entries) - 0.4, -0.6)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"arm − control ({outcome_scale(table.outcome)})")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x", color=RULE, lw=0.6)
        axes.set_axisbelow(True)
        fig.subplots_adjust(left=0.31, right=0.97, top=1 - 0.05 / height, bottom=0.55 / height)
        estimates = [line.paired.difference for line in lines]
        data = {
            "arm": [line.arm.label for line in lines],
            "control": [line.control.control for line in lines],
            "difference": [e.value for e in estimates],
            "low": [e.low for e in estimates],
            "high": [e.high for e in estimates],
            "n": [e.n for e in estimates],
            "p_sign_flip": [line.paired.p_sign_flip for line in lines],
            "p_holm": [line.p_holm for line in lines],
            "p_tost": [line.equivalence.p for line in lines],
        }
        return drawing(
            fig, table.outcome.name + "-forest", f"{table.outcome.title}: arms less their controls", data
        )


def layer_effects(effects: LayerEffects, name: str) -> Drawing:
    """Mean difference in PR to the recipient by layer, one curve per arm."""
    shown = effects.arms[:MOST_CURVES]
    with figure(3.1 + LEGEND_LINE * len(shown), layout="constrained") as (fig, axes):
        axes.axhline(0, color=INK, lw=0.8)
        layers = np.arange(effects.mean.shape[1])
        _curves(axes, layers, effects, [arm.label for arm in shown])
        axes.set_xlabel("layer")
        axes.set_ylabel(f"PR of the {effects.window} window, arm − recipient")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        quiet_grid(axes)
        arms, count = len(effects.arms), len(layers)
        data = {
            "arm": np.repeat([arm.label for arm in effects.arms], count),
            "layer": np.tile(layers, arms),
            "mean": effects.mean.ravel(),
            "low": effects.low.ravel(),
            "high": effects.high.ravel(),
            "p_max_statistic": effects.p_max.ravel(),
        }
        return drawing(
            fig,
            name,
            f"Participation ratio of the {effects.window} window by layer, arm less recipient",
            data,
        )


def steps(curves: StepCurves) -> Drawing:
    """R_V of the sliding window at every step, mean over pairs, one curve per arm."""
    shown = curves.arms[:MOST_CURVES]
    with figure(3.1 + LEGEND_LINE * len(shown), layout="constrained") as (fig, axes):
        step = np.arange(curves.mean.shape[1])
        _curves(axes, step, curves, [arm.label for arm in shown])
        axes.set_xlabel("fed token")
        axes.set_ylabel("ln $R_V$ of the sliding window")
        quiet_grid(axes)
        data = {
            "arm": np.repeat([arm.label for arm in curves.arms], len(step)),
            "step": np.tile(step, len(curves.arms)),
            "mean": curves.mean.ravel(),
            "low": curves.low.ravel(),
            "high": curves.high.ravel(),
            "n": curves.n.ravel(),
        }
        return drawing(fig, "steps", "ln R_V of the sliding window by generation step", data)


def _estimates_by_label(
    table, estimates: list[Estimate], labels: list[str], name, alternative, data
) -> Drawing:
    height = 0.24 * len(labels) + 0.8
    with figure(height, layout="constrained") as (fig, axes):
        axes.axvline(0, color=INK, lw=0.8, zorder=1)
        for y, estimate in enumerate(estimates):
            estimate_bar(axes, estimate, y, LINE_COLOURS[0])
        axes.set_yticks(
            range(len(labels)),
            [label if len(label) <= 22 else label[:21] + "…" for label in labels],
            parse_math=False,
        )
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(outcome_scale(table.outcome))
        axes.grid(axis="x", color=RULE, lw=0.6)
        axes.set_axisbelow(True)
        return drawing(fig, name, alternative, data)


def estimate_bar(axes, estimate: Estimate, y: float, colour: str) -> None:
    axes.plot([estimate.low, estimate.high], [y, y], color=colour, lw=1.8, zorder=3, solid_capstyle="butt")
    axes.plot(estimate.value, y, marker="D", ms=4.5, color=colour, mec="white", mew=0.7, zorder=4)


def named_curves(axes, handles, labels: list[str]) -> None:
    short = [label if len(label) <= 64 else label[:63] + "…" for label in labels]
    legend = axes.legend(
        handles, short, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=7.5, borderpad=0.2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _curves(axes, x: np.ndarray, curves, labels: list[str]) -> None:
    """Means with bands of the first arms."""
    handles = []
    for at, colour in zip(range(len(labels)), LINE_COLOURS, strict=False):
        axes.fill_between(x, curves.low[at], curves.high[at], color=colour, alpha=0.13, linewidth=0)
        handles += axes.plot(x, curves.mean[at], color=colour, lw=1.6)
    named_curves(axes, handles, labels)


def quiet_grid(axes) -> None:
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.set_axisbelow(True)


def _scan_data(scan: Scan) -> dict[str, list]:
    estimates = [line.paired.difference for line in scan.lines]
    data = {"arm": [line.arm.label for line in scan.lines]}
    if scan.setting == "layers":
        data |= {
            "start": [line.arm.band[0] for line in scan.lines],
            "end": [line.arm.band[1] for line in scan.lines],
        }
    else:
        data["positions"] = [line.arm.settings["positions"] for line in scan.lines]
    data |= {
        "difference": [e.value for e in estimates],
        "low": [e.low for e in estimates],
        "high": [e.high for e in estimates],
        "d_z": [line.paired.d_z for line in scan.lines],
        "p_sign_flip": [line.paired.p_sign_flip for line in scan.lines],
        "p_max_statistic": scan.p_max,
        "n": [e.n for e in estimates],
    }
    for part in ("value", "low", "high"):
        name = "transfer_percent" if part == "value" else f"transfer_{part}"
        data[name] = [
            np.nan if line.transfer is None else getattr(line.transfer, part) for line in scan.lines
        ]
    return data
