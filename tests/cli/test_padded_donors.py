"""A donor whose last row stands at every position: PR is 1 at the patched layer whatever it says."""

from __future__ import annotations

import numpy as np

from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import run, sets
from rvsweep_cli import read_results

ARMS = [
    "base",
    "resid_pre layers=2 positions=all label=there",
    "resid_pre layers=2 positions=all direction=base_to_source label=back",
]


def test_every_patch_of_repeated_rows_has_the_same_geometry(sweep, tmp_path):
    prompts = write_pairs(tmp_path / "pairs.jsonl", pairs_of_lengths(sweep.tokenizer, [(30, 30), (28, 40), (40, 28)]))
    settings = [f"prompts.file={prompts}", "run.threads=1", "generation.max_new_tokens=2"]
    settings += [f"sweep.arm={arm}" for arm in ARMS] + ["sweep.control=last_row, other_source"]
    run(sweep.binary, "run", "--config", sweep.config, *sets(settings), "--out", tmp_path / "out")
    results = read_results(tmp_path / "out" / "results.h5")
    labels = results.arms["label"][results.rows["arm"]].astype(str)
    assert set(results.rows["status"]) == {"ok"}
    squares = results.rows["spectra_prompt"][:, 2].astype(float) ** 2
    pr = squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1)
    repeated = np.char.endswith(labels, "| last_row")
    assert repeated.sum() == 6
    np.testing.assert_allclose(pr[repeated], 1, rtol=1e-4)
    assert pr[~repeated].min() > 2
