"""Prompts in a chat template, windows ending at the user's last token: rows of rvsweep beside the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import geometry
import random_arms
from parity_study import load
from prompt_texts import pairs_of_lengths
from random_arms import Job, Row
from random_study import RandomStudy, near_ties, run_written, write_job
from reference_run import Trajectory
from row_spec import Prompt, RowSpec

BEFORE, AFTER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"  # ChatML
WINDOW = 6
SETTINGS = ["prompts.template=chatml", "model.window_end=user_end"]


def read_in_template(tokenizer, text: str) -> Prompt:
    encoding = tokenizer.encode(BEFORE + text + AFTER)
    begin, end = len(BEFORE), len(BEFORE) + len(text)
    cut = [(max(a, begin) - begin, min(b, end) - begin) for a, b in encoding.offsets]
    inside = [span if span[0] < span[1] else (0, 0) for span in cut]
    last = max(i for i, (a, _) in enumerate(encoding.offsets) if a < end)
    return Prompt(text, tuple(encoding.ids), tuple(inside), last + 1)


@pytest.fixture(scope="module")
def study(rvsweep, demo_model, tmp_path_factory) -> RandomStudy:
    loaded = load(demo_model)
    folder = tmp_path_factory.mktemp("window_end") / "study"
    folder.mkdir()
    arms = [
        RowSpec("base"),
        RowSpec("source"),
        RowSpec("v_proj", (22,), window=WINDOW),
        RowSpec("v_proj", (20, 22), window=WINDOW, decode="persist", heads=(1,), alpha=0.5),
        RowSpec("resid_pre", (15,), window=WINDOW, window_policy="shrink"),
        RowSpec("kv_cache", tuple(range(15, 30)), window=WINDOW),
        RowSpec("kv_cache", tuple(range(15, 30)), window=WINDOW, entry="refeed", align="as_is"),
        RowSpec("resid_pre", (15,), site_positions=f"span:{random_arms.SPAN}"),
    ]
    rows = [Row(f"a{i}" if arm.patched else arm.kind, arm) for i, arm in enumerate(arms)]
    line_of = {row.label: random_arms.arm_line(row.arm, folder / "none", WINDOW) for row in rows if row.arm.patched}
    lines = ["base", "source", *(f"{line} label={label}" for label, line in line_of.items())]
    controls = ["gaussian, self control_of=a2"]
    rows += [Row(f"a2 | {name}", arms[2], name) for name in ("gaussian", "self")]
    texts = pairs_of_lengths(loaded.tokenizer, [(9, 14), (14, 9), (2, 12), (11, 11)])
    job = Job(lines, controls, rows, WINDOW, [])
    features = random_arms.Features(controls=(), readouts=())
    with torch.no_grad():
        written = write_job(folder, loaded, job, texts, "none", 8, features, SETTINGS)
        study = run_written(rvsweep, folder / "out", loaded, written, read_in_template)
        assert len(study.rows) == len(rows) * len(texts)
    return study


def test_prompts_have_the_templates_tokens(study):
    for pair in study.study.pairs:
        for side, prompt in (("base", pair.base), ("source", pair.source)):
            index = study.results.prompt(pair.id, side)
            assert tuple(study.results.prompts["tokens"][index]) == prompt.tokens
            assert study.results.prompts["text"][index] == prompt.text


def test_prompt_spectra_end_at_the_users_last_token(study):
    for row in study.rows:
        if row.row.arm.patched:
            continue
        prompt = row.made.recipient
        index = study.results.prompt(row.pair.id, row.row.arm.kind)
        rows = [v[: prompt.window_end].numpy() for v in row.reference.v_prompt]
        expected = geometry.window_spectra(rows, WINDOW)
        actual = study.results.prompts["spectra"][index]
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * np.nan_to_num(expected).max())


def test_rows_follow_the_reference(study):
    refused = [row for row in study.rows if row.status == "refused"]
    assert {row.row.label for row in refused} == {"a2", "a3", "a7", "a2 | gaussian", "a2 | self"}  # the user's text is short
    for row in study.rows:
        assert (row.status == "ok") == isinstance(row.reference, Trajectory), row.name
        if row.status != "ok":
            continue
        near_ties(row)
        proof = row.reference.proof
        assert study.results.rows["cells_changed"][row.index] == proof.cells_changed, row.name
        floor = 1e-5 * proof.written_norm
        actual = study.results.rows["change_norm"][row.index]
        np.testing.assert_allclose(actual, proof.change_norm, rtol=1e-4, atol=floor, err_msg=row.name)


def test_row_windows_end_at_the_users_last_token(study):
    for row in study.ran:
        after = len(row.made.recipient.tokens) - row.made.recipient.window_end
        rows = [v[: len(v) - after].numpy() for v in row.reference.v_prompt]
        expected = geometry.window_spectra(rows, WINDOW)
        actual = study.results.rows["spectra_prompt"][row.index]
        floor = 1e-4 * np.nan_to_num(expected).max()
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=floor, err_msg=row.name)
