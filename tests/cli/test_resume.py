"""Stopping a sweep in every way, going on with it, and folders that hold a sweep already."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xxhash
from transformers import LlamaForCausalLM

from processes import Running, call, files, segments
from prompt_texts import write_pairs
from rvsweep_cli import read_results
from sweep_job import assert_partly_done, assert_same_results


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
    half_written = out / "segments" / f".bundle-000026.h5.{socket.gethostname()}-{running.process.pid}-0.tmp"
    half_written.write_bytes(b"half a segment of the killed run")
    sweep.run(out, ranks=ranks)
    assert_same_results(out, finished)
    assert sweep.status(out)["state"] == "finished"
    assert list(out.rglob(".*")) == [], "temporary files of the killed run were not removed"


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
        with running.paused():
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
    assert f"pair {sweep.pairs[0]['pair']} has another base" in result.stderr
    result = sweep.run(copy_of_finished, "--set", f"model.path={tiny_model('llama31')}", expect=2)
    assert "model_fingerprint" in result.stderr
    other = LlamaForCausalLM.from_pretrained(tiny_model("llama"), dtype="auto")
    with torch.no_grad():
        other.model.layers[3].mlp.up_proj.weight[0, 0] += 1
    other.save_pretrained(tmp_path / "other")
    copy_tokenizer(tiny_model("llama"), tmp_path / "other")
    result = sweep.run(copy_of_finished, "--set", f"model.path={tmp_path / 'other'}", expect=2)
    assert "tensor model.layers.3.mlp.up_proj.weight is another one" in result.stderr
    assert files(copy_of_finished) == before


def copy_tokenizer(model: Path, folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model / name, folder)


def test_a_model_saved_again_in_other_pieces_is_the_same(sweep, finished, copy_of_finished, tiny_model, tmp_path):
    """Also with its keys of config.json in another order, none of those with usual values left out."""
    model = LlamaForCausalLM.from_pretrained(tiny_model("llama"), dtype="auto")
    model.save_pretrained(tmp_path / "model", max_shard_size="1GB")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config.setdefault("attention_bias", False)
    path.write_text(json.dumps(dict(reversed(config.items()))))
    copy_tokenizer(tiny_model("llama"), tmp_path / "model")
    sweep.run(copy_of_finished, "--set", f"model.path={tmp_path / 'model'}")
    assert_same_results(copy_of_finished, finished)


def sweep_fingerprint(attributes: list[list[str]]) -> int:
    """Over the attributes that decide results, then the settings that do."""
    others = ("git_commit", "model_path", "config", "tensor_fingerprints", "model_notes")
    text = "".join(f"{name}={value}\n" for name, value in attributes if name not in others)
    settings: dict[str, list[str]] = {}
    section = ""
    for line in dict(attributes)["config"].splitlines():
        key, is_setting, value = line.partition(" = ")
        if line.startswith("["):
            section = line[1:-1]
        elif is_setting:
            settings.setdefault(f"{section}.{key}", []).append(value)
    paths = ("model.path", "prompts.file", "prompts.filler", "readouts.families", "readouts.token_sets")
    paths += ("prompts.matched_on",)
    for key in sorted(settings):
        if not key.startswith("run.") and key not in paths:
            text += f"{key} = {' | '.join(settings[key])}\n"
    return xxhash.xxh3_64_intdigest(text.encode())


def seal(path: Path, kind: str) -> None:
    """The first block of a file of ours, with the digest of what follows it."""
    data = path.read_bytes()
    line = f"rvsweep {kind} xxh3 {xxhash.xxh3_64_hexdigest(data[512:])}\n".encode()
    path.write_bytes(line.ljust(512, b"\0") + data[512:])


def test_a_folder_of_another_version_is_refused_by_name(sweep, copy_of_finished):
    with h5py.File(copy_of_finished / "plan.h5", "r+") as file:
        facts = json.loads(file["sweep"][0])
        assert sweep_fingerprint(facts["attributes"]) == file.attrs["sweep_fingerprint"]
        attributes = dict(facts["attributes"]) | {"rvsweep_version": "0.1.0"}
        facts["attributes"] = list(attributes.items())
        file["sweep"][0] = json.dumps(facts)
        file.attrs.modify("sweep_fingerprint", np.uint64(sweep_fingerprint(facts["attributes"])))
    seal(copy_of_finished / "plan.h5", "plan")
    before = files(copy_of_finished)
    for word in ((), ("--extend",)):
        result = sweep.run(copy_of_finished, *word, expect=2)
        assert 'rvsweep_version was "0.1.0", is now "' in result.stderr
    assert files(copy_of_finished) == before


def test_the_same_pairs_in_a_file_with_other_line_ends(sweep, finished, copy_of_finished, tmp_path):
    prompts = tmp_path / "again.jsonl"
    prompts.write_bytes(b"".join(json.dumps(pair, sort_keys=True).encode() + b"\r\n" for pair in sweep.pairs))
    sweep.run(copy_of_finished, "--set", f"prompts.file={prompts}")
    assert_same_results(copy_of_finished, finished)


def test_the_same_prompts_under_another_name_are_the_same_sweep(sweep, finished, copy_of_finished, tmp_path):
    prompts = write_pairs(tmp_path / "moved.jsonl", sweep.pairs)
    sweep.run(copy_of_finished, "--set", f"prompts.file={prompts}")
    assert_same_results(copy_of_finished, finished)
