"""One self-contained HTML page about a sweep, also about one that still runs."""

import argparse
import subprocess
from pathlib import Path

from analysis.cli import common
from analysis.data.ratings import join
from analysis.data.results import ResultsError, read_results
from analysis.report.page import render
from analysis.report.sections import Options

BINARY = Path(__file__).resolve().parents[2] / "build" / "rvsweep"


def main(arguments: list[str] | None = None, binary: Path = BINARY) -> int:
    """0 done; 2 bad usage or input, with one message on stderr. `binary`: that of --rvsweep unless given."""
    parser = argparse.ArgumentParser(
        prog="report.py", description="Write one self-contained HTML page about a sweep."
    )
    parser.add_argument("results", type=Path, help="results.h5 of a sweep, or the sweep's folder")
    parser.add_argument("-o", "--output", type=Path, help="default: report.html beside the results")
    about = (
        "of a sweep that still runs: merge what its folder holds so far; the page says which share is done"
    )
    parser.add_argument("--partial", action="store_true", help=about)
    about = "binary that merges (default: build/rvsweep)"
    parser.add_argument("--rvsweep", type=Path, default=binary, metavar="FILE", help=about)
    about = "CSV or JSONL: row_id, rater, one column per rating"
    parser.add_argument("--ratings", type=Path, metavar="FILE", help=about)
    about = "generated texts to include, in whole pairs (default 1000)"
    parser.add_argument("--texts", type=common.integer(1), default=1000, metavar="N", help=about)
    common.add_statistics_options(parser)
    return common.run(parser, arguments, _report)


def _report(options: argparse.Namespace) -> None:
    path = options.results
    if options.partial and path.is_dir():
        path = _merge(path, options.rvsweep)
    elif path.is_dir():
        path = path / "results.h5"
        if not path.exists():
            raise ResultsError(
                f"{path}: no such file; while the sweep runs add --partial, or run `rvsweep merge {path.parent}`"
            )
    results = read_results(path)
    output = options.output or path.parent / "report.html"
    common.check_output(output, path)
    ratings = {}
    if options.ratings:
        results, ratings = join(results, options.ratings)
    bootstrap, margin = common.statistics_options(options, results)
    page = render(results, Options(bootstrap, margin, options.texts, ratings))
    common.write(output, page)
    print(output)


def _merge(folder: Path, binary: Path) -> Path:
    """The results so far, as `rvsweep merge --partial` writes them."""
    try:
        merged = subprocess.run([binary, "merge", folder, "--partial"], capture_output=True, text=True)
    except OSError as error:
        raise ResultsError(
            f"{binary}: cannot be run ({error.strerror}); build rvsweep or name it with --rvsweep"
        ) from error
    if merged.returncode not in (0, 3):  # 3: merged, with failed rows
        said = merged.stderr.strip().splitlines() or ["no message"]
        raise ResultsError(f"{folder}: rvsweep merge --partial ended with {merged.returncode}: {said[-1]}")
    return Path(merged.stdout.strip().splitlines()[-1])
