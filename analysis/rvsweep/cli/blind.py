"""Texts without their arms for raters (blind), and their ratings back to row ids (join-ratings)."""

import argparse
from pathlib import Path

from rvsweep.cli import common
from rvsweep.data.ratings import KEY_COLUMNS, TEXT_COLUMNS, blinded, read_table, unblind, write_table
from rvsweep.data.results import ResultsError, read_results


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="blind.py", description="Write a sweep's texts in random order under random ids, for raters."
    )
    parser.add_argument("results", type=Path, help="results.h5 of a sweep")
    parser.add_argument("-o", "--output", type=Path, required=True, help="id and text, as .csv or .jsonl")
    about = "where id, row_id, pair, arm and sample go: keep it from raters"
    parser.add_argument("--key", type=Path, required=True, help=about)
    parser.add_argument(
        "--seed", type=common.integer(0), default=1, help="of the order and the ids (default 1)"
    )
    return common.run(parser, arguments, _blind)


def _blind(options: argparse.Namespace) -> None:
    if options.output.absolute() == options.key.absolute():
        raise ResultsError(f"{options.key}: texts and key need two files; give another name with --key")
    for path in (options.output, options.key):
        common.check_output(path, options.results)
    texts, key = blinded(read_results(options.results), options.seed)
    if not texts:
        raise ResultsError(f"{options.results}: no row with status ok has a text; nothing to rate")
    write_table(options.output, texts, TEXT_COLUMNS)
    write_table(options.key, key, KEY_COLUMNS)
    print(options.output)
    print(options.key)


def join_ratings(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="join-ratings",
        description="Give blinded ratings their row ids, for --ratings of the other commands.",
    )
    parser.add_argument(
        "ratings", type=Path, nargs="+", help="CSV or JSONL: id, optionally rater, one column per rating"
    )
    parser.add_argument("--key", type=Path, required=True, help="the key that `blind` wrote")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="row_id, rater and ratings, as .csv or .jsonl"
    )
    return common.run(parser, arguments, _join)


def _join(options: argparse.Namespace) -> None:
    common.check_output(options.output, options.key, *options.ratings)
    key = read_table(options.key, ("id", "row_id"))
    joined = []
    for path in options.ratings:
        joined += unblind(read_table(path, ("id",)), key, path)
    columns = tuple(dict.fromkeys(name for line in joined for name in line))
    write_table(options.output, joined, columns)
    print(options.output)
