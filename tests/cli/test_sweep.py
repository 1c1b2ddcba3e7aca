"""A whole sweep on a tiny model: the same results.h5 for any number of ranks and after any interruption."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash
from tokenizers import Tokenizer

from processes import Running, call, differing, files, flip_byte, outside_run, segments
from prompt_texts import pairs_of_lengths, text_of_length, write_pairs
from rvsweep_cli import Results, read_results, write_config

ARMS = [
    "base",
    "source",
    "v_proj layers=3 decode=persist",
    "preset:notebook_c_v2 layers=2:5",
    "kv_cache layers=2:5 direction=base_to_source",
    "kv_cache layers=0:5",
]
SAMPLES = 2
MAX_NEW_TOKENS = 40
LENGTHS = [(20, 30), (33, 40), (17, 60), (25, 25), (61, 18), (80, 47)] * 3
TOO_LONG = 1100  # the model has 1,024 positions


@dataclass
class Sweep:
    """A job on the disk; `run` and its kin take further words of the command line."""

    binary: Path
    config: Path
    pairs: list[dict[str, str]]

    def words(self, out: Path, *more: str) -> list[str | Path]:
        settings = [
            "generation.temperature=0.9",
            "generation.top_p=0.95",
            f"generation.samples={SAMPLES}",
            "run.threads=1",
            "sweep.bundle_rows=8",
            "sweep.seed=7",
        ]
        sets = [word for setting in settings for word in ("--set", setting)]
        where = ["--out", out, "--device", "cpu", "--dtype", "float32"]
        return [self.binary, "run", "--config", self.config, *where, *sets, *more]

    def run(self, out: Path, *more: str, ranks: int = 0, expect: int = 0):
        result = call(self.words(out, *more), ranks)
        assert result.returncode == expect, f"exit {result.returncode}, not {expect}\n{result.stderr}"
        return result

    def call(self, command: str, *words: str | Path, expect: int = 0):
        result = call([self.binary, command, *words])
        assert result.returncode == expect, f"exit {result.returncode}, not {expect}\n{result.stdout}{result.stderr}"
        return result

    def status(self, out: Path) -> dict:
        return json.loads(self.call("status", out, "--json").stdout)


@dataclass
class Finished:
    out: Path
    content: dict[str, object]
    results: Results

    @property
    def n_bundles(self) -> int:
        return len(segments(self.out))


def with_odd_prompts(pairs: list[dict[str, str]], tokenizer: Tokenizer) -> list[dict[str, str]]:
    """Pairs with rows that are refused: an empty prompt, too long ones, prompts shorter than the window."""
    long_text = text_of_length(tokenizer, TOO_LONG, seed=91)
    return pairs + [
        {"pair": "empty base", "source": pairs[0]["source"], "base": ""},
        {"pair": "long source", "source": long_text, "base": pairs[1]["base"]},
        {"pair": "short", "source": text_of_length(tokenizer, 9, seed=92), "base": pairs[2]["base"]},
    ]


@pytest.fixture(scope="module")
def sweep(rvsweep, tiny_model, tmp_path_factory) -> Sweep:
    model, folder = tiny_model("llama"), tmp_path_factory.mktemp("sweep")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    pairs = with_odd_prompts(pairs_of_lengths(tokenizer, LENGTHS), tokenizer)
    prompts = write_pairs(folder / "pairs.jsonl", pairs)
    return Sweep(rvsweep, write_config(folder / "job.cfg", model, prompts, ARMS, 1, 3, MAX_NEW_TOKENS), pairs)


@pytest.fixture(scope="module")
def finished(sweep, tmp_path_factory) -> Finished:
    """The sweep in one go, without mpirun; tests must not change its folder."""
    out = tmp_path_factory.mktemp("finished") / "out"
    sweep.run(out)
    return Finished(out, outside_run(out / "results.h5"), read_results(out / "results.h5"))


@pytest.fixture
def copy_of_finished(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished.out, tmp_path / "copy"))


def assert_same_results(out: Path, finished: Finished) -> None:
    assert differing(outside_run(out / "results.h5"), finished.content) == []


def assert_partly_done(out: Path, finished: Finished) -> None:
    assert 0 < len(segments(out)) < finished.n_bundles
    assert not (out / "results.h5").exists()


# What the sweep is


def test_the_reference_covers_what_matters(finished):
    """Enough bundles for several ranks, sampled rows that differ, both reasons to stop, refused rows."""
    rows = finished.results.rows
    assert finished.n_bundles >= 20
    assert set(rows["status"]) == {"ok", "refused"}
    assert set(rows["stop_reason"][rows["status"] == "ok"]) == {"eos", "length"}
    firsts = rows["tokens"][rows["sample"] == 0], rows["tokens"][rows["sample"] == 1]
    assert (firsts[0] != firsts[1]).any(axis=1).mean() > 0.5


def test_row_ids_are_hashes_of_pair_arm_and_sample(finished):
    rows, arms, pairs = finished.results.rows, finished.results.arms, finished.results.pairs
    for row, row_id in enumerate(rows["row_id"]):
        fields = pairs["id"][rows["pair"][row]], arms["spec"][rows["arm"][row]], str(rows["sample"][row])
        assert row_id == xxhash.xxh3_64_intdigest("\0".join(fields).encode())
    assert len(set(rows["row_id"])) == len(rows["row_id"]) == len(finished.results.pairs["id"]) * len(ARMS) * SAMPLES


def test_plan_lists_the_rows_of_the_results(sweep, finished):
    words = [word for word in sweep.words(Path("unused")) if word not in ("run", "--out", Path("unused"))]
    listed = [json.loads(line) for line in sweep.call("plan", *words[1:], "--list").stdout.splitlines()]
    rows, arms, pairs = finished.results.rows, finished.results.arms, finished.results.pairs
    assert len(listed) == len(rows["row_id"])
    for row, line in enumerate(listed):
        refused = rows["status"][row] == "refused"
        assert line["row_id"] == f"{rows['row_id'][row]:016x}"
        assert line["pair"] == pairs["id"][rows["pair"][row]]
        assert line["arm"] == arms["label"][rows["arm"][row]]
        assert line["spec"] == arms["spec"][rows["arm"][row]]
        assert line["sample"] == rows["sample"][row]
        assert line["status"] == ("refused" if refused else "planned")
        assert line.get("reason", "") == rows["reason"][row]


def test_refused_rows_say_why_and_hold_nothing(sweep, finished):
    rows, pairs, arms = finished.results.rows, finished.results.pairs, finished.results.arms
    refused = np.flatnonzero(rows["status"] == "refused")
    reasons = {
        (pairs["id"][rows["pair"][row]], arms["kind"][rows["arm"][row]], int(rows["arm"][row])): rows["reason"][row]
        for row in refused
    }
    everything_of_the_empty_base = {("empty base", arms["kind"][a], a) for a in (0, 2, 3, 4, 5)}
    beyond_the_positions = {("long source", arms["kind"][a], a) for a in (1, 2, 4, 5)}  # the preset cuts at 512
    assert set(reasons) == everything_of_the_empty_base | beyond_the_positions | {("short", "v_proj", 2)}
    for (pair, _, _), reason in reasons.items():
        assert {"empty base": "empty", "long source": "1024", "short": "16 tokens"}[pair] in reason
    assert (rows["tokens"][refused] == -1).all() and (rows["n_generated"][refused] == -1).all()
    assert np.isnan(rows["spectra_prompt"][refused]).all()
    assert not any(rows["text"][refused])


def test_prompts_without_geometry_say_why(finished):
    prompts, pairs = finished.results.prompts, list(finished.results.pairs["id"])
    for pair, side, reason in [("empty base", "base", "empty"), ("long source", "source", "1024"), ("short", "source", "9 tokens")]:
        index = finished.results.pairs[side][pairs.index(pair)]
        assert reason in prompts["reason"][index]
        assert np.isnan(prompts["spectra"][index]).all() and np.isnan(prompts["pr"][index]).all()
    sound = prompts["reason"] == ""
    assert np.isfinite(prompts["spectra"][sound]).all() and sound.sum() == len(sound) - 3


def test_results_explain_themselves(finished):
    with h5py.File(finished.out / "results.h5") as file:
        assert file.attrs["schema_version"] == 1
        for name in (
            "rvsweep_version", "git_commit", "config", "model_fingerprint", "tokenizer_fingerprint",
            "device_type", "cpu_capability", "dtype", "threads_per_rank", "libtorch_version",
        ):  # fmt: skip
            assert file.attrs[name], name
        lacking = []
        file.visititems(
            lambda name, node: lacking.append(name)
            if isinstance(node, h5py.Dataset) and not (node.attrs.get("units") and node.attrs.get("description"))
            else None
        )
        assert lacking == []


# Ranks


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_do_not_change_the_results(sweep, finished, tmp_path, ranks):
    sweep.run(tmp_path / "out", ranks=ranks)
    assert_same_results(tmp_path / "out", finished)
    with h5py.File(tmp_path / "out" / "results.h5") as file:
        assert set(file["run/rank"][()]) == set(range(ranks))


def test_companions_do_not_change_a_row(sweep, finished, tmp_path):
    """Pairs of one length bucket in reverse order: other bundles and slots of the same shape, the same rows."""
    rows = finished.results.rows
    pairs = [pair for pair in sweep.pairs if pair["pair"].endswith("-20-30")]
    assert len(pairs) == 3
    prompts = write_pairs(tmp_path / "reversed.jsonl", pairs[::-1])
    sweep.run(tmp_path / "out", "--set", f"prompts.file={prompts}")
    others = read_results(tmp_path / "out" / "results.h5").rows
    place = {row_id: row for row, row_id in enumerate(rows["row_id"])}
    assert len(others["row_id"]) == 3 * len(ARMS) * SAMPLES
    moved = 0
    with h5py.File(tmp_path / "out" / "results.h5") as file, h5py.File(finished.out / "results.h5") as whole:
        for row, row_id in enumerate(others["row_id"]):
            moved += file["run/row_bundle"][row] != whole["run/row_bundle"][place[row_id]]
    assert moved > 0
    for row, row_id in enumerate(others["row_id"]):
        np.testing.assert_array_equal(others["tokens"][row], rows["tokens"][place[row_id]])
        np.testing.assert_array_equal(others["spectra_generated"][row], rows["spectra_generated"][place[row_id]])


# Interruption


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_signal_ends_it_in_good_order_and_it_resumes(sweep, finished, tmp_path, ranks):
    out = tmp_path / "out"
    with Running(sweep.words(out), ranks, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= 3)
        running.send(signal.SIGUSR1)
        assert running.wait() == 75, running.log.read_text()
    assert_partly_done(out, finished)
    status = sweep.status(out)
    assert status["state"] == "stopped" and 0 < status["rows_done"] < status["rows_total"]
    kept = {path.name: path.stat().st_mtime_ns for path in segments(out)}
    sweep.run(out, ranks=ranks)
    assert_same_results(out, finished)
    now = {path.name: path.stat().st_mtime_ns for path in segments(out)}
    assert {name: now[name] for name in kept} == kept, "a committed bundle was computed again"


def test_a_time_limit_ends_it_in_good_order_and_it_resumes(sweep, finished, tmp_path):
    out = tmp_path / "out"
    sweep.run(out, "--max-time", "0.3s", expect=75)
    assert_partly_done(out, finished)
    sweep.run(out)
    assert_same_results(out, finished)


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_killed_run_resumes(sweep, finished, tmp_path, ranks):
    out = tmp_path / "out"
    with Running(sweep.words(out), ranks, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= 3)
        running.kill()
    assert_partly_done(out, finished)
    status = sweep.status(out)
    assert status["state"] == "died" and 0 < status["rows_done"] < status["rows_total"]
    (out / "segments" / ".bundle-000000.h5.elsewhere-1-0.tmp").write_bytes(b"half a segment")
    sweep.run(out, ranks=ranks)
    assert_same_results(out, finished)
    assert sweep.status(out)["state"] == "finished"
    leftovers = [path for path in out.rglob(".*") if "elsewhere" not in path.name]
    assert leftovers == [], "temporary files of the killed run were not removed"


def test_a_partial_merge_marks_what_is_missing(sweep, finished, tmp_path):
    out = tmp_path / "out"
    sweep.run(out, "--max-time", "0.3s", expect=75)
    sweep.call("merge", out, expect=2)
    assert not (out / "results.h5").exists()
    sweep.call("merge", out, "--partial")
    rows, whole = read_results(out / "results.h5").rows, finished.results.rows
    pending = rows["status"] == "pending"
    assert 0 < pending.sum() < (whole["status"] == "ok").sum()
    assert (rows["tokens"][pending] == -1).all() and np.isnan(rows["r_v_prompt"][pending]).all()
    np.testing.assert_array_equal(rows["row_id"], whole["row_id"])
    for name in ("tokens", "n_generated", "text", "spectra_prompt", "change_norm", "status", "reason"):
        np.testing.assert_array_equal(rows[name][~pending], whole[name][~pending], err_msg=name)
    with h5py.File(out / "results.h5") as partial, h5py.File(finished.out / "results.h5") as file:
        assert partial["rows"].keys() == file["rows"].keys()
    sweep.run(out)
    assert_same_results(out, finished)


def test_status_while_it_runs_and_a_second_run_beside_it(sweep, finished, tmp_path):
    out = tmp_path / "out"
    with Running(sweep.words(out), 2, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= 2 and (out / "status.json").exists())
        status = sweep.status(out)
        second = sweep.run(out, expect=2)
        assert running.wait() == 0, running.log.read_text()
    assert status["state"] == "running"
    assert status["rows_done"] > 0
    assert status["rows_done"] + status["rows_left"] + status["rows_refused"] == status["rows_total"]
    assert status["rows_total"] == len(finished.results.rows["row_id"])
    assert [rank["rank"] for rank in status["ranks"]] == [0, 1]
    assert all(rank["seconds_since_sign_of_life"] < 60 and rank["host"] for rank in status["ranks"])
    assert "in use by process" in second.stderr
    assert_same_results(out, finished)


# A folder that holds a sweep


def test_status_of_a_finished_sweep(sweep, finished):
    status = sweep.status(finished.out)
    rows = finished.results.rows
    assert status["state"] == "finished"
    assert status["rows_total"] == len(rows["row_id"])
    assert status["rows_refused"] == (rows["status"] == "refused").sum()
    assert status["rows_done"] == (rows["status"] == "ok").sum()
    assert status["rows_left"] == status["rows_failed"] == 0
    assert f"{status['rows_done']} of {status['rows_total']} done" in sweep.call("status", finished.out).stdout


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_finished_folder_again_computes_nothing(sweep, finished, copy_of_finished, ranks):
    before = {path.name: path.stat().st_mtime_ns for path in segments(copy_of_finished)}
    assert sweep.run(copy_of_finished, ranks=ranks).stdout.strip() == str(copy_of_finished / "results.h5")
    assert {path.name: path.stat().st_mtime_ns for path in segments(copy_of_finished)} == before
    assert_same_results(copy_of_finished, finished)
    assert sweep.status(copy_of_finished)["state"] == "finished"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--set", "sweep.seed=8"], ['sweep.seed was "7", is now "8"']),
        (["--set", "sweep.arm=base", "--set", "sweep.arm=source"], ["sweep.arm", "preset:notebook_c_v2"]),
        (["--set", "generation.temperature=0"], ["generation.temperature"]),
        (["--set", "run.threads=2"], ['threads_per_rank was "1", is now "2"']),
        (["--dtype", "bfloat16"], ['dtype was "float32", is now "bfloat16"']),
    ],
)
def test_another_sweep_in_the_folder_is_refused_naming_the_difference(sweep, copy_of_finished, change, told):
    before = files(copy_of_finished)
    words = sweep.words(copy_of_finished, *change)
    if "--dtype" in change:  # the option may stand once
        words.remove("float32")
        words.remove("--dtype")
    result = call(words)
    assert result.returncode == 2, result.stderr
    assert str(copy_of_finished) in result.stderr and result.stderr.count(" error: ") == 1
    for part in told:
        assert part in result.stderr
    differences = [line for line in result.stderr.splitlines() if " was " in line]
    assert len(differences) == 1, result.stderr
    assert files(copy_of_finished) == before


def test_other_prompts_or_another_model_in_the_folder_are_refused(sweep, copy_of_finished, tiny_model, tmp_path):
    before = files(copy_of_finished)
    edited = [sweep.pairs[0] | {"base": sweep.pairs[0]["base"] + " Now."}, *sweep.pairs[1:]]
    prompts = write_pairs(tmp_path / "edited.jsonl", edited)
    result = sweep.run(copy_of_finished, "--set", f"prompts.file={prompts}", expect=2)
    assert "prompts_fingerprint" in result.stderr
    result = sweep.run(copy_of_finished, "--set", f"model.path={tiny_model('llama31')}", expect=2)
    assert "model_fingerprint" in result.stderr
    assert files(copy_of_finished) == before


def test_the_same_prompts_under_another_name_are_the_same_sweep(sweep, finished, copy_of_finished, tmp_path):
    prompts = write_pairs(tmp_path / "moved.jsonl", sweep.pairs)
    sweep.run(copy_of_finished, "--set", f"prompts.file={prompts}")
    assert_same_results(copy_of_finished, finished)


# Damage


def test_verify_finds_nothing_in_a_sound_sweep(sweep, finished):
    total = len(finished.results.rows["row_id"])
    said = sweep.call("verify", finished.out).stdout
    assert f"{finished.n_bundles + 2} files checked, {total} of {total} rows present, 0 missing: sound" in said
    for file in (finished.out / "results.h5", finished.out / "plan.h5", segments(finished.out)[3]):
        assert "sound" in sweep.call("verify", file).stdout


def test_a_damaged_segment_is_found_and_computed_again(sweep, finished, copy_of_finished):
    damaged = segments(copy_of_finished)[4]
    sound = damaged.read_bytes()
    flip_byte(damaged)
    said = sweep.call("verify", copy_of_finished, expect=4).stdout
    assert str(damaged) in said and "damaged" in said
    sweep.call("verify", damaged, expect=4)
    sweep.call("merge", copy_of_finished, expect=2)
    others = {path.name: path.stat().st_mtime_ns for path in segments(copy_of_finished) if path != damaged}
    result = sweep.run(copy_of_finished)
    assert str(damaged) in result.stderr
    assert damaged.exists() and len(damaged.read_bytes()) == len(sound)
    now = {path.name: path.stat().st_mtime_ns for path in segments(copy_of_finished) if path != damaged}
    assert now == others
    assert_same_results(copy_of_finished, finished)
    assert "sound" in sweep.call("verify", copy_of_finished).stdout


@pytest.mark.parametrize("at", [0.3, 0.6, 0.999])
def test_damaged_results_are_found_and_merged_again(sweep, finished, copy_of_finished, at):
    results = copy_of_finished / "results.h5"
    flip_byte(results, at)
    said = sweep.call("verify", copy_of_finished, expect=4).stdout
    assert str(results) in said
    sweep.call("verify", results, expect=4)
    sweep.call("merge", copy_of_finished)
    assert_same_results(copy_of_finished, finished)
    sweep.call("verify", copy_of_finished)


def test_a_lost_segment_is_computed_again(sweep, finished, copy_of_finished):
    segments(copy_of_finished)[0].unlink()
    said = sweep.call("verify", copy_of_finished).stdout
    assert "1 of" in said and "no sound segment" in said
    sweep.run(copy_of_finished, ranks=2)
    assert_same_results(copy_of_finished, finished)


def test_a_damaged_plan_is_named_and_nothing_is_overwritten(sweep, copy_of_finished):
    flip_byte(copy_of_finished / "plan.h5")
    before = files(copy_of_finished)
    result = sweep.run(copy_of_finished, expect=2)
    assert str(copy_of_finished / "plan.h5") in result.stderr
    assert files(copy_of_finished) == before
    assert "plan.h5" in sweep.call("verify", copy_of_finished, expect=4).stdout
