"""Arms that are meant for some pairs alone: what is planned, that it does not depend on ranks, how it grows and is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from processes import call, outside_run, segments
from prompt_texts import write_pairs
from rvsweep_cli import read_results, sets

ROOT = Path(__file__).resolve().parents[2]
ARMS = ["base", "source", "kv_cache layers=1:3 label=x", "v_proj layers=2 pairs=sea~* label=y", "kv_cache layers=0 label=z"]
SETTINGS = [f"sweep.arm={arm}" for arm in ARMS] + ["sweep.control=self", "sweep.control=full_swap"]
SMALL = ["run.threads=1", "generation.samples=2", "generation.max_new_tokens=4", "sweep.bundle_rows=8"]


def pairs_of(sweep, *lists):
    """Six pairs, the first three with sources of the group sea, some with their arms."""
    pairs = [pair | {"source_group": "sea" if i < 3 else "sky"} for i, pair in enumerate(sweep.pairs[:6])]
    return [pair | ({"arms": arms} if arms else {}) for pair, arms in zip(pairs, [*lists, *[None] * 6])]


@pytest.fixture
def words(sweep, tmp_path):
    def of(command, pairs, *more, settings=SETTINGS):
        prompts = write_pairs(tmp_path / "pairs.jsonl", pairs)
        given = sets([f"prompts.file={prompts}", *SMALL, *settings])
        return [sweep.binary, command, "--config", sweep.config, *given, *more]

    return of


def said(words, expect=0, ranks=0) -> str:
    done = call(words, ranks)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(results) -> list[tuple[int, str]]:
    rows = zip(results.rows["pair"], results.rows["arm"], results.rows["sample"])
    return sorted((int(pair), str(results.arms["label"][arm])) for pair, arm, sample in rows if sample == 0)


def expected(lists: dict[int, list[str]]) -> list[tuple[int, str]]:
    rows = []
    for pair in range(6):
        asked = [label for label in "xyz" if (label != "y" or pair < 3) and label in lists.get(pair, "xyz")]
        rows += [(pair, label) for label in ("base", "source", *asked, *(f"{label} | self" for label in asked))]
        rows += [(pair, "full_swap")] if set(asked) & {"x", "z"} else []
    return sorted(rows)


def test_rows_are_those_that_are_asked_for(sweep, words, tmp_path):
    pairs, out = pairs_of(sweep, ["x"], ["y"], None, ["x", "z"]), tmp_path / "one"
    facts = json.loads(said(words("plan", pairs, "--json")))
    said(words("run", pairs, "--out", out))
    results = read_results(out / "results.h5")
    assert planned(results) == expected({0: ["x"], 1: ["y"], 3: ["x", "z"]})
    assert facts["rows"] == len(results.rows["arm"])
    assert results.pairs["arms"].tolist() == ['["x"]', '["y"]', "", '["x","z"]', "", ""]
    said(words("run", pairs, "--out", tmp_path / "three"), ranks=3)
    assert outside_run(tmp_path / "three" / "results.h5") == outside_run(out / "results.h5")
    said([sweep.binary, "verify", out])
    chosen = next(i for i, arm in enumerate(results.rows["arm"]) if results.arms["label"][arm] == "y")
    said([sweep.binary, "replay", out, "--row", f"{results.rows['row_id'][chosen]:016x}"])
    said([sweep.binary, "merge", out, "--partial", "-o", tmp_path / "partial.h5"])
    assert planned(read_results(tmp_path / "partial.h5")) == planned(results)
    report = [sys.executable, ROOT / "analysis" / "report.py", out / "results.h5", "-o", tmp_path / "report.html"]
    done = subprocess.run(list(map(str, report)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ok = results.rows["status"] == "ok"
    assert "failed" not in done.stdout.lower() and ok.any()


def test_rows_have_the_bits_of_the_same_rows_elsewhere(sweep, words, tmp_path):
    """Of arms without pairs= the ids too."""
    said(words("run", pairs_of(sweep, ["x"], ["z"]), "--out", tmp_path / "some"))
    said(words("run", pairs_of(sweep), "--out", tmp_path / "all"))
    some, every = (read_results(tmp_path / name / "results.h5") for name in ("some", "all"))
    assert np.isin(some.rows["row_id"], every.rows["row_id"]).all()
    assert len(some.rows["row_id"]) < len(every.rows["row_id"])


def test_more_may_be_asked_for_and_never_less(sweep, words, tmp_path):
    out, small = tmp_path / "out", pairs_of(sweep, ["x"], ["x"])
    said(words("run", small, "--out", out))
    before = read_results(out / "results.h5")
    larger = pairs_of(sweep, ["x", "z"])
    told = said(words("run", larger, "--out", out), expect=2)
    assert f"pair {sweep.pairs[0]['pair']} is asked for other arms" in told
    said(words("run", larger, "--out", out, "--extend"))
    grown = read_results(out / "results.h5")
    assert planned(grown) == expected({0: ["x", "z"]})
    place = {row: i for i, row in enumerate(grown.rows["row_id"])}
    kept = [place[row] for row in before.rows["row_id"]]
    np.testing.assert_array_equal(grown.rows["tokens"][kept], before.rows["tokens"])
    told = said(words("run", small, "--out", out, "--extend"), expect=2)
    assert f"pair {sweep.pairs[0]['pair']} is no more asked for arm z" in told


def test_what_nobody_could_mean_is_refused(sweep, words):
    pairs = pairs_of(sweep)
    told = said(words("plan", pairs_of(sweep, None, ["x", "w"])), expect=2)
    assert 'pairs.jsonl:2: "arms": no arm has the label "w"' in told
    arm = "sweep.arm=v_proj layers=2 pairs=see~base label=q"
    told = said(words("plan", pairs, settings=["sweep.arm=base", arm]), expect=2)
    assert 'arm "q": no pair is of pairs=see~base' in told and "sea~base" in told


def test_a_sweep_that_grew_goes_on_and_replays(sweep, words, tmp_path):
    """Its first rows are planned again as their pairs asked then."""
    out, larger = tmp_path / "out", pairs_of(sweep)
    said(words("run", pairs_of(sweep, ["x"], ["x"], ["x"]), "--out", out))
    said(words("run", larger, "--out", out, "--extend"))
    grown = outside_run(out / "results.h5")
    rows = read_results(out / "results.h5").rows
    for row in rows["row_id"][rows["status"] == "ok"][::9]:
        assert "identical in all" in said([sweep.binary, "replay", out, "--row", f"{row:016x}"])
    segments(out)[-1].unlink()
    (out / "results.h5").unlink()
    said(words("run", larger, "--out", out))
    assert outside_run(out / "results.h5") == grown
