"""Tidy tables and their export against h5py and NumPy."""

import h5py
import numpy as np
import pandas as pd
import pytest
from synthetic_results import add_read_outs, layer_scan, set_status, with_sites_and_attention

from rvsweep import load
from rvsweep.cli import export
from rvsweep.data.outcomes import BEHAVIOUR, LOGITS
from rvsweep.data.results import ResultsError, read_results
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.outcome_table import outcome_table
from rvsweep.stats.resampling import Bootstrap

KEYWORDS = next(outcome for outcome in BEHAVIOUR if outcome.name == "keyword_count")


@pytest.fixture
def study_file(results_file):
    return results_file(pairs=6, samples=2, arms=layer_scan(), edit=add_read_outs)


def test_rows_are_those_of_the_file_with_pair_and_arm_spelt_out(study_file):
    rows = load(study_file).rows
    with h5py.File(study_file) as file:
        assert len(rows) == len(file["rows/pair"])
        assert list(rows["row_id"]) == [f"{i:016x}" for i in file["rows/row_id"][...]]
        assert (rows["logprob_source"] == file["rows/logprob_source"][...]).all()
        for at in (0, 17, len(rows) - 1):
            pair, arm = file["rows/pair"][at], file["rows/arm"][at]
            assert rows["pair"][at] == file["pairs/id"].asstr()[pair]
            source = file["pairs/source"][pair]
            assert rows["source_id"][at] == file["prompts/id"].asstr()[source]
            assert rows["source_group"][at] == "recursive" and rows["base_group"][at] == "baseline"
            assert rows["source_tokens"][at] == file["prompts/n_tokens"][source]
            assert rows["arm"][at] == file["arms/label"].asstr()[arm]
    assert set(rows["status"]) == {"ok"}


def test_settings_of_arms_are_columns(study_file):
    arms = load(study_file).arms.set_index("arm")
    band = arms.loc["kv 5:15"]
    assert (band["layer_start"], band["layer_end"], band["layer_count"], band["positions"]) == (
        5,
        15,
        10,
        "all",
    )
    assert arms.loc["kv 15:20 bos", "positions"] == "bos"
    assert arms.loc["kv 15:20 | reverse", "control"] == "reverse"
    assert arms.loc["kv 15:20 | reverse", "direction"] == "base_to_source"
    assert pd.isna(arms.loc["base", "layer_start"]) and arms.loc["base", "positions"] == ""


def test_layers_hold_every_metric_of_every_spectrum(results_file, monkeypatch):
    monkeypatch.setattr("rvsweep.data.spectra.ROWS_AT_ONCE", 7)

    def edit(columns):
        add_read_outs(columns)
        columns["rows/spectra_generated"][3] = np.nan
        set_status(columns, [5], 2, "broke")

    path = results_file(pairs=2, samples=1, edit=edit)
    layers = load(path).layers
    with h5py.File(path) as file:
        sigma = file["rows/spectra_generated"][...].astype(np.float64)
        ids = [f"{i:016x}" for i in file["rows/row_id"][...]]
    assert len(layers) == sigma.shape[0] * 30 and set(layers["window"]) == {"generated"}
    metrics = ["pr", "effective_rank", "spectral_entropy", "stable_rank", "nuclear_ratio"]
    for row, layer in ((0, 0), (4, 29), (11, 12)):
        s = sigma[row, layer]
        p, q = s**2 / (s**2).sum(), s / s.sum()
        expected = [
            1 / (p**2).sum(),
            np.exp(-(q * np.log(q)).sum()),
            -(p * np.log(p)).sum(),
            (s**2).sum() / s[0] ** 2,
            s.sum() ** 2 / (s**2).sum(),
        ]
        found = layers[(layers["row_id"] == ids[row]) & (layers["layer"] == layer)]
        assert found[metrics].to_numpy()[0] == pytest.approx(expected)
        assert found["depth"].item() == layer / 30
    assert layers[layers["row_id"].isin([ids[3], ids[5]])][metrics].isna().all().all()


def test_spectra_of_other_sites_are_layers_too(results_file):
    path = results_file(pairs=2, samples=1, edit=with_sites_and_attention)
    layers = load(path).layers
    assert {*zip(layers["window"], layers["site"])} == {("generated", "V"), ("prompt", "resid_pre")}
    found = layers[layers["site"] == "resid_pre"].reset_index(drop=True)
    with h5py.File(path) as file:
        squares = file["rows/spectra_prompt_resid_pre"][...].astype(np.float64) ** 2
    pr = squares.sum(-1) ** 2 / (squares**2).sum(-1)
    pr[5] = np.nan
    assert found["pr"].to_numpy() == pytest.approx(pr.ravel(), nan_ok=True)
    assert load(path).to_xarray()["spectra_prompt_resid_pre"].dims == ("row", "layer", "rank")


def test_attention_is_a_table_by_layer_and_head(results_file, tmp_path):
    path = results_file(pairs=2, samples=1, edit=with_sites_and_attention)
    study = load(path)
    table = study.attention.set_index(["row_id", "layer", "kv_head"])
    with h5py.File(path) as file:
        ids = [f"{i:016x}" for i in file["rows/row_id"][...]]
        donor = file["rows/attention_donor"][...]
    assert len(table) == donor.size and table.loc[ids[5]].iloc[:, 3:].isna().all().all()
    assert table.loc[(ids[4], 29, 1), "donor"] == donor[4, 29, 1] and np.isnan(table.loc[(ids[4], 7, 0), "bos"])
    assert study.to_xarray()["attention_bos"].dims == ("row", "layer", "kv_head")
    words = [str(path), "-o", str(tmp_path / "out"), "--bootstrap", "100"]
    assert export.main(words) == 0
    assert len(pd.read_csv(tmp_path / "out" / "attention.csv")) == donor.size


def test_without_attention_there_is_no_table_of_it(study_file):
    assert load(study_file).attention.empty


def test_a_spectrum_of_rank_one_has_the_least_of_everything(results_file):
    def edit(columns):
        add_read_outs(columns)
        columns["rows/spectra_generated"][...] = [1.0] + [0.0] * 15

    layers = load(results_file(pairs=1, samples=1, edit=edit)).layers
    assert (layers[["pr", "effective_rank", "stable_rank", "nuclear_ratio"]] == 1).all().all()
    assert (layers["spectral_entropy"] == 0).all()


def test_contrasts_hold_arms_against_recipient_and_controls(study_file):
    study = load(study_file, bootstrap=Bootstrap(500))
    found = study.contrasts("keyword_count").set_index(["arm", "versus"])
    table = outcome_table(read_results(study_file), KEYWORDS, Bootstrap(500), Margin())
    values = dict(zip([arm[0] for arm in layer_scan()], table.values.T, strict=True))
    d = values["kv 15:20"] - values["kv 15:20 | gaussian"]
    assert found.loc[("kv 15:20", "kv 15:20 | gaussian"), "difference"] == pytest.approx(d.mean())
    d = values["kv 15:20"] - values["base"]
    assert found.loc[("kv 15:20", "base"), "d_z"] == pytest.approx(d.mean() / d.std(ddof=1))
    # reverse has the other recipient: the effects are compared, each against its own.
    d = d - (values["kv 15:20 | reverse"] - values["source"])
    assert found.loc[("kv 15:20", "kv 15:20 | reverse"), "difference"] == pytest.approx(d.mean())
    assert not any(arm.startswith("kv 15:20 |") for arm, _ in found.index)


def test_what_is_relative_to_the_recipient_is_not_subtracted_from_it_again(study_file):
    """A log-likelihood is stored as row minus recipient, also where the recipient is the source prompt."""
    found = (
        load(study_file, bootstrap=Bootstrap(500)).contrasts("logprob_source").set_index(["arm", "versus"])
    )
    outcome = next(o for o in LOGITS if o.name == "logprob_source")
    table = outcome_table(read_results(study_file), outcome, Bootstrap(500), Margin())
    values = dict(zip([arm[0] for arm in layer_scan()], table.values.T, strict=True))
    assert found.loc[("kv 15:20", "base"), "difference"] == pytest.approx(values["kv 15:20"].mean())
    d = values["kv 15:20"] - values["kv 15:20 | reverse"]
    assert found.loc[("kv 15:20", "kv 15:20 | reverse"), "difference"] == pytest.approx(d.mean())


def test_power_and_unknown_outcomes(study_file):
    study = load(study_file, bootstrap=Bootstrap(500))
    assert {"arm", "versus", "d_z", "pairs_80"} <= set(study.power("logprob_source").columns)
    with pytest.raises(ResultsError, match="no outcome happiness; there are logprob_source"):
        study.contrasts("happiness")


@pytest.mark.parametrize(("kind", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_exports_hold_the_tables(study_file, tmp_path, kind, read):
    folder = tmp_path / "made" / "here"
    assert export.main([str(study_file), "-o", str(folder), "--format", kind, "--bootstrap", "200"]) == 0
    study = load(study_file)
    rows, layers = read(folder / f"rows.{kind}"), read(folder / f"layers.{kind}")
    assert list(rows["text"]) == list(study.rows["text"])
    assert rows["kl_first"].to_numpy() == pytest.approx(study.rows["kl_first"].to_numpy())
    assert layers["pr"].to_numpy() == pytest.approx(study.layers["pr"].to_numpy())
    assert len(read(folder / f"prompt_layers.{kind}")) == 12 * 30
    assert {"arms", "pairs", "contrasts"} <= {path.stem for path in folder.iterdir()}


def test_parquet_without_pyarrow_is_one_line_before_anything_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert export.main([str(tmp_path / "none.h5"), "-o", str(tmp_path / "out"), "--format", "parquet"]) == 2
    said = capsys.readouterr().err
    assert "pip install pyarrow" in said and len(said.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_the_table_of_layers_can_be_left_out(study_file, tmp_path):
    words = [str(study_file), "-o", str(tmp_path / "out"), "--no-layers", "--bootstrap", "100"]
    assert export.main(words) == 0
    written = {path.stem for path in (tmp_path / "out").iterdir()}
    assert written == {"rows", "prompt_layers", "pairs", "arms", "contrasts"}


def test_no_table_of_layers_without_spectra(results_file, tmp_path, capsys):
    assert export.main([str(results_file(pairs=2)), "-o", str(tmp_path / "out"), "--bootstrap", "200"]) == 0
    assert not (tmp_path / "out" / "layers.csv").exists()
    (tmp_path / "file").write_text("")
    assert export.main([str(results_file(pairs=2)), "-o", str(tmp_path / "file"), "--bootstrap", "200"]) == 2
    assert "cannot be written" in capsys.readouterr().err
