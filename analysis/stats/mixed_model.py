"""A linear mixed model over rows, for those who want samples kept apart; needs statsmodels."""

import warnings

import numpy as np
import pandas as pd

from analysis.data.outcomes import Outcome
from analysis.data.results import Results, ResultsError
from analysis.stats.pair_means import natural_log


def mixed_effects(results: Results, outcome: Outcome) -> pd.DataFrame:
    """outcome ~ arm + (1 | pair) by REML, against the base arm: arm, estimate, se, low, high, p (Wald).

    Arms of direction source_to_base and source itself, controls included; R_V enters as its logarithm.
    Raises ResultsError without statsmodels, a base arm, or enough rows.
    """
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
        from statsmodels.tools.sm_exceptions import ConvergenceWarning
    except ImportError:
        raise ResultsError("mixed models need statsmodels: pip install statsmodels") from None
    base = results.arm_of_kind("base")
    if base is None or outcome.name not in results.rows:
        raise ResultsError(f"{results.path}: a mixed model of {outcome.name} needs its column and a base arm")
    column = results.rows[outcome.name]
    values = natural_log(column) if outcome.ratio else column
    arms = [arm for arm in results.arms if arm is not base and not arm.donor_is_base]
    chosen = np.isfinite(values) & np.isin(results.rows["arm"], [base.index, *(arm.index for arm in arms)])
    present = set(results.rows["arm"][chosen].tolist())
    arms = [arm for arm in arms if arm.index in present]
    design = np.column_stack(
        [np.ones(chosen.sum()), *(results.rows["arm"][chosen] == arm.index for arm in arms)]
    ).astype(float)
    if base.index not in present or not arms or len(design) <= design.shape[1]:
        raise ResultsError(f"{results.path}: too few rows with {outcome.name} for a mixed model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = MixedLM(values[chosen], design, groups=results.rows["pair"][chosen]).fit(reml=True)
    count = design.shape[1]
    interval = np.asarray(fitted.conf_int())[1:count]
    return pd.DataFrame(
        {
            "arm": [arm.label for arm in arms],
            "estimate": np.asarray(fitted.fe_params)[1:count],
            "se": np.asarray(fitted.bse)[1:count],
            "low": interval[:, 0],
            "high": interval[:, 1],
            "p": np.asarray(fitted.pvalues)[1:count],
        }
    )
