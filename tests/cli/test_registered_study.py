"""What a study registers before it runs: its [study] section, what of it cannot succeed, clusters of prompts, and pairs
matched by length and log-probability."""

from __future__ import annotations

import json
import random

import h5py
import numpy as np
import pytest

from rvsweep.data.results import read_results as read_for_report
from rvsweep.stats.equivalence import Margin, registered_margin
from processes import call, outside_run
from prompt_texts import text_of_length, write_pairs
from rvsweep_cli import read_results, write_config

PAIRS = 5


@pytest.fixture(scope="module")
def job(sweep, tmp_path_factory):
    """words(command, *settings) of a small study; every text has 20 to 24 tokens."""
    folder = tmp_path_factory.mktemp("study")
    pairs = [
        {
            "pair": f"p{i}",
            **{
                side: text_of_length(sweep.tokenizer, 20 + i, 10 * i + s)
                for s, side in enumerate(("source", "base"))
            },
        }
        for i in range(PAIRS)
    ]
    arms = ["base", "source", "kv_cache layers=0:2", "kv_cache layers=2:4", "v_proj layers=1"]
    model = next(
        line.split(" = ")[1] for line in sweep.config.read_text().splitlines() if line.startswith("path")
    )
    config = write_config(
        folder / "job.cfg", model, write_pairs(folder / "pairs.jsonl", pairs), arms, 1, 3, 4
    )

    def words(command, *settings):
        sets = [word for setting in settings for word in ("--set", setting)]
        return [sweep.binary, command, "--config", config, "--set", "run.threads=1", *sets]

    return words, pairs, folder


def said(words, expect=0) -> str:
    done = call(words)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_plan_says_what_cannot_succeed(job):
    words, *_ = job
    told = said(words("plan"))
    assert f"tests     3 patched arms on {PAIRS} pairs" in told
    assert "no p over all arms (Holm) can be below 0.19" in told  # 3 * 2 / 2^5
    assert "no equivalence within d_z 0.2 can be shown below 68 pairs" in told
    assert "below" not in said(words("plan", "study.margin=gap:0.1", "sweep.arm=base"))
    facts = json.loads(said([*words("plan", "study.margin=d_z:0.5"), "--json"]))["study"]
    assert facts == {"tested_arms": 3, "pairs": 5, "smallest_p": 3 / 16, "equivalence_pairs": 11}
    assert Margin("d_z", 0.5).fewest_pairs == 11 and Margin().fewest_pairs == 68


def test_pairs_of_shared_prompts_are_tested_otherwise(job):
    words, pairs, folder = job
    shared = write_pairs(folder / "shared.jsonl", [pair | {"base": pairs[0]["base"]} for pair in pairs])
    assert "Holm" not in said(words("plan", f"prompts.file={shared}"))
    clustered = write_pairs(folder / "clustered.jsonl", [pair | {"cluster": {"base": "t"}} for pair in pairs])
    assert "Holm" not in said(words("plan", f"prompts.file={clustered}"))


def test_a_primary_read_out_that_is_not_read_out_is_refused(job):
    words, *_ = job
    told = said(words("plan", "study.primary=logprob_source"), expect=2)
    assert 'study.primary is "logprob_source"' in told and "kl_first" in told and "[readouts]" in told
    assert "primary   kl_first" in said(words("plan", "study.primary=kl_first"))
    assert "primary   logprob_source" in said(
        words("plan", "study.primary=logprob_source", "readouts.forced=true")
    )


def test_the_study_belongs_to_the_sweep(job, tmp_path):
    words, *_ = job
    settings = [
        "study.title=Three bands",
        "study.question=Which, if any?",
        "study.primary=kl_first",
        "study.margin=d_z:0.5",
    ]
    said([*words("run", *settings), "--out", tmp_path])
    results = read_for_report(tmp_path / "results.h5")
    assert registered_margin(results) == Margin("d_z", 0.5)
    config = results.attributes["config"]
    assert config.startswith(
        "[study]\ntitle = Three bands\nquestion = Which, if any?\nprimary = kl_first\nmargin = d_z:0.5\n"
    )
    before = outside_run(tmp_path / "results.h5")
    told = said(
        [*words("run", *settings[:2], "study.primary=lse_difference", settings[3]), "--out", tmp_path],
        expect=2,
    )
    assert 'study.primary was "kl_first", is now "lse_difference"' in told
    assert outside_run(tmp_path / "results.h5") == before


def test_clusters_are_stored_and_join_pairs(job, tmp_path):
    words, pairs, _ = job
    written = [
        pair | {"cluster": {"source": f"template {i % 2}", "base": ""}} for i, pair in enumerate(pairs)
    ]
    prompts = write_pairs(tmp_path / "pairs.jsonl", written)
    settings = [f"prompts.file={prompts}", "sweep.arm=base"]
    out = tmp_path / "out"
    said([*words("run", *settings), "--out", out])
    results = read_results(out / "results.h5")
    side = results.pairs["source"]
    assert results.prompts["cluster"][side].tolist() == [f"template {i % 2}" for i in range(PAIRS)]
    assert set(results.prompts["cluster"][results.pairs["base"]]) == {""}
    clusters = read_for_report(out / "results.h5").clusters
    assert clusters.sources == 2 and clusters.bases == PAIRS
    said([*words("run", *settings, "sweep.arm=source"), "--out", out, "--extend"])
    assert read_results(out / "results.h5").prompts["cluster"].tolist() == results.prompts["cluster"].tolist()
    write_pairs(prompts, [pair | {"cluster": "other"} for pair in pairs])
    told = said([*words("run", *settings, "sweep.arm=source"), "--out", out, "--extend"], expect=2)
    assert "pair p0 has another source" in told


@pytest.fixture(scope="module")
def bank(sweep, tmp_path_factory):
    """A bank of 30 and 40 prompts, and results that give each a log-probability."""
    folder = tmp_path_factory.mktemp("bank")
    draw = random.Random(6)
    prompts = [
        {
            "id": f"{group}{n}",
            "group": group,
            "text": text_of_length(sweep.tokenizer, draw.randint(16, 40), 500 + 50 * len(group) + n),
        }
        for group, count in (("s", 30), ("base", 40))
        for n in range(count)
    ]
    (folder / "bank.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    lists = [np.array([np.nan, *(-draw.random() * 6 for _ in range(5))], np.float32) for _ in prompts]
    with h5py.File(folder / "before.h5", "w") as file:
        file.create_dataset(
            "prompts/text", data=[p["text"] for p in prompts], dtype=h5py.string_dtype("utf-8")
        )
        logprob = file.create_dataset("prompts/logprob", (len(lists),), dtype=h5py.vlen_dtype(np.float32))
        for place, values in enumerate(lists):
            logprob[place] = values
    means = {p["id"]: float(np.mean(values[1:].astype(float))) for p, values in zip(prompts, lists)}
    lengths = {p["id"]: len(sweep.tokenizer.encode(p["text"]).ids) for p in prompts}
    return folder, lengths, means


def greedily(lengths: dict[str, int], means: dict[str, float], caliper: float) -> set[str]:
    """The closest two first, then the closest of those left, within the caliper on both measures."""
    scale = np.std(list(lengths.values()), ddof=1), np.std(list(means.values()), ddof=1)
    left = [(s, b) for s in lengths if s.startswith("s") for b in lengths if b.startswith("base")]
    found = set()
    apart = lambda s, b: (abs(lengths[s] - lengths[b]) / scale[0], abs(means[s] - means[b]) / scale[1])
    left = [pair for pair in left if max(apart(*pair)) <= caliper]
    while left:
        s, b = min(left, key=lambda pair: np.hypot(*apart(*pair)))
        found.add(f"{s}~{b}")
        left = [pair for pair in left if s not in pair and b not in pair]
    return found


def test_pairs_are_matched_by_length_and_log_probability(job, bank):
    words, *_ = job
    folder, lengths, means = bank
    settings = [f"prompts.file={folder / 'bank.jsonl'}", "prompts.pairing=matched", "prompts.source_groups=s"]
    settings += ["prompts.base_groups=base", f"prompts.matched_on={folder / 'before.h5'}", "sweep.arm=base"]
    for caliper in (0.2, 0.7):
        listed = call([*words("plan", *settings, f"prompts.caliper={caliper}"), "--list"])
        found = {json.loads(line)["pair"] for line in listed.stdout.splitlines()}
        assert found == greedily(lengths, means, caliper) and 0 < len(found) < 30
        assert f"{len(found)} of 30 possible pairs are within {caliper} standard deviations" in listed.stderr
    assert "without prompts.matched_on" in said(words("plan", *settings, "prompts.matched_on=none"), expect=2)
    assert "widen it" in said(words("plan", *settings, "prompts.caliper=0.0001"), expect=2)
    with h5py.File(folder / "none.h5", "w") as file:
        file.create_group("prompts")
    told = said(words("plan", *settings, f"prompts.matched_on={folder / 'none.h5'}"), expect=2)
    assert "no /prompts/logprob" in told and "readouts.prompt_logprob" in told
    assert "no such file" in said(words("plan", *settings, "prompts.matched_on=nowhere.h5"), expect=2).lower()
