"""Statistics over prompt pairs. The pair is the unit: callers average samples within a pair first.

Every function takes plain arrays, one row per pair, leaves out pairs without a finite value (column
by column) and says how many were left (`n`). SD is the sample SD (ddof=1). Intervals are percentile
bootstrap intervals over pairs. No function returns a verdict.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.stats

from analysis.stats.resampling import Bootstrap

NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A value over `n` pairs with its bootstrap interval; the interval is NaN where n < 2."""

    value: float
    low: float
    high: float
    sd: float
    n: int

    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


NO_ESTIMATE = Estimate(NAN, NAN, NAN, NAN, 0)


@dataclass(frozen=True)
class PairedDifference:
    """first - second over the `n` pairs where both are finite; two-sided p values.

    d_z: mean difference / SD of the differences. d_av: mean difference / mean of the two SDs.
    p_sign_flip: sign-flip permutation of the mean difference. p_t: paired t test.
    p_wilcoxon: Wilcoxon signed-rank test.
    """

    difference: Estimate
    d_z: float
    d_av: float
    p_sign_flip: float
    p_t: float
    p_wilcoxon: float

    @property
    def n(self) -> int:
        return self.difference.n


def sample_sd(values: np.ndarray) -> float:
    """Sample SD (ddof=1) of finite values; NaN for fewer than two."""
    values = values[np.isfinite(values)]
    return float(np.std(values, ddof=1)) if len(values) > 1 else NAN


def column_means(values: np.ndarray, bootstrap: Bootstrap) -> list[Estimate]:
    """Mean over pairs of each column of [N, K], with its interval."""
    found = [NO_ESTIMATE] * values.shape[1]
    for rows, columns in columns_by_rows(np.isfinite(values)):
        kept = values[np.ix_(rows, columns)]
        n = len(kept)
        if n == 0:
            continue
        low = high = sd = np.full(len(columns), NAN)
        if n > 1:
            low, high = bootstrap.interval(bootstrap.means(kept))
            sd = kept.std(axis=0, ddof=1)
        for column, *parts in zip(columns, kept.mean(axis=0), low, high, sd, strict=True):
            found[column] = Estimate(*map(float, parts), n)
    return found


def mean_with_interval(values: np.ndarray, bootstrap: Bootstrap) -> Estimate:
    """Mean over pairs [N] with its interval."""
    return column_means(values[:, None], bootstrap)[0]


def mean_band(values: np.ndarray, bootstrap: Bootstrap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and pointwise interval per column (layer) of [N, L], each over its own finite pairs."""
    found = column_means(values, bootstrap)
    return tuple(np.array([getattr(e, part) for e in found]) for part in ("value", "low", "high"))


def paired_differences(first: np.ndarray, second: np.ndarray, bootstrap: Bootstrap) -> list[PairedDifference]:
    """first - second, pair by pair, for each column of [N, K]; `second` may be one column for all."""
    first, second = np.broadcast_arrays(first, second)
    both = np.isfinite(first) & np.isfinite(second)
    differences = np.where(both, first - second, NAN)
    p_sign_flip = sign_flip_ps(differences, bootstrap)
    found = []
    for column, estimate in enumerate(column_means(differences, bootstrap)):
        rows = both[:, column]
        mean_sd = (sample_sd(first[rows, column]) + sample_sd(second[rows, column])) / 2
        found.append(
            PairedDifference(
                difference=estimate,
                d_z=ratio(estimate.value, estimate.sd),
                d_av=ratio(estimate.value, mean_sd),
                p_sign_flip=float(p_sign_flip[column]),
                p_t=t_test_p(differences[rows, column]),
                p_wilcoxon=wilcoxon_p(differences[rows, column]),
            )
        )
    return found


def paired_difference(first: np.ndarray, second: np.ndarray, bootstrap: Bootstrap) -> PairedDifference:
    """first - second, pair by pair ([N] each)."""
    return paired_differences(first[:, None], second[:, None], bootstrap)[0]


def sign_flip_ps(differences: np.ndarray, bootstrap: Bootstrap) -> np.ndarray:
    """Two-sided sign-flip permutation p of each column's mean under symmetry about 0, [K].

    The smallest exact p is 2 / 2^n; NaN where n < 2.
    """
    found = np.full(differences.shape[1], NAN)
    for rows, columns in columns_by_rows(np.isfinite(differences)):
        kept = differences[np.ix_(rows, columns)]
        n = len(kept)
        if n < 2:
            continue
        # Sums that differ only by rounding count as ties.
        threshold = np.abs(kept.sum(axis=0)) - 1e-12 * np.abs(kept).sum(axis=0)
        hits = sum((np.abs(signs @ kept) >= threshold).sum(axis=0) for signs in bootstrap.sign_blocks(n))
        found[columns] = bootstrap.p(hits, n)
    return found


def t_test_p(differences: np.ndarray) -> float:
    """Two-sided p of the paired t test; NaN where n < 2 or the differences do not vary."""
    n = len(differences)
    t = ratio(float(differences.mean()), sample_sd(differences)) * np.sqrt(n) if n > 1 else NAN
    return float(2 * scipy.stats.t.sf(abs(t), n - 1)) if np.isfinite(t) else NAN


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test, pairs without a difference left out.

    Exact for few pairs without ties; 1 where no pair differs; NaN where n < 2.
    """
    if len(differences) < 2:
        return NAN
    if not differences.any():
        return 1.0
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore")  # few pairs, ties: the p is what SciPy can give
        return float(scipy.stats.wilcoxon(differences).pvalue)


def transfer_percents(
    patched: np.ndarray, recipient: np.ndarray, donor: np.ndarray, bootstrap: Bootstrap
) -> list[Estimate | None]:
    """100 * mean(patched - recipient) / mean(donor - recipient) for each column of `patched` [N, K].

    recipient, donor [N]; over the pairs that have all three. None where the interval of the gap
    donor - recipient includes 0: a share of nothing is undefined.
    """
    complete = np.isfinite(patched) & np.isfinite(recipient + donor)[:, None]
    found: list[Estimate | None] = [None] * patched.shape[1]
    for rows, columns in columns_by_rows(complete):
        gap = (donor - recipient)[rows]
        n = len(gap)
        if n < 2 or not mean_with_interval(gap, bootstrap).excludes_zero():
            continue
        moved = patched[np.ix_(rows, columns)] - recipient[rows][:, None]
        means = bootstrap.means(np.column_stack([gap, moved]))
        means = means[means[:, 0] != 0]
        low, high = bootstrap.interval(100 * means[:, 1:] / means[:, :1])
        for at, column in enumerate(columns):
            share = 100 * moved[:, at].mean() / gap.mean()
            found[column] = Estimate(float(share), float(low[at]), float(high[at]), NAN, n)
    return found


def columns_by_rows(present: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(row indices, column indices) of the columns of [N, K] that have the same rows."""
    groups: dict[bytes, list[int]] = {}
    for column in range(present.shape[1]):
        groups.setdefault(present[:, column].tobytes(), []).append(column)
    for columns in groups.values():
        yield np.flatnonzero(present[:, columns[0]]), np.array(columns)


def ratio(mean: float, sd: float) -> float:
    """mean / sd; NaN where sd is 0, or only rounding."""
    return mean / sd if sd > 1e-12 * abs(mean) else NAN
