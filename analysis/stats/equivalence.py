"""Whether a difference is shown to be negligible: two one-sided tests (Schuirmann 1987)."""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from analysis.stats.paired import PairedDifference

NAN = float("nan")


@dataclass(frozen=True)
class Margin:
    """What counts as negligible: `size` SDs of the differences (d_z) or that share of the gap source - base."""

    unit: str = "d_z"  # d_z or gap
    size: float = 0.2

    def bound(self, sd: float, gap: PairedDifference | None) -> float:
        """On the scale of the difference; NaN where the gap is not established."""
        if self.unit == "d_z":
            return self.size * sd
        if gap is None or not gap.difference.excludes_zero():
            return NAN
        return self.size * abs(gap.difference.value)

    def __str__(self) -> str:
        if self.unit == "d_z":
            return f"{self.size:g} SD of the paired differences (d_z = {self.size:g})"
        return f"{100 * self.size:g} % of the gap source − base"


@dataclass(frozen=True)
class Equivalence:
    """p: the larger one-sided p of |mean| >= bound. low, high: the 90 % t interval that goes with it."""

    bound: float
    p: float
    low: float
    high: float


def parse_margin(text: str) -> Margin:
    """`d_z:0.2` or `gap:0.1`; ValueError for anything else."""
    unit, _, size = text.partition(":")
    if unit not in ("d_z", "gap") or not float(size) > 0 or not np.isfinite(float(size)):
        raise ValueError(text)
    return Margin(unit, float(size))


def tost(mean: float, sd: float, n: int, bound: float) -> Equivalence:
    """Paired TOST from the mean and SD of n differences; NaN where n < 2 or there is no bound.

    Differences that do not vary (sd 0) are equivalent if they lie within the bound, p = 0, else p = 1.
    """
    if n < 2 or not np.isfinite(bound):
        return Equivalence(bound, NAN, NAN, NAN)
    if sd <= 1e-12 * abs(mean) or sd == 0:
        return Equivalence(bound, 0.0 if abs(mean) < bound or mean == 0 else 1.0, mean, mean)
    error = sd / np.sqrt(n)
    p = scipy.stats.t.sf((bound - abs(mean)) / error, n - 1)
    half = scipy.stats.t.ppf(0.95, n - 1) * error
    return Equivalence(bound, float(p), mean - half, mean + half)
