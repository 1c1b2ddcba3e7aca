"""TOST against SciPy's noncentral t and t tests, and its margins."""

import numpy as np
import pytest
import scipy.stats
from synthetic_results import apart, crossed

from rvsweep.stats.equivalence import Margin, parse_margin, tost
from rvsweep.stats.paired import mean_with_interval
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.standard_errors import standard_errors


def equivalence(values, margin, gap=None, clusters=None):
    clusters = clusters or apart(len(values))
    mean = mean_with_interval(values, clusters, Bootstrap(200))
    gap = np.full(len(values), np.nan) if gap is None else gap
    return tost(mean, values, gap, margin, clusters)


@pytest.mark.parametrize(("shift", "size"), [(0.0, 0.4), (0.3, 0.4), (-0.5, 0.4), (0.1, 1.2)])
def test_a_bound_in_sds_is_tested_by_the_noncentral_t(shift, size):
    d = np.random.default_rng(1).normal(shift, 0.8, 80)
    found = equivalence(d, Margin("d_z", size))
    t, reach = scipy.stats.ttest_1samp(d, 0).statistic, size * np.sqrt(80)
    # SciPy has no value far out, where it is 0.
    one_sided = (scipy.stats.nct.cdf(t, 79, reach), scipy.stats.nct.cdf(-t, 79, reach))
    assert found.p == pytest.approx(np.nanmax(one_sided), abs=1e-8) and found.reason == ""
    assert found.bound == pytest.approx(size * d.std(ddof=1))
    # The 90 % interval lies within the bound exactly where p < 0.05.
    assert (found.p < 0.05) == (-found.bound < found.low and found.high < found.bound)


def test_fewest_pairs_are_those_whose_mean_of_zero_is_enough():
    margin = Margin("d_z", 0.2)
    assert margin.fewest_pairs == 68 and Margin("gap", 0.1).fewest_pairs is None
    for n, enough in ((67, False), (68, True)):
        d = np.random.default_rng(2).normal(0, 1, n)
        assert (equivalence(d - d.mean() + 1e-9, margin).p < 0.05) == enough


def test_shared_prompts_are_worth_fewer_pairs():
    random = np.random.default_rng(3)
    clusters = crossed(10, 10)
    d = random.normal(0, 1, 10)[clusters.source] + random.normal(0, 1, 100)
    found, alone = equivalence(d, Margin(), clusters=clusters), equivalence(d, Margin())
    error = standard_errors(d[:, None], clusters)[0][0]
    reach = 0.2 * d.std(ddof=1) / error
    assert found.p == pytest.approx(scipy.stats.nct.cdf(abs(d.mean() / error), 9, reach), abs=1e-8)
    assert found.p > alone.p


@pytest.mark.parametrize("sign", [1, -1])
def test_a_share_of_the_gap_is_tested_with_the_gap(sign):
    random = np.random.default_rng(4)
    gap = sign * random.normal(2, 1, 60)
    gap[5] = np.nan
    d = random.normal(0.05, 0.5, 60)
    found = equivalence(d, Margin("gap", 0.15), gap)
    kept = np.isfinite(gap)
    size = sign * 0.15 * gap[kept]
    below = scipy.stats.ttest_1samp(d[kept] - size, 0, alternative="less").pvalue
    above = scipy.stats.ttest_1samp(d[kept] + size, 0, alternative="greater").pvalue
    assert found.p == pytest.approx(max(below, above))
    assert found.bound == pytest.approx(0.15 * abs(gap[kept].mean()))
    assert (found.p < 0.05) == (-found.bound < found.low and found.high < found.bound)


def test_what_cannot_be_tested_says_why():
    random = np.random.default_rng(5)
    for values, gap, margin, why in (
        (np.zeros(9), None, Margin(), "the differences do not vary"),
        (np.full(9, 0.1), None, Margin(), "the differences do not vary"),
        (np.ones(1), None, Margin(), "fewer than two pairs or prompts"),
        (random.normal(0, 1, 9), None, Margin("gap", 0.1), "no gap"),
        (random.normal(0, 1, 9), np.resize([1.0, -1.0], 9), Margin("gap", 0.1), "the gap is not established"),
    ):
        found = equivalence(values, margin, gap)
        assert np.isnan(found.p) and found.reason == why


def test_margins_are_read_from_text():
    assert parse_margin("d_z:0.3") == Margin("d_z", 0.3) and parse_margin("gap:0.1") == Margin("gap", 0.1)
    for text in ("d_z", "d_z:0", "gap:-1", "share:0.1", "gap:many", "gap:nan", "gap:inf"):
        with pytest.raises(ValueError):
            parse_margin(text)
