"""Drawn directions and their gaussian controls beside the reference: a draw of each name, of the norms that it stands for."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import save_file

import random_arms
from parity_study import load
from prompt_texts import pairs_of_lengths
from random_arms import Job, Row
from random_study import near_ties, run_written, write_job
from reference_run import Trajectory
from row_spec import RowSpec

WINDOW, LAYER = 6, 2


def test_every_control_is_a_draw_of_its_own(rvsweep, tiny_model, tmp_path):
    loaded = load(tiny_model("llama"))
    file = tmp_path / "vectors.safetensors"
    layers, size = loaded.n_layers, loaded.model.config.hidden_size
    save_file({"direction": torch.randn(layers, size, generator=torch.Generator().manual_seed(3))}, file)
    added = dict(window=WINDOW, op="add", scale=3.0)
    arms = {
        "rand": RowSpec("resid_pre", (LAYER,), along="random", **added),
        "file": RowSpec("resid_pre", (LAYER,), along=str(file), **added),
        "orth": RowSpec("resid_pre", (LAYER,), along="random", orthogonal_to=str(file), **added),
    }
    lines = ["base", *(f"{random_arms.arm_line(arm, tmp_path / 'none', WINDOW)} label={name}" for name, arm in arms.items())]
    rows = [Row("base", RowSpec("base")), *(Row(name, arm) for name, arm in arms.items())]
    rows += [Row(f"{name} | gaussian", arm, "gaussian") for name, arm in arms.items()]
    job = Job(lines, [f"gaussian control_of={name}" for name in arms], rows, WINDOW, [])
    texts = pairs_of_lengths(loaded.tokenizer, [(9, 14), (14, 9), (11, 11)])
    folder = tmp_path / "study"
    folder.mkdir()
    with torch.no_grad():
        written = write_job(folder, loaded, job, texts, "none", 8, random_arms.Features(controls=(), readouts=()), [])
        study = run_written(rvsweep, folder / "out", loaded, written)
    assert len(study.rows) == len(rows) * len(texts)
    for row in study.rows:
        assert row.status == "ok" and isinstance(row.reference, Trajectory), row.name
        near_ties(row)
        actual = study.results.rows["change_norm"][row.index]
        np.testing.assert_allclose(actual, row.reference.proof.change_norm, rtol=1e-4, err_msg=row.name)
    kl = study.results.rows["kl_first"].reshape(len(texts), len(rows))[:, 1:]
    assert all(len(np.unique(of_pair)) == len(rows) - 1 for of_pair in kl), "two arms are one"
