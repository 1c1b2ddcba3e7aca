"""What rows of rvsweep must satisfy among themselves, whatever the model: the reference's own are in
test_reference_itself.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import random_arms
from explicit_model import SITES
from parity_study import load
from prompt_texts import text_of_length
from random_arms import Job
from random_study import RandomStudy, run_written, write_job

SELECTIONS = ("all", "last:7", "not_bos", "first:5")
LAST = "positions=last:9"
GROWTHS = list(itertools.product(("hold_last", "refeed"), ("append", "frozen", "compound")))
ARMS = {
    "base": "base",
    "source": "source",
    **{f"cache_{p.split(':')[0]}": f"kv_cache layers=1:4 positions={p}" for p in SELECTIONS},
    **{f"nothing_{site}": f"{site} layers=1:3 alpha=0" for site in SITES},
    "nothing_of_the_cache": f"kv_cache layers=1:4 {LAST} alpha=0",
    **{site: f"{site} layers=1+3" for site in SITES},
    "back": "kv_cache layers=1:4 direction=base_to_source",
    "as_is": "kv_cache layers=1:4 align=as_is",
    "matched": "kv_cache layers=1:4 align=matched",
}
for entry, growth in GROWTHS:
    way = f"kv_cache layers=1:4 {LAST} entry={entry} growth={growth}"
    for name in ("what=k", "what=v", "heads=0", "heads=1"):
        ARMS[f"{entry}_{growth}_{name}"] = f"{way} {name}"
    ARMS[f"{entry}_{growth}_whole"] = f"{way} what=kv heads=0+1"
CONTROLS = ["self", "reverse", "full_swap"]


@pytest.fixture(scope="module", params=["llama", "llama31", "qwen2"])
def study(request, rvsweep, tiny_model, tmp_path_factory) -> RandomStudy:
    """Prompts that end in the same word, so that a full swap is the donor's own continuation."""
    loaded = load(tiny_model(request.param))
    texts = []
    for index, (n, m) in enumerate([(20, 30), (26, 26), (30, 20)]):
        sides = {side: text_of_length(loaded.tokenizer, size, 70 + 2 * index + (side == "base")) + " and"
                 for side, size in (("base", n), ("source", m))}  # fmt: skip
        texts.append({"pair": f"{n}-{m}", **sides})
    folder = tmp_path_factory.mktemp("invariants") / "study"
    folder.mkdir()
    lines = [line if line in ("base", "source") else f"{line} label={label}" for label, line in ARMS.items()]
    job = Job(lines, CONTROLS, [], 8, [])
    features = random_arms.Features(readouts=("first_token", "forced"))
    written = write_job(folder, loaded, job, texts, texts[0]["base"], 10, features)
    return run_written(rvsweep, folder / "out", loaded, written)


def row(study: RandomStudy, pair, label: str) -> dict:
    """Its columns."""
    index = study.results.row(pair.id, list(study.results.arms["label"]).index(label))
    columns = {name: values[index] for name, values in study.results.rows.columns.items()}
    assert columns["status"] == "ok", f"{pair.id}, {label}: {columns['status']} {columns['reason']}"
    return columns


def assert_same_run(a: dict, b: dict) -> None:
    """Tokens, and geometry to rounding."""
    assert a["tokens"].tolist() == b["tokens"].tolist()
    for name in ("spectra_prompt", "spectra_generated"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-4 * np.nan_to_num(b[name]).max())


def assert_is_base(study: RandomStudy, pair, label: str) -> None:
    patched = row(study, pair, label)
    assert_same_run(patched, row(study, pair, "base"))
    for name in ("kl_first", "kl_forced_base", "kl_forced_source", "logprob_base", "logprob_source"):
        assert abs(patched[name]) < 1e-4, f"{pair.id}, {label}: {name} {patched[name]}"


SELF = [label for label in ARMS if label in SITES or label.startswith("cache_")]
NOTHING = [label for label in ARMS if label.startswith("nothing")]


@pytest.mark.parametrize("label", [*(f"{label} | self" for label in SELF), *NOTHING])
def test_rows_that_must_be_base(study, label):
    for pair in study.study.pairs:
        assert_is_base(study, pair, label)
        assert row(study, pair, label)["cells_changed"] > 0


def test_other_rows_are_not_base(study):
    for pair in study.study.pairs:
        for label in (*SITES, *(name for name in ARMS if name.startswith("cache"))):
            assert row(study, pair, label)["kl_forced_base"] > 1e-3, f"{pair.id}, {label}"


def test_full_swap_is_the_donors_continuation(study):
    for pair in study.study.pairs:
        assert pair.base.tokens[-1] == pair.source.tokens[-1]
        assert row(study, pair, "full_swap")["tokens"].tolist() == row(study, pair, "source")["tokens"].tolist()
        back = row(study, pair, "full_swap base_to_source")
        assert back["tokens"].tolist() == row(study, pair, "base")["tokens"].tolist()


@pytest.mark.parametrize("way", ["_".join(way) for way in GROWTHS])
@pytest.mark.parametrize("parts", [("what=k", "what=v"), ("heads=0", "heads=1")])
def test_parts_add_up(study, way, parts):
    """Keys and values count as one cell, heads as one each; squared changes add."""
    for pair in study.study.pairs:
        whole = row(study, pair, f"{way}_whole")
        pieces = [row(study, pair, f"{way}_{part}") for part in parts]
        counted = sum(piece["cells_changed"] for piece in pieces)
        assert counted == whole["cells_changed"] * (2 if parts[0] == "what=k" else 1)
        squares = sum(piece["change_norm"] ** 2 for piece in pieces)
        np.testing.assert_allclose(squares, whole["change_norm"] ** 2, rtol=1e-6)


def test_reversing_twice_changes_nothing(study):
    for pair in study.study.pairs:
        there, back = row(study, pair, "cache_all"), row(study, pair, "back | reverse")
        assert_same_run(there, back)
        np.testing.assert_allclose(there["change_norm"], back["change_norm"], rtol=1e-6)
        assert_same_run(row(study, pair, "cache_all | reverse"), row(study, pair, "back"))


def test_alignments_agree_on_equal_lengths(study):
    (pair,) = [p for p in study.study.pairs if len(p.base.tokens) == len(p.source.tokens)]
    for label in ("as_is", "matched"):
        assert_same_run(row(study, pair, "cache_all"), row(study, pair, label))
        assert row(study, pair, "cache_all")["change_norm"] == row(study, pair, label)["change_norm"]
