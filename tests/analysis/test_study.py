"""A study in a notebook: types, arrays, figures and what it shows of itself, against h5py and NumPy."""

import builtins
import inspect

import h5py
import matplotlib
import numpy as np
import pandas as pd
import pytest
from synthetic_results import ARMS, add_read_outs, layer_scan, set_status

import rvsweep
from rvsweep.cli import report
from rvsweep.stats.resampling import Bootstrap

matplotlib.use("Agg")
SPECTRA = ("prompt", "generated")


def edit(columns):
    add_read_outs(columns)
    columns["rows/spectra_prompt"] = 2 * columns["rows/spectra_generated"]
    columns["rows/step_pr"] = np.tile(columns["rows/step_pr"], 5)  # a value for each of 50 tokens
    columns["rows/keyword_count"][3] = -1
    columns["prompts/group"] = [f"recursive_l{1 + at % 3}" for at in range(6)] + ["<plain>"] * 6
    set_status(columns, [8], 2, "broke")


@pytest.fixture
def path(results_file):
    return results_file(pairs=6, samples=1, arms=layer_scan(), edit=edit)


@pytest.fixture
def study(path):
    return rvsweep.load(path, bootstrap=Bootstrap(500))


def test_the_package_lists_what_it_has():
    for name in dir(rvsweep):
        assert name.startswith("__") or inspect.getdoc(getattr(rvsweep, name))
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        rvsweep.lode


def test_columns_have_the_files_types(path, study):
    with h5py.File(path, locking=False) as file:
        counts, norms = file["rows/keyword_count"][...], file["rows/change_norm"]
        found = study.rows["keyword_count"]
        assert (found.dtype, study.rows["change_norm"].dtype) == ("Int32", norms.dtype)
        assert study.rows["cells_changed"].dtype == "Int64" and study.rows["sample"].dtype == np.int32
        assert list(np.flatnonzero(found.isna())) == [3, 8]
        assert (found.drop([3, 8]) == np.delete(counts, [3, 8])).all()


def test_ok_rows_are_those_with_results(study):
    assert len(study.ok) == len(study.rows) - 1 and set(study.ok["status"]) == {"ok"}


def test_a_study_says_what_it_is(path, study):
    assert repr(study).endswith(f"6 pairs, 20 arms, rows: 119 ok, 1 failed; {path}>")
    shown = study._repr_html_()
    assert "<td>models/demo</td>" in shown and "119 ok, 1 failed" in shown


def test_a_folder_stands_for_its_results(path):
    assert len(rvsweep.load(path.parent).rows) == 120


def test_arrays_are_the_files_with_named_dimensions(path, study):
    data = study.to_xarray()
    assert data["spectra"].dims == ("row", "window", "layer", "rank") and data["spectra"].dtype == np.float32
    assert data["step_pr"].dims == ("row", "layer", "step") and data["tokens"].dims == ("row", "step")
    assert data["prompt_spectra"].dims == ("prompt", "layer", "rank")
    assert data["prompt_spectral_entropy"].dims == data["prompt_pr"].dims == ("prompt", "layer")
    with h5py.File(path, locking=False) as file:
        rows, prompts = file["rows"], file["prompts"]
        both = np.stack([rows[f"spectra_{window}"][...] for window in SPECTRA], axis=1)
        assert (data["spectra"].values == both).all()
        one = data["spectra"].sel(window="generated", layer=[3, 28]).isel(row=slice(7, 2, -2))
        assert (one.values == both[7:2:-2, 1, [3, 28]]).all()
        assert (data["spectra"][4, ::-1, 2].values == both[4, ::-1, 2]).all()
        arm = file["arms/label"].asstr()[...][rows["arm"][...]]
        assert list(data["arm"].values) == list(arm)
        kl = data["kl_first"].where(data["status"] == "ok").groupby("arm").mean()
        ok = rows["status"][...] == 0
        assert kl.sel(arm="kv 5:15").item() == pytest.approx(
            rows["kl_first"][...][ok & (arm == "kv 5:15")].mean()
        )
        of_source = data["prompt_pr"].sel(prompt=data["source"]).values
        assert (of_source == prompts["pr"][...][file["pairs/source"][...][rows["pair"][...]]]).all()
        assert data["keyword_count"].dtype == rows["keyword_count"].dtype
        assert data["keyword_count"].attrs["description"] == rows["keyword_count"].attrs["description"]
        assert list(data["row"].values) == [f"{row:016x}" for row in rows["row_id"][...]]
        assert list(data["text"].values) == list(rows["text"].asstr()[...])


def test_spectra_are_read_where_they_are_used(path, study):
    data = study.to_xarray()
    kept = data["spectra"][2].load()
    path.unlink()
    with pytest.raises(rvsweep.InputError):
        data["spectra"][3].load()
    assert np.isfinite(kept.values).all() and len(data["text"].values) == 120


def test_what_does_not_fit_its_name_has_dimensions_of_its_own(results_file):
    def odd(columns):
        columns["rows/step_pr"] = np.zeros((90, 7, 3), dtype=np.float32)
        columns["rows/spectra_prompt"] = np.zeros((90, 30, 8), dtype=np.float32)
        columns["rows/spectra_generated"] = np.zeros((90, 30, 16), dtype=np.float32)

    data = rvsweep.load(results_file(edit=odd)).to_xarray()
    assert data["step_pr"].dims == ("row", "step_pr_1", "step_pr_2")
    assert data["spectra"].dims == ("row", "window", "layer", "rank") and data["spectra"].shape[1] == 1


def test_windows_and_gram_sums_have_their_names(results_file):
    random = np.random.default_rng(6)
    pr, sums = random.random((90, 2, 30, 3)), random.random((90, 30, 3))

    def edit(columns):
        columns["rows/window_pr_generated"], columns["rows/gram_sums_prompt"] = pr, sums
        columns["prompts/window_pr"] = pr[:10]

    path = results_file(edit=edit, attributes={"config": "[model]\nwindow = 16, 8\n"})
    data = rvsweep.load(path).to_xarray()
    short = data["window_pr_generated"].sel(window_size=8, pr_kind="corrected", layer=[3, 22])
    assert (short.values == pr[:, 1, [3, 22], 2]).all()
    assert data["prompt_window_pr"].dims == ("prompt", "window_size", "layer", "pr_kind")
    assert (data["gram_sums_prompt"].sel(gram_sum="trace").values == sums[..., 0]).all()


def test_without_xarray_one_line_says_what_to_install(study, monkeypatch):
    real = builtins.__import__

    def absent(name, *arguments):
        if name == "rvsweep.data.arrays":
            raise ModuleNotFoundError("No module named 'xarray'")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(rvsweep.InputError, match="pip install xarray"):
        study.to_xarray()


def differences(path, outcome):
    """arm -> mean over pairs of arm - base, by h5py alone."""
    with h5py.File(path, locking=False) as file:
        arm, pair = file["rows/arm"][...], file["rows/pair"][...]
        values = file[f"rows/{outcome}"][...].astype(float)
        values[file["rows/status"][...] != 0] = np.nan
        table = np.full((pair.max() + 1, arm.max() + 1), np.nan)
        table[pair, arm] = values
        labels = file["arms/label"].asstr()[...]
    return dict(zip(labels, np.nanmean(table - table[:, :1], axis=0), strict=True))


def test_depth_draws_each_arm_over_its_layers(path, study):
    axes = study.plot.depth("keyword_rate")
    expected = differences(path, "keyword_rate")["kv 5:15"]
    bars = [
        tuple(line.get_xdata()) for line in axes.lines if line.get_ydata() == pytest.approx([expected] * 2)
    ]
    assert bars == [(5, 15)] and axes.get_xlim() == (0, 30) and axes.get_xlabel() == "layer"


def test_a_figure_is_begun_in_the_users_own_style(study, monkeypatch):
    """Else what a notebook's backend sets with its first figure would end with the report's style."""
    begun = matplotlib.pyplot.figure
    styles = []

    def figure(*arguments, **options):
        styles.append(matplotlib.rcParams["axes.spines.top"])
        return begun(*arguments, **options)

    monkeypatch.setattr("matplotlib.pyplot.figure", figure)
    axes = study.plot.depth("keyword_rate")
    assert styles == [True] and not axes.spines["top"].get_visible()


def test_tokens_and_forest_draw_a_row_for_each_arm(path, study):
    expected = differences(path, "keyword_rate")
    axes = study.plot.tokens("keyword_rate")
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["all", "last:4", "last:8", "span:2:6", "bos"]
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    arms = ("kv 15:20", "kv 15:20 last:4", "kv 15:20 last:8", "kv 15:20 span:2:6", "kv 15:20 bos")
    assert marks == pytest.approx([expected[arm] for arm in arms])
    axes = study.plot.forest("keyword_rate")
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    names = [text.get_text() for text in axes.get_yticklabels()]
    drawn = dict(zip(names, marks, strict=True))
    assert drawn["kv 20:25"] == pytest.approx(expected["kv 20:25"])
    less = expected["kv 15:20"] - expected["kv 15:20 | gaussian"]
    assert drawn["less gaussian"] == pytest.approx(less)


def test_dose_draws_groups_and_takes_given_axes(results_file):
    def few(columns):
        columns["prompts/group"] = [f"recursive_l{1 + at % 2}" for at in range(5)] + ["plain"] * 5

    path = results_file(edit=few)
    study = rvsweep.load(path, bootstrap=Bootstrap(500))
    own = matplotlib.pyplot.figure().subplots()
    assert study.plot.dose("keyword_rate", axes=own) is own
    assert [text.get_text() for text in own.get_xticklabels()] == ["L1", "L2"]
    with pytest.raises(rvsweep.InputError, match="no three arms differ in their positions"):
        study.plot.tokens()
    with pytest.raises(rvsweep.InputError, match="no outcome happiness"):
        study.plot.forest("happiness")


def test_power_without_a_contrast_is_refused_in_one_line(results_file):
    study = rvsweep.load(results_file(arms=ARMS[:1]))
    with pytest.raises(rvsweep.InputError) as raised:
        study.power("keyword_count")
    assert "nothing can be compared in keyword_count" in str(raised.value) and "\n" not in str(raised.value)


def test_report_is_that_of_the_script(path, study, tmp_path):
    page = study.report(tmp_path / "own.html")
    assert report.main([str(path), "-o", str(tmp_path / "script.html"), "--bootstrap", "500"]) == 0
    assert page.read_bytes() == (tmp_path / "script.html").read_bytes()
    with pytest.raises(rvsweep.InputError, match="is the results file itself"):
        study.report(path)


def test_integers_leave_exports_whole(path, tmp_path):
    from rvsweep.cli import export

    assert export.main([str(path), "-o", str(tmp_path / "out"), "--bootstrap", "200"]) == 0
    written = pd.read_csv(tmp_path / "out" / "rows.csv", dtype=str)
    assert written["keyword_count"].dropna().str.fullmatch(r"\d+").all()
    assert list(written.index[written["keyword_count"].isna()]) == [3, 8]
