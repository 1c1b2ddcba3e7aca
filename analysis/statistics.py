"""Statistics over prompt pairs. The pair is the unit: callers average samples within a pair first.

Every function takes plain arrays with one value per pair, leaves out pairs without a finite value and
says how many were left (`n`). SD is the sample SD (ddof=1). Intervals are percentile bootstrap
intervals over pairs (Efron 1979). No function returns a verdict.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

EXACT_SIGN_FLIP_PAIRS = 12  # up to here all 2^n sign patterns are enumerated
BLOCK_CELLS = 1 << 17  # resamples x pairs worked on at once: stays in the cache

NAN = float("nan")


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made. Each call starts from `seed`, so results do not depend on call order."""

    resamples: int = 10_000
    seed: int = 1
    confidence: float = 0.95

    def weight_blocks(self, n: int) -> Iterator[np.ndarray]:
        """Blocks [<= resamples, n] of how often each pair is drawn; every row sums to n."""
        random = np.random.default_rng(self.seed)
        block = max(1, BLOCK_CELLS // n)
        for start in range(0, self.resamples, block):
            rows = min(block, self.resamples - start)
            drawn = random.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
            yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)

    def interval(self, replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Percentile interval along axis 0."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(replicates, [tail, 1 - tail], axis=0)
        return low, high


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


@dataclass(frozen=True)
class PairedDifference:
    """first - second over the `n` pairs where both are finite.

    d_z: mean difference / SD of the differences. d_av: mean difference / mean of the two SDs.
    p_sign_flip: two-sided sign-flip permutation p of the mean difference.
    """

    difference: Estimate
    d_z: float
    d_av: float
    p_sign_flip: float

    @property
    def n(self) -> int:
        return self.difference.n


def sample_sd(values: np.ndarray) -> float:
    """Sample SD (ddof=1) of finite values; NaN for fewer than two."""
    values = values[np.isfinite(values)]
    return float(np.std(values, ddof=1)) if len(values) > 1 else NAN


def mean_with_interval(values: np.ndarray, bootstrap: Bootstrap) -> Estimate:
    """Mean over pairs [n] with its interval."""
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return Estimate(NAN, NAN, NAN, NAN, 0)
    low = high = NAN
    if n > 1:
        means = [weights @ values / n for weights in bootstrap.weight_blocks(n)]
        low, high = bootstrap.interval(np.concatenate(means))
    return Estimate(float(values.mean()), float(low), float(high), sample_sd(values), n)


def mean_band(values: np.ndarray, bootstrap: Bootstrap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and pointwise interval per column (layer) of [n, L], each over its own finite pairs."""
    columns = values.shape[1]
    mean, low, high = (np.full(columns, NAN) for _ in range(3))
    if len(values) == 0:
        return mean, low, high
    masks, group_of = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for group, mask in enumerate(masks.T):
        chosen = np.flatnonzero(group_of.ravel() == group)
        kept = values[np.ix_(mask, chosen)]
        n = len(kept)
        if n > 0:
            mean[chosen] = kept.mean(axis=0)
        if n > 1:
            means = [weights @ kept / n for weights in bootstrap.weight_blocks(n)]
            low[chosen], high[chosen] = bootstrap.interval(np.concatenate(means))
    return mean, low, high


def paired_difference(first: np.ndarray, second: np.ndarray, bootstrap: Bootstrap) -> PairedDifference:
    """first - second, pair by pair ([n] each)."""
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    differences = first - second
    difference = mean_with_interval(differences, bootstrap)
    mean_sd = (sample_sd(first) + sample_sd(second)) / 2
    return PairedDifference(
        difference=difference,
        d_z=_ratio(difference.value, difference.sd),
        d_av=_ratio(difference.value, mean_sd),
        p_sign_flip=sign_flip_p(differences, bootstrap),
    )


def sign_flip_p(differences: np.ndarray, bootstrap: Bootstrap) -> float:
    """Two-sided sign-flip permutation p of mean(differences) under symmetry about 0.

    Exact (all 2^n patterns) up to EXACT_SIGN_FLIP_PAIRS, else Monte Carlo with
    (1 + hits) / (1 + draws) (Phipson & Smyth 2010). The smallest exact p is 2 / 2^n; NaN where n < 2.
    """
    differences = differences[np.isfinite(differences)]
    n = len(differences)
    if n < 2:
        return NAN
    # Sums that differ only by rounding count as ties.
    threshold = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if n <= EXACT_SIGN_FLIP_PAIRS:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ differences) >= threshold))
    random = np.random.default_rng(bootstrap.seed)
    hits, block = 0, max(1, BLOCK_CELLS // n)
    for start in range(0, bootstrap.resamples, block):
        rows = min(block, bootstrap.resamples - start)
        signs = 1 - 2 * random.integers(2, size=(rows, n))
        hits += int(np.count_nonzero(np.abs(signs @ differences) >= threshold))
    return (1 + hits) / (1 + bootstrap.resamples)


def transfer_percent(
    patched: np.ndarray, recipient: np.ndarray, donor: np.ndarray, bootstrap: Bootstrap
) -> Estimate | None:
    """100 * mean(patched - recipient) / mean(donor - recipient) over pairs that have all three.

    None where the interval of the gap donor - recipient includes 0: a share of nothing is undefined.
    """
    complete = np.isfinite(patched) & np.isfinite(recipient) & np.isfinite(donor)
    moved, gap = (patched - recipient)[complete], (donor - recipient)[complete]
    n = len(gap)
    if n < 2 or not mean_with_interval(gap, bootstrap).excludes_zero():
        return None
    shares = []
    for weights in bootstrap.weight_blocks(n):
        with np.errstate(divide="ignore", invalid="ignore"):
            shares.append(100 * (weights @ moved) / (weights @ gap))
    replicates = np.concatenate(shares)
    low, high = bootstrap.interval(replicates[np.isfinite(replicates)])
    return Estimate(float(100 * moved.mean() / gap.mean()), float(low), float(high), NAN, n)


def _ratio(mean: float, sd: float) -> float:
    """mean / sd; NaN where sd is 0, or only rounding."""
    return mean / sd if sd > 1e-12 * abs(mean) else NAN
