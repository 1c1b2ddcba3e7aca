"""Statistics against SciPy and against enumeration."""

import itertools

import numpy as np
import pytest
import scipy.stats
from synthetic_results import apart

from rvsweep.stats import resampling
from rvsweep.stats.multiplicity import holm
from rvsweep.stats.paired import (
    TAIL_PAIRS,
    mean_band,
    mean_with_interval,
    paired_difference,
    sample_sd,
    sign_flip_ps,
    transfer_percents,
    wilcoxon_ps,
)
from rvsweep.stats.resampling import Bootstrap

BOOTSTRAP = Bootstrap(resamples=20_000, seed=5)


def sign_flip_p(differences):
    return sign_flip_ps(differences[:, None], apart(len(differences)), BOOTSTRAP)[0]


def interval(values, bootstrap=BOOTSTRAP):
    return mean_with_interval(values, apart(len(values)), bootstrap)


def transfer_percent(patched, recipient, donor):
    return transfer_percents(patched[:, None], recipient, donor, apart(len(patched)), 0.95)[0]


def draw(n, seed=0, mean=0.3):
    return np.random.default_rng(seed).normal(mean, 1, n)


@pytest.mark.parametrize("n", [8, 40])
def test_interval_has_the_quantiles_of_a_studentised_bootstrap(n):
    values = np.random.default_rng(n).exponential(1, n)
    random, mean, error = np.random.default_rng(9), values.mean(), scipy.stats.sem(values)
    drawn = [values[random.integers(n, size=n)] for _ in range(20_000)]
    t = [(one.mean() - mean) / scipy.stats.sem(one) for one in drawn if np.ptp(one)]
    tail = 0.025 * n / (n + TAIL_PAIRS)
    student = scipy.stats.t.ppf(0.975, n - 1)
    low, high = np.quantile(t, [tail, 1 - tail])
    found = interval(values)
    width = found.high - found.low
    assert found.low == pytest.approx(mean - max(high, student) * error, abs=0.05 * width)
    assert found.high == pytest.approx(mean - min(low, -student) * error, abs=0.05 * width)


def test_interval_of_few_pairs_is_students():
    values = draw(7)
    reference = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = interval(values)
    assert [found.low, found.high] == pytest.approx(list(reference))
    assert found.se == pytest.approx(scipy.stats.sem(values)) and found.df == 6


def test_interval_does_not_depend_on_how_resamples_are_grouped(monkeypatch):
    values = draw(30)
    whole = interval(values)
    monkeypatch.setattr("rvsweep.stats.resampling.BLOCK_CELLS", 700)
    resampling._kept.cache_clear()
    parts = interval(values)
    assert [parts.low, parts.high] == pytest.approx([whole.low, whole.high])


def test_each_resample_draws_n_pairs():
    total = 0
    for weights in Bootstrap(resamples=1000, seed=2).weight_blocks(9):
        assert (weights.sum(axis=1) == 9).all() and weights.shape[1] == 9
        total += len(weights)
    assert total == 1000


def test_same_seed_same_interval_other_seed_other_interval():
    values = draw(20)
    first = interval(values, Bootstrap(500, seed=1))
    assert interval(values, Bootstrap(500, seed=1)) == first
    assert interval(values, Bootstrap(500, seed=2)).low != first.low


def test_missing_pairs_are_left_out_and_counted():
    values = draw(8)
    holes = np.insert(values, [0, 4], [np.nan, np.inf])
    assert interval(holes) == interval(values)
    assert interval(holes).n == 8


def test_one_pair_has_no_interval_and_none_no_value():
    one = interval(np.array([2.0]))
    assert (one.value, one.n) == (2.0, 1) and np.isnan([one.low, one.high, one.sd]).all()
    none = interval(np.array([np.nan]))
    assert none.n == 0 and np.isnan(none.value)


def test_sample_sd_has_ddof_one():
    assert sample_sd(np.array([1.0, 2.0, np.nan, 4.0])) == pytest.approx(np.std([1, 2, 4], ddof=1))


def test_band_equals_the_interval_of_every_layer_by_itself():
    values = np.random.default_rng(3).normal(size=(12, 6))
    values[2, 1] = values[2, 4] = values[5, 4] = np.nan
    values[:, 5] = np.nan
    mean, low, high = mean_band(values, apart(len(values)), BOOTSTRAP)
    for layer in range(5):
        alone = interval(values[:, layer])
        assert [mean[layer], low[layer], high[layer]] == pytest.approx([alone.value, alone.low, alone.high])
    assert np.isnan([mean[5], low[5], high[5]]).all()


def test_band_without_pairs_is_empty_of_values():
    assert np.isnan(mean_band(np.empty((0, 3)), apart(0), BOOTSTRAP)).all()


@pytest.mark.parametrize("n", [2, 5, 12])
def test_exact_sign_flip_equals_enumeration(n):
    values = draw(n, seed=n)
    sums = [abs(np.dot(signs, values)) for signs in itertools.product((-1, 1), repeat=n)]
    expected = np.mean([s >= abs(values.sum()) - 1e-12 for s in sums])
    assert sign_flip_p(values) == pytest.approx(expected)


def test_exact_sign_flip_agrees_with_scipy():
    values = draw(9, seed=4)
    reference = scipy.stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(values) == pytest.approx(reference.pvalue)


def test_monte_carlo_sign_flip_approaches_the_exact_value():
    values = draw(14, seed=6, mean=0.5)
    patterns = (np.arange(2**14)[:, None] >> np.arange(14)) & 1
    exact = np.mean(np.abs((1 - 2 * patterns) @ values) >= abs(values.sum()) - 1e-12)
    found = sign_flip_p(values)
    assert found > 0 and found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_sign_flip_counts_ties_made_by_rounding():
    assert sign_flip_p(np.array([0.1, 0.2, -0.3])) == 1.0
    assert sign_flip_p(np.zeros(4)) == 1.0
    assert sign_flip_p(np.full(5, 0.1)) == 2 / 32


def test_sign_flip_of_one_pair_or_none_is_nan():
    assert np.isnan(sign_flip_p(np.array([np.nan])))
    assert np.isnan(sign_flip_p(np.array([0.4])))


def test_paired_difference_uses_pairs_that_have_both():
    first, second = draw(15, 1), draw(15, 2)
    first[3] = second[8] = np.nan
    kept = np.isfinite(first + second)
    found = paired_difference(first, second, apart(len(first)), BOOTSTRAP)
    d = (first - second)[kept]
    assert found.n == 13
    assert found.difference.value == pytest.approx(first[kept].mean() - second[kept].mean())
    t = scipy.stats.ttest_rel(first[kept], second[kept]).statistic
    assert found.d_z * np.sqrt(13) == pytest.approx(t)
    mean_sd = (np.std(first[kept], ddof=1) + np.std(second[kept], ddof=1)) / 2
    assert found.d_av == pytest.approx(d.mean() / mean_sd)


def test_equal_differences_have_no_d_z():
    base = draw(6)
    found = paired_difference(base + 0.1, base, apart(6), BOOTSTRAP)
    assert np.isnan(found.d_z) and found.difference.low == pytest.approx(0.1)


def test_transfer_is_the_ratio_of_mean_changes_in_fiellers_set():
    random = np.random.default_rng(8)
    recipient = random.normal(0, 1, 25)
    donor = recipient + random.normal(5, 1, 25)
    patched = recipient + random.normal(2, 1, 25)
    patched[4] = np.nan
    found = transfer_percent(patched, recipient, donor)
    kept = np.isfinite(patched)
    moved, gap = (patched - recipient)[kept], (donor - recipient)[kept]
    assert found.n == 24 and found.value == pytest.approx(100 * moved.sum() / gap.sum())
    for end in (found.low, found.high):  # where the t test of moved - share * gap is at the edge of p = 0.05
        assert scipy.stats.ttest_1samp(moved - end / 100 * gap, 0).pvalue == pytest.approx(0.05)
    assert found.low < found.value < found.high and found.bounded


def test_transfer_is_unbounded_without_a_gap():
    recipient = draw(20, 1)
    donor = recipient + np.random.default_rng(9).normal(0, 3, 20)
    assert scipy.stats.ttest_rel(donor, recipient).pvalue > 0.05
    found = transfer_percent(recipient + draw(20, 3), recipient, donor)
    assert (found.low, found.high, found.bounded) == (-np.inf, np.inf, False)
    assert transfer_percent(np.ones(1), np.zeros(1), np.ones(1)) is None


@pytest.mark.parametrize("n", [5, 30, 60])
def test_wilcoxon_equals_scipy_and_is_exact_with_zeros(n):
    random = np.random.default_rng(n)
    values = random.normal(0.4, 1, (n, 4))
    values[: n // 3, 1] = 0
    values[:, 2] = random.integers(-2, 3, n)
    values[:, 3] = 0
    found = wilcoxon_ps(values, apart(n))
    assert found[0] == scipy.stats.wilcoxon(values[:, 0]).pvalue
    differ = values[n // 3 :, 1]
    assert found[1] == scipy.stats.wilcoxon(differ, method="exact" if len(differ) <= 50 else "auto").pvalue
    assert found[2] == scipy.stats.wilcoxon(values[:, 2]).pvalue and found[3] == 1
    assert np.isnan(wilcoxon_ps(values[:1], apart(1))).all()


def test_a_familys_draws_are_enough_for_its_holm_correction():
    few = Bootstrap(resamples=200)
    assert few.draws(1_000_000, tests=38) == 3800 and few.draws(20) == 200
    values = np.random.default_rng(1).normal(3, 1, (20, 38))
    assert holm(sign_flip_ps(values, apart(20), few)).max() < 0.05
    assert few.smallest_p(20, 38) == sign_flip_ps(values, apart(20), few).min()
    assert few.smallest_p(10, 38) == sign_flip_ps(values[:10], apart(10), few).min() == 2 / 2**10
