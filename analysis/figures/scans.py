"""Figures of scans: the difference by layers and by token positions that are patched."""

import re

import numpy as np
from matplotlib.axes import Axes

from analysis.figures import style
from analysis.figures.drawing import Drawing, columns, drawing
from analysis.stats.outcome_table import OutcomeTable
from analysis.stats.paired import NO_ESTIMATE
from analysis.stats.scans import Scan


def scan_drawings(table: OutcomeTable, scan: Scan, name: str, layers: int) -> list[Drawing]:
    """Those that fit the scan, of a model of `layers` layers; their names begin with `name`."""
    if scan.setting == "positions":
        return [position_profile(table, scan, name)]
    heat_map = depth_heat_map(table, scan, name + "-map")
    profile = depth_profile(table, scan, name + "-profile", layers)
    return [heat_map, profile] if heat_map else [profile]


def depth_heat_map(table: OutcomeTable, scan: Scan, name: str) -> Drawing | None:
    """Start x width: transfer where it is defined, else the difference; None for bands of one width.

    A ring marks p < 0.05 by the max-statistic over the bands of the scan.
    """
    bands = [line.arm.band for line in scan.lines]
    widths = sorted({end - start for start, end in bands})
    starts = sorted({start for start, _ in bands})
    if len(widths) < 2:
        return None
    as_transfer = scan.bounded_transfer
    values = [(line.transfer if as_transfer else line.paired.difference).value for line in scan.lines]
    cells = [(starts.index(start), widths.index(end - start)) for start, end in bands]
    image = np.full((len(widths), len(starts)), np.nan)
    for (x, y), value in zip(cells, values, strict=True):
        image[y, x] = value
    reach = np.nanmax(np.abs(image)) or 1.0
    with style.figure(1.5 + 0.32 * len(widths), layout="constrained") as (fig, axes):
        shown = axes.imshow(image, aspect="auto", origin="lower", cmap="RdBu_r", vmin=-reach, vmax=reach)
        for (x, y), value, p in zip(cells, values, scan.p_max, strict=True):
            if len(starts) <= 12:
                _cell(axes, x, y, value, reach)
            if p < 0.05:
                axes.plot(x + 0.34, y + 0.3, "o", ms=3, mfc="none", mec=style.INK, mew=0.8)
        step = max(1, len(starts) // 12)
        axes.set_xticks(range(0, len(starts), step), [str(s) for s in starts[::step]])
        axes.set_yticks(range(len(widths)), [str(w) for w in widths])
        axes.set_xlabel("first layer of the band")
        axes.set_ylabel("layers in the band")
        bar = fig.colorbar(shown, ax=axes, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label("transfer, %" if as_transfer else style.outcome_scale(table.outcome))
        about = f"{table.outcome.title} by first layer and width of the patched band"
        return drawing(fig, name, about, _scan_data(scan))


def _cell(axes: Axes, x: int, y: int, value: float, reach: float) -> None:
    """Two digits of `reach`, the largest value, short enough for a narrow cell: 12, 1.2, .12, −.04."""
    digits = max(0, 1 - int(np.floor(np.log10(reach))))
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) else ""
    text = sign + (text.removeprefix("0") if "." in text else text)
    colour = "white" if abs(value) > 0.6 * reach else style.INK
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color=colour)


def depth_profile(table: OutcomeTable, scan: Scan, name: str, layers: int) -> Drawing:
    """Difference with its interval over the middle of the band, one line per width; of `layers` layers."""
    widths = sorted({line.arm.band[1] - line.arm.band[0] for line in scan.lines})
    with style.figure(3.4, layout="constrained") as (fig, axes):
        axes.axhline(0, color=style.INK, lw=0.8)
        for at, width in enumerate(widths):
            lines = [line for line in scan.lines if line.arm.band[1] - line.arm.band[0] == width]
            middle = np.array([sum(line.arm.band) / 2 - 0.5 for line in lines])
            estimates = [line.paired.difference for line in lines]
            mean, low, high = np.array([(e.value, e.low, e.high) for e in estimates]).T
            colour = style.LINE_COLOURS[at % style.MOST_CURVES]
            axes.vlines(middle, low, high, color=colour, lw=1.4, alpha=0.6)
            label = f"{width} layer{'' if width == 1 else 's'}"
            axes.plot(middle, mean, "-o", ms=3.5, lw=1.2, color=colour, label=label)
        axes.set_xlim(-0.5, layers - 0.5)
        axes.set_xlabel("middle of the patched band (layer)")
        axes.set_ylabel(style.outcome_scale(table.outcome))
        style.grid(axes, "y")
        if len(widths) > 1:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(4, len(widths)), fontsize=8)
        return drawing(fig, name, f"{table.outcome.title} by depth of the patched band", _scan_data(scan))


def position_profile(table: OutcomeTable, scan: Scan, name: str) -> Drawing:
    """Difference with its interval for each choice of patched token positions."""
    labels = [re.sub(r":.*/", ": ", line.arm.settings["positions"]) for line in scan.lines]
    with style.figure(0.24 * len(labels) + 0.8, layout="constrained") as (fig, axes):
        axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
        for y, line in enumerate(scan.lines):
            style.estimate_bar(axes, line.paired.difference, y, style.LINE_COLOURS[0])
        axes.set_yticks(
            range(len(labels)), [style.shortened(label, 22) for label in labels], parse_math=False
        )
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(style.outcome_scale(table.outcome))
        style.grid(axes, "x")
        about = f"{table.outcome.title} by the token positions that are patched"
        return drawing(fig, name, about, _scan_data(scan))


def _scan_data(scan: Scan) -> dict[str, list]:
    data = columns(scan.lines, arm="arm.label")
    if scan.setting == "layers":
        data["start"], data["end"] = zip(*(line.arm.band for line in scan.lines), strict=True)
    else:
        data["positions"] = [line.arm.settings["positions"] for line in scan.lines]
    paired = [line.paired for line in scan.lines]
    data |= columns(paired, difference="difference.value", low="difference.low", high="difference.high")
    data |= columns(paired, d_z="d_z", p="p")
    data |= {"p_max_statistic": scan.p_max, "n": [one.n for one in paired]}
    shares = [line.transfer or NO_ESTIMATE for line in scan.lines]
    return data | columns(shares, transfer_percent="value", transfer_low="low", transfer_high="high")
