"""A figure as an <svg> element that can stand inside a page, as a file, and what it shows as CSV."""

import contextlib
import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path

from markupsafe import Markup
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_pdf import Op, PdfFile, RendererPdf
from matplotlib.figure import Figure

from rvsweep.data.texts import printable
from rvsweep.figures import style
from rvsweep.stats.paired import Estimate

TOLD = "told "  # begins the gid of an artist that says the rest where it is pointed at
FONTS = "'DejaVu Sans', Verdana, sans-serif"  # of equal widths
HUNDREDTHS = re.compile(r"(\d\.\d\d)\d+")  # of a point: finer than any screen
MOST_CSV_LINES = 20_000  # a figure of more values has no CSV: the export has them
PNG_DPI = 300
FORMATS = ("pdf", "svg", "png")


@dataclass(frozen=True)
class Drawing:
    """`csv` is empty beyond MOST_CSV_LINES."""

    name: str
    about: str
    fig: Figure
    csv: str

    @cached_property
    def svg(self) -> Markup:
        """For a page: as wide as its place there."""
        with style.applied():
            return Markup(_svg(self.fig, self.name, self.about))

    def save(self, path: Path, width: float) -> None:
        """In the format of the ending of `path`, one of FORMATS; scaled to `width` inches, text too."""
        scale = width / self.fig.get_figwidth()
        with style.applied():
            if path.suffix == ".svg":
                inches = f'width="{width:g}in" height="{scale * self.fig.get_figheight():g}in" '
                head = f'<svg xmlns="http://www.w3.org/2000/svg" {inches}'
                svg = re.sub(r' xmlns="[^"]*"', "", self.svg, count=1)
                path.write_text(svg.replace("<svg ", head, 1), encoding="utf-8")
            elif path.suffix == ".png":
                self.fig.savefig(path, dpi=scale * PNG_DPI, pil_kwargs={"dpi": (PNG_DPI, PNG_DPI)})
            else:
                _save_pdf(self.fig, path, scale)


def drawing(fig: Figure, name: str, alternative: str, data: dict[str, Sequence]) -> Drawing:
    """`data`: columns of equal length. Ids follow from `name`, so that figures can share a page."""
    if engine := fig.get_layout_engine():  # once: every savefig would draw all for it
        engine.execute(fig)
        fig.set_layout_engine(None)
    name = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    lines = max((len(values) for values in data.values()), default=0)
    return Drawing(name, alternative, fig, csv_text(data) if lines <= MOST_CSV_LINES else "")


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


def _save_pdf(fig: Figure, path: Path, scale: float) -> None:
    """matplotlib's own steps, with a change of scale before the first mark."""
    width, height = fig.get_size_inches()
    with contextlib.closing(PdfFile(path, metadata={"CreationDate": None})) as file:
        file.newPage(scale * width, scale * height)
        file.width, file.height = width, height  # lines are cut there, before they are scaled
        file.output(scale, 0, 0, scale, 0, 0, Op.concat_matrix)
        pages = RendererPdf(file, style.RASTER_DPI, height, width)
        renderer = MixedModeRenderer(fig, width, height, style.RASTER_DPI, pages)
        fig.draw(renderer)
        renderer.finalize()
        file.finalize()


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
