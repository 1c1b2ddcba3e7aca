"""Logits of `rvsweep probe` in bfloat16 err no more than transformers' own in bfloat16: both against float32."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

import hf_reference as hf
import tiny_models
from parity_study import load
from prompt_texts import text_of_length
from rvsweep_cli import run

LENGTHS = (20, 33, 47, 64)


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_bfloat16_is_no_worse_than_transformers(rvsweep, tiny_model, family, tmp_path):
    """Root mean squares over several texts: an error in one logit is chance, and a twentieth of these still is. The reference has the rounded weights."""
    loaded = load(tiny_model(family))
    theirs = hf.load_model(loaded.folder, torch.bfloat16)
    exact = hf.load_model(loaded.folder, torch.bfloat16).float()
    errors = {"ours": [], "theirs": []}
    for length in LENGTHS:
        text = text_of_length(loaded.tokenizer, length, seed=700 + length)
        out = tmp_path / f"{length}.h5"
        run(rvsweep, "probe", "--model", loaded.folder, "--text", text, "--out", out, "--dtype", "bfloat16")
        ids = loaded.tokenizer.encode(text).ids
        right = hf.feed(exact, ids, 0).numpy()
        with h5py.File(out) as file:
            errors["ours"].append(file["logits"][()] - right)
        errors["theirs"].append(hf.feed(theirs, ids, 0).float().numpy() - right)
    ours, other = (float(np.sqrt(np.mean(np.concatenate(of) ** 2))) for of in errors.values())
    assert 0 < ours <= 1.05 * other, f"{ours:.4g}, transformers {other:.4g}"
