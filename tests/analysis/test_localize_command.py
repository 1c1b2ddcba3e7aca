"""Localisation with the program: stages are extensions of one folder, decisions follow from what is committed there."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from prompt_texts import sentences
from scripts import ROOT, run_script

import rvsweep as package
from rvsweep.data.results import read_results

ARM = "kv_cache layers=0%:100%"
PAIRS = 24
SETTINGS = {
    "generation.max_new_tokens": 4, "model.window": 4, "generation.temperature": 0, "study.primary": "logprob_source",
    "run.threads": 1, "readouts.forced": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def pairs():
    texts = sentences(5, 2 * PAIRS)
    return [{"pair": f"p{at:02}", "source": texts[2 * at], "base": texts[2 * at + 1]} for at in range(PAIRS)]


@pytest.fixture(scope="module")
def job(rvsweep, tiny_model, pairs, tmp_path_factory):
    """A job file with arms and controls of its own, which are to be left out."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    arms = ["base", "kv_cache layers=1 label=own"]
    settings = {**SETTINGS, "sweep.control": "self control_of=own"}
    path = folder / "job.cfg"
    path.write_text(
        package.sweep(tiny_model("llama"), folder / "pairs.jsonl", arms, settings=settings).config
    )
    return path


def words(job, out, rows=2000, arm=ARM, more=("--axes", "layers")) -> list:
    return ["--config", job, "--arm", arm, "--rows", rows, "--out", out, *more]


def localized(job, out, **options) -> tuple[dict, str]:
    done = run_script("localize", *words(job, out, **options))
    assert done.returncode == 0, done.stderr
    return json.loads((out / "localize.json").read_text()), done.stdout


@pytest.fixture(scope="module")
def whole_run(job, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, *localized(job, out)


def test_estimates_are_those_of_the_full_grid(whole_run, job, pairs, tiny_model, tmp_path):
    """Layers one by one, in a sweep of their own: those reported are among them, with the same numbers to rounding."""
    out, record, table = whole_run
    study = package.sweep(
        tiny_model("llama"), pairs, ["base", "source", "kv_cache layers=each"], settings=SETTINGS
    ).run(tmp_path / "grid")
    patched = study.ok[study.ok["kind"] == "kv_cache"]
    rows = patched.pivot(index="pair", columns="layers", values="logprob_source")
    estimating = record["pairs"]["estimate"]
    assert (
        sorted(record["pairs"]["select"] + estimating) == sorted(rows.index) and len(estimating) == PAIRS // 2
    )
    single = [one for one in record["tried"] if one["layers"][1] - one["layers"][0] == 1]
    assert single and any(one["end"] and one["end"]["found"] for one in record["tried"])
    for one in single:
        of_layer = rows[str(one["layers"][0])]
        assert one["estimate"]["value"] == pytest.approx(of_layer[estimating].mean(), abs=1e-4)
        assert one["select"]["mean"] == pytest.approx(of_layer[record["pairs"]["select"]].mean(), abs=1e-4)
    whole = record["tried"][0]
    assert (
        whole["layers"] == [0, 5]
        and whole["within"] is None
        and whole["estimate"]["percent_of_gap"]["value"] > 50
    )
    used = len(read_results(out / "results.h5").rows["row_id"])
    assert record["rows"] == {"budget": 2000, "used": used}
    assert (
        "Tried, decided on 12 pairs" in table
        and "all was halved to the end" in table
        and f"{used} rows of 2000" in table
    )


def test_it_goes_on_after_a_kill_and_ends_alike(whole_run, job, tmp_path):
    """Killed within a bundle of a later stage, again before its results are merged, then by itself to the end."""
    out, record, _ = whole_run
    killed = tmp_path / "out"
    for segments in (2, 4):
        kill_at(job, killed, segments)
        assert not (killed / "localize.json").exists()
    assert localized(job, killed)[0] == record
    one, other = (read_results(folder / "results.h5").rows for folder in (out, killed))
    for name in ("row_id", "logprob_source", "text"):
        np.testing.assert_array_equal(one[name], other[name])
    (killed / "results.h5").unlink()
    assert localized(job, killed)[0] == record


def kill_at(job, out, segments: int) -> None:
    command = [sys.executable, ROOT / "analysis" / "localize.py", *map(str, words(job, out))]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while len(list((out / "segments").glob("*"))) < segments:
        assert running.poll() is None
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def test_a_larger_budget_goes_on_in_the_same_folder(whole_run, job, tmp_path):
    _, record, _ = whole_run
    small, table = localized(job, tmp_path / "out", rows=5 * PAIRS + 10)
    assert small["rows"]["used"] == 5 * PAIRS and "budget ended" in small["stopped"] and "not halved" in table
    larger, _ = localized(job, tmp_path / "out")
    assert [one["arm"] for one in larger["tried"]] == [one["arm"] for one in record["tried"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"more": ["--axes", "layers", "--set", "generation.max_new_tokens=5"]},
            "generation.max_new_tokens was",
        ),
        ({"arm": "kv_cache layers=0:5 what=v"}, "has another arm's rows"),
    ],
)
def test_another_jobs_folder_is_refused_and_stays(whole_run, job, change, message):
    out, record, _ = whole_run
    before = (out / "results.h5").read_bytes()
    done = run_script("localize", *words(job, out, **change))
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert (out / "results.h5").read_bytes() == before and json.loads(
        (out / "localize.json").read_text()
    ) == record


@pytest.mark.parametrize(
    ("arm", "axes", "found"),
    [
        (
            "kv_cache layers=1:3 positions=last:8",
            ["heads", "positions"],
            {"heads": [0, 2], "positions": [0, 8]},
        ),
        ("resid_pre layers=0:2 positions=span:2:5", ["layers"], {"heads": None, "positions": [2, 5]}),
        ("q_proj layers=0:2 positions=all", ["heads"], {"heads": [0, 4]}),
        (
            "resid_pre layers=0:2 op=project_out direction=random",
            ["layers"],
            {"layers": [0, 2], "heads": None},
        ),
        ("z layers=0:2 heads=1 window=2 label=mine", ["layers"], {"heads": None, "positions": None}),
    ],
)
def test_what_can_be_halved_follows_from_the_arm(job, arm, axes, found, tmp_path):
    record, _ = localized(job, tmp_path / "out", rows=5 * PAIRS, arm=arm, more=["--axes", *axes])
    assert {axis: record["tried"][0][axis] for axis in found} == found
    for one in record["tried"][1:]:
        begin, end = one[one["axis"]]
        assert one["axis"] in axes and (end - begin) * 2 <= np.diff(record["tried"][0][one["axis"]])[0] + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": "kv_cach layers=0:5"}, 'unknown arm "kv_cach": did you mean kv_cache'),
        ({"arm": "kv_cache layers=0:1+3:4"}, "give one patch with its settings, in one range of layers"),
        ({"arm": "kv_cache layers=0:5 & v_proj layers=1"}, "give one patch"),
        ({"arm": "kv_cache layers=each"}, "is 5 arms: give one"),
        (
            {"arm": "kv_cache layers=0:5 positions=span:200:300"},
            "no pair can be patched: positions=span:200:300 selects",
        ),
        ({"more": ["--primary", "logit_dif"]}, "logit_dif"),
        ({"more": ["--primary", "kl_first"]}, "it cannot be below 0"),
        ({"more": ["--primary", "none"]}, "no primary read-out"),
        ({"rows": 5 * PAIRS - 1}, f"are {5 * PAIRS} rows: give at least as many"),
        ({"more": ["--error", "0"]}, "must be above 0 and below 1"),
        ({"more": ["--error", "0.0001"]}, "12 prompts in one half of the pairs"),
    ],
)
def test_mistakes_are_told_before_anything_runs(job, options, message, tmp_path):
    done = run_script("localize", *words(job, tmp_path / "out", **options))
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()
