"""A partial merge beside the run that computes: a sound file at any moment, and the run's own end is not disturbed."""

from __future__ import annotations

import numpy as np
import pytest

from processes import Running, segments
from rvsweep_cli import read_results
from sweep_job import assert_same_results


@pytest.mark.parametrize("ranks", [0, 2])
def test_partial_merges_beside_a_run(sweep, finished, tmp_path, ranks):
    out = tmp_path / "out"
    whole = finished.results.rows
    done = []
    with Running(sweep.words(out), ranks, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= 2)
        while running.process.poll() is None and len(done) < 3:
            sweep.call("merge", out, "--partial")
            rows = read_results(out / "results.h5").rows
            computed = rows["status"] == "ok"
            for name in ("tokens", "text", "change_norm"):
                np.testing.assert_array_equal(rows[name][computed], whole[name][computed], err_msg=name)
            done.append(int(computed.sum()))
        assert running.wait() == 0, running.log.read_text()
    assert done and done[0] > 0 and done == sorted(done)
    assert_same_results(out, finished)
    assert "sound" in sweep.call("verify", out).stdout
