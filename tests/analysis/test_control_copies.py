"""Controls that were drawn several times: one line each, with the variance of the draw, against loops of NumPy."""

import numpy as np
import pytest
import scipy.stats
from report_page import report_of
from simulated import allowed, studies
from synthetic_results import ARMS, KV_APPEND, WHOLE, Sweep, add_read_outs, apart

from rvsweep.data.arms import Arm
from rvsweep.data.outcomes import all_outcomes
from rvsweep.data.results import read_results
from rvsweep.stats.contrasts_table import contrasts_table
from rvsweep.stats.control_copies import mean_of_copies
from rvsweep.stats.equivalence import Equivalence, Margin
from rvsweep.stats.outcome_table import ControlLine
from rvsweep.stats.resampling import Bootstrap

OTHERS, LAYERS = (
    Arm(0, "", "kv_cache", f"kv_cache layers=4:8 control={name}") for name in ("other_base", "random_layers")
)
DRAWN = ("other_base", "other_base:2", "other_base:3", "random_layers", "random_layers:2", "gaussian")


def controlled_arms() -> tuple:
    """The synthetic arms and DRAWN as controls of the KV arm."""
    found = list(ARMS)
    for name in DRAWN:
        spec = f"{KV_APPEND} {WHOLE} control={name}"
        if name.startswith("random_layers"):
            spec = spec.replace("layers=16:30", "layers=2:16") + " of=16:30"
        found.append((f"kv | {name}", "kv_cache", spec))
    return tuple(found)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    sweep = Sweep(pairs=14, samples=1, arms=controlled_arms(), edit=add_read_outs)
    return sweep.write(tmp_path_factory.mktemp("copies") / "results.h5")


def test_variance_of_the_draw_by_hand():
    random = np.random.default_rng(5)
    values = random.normal(1, 1, (9, 3))
    values[2, 1] = values[4, :] = np.nan
    used = [row[np.isfinite(row)] for row in values if np.isfinite(row).any()]
    means = np.array([row.mean() for row in used])
    of_pairs, df = means.var(ddof=1) / 8, 7
    within = sum(((row - row.mean()) ** 2).sum() for row in used) / sum(len(row) - 1 for row in used)
    donors = within * np.mean([1 - 1 / len(row) for row in used]) / 8, sum(len(row) - 1 for row in used)
    layers = np.var([column[np.isfinite(column)].mean() for column in values.T], ddof=1) / 3, 2
    for control, (added, added_df) in ((OTHERS, donors), (LAYERS, layers)):
        pairs, found = mean_of_copies(values, control, apart(9), Bootstrap())
        assert np.isnan(pairs[4]) and pairs[0] == pytest.approx(values[0].mean())
        assert found.value == pytest.approx(means.mean()) and found.n == 8
        assert found.se == pytest.approx((of_pairs + added) ** 0.5)
        assert found.df == pytest.approx((of_pairs + added) ** 2 / (of_pairs**2 / df + added**2 / added_df))
        half = scipy.stats.t.ppf(0.975, found.df) * found.se
        assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_copies_are_named_as_the_configuration_asks_for_them():
    copies = tuple(
        Arm(i, f"j | o:{i}", "kv_cache", f"x layers=1 control=other_base{number} patch=2")
        for i, number in enumerate(("", ":2", ":3", ":4"))
    )
    line = ControlLine(copies[0], copies, None, 1.0, Equivalence())
    assert line.name == "other_base*4 of patch 2" and line.label == "j | o:0, mean of 4"


def test_one_line_for_all_copies_in_table_and_page(file, tmp_path):
    results = read_results(file)
    outcome = next(o for o in all_outcomes(results) if o.name == "r_v_prompt")
    table = contrasts_table(results, [outcome], Bootstrap(), Margin())
    controls = table[table["arm"] == KV_APPEND][1:].set_index("versus")
    assert list(controls.index) == [
        "kv | other_base, mean of 3",
        "kv | random_layers, mean of 2",
        "kv | gaussian",
    ]
    logs = np.log(results.rows["r_v_prompt"]).reshape(14, -1)  # pairs by arms, one sample
    arm, first = 4, len(ARMS)
    assert controls["difference"].iloc[0] == pytest.approx(
        (logs[:, arm] - logs[:, first : first + 3].mean(axis=1)).mean()
    )
    assert controls["difference"].iloc[1] == pytest.approx(
        (logs[:, arm] - logs[:, first + 3 : first + 5].mean(axis=1)).mean()
    )
    assert np.isnan(controls["p_sign_flip"].iloc[0]) and np.isfinite(controls["p"]).all()
    _, shown = report_of(file, tmp_path / "report.html")
    lines = {row[1] for row in shown.tables["logprob_source-controls"][1:]}
    assert lines == {"other_base*3", "random_layers*2", "gaussian"}
    assert "other_base (drawn 3 times)" in shown.text and "drawn several times is one line" in shown.text


@pytest.mark.parametrize("shares", [(0.3, 0.4), (0.3, 0.0), (0.0, 0.6)])
@pytest.mark.parametrize("copies", [4, 8])
def test_coverage_where_donors_or_layers_are_drawn(shares, copies):
    """Values of a pair, of a prompt as donor (or of a set of layers), and of both: mean 0, variance 1."""
    count, n = studies(400), 20
    random = np.random.default_rng(copies)
    of_pair, of_copy = shares
    pair, rest = (
        random.normal(0, of_pair**0.5, (count, n, 1)),
        random.normal(0, (1 - sum(shares)) ** 0.5, (count, n, copies)),
    )
    prompts = random.normal(0, of_copy**0.5, (count, n))
    next_ones = (np.arange(n)[:, None] + 1 + np.arange(copies)) % n  # of one cycle, as the program draws them
    cases = ((OTHERS, prompts[:, next_ones]), (LAYERS, prompts[:, None, :copies]))
    for control, drawn in cases:
        found = [mean_of_copies(one, control, apart(n), Bootstrap())[1] for one in pair + drawn + rest]
        missed = np.mean([one.low > 0 or one.high < 0 for one in found])
        naive = scipy.stats.ttest_1samp((pair + drawn + rest).mean(axis=2), 0, axis=1).pvalue < 0.05
        print(
            f"{copies} copies, {control.control}, shares {shares}: coverage {1 - missed:.3f}, ignored {1 - naive.mean():.3f}"
        )
        assert missed <= allowed(0.06, count)
        if of_copy == 0.6:
            assert naive.mean() > 0.15  # the simulation does need it
