"""The mean over copies of a control: `other_base*4` draws four donors, `random_layers*8` eight sets of layers."""

import numpy as np
import scipy.stats

from rvsweep.data.arms import Arm
from rvsweep.data.clusters import Clusters
from rvsweep.stats.paired import NAN, Estimate, mean_with_interval, sample_sd
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.standard_errors import standard_errors


def mean_of_copies(
    values: np.ndarray, control: Arm, clusters: Clusters, bootstrap: Bootstrap
) -> tuple[np.ndarray, Estimate]:
    """Each pair's mean over its finite copies, [N] of [N, K], and the mean of these over pairs.

    Of one copy with the interval of any other mean. Several are a sample too: the variance is that of the pairs'
    means and what the draw of copies adds. Sets of layers are drawn once for all pairs: variance between the
    copies' means / K. Donors are drawn for each pair, yet every prompt is the donor of K pairs, so K donors are no
    more prompts than one: (1 - 1/K) of the variance within pairs / N. What belongs to pair and copy alone counts
    in full, so intervals are wide rather than narrow. Degrees of freedom are Satterthwaite's.
    """
    present = np.isfinite(values)
    some = present.any(axis=1)
    means = np.full(len(values), NAN)
    means[some] = np.nanmean(values[some], axis=1)
    if values.shape[1] == 1 or not some.any():
        return means, mean_with_interval(means, clusters, bootstrap)
    of_copies = _of_layer_sets if control.control.startswith("random_layers") else _of_donors
    added, added_df = of_copies(values[some], means[some])
    (error,), df = standard_errors(means[some, None], clusters.of(some))
    total = error**2 + added
    if added_df > 0 and total > 0:
        df = total**2 / (error**4 / df + added**2 / added_df) if df > 0 else df
    return means, _estimate(means[some], total**0.5, df, clusters.of(some), bootstrap.confidence)


def _of_layer_sets(values: np.ndarray, means: np.ndarray) -> tuple[float, float]:
    """What copies add to the variance of the mean, and its degrees of freedom."""
    of_copies = [column[np.isfinite(column)].mean() for column in values.T if np.isfinite(column).any()]
    k = len(of_copies)
    return (float(np.var(of_copies, ddof=1)) / k, k - 1) if k > 1 else (0.0, 0)


def _of_donors(values: np.ndarray, means: np.ndarray) -> tuple[float, float]:
    """The same."""
    copies = np.isfinite(values).sum(axis=1)
    df = int((copies - 1).sum())
    within = np.nansum((values - means[:, None]) ** 2) / max(df, 1)
    return float(within * (1 - (1 / copies).mean()) / len(values)), df


def _estimate(means: np.ndarray, se: float, df: float, clusters: Clusters, confidence: float) -> Estimate:
    value, half = means.mean(), se * (scipy.stats.t.isf((1 - confidence) / 2, df) if df > 0 else NAN)
    counts = (len(means), clusters.sources, clusters.bases)
    return Estimate(
        float(value),
        float(value - half),
        float(value + half),
        sample_sd(means),
        *counts,
        float(se),
        float(df),
    )
