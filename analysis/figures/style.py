"""How every figure looks: one size, one set of colours, and the marks that figures share."""

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.data.arms import Arm
from analysis.data.outcomes import Outcome
from analysis.data.texts import printable
from analysis.stats.paired import Estimate

WIDTH = 4.5  # inches: one column on a phone, two or three side by side on a desk
LEGEND_LINE = 0.17  # inches

INK = "#1f2933"
MUTED = "#64707d"
RULE = "#d5dbe1"
SOURCE = "#c2410c"
BASE = "#1d5fa8"
KIND_RAMPS = {
    "base": (BASE, BASE),
    "source": (SOURCE, SOURCE),
    "v_proj": ("#6d28a8", "#b67fe0"),
    "kv_cache": ("#0a6b53", "#52b08c"),
}
OTHER_RAMP = ("#4b5563", "#a8b0ba")
LINE_COLOURS = ("#0a6b53", "#6d28a8", SOURCE, BASE, "#7c4a12", "#b3261e", "#4b5563", "#8a6d00")
MOST_CURVES = len(LINE_COLOURS)  # arms in one figure of curves
MANY_POINTS = 1500  # beyond this, points are drawn as one picture to keep the page small

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "svg.fonttype": "path",  # the same picture on every machine
    "svg.hashsalt": "rvsweep",  # the same ids in every run
    "savefig.dpi": 200,  # of rasterised points
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor", "text.color"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon", "path.simplify"), False),
}


@contextlib.contextmanager
def figure(height: float, **options) -> Iterator[tuple[Figure, Axes]]:
    """A figure of the standard width; `height` in inches. Ignores the user's own matplotlib style."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig = Figure(figsize=(WIDTH, height), dpi=72, **options)
        FigureCanvasSVG(fig)  # lays text out as it is saved
        yield fig, fig.subplots()


def grid(axes: Axes, axis: str) -> None:
    """Pale lines across `axis` ("x" or "y"), below everything drawn."""
    axes.grid(axis=axis, color=RULE, lw=0.6)
    axes.set_axisbelow(True)


def no_y_axis(axes: Axes) -> None:
    """For figures that label their rows inside the axes."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def shortened(text: str, length: int) -> str:
    """At most `length` characters, the last an ellipsis where some are left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


def data_text(axes: Axes, x: float, y: float, text: str, **options):
    """Text from the file: no mathematics in it, no line breaks or control characters."""
    return axes.text(x, y, printable(" ".join(text.split())), parse_math=False, **options)


def row_label(axes: Axes, x: float, y: float, text: str, **options):
    """data_text centred on `y`; `x` as a share of the width of the axes."""
    return data_text(axes, x, y, text, transform=axes.get_yaxis_transform(), va="center", **options)


def outcome_scale(outcome: Outcome) -> str:
    """Label of an axis of differences."""
    return "difference in ln $R_V$" if outcome.ratio else f"difference, {outcome.unit}".strip(", ")


def estimate_bar(axes: Axes, estimate: Estimate, y: float, colour: str) -> None:
    """A mean as a diamond on its interval, horizontally at `y`."""
    axes.plot([estimate.low, estimate.high], [y, y], color=colour, lw=1.8, zorder=3, solid_capstyle="butt")
    axes.plot(estimate.value, y, marker="D", ms=4.5, color=colour, mec="white", mew=0.7, zorder=4)


def estimate_over_points(axes: Axes, estimate: Estimate, at: float, colour: str, vertical: bool) -> None:
    """The same, larger and edged in white, over points; `at` is its position on the other axis."""
    ends = ([at, at], [estimate.low, estimate.high])
    centre = (at, estimate.value)
    if not vertical:
        ends, centre = ends[::-1], centre[::-1]
    axes.plot(*ends, color="white", lw=3.8, zorder=3, solid_capstyle="butt")
    axes.plot(*ends, color=colour, lw=2.2, zorder=4, solid_capstyle="butt")
    axes.plot(*centre, marker="D", ms=5.5, color=colour, mec="white", mew=0.9, zorder=5)


def banded_curve(axes: Axes, x: np.ndarray, mean, low, high, colour: str) -> list[Artist]:
    """A mean [K] with its band; returns the handle for a legend."""
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
    return axes.plot(x, mean, color=colour, lw=1.6)


def named_curves(axes: Axes, handles: list[Artist], labels: Sequence[str]) -> None:
    """A legend above the axes, one label a line."""
    short = [shortened(label, 64) for label in labels]
    legend = axes.legend(
        handles, short, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=7.5, borderpad=0.2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def arm_colours(arms: list[Arm]) -> list[str]:
    """One colour per arm, by kind; arms of one kind run from dark to light."""
    totals, seen = Counter(arm.kind for arm in arms), Counter()
    colours = []
    for arm in arms:
        dark, light = KIND_RAMPS.get(arm.kind, OTHER_RAMP)
        colours.append(_mix(dark, light, seen[arm.kind] / max(1, totals[arm.kind] - 1)))
        seen[arm.kind] += 1
    return colours


def _mix(first: str, second: str, share: float) -> str:
    parts = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)
