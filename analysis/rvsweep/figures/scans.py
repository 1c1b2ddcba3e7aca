"""Figures of scans: the difference by layers and by token positions that are patched."""

import re

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, columns, drawing, told
from rvsweep.stats.outcome_table import ArmLine, OutcomeTable
from rvsweep.stats.paired import NO_ESTIMATE
from rvsweep.stats.scans import Scan

LANE = 0.26  # inches


def scan_drawings(
    table: OutcomeTable, scan: Scan, name: str, layers: int, colours: list[str]
) -> list[Drawing]:
    """Those that fit the scan, of a model of `layers` layers; their names begin with `name`."""
    if scan.setting == "positions":
        return [position_profile(table, scan, name, colours)]
    heat_map = depth_heat_map(table, scan, name + "-map", layers)
    profile = depth_profile(table, scan, name + "-profile", layers, colours)
    return [heat_map, profile] if heat_map else [profile]


def depth_heat_map(table: OutcomeTable, scan: Scan, name: str, layers: int) -> Drawing | None:
    """Bands of each width over the layers that they patch; None for bands of one width.

    Colour: transfer where it is defined, else the difference; hatched where no band lies. A ring marks
    p < 0.05 by the max-statistic over the bands of the scan.
    """
    lanes = band_lanes([line.arm.band for line in scan.lines])
    widths = sorted({end - start for start, end in (line.arm.band for line in scan.lines)})
    if len(widths) < 2:
        return None
    as_transfer = scan.bounded_transfer
    values = [(line.transfer if as_transfer else line.paired.difference).value for line in scan.lines]
    reach = np.nanmax(np.abs(values)) or 1.0
    colour = ScalarMappable(Normalize(-reach, reach), matplotlib.colormaps[style.DIVERGING])
    with style.figure(1.5 + LANE * (max(lanes) + 1), layout="constrained") as (fig, axes):
        style.hatched(axes)
        for line, lane, value, p in zip(scan.lines, lanes, values, scan.p_max, strict=True):
            start, end = line.arm.band
            face = colour.to_rgba(value) if np.isfinite(value) else "none"
            axes.add_patch(
                Rectangle((start, lane), end - start, 1, fc=face, ec="white", lw=0.8, gid=_told(line))
            )
            if end - start >= layers / 12 and np.isfinite(value):
                _cell(axes, (start + end) / 2, lane + 0.5, value, reach)
            if p < 0.05:
                axes.plot(end - 0.3, lane + 0.75, "o", ms=3, mfc="none", mec=style.INK, mew=0.8)
        of_width = [
            [lane for line, lane in zip(scan.lines, lanes) if np.ptp(line.arm.band) == w] for w in widths
        ]
        axes.set_yticks([(min(of) + max(of) + 1) / 2 for of in of_width], [str(w) for w in widths])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(0, max(lanes) + 1)
        _layer_axis(axes, layers)
        axes.set_ylabel("layers in the band")
        bar = fig.colorbar(colour, ax=axes, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label("transfer, %" if as_transfer else style.outcome_scale(table.outcome))
        about = f"{table.outcome.title} by the patched band"
        return drawing(fig, name, about, _scan_data(scan))


def band_lanes(bands: list[tuple[int, int]]) -> list[int]:
    """A lane for each band, so that no two of a lane overlap; wider bands lie above, none beside narrower ones."""
    lanes, first = {}, 0
    for width in sorted({end - start for start, end in bands}):
        ends: list[int] = []
        for start, end in sorted(band for band in set(bands) if band[1] - band[0] == width):
            lane = next((at for at, taken in enumerate(ends) if taken <= start), len(ends))
            ends[lane : lane + 1] = [end]
            lanes[start, end] = first + lane
        first += len(ends)
    return [lanes[band] for band in bands]


def _told(line: ArmLine) -> str:
    return told(line.arm.label, line.paired.difference, line.paired.p)


def _cell(axes: Axes, x: float, y: float, value: float, reach: float) -> None:
    """Two digits of `reach`, the largest value, short enough for a narrow cell: 12, 1.2, .12, −.04."""
    digits = max(0, 1 - int(np.floor(np.log10(reach))))
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) else ""
    text = sign + (text.removeprefix("0") if "." in text else text)
    colour = "white" if abs(value) > 0.6 * reach else style.INK
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color=colour)


def _layer_axis(axes: Axes, layers: int) -> None:
    """Layer l lies between l and l + 1."""
    axes.set_xlim(0, layers)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("layer")


def depth_profile(table: OutcomeTable, scan: Scan, name: str, layers: int, colours: list[str]) -> Drawing:
    """A bar from start to end of each band at its difference, with its interval; of `layers` layers."""
    with style.figure(3.4, layout="constrained") as (fig, axes):
        axes.axhline(0, color=style.INK, lw=0.8)
        for line in scan.lines:
            (start, end), difference = line.arm.band, line.paired.difference
            colour = colours[line.arm.index]
            if line.equivalence:
                style.bound_box(axes, line.equivalence.bound, (start, end), upright=True)
            axes.plot(
                [start, end],
                [difference.value] * 2,
                color=colour,
                lw=2.4,
                solid_capstyle="butt",
                gid=_told(line),
            )
            axes.vlines((start + end) / 2, difference.low, difference.high, color=colour, lw=1.2, alpha=0.7)
        _layer_axis(axes, layers)
        axes.set_ylabel(style.outcome_scale(table.outcome))
        style.grid(axes, "y")
        return drawing(fig, name, f"{table.outcome.title} by depth of the patched band", _scan_data(scan))


def position_profile(table: OutcomeTable, scan: Scan, name: str, colours: list[str]) -> Drawing:
    """Difference with its interval for each choice of patched token positions."""
    with style.figure(0.24 * len(scan.lines) + 0.8, layout="constrained") as (fig, axes):
        draw_positions(axes, table, scan, colours)
        about = f"{table.outcome.title} by the token positions that are patched"
        return drawing(fig, name, about, _scan_data(scan))


def draw_positions(axes: Axes, table: OutcomeTable, scan: Scan, colours: list[str]) -> None:
    """The same on given axes."""
    labels = [re.sub(r":.*/", ": ", line.arm.settings["positions"]) for line in scan.lines]
    axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
    for y, line in enumerate(scan.lines):
        if line.equivalence:
            style.bound_box(axes, line.equivalence.bound, (y - 0.4, y + 0.4), upright=False)
        style.estimate_bar(axes, line.paired.difference, y, colours[line.arm.index], _told(line))
    style.named_rows(axes, [style.shortened(label, 22) for label in labels])
    axes.set_xlabel(style.outcome_scale(table.outcome))
    style.grid(axes, "x")


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
