"""A results file in a notebook: tables, arrays, contrasts, figures, power."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from rvsweep.data import tables
from rvsweep.data.diagnostics import status_counts
from rvsweep.data.errors import InputError
from rvsweep.data.outcomes import Outcome, all_outcomes
from rvsweep.data.ratings import join
from rvsweep.data.results import Results, ResultsError, read_results
from rvsweep.data.settings import study_question, study_title, summary
from rvsweep.plots import Plots
from rvsweep.stats.contrasts_table import contrasts_table
from rvsweep.stats.equivalence import Margin, registered_margin
from rvsweep.stats.power import power_line
from rvsweep.stats.resampling import Bootstrap


def load(
    path: str | Path,
    ratings: str | Path | None = None,
    bootstrap: Bootstrap = Bootstrap(),
    margin: Margin | None = None,
) -> "Study":
    """The study of a results.h5, or of the folder that holds one.

    ratings: CSV or JSONL of row_id, rater and a column per rating; each becomes an outcome.
    margin: None: as the sweep's study.margin says.
    Raises ResultsError, whose text says what is wrong with a file and what to do.
    """
    path = Path(path)
    results, by_rater = read_results(path / "results.h5" if path.is_dir() else path), {}
    if ratings is not None:
        results, by_rater = join(results, Path(ratings))
    return Study(results, bootstrap, margin or registered_margin(results), by_rater)


@dataclass(repr=False)
class Study:
    """P prompts, N pairs, A arms, R rows of L layers; W singular values a spectrum.

    `results` are plain arrays; everything else is computed on first use.
    """

    results: Results
    bootstrap: Bootstrap = Bootstrap()
    margin: Margin = Margin()
    ratings: dict[str, np.ndarray] = field(default_factory=dict)  # rating -> [raters, rated rows]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """[R] one row per (pair, arm, sample): its prompts, its arm's settings, every column of /rows."""
        return tables.rows_table(self.results)

    @property
    def ok(self) -> pd.DataFrame:
        """The rows that have results: neither refused, nor failed, nor pending."""
        return self.rows[self.rows["status"] == "ok"]

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """[N] id, and id, group and token count of both prompts."""
        return tables.pairs_table(self.results)

    @cached_property
    def arms(self) -> pd.DataFrame:
        """[A] label, kind, layers, every setting, the whole spec."""
        return tables.arms_table(self.results)

    @cached_property
    def prompt_layers(self) -> pd.DataFrame:
        """[P * L] metrics of each prompt's V by layer."""
        return tables.prompt_layers_table(self.results)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """[R * windows * L] metrics of the rows' own spectra, of V and of other sites; empty where the file has none.

        Of a large sweep a long table: to_xarray holds the spectra themselves, read as they are used.
        """
        parts = list(tables.layer_tables(self.results))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    @cached_property
    def attention(self) -> pd.DataFrame:
        """[R * L * KV heads] where each row attends as its first token is drawn; empty where the file has none."""
        return tables.attention_table(self.results)

    def to_xarray(self):
        """An xarray Dataset over `row` and `prompt`, in the file's own types: NaN or -1 where there is no value.

        spectra [row, window, layer, rank], tokens and step_pr [.., step], prompt_spectra [prompt, layer, rank],
        prompt_pr and the like [prompt, layer], window_pr_prompt [row, window_size, layer, pr_kind] and gram_sums_prompt
        [row, layer, gram_sum] (also _generated; of prompts prompt_...), columns of /rows [row]. Coordinates of a row: row (its id), pair,
        arm, sample, status, and source and base, which are labels of `prompt`. Arrays of several dimensions are
        read where they are used, so the file has to stay. Token ids of prompts, which are ragged, are left out.
        """
        try:
            from rvsweep.data.arrays import to_xarray
        except ImportError as error:
            raise InputError(f"to_xarray needs xarray ({error}): pip install xarray") from error
        return to_xarray(self.results)

    @property
    def outcomes(self) -> list[str]:
        """Names of what can be compared, the primary kinds first."""
        return [outcome.name for outcome in all_outcomes(self.results)]

    def contrasts(self, *names: str) -> pd.DataFrame:
        """Every contrast of the named outcomes, or of all: arms against recipient and controls."""
        chosen = [self.outcome(name) for name in names] or all_outcomes(self.results)
        return contrasts_table(self.results, chosen, self.bootstrap, self.margin)

    def power(self, name: str) -> pd.DataFrame:
        """Pairs without common prompts needed at each contrast's observed d_z.

        Raises ResultsError where the file has no contrast of this outcome.
        """
        found = self.contrasts(name)
        if found.empty:
            raise ResultsError(
                f"{self.results.path}: nothing can be compared in {name}: "
                "an arm and its unpatched recipient are needed"
            )
        effective = (found["sd"] / found["se"]) ** 2
        columns = (found["d_z"], found["n"], effective, found["df"])
        lines = [power_line(*line) for line in zip(*columns, strict=True)]
        return pd.concat([found[["arm", "versus"]], pd.DataFrame(lines)], axis=1)

    @cached_property
    def plot(self) -> Plots:
        """Figures: plot.depth(), plot.tokens(), plot.dose(), plot.forest()."""
        return Plots(self)

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the page about the sweep (default: report.html beside the results) and gives its path."""
        from rvsweep.cli.common import check_output, write
        from rvsweep.report.page import contents_of, render
        from rvsweep.report.sections import Options

        path = Path(path or self.results.path.parent / "report.html")
        check_output(path, self.results.path)
        write(
            path,
            render(contents_of(self.results, Options(self.bootstrap, self.margin, ratings=self.ratings))),
        )
        return path

    def outcome(self, name: str) -> Outcome:
        """Raises ResultsError where there is none of this name."""
        for outcome in all_outcomes(self.results):
            if outcome.name == name:
                return outcome
        raise ResultsError(f"{self.results.path}: no outcome {name}; there are {', '.join(self.outcomes)}")

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in status_counts(self.results).items() if n)
        sizes = (
            f"{len(self.results.pairs['id'])} pairs, {len(self.results.arms)} arms, rows: {counts or 'none'}"
        )
        return f"<Study of {study_title(self.results)}: {sizes}; {self.results.path}>"

    def _repr_html_(self) -> str:
        facts = summary(self.results, status_counts(self.results))
        lines = Markup("").join(Markup("<tr><th>{}</th><td>{}</td></tr>").format(*fact) for fact in facts)
        head = Markup("<strong>{}</strong><br>{}").format(
            study_title(self.results), study_question(self.results)
        )
        return f"<div>{head}<table>{lines}</table></div>"
