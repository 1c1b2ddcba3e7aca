"""How every figure looks: one size, one set of colours, and the marks that figures share."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rvsweep.data.arms import Arm
from rvsweep.data.outcomes import Outcome
from rvsweep.data.texts import printable
from rvsweep.stats.paired import Estimate

WIDTH = 4.5  # inches: one column on a phone, two or three side by side on a desk
LEGEND_LINE = 0.17  # inches

INK = "#1f2933"
MUTED = "#64707d"
RULE = "#d5dbe1"
BOUND = "#f3e7c4"
SOURCE = "#c2410c"
BASE = "#1d5fa8"
# Beside BASE and SOURCE: ten colours that stay apart for every kind of colour vision.
LINE_COLOURS = ("#442255", "#22aa55", "#8800ff", "#661111", "#ee55ff", "#9999bb", "#330099", "#885566")
MOST_CURVES = len(LINE_COLOURS)  # arms in one figure of curves; of more there is a map
ARM_RAMP = (
    "#1a3330",
    "#b5d5cf",
)  # of more patched arms: greyish to dichromats, so apart from BASE and SOURCE
CONTROL_RAMP = ("#4b5563", "#c3c9d0")
DIVERGING = "RdBu_r"
MANY_POINTS = 1500  # beyond this, points are drawn as one picture to keep the page small

RASTER_DPI = 200  # of points drawn as one picture

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "svg.fonttype": "none",  # text as text
    "svg.hashsalt": "rvsweep",  # the same ids in every run
    "savefig.dpi": RASTER_DPI,
    "pdf.fonttype": 42,  # whole letters, which editors can change
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor", "text.color"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon", "path.simplify"), False),
}


@contextlib.contextmanager
def applied() -> Iterator[None]:
    """This style and not the user's own, while figures are made and saved."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@contextlib.contextmanager
def figure(height: float, **options) -> Iterator[tuple[Figure, Axes]]:
    """A figure of the standard width; `height` in inches."""
    with applied():
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


def hatched(axes: Axes) -> None:
    """A ground unlike any value, for what was not measured."""
    axes.patch.set(facecolor="white", edgecolor=RULE, hatch="////", linewidth=0)


def bound_box(axes: Axes, bound: float, ends: tuple[float, float], upright: bool) -> None:
    """What counts as negligible: -bound to bound over `ends` of the other axis; nothing where `bound` is NaN."""
    if np.isfinite(bound):
        corner, width, height = (-bound, ends[0]), 2 * bound, ends[1] - ends[0]
        if upright:
            corner, width, height = corner[::-1], height, width
        axes.add_patch(Rectangle(corner, width, height, color=BOUND, lw=0, zorder=0.5))


def row_bar(axes: Axes, ranges: Sequence[tuple[int, int]], y: float, colour: str, gid: str = "") -> None:
    """Layers from start to end of each of `ranges` along x, at `y`."""
    for start, end in ranges:
        axes.plot([start, end], [y, y], color=colour, lw=4, solid_capstyle="butt", gid=gid)


def named_rows(axes: Axes, labels: Sequence[str]) -> None:
    """One label at each of 0, 1, ... from the top."""
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def estimate_bar(axes: Axes, estimate: Estimate, y: float, colour: str, gid: str = "") -> None:
    """A mean as a diamond on its interval, horizontally at `y`; `gid` as drawing.told gives it."""
    axes.plot(
        [estimate.low, estimate.high], [y, y], color=colour, lw=1.8, zorder=3, solid_capstyle="butt", gid=gid
    )
    axes.plot(estimate.value, y, marker="D", ms=4.5, color=colour, mec="white", mew=0.7, zorder=4, gid=gid)


def estimate_over_points(
    axes: Axes, estimate: Estimate, at: float, colour: str, vertical: bool, gid: str = ""
) -> None:
    """The same, larger and edged in white, over points; `at` is its position on the other axis."""
    ends = ([at, at], [estimate.low, estimate.high])
    centre = (at, estimate.value)
    if not vertical:
        ends, centre = ends[::-1], centre[::-1]
    axes.plot(*ends, color="white", lw=3.8, zorder=3, solid_capstyle="butt")
    axes.plot(*ends, color=colour, lw=2.2, zorder=4, solid_capstyle="butt", gid=gid)
    axes.plot(*centre, marker="D", ms=5.5, color=colour, mec="white", mew=0.9, zorder=5, gid=gid)


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


def curve_colours(n: int) -> Sequence[str]:
    """Of `n` curves; beyond MOST_CURVES from dark to light."""
    return LINE_COLOURS[:n] if n <= MOST_CURVES else _ramp(ARM_RAMP, n)


def arm_colours(arms: Sequence[Arm]) -> list[str]:
    """One colour per arm, the same in every figure and table; controls are grey."""
    patched = [arm.index for arm in arms if arm.patched and not arm.control]
    colours = dict(zip(patched, curve_colours(len(patched)), strict=True))
    controls = [arm.index for arm in arms if arm.control]
    colours |= zip(controls, _ramp(CONTROL_RAMP, len(controls)), strict=True)
    unpatched = {"base": BASE, "source": SOURCE}
    return [colours.get(arm.index) or unpatched[arm.kind] for arm in arms]


def _ramp(ends: tuple[str, str], n: int) -> list[str]:
    """`n` colours from dark to light."""
    return [_mix(*ends, at / max(1, n - 1)) for at in range(n)]


def _mix(first: str, second: str, share: float) -> str:
    parts = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)
