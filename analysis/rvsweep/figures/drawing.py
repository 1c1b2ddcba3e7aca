"""A figure as an <svg> element that can stand inside a page, and what it shows as CSV."""

import base64
import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from markupsafe import Markup
from matplotlib.figure import Figure

from rvsweep.data.texts import printable
from rvsweep.stats.paired import Estimate

TOLD = "told "  # begins the gid of an artist that says the rest where it is pointed at
FONTS = "'DejaVu Sans', Verdana, sans-serif"  # of equal widths
HUNDREDTHS = re.compile(r"(\d\.\d\d)\d+")  # of a point: finer than any screen
MOST_CSV_LINES = 20_000  # a figure of more values has no CSV: the export has them


@dataclass(frozen=True)
class Drawing:
    """`csv` is empty beyond MOST_CSV_LINES."""

    name: str
    svg: Markup
    csv: str

    @property
    def csv_address(self) -> str:
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(self.csv.encode()).decode()


def drawing(fig: Figure, name: str, alternative: str, data: dict[str, Sequence]) -> Drawing:
    """`data`: columns of equal length. Ids follow from `name`, so that figures can share a page."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    lines = max((len(values) for values in data.values()), default=0)
    return Drawing(
        name, Markup(_svg(fig, name, alternative)), csv_text(data) if lines <= MOST_CSV_LINES else ""
    )


def told(label: str, estimate: Estimate, p: float = float("nan")) -> str:
    """The gid of a mark: its numbers, as its title."""
    text = f"{label}: {estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}], n = {estimate.counted}"
    text += "" if p != p else f", p = {p:.2g}"
    return TOLD + printable(" ".join(text.split()))


def columns(items: Sequence, **attributes: str) -> dict[str, list]:
    """Columns from attributes of `items`, such as low="paired.difference.low"."""
    return {name: [attrgetter(path)(item) for item in items] for name, path in attributes.items()}


def csv_text(data: dict[str, Sequence]) -> str:
    """Columns of equal length; numbers with nine digits, nothing where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(data)
    for line in zip(*data.values(), strict=True):
        writer.writerow([_cell(value) for value in line])
    return buffer.getvalue()


def _cell(value) -> str:
    if isinstance(value, str):
        return value
    return "" if value != value else f"{value:.9g}"


def _svg(fig: Figure, name: str, alternative: str) -> str:
    """The element without size and metadata, each of its ids prefixed by a hash of `name`."""
    buffer = io.StringIO()
    if engine := fig.get_layout_engine():  # once, here: savefig would draw all for it and draw again
        engine.execute(fig)
        fig.set_layout_engine(None)
    fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = re.sub(r"<!--.*?-->", "", buffer.getvalue(), flags=re.DOTALL)  # labels repeated as comments
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(rf'<g id="{TOLD}([^"]*)"([^>]*)>', r"<g\2><title>\1</title>", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # nothing refers to groups
    text = re.sub(r"\n\s+", "\n", text).replace("'DejaVu Sans'", FONTS)
    text = re.sub(r' (?:d|x|y|transform)="[^"]+"', lambda at: HUNDREDTHS.sub(r"\1", at[0]), text)
    text = re.sub(r"M (\S+ \S+) *\nL \1 *\n", r"M\1h0\n", text)  # dots
    prefix = hashlib.sha256(name.encode()).hexdigest()[:6] + "-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{prefix}', text)
    text = text.replace("url(#", f"url(#{prefix}")
    text = re.sub(
        r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg height="[^"]*" width="[^"]*"', r"<svg \1", text
    )
    head = f'<svg role="img" aria-label="{_attribute(alternative)}" '
    text = text[text.index("<svg") :].replace("<svg ", head, 1)
    return re.sub(r"\n\s*\n+", "\n", text).strip()


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
