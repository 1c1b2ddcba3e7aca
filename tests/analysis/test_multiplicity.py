"""Holm and the max-statistic against statsmodels, enumeration, and simulated sweeps without effects."""

import itertools

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests
from simulated import studies
from synthetic_results import apart, crossed

from rvsweep.stats.multiplicity import holm, max_statistic
from rvsweep.stats.paired import paired_difference, sign_flip_ps
from rvsweep.stats.resampling import Bootstrap

SWEEPS = studies(300)
ALPHA = 0.05
# 3 standard errors of a share of 5 %.
TOLERANCE = 3 * np.sqrt(ALPHA * (1 - ALPHA) / SWEEPS)


def test_holm_equals_statsmodels():
    random = np.random.default_rng(1)
    for size in (1, 2, 7, 40):
        p = random.uniform(0, 1, size) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_leaves_out_what_was_not_tested():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    expected = multipletests(p[[0, 2, 3]], method="holm")[1]
    found = holm(p)
    assert found[[0, 2, 3]] == pytest.approx(expected) and np.isnan(found[1])
    assert holm(np.array([])).size == 0


def test_max_statistic_equals_enumeration_with_missing_pairs():
    random = np.random.default_rng(2)
    differences = random.normal(0.5, 1, (7, 4))
    differences[2, 1] = differences[5, 3] = differences[0, 3] = np.nan
    found = max_statistic(differences, apart(len(differences)), Bootstrap())

    def largest(values):
        return [abs(scipy.stats.ttest_1samp(c[np.isfinite(c)], 0).statistic) for c in values.T]

    observed = largest(differences)
    under_null = [
        max(largest(differences * np.array(s)[:, None])) for s in itertools.product((1, -1), repeat=7)
    ]
    assert np.abs(found.t) == pytest.approx(observed)
    expected = [np.mean(np.array(under_null) >= t - 1e-9) for t in observed]
    assert found.p_sign_flip == pytest.approx(expected) and found.tests == 4
    assert (found.p == np.maximum(found.p_sign_flip, found.p_studentised)).all()


def test_max_statistic_of_one_column_is_its_own_sign_flip_test():
    differences = np.random.default_rng(3).normal(0.4, 1, (10, 1))
    # Sign flips keep the sum of squares, so |t| and |mean| order the patterns alike.
    found = max_statistic(differences, apart(10), Bootstrap()).p_sign_flip
    assert found == pytest.approx(sign_flip_ps(differences, apart(10), Bootstrap()))


def test_drawn_sign_patterns_approach_enumeration():
    differences = np.random.default_rng(4).normal(0.3, 1, (13, 5))
    patterns = 1 - 2 * ((np.arange(2**13)[:, None] >> np.arange(13)) & 1)
    squares = (differences**2).sum(axis=0)
    sums = patterns @ differences
    t = np.abs(sums) / np.sqrt(13 * (squares - sums**2 / 13) / 12)
    exact = [np.mean(t.max(axis=1) >= one - 1e-9) for one in t[0]]
    assert max_statistic(differences, apart(13), Bootstrap()).p_sign_flip == pytest.approx(exact, abs=0.02)


def test_studentised_p_equals_a_bootstrap_of_scipys_t():
    random = np.random.default_rng(5)
    differences = random.exponential(1, (20, 3)) - 0.7
    differences[3, 1] = np.nan
    centred = differences - np.nanmean(differences, axis=0)
    drawn = [centred[random.integers(20, size=20)] for _ in range(4_000)]
    errors = [np.nanstd(d, axis=0, ddof=1) / np.sqrt(np.isfinite(d).sum(axis=0)) for d in drawn]
    largest = np.array([np.abs(np.nanmean(d, axis=0) / e).max() for d, e in zip(drawn, errors, strict=True)])
    observed = np.abs(scipy.stats.ttest_1samp(differences, 0, nan_policy="omit").statistic)
    found = max_statistic(differences, apart(20), Bootstrap())
    assert np.abs(found.t) == pytest.approx(observed)
    assert found.p_studentised == pytest.approx([np.mean(largest >= t) for t in observed], abs=0.03)
    assert found.critical >= np.quantile(largest, 0.95) * 0.93


def test_p_of_pairs_that_share_prompts_is_that_of_a_multivariate_t():
    random = np.random.default_rng(6)
    clusters = crossed(8, 8)
    effects = random.normal(0, 1, (8, 2))
    differences = np.column_stack([effects[clusters.source], effects[clusters.source, 0]])
    differences = differences + 0.3 * random.normal(0, 1, differences.shape) + 0.4
    found = max_statistic(differences, clusters, Bootstrap())
    assert np.isnan(found.p_sign_flip).all() and np.isnan(found.p_studentised).all()
    alone = max_statistic(differences[:, :1], clusters, Bootstrap())
    reference = paired_difference(differences[:, 0], np.zeros(64), clusters, Bootstrap())
    assert alone.p[0] == pytest.approx(reference.p_t, abs=0.02) and reference.p == reference.p_t
    # Columns 0 and 2 are nearly one, so three tests cost as much as two independent ones.
    p = 2 * scipy.stats.t.sf(abs(found.t), 7)
    assert found.p == pytest.approx(1 - (1 - p) ** 2, abs=0.03)


def test_columns_that_cannot_be_tested_are_nan():
    differences = np.column_stack([np.zeros(6), np.full(6, 0.3), np.full(6, np.nan), np.arange(6.0)])
    found = max_statistic(differences, apart(len(differences)), Bootstrap())
    assert np.isnan(found.p[:3]).all() and np.isfinite(found.p[3]) and found.tests == 1
    assert max_statistic(np.zeros((4, 2)), apart(4), Bootstrap()).tests == 0
    assert max_statistic(np.empty((0, 3)), apart(0), Bootstrap()).tests == 0


def null_sweeps(pairs, layers, seed):
    """Differences [pairs, layers] without an effect: neighbouring layers correlate, tails are heavy."""
    random = np.random.default_rng(seed)
    for _ in range(SWEEPS):
        steps = random.standard_t(4, size=(pairs, layers))
        values = np.empty_like(steps)
        values[:, 0] = steps[:, 0]
        for layer in range(1, layers):
            values[:, layer] = 0.8 * values[:, layer - 1] + 0.6 * steps[:, layer]
        yield values * random.uniform(0.2, 3, (pairs, 1))


@pytest.mark.parametrize("pairs", [8, 30])
def test_false_positives_over_many_layers_stay_at_five_percent(pairs):
    bootstrap = Bootstrap(resamples=1_000)
    by_flips = by_max = by_holm = uncorrected = 0
    for differences in null_sweeps(pairs, 24, seed=5):
        joint = max_statistic(differences, apart(pairs), bootstrap)
        by_max += np.nanmin(joint.p) < ALPHA
        by_flips += np.nanmin(joint.p_sign_flip) < ALPHA
        p = sign_flip_ps(differences, apart(pairs), bootstrap)
        by_holm += np.nanmin(holm(p)) < ALPHA
        uncorrected += np.nanmin(p) < ALPHA
    assert by_max / SWEEPS <= ALPHA + TOLERANCE
    assert by_holm / SWEEPS <= ALPHA + TOLERANCE
    assert by_flips / SWEEPS <= ALPHA + TOLERANCE
    assert by_flips / SWEEPS >= ALPHA - 2 * TOLERANCE  # a test of its size, not one that never finds anything
    assert uncorrected / SWEEPS > 0.2  # the sweeps do need a correction


def test_an_effect_at_one_layer_is_found_there():
    found = np.zeros(24)
    bootstrap = Bootstrap(resamples=1_000)
    for at, differences in enumerate(null_sweeps(30, 24, seed=6)):
        if at == 100:
            break
        differences[:, 10] += 1.5 * differences[:, 10].std()
        found += max_statistic(differences, apart(len(differences)), bootstrap).p < ALPHA
    assert found[10] >= 95 and np.delete(found, 10).max() <= 15
