"""What a report shows, section by section, and the page made from it."""

from dataclasses import dataclass, field

import numpy as np

from analysis import diagnostics, figures, study_figures
from analysis.comparison import OutcomeTable, outcome_table
from analysis.equivalence import Margin
from analysis.figure_style import Drawing, arm_colours
from analysis.geometry import ExperimentA, experiment_a
from analysis.groups import GroupEffects, group_effects
from analysis.keywords import NOTEBOOK_KEYWORDS
from analysis.methods import methods
from analysis.outcomes import BEHAVIOUR, GEOMETRY, LOGITS, NOTEBOOK_R_V, Outcome, all_outcomes
from analysis.page_template import template
from analysis.power import TABLE_PAIRS, PowerLine, power_line, power_table
from analysis.ratings import krippendorff_alpha
from analysis.resampling import EXACT_SIGN_FLIP_PAIRS, Bootstrap
from analysis.results import Results
from analysis.row_geometry import LayerEffects, layer_effects, step_curves
from analysis.scans import Scan, scans
from analysis.settings import summary
from analysis.texts import recount, texts_by_pair

FEW_PAIRS = 12  # below this the report warns about its own intervals
MOST_GLANCED = 14  # arms in the table at the head of the page, for each of several outcomes
MOST_PICTURED = 24  # arms whose figures stand open
MOST_REASONS = 200  # lines of the table of refused and failed rows
GLANCE = ("logprob_source", "kl_first", "keyword_count", "r_v_generated")  # and every rating


@dataclass(frozen=True)
class Options:
    bootstrap: Bootstrap = Bootstrap()
    margin: Margin = Margin()
    texts: int = 1000
    ratings: dict[str, np.ndarray] = field(default_factory=dict)  # rating -> [raters, rated rows]


@dataclass(frozen=True)
class OutcomeItem:
    table: OutcomeTable
    levels: Drawing | None
    differences: Drawing | None


@dataclass(frozen=True)
class ScanItem:
    table: OutcomeTable
    scan: Scan
    drawings: list[Drawing]


@dataclass(frozen=True)
class GroupItem:
    table: OutcomeTable
    effects: GroupEffects
    drawing: Drawing


def render(results: Results, options: Options) -> str:
    """The whole page. The same file and options give the same bytes."""
    bootstrap = options.bootstrap
    counts = diagnostics.status_counts(results)
    a = experiment_a(results, bootstrap)
    colours = arm_colours(results.arms)
    tables = [outcome_table(results, o, bootstrap, options.margin) for o in all_outcomes(results)]
    items = [_outcome_item(table, colours) for table in tables]
    pictured = [table for table in tables if table.outcome.figures]
    expected = (*BEHAVIOUR, *GEOMETRY)
    layered = _row_layers(results, bootstrap)
    steps = step_curves(results, bootstrap)
    context = {
        "results": results,
        "bootstrap": bootstrap,
        "margin": options.margin,
        "partial": counts["pending"] > 0,
        "counts": counts,
        "summary": summary(results, counts),
        "colours": colours,
        "a": a,
        "a_figures": _experiment_a_figures(results, a, bootstrap),
        "outcome_groups": _grouped(items, results),
        "glance": _glance(tables, results),
        "absent": [o.title for o in expected if o.name not in results.rows],
        "empty": [
            o.title
            for o in expected
            if o.name in results.rows and not np.isfinite(results.rows[o.name]).any()
        ],
        "depth": _scans(results, pictured, "layers", bootstrap),
        "tokens": _scans(results, pictured, "positions", bootstrap),
        "groups": _groups(results, pictured, bootstrap),
        "controls": [(table, study_figures.forest(table, colours)) for table in pictured if table.controls],
        "layered": [
            (effects, study_figures.layer_effects(effects, f"layers-{effects.window}")) for effects in layered
        ],
        "steps": study_figures.steps(steps) if steps else None,
        "power": _power(tables),
        "power_pairs": TABLE_PAIRS,
        "power_table": power_table(),
        "agreement": _agreement(options.ratings),
        "methods": methods(results, counts, bootstrap, options.margin),
        "status_by_arm": diagnostics.status_by_arm(results),
        "reasons": diagnostics.reason_groups(results),
        "most_reasons": MOST_REASONS,
        "most_pictured": MOST_PICTURED,
        "patch_columns": diagnostics.PATCH_COLUMNS,
        "patch_proof": diagnostics.patch_proof(results),
        "stopping": diagnostics.stopping(results),
        "recount": recount(results),
        "texts": texts_by_pair(results, options.texts),
        "keywords": NOTEBOOK_KEYWORDS,
        "few_pairs": FEW_PAIRS,
        "exact_pairs": EXACT_SIGN_FLIP_PAIRS,
        "most_curves": study_figures.MOST_CURVES,
        "forest_lines": study_figures.FOREST_LINES,
    }
    return template("report.html.j2").render(context)


def _experiment_a_figures(results: Results, a: ExperimentA, bootstrap: Bootstrap) -> dict[str, Drawing]:
    drawn = {}
    if a.n:
        drawn["r_v"] = figures.r_v_scatter(a, results.pairs["id"], bootstrap)
        drawn["log_r_v"] = figures.log_r_v_differences(a, results.pairs["id"])
    if a.pr_source is not None:
        drawn["pr"] = figures.pr_by_layer(a, results.early_layer, results.late_layer)
        drawn["pr_difference"] = figures.pr_difference_by_layer(a, results.early_layer, results.late_layer)
    return drawn


def _outcome_item(table: OutcomeTable, colours: list[str]) -> OutcomeItem:
    if not table.outcome.figures:
        return OutcomeItem(table, None, None)
    differences = figures.outcome_differences(table, colours)
    levels = None if table.outcome.relative and differences else figures.outcome_levels(table, colours)
    return OutcomeItem(table, levels, differences)


def _glance(tables: list[OutcomeTable], results: Results) -> list[OutcomeTable]:
    """The main outcomes; of many arms only the first, so that the head of the page stays short."""
    found = [table for table in tables if table.outcome.name in (*results.ratings, *GLANCE)]
    return found if all(len(table.lines) <= MOST_GLANCED for table in found) else found[:1]


def _grouped(items: list[OutcomeItem], results: Results) -> list[tuple[str, list[OutcomeItem]]]:
    """Headings with their outcomes; a heading without any is left out."""

    def named(outcomes: tuple[Outcome, ...] | list[str]) -> list[OutcomeItem]:
        names = {getattr(outcome, "name", outcome) for outcome in outcomes}
        return [item for item in items if item.table.outcome.name in names]

    groups = {
        "Ratings": named(results.ratings),
        "Logits": named(LOGITS),
        "Behaviour": named(BEHAVIOUR),
        "Geometry": named((*GEOMETRY, NOTEBOOK_R_V)),
    }
    placed = [item for found in groups.values() for item in found]
    groups["Further read-outs"] = [item for item in items if item not in placed]
    return [(heading, found) for heading, found in groups.items() if found]


def _scans(
    results: Results, tables: list[OutcomeTable], setting: str, bootstrap: Bootstrap
) -> list[ScanItem]:
    found = []
    for table in tables:
        for at, scan in enumerate(scans(table, setting, bootstrap)):
            name = f"{table.outcome.name}-{setting}-{at}"
            if setting == "layers":
                drawings = [
                    study_figures.depth_heat_map(table, scan, name + "-map"),
                    study_figures.depth_profile(table, scan, name + "-profile", results.n_layers),
                ]
            else:
                drawings = [study_figures.position_profile(table, scan, name)]
            found.append(ScanItem(table, scan, [drawing for drawing in drawings if drawing]))
    return found


def _groups(results: Results, tables: list[OutcomeTable], bootstrap: Bootstrap) -> list[GroupItem]:
    found = []
    for table in tables:
        effects = group_effects(results, table, bootstrap)
        if effects:
            drawing = study_figures.group_curves(table, effects, f"{table.outcome.name}-groups")
            found.append(GroupItem(table, effects, drawing))
    return found


def _row_layers(results: Results, bootstrap: Bootstrap) -> list[LayerEffects]:
    found = (layer_effects(results, window, bootstrap) for window in ("prompt", "generated"))
    return [effects for effects in found if effects]


def _power(tables: list[OutcomeTable]) -> list[tuple[OutcomeTable, list[tuple[object, PowerLine]]]]:
    """Outcomes of the glance with the power line of each arm whose d_z is finite."""
    found = []
    for table in tables:
        if not table.outcome.figures:
            continue
        lines = [
            (line, power_line(line.paired.d_z, line.paired.n))
            for line in table.lines
            if line.paired and np.isfinite(line.paired.d_z)
        ]
        if lines:
            found.append((table, lines))
    return found


def _agreement(ratings: dict[str, np.ndarray]) -> list[tuple[str, int, int, int, float]]:
    """Rating, raters, rated rows, rows with several ratings, Krippendorff's alpha."""
    found = []
    for name, values in ratings.items():
        several = int((np.isfinite(values).sum(axis=0) >= 2).sum())
        raters = int(np.isfinite(values).any(axis=1).sum())
        found.append((name, raters, values.shape[1], several, krippendorff_alpha(values)))
    return found
