"""How many pairs the next study needs: power of the two-sided paired t test at effect size d_z."""

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from scipy.special import nctdtr, stdtrit

ALPHA = 0.05
MOST_PAIRS = 100_000
TABLE_PAIRS = (10, 20, 40, 80, 100, 160, 320, 640)
TABLE_EFFECTS = (0.1, 0.2, 0.3, 0.5, 0.8)


@dataclass(frozen=True)
class PowerLine:
    """Pairs without common prompts for 80 and 90 % power at the observed d_z and at the ends of its interval.

    None where no number up to MOST_PAIRS is enough, as at an end of 0.
    """

    d_z: float
    low: float
    high: float
    n: int
    pairs_80: int | None
    pairs_90: int | None
    pairs_80_at_least_effect: int | None  # at the end of the interval nearer to 0


def power(d_z: float, n: int, alpha: float = ALPHA) -> float:
    """Probability that n pairs give p < alpha, for normal differences of mean / SD = d_z."""
    critical = -stdtrit(n - 1, alpha / 2)
    shift = abs(d_z) * np.sqrt(n)
    below, above = (np.nan_to_num(nctdtr(n - 1, shift, t)) for t in (-critical, critical))
    return float(below + 1 - above)


def pairs_needed(d_z: float, wanted: float, alpha: float = ALPHA) -> int | None:
    """Least number of pairs with at least `wanted` power; None beyond MOST_PAIRS."""
    if not np.isfinite(d_z) or d_z == 0:
        return None
    low, high = 2, 2
    while power(d_z, high, alpha) < wanted:
        low, high = high, 2 * high
        if low > MOST_PAIRS:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(d_z, middle, alpha) >= wanted else (middle + 1, high)
    return low if low <= MOST_PAIRS else None


def noncentral_t_cdf(df: float, shift: float, t: float) -> float:
    """P(T <= t); SciPy has no value far from t, where the limit is 1 or 0."""
    return float(np.nan_to_num(nctdtr(df, shift, t), nan=float(shift < t)))


def d_z_interval(d_z: float, n: float, df: float, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of d_z by inverting the noncentral t distribution (Steiger & Fouladi 1997).

    `n` pairs; where they share prompts, as many as would give the standard error without that.
    """
    if not df > 0 or not np.isfinite(d_z) or not np.isfinite(n):
        return float("nan"), float("nan")
    t, tail = d_z * np.sqrt(n), (1 - confidence) / 2
    reach = 10 + 2 * abs(t)

    def end(probability: float) -> float:
        def miss(shift: float) -> float:
            return noncentral_t_cdf(df, shift, t) - probability

        return scipy.optimize.brentq(miss, t - reach, t + reach) / np.sqrt(n)

    return end(1 - tail), end(tail)


def power_line(d_z: float, n: int, effective_n: float, df: float) -> PowerLine:
    """`d_z` as observed over `n` pairs, and what d_z_interval needs."""
    low, high = d_z_interval(d_z, effective_n, df)
    weakest = 0.0 if not low * high > 0 else min(abs(low), abs(high))
    return PowerLine(
        d_z, low, high, n, pairs_needed(d_z, 0.8), pairs_needed(d_z, 0.9), pairs_needed(weakest, 0.8)
    )


def power_table() -> list[tuple[float, list[float]]]:
    """Rows (d_z, power at each of TABLE_PAIRS)."""
    return [(d_z, [power(d_z, n) for n in TABLE_PAIRS]) for d_z in TABLE_EFFECTS]
