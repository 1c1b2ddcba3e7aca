"""Effects by the group of the source prompt, and their trend over dose levels (groups recursive_l1, _l2, ...)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.data.results import Results
from analysis.stats.outcome_table import ArmLine, OutcomeTable
from analysis.stats.paired import NAN, Estimate, columns_by_rows, mean_with_interval
from analysis.stats.resampling import BLOCK_CELLS, Bootstrap

_LEVEL = re.compile(r".*_l(\d+)")


@dataclass(frozen=True)
class Trend:
    """Least-squares slope of the effect per level over pairs, its bootstrap interval, and its permutation p."""

    slope: float
    low: float
    high: float
    p: float
    n: int


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
    slopes = trends(dose, table.differences[:, [line.arm.index for line in lines]], bootstrap)
    for line, slope in zip(lines, slopes, strict=True):
        values = table.differences[:, line.arm.index]
        effects = [mean_with_interval(values[of_pair == group], bootstrap) for group in groups]
        found.append(GroupLine(line, effects, slope))
    return GroupEffects(groups, levels, found)


def dose_level(group: str) -> int | None:
    """3 of recursive_l3; None for a name without a level."""
    match = _LEVEL.fullmatch(group)
    return int(match.group(1)) if match else None


def trends(levels: np.ndarray, values: np.ndarray, bootstrap: Bootstrap) -> list[Trend | None]:
    """For each column of [N, K], over the pairs with a level and a value; None for fewer than 3 pairs or 2 levels.

    p: two-sided, levels permuted over pairs, (1 + hits) / (1 + draws).
    """
    found: list[Trend | None] = [None] * values.shape[1]
    for rows, columns in columns_by_rows(np.isfinite(values) & np.isfinite(levels)[:, None]):
        x, y = levels[rows], values[np.ix_(rows, columns)]
        n = len(x)
        if n < 3 or len(set(x)) < 2:
            continue
        centred = x - x.mean()
        slope = centred @ y / (centred @ centred)
        means = bootstrap.means(np.column_stack([x, x * x, y, x[:, None] * y]))
        mean_x, mean_y, mean_xy = means[:, :1], means[:, 2 : 2 + len(columns)], means[:, 2 + len(columns) :]
        spread = means[:, 1:2] - mean_x**2
        drawn = spread[:, 0] > 1e-12  # a resample of one level alone has no slope
        low, high = bootstrap.interval((mean_xy - mean_x * mean_y)[drawn] / spread[drawn])
        threshold = np.abs(centred @ y) * (1 - 1e-9)
        hits = sum(
            (np.abs(permuted @ y) >= threshold).sum(axis=0) for permuted in _permuted(centred, bootstrap)
        )
        p = (1 + hits) / (1 + bootstrap.draws(n))
        for at, column in enumerate(columns):
            found[column] = Trend(float(slope[at]), float(low[at]), float(high[at]), float(p[at]), n)
    return found


def _permuted(values: np.ndarray, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    """Blocks [b, n] of random orders of `values`."""
    random = np.random.default_rng(bootstrap.seed)
    left, step = bootstrap.draws(len(values)), max(1, BLOCK_CELLS // len(values))
    while left > 0:
        count = min(left, step)
        yield random.permuted(np.tile(values, (count, 1)), axis=1)
        left -= count
