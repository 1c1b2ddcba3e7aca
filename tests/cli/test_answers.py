"""Answers of pairs and banks: their columns, where they are kept, what changes a sweep, and what is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from processes import call, outside_run, segments
from prompt_texts import write_pairs
from rvsweep_cli import read_results, sets

COLUMNS = {
    "logit_diff",
    "answer_in_text",
    *(f"answer_{what}_{side}" for what in ("prob", "rank") for side in ("source", "base")),
}
ARMS = ["sweep.arm=base", "sweep.arm=source", "sweep.arm=kv_cache layers=1:3", "sweep.control=other_base"]
SETTINGS = [*ARMS, "run.threads=1", "generation.samples=1", "generation.max_new_tokens=4"]
ANSWERS = [{"source": " you", "base": [" the", "The"]}, {"source": " you"}]


@pytest.fixture
def words(sweep, tmp_path):
    """words(command, pairs, *settings) of a job that differs from the fixture's in its pairs."""

    def of(command, pairs, *settings):
        prompts = write_pairs(tmp_path / "pairs.jsonl", pairs)
        return [
            sweep.binary,
            command,
            "--config",
            sweep.config,
            *sets([f"prompts.file={prompts}", *SETTINGS, *settings]),
        ]

    return of


def with_answers(sweep, answers=ANSWERS):
    return [
        pair | ({"answer": answers[i]} if i < len(answers) else {}) for i, pair in enumerate(sweep.pairs[:4])
    ]


def said(words, expect=0) -> str:
    done = call(words)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_columns_come_with_answers_and_stay_when_resumed(sweep, words, tmp_path):
    out, pairs = tmp_path / "out", with_answers(sweep)
    assert "primary   logit_diff" in said(words("plan", pairs, "study.primary=logit_diff"))
    said([*words("run", pairs), "--out", out])
    results = read_results(out / "results.h5")
    assert results.rows.columns.keys() >= COLUMNS
    assert results.pairs["answer_source"].tolist() == ['[" you"]', '[" you"]', "", ""]
    assert results.pairs["answer_base"].tolist() == ['[" the","The"]', "", "", ""]
    ok, pair = results.rows["status"] == "ok", results.rows["pair"]
    assert np.isfinite(results.rows["logit_diff"]).tolist() == (ok & (pair == 0)).tolist()
    assert (results.rows["answer_rank_source"] >= 0).tolist() == (ok & (pair <= 1)).tolist()
    controls = ok & (np.char.find(results.arms["label"].astype(str), "other_base") >= 0)[results.rows["arm"]]
    assert (controls & (pair == 0)).any()  # another pair's prompt gives, the answers are the pair's
    before = outside_run(out / "results.h5")
    segments(out)[0].unlink()
    said([*words("run", pairs), "--out", out])
    assert outside_run(out / "results.h5") == before
    said([*words("run", pairs, "sweep.arm=v_proj layers=1"), "--out", out, "--extend"])
    grown = read_results(out / "results.h5")
    old = np.isin(grown.rows["row_id"], results.rows["row_id"])
    np.testing.assert_array_equal(grown.rows["logit_diff"][old], results.rows["logit_diff"])
    assert np.isfinite(grown.rows["logit_diff"][~old]).sum() == 2  # the arm and its control


def test_answers_belong_to_the_sweep(sweep, words, tmp_path):
    out = tmp_path / "out"
    said([*words("run", with_answers(sweep)), "--out", out])
    changed = with_answers(sweep, [ANSWERS[0] | {"base": " the"}, ANSWERS[1]])
    for more in ([], ["--extend"]):
        told = said([*words("run", changed), "--out", out, *more], expect=2)
        assert f"pair {sweep.pairs[0]['pair']} has other answers" in told


def test_a_sweep_without_answers_has_no_columns_for_them_and_gets_none(sweep, words, tmp_path):
    out, plain = tmp_path / "out", sweep.pairs[:4]
    said([*words("run", plain), "--out", out])
    with h5py.File(out / "results.h5") as file:
        assert not COLUMNS & file["rows"].keys()
        assert not any("answer" in name for name in file["pairs"])
    told = said(words("plan", plain, "study.primary=logit_diff"), expect=2)
    assert 'study.primary is "logit_diff"' in told
    new = sweep.pairs[4] | {"answer": ANSWERS[0]}
    told = said([*words("run", [*plain, new]), "--out", out, "--extend"], expect=2)
    assert "no pair had an answer" in told


def test_what_is_wrong_with_an_answer_is_said_at_once(sweep, words):
    def told(answer, expect=2):
        return said(words("plan", with_answers(sweep, [{}, answer])), expect)

    assert "pairs.jsonl:2" in told({"source": "  "}) and '"source_answer"' in told({"source": "  "})
    assert '"answer" names a side "sorce"' in told({"sorce": " you"})
    alike = told({"source": " you", "base": [" you", " the"]}, expect=0)
    assert "answers of 1 of 4 pairs begin with the same token" in alike and sweep.pairs[1]["pair"] in alike


def test_a_bank_gives_the_answers_of_its_prompts(sweep, tmp_path):
    lines = [
        {"id": f"{group}{i}", "group": group, "text": pair[group]}
        | ({"answer": f" {group}"} if i == 0 else {})
        for i, pair in enumerate(sweep.pairs[:2])
        for group in ("source", "base")
    ]
    bank = write_pairs(tmp_path / "bank.jsonl", lines)
    settings = [
        "prompts.pairing=cross",
        "prompts.source_groups=source",
        "prompts.base_groups=base",
        f"prompts.file={bank}",
    ]
    out = tmp_path / "out"
    said([sweep.binary, "run", "--config", sweep.config, *sets([*SETTINGS, *settings]), "--out", out])
    results = read_results(out / "results.h5")
    known = ["source0~base0", "source0~base1"]
    assert [
        i for i, a in zip(results.pairs["id"], results.pairs["answer_source"]) if a == '[" source"]'
    ] == known
