"""Whether a difference is shown to be negligible: two one-sided tests (Schuirmann 1987)."""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from rvsweep.data.clusters import Clusters
from rvsweep.data.results import Results
from rvsweep.data.settings import study_config
from rvsweep.stats.paired import Estimate, fieller, ratio
from rvsweep.stats.power import d_z_interval, noncentral_t_cdf
from rvsweep.stats.standard_errors import degrees_of_freedom, standard_errors

NAN = float("nan")
ALPHA = 0.05


@dataclass(frozen=True)
class Margin:
    """What counts as negligible: `size` SDs of the differences (d_z) or that share of the gap source - base."""

    unit: str = "d_z"  # d_z or gap
    size: float = 0.2

    @property
    def fewest_pairs(self) -> int | None:
        """That can give p < ALPHA, if they share no prompts; None where the number depends on the data."""
        if self.unit != "d_z":
            return None
        return int(np.floor((scipy.stats.norm.isf(ALPHA) / self.size) ** 2)) + 1

    def __str__(self) -> str:
        if self.unit == "d_z":
            return f"{self.size:g} SD of the paired differences (d_z = {self.size:g})"
        return f"{100 * self.size:g} % of the gap source − base"


@dataclass(frozen=True)
class Equivalence:
    """p: the larger one-sided p of |mean| >= bound. low, high: the 90 % interval of the mean that goes with it.

    All in the differences' unit: p < 0.05 where -bound < low and high < bound. NaN with its reason where
    there is no test.
    """

    bound: float = NAN
    p: float = NAN
    low: float = NAN
    high: float = NAN
    reason: str = ""


def parse_margin(text: str) -> Margin:
    """`d_z:0.2` or `gap:0.1`; ValueError for anything else."""
    unit, _, size = text.partition(":")
    if unit not in ("d_z", "gap") or not float(size) > 0 or not np.isfinite(float(size)):
        raise ValueError(text)
    return Margin(unit, float(size))


def registered_margin(results: Results) -> Margin:
    """What the configuration's [study] says, else the default."""
    text = study_config(results).last("study.margin")
    return parse_margin(text) if text else Margin()


def tost(
    difference: Estimate, values: np.ndarray, gap: np.ndarray, margin: Margin, clusters: Clusters
) -> Equivalence:
    """`difference` is the mean of `values` [N]; `gap` [N] is source - base, NaN where there is none.

    Of d_z by the noncentral t, since the SD is estimated as well; of a share of the gap by Fieller's
    argument, over the pairs that have both.
    """
    if not difference.df > 0:
        return Equivalence(reason="fewer than two pairs or prompts")
    if np.isnan(ratio(difference.value, difference.se)):
        return Equivalence(reason="the differences do not vary")
    return _of_sd(difference, margin) if margin.unit == "d_z" else _of_gap(values, gap, margin, clusters)


def _of_sd(difference: Estimate, margin: Margin) -> Equivalence:
    sd, n, df = difference.sd, difference.effective_n, difference.df
    d_z = difference.value / sd
    p = noncentral_t_cdf(df, margin.size * np.sqrt(n), abs(d_z) * np.sqrt(n))
    low, high = d_z_interval(d_z, n, df, 1 - 2 * ALPHA)
    return Equivalence(margin.size * sd, p, low * sd, high * sd)


def _of_gap(values: np.ndarray, gap: np.ndarray, margin: Margin, clusters: Clusters) -> Equivalence:
    both = np.isfinite(values) & np.isfinite(gap)
    values, gap, clusters = values[both, None], gap[both], clusters.of(both)
    if len(gap) < 2:
        return Equivalence(reason="no gap")
    low, high = (float(end[0]) for end in fieller(values, gap, clusters, 1 - 2 * ALPHA))
    if np.isinf(low) or np.isinf(high):
        return Equivalence(reason="the gap is not established")
    size = gap.mean()
    beyond = [values + sign * margin.size * np.sign(size) * gap[:, None] for sign in (1, -1)]
    errors = [float(standard_errors(one, clusters)[0][0]) for one in beyond]
    t = [sign * ratio(float(one.mean()), se) for sign, one, se in zip((1, -1), beyond, errors, strict=True)]
    p = float(scipy.stats.t.sf(min(t), degrees_of_freedom(clusters)))
    return Equivalence(margin.size * abs(size), p, *sorted((low * size, high * size)))
