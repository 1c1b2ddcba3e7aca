"""Power against statsmodels, and against simulated studies of the size that the table names."""

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.power import TTestPower
from synthetic_results import apart

from rvsweep.stats.multiplicity import max_statistic
from rvsweep.stats.paired import sign_flip_ps
from rvsweep.stats.power import TABLE_PAIRS, d_z_interval, pairs_needed, power, power_line, power_table
from rvsweep.stats.resampling import Bootstrap


@pytest.mark.parametrize("d_z", [0.05, 0.1, 0.35, -0.5, 0.8])
@pytest.mark.parametrize("n", [3, 12, 40, 100])
def test_power_equals_statsmodels(d_z, n):
    assert power(d_z, n) == pytest.approx(TTestPower().power(abs(d_z), n, 0.05), abs=1e-6)


def test_power_far_in_the_tail_is_one():
    assert power(2.5, 100) == power(0.5, 640) == 1.0


def test_power_of_no_effect_is_alpha():
    assert power(0.0, 20) == pytest.approx(0.05)


@pytest.mark.parametrize("d_z", [0.15, 0.4, 1.2, -0.3])
@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_pairs_needed_is_the_least_number_that_is_enough(d_z, wanted):
    n = pairs_needed(d_z, wanted)
    assert power(d_z, n) >= wanted > power(d_z, n - 1)
    assert n == np.ceil(TTestPower().solve_power(abs(d_z), power=wanted, alpha=0.05))


def test_no_number_of_pairs_finds_no_effect():
    assert pairs_needed(0.0, 0.8) is None and pairs_needed(float("nan"), 0.8) is None
    assert pairs_needed(0.001, 0.8) is None


@pytest.mark.parametrize(("d_z", "n"), [(0.4, 10), (0.4, 100), (-1.3, 25), (0.0, 40), (30.0, 5), (6.0, 2)])
def test_interval_of_d_z_inverts_the_noncentral_t(d_z, n):
    low, high = d_z_interval(d_z, n, n - 1)
    t = d_z * np.sqrt(n)
    assert low < d_z < high
    assert scipy.stats.nct.sf(t, n - 1, low * np.sqrt(n)) == pytest.approx(0.025, abs=1e-4)
    assert scipy.stats.nct.cdf(t, n - 1, high * np.sqrt(n)) == pytest.approx(0.025, abs=1e-4)


def test_interval_of_d_z_covers_the_true_effect():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        d = random.normal(0.5, 1, 20)
        low, high = d_z_interval(d.mean() / d.std(ddof=1), 20, 19)
        hits += low <= 0.5 <= high
    assert hits / 400 == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 400))


def test_power_line_plans_with_the_near_end_of_the_interval():
    line = power_line(0.6, 50, 50, 49)
    assert 0 < line.low < 0.6 < line.high
    assert line.pairs_80_at_least_effect == pairs_needed(line.low, 0.8) > line.pairs_80
    assert power_line(0.1, 20, 20, 19).pairs_80_at_least_effect is None  # its interval holds 0
    assert power_line(-0.6, 50, 50, 49).pairs_80_at_least_effect == line.pairs_80_at_least_effect


@pytest.mark.parametrize(("d_z", "n"), [(0.3, 40), (0.5, 40), (0.2, 160)])
def test_simulated_effects_are_found_as_often_as_the_table_says(d_z, n):
    stated = dict(power_table())[d_z][TABLE_PAIRS.index(n)]
    studies = np.random.default_rng(2).normal(d_z, 1, (n, 1_000))
    tolerance = 3.5 * np.sqrt(stated * (1 - stated) / 1_000)
    by_t = scipy.stats.ttest_1samp(studies, 0).pvalue < 0.05
    by_signs = sign_flip_ps(studies, apart(n), Bootstrap(resamples=2_000)) < 0.05
    assert by_t.mean() == pytest.approx(stated, abs=tolerance)
    assert by_signs.mean() == pytest.approx(stated, abs=tolerance + 0.01)


def test_an_effect_at_one_layer_keeps_most_of_its_power_under_the_max_statistic():
    random = np.random.default_rng(3)
    found = 0
    for _ in range(300):
        differences = random.normal(0, 1, (40, 20))
        differences[:, 7] += 0.8
        found += max_statistic(differences, apart(40), Bootstrap(resamples=1_000)).p[7] < 0.05
    bonferroni = scipy.stats.nct.sf(scipy.stats.t.isf(0.05 / 40, 39), 39, 0.8 * np.sqrt(40))
    assert bonferroni - 0.03 <= found / 300 <= power(0.8, 40)
