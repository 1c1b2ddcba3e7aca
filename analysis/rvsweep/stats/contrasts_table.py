"""The contrasts of outcomes as a tidy table (pandas)."""

import pandas as pd

from rvsweep.data.outcomes import Outcome
from rvsweep.data.results import Results
from rvsweep.stats.equivalence import Equivalence, Margin
from rvsweep.stats.outcome_table import outcome_table
from rvsweep.stats.paired import Estimate, PairedDifference
from rvsweep.stats.resampling import Bootstrap


def contrasts_table(
    results: Results, outcomes: list[Outcome], bootstrap: Bootstrap, margin: Margin
) -> pd.DataFrame:
    """One row per outcome and contrast: arms less their recipient (`versus` its label), arms less a control."""
    lines = []
    for outcome in outcomes:
        table = outcome_table(results, outcome, bootstrap, margin)
        if table is None:
            continue
        for line in table.lines:
            if line.paired:
                names = {"outcome": outcome.name, "arm": line.arm.label, "versus": line.recipient.label}
                adjusted = {"p_holm": line.p_holm, "p_max_statistic": line.p_max}
                adjusted |= {"p_max_sign_flip": line.p_max_sign_flip}
                lines.append(
                    names | _contrast(line.paired, line.equivalence) | adjusted | _transfer(line.transfer)
                )
        for line in table.controls:
            names = {"outcome": outcome.name, "arm": line.arm.label, "versus": line.label}
            lines.append(names | _contrast(line.paired, line.equivalence) | {"p_holm": line.p_holm})
    return pd.DataFrame(lines)


def _contrast(paired: PairedDifference, equivalence: Equivalence | None) -> dict[str, float | str]:
    d, tested = paired.difference, equivalence or Equivalence()
    found = {"n": d.n, "n_sources": d.sources, "n_bases": d.bases}
    found |= {"difference": d.value, "low": d.low, "high": d.high, "sd": d.sd, "se": d.se, "df": d.df}
    found |= {"d_z": paired.d_z, "d_av": paired.d_av, "p": paired.p}
    found |= {"p_sign_flip": paired.p_sign_flip, "p_t": paired.p_t, "p_wilcoxon": paired.p_wilcoxon}
    return found | {"equivalence_bound": tested.bound, "p_tost": tested.p, "tost_reason": tested.reason}


def _transfer(share: Estimate | None) -> dict[str, float]:
    if share is None:
        return {}
    return {"transfer_percent": share.value, "transfer_low": share.low, "transfer_high": share.high}
