"""Pairs that the next study needs, from a sweep's effects or from the general table."""

import argparse
from pathlib import Path

import numpy as np

from rvsweep.cli import common
from rvsweep.data.outcomes import all_outcomes
from rvsweep.stats.outcome_table import outcome_table
from rvsweep.stats.paired import observed_power
from rvsweep.stats.power import TABLE_PAIRS, power_table

COLUMNS = (
    "outcome",
    "arm",
    "n",
    "n_sources",
    "n_bases",
    "d_z",
    "low",
    "high",
    "n_80",
    "n_90",
    "n_80_near_end",
)


def main(arguments: list[str] | None = None) -> int:
    """0 done; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="power", description="Power of a paired t test at alpha = 0.05, as tab-separated lines."
    )
    parser.add_argument(
        "results", type=Path, nargs="?", help="results.h5 of a sweep; without it, a table by d_z and n"
    )
    common.add_ratings_option(parser)
    common.add_statistics_options(parser)
    return common.run(parser, arguments, _power)


def _power(options: argparse.Namespace) -> None:
    if options.results is None:
        print("d_z", *(f"n={n}" for n in TABLE_PAIRS), sep="\t")
        for d_z, values in power_table():
            print(d_z, *(f"{value:.3f}" for value in values), sep="\t")
        return
    results = common.read_rated(options)
    bootstrap, margin = common.statistics_options(options, results)
    print(*COLUMNS, sep="\t")
    for outcome in all_outcomes(results):
        for line in outcome_table(results, outcome, bootstrap, margin).lines:
            if line.paired and np.isfinite(line.paired.d_z):
                p = observed_power(line.paired)
                ends = (f"{value:.3f}" for value in (p.d_z, p.low, p.high))
                counts = (p.pairs_80, p.pairs_90, p.pairs_80_at_least_effect)
                needed = ("-" if n is None else n for n in counts)
                n = (p.n, line.paired.difference.sources, line.paired.difference.bases)
                print(outcome.name, line.arm.label, *n, *ends, *needed, sep="\t")
