"""One self-contained page about several models or runs."""

from rvsweep.data.diagnostics import status_counts
from rvsweep.data.outcomes import primary_outcome
from rvsweep.data.results import Results
from rvsweep.data.runs import RunComparison, compare_rows, setting_differences
from rvsweep.data.settings import summary
from rvsweep.figures import matched_arms as figures
from rvsweep.report.formatting import interval, number
from rvsweep.report.html import template
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.matched_arms import OutcomeComparison, Side, compare_outcomes, sides
from rvsweep.stats.resampling import Bootstrap


MOST_LINES = 24  # of the first figure: arms times files


def render(files: list[Results], bootstrap: Bootstrap, margin: Margin) -> str:
    """The whole page. The same files and options give the same bytes."""
    compared = sides(files, bootstrap, margin)
    outcomes = compare_outcomes(compared)
    primary = _primary(files[0], outcomes)
    first = primary and primary.largest(max(3, MOST_LINES // len(files)))
    runs = [(side, compare_rows(files[0], side.results)) for side in compared[1:]]
    drawn = [one for one in outcomes if one.outcome.figures]
    return template("compare.html.j2").render(
        compared=compared,
        answer=" ".join(
            filter(None, [_same_rows(runs), first and first.arms and _sentence(compared, primary)])
        ),
        first=first and first.arms and figures.effects(compared, first, "compare-first"),
        facts=[dict(summary(side.results, status_counts(side.results))) for side in compared],
        settings=setting_differences(files),
        runs=runs,
        depth=figures.pr_by_depth(compared),
        outcomes=[
            (one, figures.effects(compared, one, f"compare-{one.outcome.name}") if one in drawn else None)
            for one in outcomes
        ],
        most_arms=figures.MOST_ARMS,
        bootstrap=bootstrap,
    )


def _primary(first: Results, outcomes: list[OutcomeComparison]) -> OutcomeComparison | None:
    """Of the first file's primary outcome where files share it, else of the first that has patched arms."""
    primary, _ = primary_outcome(first)
    usable = [one for one in outcomes if any(arm.patched for arm in one.arms)]
    return next((one for one in usable if one.outcome == primary), next(iter(usable), None))


def _same_rows(runs: list[tuple[Side, RunComparison]]) -> str:
    """Said where every other file shares rows with the first and all of them are its bits."""
    if not all(run.bit_equal for _, run in runs):
        return ""
    fewest = min(run.common for _, run in runs)
    both = (
        f"All {fewest} rows that stand in both files"
        if len(runs) == 1
        else f"All rows shared with the first file, at least {fewest},"
    )
    return f"{both} are equal bit by bit."


def _sentence(compared: list[Side], comparison: OutcomeComparison) -> str:
    """Of the arm that differs most over files, each file's difference."""
    arm, outcome = comparison.largest(1).arms[0], comparison.outcome
    unit = "difference in ln R_V" if outcome.ratio else outcome.unit
    parts = [
        f"{side.name} {number(line.paired.difference.value)} {interval(line.paired.difference)} (n = {line.paired.difference.counted})"
        for side, line in zip(compared, arm.lines, strict=True)
        if line
    ]
    shared = sum(one.patched for one in comparison.arms)
    who = (
        f"Of {shared} patched arms that files share, {arm.label} differs most"
        if shared > 1
        else f"{arm.label} differs"
    )
    return f"{who} from the unpatched prompt in “{outcome.title}”{f' ({unit})' if unit else ''}: {'; '.join(parts)}."
