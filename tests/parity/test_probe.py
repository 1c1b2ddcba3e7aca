"""`rvsweep probe` against Hugging Face, site by site: token ids, embedding, V of every layer, logits, spectra."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

import geometry
import hf_reference as hf
import tiny_models
from parity_study import LoadedModel, load
from prompt_texts import text_of_length
from rvsweep_cli import run

# The demo model reads all of them, tiny models every fourth.
LENGTHS = [16, 17, 18, 21, 24, 27, 30, 32, 33, 37, 40, 44, 47, 48, 55, 63, 64, 65, 80, 101]


@pytest.fixture(scope="module", params=["demo", *tiny_models.FAMILIES])
def loaded(request) -> LoadedModel:
    if request.param == "demo":
        return load(request.getfixturevalue("demo_model"))
    return load(request.getfixturevalue("tiny_model")(request.param))


def probe(binary, loaded: LoadedModel, text: str, out) -> dict[str, np.ndarray]:
    run(binary, "probe", "--model", loaded.folder, "--text", text, "--out", out, "--dtype", "float32")
    with h5py.File(out) as file:
        return {name: file[name][()] for name in ("tokens", "embedding", "v", "logits", "spectra")}


def assert_close(actual: np.ndarray, expected: np.ndarray, relative: float, name: str) -> None:
    """Equal to a fraction of the largest element, float32 sums being as exact as their largest term."""
    assert actual.shape == expected.shape, name
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max(), err_msg=name)


def test_every_site(rvsweep, loaded, tmp_path):
    for length in LENGTHS[:: 4 if loaded.folder.name in tiny_models.FAMILIES else 1]:
        text = text_of_length(loaded.tokenizer, length, seed=500 + length)
        compare_sites(loaded, text, probe(rvsweep, loaded, text, tmp_path / f"probe-{length}.h5"))


def compare_sites(loaded: LoadedModel, text: str, sites: dict[str, np.ndarray]) -> None:
    ids = loaded.tokenizer.encode(text).ids
    assert sites["tokens"].tolist() == ids

    with torch.no_grad():
        embedding = loaded.model.get_input_embeddings()(torch.tensor(ids)).numpy()
    np.testing.assert_array_equal(sites["embedding"], embedding)
    expected_v = hf.prompt_v(loaded.model, tuple(ids))
    assert len(sites["v"]) == len(expected_v)
    for layer, rows in enumerate(expected_v):
        assert_close(sites["v"][layer], rows, 1e-4, f"V of layer {layer}: {text}")
    logits = hf.feed(loaded.model, ids, 0).numpy()
    np.testing.assert_allclose(sites["logits"], logits, rtol=0, atol=1e-3)

    own = geometry.window_spectra(list(sites["v"]), 16)
    determined = own > 1e-6 * own.max(axis=1, keepdims=True)
    assert sites["spectra"].shape == own.shape
    np.testing.assert_allclose(sites["spectra"][determined], own[determined], rtol=1e-4)


def test_a_text_shorter_than_the_window_has_no_spectra(rvsweep, tiny_model, tmp_path):
    loaded = load(tiny_model("qwen2"))
    text = text_of_length(loaded.tokenizer, 15, seed=3)
    sites = probe(rvsweep, loaded, text, tmp_path / "probe.h5")
    assert sites["v"].shape[:2] == (loaded.n_layers, 15)
    assert np.isnan(sites["spectra"]).all()
