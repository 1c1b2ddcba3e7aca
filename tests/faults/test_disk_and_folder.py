"""Disks that are full or read-only, damaged files, foreign locks, clocks that jump, weights that are no numbers."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jobs import END_LIMIT, Job, contents
from processes import call, flip_byte, segments
from rvsweep_cli import read_results
from sweep_job import assert_same_results

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@pytest.fixture
def small_disk(tmp_path):
    """mount(options) -> a mounted tmpfs; calling it again remounts it."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        again = ["-o", f"remount,{options}"] if os.path.ismount(folder) else ["-t", "tmpfs", "-o", options, "tmpfs"]
        done = subprocess.run(["mount", *again, folder], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("ranks", [0, 2])
def test_full_disk(sweep, finished, small_disk, ranks):
    kilobytes = sum(path.stat().st_size for path in segments(finished.out)) // 2048
    out = small_disk(f"size={kilobytes}k") / "out"
    for _ in range(3):  # no number of attempts on a full disk sets a bundle aside
        result = call(sweep.words(out), ranks)
        assert result.returncode in (2, 4), result.stderr
        assert "No space left on device" in result.stderr and "free space" in result.stderr
    assert 0 < len(segments(out)) < finished.n_bundles
    small_disk("size=1g")
    sweep.run(out, ranks=ranks)
    assert_same_results(out, finished)


def test_file_size_limit(sweep, finished, tmp_path):
    """The same without root: no file may grow beyond the limit, which results.h5 does."""
    out = tmp_path / "out"
    largest = max(path.stat().st_size for path in segments(finished.out))
    assert (finished.out / "results.h5").stat().st_size > 2 * largest
    limit = 2 * largest
    if (finished.out / "plan.h5").stat().st_size > limit:
        pytest.skip("the plan is larger than the segments")
    command = [str(word) for word in sweep.words(out)]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert result.returncode == 4, result.stderr
    assert "results.h5" in result.stderr and "File too large" in result.stderr
    assert not (out / "results.h5").exists() and len(segments(out)) == finished.n_bundles
    sweep.run(out)
    assert_same_results(out, finished)


@pytest.mark.parametrize("ranks", [0, 2])
def test_read_only_folder(sweep, finished, small_disk, ranks):
    out = small_disk("size=1g") / "out"
    sweep.run(out, "--max-time", "0.5s", expect=75)
    small_disk("ro")
    result = sweep.run(out, ranks=ranks, expect=2)
    assert "Read-only file system" in result.stderr and str(out) in result.stderr
    small_disk("rw")
    sweep.run(out, ranks=ranks)
    assert_same_results(out, finished)


@pytest.mark.parametrize("seed", range(3))
def test_deleted_truncated_and_flipped_segments(sweep, finished, copy_of_finished, seed):
    generator = random.Random(seed)
    chosen = generator.sample(segments(copy_of_finished), 9)
    for path in chosen[:3]:
        path.unlink()
    for path in chosen[3:6]:
        os.truncate(path, generator.randrange(path.stat().st_size))
    for path in chosen[6:]:
        flip_byte(path, generator.random())
    said = sweep.call("verify", copy_of_finished, expect=4).stdout
    result = sweep.run(copy_of_finished, ranks=seed)
    for path in chosen[3:]:
        assert str(path) in said and str(path) in result.stderr
    assert_same_results(copy_of_finished, finished)
    sweep.call("verify", copy_of_finished)


@pytest.mark.parametrize("tail", [b'{"event":"handed_out","bun', b"\x00" * 300, b"\xff\xfe no text"])
def test_torn_journal_tail(sweep, finished, tmp_path, tail):
    out = tmp_path / "out"
    sweep.run(out, "--max-time", "0.5s", expect=75)
    with open(out / "journal.jsonl", "ab") as file:
        file.write(tail)
    result = sweep.run(out, ranks=2)
    assert "journal.jsonl: its last line was cut short" in result.stderr
    assert_same_results(out, finished)
    for line in (out / "journal.jsonl").read_text().splitlines():
        assert json.loads(line)["event"]


def test_a_lost_journal_loses_nothing_else(sweep, finished, tmp_path):
    out = tmp_path / "out"
    sweep.run(out, "--max-time", "0.5s", expect=75)
    kept = contents(out)
    (out / "journal.jsonl").unlink()
    sweep.run(out)
    assert {name: contents(out)[name] for name in kept} == kept
    assert_same_results(out, finished)


@pytest.mark.parametrize("ranks", [0, 2])
def test_two_launches_at_once(sweep, finished, tmp_path, ranks):
    out = tmp_path / "out"
    jobs = [Job(sweep.words(out), ranks, tmp_path / f"log{number}") for number in range(3)]
    try:
        codes = sorted(job.wait() for job in jobs)
    finally:
        for job in jobs:
            job.kill()
    assert codes == [0, 2, 2]
    assert sum("the folder is in use by process" in job.log.read_text() for job in jobs) == 2
    assert_same_results(out, finished)


def test_a_late_segment_of_a_rank_that_was_given_up_changes_nothing(sweep, finished, copy_of_finished, tmp_path):
    """A rank on a machine that was cut off may still commit what another one has computed since."""
    late = tmp_path / "late"
    sweep.run(late, ranks=3)
    for path in segments(copy_of_finished)[::2]:
        assert path.read_bytes() != (late / "segments" / path.name).read_bytes(), "it names its rank and time"
        shutil.copy(late / "segments" / path.name, path)
    sweep.call("verify", copy_of_finished)
    sweep.run(copy_of_finished)
    assert_same_results(copy_of_finished, finished)


def test_stale_lock_of_another_host(sweep, finished, tmp_path):
    out = tmp_path / "out"
    sweep.run(out, "--max-time", "0.5s", expect=75)
    holder = {"host": "node-that-died", "pid": 4711, "started": "2024-01-01T00:00:00Z"}
    (out / "lock").write_text(json.dumps(holder))
    result = sweep.run(out, ranks=2, expect=2)
    assert "process 4711 on node-that-died since 2024-01-01T00:00:00Z" in result.stderr
    assert "delete this file and run again" in result.stderr
    (out / "lock").unlink()
    sweep.run(out, ranks=2)
    assert_same_results(out, finished)


@pytest.mark.parametrize("ranks", [0, 2])
def test_clock_jumps(sweep, finished, tmp_path, ranks):
    """The wall clock jumps by days, forwards and backwards, in the middle of a run and between runs."""
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed")
    out, clock = tmp_path / "out", tmp_path / "clock"
    clock.write_text("+30d")
    fake = ["env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_NO_CACHE=1"]
    fake.append("FAKETIME_DONT_FAKE_MONOTONIC=1")
    words = [*fake, *sweep.words(out, "--max-time", "1h", "--rank-timeout", "10s")]
    with Job(words, ranks, tmp_path / "log") as job:
        for offset in ("-400d", "+2d", "-1d"):
            before = len(contents(out))
            job.wait_until(lambda: len(contents(out)) >= before + 3)
            clock.write_text(offset)
        job.wait_until(lambda: len(contents(out)) > 10)
        job.hurt([job.process.pid], signal.SIGUSR1)
        assert job.end_within(END_LIMIT) == 75, job.log.read_text()
    clock.write_text("-3000d")
    result = call(words, ranks)
    assert result.returncode == 0, result.stderr
    assert_same_results(out, finished)
    started = [json.loads(line).get("time", "")[:4] for line in (out / "journal.jsonl").read_text().splitlines()]
    assert len({year for year in started if year}) == 2, "the clock was not faked"


@pytest.mark.parametrize("ranks", [0, 2])
def test_weights_that_are_no_numbers(sweep, tiny_model, tmp_path, ranks):
    """Every row fails with its reason, the sweep ends with 3, and again with 3."""
    model = Path(shutil.copytree(tiny_model("llama"), tmp_path / "model"))
    name = "model.layers.2.mlp.down_proj.weight"
    [shard] = [path for path in model.glob("*.safetensors") if name in load_file(path)]
    tensors = load_file(shard)
    tensors[name][0, 0] = np.nan
    save_file(tensors, shard, metadata={"format": "pt"})
    out = tmp_path / "out"
    for _ in range(2):
        sweep.run(out, "--set", f"model.path={model}", ranks=ranks, expect=3)
    rows = read_results(out / "results.h5").rows
    assert set(rows["status"]) == {"failed", "refused"}
    assert all(rows["reason"][rows["status"] == "failed"])
    sweep.call("verify", out)
