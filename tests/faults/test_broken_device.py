"""A device that breaks or is too small ends its rank or the run, and never a row."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from jobs import journal

from processes import call, segments
from sweep_job import assert_same_results

LIBRARY = Path(__file__).resolve().parents[2] / "build" / "tests" / "libbroken_device.so"
DEVICE_ERROR = 6


def run(sweep, out: Path, ranks: int, broken: str, by: str = "device", after: int = 150) -> tuple[int, str]:
    """Exit code and log, with the devices of the `broken` ranks failing from some forward pass on."""
    assert LIBRARY.is_file(), f"{LIBRARY} is missing: build the tests"
    preload = ["env", f"LD_PRELOAD={LIBRARY}", f"BROKEN_RANKS={broken}", f"BROKEN_BY={by}", f"BROKEN_AFTER={after}"]
    result = call([*preload, *sweep.words(out)], ranks)
    return result.returncode, result.stderr


def events(out: Path, name: str) -> list[dict]:
    return [event for event in journal(out) if event["event"] == name]


@pytest.mark.parametrize("broken", [0, 1])
def test_other_ranks_do_what_a_broken_one_held(sweep, finished, tmp_path, broken):
    code, log = run(sweep, tmp_path / "out", 2, str(broken))
    assert code == 0, log
    assert_same_results(tmp_path / "out", finished)
    assert log.count(f"rank {broken} computes no more") == 1, log
    told = f"cpu of {socket.gethostname()} fails (CUDA error: device-side assert triggered): "
    assert told in log and "nvidia-smi" in log
    assert not events(tmp_path / "out", "failed")
    back = events(tmp_path / "out", "returned")
    assert back and {event["rank"] for event in back} == {broken}


@pytest.mark.parametrize(("ranks", "broken"), [(0, "0"), (2, "0,1")])
def test_without_a_device_the_run_ends_and_is_resumed_later(sweep, finished, tmp_path, ranks, broken):
    out = tmp_path / "out"
    for start in range(4):  # more than the three attempts that a bundle has
        code, log = run(sweep, out, ranks, broken, after=150 if start == 0 else 0)
        assert code == DEVICE_ERROR, log
        assert "rows left" in log and "device-side assert" in log
        assert not (out / "results.h5").exists()
    assert segments(out) and not events(out, "failed") and not events(out, "set_aside")
    assert not any(event["died_in"] for event in events(out, "launch"))
    sweep.run(out, ranks=2)
    assert_same_results(out, finished)


def test_a_bundle_that_finds_no_memory_once_is_tried_again(sweep, finished, tmp_path):
    code, log = run(sweep, tmp_path / "out", 0, "0", by="memory_once")
    assert code == 0 and "tried again" in log, log
    assert_same_results(tmp_path / "out", finished)


def test_too_little_memory_ends_the_run_with_the_numbers_to_change(sweep, finished, tmp_path):
    out = tmp_path / "out"
    code, log = run(sweep, out, 2, "1", by="memory")
    assert code == DEVICE_ERROR, log
    for words in ("too little memory (CUDA out of memory. Tried to allocate 20.00 GiB.)", "decodes 8 rows",
                  "40 new ones", "set sweep.bundle_rows below 8"):  # fmt: skip
        assert words in log, log
    assert not events(out, "failed")
    sweep.run(out, ranks=2)
    assert_same_results(out, finished)

