"""What the commands share: options, the one message for bad input, and how files are written."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rvsweep.data.errors import InputError
from rvsweep.data.ratings import join
from rvsweep.data.results import Results, ResultsError, read_results
from rvsweep.stats.equivalence import Margin, parse_margin, registered_margin
from rvsweep.stats.resampling import Bootstrap


def add_statistics_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap",
        type=integer(100),
        default=10_000,
        metavar="N",
        help="resamples for intervals and, for many pairs, sign-flip draws (default 10000; fewer beyond 400 pairs, more where a family of tests needs them)",
    )
    parser.add_argument("--seed", type=integer(0), default=1, help="of the resampling (default 1)")
    parser.add_argument(
        "--equivalence",
        type=_margin,
        metavar="BOUND",
        help="what counts as negligible: d_z:X or gap:SHARE of source - base (default: as the sweep's study.margin says, else d_z:0.2)",
    )


def statistics_options(options: argparse.Namespace, results: Results) -> tuple[Bootstrap, Margin]:
    return Bootstrap(options.bootstrap, options.seed), options.equivalence or registered_margin(results)


def add_ratings_option(parser: argparse.ArgumentParser) -> None:
    about = "ratings to join, as report.py reads them"
    parser.add_argument("--ratings", type=Path, metavar="FILE", help=about)


def read_rated(options: argparse.Namespace) -> Results:
    """The results that `options` name, with their ratings."""
    results = read_results(options.results)
    return join(results, options.ratings)[0] if options.ratings else results


def run(
    parser: argparse.ArgumentParser,
    arguments: list[str] | None,
    command: Callable[[argparse.Namespace], None],
) -> int:
    """Exit code: 0 done; 2 bad usage or input, with one message on stderr."""
    options = parser.parse_args(arguments)
    try:
        command(options)
    except InputError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def check_output(path: Path, *inputs: Path) -> None:
    """What can be known before any work is done."""
    if path.exists() and any(path.samefile(other) for other in inputs):
        raise ResultsError(f"{path}: is the results file itself; give another name with -o")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ResultsError(
            f"{path}: cannot be written (not a file in a folder that exists); give another place with -o"
        )


def write(path: Path, text: str) -> None:
    """Replaces `path` at once, so that a failure leaves the old file.

    Names of files stand in `text` as Python has them, with surrogates where its locale is not UTF-8.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); give another place with -o"
        ) from error


def integer(minimum: int) -> Callable[[str], int]:
    """The type of an option that is a whole number of at least `minimum`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{text}: must be at least {minimum}")
        return value

    parse.__name__ = "integer"
    return parse


def inches(text: str) -> float:
    """The type of an option that is a width."""
    value = float(text)
    if not 0.5 <= value <= 50:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0.5 to 50")
    return value


def _margin(text: str) -> Margin:
    try:
        return parse_margin(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text}: must be d_z:X or gap:SHARE with a number above 0"
        ) from None
