"""The page about a prompt bank: lengths by group and tokenizer, duplicates, keywords."""

import numpy as np

from rvsweep.bank.checks import NEAR, SHINGLE, WINDOW, Bank
from rvsweep.figures import style
from rvsweep.figures.drawing import Drawing, drawing
from rvsweep.report.html import template

DRAWN = 60  # groups in a style.figure
LISTED = 200  # findings of one kind
LABEL_CHARACTERS = 26


def render(bank: Bank) -> str:
    """One self-contained page. The same bank gives the same bytes."""
    return template("bank.html.j2").render(
        bank=bank,
        figures=[length_figure(bank, index) for index in range(len(bank.measured))],
        drawn=DRAWN,
        listed=LISTED,
        near=NEAR,
        shingle=SHINGLE,
        window=WINDOW,
    )


def length_figure(bank: Bank, index: int) -> Drawing:
    """Every prompt's length by group, with the median and the range between the quartiles."""
    measured = bank.measured[index]
    table = measured.table[:DRAWN]
    with style.figure(0.7 + 0.23 * len(table), layout="constrained") as (fig, axes):
        for y, row in enumerate(table):
            lengths = np.sort(measured.counts[bank.groups[row.group]])
            spread = 0.22 * ((np.arange(len(lengths)) * 0.618) % 1 - 0.5)  # equal lengths side by side
            axes.barh(y, row.q3 - row.q1, left=row.q1, height=0.62, color=style.RULE, zorder=1)
            axes.plot([row.median] * 2, [y - 0.31, y + 0.31], color=style.INK, lw=1.4, zorder=3)
            many = len(lengths) > 200
            axes.scatter(
                lengths, y + spread, s=9, color=style.BASE, alpha=0.6, linewidths=0, zorder=2, rasterized=many
            )
            label = style.shortened(row.group, LABEL_CHARACTERS)
            style.row_label(axes, -0.015, y, label, ha="right", fontsize=8)
        axes.set_yticks([])
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.axvline(WINDOW, color=style.MUTED, lw=0.8, ls=":")
        axes.set_xlim(left=0)
        axes.set_xlabel("tokens")
        style.grid(axes, "x")
        shown = {
            "id": [prompt.id for prompt in bank.prompts],
            "group": [prompt.group for prompt in bank.prompts],
            "tokens": measured.counts,
        }
        return drawing(
            fig, f"lengths{index}", f"Lengths of the prompts by group, {measured.tokenizer}", shown
        )
