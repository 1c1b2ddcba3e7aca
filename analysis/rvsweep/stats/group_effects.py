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
    units. p: two-sided, of the slope over that error, levels permuted over units, (1 + hits) / (1 + draws); that
    of the slope alone finds levels that differ in spread (DiCiccio & Romano 2017).
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
        y = y / pairs[:, None]
        y -= y.mean(axis=0)
        centred = x - x.mean()
        slopes, errors = (part[0] for part in _slopes(centred[None], y))
        half = scipy.stats.t.ppf((1 + bootstrap.confidence) / 2, n - 2) * errors
        p = _permutation_ps(centred, y, bootstrap)
        for at, column in enumerate(columns):
            ends = (slopes[at], slopes[at] - half[at], slopes[at] + half[at], p[at])
            found[column] = Trend(*map(float, ends), n)
    return found


def _slopes(centred: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of y [n, K] over each order of the levels [b, n] and their HC3 standard errors, [b, K]; both centred.

    An error is NaN where a unit alone decides the slope.
    """
    squares = (centred[0] ** 2).sum()
    slopes = centred @ y / squares
    rest = 1 - 1 / centred.shape[1] - centred**2 / squares
    weights = (centred / np.where(rest > 1e-9, rest, np.nan)) ** 2
    # The sum over units of weight * (y - slope * level)^2.
    cross = (weights * centred) @ y
    sums = weights @ y**2 - 2 * slopes * cross + slopes**2 * (weights * centred**2).sum(axis=1)[:, None]
    return slopes, np.sqrt(np.maximum(sums, 0)) / squares


def _permutation_ps(centred: np.ndarray, y: np.ndarray, bootstrap: Bootstrap) -> np.ndarray:
    """[K]; of the slope alone for a column whose error is 0 or NaN."""

    def sizes(orders: np.ndarray) -> np.ndarray:
        slopes, errors = _slopes(orders, y)
        return np.abs(np.where(studentised, slopes / np.where(errors > 0, errors, np.nan), slopes))

    own = _slopes(centred[None], y)
    studentised = (own[1][0] > 1e-12 * np.abs(own[0][0])) & np.isfinite(own[1][0])
    threshold = sizes(centred[None])[0] * (1 - 1e-9)
    hits = 0
    for orders in _permuted(centred, bootstrap):
        found = sizes(orders)
        hits = hits + ((found >= threshold) | np.isnan(found)).sum(axis=0)
    return (1 + hits) / (1 + bootstrap.draws(len(centred)))


def _permuted(values: np.ndarray, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    """Blocks [b, n] of random orders of `values`."""
    random = np.random.default_rng(bootstrap.seed)
    left, step = bootstrap.draws(len(values)), max(1, BLOCK_CELLS // len(values))
    while left > 0:
        count = min(left, step)
        yield random.permuted(np.tile(values, (count, 1)), axis=1)
        left -= count
