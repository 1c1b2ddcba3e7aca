"""What a whole sweep on a tiny model leaves, the same for any number of ranks and any companions of a row."""

from __future__ import annotations

import json
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash

from processes import segments
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import read_results
from sweep_job import ARMS, SAMPLES, assert_same_results


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
    odd = [("empty base", "base", "empty"), ("long source", "source", "1024"), ("short", "source", "9 tokens")]
    for pair, side, reason in odd:
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


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_do_not_change_the_results(sweep, finished, tmp_path, ranks):
    began = time.perf_counter()
    sweep.run(tmp_path / "out", ranks=ranks)
    wall = time.perf_counter() - began
    assert_same_results(tmp_path / "out", finished)
    with h5py.File(tmp_path / "out" / "results.h5") as file:
        computed = set(file["run/rank"][()])
        phases = dict(zip(file["run/phases/name"].asstr()[:], file["run/phases/seconds"][()].T, strict=True))
    assert computed <= set(range(ranks)) and len(computed) >= min(2, ranks)
    assert all(len(seconds) == ranks and (seconds >= 0).all() for seconds in phases.values())
    assert set(np.flatnonzero(phases["decode"])) == computed == set(np.flatnonzero(phases["hdf5"]))
    of_commits = {name: phases.pop(name) for name in ("texts", "hdf5")}  # on a thread of their own
    for beside in (phases, of_commits):
        assert (sum(beside.values()) < wall).all()  # no moment of a thread is counted twice


def test_companions_do_not_change_a_row(sweep, finished, tmp_path):
    """Eight pairs in two bundles of equal shape, grouped in two ways: every row keeps its slot and so its bits."""
    pairs = pairs_of_lengths(sweep.tokenizer, [(20, 30), (31, 18), (25, 25), (17, 32)] * 2, seed=3)
    found = []
    for name, order in [("first", range(8)), ("second", [0, 5, 2, 7, 4, 1, 6, 3])]:
        prompts = write_pairs(tmp_path / f"{name}.jsonl", [pairs[i] for i in order])
        settings = [f"prompts.file={prompts}", "sweep.bundle_rows=24", "generation.samples=1"]
        sweep.run(tmp_path / name, *(word for setting in settings for word in ("--set", setting)))
        with h5py.File(tmp_path / name / "results.h5") as file:
            table = {key: data[()] for key, data in file["rows"].items()} | {"bundle": file["run/row_bundle"][()]}
        by_id = np.argsort(table.pop("row_id"))
        found.append({key: values[by_id] for key, values in table.items() if key != "pair"})
    first, second = found
    companions = [{*np.flatnonzero(table["bundle"] == bundle)} for table in found for bundle in (0, 1)]
    assert all(len(rows) == 24 for rows in companions)
    assert not any(rows in companions[2:] for rows in companions[:2])
    for name in sorted(first.keys() - {"bundle"}):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
