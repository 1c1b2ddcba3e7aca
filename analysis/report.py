"""Command: python analysis/report.py results.h5 [-o report.html] - one self-contained HTML page."""

import argparse
import os
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a file: make this folder importable as the package `analysis`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import jinja2
import numpy as np
from markupsafe import Markup

from analysis import diagnostics, figures, formatting
from analysis.comparison import BEHAVIOUR, GEOMETRY, NOTEBOOK_R_V, outcome_table
from analysis.figure_style import arm_colours
from analysis.geometry import experiment_a
from analysis.keywords import NOTEBOOK_KEYWORDS
from analysis.results import Results, ResultsError, read_results
from analysis.settings import summary
from analysis.statistics import EXACT_SIGN_FLIP_PAIRS, Bootstrap
from analysis.texts import marked, printable, recount, texts_by_pair

TEMPLATES = Path(__file__).resolve().parent / "templates"
FEW_PAIRS = 12  # below this the report warns about its own intervals


def render(results: Results, bootstrap: Bootstrap, text_limit: int) -> str:
    """The whole page. The same file and options give the same bytes."""
    counts = diagnostics.status_counts(results)
    a = experiment_a(results, bootstrap)
    colours = arm_colours(results.arms)
    expected = (*BEHAVIOUR, *GEOMETRY)
    context = {
        "results": results,
        "bootstrap": bootstrap,
        "counts": counts,
        "summary": summary(results, counts),
        "colours": colours,
        "a": a,
        "a_figures": _experiment_a_figures(results, a, bootstrap),
        "behaviour": _outcomes(results, BEHAVIOUR, colours, bootstrap),
        "geometry": _outcomes(results, (*GEOMETRY, NOTEBOOK_R_V), colours, bootstrap),
        "absent": [o.title for o in expected if o.name not in results.rows],
        "empty": [
            o.title
            for o in expected
            if o.name in results.rows and not np.isfinite(results.rows[o.name]).any()
        ],
        "status_by_arm": diagnostics.status_by_arm(results),
        "reasons": diagnostics.reason_groups(results),
        "patch_columns": diagnostics.PATCH_COLUMNS,
        "patch_proof": diagnostics.patch_proof(results),
        "stopping": diagnostics.stopping(results),
        "recount": recount(results),
        "texts": texts_by_pair(results, text_limit),
        "keywords": NOTEBOOK_KEYWORDS,
        "few_pairs": FEW_PAIRS,
        "exact_pairs": EXACT_SIGN_FLIP_PAIRS,
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters.update(
        number=formatting.number,
        quantity=formatting.count,
        symbols=formatting.with_symbols,
        p=formatting.p_value,
        interval=formatting.interval,
        with_interval=formatting.with_interval,
        percent=formatting.percent,
        marked=marked,
    )
    return environment.get_template("report.html.j2").render(context)


def _experiment_a_figures(results: Results, a, bootstrap: Bootstrap) -> dict[str, Markup]:
    drawn = {}
    if a.n:
        drawn["r_v"] = figures.r_v_scatter(a, bootstrap)
        drawn["log_r_v"] = figures.log_r_v_differences(a, results.pairs["id"])
    if a.pr_source is not None:
        drawn["pr"] = figures.pr_by_layer(a, results.early_layer, results.late_layer)
        drawn["pr_difference"] = figures.pr_difference_by_layer(a, results.early_layer, results.late_layer)
    return {name: Markup(text) for name, text in drawn.items()}


def _outcomes(results: Results, outcomes, colours, bootstrap: Bootstrap) -> list[dict]:
    """Table and figures of each outcome that the file has."""
    found = []
    for outcome in outcomes:
        table = outcome_table(results, outcome, bootstrap)
        if table is None:
            continue
        difference = figures.outcome_differences(table, colours)
        found.append(
            {
                "table": table,
                "levels": Markup(figures.outcome_levels(table, colours)),
                "differences": Markup(difference) if difference else None,
            }
        )
    return found


def check_output(path: Path, results_path: Path) -> None:
    """What can be known before any work is done."""
    if path.exists() and path.samefile(results_path):
        raise ResultsError(f"{path}: is the results file itself; give another name with -o")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ResultsError(
            f"{path}: cannot be written (not a file in a folder that exists); give another place with -o"
        )


def write(path: Path, page: str) -> None:
    """Replaces `path` at once, so that a failure leaves the old report."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(page, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ResultsError(
            f"{path}: cannot be written ({error.strerror}); give another place with -o"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(description="Write one self-contained HTML page about a sweep.")
    parser.add_argument("results", type=Path, help="results.h5 of a sweep")
    parser.add_argument("-o", "--output", type=Path, help="default: report.html beside the results")
    parser.add_argument(
        "--bootstrap",
        type=_integer(100),
        default=10_000,
        metavar="N",
        help="resamples for intervals and, for many pairs, sign-flip draws (default 10000)",
    )
    parser.add_argument("--seed", type=_integer(0), default=1, help="of the resampling (default 1)")
    parser.add_argument(
        "--texts",
        type=_integer(1),
        default=1000,
        metavar="N",
        help="generated texts to include, in whole pairs (default 1000)",
    )
    options = parser.parse_args(arguments)
    output = options.output or options.results.parent / "report.html"
    try:
        results = read_results(options.results)
        check_output(output, options.results)
        page = render(results, Bootstrap(options.bootstrap, options.seed), options.texts)
        write(output, page)
    except ResultsError as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 2
    print(output)
    return 0


def _integer(minimum: int):
    def parse(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{text}: must be at least {minimum}")
        return value

    parse.__name__ = "integer"
    return parse


if __name__ == "__main__":
    sys.exit(main())
