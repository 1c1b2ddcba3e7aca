"""A results file in a notebook: tables, contrasts, power."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.data import tables
from analysis.data.outcomes import Outcome, all_outcomes
from analysis.data.ratings import join
from analysis.data.results import Results, ResultsError, read_results
from analysis.stats.contrasts_table import contrasts_table
from analysis.stats.equivalence import Margin, registered_margin
from analysis.stats.power import power_line
from analysis.stats.resampling import Bootstrap


def load(
    path: str | Path,
    ratings: str | Path | None = None,
    bootstrap: Bootstrap = Bootstrap(),
    margin: Margin | None = None,
) -> "Study":
    """`margin` None: as the sweep's study.margin says. Raises ResultsError, whose text says what is wrong with a
    file and what to do."""
    results = read_results(Path(path))
    if ratings is not None:
        results, _ = join(results, Path(ratings))
    return Study(results, bootstrap, margin or registered_margin(results))


@dataclass
class Study:
    """`results` are plain arrays; everything else is a pandas table made on first use."""

    results: Results
    bootstrap: Bootstrap
    margin: Margin

    @cached_property
    def rows(self) -> pd.DataFrame:
        return tables.rows_table(self.results)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        return tables.pairs_table(self.results)

    @cached_property
    def arms(self) -> pd.DataFrame:
        return tables.arms_table(self.results)

    @cached_property
    def prompt_layers(self) -> pd.DataFrame:
        return tables.prompt_layers_table(self.results)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Long table of the rows' own spectra; empty where the file has none."""
        parts = list(tables.layer_tables(self.results))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    @property
    def outcomes(self) -> list[str]:
        return [outcome.name for outcome in all_outcomes(self.results)]

    def contrasts(self, *names: str) -> pd.DataFrame:
        """Every contrast of the named outcomes, or of all."""
        chosen = [self._outcome(name) for name in names] or all_outcomes(self.results)
        return contrasts_table(self.results, chosen, self.bootstrap, self.margin)

    def power(self, name: str) -> pd.DataFrame:
        """Pairs without common prompts needed at each contrast's observed d_z."""
        found = self.contrasts(name)
        effective = (found["sd"] / found["se"]) ** 2
        columns = (found["d_z"], found["n"], effective, found["df"])
        lines = [power_line(*line) for line in zip(*columns, strict=True)]
        return pd.concat([found[["arm", "versus"]], pd.DataFrame(lines)], axis=1)

    def _outcome(self, name: str) -> Outcome:
        for outcome in all_outcomes(self.results):
            if outcome.name == name:
                return outcome
        raise ResultsError(f"{self.results.path}: no outcome {name}; there are {', '.join(self.outcomes)}")
