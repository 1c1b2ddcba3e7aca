"""TOST against statsmodels, and its margins."""

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from analysis.stats.equivalence import Margin, parse_margin, tost
from analysis.stats.paired import paired_difference
from analysis.stats.resampling import Bootstrap


@pytest.mark.parametrize(("shift", "bound"), [(0.0, 0.4), (0.3, 0.4), (-0.5, 0.4), (0.1, 2.0)])
def test_tost_equals_statsmodels(shift, bound):
    random = np.random.default_rng(1)
    base = random.normal(0, 1, 35)
    arm = base + random.normal(shift, 0.8, 35)
    d = arm - base
    found = tost(d.mean(), d.std(ddof=1), 35, bound)
    assert found.p == pytest.approx(ttost_paired(arm, base, -bound, bound)[0])
    assert [found.low, found.high] == pytest.approx(list(DescrStatsW(d).tconfint_mean(alpha=0.1)))
    # The 90 % interval lies within the bound exactly where p < 0.05.
    assert (found.p < 0.05) == (-bound < found.low and found.high < bound)


def test_differences_without_spread_and_too_few_pairs():
    assert tost(0.0, 0.0, 9, 0.0).p == 0.0
    assert tost(0.1, 0.0, 9, 0.2).p == 0.0 and tost(0.3, 0.0, 9, 0.2).p == 1.0
    assert np.isnan(tost(0.1, np.nan, 1, 0.2).p) and np.isnan(tost(0.1, 1.0, 9, np.nan).p)


def test_margins_are_sds_or_a_share_of_an_established_gap():
    random = np.random.default_rng(2)
    base = random.normal(0, 1, 20)
    wide = paired_difference(base + random.normal(5, 1, 20), base, Bootstrap(1000))
    none = paired_difference(base + random.normal(0, 1, 20) * np.resize([1, -1], 20), base, Bootstrap(1000))
    assert Margin("d_z", 0.3).bound(2.0, None) == pytest.approx(0.6)
    assert Margin("gap", 0.1).bound(2.0, wide) == pytest.approx(0.1 * wide.difference.value)
    assert not none.difference.excludes_zero() and np.isnan(Margin("gap", 0.1).bound(2.0, none))
    assert np.isnan(Margin("gap", 0.1).bound(2.0, None))


def test_margins_are_read_from_text():
    assert parse_margin("d_z:0.3") == Margin("d_z", 0.3) and parse_margin("gap:0.1") == Margin("gap", 0.1)
    for text in ("d_z", "d_z:0", "gap:-1", "share:0.1", "gap:many", "gap:nan", "gap:inf"):
        with pytest.raises(ValueError):
            parse_margin(text)
