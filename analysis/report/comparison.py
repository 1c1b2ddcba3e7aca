"""One self-contained page about several models or runs."""

from analysis.data.diagnostics import status_counts
from analysis.data.results import Results
from analysis.data.runs import compare_rows, setting_differences
from analysis.data.settings import summary
from analysis.figures import matched_arms as figures
from analysis.report.html import template
from analysis.stats.equivalence import Margin
from analysis.stats.matched_arms import compare_outcomes, sides
from analysis.stats.resampling import Bootstrap


def render(files: list[Results], bootstrap: Bootstrap, margin: Margin) -> str:
    """The whole page. The same files and options give the same bytes."""
    compared = sides(files, bootstrap, margin)
    outcomes = compare_outcomes(compared)
    return template("compare.html.j2").render(
        compared=compared,
        facts=[dict(summary(side.results, status_counts(side.results))) for side in compared],
        settings=setting_differences(files),
        runs=[(side, compare_rows(files[0], side.results)) for side in compared[1:]],
        depth=figures.pr_by_depth(compared),
        outcomes=[(one, figures.effects(compared, one) if one.outcome.figures else None) for one in outcomes],
        most_arms=figures.MOST_ARMS,
        bootstrap=bootstrap,
    )
