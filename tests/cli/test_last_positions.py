"""Prompts that reach the end of the model's positions, learned as in GPT-2: they cost their own rows alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import read_results, sets, sweep, write_config

POSITIONS, NEW = 64, 8
ARMS = ["base", "source", "kv_cache layers=1:4 positions=last:8 align=as_is"]


@pytest.fixture(scope="module")
def short_model(tiny_model, tmp_path_factory):
    """The tiny GPT-2 with its first 64 positions."""
    model = shutil.copytree(tiny_model("gpt2"), tmp_path_factory.mktemp("short") / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"n_positions": POSITIONS}))
    weights = load_file(model / "model.safetensors")
    for name in [name for name in weights if name.endswith("wpe.weight")]:
        weights[name] = weights[name][:POSITIONS].clone()
    save_file(weights, model / "model.safetensors")
    return model


@pytest.fixture
def rows_of(rvsweep, short_model, tmp_path):
    """Rows of a sweep over bases and sources of these lengths: status, and columns by pair and arm."""

    def run(lengths, *settings, arms=ARMS):
        tokenizer = Tokenizer.from_file(str(short_model / "tokenizer.json"))
        folder = tmp_path / f"{len(lengths)}{len(settings)}"
        folder.mkdir()
        prompts = write_pairs(folder / "pairs.jsonl", pairs_of_lengths(tokenizer, lengths))
        config = write_config(folder / "job.cfg", short_model, prompts, arms, 1, 3, NEW)
        return sweep(rvsweep, folder, config, settings)

    return run


def test_a_prompt_near_the_end_fails_no_companion(rows_of):
    """Padding rows, texts read again and references go on where the model's positions end."""
    lengths = [(25, 30), (20, 60), (50, 22)]  # a source that leaves 4 positions, a base that leaves 14
    results = rows_of(lengths, "readouts.forced=true", "readouts.reencode=true")
    of_pair = lambda name: results.rows[name].reshape(3, len(ARMS))
    assert of_pair("status").tolist() == [["ok"] * 3, ["ok", "refused", "ok"], ["ok"] * 3]
    assert np.isfinite(of_pair("kl_forced_base")[:, 0]).all()
    other = of_pair("kl_forced_source")
    assert np.isfinite(other[[0, 2]]).all(), "the continuations of short prompts"
    assert np.isnan(other[1]).all(), "source's continuation would go beyond the model"
    alone = rows_of([lengths[0]], "readouts.forced=true", "readouts.reencode=true")
    for name in ("kl_forced_source", "logprob_source", "r_v_reencoded"):
        np.testing.assert_allclose(of_pair(name)[0], alone.rows[name], rtol=2e-3, atol=2e-5)


def test_the_mean_is_over_prompts_that_the_model_can_read(rows_of):
    arms, control = ARMS[:1] + ["kv_cache layers=1:4 align=as_is label=x"], "sweep.control=mean"
    with_long = rows_of([(25, 30), (20, 28), (22, 70)], control, arms=arms)
    without = rows_of([(25, 30), (20, 28)], control, arms=arms)
    means = [place for place, arm in enumerate(without.rows["arm"]) if "mean" in without.arms["label"][arm]]
    assert (without.rows["status"][means] == "ok").all() and len(means) == 2
    for name in ("change_norm", "kl_first"):
        np.testing.assert_allclose(with_long.rows[name][means], without.rows[name][means], rtol=1e-4)
