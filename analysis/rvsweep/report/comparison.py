"""One self-contained page about several models or runs."""

from rvsweep.data.diagnostics import status_counts
from rvsweep.data.results import Results
from rvsweep.data.runs import compare_rows, setting_differences
from rvsweep.data.settings import summary
from rvsweep.figures import matched_arms as figures
from rvsweep.report.html import template
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.matched_arms import compare_outcomes, sides
from rvsweep.stats.resampling import Bootstrap


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
