"""Effects by the group of the source prompt, and their trend over dose levels (groups recursive_l1, _l2, ...)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.stats

from rvsweep.data.clusters import Clusters
from rvsweep.data.results import Results
from rvsweep.stats.outcome_table import ArmLine, OutcomeTable
from rvsweep.stats.paired import NAN, Estimate, columns_by_rows, mean_with_interval
from rvsweep.stats.resampling import BLOCK_CELLS, Bootstrap

_LEVEL = re.compile(r".*_l(\d+)")


@dataclass(frozen=True)
class Trend:
    """Least-squares slope of the effect per level over source prompts, with its t interval and permutation p."""

    slope: float
    low: float
    high: float
    p: float
    n: int  # source prompts


@dataclass(frozen=True)
class GroupLine:
    """One arm; its mean difference to the recipient by group."""

    line: ArmLine
    effects: list[Estimate]
    trend: Trend | None


@dataclass(frozen=True)
class GroupEffects:
    """`levels`: the dose level of each group, None where its name states none."""

    groups: list[str]
    levels: list[int | None]
    lines: list[GroupLine]

    @property
    def dosed(self) -> bool:
        return sum(level is not None for level in self.levels) >= 2


def group_effects(results: Results, table: OutcomeTable, bootstrap: Bootstrap) -> GroupEffects | None:
    """None where the source prompts have fewer than two groups or no arm can be compared."""
    of_pair = results.groups("source")
    groups = sorted(set(of_pair) - {""}, key=lambda name: (dose_level(name) is None, name))
    lines = [line for line in table.lines if line.paired is not None]
    if len(groups) < 2 or not lines:
        return None
    levels = [dose_level(name) for name in groups]
    level_of = dict(zip(groups, levels, strict=True))
    dose = np.array([NAN if level_of.get(g) is None else level_of[g] for g in of_pair], dtype=float)
    found = []
    clusters = results.clusters
    compared = table.differences[:, [line.arm.index for line in lines]]
    slopes = trends(dose, compared, clusters, bootstrap)
    for line, slope in zip(lines, slopes, strict=True):
        values = table.differences[:, line.arm.index]
        in_group = [of_pair == group for group in groups]
        effects = [mean_with_interval(values[rows], clusters.of(rows), bootstrap) for rows in in_group]
        found.append(GroupLine(line, effects, slope))
    return GroupEffects(groups, levels, found)


def dose_level(group: str) -> int | None:
    """3 of recursive_l3; None for a name without a level."""
    match = _LEVEL.fullmatch(group)
    return int(match.group(1)) if match else None


def trends(
    levels: np.ndarray, values: np.ndarray, clusters: Clusters, bootstrap: Bootstrap
) -> list[Trend | None]:
    """For each column of [N, K], over the pairs with a level and a value; None for fewer than 3 units or 2 levels.

    A level belongs to the source prompt, so the unit is a source prompt at its level, the mean of its pairs.
    low, high: heteroscedasticity-consistent (HC3) standard error, t with 2 fewer degrees of freedom than
    units. p: two-sided, levels permuted over units, (1 + hits) / (1 + draws).
    """
    found: list[Trend | None] = [None] * values.shape[1]
    for rows, columns in columns_by_rows(np.isfinite(values) & np.isfinite(levels)[:, None]):
        sources = np.column_stack([clusters.source[rows], levels[rows]])
        units, of_pair, pairs = np.unique(sources, axis=0, return_inverse=True, return_counts=True)
        x, n = units[:, 1], len(units)
        if n < 3 or len(set(x)) < 2:
            continue
        y = np.zeros((n, len(columns)))
        np.add.at(y, of_pair, values[np.ix_(rows, columns)])
        y /= pairs[:, None]
        centred = x - x.mean()
        slope = centred @ y / (centred @ centred)
        half = scipy.stats.t.ppf((1 + bootstrap.confidence) / 2, n - 2) * _slope_error(centred, y, slope)
        threshold = np.abs(centred @ y) * (1 - 1e-9)
        hits = sum(
            (np.abs(permuted @ y) >= threshold).sum(axis=0) for permuted in _permuted(centred, bootstrap)
        )
        p = (1 + hits) / (1 + bootstrap.draws(n))
        for at, column in enumerate(columns):
            ends = (slope[at], slope[at] - half[at], slope[at] + half[at], p[at])
            found[column] = Trend(*map(float, ends), n)
    return found


def _slope_error(centred: np.ndarray, y: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """HC3 standard error of the slope of each column; NaN where a unit alone decides it."""
    squares = centred @ centred
    residuals = y - y.mean(axis=0) - centred[:, None] * slope
    rest = 1 - 1 / len(centred) - centred**2 / squares
    rest = np.where(rest > 1e-9, rest, np.nan)[:, None]
    return np.sqrt(((centred[:, None] * residuals / rest) ** 2).sum(axis=0)) / squares


def _permuted(values: np.ndarray, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    """Blocks [b, n] of random orders of `values`."""
    random = np.random.default_rng(bootstrap.seed)
    left, step = bootstrap.draws(len(values)), max(1, BLOCK_CELLS // len(values))
    while left > 0:
        count = min(left, step)
        yield random.permuted(np.tile(values, (count, 1)), axis=1)
        left -= count
