"""Pairs that share prompts: who shares what, and standard errors against analysis of variance and algebra."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.formula.api as formula
from statsmodels.stats.anova import anova_lm
from scripts import ROOT
from synthetic_results import apart, cross, crossed

from rvsweep.data.clusters import Clusters, clusters_of
from rvsweep.data.results import read_results
from rvsweep.report.answer import design_limits
from rvsweep.stats.multiplicity import max_statistic
from rvsweep.stats.paired import fieller, mean_with_interval, paired_difference, transfer_percents
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.standard_errors import mean_covariances, standard_errors


def random_pairs(seed: int, n: int = 14) -> Clusters:
    random = np.random.default_rng(seed)
    return Clusters(random.integers(6, size=n), 6 + random.integers(5, size=n))


def test_prompts_of_equal_text_or_of_one_named_cluster_are_one(results_file):
    def edit(columns):
        columns["prompts/text"][3] = columns["prompts/text"][0]
        columns["prompts/cluster"] = [""] * 6 + ["tides", "tides", "", ""]

    found = read_results(results_file(edit=edit)).clusters
    assert found.source[0] == found.source[3] and found.sources == 4
    assert found.base[1] == found.base[2] and found.bases == 4
    assert found.shared and found.prompts == 4 and found.counted == "5 (4 × 4)"
    assert not read_results(results_file()).clusters.shared
    assert read_results(results_file()).clusters.counted == "5"


@pytest.mark.parametrize(
    ("study", "shared", "on_both_sides", "exchanged"),
    [("facts", True, True, True), ("ioi", True, False, False), ("copy", False, False, False)],
)
def test_prompts_of_the_known_answers(study, shared, on_both_sides, exchanged):
    lines = (ROOT / f"jobs/prompts/{study}.jsonl").read_text("utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    prompts = {
        name: np.array([pair[key] for key in keys for pair in pairs], dtype=object)
        for name, keys in (("text", ("source", "base")), ("cluster", ("cluster", "cluster")))
    }
    source = np.arange(len(pairs))
    found = clusters_of(prompts, {"source": source, "base": len(pairs) + source})
    assert (found.shared, found.on_both_sides, found.exchanged) == (shared, on_both_sides, exchanged)
    assert bool(design_limits(found)) == exchanged


def test_a_cross_counts_its_prompts(results_file):
    found = read_results(results_file(pairs=4, edit=cross)).clusters
    assert (found.sources, found.bases, found.prompts) == (2, 2, 2)
    assert (found.of(np.array([0, 1])).sources, found.of(np.array([0, 1])).bases) == (1, 2)


def test_without_shared_prompts_it_is_the_paired_t_test():
    values = np.random.default_rng(1).normal(0.3, 1, (9, 3))
    errors, df = standard_errors(values, apart(9))
    assert errors == pytest.approx(scipy.stats.sem(values)) and df == 8
    found = paired_difference(values[:, 0], values[:, 1], apart(9), Bootstrap(500))
    reference = scipy.stats.ttest_rel(values[:, 0], values[:, 1])
    assert found.p_t == pytest.approx(reference.pvalue)


def test_a_full_cross_is_a_two_way_analysis_of_variance():
    random = np.random.default_rng(2)
    clusters = crossed(6, 4)
    y = (
        random.normal(0, 1, 6)[clusters.source]
        + random.normal(0, 1, 4)[clusters.base - 6]
        + random.normal(0, 1, 24)
    )
    data = pd.DataFrame({"y": y, "a": clusters.source, "b": clusters.base})
    squares = anova_lm(formula.ols("y ~ C(a) + C(b)", data).fit())["mean_sq"]
    a, b, rest = squares["C(a)"], squares["C(b)"], squares["Residual"]
    assert min(a, b) > rest
    errors, df = standard_errors(y[:, None], clusters)
    assert errors[0] ** 2 == pytest.approx((a + b - rest) / 24) and df == pytest.approx(3)


@pytest.mark.parametrize("seed", range(4))
def test_the_variance_of_a_mean_is_unbiased_whatever_the_design(seed):
    """E(y' Q y) = tr(Q Sigma) for each model's Q, read off from unit vectors, is the variance of the mean."""
    clusters, unit = random_pairs(seed), np.eye(14)
    models = ((1.7, 0.6, 0, 1.0), (1.7, 0, 0, 1.0), (0, 0.6, 0, 1.0), (0, 0, 0, 1.0))
    on_both_sides = Clusters(clusters.source, clusters.base - 6)
    for design, its_models in ((clusters, models), (on_both_sides, ((1.7, 0.6, -0.4, 1.0), *models))):
        first, second = np.repeat(unit, 14, axis=1), np.tile(unit, 14)
        forms = mean_covariances(first, second, design).reshape(-1, 14, 14)
        for form, (a, b, both, rest) in zip(forms, its_models, strict=True):
            across = 1.0 * (design.source[:, None] == design.base)
            sigma = a * (design.source[:, None] == design.source) + b * (design.base[:, None] == design.base)
            sigma = sigma + both * (across + across.T) + rest * unit
            assert np.trace(form @ sigma) == pytest.approx(sigma.sum() / 14**2)


def test_a_prompt_that_is_source_of_one_pair_and_base_of_another_joins_them():
    ring = np.arange(12)
    clusters = Clusters(ring, (ring + 1) % 12)
    assert clusters.on_both_sides and clusters.shared and clusters.prompts == 12
    # Alike on both sides: each prompt adds twice to a pair sum, so the variance is that of 2 x its effect.
    effect = np.random.default_rng(10).normal(0, 1, (12, 2_000))
    values = effect[clusters.source] + effect[clusters.base]
    weights = mean_covariances(values, values, clusters)
    assert weights[0].mean() == pytest.approx(4 / 12, rel=0.05) and weights[-1].mean() < 0.6 * 4 / 12
    # Of opposite sign, as a number that belongs to a prompt alone: the mean does not vary.
    values = effect[clusters.source] - effect[clusters.base]
    assert mean_covariances(values, values, clusters)[0].mean() == pytest.approx(0, abs=0.01)
    # A pair of one prompt, and a cluster that is both sides of its pairs, join nothing.
    assert not Clusters(ring, ring).on_both_sides and not Clusters(ring // 4, ring // 4).on_both_sides


def test_a_side_without_repetition_and_sides_of_one_partition_are_one_way():
    """Template clusters, the same on both sides, and a cross with new bases only: one-way analysis of variance."""
    random, groups = np.random.default_rng(3), np.repeat(np.arange(5), 4)
    y = random.normal(0, 2, 5)[groups] + random.normal(0, 1, 20)
    between = 4 * np.var([y[groups == g].mean() for g in range(5)], ddof=1)
    for clusters in (Clusters(groups, groups), Clusters(groups, 5 + np.arange(20))):
        errors, df = standard_errors(y[:, None], clusters)
        assert errors[0] ** 2 == pytest.approx(between / 20) and df == pytest.approx(4)


def test_one_prompt_on_a_side_gives_no_interval():
    values = np.random.default_rng(4).normal(1, 0.1, 9)
    found = mean_with_interval(values, crossed(1, 9), Bootstrap(500))
    assert found.value == pytest.approx(values.mean()) and np.isnan([found.low, found.high, found.se]).all()
    assert np.isnan(paired_difference(values, values * 0, crossed(1, 9), Bootstrap(500)).p)


def test_a_column_with_one_prompt_left_is_not_tested_and_harms_no_other():
    clusters, values = crossed(4, 3), np.random.default_rng(5).normal(1, 1, (12, 3))
    values[3:, 1] = np.nan
    found = max_statistic(values, clusters, Bootstrap(500))
    assert np.isnan(found.p[1]) and found.tests == 2
    others = max_statistic(values[:, [0, 2]], clusters, Bootstrap(500))
    assert found.p[[0, 2]] == pytest.approx(others.p)


def test_the_order_and_the_numbers_of_prompts_do_not_matter():
    clusters, values = random_pairs(7), np.random.default_rng(7).normal(0, 1, (14, 2))
    order = np.random.default_rng(8).permutation(14)
    named = Clusters(100 - 3 * clusters.source[order], clusters.base[order] + 150)
    assert standard_errors(values[order], named)[0] == pytest.approx(standard_errors(values, clusters)[0])


def test_fiellers_set_of_shared_prompts_holds_the_shares_that_the_t_test_allows():
    random, clusters = np.random.default_rng(9), crossed(7, 6)
    gap = 3 + random.normal(0, 1, 7)[clusters.source] + random.normal(0, 1, 42)
    moved = 0.4 * gap + random.normal(0, 0.5, 6)[clusters.base - 7] + random.normal(0, 1, 42)
    low, high = (end[0] for end in fieller(moved[:, None], gap, clusters, 0.95))
    for share in np.linspace(low - 0.3, high + 0.3, 41):
        p = paired_difference(moved, share * gap, clusters, Bootstrap(100)).p_t
        assert (p > 0.05) == (low < share < high)
    found = transfer_percents(moved[:, None], np.zeros(42), gap, clusters, 0.95)[0]
    assert (found.low, found.sources, found.bases) == (pytest.approx(100 * low), 7, 6)


def test_counts_go_with_the_pairs_that_have_a_value():
    values = np.arange(12.0)
    values[:3] = np.nan
    found = mean_with_interval(values, crossed(4, 3), Bootstrap(500))
    assert (found.n, found.sources, found.bases, found.counted) == (9, 3, 3, "9 (3 × 3)")
    assert found.effective_n == pytest.approx((found.sd / found.se) ** 2)
    assert dataclasses.replace(found, se=0.0).effective_n != found.effective_n
