"""Reads a report as a browser would: its tables as text, its elements, and whether tags match."""

import re
from html.parser import HTMLParser
from pathlib import Path

from rvsweep.cli import report

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """`tables`: id -> rows of cell texts. `elements`: (tag, attributes). Raises on tags that do not match."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.marks: list[str] = []
        self.titles: list[str] = []  # of marks in figures
        self.source = text
        self.text = ""
        self._open: list[str] = []
        self._rows: list[list[str]] | None = None
        self._cell: list[str] | None = None
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in VOID:
            return
        self._open.append(tag)
        if tag == "table":
            self._rows = self.tables[dict(attributes)["id"]] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = []
        elif tag == "mark":
            self.marks.append("")
        elif tag == "title" and "svg" in self._open:
            self.titles.append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]}"
        self._open.pop()
        if tag in ("td", "th"):
            self._rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data):
        if self._open and self._open[-1] == "title" and "svg" in self._open:
            self.titles[-1] += data
        elif not {"style", "script"} & set(self._open):
            self.text += data
        if self._cell is not None:
            self._cell.append(data)
        if self._open and self._open[-1] == "mark":
            self.marks[-1] += data

    def drawings(self) -> list[str]:
        return re.findall(r"<svg.*?</svg>", self.source, re.DOTALL)

    def table(self, name: str) -> dict[str, list[str]]:
        """Rows by their first cell; the heading under its own first cell."""
        return {row[0]: row[1:] for row in self.tables[name]}


def numbers(text: str) -> list[float]:
    """The numbers of a cell such as "−0.10 [−0.20, 0.01]" or "1.2 ± 0.3"."""
    for sign in "[],±%":
        text = text.replace(sign, " ")
    return [float(part.replace("−", "-")) for part in text.split()]


def report_of(path: Path, output: Path, *arguments: str) -> tuple[Path, Page]:
    """path and its report, written to output with fewer draws than a study takes."""
    assert report.main([str(path), "-o", str(output), "--bootstrap", "4000", *arguments]) == 0
    return path, Page(output.read_text(encoding="utf-8"))
