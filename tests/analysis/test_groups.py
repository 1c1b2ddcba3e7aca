"""Effects by prompt group and trends over dose levels against NumPy and enumeration."""

import itertools

import numpy as np
import pytest

from analysis.data.outcomes import BEHAVIOUR
from analysis.data.results import read_results
from analysis.stats.equivalence import Margin
from analysis.stats.group_effects import dose_level, group_effects, trends
from analysis.stats.outcome_table import outcome_table
from analysis.stats.resampling import Bootstrap


def test_trend_is_the_least_squares_slope_with_its_bootstrap_interval():
    random = np.random.default_rng(1)
    levels = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 6)
    values = np.column_stack([0.4 * levels + random.normal(0, 1, 30), random.normal(0, 1, 30)])
    values[3, 1] = np.nan
    found = trends(levels, values, Bootstrap(10_000))
    for column, one in enumerate(found):
        kept = np.isfinite(values[:, column])
        x, y = levels[kept], values[kept, column]
        assert one.n == kept.sum() and one.slope == pytest.approx(np.polyfit(x, y, 1)[0])
        drawn = (random.integers(len(x), size=len(x)) for _ in range(4_000))
        low, high = np.quantile([np.polyfit(x[i], y[i], 1)[0] for i in drawn], [0.025, 0.975])
        assert [one.low, one.high] == pytest.approx([low, high], abs=0.1 * (high - low))


def test_trend_p_approaches_all_permutations():
    levels, values = np.array([1.0, 1, 2, 2, 3, 3]), np.array([0.1, 0.5, 0.3, 1.1, 0.9, 1.0])
    covariances = [
        abs(np.dot(np.array(order) - levels.mean(), values)) for order in itertools.permutations(levels)
    ]
    exact = np.mean(np.array(covariances) >= covariances[0] - 1e-12)
    found = trends(levels, values[:, None], Bootstrap(20_000))[0]
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_trend_needs_three_pairs_and_two_levels():
    assert trends(np.array([1.0, 2.0]), np.ones((2, 1)), Bootstrap(100)) == [None]
    assert trends(np.ones(9), np.ones((9, 1)), Bootstrap(100)) == [None]
    assert trends(np.full(9, np.nan), np.ones((9, 1)), Bootstrap(100)) == [None]


def test_levels_are_read_from_group_names():
    assert dose_level("recursive_l3") == 3 and dose_level("recursive_l12") == 12
    assert dose_level("factual") is None and dose_level("l3_other") is None


def test_effects_are_means_over_the_pairs_of_a_group(results_file):
    def edit(columns):
        columns["prompts/group"] = [f"recursive_l{i % 3 + 1}" for i in range(9)] + ["factual"] * 9

    results = read_results(results_file(pairs=9, edit=edit))
    table = outcome_table(results, BEHAVIOUR[0], Bootstrap(500), Margin())
    found = group_effects(results, table, Bootstrap(500))
    assert found.groups == ["recursive_l1", "recursive_l2", "recursive_l3"] and found.dosed
    for line in found.lines:
        differences = table.differences[:, line.line.arm.index]
        assert [e.value for e in line.effects] == pytest.approx([differences[i::3].mean() for i in range(3)])
        assert line.trend.slope == pytest.approx(np.polyfit(np.resize([1, 2, 3], 9), differences, 1)[0])


def test_one_group_gives_no_section(results_file):
    results = read_results(results_file())
    table = outcome_table(results, BEHAVIOUR[0], Bootstrap(500), Margin())
    assert group_effects(results, table, Bootstrap(500)) is None
