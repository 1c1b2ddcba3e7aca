"""The sections of a report: for each a dataclass of what its template prints, and the function that computes it.

A section whose data the file does not hold is None, and nothing of it is printed.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from rvsweep.data import diagnostics, outcomes
from rvsweep.data.keywords import NOTEBOOK_KEYWORDS
from rvsweep.data.results import Results
from rvsweep.data.settings import is_notebook, study_question, study_title, summary
from rvsweep.data.spectra import WINDOWS, measured_sites
from rvsweep.data.texts import PairTexts, recount, texts_by_pair
from rvsweep.figures import outcome_table as outcome_figures
from rvsweep.figures import prompt_geometry as prompt_figures
from rvsweep.figures import row_geometry as row_figures
from rvsweep.figures.drawing import Drawing
from rvsweep.figures.group_effects import group_curves
from rvsweep.figures.overview import MOST_RANKED, overview_figure
from rvsweep.figures.scans import scan_drawings
from rvsweep.figures.style import MOST_CURVES, arm_colours
from rvsweep.stats.agreement import krippendorff_alpha
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.group_effects import GroupEffects, group_effects
from rvsweep.stats.group_separation import Separation, group_separations
from rvsweep.stats.outcome_table import ArmLine, OutcomeTable, outcome_table
from rvsweep.stats.overview import Overview, overview
from rvsweep.stats.paired import FEWEST_RESAMPLED, observed_power
from rvsweep.stats.power import TABLE_PAIRS, PowerLine, power_table
from rvsweep.stats.prompt_geometry import PromptGeometry, prompt_geometry
from rvsweep.stats.resampling import EXACT_SIGN_FLIP_PAIRS, Bootstrap
from rvsweep.stats.row_geometry import LayerEffects, attention_curves, layer_effects, step_curves
from rvsweep.stats.scans import Scan, scans
from rvsweep.stats.window_sweep import ArmWindows, row_windows


@dataclass(frozen=True)
class Options:
    """What the command line asks of a report."""

    bootstrap: Bootstrap = Bootstrap()
    margin: Margin = Margin()
    texts: int = 1000  # at most, in whole pairs
    ratings: dict[str, np.ndarray] = field(default_factory=dict)  # rating -> [raters, rated rows]


@dataclass(frozen=True)
class Sweep:
    """What the sections are computed from; each part once."""

    results: Results
    options: Options

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by status."""
        return diagnostics.status_counts(self.results)

    @cached_property
    def colours(self) -> list[str]:
        """By index of the arm."""
        return arm_colours(self.results.arms)

    @cached_property
    def tables(self) -> list[OutcomeTable]:
        options, found = self.options, outcomes.reported_outcomes(self.results)
        return [outcome_table(self.results, o, options.bootstrap, options.margin) for o in found]

    @cached_property
    def overview(self) -> Overview | None:
        """Of the primary outcome."""
        primary, _ = outcomes.primary_outcome(self.results)
        table = next((table for table in self.tables if table.outcome == primary), None)
        return table and overview(table, self.results.clusters, self.options.bootstrap)

    @cached_property
    def prompts(self) -> PromptGeometry:
        return prompt_geometry(self.results, self.options.bootstrap)

    @cached_property
    def row_windows(self) -> dict[str, list[ArmWindows]]:
        """R_V of the rows' own prompt and generated windows by arm, raw, centred and corrected."""
        found = {span: row_windows(self.results, span, self.options.bootstrap) for span in WINDOWS}
        return {span: arms for span, arms in found.items() if arms}

    @cached_property
    def notebook(self) -> bool:
        return is_notebook(self.results)

    @property
    def pictured(self) -> list[OutcomeTable]:
        """The outcomes that have figures."""
        return [table for table in self.tables if table.outcome.figures]


@dataclass(frozen=True)
class Geometry:
    """Of the prompts: the notebook's Experiment A."""

    prompts: PromptGeometry
    separations: list[Separation]
    r_v: Drawing | None
    log_r_v: Drawing | None
    pr: Drawing | None
    pr_difference: Drawing | None


def geometry(sweep: Sweep) -> Geometry:
    results, found = sweep.results, sweep.prompts
    r_v = log_r_v = pr = pr_difference = None
    if found.n:
        r_v = prompt_figures.r_v_scatter(found, results.pairs["id"])
        log_r_v = prompt_figures.log_r_v_differences(found, results.pairs["id"])
    if found.pr_source is not None:
        layers = (results.early_layer, results.late_layer)
        pr = prompt_figures.pr_by_layer(found, *layers)
        pr_difference = prompt_figures.pr_difference_by_layer(found, *layers)
    return Geometry(found, group_separations(results), r_v, log_r_v, pr, pr_difference)


@dataclass(frozen=True)
class OutcomeItem:
    """An outcome with its figures, None for an outcome without."""

    table: OutcomeTable
    levels: Drawing | None = None
    differences: Drawing | None = None


@dataclass(frozen=True)
class Patching:
    """Every outcome by arm: the notebook's Experiments B and C."""

    most_pictured: ClassVar[int] = 24  # arms whose figures stand open

    groups: list[tuple[str, list[OutcomeItem]]]  # heading, its outcomes
    absent: list[str]  # titles of usual outcomes that the file has no column of
    empty: list[str]  # and of those without a value in any row
    stopping: list[diagnostics.StopLine]


def patching(sweep: Sweep) -> Patching:
    rows = sweep.results.rows
    expected = (*outcomes.BEHAVIOUR, *outcomes.GEOMETRY) if sweep.notebook else outcomes.GEOMETRY
    present = [o for o in expected if o.name in rows]
    return Patching(
        groups=_by_heading([_outcome_item(table, sweep.colours) for table in sweep.tables], sweep.results),
        absent=[o.title for o in expected if o.name not in rows],
        empty=[o.title for o in present if not np.isfinite(rows[o.name]).any()],
        stopping=diagnostics.stopping(sweep.results),
    )


def _outcome_item(table: OutcomeTable, colours: list[str]) -> OutcomeItem:
    if not table.outcome.figures:
        return OutcomeItem(table)
    differences = outcome_figures.outcome_differences(table, colours)
    shown = differences and table.outcome.relative  # the levels are the same numbers
    return OutcomeItem(table, None if shown else outcome_figures.outcome_levels(table, colours), differences)


def _by_heading(items: list[OutcomeItem], results: Results) -> list[tuple[str, list[OutcomeItem]]]:
    """Headings with their outcomes; a heading without any is left out."""
    names = {"Ratings": results.ratings}
    names |= {heading: [o.name for o in listed] for heading, listed in outcomes.HEADINGS.items()}
    names["Further read-outs"] = {i.table.outcome.name for i in items}.difference(*names.values())
    found = {heading: [i for i in items if i.table.outcome.name in of] for heading, of in names.items()}
    return [(heading, of_heading) for heading, of_heading in found.items() if of_heading]


@dataclass(frozen=True)
class Controls:
    """Arms against their controls, by outcome."""

    forest_lines: ClassVar[int] = outcome_figures.FOREST_LINES

    drawn: list[tuple[OutcomeTable, Drawing]]


def controls(sweep: Sweep) -> Controls | None:
    controlled = [table for table in sweep.pictured if table.controls]
    drawn = [(table, outcome_figures.control_forest(table, sweep.colours)) for table in controlled]
    return Controls(drawn) if drawn else None


@dataclass(frozen=True)
class ScanItem:
    """One scan of one outcome; the first drawing names the table."""

    table: OutcomeTable
    scan: Scan
    drawings: list[Drawing]


@dataclass(frozen=True)
class Scans:
    """Where in depth and at which tokens; either may be empty."""

    depth: list[ScanItem]
    tokens: list[ScanItem]


def scan_sections(sweep: Sweep) -> Scans:
    return Scans(_scan_items(sweep, "layers"), _scan_items(sweep, "positions"))


def _scan_items(sweep: Sweep, setting: str) -> list[ScanItem]:
    found = []
    for table in sweep.pictured:
        found_scans = scans(table, setting, sweep.results.clusters, sweep.options.bootstrap)
        for at, scan in enumerate(found_scans):
            name = f"{table.outcome.name}-{setting}-{at}"
            drawings = scan_drawings(table, scan, name, sweep.results.n_layers, sweep.colours)
            found.append(ScanItem(table, scan, drawings))
    return found


@dataclass(frozen=True)
class GroupItem:
    table: OutcomeTable
    effects: GroupEffects
    drawing: Drawing


@dataclass(frozen=True)
class Groups:
    """Effects by group of the source prompt, by outcome."""

    most_curves: ClassVar[int] = MOST_CURVES

    outcomes: list[GroupItem]

    @property
    def dosed(self) -> bool:
        """Whether some outcome has a trend over dose levels."""
        return any(line.trend for item in self.outcomes for line in item.effects.lines)


def groups(sweep: Sweep) -> Groups | None:
    found = []
    for table in sweep.pictured:
        effects = group_effects(sweep.results, table, sweep.options.bootstrap)
        if effects:
            drawing = group_curves(table, effects, f"{table.outcome.name}-groups", sweep.colours)
            found.append(GroupItem(table, effects, drawing))
    return Groups(found) if found else None


@dataclass(frozen=True)
class Layers:
    """The rows' own geometry."""

    most_curves: ClassVar[int] = MOST_CURVES

    windows: list[tuple[LayerEffects, Drawing]]
    steps: Drawing | None
    attention: list[Drawing]
    r_v: dict[str, list[ArmWindows]]  # prompt, generated


def layers(sweep: Sweep) -> Layers | None:
    results, bootstrap = sweep.results, sweep.options.bootstrap
    names = [*WINDOWS, *(f"prompt_{site}" for site in measured_sites(results))]
    drawn = [
        (found, row_figures.layer_effects(found, f"layers-{window}", sweep.colours))
        for window in names
        if (found := layer_effects(results, window, bootstrap))
    ]
    curves = step_curves(results, bootstrap)
    attention = [
        row_figures.attention(found, measure, sweep.colours)
        for measure in row_figures.ATTENDED
        if (found := attention_curves(results, measure, bootstrap))
    ]
    steps = row_figures.steps(curves, sweep.colours) if curves else None
    found = Layers(drawn, steps, attention, sweep.row_windows)
    return found if drawn or steps or attention or found.r_v else None


@dataclass(frozen=True)
class Agreement:
    """How far raters agree on one rating."""

    rating: str
    raters: int
    rows: int  # with a rating
    several: int  # with ratings of at least two raters
    alpha: float  # Krippendorff's


def ratings(sweep: Sweep) -> list[Agreement]:
    found = []
    for name, values in sweep.options.ratings.items():
        given = np.isfinite(values)
        raters, several = int(given.any(axis=1).sum()), int((given.sum(axis=0) >= 2).sum())
        found.append(Agreement(name, raters, values.shape[1], several, krippendorff_alpha(values)))
    return found


@dataclass(frozen=True)
class Power:
    """Pairs that the next study needs: for each arm's observed d_z, and in general."""

    pairs: ClassVar[tuple[int, ...]] = TABLE_PAIRS

    outcomes: list[tuple[OutcomeTable, list[tuple[ArmLine, PowerLine]]]]
    table: list[tuple[float, list[float]]]  # d_z, power at each of `pairs`


def power(sweep: Sweep) -> Power | None:
    found = []
    for table in sweep.pictured:
        compared = [line for line in table.lines if line.paired and np.isfinite(line.paired.d_z)]
        if compared:
            found.append((table, [(line, observed_power(line.paired)) for line in compared]))
    return Power(found, power_table()) if found else None


@dataclass(frozen=True)
class Texts:
    """The generated texts side by side."""

    keywords: ClassVar[tuple[str, ...]] = NOTEBOOK_KEYWORDS

    pairs: list[PairTexts]


def texts(sweep: Sweep) -> Texts:
    return Texts(texts_by_pair(sweep.results, sweep.options.texts))


@dataclass(frozen=True)
class Rows:
    """What happened to the rows, and the proof that their patches fired."""

    most_reasons: ClassVar[int] = 200  # lines of the table
    patch_columns: ClassVar[tuple[str, ...]] = diagnostics.PATCH_COLUMNS

    by_arm: list[diagnostics.ArmStatus]
    reasons: list[diagnostics.ReasonGroup]
    patch_proof: list[diagnostics.PatchLine]
    recount: tuple[int, int] | None  # of the notebook's study: as data.texts.recount


def rows(sweep: Sweep) -> Rows:
    results = sweep.results
    by_arm, reasons = diagnostics.status_by_arm(results), diagnostics.reason_groups(results)
    return Rows(
        by_arm, reasons, diagnostics.patch_proof(results), recount(results) if sweep.notebook else None
    )
