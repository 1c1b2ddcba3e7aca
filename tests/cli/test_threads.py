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
