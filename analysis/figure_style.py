"""How every figure looks: one size, one set of colours, and an SVG string that can stand inside a page."""

import base64
import contextlib
import csv
import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib.style
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.arms import Arm
from analysis.texts import printable

WIDTH = 4.5  # inches: one column on a phone, two or three side by side on a desk

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

MANY_POINTS = 1500  # beyond this, points are drawn as one picture to keep the page small
MOST_CSV_LINES = 20_000  # a figure of more values has no CSV: the export has them

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "path",  # the same picture on every machine
    "svg.hashsalt": "rvsweep",  # the same ids in every run
    "savefig.dpi": 200,  # of rasterised points
    "path.simplify": False,
}


def arm_colours(arms: list[Arm]) -> list[str]:
    """One colour per arm, by kind; arms of one kind run from dark to light."""
    totals: dict[str, int] = {}
    for arm in arms:
        totals[arm.kind] = totals.get(arm.kind, 0) + 1
    seen: dict[str, int] = {}
    colours = []
    for arm in arms:
        position = seen.get(arm.kind, 0)
        seen[arm.kind] = position + 1
        dark, light = KIND_RAMPS.get(arm.kind, OTHER_RAMP)
        colours.append(_mix(dark, light, position / max(1, totals[arm.kind] - 1)))
    return colours


@contextlib.contextmanager
def figure(height: float, **options) -> Iterator[tuple[Figure, Axes]]:
    """A figure of the standard width; the style holds inside the block, whatever the user's own is."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig = Figure(figsize=(WIDTH, height), dpi=72, **options)
        FigureCanvasSVG(fig)  # lays text out as it is saved
        yield fig, fig.subplots()


@dataclass(frozen=True)
class Drawing:
    """A figure as one <svg> element, and what it shows as CSV (empty beyond MOST_CSV_LINES)."""

    name: str
    svg: Markup
    csv: str

    @property
    def svg_address(self) -> str:
        return _data_address("image/svg+xml", f'<?xml version="1.0" encoding="utf-8"?>\n{self.svg}\n')

    @property
    def csv_address(self) -> str:
        return _data_address("text/csv;charset=utf-8", self.csv)


def drawing(fig: Figure, name: str, alternative: str, data: dict[str, Sequence]) -> Drawing:
    """`data`: columns of equal length. Ids follow from `name`, so that figures can share a page."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    lines = max((len(values) for values in data.values()), default=0)
    return Drawing(
        name, Markup(_svg(fig, name, alternative)), csv_text(data) if lines <= MOST_CSV_LINES else ""
    )


def csv_text(columns: dict[str, Sequence]) -> str:
    """Columns of equal length; numbers with nine digits, nothing where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for line in zip(*columns.values(), strict=True):
        writer.writerow([_cell(value) for value in line])
    return buffer.getvalue()


def _cell(value) -> str:
    if isinstance(value, str):
        return value
    return "" if value != value else f"{value:.9g}"


def _data_address(kind: str, text: str) -> str:
    return f"data:{kind};base64," + base64.b64encode(text.encode()).decode()


def _svg(fig: Figure, name: str, alternative: str) -> str:
    buffer = io.StringIO()
    if engine := fig.get_layout_engine():  # once, here: savefig would draw all for it and draw again
        engine.execute(fig)
        fig.set_layout_engine(None)
    fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = re.sub(r"<!--.*?-->", "", buffer.getvalue(), flags=re.DOTALL)  # labels repeated as comments
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # nothing refers to groups
    text = re.sub(r"\n\s+", "\n", text).replace("DejaVuSans-", "g")
    prefix = hashlib.sha256(name.encode()).hexdigest()[:6] + "-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{prefix}', text)
    text = text.replace("url(#", f"url(#{prefix}")
    text = re.sub(
        r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg height="[^"]*" width="[^"]*"', r"<svg \1", text
    )
    start = text.index("<svg")
    head = f'<svg role="img" aria-label="{_attribute(alternative)}" '
    return re.sub(r"\n\s*\n+", "\n", text[start:].replace("<svg ", head, 1)).strip()


def data_text(axes: Axes, x: float, y: float, text: str, **options):
    """Text from the file: no mathematics in it, no line breaks or control characters."""
    return axes.text(x, y, printable(" ".join(text.split())), parse_math=False, **options)


def _mix(first: str, second: str, share: float) -> str:
    parts = []
    for at in (1, 3, 5):
        a, b = int(first[at : at + 2], 16), int(second[at : at + 2], 16)
        parts.append(round(a + (b - a) * share))
    return "#" + "".join(f"{part:02x}" for part in parts)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
