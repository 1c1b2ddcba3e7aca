"""Rows that failed, again: --retry-failed computes their bundles anew and nothing else."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash

from processes import segments
from rvsweep_cli import read_results
from sweep_job import assert_same_results

USER_BLOCK = 512  # bytes before the HDF5 part of a file; they hold its checksum


def mark_failed(segment: Path, row: int) -> None:
    """Turns one row of a segment into a failed one, as a passing fault would have left it, and seals the file."""
    with h5py.File(segment, "r+") as file:
        columns = file["rows/columns"]
        columns["status"][row] = 2
        columns["reason"][row] = "the machine had a bad day"
        columns["tokens"][row] = -1
    data = segment.read_bytes()
    line = f"rvsweep segment xxh3 {xxhash.xxh3_64_hexdigest(data[USER_BLOCK:])}\n".encode()
    segment.write_bytes(line.ljust(USER_BLOCK, b"\0") + data[USER_BLOCK:])


@pytest.mark.parametrize("ranks", [0, 2])
def test_failed_rows_are_computed_again_and_no_others(sweep, finished, copy_of_finished, ranks):
    out = copy_of_finished
    failed = [segments(out)[2], segments(out)[7]]
    for segment in failed:
        mark_failed(segment, 1)
    as_failed = {segment: segment.read_bytes() for segment in failed}
    others = {path: path.stat().st_mtime_ns for path in segments(out) if path not in failed}

    sweep.run(out, expect=3)  # failed rows are results: a plain run leaves them
    rows = read_results(out / "results.h5").rows
    assert (rows["status"] == "failed").sum() == 2
    assert set(rows["reason"][rows["status"] == "failed"]) == {"the machine had a bad day"}
    assert sweep.status(out)["rows_failed"] == 2

    result = sweep.run(out, "--retry-failed", ranks=ranks)
    assert result.stderr.count("has 1 failed rows and is computed again") == 2
    assert_same_results(out, finished)
    for segment in failed:
        assert segment.with_name(segment.name + ".retried").read_bytes() == as_failed[segment]
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert sweep.status(out)["rows_failed"] == 0
    assert "sound" in sweep.call("verify", out).stdout

    before = {path: path.stat().st_mtime_ns for path in segments(out)}
    sweep.run(out, "--retry-failed", ranks=ranks)
    assert {path: path.stat().st_mtime_ns for path in segments(out)} == before


def test_a_retry_that_is_stopped_keeps_the_failed_rows(sweep, copy_of_finished):
    segment = segments(copy_of_finished)[2]
    mark_failed(segment, 1)
    failed = segment.read_bytes()
    sweep.run(copy_of_finished, "--retry-failed", "--max-time", "0.000001s", expect=75)
    assert segment.read_bytes() == failed
    sweep.run(copy_of_finished, expect=3)


def test_rows_that_fail_every_time_end_with_3(sweep, tmp_path):
    # What is added is lost in the rounding of float32.
    sets = ["--set", "sweep.arm=base", "--set", "sweep.arm=v_proj layers=0 op=add scale=1e-30"]
    out = tmp_path / "out"
    sweep.run(out, *sets, expect=3)
    first = read_results(out / "results.h5").rows
    failed = first["status"] == "failed"
    assert 0 < failed.sum() < len(failed)
    sweep.run(out, *sets, "--retry-failed", expect=3)
    again = read_results(out / "results.h5").rows
    for name in ("status", "reason", "tokens"):
        np.testing.assert_array_equal(again[name], first[name])
