"""Command: python analysis/compare.py a.h5 b.h5 [more] [-o page.html] - several models or runs on one page."""

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a file: make this folder importable as the package `analysis`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import compare_figures
from analysis.command_line import add_statistics_options, check_output, run, statistics_options, write
from analysis.diagnostics import status_counts
from analysis.equivalence import Margin
from analysis.models import compare_outcomes, sides
from analysis.page_template import template
from analysis.resampling import Bootstrap
from analysis.results import Results, ResultsError, read_results
from analysis.runs import compare_rows, setting_differences
from analysis.settings import summary


def render(files: list[Results], bootstrap: Bootstrap, margin: Margin) -> str:
    """The whole page. The same files and options give the same bytes."""
    compared = sides(files, bootstrap, margin)
    outcomes = compare_outcomes(compared)
    context = {
        "compared": compared,
        "facts": [dict(summary(side.results, status_counts(side.results))) for side in compared],
        "settings": setting_differences(files),
        "runs": [(side, compare_rows(files[0], side.results)) for side in compared[1:]],
        "depth": compare_figures.pr_by_depth(compared),
        "outcomes": [
            (one, compare_figures.effects(compared, one) if one.outcome.figures else None) for one in outcomes
        ],
        "most_arms": compare_figures.MOST_ARMS,
        "bootstrap": bootstrap,
    }
    return template("compare.html.j2").render(context)


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="compare.py", description="Write one self-contained HTML page about several models or runs."
    )
    parser.add_argument("results", type=Path, nargs="+", help="results.h5 of two or more sweeps")
    parser.add_argument("-o", "--output", type=Path, help="default: compare.html beside the first file")
    add_statistics_options(parser)
    return run(parser, arguments, _compare)


def _compare(options: argparse.Namespace) -> None:
    if len(options.results) < 2:
        raise ResultsError(f"{options.results[0]}: is one file; give two or more to compare")
    files = [read_results(path) for path in options.results]
    output = options.output or options.results[0].parent / "compare.html"
    check_output(output, *options.results)
    write(output, render(files, *statistics_options(options)))
    print(output)


if __name__ == "__main__":
    sys.exit(main())
