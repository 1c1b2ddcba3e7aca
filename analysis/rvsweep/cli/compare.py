"""Several models or runs on one page."""

import argparse
from pathlib import Path

from rvsweep.cli import common
from rvsweep.data.results import ResultsError, read_results
from rvsweep.report.comparison import render


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="compare.py", description="Write one self-contained HTML page about several models or runs."
    )
    parser.add_argument("results", type=Path, nargs="+", help="results.h5 of two or more sweeps")
    parser.add_argument("-o", "--output", type=Path, help="default: compare.html beside the first file")
    common.add_statistics_options(parser)
    return common.run(parser, arguments, _compare)


def _compare(options: argparse.Namespace) -> None:
    if len(options.results) < 2:
        raise ResultsError(f"{options.results[0]}: is one file; give two or more to compare")
    files = [read_results(path) for path in options.results]
    output = options.output or options.results[0].parent / "compare.html"
    common.check_output(output, *options.results)
    common.write(output, render(files, *common.statistics_options(options, files[0])))
    print(output)
