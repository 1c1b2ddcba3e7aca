"""Damaged files are found, named and computed again."""

from __future__ import annotations

import pytest

from processes import files, flip_byte, segments
from sweep_job import assert_same_results


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


@pytest.mark.parametrize("at", [0.4, 0.999])
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
