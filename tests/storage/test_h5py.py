"""results.h5 as h5py sees it: names, types, attributes and values of a made-up sweep."""

from __future__ import annotations

import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

BUILD = Path(__file__).resolve().parents[2] / "build"

LAYERS, WINDOW, MAX_NEW, ROWS, BUNDLES = 3, 4, 5, 30, 4
STATUS = {"ok": 0, "refused": 1, "failed": 2, "pending": 3}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tools = [path for path in BUILD.rglob("write_sample_sweep") if path.is_file()]
    if not tools:
        pytest.fail(f"{BUILD} has no write_sample_sweep (nothing was built): run ./tests/run.sh")
    folder = tmp_path_factory.mktemp("sample")
    subprocess.run([str(tools[0]), str(folder)], check=True)
    return folder


@pytest.fixture(params=["full", "partial"])
def results(request: pytest.FixtureRequest, sample: Path):
    with h5py.File(sample / request.param / "results.h5", "r") as file:
        file.partial = request.param == "partial"
        yield file


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def bundle_of_rows() -> np.ndarray:
    return np.array([-1 if row % 7 == 3 else (row * 5 + row // 3) % BUNDLES for row in range(ROWS)])


def computed(partial: bool) -> np.ndarray:
    return np.isin(bundle_of_rows(), [0, 3] if partial else [0, 1, 2, 3])


def made_up(column: str, items: int, size: int) -> np.ndarray:
    """The whole number behind every value: [items, size]."""
    return np.arange(items)[:, None] * 1000 + np.arange(size) + len(column)


def test_every_dataset_says_what_it_is(results: h5py.File):
    found = datasets(results)
    assert len(found) > 25
    for name, dataset in found.items():
        for attribute in ("units", "description"):
            assert isinstance(dataset.attrs[attribute], str) and dataset.attrs[attribute], f"{name} {attribute}"
    assert found["prompts/metrics/pr"].attrs["definition"].startswith("participation_ratio 1: ")
    assert "definition" not in found["rows/tokens"].attrs


def texts_of(dataset: h5py.Dataset) -> dict:
    """Its attributes but for those of dimension scales, which are addresses in the file."""
    return {key: value for key, value in dataset.attrs.items() if not key.endswith("_LIST")}


def test_full_and_partial_files_have_one_schema(sample: Path):
    schemas = []
    for kind in ("full", "partial"):
        with h5py.File(sample / kind / "results.h5", "r") as file:
            found = {name: item for name, item in datasets(file).items() if not name.startswith("run/")}
            schemas.append({name: (item.dtype, item.shape, texts_of(item)) for name, item in found.items()})
    assert schemas[0] == schemas[1]


def test_root_attributes(results: h5py.File):
    assert results.attrs["schema_version"] == 1
    assert np.issubdtype(results.attrs["schema_version"].dtype, np.integer)
    assert results.attrs["sweep_fingerprint"] == 0xFEDCBA9876543210
    assert results.attrs["config"] == "[model]\npath = modèle\n"
    assert results.attrs["note"] == ""
    assert results["run"].attrs["command"] == "write_sample_sweep"


def test_texts_are_utf8_strings(results: h5py.File):
    for name in ("prompts/id", "prompts/text", "prompts/group", "pairs/id", "arms/spec", "rows/reason", "rows/text"):
        info = h5py.check_string_dtype(results[name].dtype)
        assert info is not None and info.encoding == "utf-8" and info.length is None, name
    assert list(results["prompts/text"].asstr()) == [
        "Erkenne dich selbst — γνῶθι σεαυτόν",
        "",
        "line one\nline two",
        "🙂 emoji",
        "plain",
    ]


def test_status_is_an_enum_with_names(results: h5py.File):
    assert h5py.check_enum_dtype(results["rows/status"].dtype) == STATUS
    row = np.arange(ROWS)
    expected = np.where(row % 5 == 4, STATUS["failed"], STATUS["ok"])
    expected[~computed(results.partial)] = STATUS["pending"]
    expected[bundle_of_rows() == -1] = STATUS["refused"]
    np.testing.assert_array_equal(results["rows/status"][...], expected)


def test_reasons_of_rows_refused_by_plan(results: h5py.File):
    for row, reason in enumerate(results["rows/reason"].asstr()):
        if bundle_of_rows()[row] == -1:
            assert reason == f"refused at plan time: row {row}"
        elif not computed(results.partial)[row] or row % 4 == 0:
            assert reason == ""
        else:
            assert reason == f"reason of ünï ✓ {made_up('reason', ROWS, 1)[row, 0]}"


def test_integers_and_their_fill_values(results: h5py.File):
    tokens = (made_up("tokens", ROWS, MAX_NEW) * 1234567).astype(np.int32)
    tokens[~computed(results.partial)] = -1
    assert results["rows/tokens"].dtype == np.int32
    np.testing.assert_array_equal(results["rows/tokens"][...], tokens)
    keys = (made_up("noise_key", ROWS, 1)[:, 0] * 1234567).astype(np.uint64)
    keys[~computed(results.partial)] = 0
    assert results["rows/noise_key"].dtype == np.uint64
    np.testing.assert_array_equal(results["rows/noise_key"][...], keys)
    assert results["rows/row_id"].dtype == np.uint64
    expected = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, ROWS + 1, dtype=np.uint64)
    np.testing.assert_array_equal(results["rows/row_id"][...], expected)


def test_reals_and_their_fill_values(results: h5py.File):
    whole = made_up("step_pr", ROWS, LAYERS * MAX_NEW).reshape(ROWS, LAYERS, MAX_NEW)
    expected = np.where(whole % 11 == 0, np.nan, whole.astype(np.float32) / np.float32(7))
    expected[~computed(results.partial)] = np.nan
    assert results["rows/step_pr"].dtype == np.float32
    np.testing.assert_array_equal(results["rows/step_pr"][...], expected.astype(np.float32))


def test_prompt_columns_in_subgroups(sample: Path):
    with h5py.File(sample / "full" / "results.h5", "r") as file:
        whole = made_up("metrics/pr", 5, LAYERS)
        expected = np.where(whole % 11 == 0, np.nan, whole / 7)
        expected[1] = np.nan  # no bundle measures this prompt
        np.testing.assert_array_equal(file["prompts/metrics/pr"][...], expected)
        assert [tokens.tolist() for tokens in file["prompts/tokens"]] == [[1, 2, 3], [], [49151, 0], [7], [5, 6, 7, 8, 9]]
        assert file["prompts/spectra"].shape == (5, LAYERS, WINDOW)


def test_rows_are_chunked_compressed_and_checksummed(results: h5py.File):
    for name, dataset in datasets(results).items():
        if not name.startswith("rows/"):
            continue
        assert dataset.chunks is not None and dataset.compression == "gzip" and dataset.shuffle, name
        assert dataset.fletcher32 == (h5py.check_string_dtype(dataset.dtype) is None), name


def test_run_group_tells_who_computed_what(results: h5py.File):
    bundles = [0, 3] if results.partial else [0, 1, 2, 3]
    run = results["run"]
    assert run["bundle"][...].tolist() == bundles
    assert run["rank"][...].tolist() == [bundle % 2 for bundle in bundles]
    assert list(run["host"].asstr()) == [f"node{bundle % 2}" for bundle in bundles]
    assert run["seconds"][...].tolist() == [0.25 * bundle for bundle in bundles]
    np.testing.assert_array_equal(run["row_bundle"][...], bundle_of_rows())
    assert run.attrs["merged"].endswith("Z")
