"""A bundle that crashes the process: set aside after so many attempts, while the sweep goes on and ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from jobs import END_LIMIT, Job, journal

from rvsweep_cli import read_results
from sweep_job import assert_same_results

BUNDLE = 5
SOURCE = Path(__file__).with_name("crash_at_file.c")


@pytest.fixture(scope="module")
def crasher(tmp_path_factory) -> Path:
    library = tmp_path_factory.mktemp("crash") / "crash_at_file.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Crashing:
    """Launches of a sweep in which the commit of one bundle crashes its process the first so many times."""

    def __init__(self, sweep, crasher: Path, folder: Path, crashes: int) -> None:
        self.sweep, self.folder, self.out = sweep, folder, folder / "out"
        self.left = folder / "crashes_left"
        self.left.write_bytes(b"x" * crashes)
        self.preload = ["env", f"LD_PRELOAD={crasher}", f"CRASH_AT=bundle-{BUNDLE:06d}.h5", f"CRASHES_LEFT={self.left}"]

    def launch(self, ranks: int, *options: str) -> tuple[int, str]:
        """Exit code and log."""
        log = self.folder / "log"
        with Job([*self.preload, *self.sweep.words(self.out, *options)], ranks, log) as job:
            job.wait()
            return job.end_within(END_LIMIT), log.read_text()


@pytest.mark.parametrize("ranks", [0, 2, 3])
def test_it_is_set_aside_after_three_crashes(sweep, finished, crasher, tmp_path, ranks):
    crashing = Crashing(sweep, crasher, tmp_path, crashes=3)
    for _ in range(3):
        code, log = crashing.launch(ranks)
        assert code not in (0, 2, 3, 75), log
        assert not (crashing.out / "results.h5").exists()
    code, log = crashing.launch(ranks)
    assert code == 3, log
    told = f"the process died 3 times while computing bundle {BUNDLE}"
    assert f"bundle {BUNDLE} is set aside" in log and told in log
    rows, whole = read_results(crashing.out / "results.h5").rows, finished.results.rows
    failed = rows["status"] == "failed"
    assert 0 < failed.sum() <= 8 and (whole["status"][failed] == "ok").all()
    assert set(rows["reason"][failed]) == {told}
    assert (rows["tokens"][failed] == -1).all()
    for name in ("row_id", "status", "tokens", "text", "change_norm", "reason"):
        np.testing.assert_array_equal(rows[name][~failed], whole[name][~failed], err_msg=name)
    assert "sound" in sweep.call("verify", crashing.out).stdout
    assert crashing.launch(ranks)[0] == 3, "again: nothing is left to do"


@pytest.mark.parametrize("ranks", [0, 2])
def test_fewer_crashes_than_attempts_change_nothing(sweep, finished, crasher, tmp_path, ranks):
    crashing = Crashing(sweep, crasher, tmp_path, crashes=2)
    for _ in range(2):
        assert crashing.launch(ranks)[0] not in (0, 2, 3, 75)
    assert crashing.launch(ranks)[0] == 0
    assert_same_results(crashing.out, finished)


def test_after_the_first_crash_everything_else_is_done_first(sweep, finished, crasher, tmp_path):
    crashing = Crashing(sweep, crasher, tmp_path, crashes=2)
    crashing.launch(2)
    crashing.launch(2)
    done = len(list((crashing.out / "segments").glob("bundle-*.h5")))
    assert done == finished.n_bundles - 1
    blamed = [event["died_in"] for event in journal(crashing.out) if event["event"] == "launch"]
    assert blamed[0] == [] and BUNDLE in blamed[1]


def test_the_number_of_attempts_is_the_users(sweep, crasher, tmp_path):
    crashing = Crashing(sweep, crasher, tmp_path, crashes=1)
    assert crashing.launch(0, "--max-attempts", "1")[0] not in (0, 2, 3, 75)
    code, log = crashing.launch(0, "--max-attempts", "1")
    assert code == 3 and f"the process died once while computing bundle {BUNDLE}" in log
    result = sweep.run(tmp_path / "other", "--max-attempts", "0", expect=2)
    assert "--max-attempts" in result.stderr
