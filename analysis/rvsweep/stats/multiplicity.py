"""Many tests at once: layers, layer ranges, arms."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rvsweep.data.clusters import Clusters
from rvsweep.stats.paired import columns_by_rows
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.standard_errors import standard_errors


@dataclass(frozen=True)
class MaxStatistic:
    """t of each column and its p adjusted for all columns; NaN for a column that cannot be tested.

    p: the larger of the next two; of pairs that share prompts by the multivariate t of their standard errors.
    p_sign_flip: by joint sign flips; exact if the differences are symmetric about 0, far too small if skewed.
    p_studentised: by the studentised bootstrap, whose null is that the means are 0; unfit for very few pairs.
    critical: |t| that any column exceeds with probability alpha under the joint null of `p`; NaN where the
    pairs are so few that no p can be as small as alpha.
    """

    t: np.ndarray  # [K]
    p: np.ndarray  # [K]
    p_sign_flip: np.ndarray  # [K]
    p_studentised: np.ndarray  # [K]
    critical: float
    tests: int


def holm(p: np.ndarray) -> np.ndarray:
    """Step-down adjusted p values (Holm 1979); NaN entries are no tests."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return adjusted


def max_statistic(
    differences: np.ndarray, clusters: Clusters, bootstrap: Bootstrap, alpha: float = 0.05
) -> MaxStatistic:
    """Single-step max-|t| test (Westfall & Young 1993) of differences [N, K], NaN where a pair has none.

    Whole pairs, or prompts, are drawn, so columns keep their dependence, whatever it is. Each column's t
    is over its own pairs.
    """
    t, df = _t(differences, clusters)
    tested = np.isfinite(t)
    p, p_sign_flip, p_studentised = (np.full_like(t, np.nan) for _ in range(3))
    if not tested.any():
        return MaxStatistic(t, p, p_sign_flip, p_studentised, float("nan"), 0)
    used = np.isfinite(differences[:, tested]).any(axis=1)
    values, of_used = differences[np.ix_(used, tested)], clusters.of(used)
    n, observed = len(values), np.abs(t[tested])
    if of_used.shared:
        drawn = _largest_by_prompts(values, of_used, df, bootstrap)
        p[tested] = (1 + _hits(drawn, observed)) / (1 + len(drawn))
        return MaxStatistic(t, p, p_sign_flip, p_studentised, _quantile(drawn, alpha), int(tested.sum()))
    flipped = np.concatenate([block.max(axis=1) for block in _flipped(values, bootstrap)])
    drawn = np.concatenate(
        [np.fmax.reduce(np.abs(block), axis=1, initial=0.0) for block in bootstrap.t_blocks(values)]
    )
    p_sign_flip[tested] = bootstrap.p(_hits(flipped, observed), n)
    p_studentised[tested] = (1 + _hits(drawn, observed)) / (1 + len(drawn))
    critical = max(_quantile(flipped, alpha), _quantile(drawn, alpha))
    critical = critical if bootstrap.smallest_p(n, 1) <= alpha else float("nan")
    p = np.maximum(p_sign_flip, p_studentised)
    return MaxStatistic(t, p, p_sign_flip, p_studentised, critical, int(tested.sum()))


def _quantile(largest: np.ndarray, alpha: float) -> float:
    return float(np.quantile(largest, 1 - alpha))


def _t(differences: np.ndarray, clusters: Clusters) -> tuple[np.ndarray, float]:
    """Of each column over its own pairs, NaN where they do not vary; the least of their degrees of freedom."""
    found, least = np.full(differences.shape[1], np.nan), np.inf
    for rows, columns in columns_by_rows(np.isfinite(differences)):
        if len(rows) < 2:
            continue
        kept = differences[np.ix_(rows, columns)]
        varied = kept.std(axis=0) > 1e-9 * np.sqrt((kept**2).mean(axis=0))
        errors, df = standard_errors(kept[:, varied], clusters.of(rows))
        if df > 0:
            found[columns[varied]] = kept[:, varied].mean(axis=0) / errors
            least = min(least, df)
    return found, least


def _hits(largest: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """How many draws reach each observed value; values that differ only by rounding count as ties."""
    return len(largest) - np.searchsorted(np.sort(largest), observed * (1 - 1e-9), side="left")


def _flipped(values: np.ndarray, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    """Blocks [b, K] of |t| under sign flips of whole pairs, which leave sums of squares as they are."""
    present = np.isfinite(values)
    counts, values = present.sum(axis=0), np.where(present, values, 0.0)
    squares = (values**2).sum(axis=0)
    for signs in bootstrap.sign_blocks(len(values)):
        sums = signs @ values
        rest = np.maximum(squares - sums**2 / counts, 1e-300)
        yield np.abs(sums) / np.sqrt(counts * rest / (counts - 1))


def _largest_by_prompts(
    values: np.ndarray, clusters: Clusters, df: float, bootstrap: Bootstrap
) -> np.ndarray:
    """[draws] largest |t| of a multivariate t whose correlations are those of the prompts' sums of residuals."""
    residuals = np.where(np.isfinite(values), values - np.nanmean(values, axis=0), 0.0)
    sums = []
    for side in (clusters.source, clusters.base):
        of_pair = np.unique(side, return_inverse=True)[1]
        of_prompt = np.zeros((of_pair.max() + 1, values.shape[1]))
        np.add.at(of_prompt, of_pair, residuals)
        sums.append(of_prompt)
    loadings = np.concatenate(sums)
    loadings /= np.sqrt((loadings**2).sum(axis=0))
    random = np.random.default_rng(bootstrap.seed)
    draws = bootstrap.draws(len(values))
    normal = np.abs(random.standard_normal((draws, len(loadings))) @ loadings).max(axis=1)
    return normal / np.sqrt(random.chisquare(df, draws) / df)
