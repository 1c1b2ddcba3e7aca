"""Experiment A's layer curves against NumPy."""

import h5py
import numpy as np
import pytest
from report_page import numbers
from synthetic_results import apart, set_status, with_sites_and_attention

from rvsweep.data.results import read_results
from rvsweep.stats.paired import mean_with_interval
from rvsweep.stats.prompt_geometry import prompt_geometry
from rvsweep.stats.resampling import Bootstrap
from rvsweep.stats.row_geometry import attention_curves

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


def less_biased(columns, centred_shift, corrected_shift):
    """Centred and corrected R_V whose logarithms differ between source and base by these."""
    random = np.random.default_rng(4)
    n = len(columns["pairs/id"])
    for kind, shift in (("centred", centred_shift), ("corrected", corrected_shift)):
        logs = random.normal(0, 0.01, 2 * n)
        logs[:n] += shift
        columns[f"prompts/r_v_{kind}"] = np.exp(logs)
        columns[f"prompts/pr_{kind}"] = random.uniform(2, 9, (2 * n, 30))


def test_raw_centred_and_corrected_stand_side_by_side(results_file):
    path = results_file(pairs=20, shift=-0.4, edit=lambda columns: less_biased(columns, -0.5, -0.3))
    found = prompt_geometry(read_results(path), BOOTSTRAP)
    values = {line.title: line.paired.difference.value for line in found.lines if line.layer is None}
    assert list(values) == ["R_V", "ln R_V", "ln R_V, centred", "ln R_V, corrected"]
    with h5py.File(path) as file:
        for name, title in (("r_v", "ln R_V"), ("r_v_corrected", "ln R_V, corrected")):
            logs = np.log(file[f"prompts/{name}"][...])
            expected = np.mean(logs[file["pairs/source"][...]] - logs[file["pairs/base"][...]])
            assert values[title] == pytest.approx(expected)
    assert {line.title for line in found.lines if line.layer == 24} >= {"PR, centred", "PR, corrected"}
    assert found.disagreement == ""


def test_a_difference_that_only_the_raw_one_shows_is_told(page):
    _, shown = page(pairs=20, shift=-0.4, edit=lambda columns: less_biased(columns, 0, 0.5))
    said = " ".join(shown.text.split())
    assert "Raw, centred and corrected" in said and "disagree" in said
    assert "raw below 0, centred undecided, corrected above 0" in said


def test_a_file_without_them_has_the_raw_one_alone(results_file):
    found = prompt_geometry(read_results(results_file()), BOOTSTRAP)
    assert list(found.log_r_v_kinds) == ["raw"] and found.disagreement == ""


def test_windows_stand_side_by_side_and_their_disagreement_is_told(page):
    random = np.random.default_rng(8)
    pr = random.uniform(2, 3, (40, 3, 30, 3)).astype(
        np.float32
    )  # windows 16, 8 and 32, raw, centred, corrected
    pr[:20, 1, 24] *= 2  # of source prompts, in the shortest window
    pr[:5, 2] = np.nan  # prompts shorter than the longest

    def edit(columns):
        columns["prompts/window_pr"] = pr

    _, shown = page(pairs=20, edit=edit, attributes={"config": "[model]\nwindow = 16, 8, 32\n"})
    lines = shown.table("windows")
    assert [(w, lines[w][0]) for w in list(lines)[1:]] == [("8", "20"), ("16", "20"), ("32", "15")]
    logs = np.log(pr[:, :, 24] / pr[:, :, 4])
    for at, window in ((1, "8"), (0, "16"), (2, "32")):
        expected = np.nanmean(logs[:20, at] - logs[20:, at], axis=0)
        assert [numbers(cell)[0] for cell in lines[window][1:]] == pytest.approx(expected, abs=6e-3)
    said = " ".join(shown.text.split())
    assert "raw of 8 above 0" in said and "raw of 16 undecided" in said


@pytest.mark.parametrize("windows", ["16", "16, 8, 32", "16, eight", ""])
def test_windows_that_the_configuration_does_not_name_are_left_out(results_file, windows):
    def edit(columns):
        columns["prompts/window_pr"] = np.ones((10, 2, 30, 3))

    path = results_file(edit=edit, attributes={"config": f"[model]\nwindow = {windows}\n"})
    assert prompt_geometry(read_results(path), BOOTSTRAP).windows == []


WINDOWS = (16, 8, 32)
OF_WINDOWS = {"config": "[model]\nwindow = 16, 8, 32\n"}


def rows_of_windows(columns):
    """Arm 2's generated windows of 8 have a larger late PR; pair 0 is too short for 32; row 5 broke."""
    random = np.random.default_rng(9)
    rows, arm = len(columns["rows/pair"]), columns["rows/arm"]
    for span in ("prompt", "generated"):
        columns[f"rows/window_pr_{span}"] = random.uniform(2, 3, (rows, 3, 30, 3)).astype(np.float32)
    generated = columns["rows/window_pr_generated"]
    generated[arm == 2, 1, 24] *= 2
    generated[columns["rows/pair"] == 0, 2] = np.nan
    set_status(columns, [5], 2, "broke")


def mean_over_pairs(path, column, at, arm):
    """Arm less base of ln R_V of column's windows, samples first; by kind."""
    with h5py.File(path) as file:
        pr = file[f"rows/{column}"][:, at].astype(float)
        pair, arms, ok = file["rows/pair"][...], file["rows/arm"][...], file["rows/status"][...] == 0
    logs = np.log(pr[:, 24] / pr[:, 4])
    differences = [
        logs[ok & (pair == one) & (arms == arm)].mean(axis=0)
        - logs[ok & (pair == one) & (arms == 0)].mean(axis=0)
        for one in range(pair.max() + 1)
    ]
    return np.nanmean(differences, axis=0)


@pytest.mark.parametrize("span", ["prompt", "generated"])
def test_windows_of_rows_stand_side_by_side(page, span):
    path, shown = page(pairs=20, edit=rows_of_windows, attributes=OF_WINDOWS)
    with h5py.File(path) as file:
        labels = list(file["arms/label"].asstr()[...])
    lines = {(cells[0], int(cells[1])): cells[2:] for cells in shown.tables[f"windows-{span}"][1:]}
    assert len(lines) == 15  # five arms have a recipient
    for (label, window), (n, *cells, said) in lines.items():
        expected = mean_over_pairs(path, f"window_pr_{span}", WINDOWS.index(window), labels.index(label))
        assert [numbers(cell)[0] for cell in cells] == pytest.approx(expected, abs=6e-3)
        assert n == ("19" if (span, window) == ("generated", 32) else "20")
        found = {(low > 0) - (high < 0) for low, high in (numbers(cell)[1:] for cell in cells)}
        assert (", " in said) == (len(found) > 1)
    assert (lines[labels[2], 8][-1] == "above 0") == (span == "generated")
    assert "They disagree on" in " ".join(shown.text.split())


def test_rows_of_one_window_are_compared_by_their_columns(page):
    random = np.random.default_rng(9)

    def edit(columns):
        raw = np.log(columns["rows/r_v_generated"])
        columns["rows/r_v_generated"] = np.exp(raw + (columns["rows/arm"] == 2))
        columns["rows/r_v_generated_centred"] = np.exp(random.normal(0, 0.3, len(raw)))
        columns["rows/r_v_generated_corrected"] = np.exp(raw + (columns["rows/arm"] == 2))

    _, shown = page(pairs=20, edit=edit)
    cells = shown.tables["windows-generated"][2]
    assert cells[1:3] == ["16", "20"] and cells[-1] == "raw above 0, centred undecided, corrected above 0"
    assert cells[3:6] == [
        f"{row[5]} {row[6]}"
        for name in ("", "_centred", "_corrected")
        for row in [shown.table(f"r_v_generated{name}")[cells[0]]]
    ]
    assert "windows-prompt" not in shown.tables


def test_other_sites_and_attention_have_figures_where_the_file_has_them(page, plain):
    path, found = page("--bootstrap", "100", edit=with_sites_and_attention)
    names = {attributes.get("data-name", "") for _, attributes in found.elements}
    assert names >= {"layers-prompt_resid_pre", "attention-donor", "attention-bos"}
    assert not any("attention" in str(attributes.get("data-name")) for _, attributes in plain[1].elements)
    results = read_results(path)
    with h5py.File(path) as file:
        arm, pair = file["rows/arm"][...], file["rows/pair"][...]
        ok, mass = file["rows/status"][...] == 0, file["rows/attention_donor"][..., 3, :].mean(axis=1)
    curves = attention_curves(results, "donor", BOOTSTRAP)
    for place, of in enumerate(curves.arms):
        by_pair = [mass[ok & (arm == of.index) & (pair == p)] for p in set(pair)]
        expected = np.mean([values.mean() for values in by_pair if len(values)])
        assert curves.mean[place, 3] == pytest.approx(expected)
    assert np.isnan(curves.mean[:, 7]).all()  # a layer that was left out
