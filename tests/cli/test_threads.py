"""How many threads a rank takes where run.threads is auto."""

from __future__ import annotations

import os
import subprocess

import pytest

from processes import ENVIRONMENT, on_ranks


@pytest.mark.parametrize("ranks", [0, 2])
@pytest.mark.parametrize("own", [None, 1])
def test_a_rank_takes_its_share_of_the_cores(sweep, tmp_path, ranks, own):
    """The CPUs of the affinity mask shared by the ranks that have it, and no more than Slurm gave each."""
    words = sweep.words(tmp_path / "out", "--set", "run.threads=auto", "--max-time", "1s")
    environment = ENVIRONMENT if own is None else ENVIRONMENT | {"SLURM_CPUS_PER_TASK": str(own)}
    command = [*on_ranks(ranks), *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
    cores = len(os.sched_getaffinity(0))
    expected = own or max(1, cores // max(1, ranks))
    assert f" {expected} thread(s) each" in result.stderr, result.stderr


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core alone can not be left unused")
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_cores_that_a_binding_leaves_unused_are_told(sweep, tmp_path, command):
    """mpirun binds one or two ranks to one core each, where it is not told otherwise."""
    words = sweep.words(tmp_path / "out", "--max-time", "1s") if command == "run" else [sweep.binary, "doctor"]

    def said(*binding: str) -> str:
        full = ["mpirun", "-n", "1", "--oversubscribe", *binding, *map(str, words)]
        result = subprocess.run(full, capture_output=True, text=True, env=ENVIRONMENT, timeout=180)
        return result.stdout + result.stderr

    told = "the ranks may use 1 of"
    assert told in (bound := said("--bind-to", "core")) and "mpirun --bind-to none" in bound
    assert told not in said("--bind-to", "none")
