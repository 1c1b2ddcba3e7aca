"""Figures of a study as matplotlib axes, with the report's statistics and colours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from rvsweep.data.outcomes import primary_outcome
from rvsweep.data.results import ResultsError
from rvsweep.figures import style
from rvsweep.figures.group_effects import curves_height, draw_groups
from rvsweep.figures.overview import draw_effects
from rvsweep.figures.scans import draw_positions
from rvsweep.stats.group_effects import group_effects
from rvsweep.stats.outcome_table import OutcomeTable, outcome_table
from rvsweep.stats.overview import overview
from rvsweep.stats.scans import scans

if TYPE_CHECKING:
    from rvsweep.study import Study


class Plots:
    """study.plot. `outcome`: a name of study.outcomes, by default the primary one; `axes`: by default a new figure's.

    Every difference is that of an arm to its unpatched recipient, with the study's interval. Raises ResultsError
    where the study has nothing to draw.
    """

    def __init__(self, study: "Study"):
        self._study = study
        self._tables: dict[str, OutcomeTable] = {}
        self._colours = style.arm_colours(study.results.arms)

    def depth(self, outcome: str | None = None, axes: Axes | None = None) -> Axes:
        """Each arm's difference over the layers that it patches, its control's interval behind."""
        table, results = self._table(outcome), self._study.results
        found = overview(table, results.clusters, self._study.bootstrap)
        if found is None:
            raise ResultsError(f"{results.path}: no patched arm can be compared in {table.outcome.name}")
        inches = 3.3 + style.LEGEND_LINE * min(len(found.effects), style.MOST_CURVES)
        with _drawn(axes, inches) as axes:
            draw_effects(axes, found, self._colours, results.n_layers)
        return axes

    def tokens(self, outcome: str | None = None, axes: Axes | None = None) -> Axes:
        """The difference by the token positions that are patched: the largest scan of arms that differ in them alone."""
        table, results = self._table(outcome), self._study.results
        found = scans(table, "positions", results.clusters, self._study.bootstrap)
        if not found:
            raise ResultsError(f"{results.path}: no three arms differ in their positions alone")
        scan = max(found, key=lambda scan: len(scan.lines))
        with _drawn(axes, 0.24 * len(scan.lines) + 0.8) as axes:
            draw_positions(axes, table, scan, self._colours)
        return axes

    def dose(self, outcome: str | None = None, axes: Axes | None = None) -> Axes:
        """The difference by group of the source prompt; groups with a dose level (..._l1, _l2) first and joined."""
        table, results = self._table(outcome), self._study.results
        found = group_effects(results, table, self._study.bootstrap)
        if found is None:
            raise ResultsError(f"{results.path}: the source prompts have fewer than two groups")
        with _drawn(axes, curves_height(found)) as axes:
            draw_groups(axes.figure, axes, table, found, self._colours)
        return axes

    def forest(self, outcome: str | None = None, axes: Axes | None = None) -> Axes:
        """Each arm's difference with its interval; below each, the arm less its controls."""
        table, results = self._table(outcome), self._study.results
        entries = []
        for line in table.lines:
            if line.paired:
                entries.append((line.arm.label, line.arm, line.paired.difference))
                own = [c for c in table.controls if c.arm.index == line.arm.index]
                entries += [(f"less {c.name}", c.arm, c.paired.difference) for c in own]
        if not entries:
            raise ResultsError(f"{results.path}: no arm can be compared in {table.outcome.name}")
        with _drawn(axes, 0.24 * len(entries) + 0.8) as axes:
            axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
            for y, (_, arm, difference) in enumerate(entries):
                style.estimate_bar(axes, difference, y, self._colours[arm.index])
            style.named_rows(axes, [style.shortened(label, 48) for label, *_ in entries])
            axes.set_xlabel(style.outcome_scale(table.outcome))
            style.grid(axes, "x")
        return axes

    def _table(self, name: str | None) -> OutcomeTable:
        study = self._study
        outcome = primary_outcome(study.results)[0] if name is None else study.outcome(name)
        if outcome is None:
            raise ResultsError(f"{study.results.path}: no row has a value of any outcome")
        if outcome.name not in self._tables:
            found = outcome_table(study.results, outcome, study.bootstrap, study.margin)
            self._tables[outcome.name] = found
        return self._tables[outcome.name]


@contextmanager
def _drawn(axes: Axes | None, inches: float) -> Iterator[Axes]:
    """`axes`, or those of a new figure `inches` high, in the report's style."""
    # Outside the style: a first figure starts the notebook's backend, whose settings have to last.
    fig = None if axes else plt.figure(figsize=(1.4 * style.WIDTH, inches), layout="constrained")
    with style.applied():
        yield axes or fig.subplots()
