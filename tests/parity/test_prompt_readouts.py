"""What a sweep stores of prompts beside their spectra, against Hugging Face's logits and V: log-probabilities by token,
and participation ratios raw, centred and corrected over several windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import geometry
import hf_reference as hf
import tiny_models
from parity_study import LoadedModel, load
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import Results, read_results, run, write_config

LENGTHS = [(20, 33), (90, 16), (40, 150)]
WINDOWS = (16, 8, 32)
LAYERS = (0, 2, 4)  # of those whose PR is compared
ARMS = ("base", "source", "kv_cache layers=1:4")


@pytest.fixture(scope="module", params=["demo", *tiny_models.FAMILIES])
def study(request, rvsweep, tmp_path_factory) -> tuple[LoadedModel, Results]:
    get = request.getfixturevalue
    loaded = load(get("demo_model") if request.param == "demo" else get("tiny_model")(request.param))
    folder = tmp_path_factory.mktemp("readouts")
    prompts = write_pairs(folder / "pairs.jsonl", pairs_of_lengths(loaded.tokenizer, LENGTHS, seed=8))
    config = write_config(folder / "job.cfg", loaded.folder, prompts, ARMS, 1, 3, 20)
    settings = [
        "readouts.prompt_logprob=true",
        f"model.window={','.join(map(str, WINDOWS))}",
        "run.threads=1",
    ]
    sets = [word for setting in settings for word in ("--set", setting)]
    run(
        rvsweep,
        "run",
        "--config",
        config,
        "--out",
        folder / "out",
        "--device",
        "cpu",
        "--dtype",
        "float32",
        *sets,
    )
    return loaded, read_results(folder / "out" / "results.h5")


def test_log_probabilities_are_hugging_faces(study):
    loaded, results = study
    for text, tokens, found in zip(*(results.prompts[name] for name in ("text", "tokens", "logprob"))):
        ids = loaded.tokenizer.encode(text).ids
        assert tokens.tolist() == ids and len(found) == len(ids) and np.isnan(found[0])
        logits = hf.feed(loaded.model, ids, 0).double()
        expected = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0].numpy()
        np.testing.assert_allclose(found[1:], expected, atol=2e-4, err_msg=text)


def test_participation_ratios_are_those_of_v(study):
    loaded, results = study
    for place, text in enumerate(results.prompts["text"]):
        rows = hf.prompt_v(loaded.model, tuple(loaded.tokenizer.encode(text).ids))
        found = results.prompts["window_pr"][place]  # [window, layer, raw | centred | corrected]
        for k, window in enumerate(WINDOWS):
            for layer in LAYERS:
                v = rows[layer].astype(np.float64)
                if len(v) < window:
                    assert np.isnan(found[k, layer]).all()
                    continue
                last = v[-window:]
                raw = geometry.metrics(np.linalg.svd(last, compute_uv=False))["pr"]
                expected = [raw, geometry.centred_pr(last), geometry.corrected_pr(last)]
                np.testing.assert_allclose(
                    found[k, layer], expected, rtol=5e-3, err_msg=f"{text} {window} {layer}"
                )
        of_sweep = [results.prompts[name][place] for name in ("pr", "pr_centred", "pr_corrected")]
        np.testing.assert_allclose(np.stack(of_sweep, axis=-1), found[0], rtol=1e-6)


def recomputed(sums: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Centred and corrected PR from stored sums [..., 3]; Himeno & Yamada's form of the unbiased estimates."""
    trace, squares, diagonal = np.moveaxis(sums.astype(np.float64), -1, 0)
    n = window
    a = (2 * squares + (n * n - 3 * n + 1) * trace**2) / (n - 1) ** 2 - n * diagonal / (n - 1)
    b = (n - 2) * squares / (n - 1) + trace**2 / (n - 1) ** 2 - n * diagonal / (n - 1)
    return trace**2 / squares, a / b


def test_everything_follows_from_the_stored_sums(study):
    _, results = study
    early, late = 1, 3
    tables = [(results.prompts, "gram_sums", "r_v")]
    tables += [(results.rows, f"gram_sums_{window}", f"r_v_{window}") for window in ("prompt", "generated")]
    for table, sums, r_v in tables:
        centred, corrected = recomputed(table[sums], WINDOWS[0])
        for pr, kind in ((centred, "centred"), (corrected, "corrected")):
            expected = pr[:, late] / pr[:, early]
            np.testing.assert_allclose(table[f"{r_v}_{kind}"], expected, rtol=1e-3, err_msg=f"{r_v} {kind}")
    base = results.rows["arm"] == 0
    of_prompt = results.prompts["r_v_corrected"][results.pairs["base"][results.rows["pair"][base]]]
    np.testing.assert_allclose(results.rows["r_v_prompt_corrected"][base], of_prompt, rtol=1e-3)
