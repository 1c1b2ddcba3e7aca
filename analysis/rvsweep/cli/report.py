"""One self-contained HTML page about a sweep, also about one that still runs."""

import argparse
import os
import subprocess
from pathlib import Path

from rvsweep.cli import common
from rvsweep.data.ratings import join
from rvsweep.data.results import ResultsError, read_results
from rvsweep.figures.drawing import FORMATS
from rvsweep.report.page import contents_of, render
from rvsweep.report.paper import write_paper
from rvsweep.report.sections import Options
from rvsweep.program import find_program


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="report.py", description="Write one self-contained HTML page about a sweep."
    )
    parser.add_argument("results", type=Path, help="results.h5 of a sweep, or the sweep's folder")
    parser.add_argument("-o", "--output", type=Path, help="default: report.html beside the results")
    about = (
        "of a sweep that still runs: merge what its folder holds so far; the page says which share is done"
    )
    parser.add_argument("--partial", action="store_true", help=about)
    about = "binary that merges (default: $RVSWEEP_PROGRAM, build/rvsweep, that on PATH)"
    parser.add_argument("--rvsweep", type=Path, metavar="FILE", help=about)
    about = "CSV or JSONL: row_id, rater, one column per rating"
    parser.add_argument("--ratings", type=Path, metavar="FILE", help=about)
    about = "generated texts to include, in whole pairs (default 1000)"
    parser.add_argument("--texts", type=common.integer(1), default=1000, metavar="N", help=about)
    _add_paper_options(parser)
    common.add_statistics_options(parser)
    return common.run(parser, arguments, _report)


def _add_paper_options(parser: argparse.ArgumentParser) -> None:
    about = "for a paper, into this folder: figures, tables in LaTeX and Markdown, methods, BibTeX"
    parser.add_argument("--figures", type=Path, metavar="DIR", help=about)
    about = "of the figures of --figures (default pdf)"
    parser.add_argument("--format", choices=FORMATS, default="pdf", help=about)
    about = "of these figures, in inches; their text is scaled too (default 3.25)"
    parser.add_argument("--width", type=common.inches, default=3.25, metavar="INCHES", help=about)


def _report(options: argparse.Namespace) -> None:
    path = options.results
    if options.partial and path.is_dir():
        path = _merge(path, options.rvsweep or find_program())
    elif path.is_dir():
        path = path / "results.h5"
        if not path.exists():
            raise ResultsError(
                f"{path}: no such file; while the sweep runs add --partial, or run `rvsweep merge {path.parent}`"
            )
    results = read_results(path)
    output = options.output or path.parent / "report.html"
    common.check_output(output, path)
    if options.figures and options.figures.exists() and not options.figures.is_dir():
        raise ResultsError(f"{options.figures}: is no folder; give another place with --figures")
    ratings = {}
    if options.ratings:
        results, ratings = join(results, options.ratings)
    bootstrap, margin = common.statistics_options(options, results)
    contents = contents_of(results, Options(bootstrap, margin, options.texts, ratings))
    common.write(output, render(contents))
    print(output)
    if options.figures:
        write_paper(options.figures, contents, options.format, options.width)
        print(options.figures)


def _merge(folder: Path, binary: Path) -> Path:
    """The results so far, as `rvsweep merge --partial` writes them."""
    try:
        words = [binary, "merge", folder, "--partial"]
        merged = subprocess.run(words, capture_output=True)
    except OSError as error:
        raise ResultsError(
            f"{binary}: cannot be run ({error.strerror}); build rvsweep or name it with --rvsweep"
        ) from error
    if merged.returncode not in (0, 3):  # 3: merged, with failed rows
        said = merged.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise ResultsError(f"{folder}: rvsweep merge --partial ended with {merged.returncode}: {said[-1]}")
    return Path(os.fsdecode(merged.stdout.splitlines()[-1]))
