"""What a paper takes from a sweep: figures as files, tables in LaTeX and Markdown, methods, references."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from rvsweep.figures.drawing import Drawing
from rvsweep.report.formatting import interval, number, p_value, percent
from rvsweep.stats.outcome_table import OutcomeTable

_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"−": "$-$", "<": "$<$", ">": "$>$", "|": "$|$", "×": r"$\times$", "∞": r"$\infty$", "±": r"$\pm$"}
    | {"–": "--", "…": r"\dots{}", "\u202f": r"\,"}
)


@dataclass(frozen=True)
class PaperTable:
    """`left`: how many of its columns are text, the others numbers."""

    name: str
    caption: str
    heading: list[str]
    lines: list[list[str]]
    left: int

    def markdown(self) -> str:
        """A pipe table under its caption."""
        rule = ["---"] * self.left + ["---:"] * (len(self.heading) - self.left)
        cells = [[cell.replace("|", "\\|") for cell in line] for line in (self.heading, rule, *self.lines)]
        return "\n".join([f"**{self.caption}**\n", *("| " + " | ".join(line) + " |" for line in cells)])

    def latex(self) -> str:
        """A table environment; needs the package booktabs."""

        def row(cells: list[str]) -> str:
            return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"

        columns = "l" * self.left + "r" * (len(self.heading) - self.left)
        head = [r"\begin{table}", rf"\caption{{{self.caption.translate(_LATEX)}}}\label{{tab:{self.name}}}"]
        head += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", row(self.heading), r"\midrule"]
        return "\n".join([*head, *map(row, self.lines), r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def paper_tables(outcomes: list[OutcomeTable]) -> list[PaperTable]:
    """For each outcome its arms against their recipients and, where there are some, against their controls."""
    found = []
    for table in outcomes:
        outcome = table.outcome
        scale = f"{outcome.title}, difference" + (
            " in ln R_V" if outcome.ratio else f" ({outcome.unit})" * bool(outcome.unit)
        )
        shared = ["Pairs", "Difference", "95 % interval", "d_z", "p", "p, Holm", "p, TOST"]
        lines = [
            [line.arm.label, *_numbers(line), percent(line.transfer) if line.transfer else "–"]
            for line in table.lines
            if line.paired
        ]
        found.append(
            PaperTable(outcome.name, f"{scale} to the unpatched arm", ["Arm", *shared, "Transfer"], lines, 1)
        )
        controls = [[line.arm.label, line.name, *_numbers(line)] for line in table.controls]
        if controls:
            name, caption = f"{outcome.name}-controls", f"{scale} to the control"
            found.append(PaperTable(name, caption, ["Arm", "Control", *shared], controls, 2))
    return found


def _numbers(line) -> list[str]:
    """Of an ArmLine or a ControlLine."""
    paired, tost = line.paired, line.equivalence
    equivalence = "–" if tost is None else tost.reason or p_value(tost.p)
    found = [paired.difference.counted, number(paired.difference.value), interval(paired.difference)]
    found += [number(paired.d_z), p_value(paired.p), p_value(line.p_holm), equivalence]
    return list(map(str, found))


def drawings_in(section) -> Iterator[Drawing]:
    """Every drawing of a section of the page, however deep it lies."""
    if isinstance(section, Drawing):
        yield section
    elif isinstance(section, list | tuple):
        for part in section:
            yield from drawings_in(part)
    elif is_dataclass(section):
        for field in fields(section):
            yield from drawings_in(getattr(section, field.name))


def write_paper(folder: Path, contents: dict[str, object], ending: str, width: float) -> None:
    """What page.contents_of gave, into `folder`: each figure as NAME.`ending`, `width` inches wide, and texts."""
    items = [item.table for _, items in contents["patching"].groups for item in items]
    tables = paper_tables([table for table in items if table.outcome.figures])
    texts = {
        "tables.tex": "% \\usepackage{booktabs}\n" + "\n\n".join(table.latex() for table in tables),
        "tables.md": "\n\n".join(table.markdown() for table in tables),
        "methods.md": "\n\n".join(contents["methods"]),
        "references.bib": contents["bibtex"].rstrip(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for drawing in drawings_in(list(contents.values())):
        drawing.save(folder / f"{drawing.name}.{ending}", width)
    for name, text in texts.items():
        (folder / name).write_text(re.sub(r"[ \t]+\n", "\n", text) + "\n", "utf-8", "surrogateescape")
