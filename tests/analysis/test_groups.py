"""Effects by prompt group and trends over dose levels against NumPy and enumeration."""

import itertools

import numpy as np
import pytest
import scipy.stats
from statsmodels.api import OLS, add_constant
from synthetic_results import apart, crossed

from rvsweep.data.outcomes import BEHAVIOUR
from rvsweep.data.results import read_results
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.group_effects import dose_level, group_effects, trends
from rvsweep.stats.group_separation import auroc, group_separations
from rvsweep.stats.outcome_table import outcome_table
from rvsweep.stats.resampling import Bootstrap

KEYWORDS = next(outcome for outcome in BEHAVIOUR if outcome.name == "keyword_count")


def test_trend_is_the_least_squares_slope_with_hc3_errors():
    random = np.random.default_rng(1)
    levels = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 6)
    values = np.column_stack([0.4 * levels + random.normal(0, levels, 30), random.normal(0, 1, 30)])
    values[3, 1] = np.nan
    found = trends(levels, values, apart(30), Bootstrap(1_000))
    for column, one in enumerate(found):
        kept = np.isfinite(values[:, column])
        fit = OLS(values[kept, column], add_constant(levels[kept])).fit(cov_type="HC3", use_t=True)
        assert one.n == kept.sum() and one.slope == pytest.approx(fit.params[1])
        assert [one.low, one.high] == pytest.approx(list(fit.conf_int()[1]))


def test_a_level_belongs_to_the_source_prompt():
    random = np.random.default_rng(2)
    clusters = crossed(9, 4)
    levels = np.repeat(np.resize([1.0, 2.0, 3.0], 9), 4)
    values = random.normal(0, 1, 36)
    values[5] = np.nan
    found = trends(levels, values[:, None], clusters, Bootstrap(2_000))[0]
    means = np.array([np.nanmean(values[clusters.source == source]) for source in range(9)])
    alone = trends(levels[::4], means[:, None], apart(9), Bootstrap(2_000))[0]
    assert found == alone and found.n == 9


def test_trend_p_approaches_all_permutations():
    levels, values = np.array([1.0, 1, 2, 2, 3, 3]), np.array([0.1, 0.5, 0.3, 1.1, 0.9, 1.0])
    sizes = []
    for order in itertools.permutations(levels):
        fit = OLS(values, add_constant(np.array(order))).fit(cov_type="HC3", use_t=True)
        sizes.append(abs(fit.tvalues[1]))
    exact = np.mean(np.array(sizes) >= sizes[0] * (1 - 1e-9))
    found = trends(levels, values[:, None], apart(6), Bootstrap(20_000))[0]
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_trend_needs_three_pairs_and_two_levels():
    assert trends(np.array([1.0, 2.0]), np.ones((2, 1)), apart(2), Bootstrap(100)) == [None]
    assert trends(np.ones(9), np.ones((9, 1)), apart(9), Bootstrap(100)) == [None]
    assert trends(np.full(9, np.nan), np.ones((9, 1)), apart(9), Bootstrap(100)) == [None]


def test_levels_are_read_from_group_names():
    assert dose_level("recursive_l3") == 3 and dose_level("recursive_l12") == 12
    assert dose_level("factual") is None and dose_level("l3_other") is None


def test_effects_are_means_over_the_pairs_of_a_group(results_file):
    def edit(columns):
        columns["prompts/group"] = [f"recursive_l{i % 3 + 1}" for i in range(9)] + ["factual"] * 9

    results = read_results(results_file(pairs=9, edit=edit))
    table = outcome_table(results, KEYWORDS, Bootstrap(500), Margin())
    found = group_effects(results, table, Bootstrap(500))
    assert found.groups == ["recursive_l1", "recursive_l2", "recursive_l3"] and found.dosed
    for line in found.lines:
        differences = table.differences[:, line.line.arm.index]
        assert [e.value for e in line.effects] == pytest.approx([differences[i::3].mean() for i in range(3)])
        assert line.trend.slope == pytest.approx(np.polyfit(np.resize([1, 2, 3], 9), differences, 1)[0])


def test_one_group_gives_no_section(results_file):
    results = read_results(results_file())
    table = outcome_table(results, KEYWORDS, Bootstrap(500), Margin())
    assert group_effects(results, table, Bootstrap(500)) is None


def test_auroc_is_mann_whitneys_u_as_a_share():
    random = np.random.default_rng(3)
    first, second = random.integers(0, 9, 20).astype(float), random.integers(2, 12, 15).astype(float)
    reference = scipy.stats.mannwhitneyu(first, second).statistic / (20 * 15)
    assert auroc(np.append(first, np.nan), second) == pytest.approx(reference)
    assert np.isnan(auroc(np.array([np.nan]), second))


def test_groups_are_compared_with_what_length_and_words_alone_tell(results_file):
    def edit(columns):
        columns["prompts/group"] = [f"recursive_l{i % 2 + 1}" for i in range(5)] + ["factual"] * 5
        columns["prompts/n_tokens"] = np.array([9, 20, 9, 20, 9, 9, 9, 9, 9, 9], dtype=np.int32)

    found = group_separations(read_results(results_file(edit=edit)))
    assert [(one.group, one.n, one.n_base) for one in found] == [
        ("all", 5, 5), ("recursive_l1", 3, 5), ("recursive_l2", 2, 5),
    ]  # fmt: skip
    assert [one.auroc["Length in tokens"] for one in found] == [0.7, 0.5, 1.0]
    assert all(one.auroc["Notebook keywords in the prompt"] > 0.9 for one in found)


def test_log_probability_of_the_prompts_is_a_baseline_too(results_file):
    lists = [np.array([np.nan, -1.0 - p % 5, -3.0], np.float32) for p in range(10)]
    lists[9] = np.array([], np.float32)  # was not run

    def edit(columns):
        columns["prompts/logprob"] = lists

    results = read_results(results_file(edit=edit))
    assert results.prompts["logprob"][:9] == pytest.approx([np.nanmean(one) for one in lists[:9]])
    assert np.isnan(results.prompts["logprob"][9])
    found = group_separations(results)[0]
    source, base = results.prompts["logprob"][:5], results.prompts["logprob"][5:9]
    wins = np.mean([(a > b) + (a == b) / 2 for a in source for b in base])
    assert found.auroc["Log-probability per token"] == pytest.approx(wins)
