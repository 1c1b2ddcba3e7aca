"""Statistics over prompt pairs. Callers average samples within a pair first.

Every function takes plain arrays, one row per pair, leaves out pairs without a finite value (column
by column) and says how many were left (`n`). SD is the sample SD (ddof=1). Pairs that share prompts
(`clusters`) are not independent: their standard errors are those of standard_errors.py. No function
returns a verdict.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.stats

from rvsweep.data.clusters import Clusters, counted
from rvsweep.stats.power import PowerLine, power_line
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.standard_errors import degrees_of_freedom, mean_covariances, standard_errors

NAN = float("nan")
EXACT_WILCOXON_PAIRS = 50
FEWEST_RESAMPLED = 8  # pairs; resamples of fewer are too often almost without variance
TAIL_PAIRS = 8  # the bootstrap's tail is n / (n + this) of the nominal: few pairs show few extremes


@dataclass(frozen=True)
class Estimate:
    """A value over `n` pairs with its interval; the interval is NaN where n < 2 or a side has one prompt.

    se, df: standard error and degrees of freedom of its t; NaN where the value is no mean.
    """

    value: float
    low: float
    high: float
    sd: float
    n: int
    sources: int  # distinct prompts
    bases: int
    se: float = NAN
    df: float = NAN

    @property
    def bounded(self) -> bool:
        """False for a set that reaches to infinity."""
        return not np.isinf(self.low) and not np.isinf(self.high)

    @property
    def counted(self) -> str:
        return counted(self.n, self.sources, self.bases)

    @property
    def effective_n(self) -> float:
        """Pairs without common prompts that would give the same standard error."""
        return (self.sd / self.se) ** 2 if self.se > 0 else NAN


NO_ESTIMATE = Estimate(NAN, NAN, NAN, NAN, 0, 0, 0)


@dataclass(frozen=True)
class PairedDifference:
    """first - second over the `n` pairs where both are finite; two-sided p values.

    d_z: mean difference / SD of the differences. d_av: mean difference / mean of the two SDs.
    p_sign_flip: sign-flip permutation of the mean difference. p_wilcoxon: Wilcoxon signed-rank test.
    Both are NaN for pairs that share prompts. p_t: t test of the mean with its standard error.
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

    @property
    def p(self) -> float:
        """The sign flip's, or the t test's for pairs that share prompts."""
        return self.p_t if np.isnan(self.p_sign_flip) else self.p_sign_flip

    def untested(self) -> "PairedDifference":
        """Without effect sizes and p values: for values that cannot lie below 0."""
        return replace(self, d_z=NAN, d_av=NAN, p_sign_flip=NAN, p_t=NAN, p_wilcoxon=NAN)


def observed_power(paired: PairedDifference) -> PowerLine:
    """What the next study needs to find this one's d_z."""
    difference = paired.difference
    return power_line(paired.d_z, paired.n, difference.effective_n, difference.df)


def sample_sd(values: np.ndarray) -> float:
    """Sample SD (ddof=1) of finite values; NaN for fewer than two."""
    values = values[np.isfinite(values)]
    return float(np.std(values, ddof=1)) if len(values) > 1 else NAN


def column_means(values: np.ndarray, clusters: Clusters, bootstrap: Bootstrap) -> list[Estimate]:
    """Mean over pairs of each column of [N, K], with its interval."""
    found = [NO_ESTIMATE] * values.shape[1]
    for rows, columns in columns_by_rows(np.isfinite(values)):
        kept, of_rows = values[np.ix_(rows, columns)], clusters.of(rows)
        n = len(kept)
        if n == 0:
            continue
        mean = kept.mean(axis=0)
        sd = kept.std(axis=0, ddof=1) if n > 1 else np.full(len(columns), NAN)
        se, df = standard_errors(kept, of_rows)
        low, high = _ends(kept, of_rows, df, bootstrap)
        for at, column in enumerate(columns):
            parts = (mean[at], mean[at] - high[at] * se[at], mean[at] - low[at] * se[at], sd[at])
            counts = (n, of_rows.sources, of_rows.bases)
            found[column] = Estimate(*map(float, parts), *counts, float(se[at]), df)
    return found


def _ends(
    values: np.ndarray, clusters: Clusters, df: float, bootstrap: Bootstrap
) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the t of each column mean of finite [n, K], for both ends of its interval.

    Student's, and of at least FEWEST_RESAMPLED pairs that share no prompts those of the studentised bootstrap
    (Efron 1981) where they lie farther out: they follow skewness, which Student's do not.
    """
    tail = (1 - bootstrap.confidence) / 2
    student = np.full(values.shape[1], scipy.stats.t.ppf(1 - tail, df) if df > 0 else NAN)
    if clusters.shared or len(values) < FEWEST_RESAMPLED:
        return -student, student
    drawn = np.concatenate(list(bootstrap.t_blocks(values)))
    tail *= len(values) / (len(values) + TAIL_PAIRS)
    quantile = np.nanquantile if np.isnan(drawn).any() else np.quantile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without variance has no t
        low, high = quantile(drawn, [tail, 1 - tail], axis=0)
    return np.fmin(low, -student), np.fmax(high, student)


def mean_with_interval(values: np.ndarray, clusters: Clusters, bootstrap: Bootstrap) -> Estimate:
    """Mean over pairs [N] with its interval."""
    return column_means(values[:, None], clusters, bootstrap)[0]


def mean_band(
    values: np.ndarray, clusters: Clusters, bootstrap: Bootstrap
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and pointwise interval per column (layer) of [N, L], each over its own finite pairs."""
    found = column_means(values, clusters, bootstrap)
    return tuple(np.array([getattr(e, part) for e in found]) for part in ("value", "low", "high"))


def paired_differences(
    first: np.ndarray, second: np.ndarray, clusters: Clusters, bootstrap: Bootstrap
) -> list[PairedDifference]:
    """first - second, pair by pair, for each column of [N, K]: one family of tests."""
    both = np.isfinite(first) & np.isfinite(second)
    differences = np.where(both, first - second, NAN)
    p_sign_flip = sign_flip_ps(differences, clusters, bootstrap)
    p_wilcoxon = wilcoxon_ps(differences, clusters)
    found = []
    for column, estimate in enumerate(column_means(differences, clusters, bootstrap)):
        rows = both[:, column]
        mean_sd = (sample_sd(first[rows, column]) + sample_sd(second[rows, column])) / 2
        found.append(
            PairedDifference(
                difference=estimate,
                d_z=ratio(estimate.value, estimate.sd),
                d_av=ratio(estimate.value, mean_sd),
                p_sign_flip=float(p_sign_flip[column]),
                p_t=t_test_p(estimate),
                p_wilcoxon=float(p_wilcoxon[column]),
            )
        )
    return found


def paired_difference(
    first: np.ndarray, second: np.ndarray, clusters: Clusters, bootstrap: Bootstrap
) -> PairedDifference:
    """first - second, pair by pair ([N] each)."""
    return paired_differences(first[:, None], second[:, None], clusters, bootstrap)[0]


def sign_flip_ps(differences: np.ndarray, clusters: Clusters, bootstrap: Bootstrap) -> np.ndarray:
    """Two-sided sign-flip permutation p of each column's mean under symmetry about 0, [K].

    The smallest exact p is 2 / 2^n; NaN where n < 2 or pairs share prompts.
    """
    found = np.full(differences.shape[1], NAN)
    tests = differences.shape[1]
    for rows, columns in columns_by_rows(np.isfinite(differences)):
        kept = differences[np.ix_(rows, columns)]
        n = len(kept)
        if n < 2 or clusters.of(rows).shared:
            continue
        # Sums that differ only by rounding count as ties.
        threshold = np.abs(kept.sum(axis=0)) - 1e-12 * np.abs(kept).sum(axis=0)
        blocks = bootstrap.sign_blocks(n, tests)
        hits = sum((np.abs(signs @ kept) >= threshold).sum(axis=0) for signs in blocks)
        found[columns] = bootstrap.p(hits, n, tests)
    return found


def t_test_p(mean: Estimate) -> float:
    """Two-sided p of a mean against 0; NaN where n < 2 or the values do not vary."""
    t = ratio(mean.value, mean.se)
    return float(2 * scipy.stats.t.sf(abs(t), mean.df)) if np.isfinite(t) else NAN


def wilcoxon_ps(differences: np.ndarray, clusters: Clusters) -> np.ndarray:
    """Two-sided p of the Wilcoxon signed-rank test of each column [K], pairs without a difference left out.

    Exact for up to EXACT_WILCOXON_PAIRS differences without ties, and as far as SciPy's `auto` goes with
    ties; 1 where no pair differs; NaN where n < 2 or pairs share prompts.
    """
    found = np.full(differences.shape[1], NAN)
    for rows, columns in columns_by_rows(np.isfinite(differences)):
        kept = differences[np.ix_(rows, columns)]
        if len(kept) < 2 or clusters.of(rows).shared:
            continue
        sizes = np.sort(np.abs(kept), axis=0)
        tied = ((np.diff(sizes, axis=0) == 0) & (sizes[1:] > 0)).any(axis=0)
        differ = (kept != 0).sum(axis=0)
        found[columns[differ == 0]] = 1.0
        exact = ~tied & (differ > 0) & (differ <= EXACT_WILCOXON_PAIRS)
        for chosen, method in ((exact, "exact"), (~exact & (differ > 0), "auto")):
            if chosen.any():
                found[columns[chosen]] = scipy.stats.wilcoxon(kept[:, chosen], method=method, axis=0).pvalue
    return found


def transfer_percents(
    patched: np.ndarray, recipient: np.ndarray, donor: np.ndarray, clusters: Clusters, confidence: float
) -> list[Estimate | None]:
    """100 * mean(patched - recipient) / mean(donor - recipient) for each column of `patched` [N, K].

    recipient, donor [N]; over the pairs that have all three, with Fieller's set; None for fewer than two.
    """
    complete = np.isfinite(patched) & np.isfinite(recipient + donor)[:, None]
    found: list[Estimate | None] = [None] * patched.shape[1]
    for rows, columns in columns_by_rows(complete):
        if len(rows) < 2:
            continue
        of_rows = clusters.of(rows)
        gap = (donor - recipient)[rows]
        moved = patched[np.ix_(rows, columns)] - recipient[rows][:, None]
        low, high = fieller(moved, gap, of_rows, confidence)
        for at, column in enumerate(columns):
            share = 100 * ratio(moved[:, at].mean(), gap.mean())
            ends = (float(100 * low[at]), float(100 * high[at]))
            found[column] = Estimate(share, *ends, NAN, len(rows), of_rows.sources, of_rows.bases)
    return found


def fieller(
    moved: np.ndarray, gap: np.ndarray, clusters: Clusters, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Fieller's set for mean(moved) / mean(gap), finite [n, K] and [n]: shares s that moved - s * gap allows.

    -inf and inf where the mean of `gap` does not differ from 0: then every share, or all but an interval, is
    allowed. Of several variance models, from the lowest to the highest share that any allows.
    """
    gap = gap[:, None]
    df = degrees_of_freedom(clusters)
    square = scipy.stats.t.ppf((1 + confidence) / 2, df) ** 2 if df > 0 else np.inf
    pairs = ((gap, gap), (gap, moved), (moved, moved))
    # a s^2 - 2 b s + c <= 0
    a, b, c = (x.mean(axis=0) * y.mean(axis=0) - square * mean_covariances(x, y, clusters) for x, y in pairs)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.sqrt(np.maximum(b**2 - a * c, 0))
        low, high = ((b - half) / a).min(axis=0), ((b + half) / a).max(axis=0)
    established = (a > 0).all(axis=0)
    return np.where(established, low, -np.inf), np.where(established, high, np.inf)


def columns_by_rows(present: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(row indices, column indices) of the columns of [N, K] that have the same rows."""
    groups: dict[bytes, list[int]] = {}
    for column in range(present.shape[1]):
        groups.setdefault(present[:, column].tobytes(), []).append(column)
    for columns in groups.values():
        yield np.flatnonzero(present[:, columns[0]]), np.array(columns)


def ratio(mean: float, sd: float) -> float:
    """mean / sd; NaN where sd is 0, or only rounding."""
    return mean / sd if abs(sd) > 1e-12 * abs(mean) else NAN
