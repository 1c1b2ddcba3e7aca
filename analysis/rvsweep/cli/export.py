"""Tidy tables for other tools, as CSV or Parquet."""

import argparse
import importlib.util
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from rvsweep.cli import common
from rvsweep.data import tables
from rvsweep.data.outcomes import all_outcomes
from rvsweep.data.results import ResultsError
from rvsweep.stats.contrasts_table import contrasts_table


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(prog="export.py", description="Write the tidy tables of a sweep.")
    parser.add_argument("results", type=Path, help="results.h5 of a sweep")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="made if it is not there"
    )
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv", help="default: csv")
    about = "leave out the longest tables, with a line for each layer of each row"
    parser.add_argument("--no-layers", action="store_true", help=about)
    common.add_ratings_option(parser)
    common.add_statistics_options(parser)
    return common.run(parser, arguments, _export)


def _export(options: argparse.Namespace) -> None:
    if options.format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ResultsError("--format parquet needs pyarrow, which is not installed: pip install pyarrow")
    results = common.read_rated(options)
    contrasts = contrasts_table(results, all_outcomes(results), *common.statistics_options(options, results))
    parts: dict[str, Iterable[pd.DataFrame]] = {
        "rows": [tables.rows_table(results)],
        "layers": () if options.no_layers else tables.layer_tables(results),
        "attention": () if options.no_layers else _filled(tables.attention_table(results)),
        "prompt_layers": [tables.prompt_layers_table(results)],
        "pairs": [tables.pairs_table(results)],
        "arms": [tables.arms_table(results)],
        "contrasts": [contrasts],
    }
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for name, frames in parts.items():
            path = options.output / f"{name}.{options.format}"
            if (_write_csv if options.format == "csv" else _write_parquet)(path, frames):
                print(path)
    except OSError as error:
        raise ResultsError(f"{options.output}: cannot be written ({error.strerror or error})") from error


def _filled(table: pd.DataFrame) -> list[pd.DataFrame]:
    return [] if table.empty else [table]


def _write_csv(path: Path, frames: Iterable[pd.DataFrame]) -> bool:
    """Part by part; False, and no file, where there is none."""
    written = False
    for frame in frames:
        frame.to_csv(path, index=False, mode="a" if written else "w", header=not written)
        written = True
    return written


def _write_parquet(path: Path, frames: Iterable[pd.DataFrame]) -> bool:
    import pyarrow
    import pyarrow.parquet

    writer = None
    try:
        for frame in frames:
            table = pyarrow.Table.from_pandas(frame, preserve_index=False)
            writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer:
            writer.close()
    return writer is not None
