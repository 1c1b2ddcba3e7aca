"""Experiment A's layer curves against NumPy."""

import h5py
import numpy as np
import pytest
from synthetic_results import apart

from rvsweep.data.results import read_results
from rvsweep.stats.paired import mean_with_interval
from rvsweep.stats.prompt_geometry import prompt_geometry
from rvsweep.stats.resampling import Bootstrap

BOOTSTRAP = Bootstrap(resamples=500)


def test_layer_curves_are_means_over_pairs_source_minus_base(results_file):
    path = results_file()
    found = prompt_geometry(read_results(path), BOOTSTRAP)
    with h5py.File(path) as file:
        pr = file["prompts/pr"][...]
        source, base = pr[file["pairs/source"][...]], pr[file["pairs/base"][...]]
    for curve, values in (
        (found.pr_source, source),
        (found.pr_base, base),
        (found.pr_difference, source - base),
    ):
        assert curve.mean == pytest.approx(values.mean(axis=0))
        late = mean_with_interval(values[:, 24], apart(5), BOOTSTRAP)
        assert [curve.low[24], curve.high[24]] == pytest.approx([late.low, late.high])
    assert found.log_r_v.difference.value == pytest.approx(
        np.mean(np.log(source[:, 24] / source[:, 4]) - np.log(base[:, 24] / base[:, 4]))
    )


def test_a_pair_with_one_missing_prompt_leaves_every_curve(results_file):
    def edit(columns):
        columns["prompts/pr"][6] = np.nan  # the base prompt of the second pair

    found = prompt_geometry(read_results(results_file(edit=edit)), BOOTSTRAP)
    assert {len(curve.pairs) for curve in (found.pr_source, found.pr_base, found.pr_difference)} == {4}


def test_prompt_lengths_go_with_their_side(results_file):
    def edit(columns):
        columns["prompts/n_tokens"] = np.arange(10, 20, dtype=np.int32)

    found = prompt_geometry(read_results(results_file(edit=edit)), BOOTSTRAP)
    assert list(found.tokens_source) == [10, 11, 12, 13, 14] and list(found.tokens_base) == [
        15,
        16,
        17,
        18,
        19,
    ]
