"""Many tests at once: layers, layer ranges, arms."""

from dataclasses import dataclass

import numpy as np

from analysis.stats.resampling import Bootstrap


@dataclass(frozen=True)
class MaxStatistic:
    """Paired t of each column and its p adjusted for all columns; NaN for a column that cannot be tested.

    critical: |t| that any column exceeds with probability alpha under the joint null; NaN where the pairs
    are so few that no p can be as small as alpha.
    """

    t: np.ndarray  # [K]
    p: np.ndarray  # [K]
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


def max_statistic(differences: np.ndarray, bootstrap: Bootstrap, alpha: float = 0.05) -> MaxStatistic:
    """Single-step max-|t| test (Westfall & Young 1993) of differences [N, K], NaN where a pair has none.

    The signs of whole pairs are flipped, so columns keep their dependence, whatever it is. Each column's
    t is over its own pairs. Exact under joint symmetry about 0.
    """
    present = np.isfinite(differences)
    counts = present.sum(axis=0)
    values = np.where(present, differences, 0.0)
    squares = (values**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = values.sum(axis=0) / counts
        spread = np.sqrt((squares - counts * means**2) / (counts - 1))
        tested = (counts > 1) & (spread > 1e-9 * np.sqrt(squares / counts))
    t = np.full(differences.shape[1], np.nan)
    p = np.full(differences.shape[1], np.nan)
    if not tested.any():
        return MaxStatistic(t, p, float("nan"), 0)
    values, counts, squares = values[:, tested], counts[tested], squares[tested]
    observed = _t(values.sum(axis=0), counts, squares)
    used = present[:, tested].any(axis=1)
    n = int(used.sum())
    largest = np.concatenate(
        [np.abs(_t(signs @ values[used], counts, squares)).max(axis=1) for signs in bootstrap.sign_blocks(n)]
    )
    thresholds = np.abs(observed) * (1 - 1e-9)  # values that differ only by rounding count as ties
    hits = len(largest) - np.searchsorted(np.sort(largest), thresholds, side="left")
    t[tested], p[tested] = observed, bootstrap.p(hits, n)
    critical = np.quantile(largest, 1 - alpha) if 2 / 2**n <= alpha else np.nan
    return MaxStatistic(t, p, float(critical), int(tested.sum()))


def _t(sums: np.ndarray, counts: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """t of columns from their sums; flipping signs leaves sums of squares as they are."""
    rest = np.maximum(squares - sums**2 / counts, 1e-300)
    return sums / np.sqrt(counts * rest / (counts - 1))
