"""Extending a sweep by pairs, samples and arms: rows that were computed stay, the others join them in plan order."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from processes import Running, call, files, outside_run, segments
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import Results, read_results
from sweep_job import ARMS, SAMPLES, assert_partly_done

NEW_ARMS = ["kv_cache layers=1:4 growth=frozen", "preset:notebook_b layers=3"]  # the second has a dataset of its own
COMPUTED = ("tokens", "n_generated", "text", "spectra_prompt", "spectra_generated", "change_norm", "r_v_prompt")


def larger(sweep, folder: Path, samples: int = SAMPLES + 1) -> list[str]:
    """Words of the command line that make the job larger in every way: pairs before and after the old ones."""
    new = pairs_of_lengths(sweep.tokenizer, [(22, 31), (50, 44)], seed=5)
    named = [pair | {"pair": f"new-{i}"} for i, pair in enumerate(new)]
    prompts = write_pairs(folder / "larger.jsonl", [named[0], *sweep.pairs, named[1]])
    arms = [NEW_ARMS[0], *ARMS, NEW_ARMS[1]]
    settings = [f"prompts.file={prompts}", f"generation.samples={samples}", *(f"sweep.arm={arm}" for arm in arms)]
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module")
def larger_words(sweep, tmp_path_factory) -> list[str]:
    return larger(sweep, tmp_path_factory.mktemp("larger"))


@pytest.fixture(scope="module")
def fresh(sweep, larger_words, tmp_path_factory) -> Results:
    """The larger job, never extended."""
    out = tmp_path_factory.mktemp("fresh") / "out"
    sweep.run(out, *larger_words, ranks=2)
    return read_results(out / "results.h5")


def by_id(results: Results, ids: np.ndarray) -> np.ndarray:
    place = {row_id: place for place, row_id in enumerate(results.rows["row_id"])}
    return np.array([place[row_id] for row_id in ids])


def assert_extended(out: Path, old: Results, fresh: Results) -> None:
    """The rows and tables of the larger job; old rows to the bit, new ones to rounding."""
    extended = read_results(out / "results.h5")
    for group in ("prompts", "pairs", "arms", "rows"):
        assert getattr(extended, group).columns.keys() == getattr(fresh, group).columns.keys()
    for name in ("id", "text", "group", "n_tokens", "reason"):
        np.testing.assert_array_equal(extended.prompts[name], fresh.prompts[name])
    for name in ("id", "source", "base"):
        np.testing.assert_array_equal(extended.pairs[name], fresh.pairs[name])
    for name in ("label", "kind", "spec"):
        np.testing.assert_array_equal(extended.arms[name], fresh.arms[name])
    for name in ("row_id", "pair", "arm", "sample", "status", "reason"):
        np.testing.assert_array_equal(extended.rows[name], fresh.rows[name], err_msg=name)
    kept = by_id(extended, old.rows["row_id"])
    for name in COMPUTED:
        np.testing.assert_array_equal(extended.rows[name][kept], old.rows[name], err_msg=name)
    old_prompts = [list(extended.prompts["text"]).index(text) for text in old.prompts["text"]]
    np.testing.assert_array_equal(extended.prompts["spectra"][old_prompts], old.prompts["spectra"])
    np.testing.assert_allclose(extended.prompts["spectra"], fresh.prompts["spectra"], rtol=1e-4, atol=1e-5)
    # A sampled token may turn on a rounding error; then the two texts part for good.
    same = (extended.rows["tokens"] == fresh.rows["tokens"]).all(axis=1)
    assert same.mean() > 0.98, f"{(~same).sum()} of {len(same)} rows have other tokens"
    for name in ("spectra_prompt", "change_norm", "r_v_prompt", "r_v_notebook"):
        np.testing.assert_allclose(
            extended.rows[name][same], fresh.rows[name][same], rtol=2e-4, atol=1e-4, err_msg=name
        )


def test_a_finished_sweep_grows(sweep, finished, copy_of_finished, larger_words, fresh):
    out = copy_of_finished
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in segments(out)}
    sweep.run(out, "--extend", *larger_words)
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in segments(out)}
    assert {name: after[name] for name in before} == before, "a computed bundle was touched"
    assert len(after) > len(before)
    assert_extended(out, finished.results, fresh)
    assert "sound" in sweep.call("verify", out).stdout
    with h5py.File(out / "results.h5") as file, h5py.File(finished.out / "results.h5") as old:
        assert "generations" not in old.attrs
        assert f'"rows":{len(finished.results.rows["row_id"])}' in file.attrs["generations"]
        assert f"{old.attrs['sweep_fingerprint']:016x}" in file.attrs["generations"]
        assert file.attrs["sweep_fingerprint"] != old.attrs["sweep_fingerprint"]

    # The larger command alone now resumes, with or without --extend, and the smaller one is another sweep.
    content = outside_run(out / "results.h5")
    sweep.run(out, *larger_words)
    sweep.run(out, "--extend", *larger_words)
    assert outside_run(out / "results.h5") == content
    refused = sweep.run(out, expect=2)
    assert f'generation.samples was "{SAMPLES + 1}", is now "{SAMPLES}"' in refused.stderr


@pytest.mark.parametrize("ranks", [0, 2])
def test_an_unfinished_sweep_grows_and_is_interrupted_again(sweep, finished, larger_words, fresh, tmp_path, ranks):
    out = tmp_path / "out"
    sweep.run(out, "--max-time", "0.3s", expect=75)
    assert_partly_done(out, finished)
    computed = {path.name: path.read_bytes() for path in segments(out)}
    words = sweep.words(out, "--extend", *larger_words)
    with Running(words, ranks, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= len(computed) + 3)
        running.kill()
    assert not (out / "results.h5").exists()
    sweep.call("merge", out, "--partial")
    assert (read_results(out / "results.h5").rows["row_id"] == fresh.rows["row_id"]).all()
    sweep.run(out, "--extend", *larger_words, ranks=ranks)
    assert {name: (out / "segments" / name).read_bytes() for name in computed} == computed
    assert_extended(out, finished.results, fresh)
    sweep.call("verify", out)


def test_it_grows_twice(sweep, finished, copy_of_finished, larger_words, fresh, tmp_path):
    more_samples = ["--set", f"generation.samples={SAMPLES + 1}"]
    sweep.run(copy_of_finished, "--extend", *more_samples)
    middle = read_results(copy_of_finished / "results.h5")
    sweep.run(copy_of_finished, "--extend", *larger_words)
    assert_extended(copy_of_finished, finished.results, fresh)
    assert_extended(copy_of_finished, middle, fresh)
    sweep.call("verify", copy_of_finished)


def test_results_from_before_an_extension_are_no_damage(sweep, copy_of_finished, larger_words):
    sweep.run(copy_of_finished, "--extend", *larger_words, "--max-time", "0.2s", expect=75)
    said = sweep.call("verify", copy_of_finished).stdout
    assert "before it was extended" in said and "sound" in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["sweep.seed=8"], ['sweep.seed was "7", is now "8"']),
        (["generation.temperature=0"], ["generation.temperature"]),
        (["model.window=8"], ["model.window"]),
        (["generation.samples=1"], ['generation.samples was "2", is now "1"']),
        (["sweep.arm=base", "sweep.arm=source"], ["arm ", "preset=notebook_c_v2", "is gone"]),
        (["run.threads=2"], ["threads_per_rank"]),
    ],
)
def test_what_is_no_extension_is_refused_naming_the_difference(sweep, copy_of_finished, change, told):
    before = files(copy_of_finished)
    sets = [word for setting in change for word in ("--set", setting)]
    result = sweep.run(copy_of_finished, "--extend", *sets, expect=2)
    assert "does not extend" in result.stderr
    for part in told:
        assert part in result.stderr
    assert files(copy_of_finished) == before


def test_pairs_must_stay_as_they_were(sweep, copy_of_finished, tmp_path):
    before = files(copy_of_finished)
    edited = [sweep.pairs[0] | {"base": sweep.pairs[0]["base"] + " Now."}, *sweep.pairs[2:]]
    prompts = write_pairs(tmp_path / "edited.jsonl", edited)
    result = sweep.run(copy_of_finished, "--extend", "--set", f"prompts.file={prompts}", expect=2)
    assert f"pair {sweep.pairs[0]['pair']} has another base" in result.stderr
    assert f"pair {sweep.pairs[1]['pair']} is gone" in result.stderr
    assert files(copy_of_finished) == before


def test_an_empty_folder_cannot_be_extended(sweep, tmp_path):
    result = call(sweep.words(tmp_path / "out", "--extend"))
    assert result.returncode == 2 and "holds no sweep that could be extended" in result.stderr
    assert not (tmp_path / "out").exists()


def test_further_pairs_would_change_what_states_are_compared_with(sweep, tmp_path):
    few = write_pairs(tmp_path / "few.jsonl", sweep.pairs[:2])
    words = ["--set", "readouts.state_distance=true", "--set", "sweep.arm=base"]
    more = ["--set", f"generation.samples={SAMPLES + 1}"]
    sweep.run(tmp_path / "out", *words, "--set", f"prompts.file={few}")
    sweep.run(tmp_path / "out", *words, "--set", f"prompts.file={few}", *more, "--extend")
    refused = sweep.run(tmp_path / "out", *words, *more, "--extend", expect=2)
    assert "readouts.state_distance compares with all prompts" in refused.stderr


def grown(sweep, folder: Path, arms: list[str], more: list[str], *settings: str) -> tuple[Results, Results]:
    """The results of these arms before and after an extension by `more`; old rows replay to the bit after it, and a lost segment is
    made again."""
    of = lambda arms: [word for setting in (*settings, *(f"sweep.arm={arm}" for arm in arms)) for word in ("--set", setting)]
    sweep.run(folder, *of(arms))
    before, old = read_results(folder / "results.h5"), len(segments(folder))
    sweep.run(folder, "--extend", *of(arms + more))
    after, content = read_results(folder / "results.h5"), outside_run(folder / "results.h5")
    for row in before.rows["row_id"][before.rows["status"] == "ok"][::7]:
        assert "identical in all" in sweep.call("replay", folder, "--row", f"{row:016x}").stdout
    segments(folder)[old - 1].unlink()
    (folder / "results.h5").unlink()
    sweep.run(folder, *of(arms + more))
    assert outside_run(folder / "results.h5") == content
    sweep.call("verify", folder)
    return before, after


SHORT = ("generation.max_new_tokens=4", "generation.samples=1", "readouts.reencode=false")


@pytest.mark.parametrize("longer", ["v_proj layers=3 window=60 window_policy=shrink", "v_proj layers=3 positions=first:2"])
def test_a_longer_reach_of_new_arms_leaves_old_rows_as_they_were(sweep, tmp_path, longer):
    before, after = grown(sweep, tmp_path / "out", ["base", "v_proj layers=2 decode=persist"], [longer], *SHORT)
    kept = by_id(after, before.rows["row_id"])
    for name in before.rows.columns.keys() & set(COMPUTED):
        np.testing.assert_array_equal(after.rows[name][kept], before.rows[name], err_msg=name)


def test_arms_of_more_patches_fill_up_what_is_stored_of_each(sweep, tmp_path):
    two = "kv_cache layers=3 & v_proj layers=1 label=two"
    three = "kv_cache layers=3 & v_proj layers=1 & v_proj layers=2 label=three"
    before, after = grown(sweep, tmp_path / "out", ["base", two], [three], *SHORT)
    kept = by_id(after, before.rows["row_id"])
    for name, empty in (("patch_cells_changed", -1), ("patch_change_norm", np.nan)):
        np.testing.assert_array_equal(after.rows[name][kept, :2], before.rows[name])
        np.testing.assert_array_equal(after.rows[name][kept, 2], np.full(len(kept), empty))
    ok = (after.rows["status"] == "ok") & (after.rows["arm"] == 2)
    assert ok.any() and (after.rows["patch_cells_changed"][ok] > 0).all()


def test_the_first_arm_of_several_patches_and_the_first_filler(sweep, tmp_path):
    arms = ["base", "kv_cache layers=3 label=one"]
    new = ["kv_cache layers=3 & v_proj layers=1 label=two"]
    sweep.run(tmp_path / "out", *(word for text in (*SHORT, *(f"sweep.arm={a}" for a in arms)) for word in ("--set", text)))
    more = (*SHORT, *(f"sweep.arm={arm}" for arm in arms + new), "sweep.control=filler control_of=one")
    sweep.run(tmp_path / "out", "--extend", *(word for text in more for word in ("--set", text)))
    rows = read_results(tmp_path / "out" / "results.h5").rows
    assert (rows["patch_cells_changed"][rows["arm"] == 1] == -1).all()
    for arm in (2, 3):
        assert ((rows["status"] == "ok") & (rows["arm"] == arm)).any()


def test_a_sweep_without_rows_grows(sweep, tmp_path):
    config = tmp_path / "job.cfg"
    config.write_text("".join(line for line in sweep.config.read_text().splitlines(True) if not line.startswith("arm")))
    empty = type(sweep)(sweep.binary, config, sweep.tokenizer, sweep.pairs)
    empty.run(tmp_path / "out")
    empty.run(tmp_path / "out", "--extend", *(word for text in (*SHORT, "sweep.arm=base") for word in ("--set", text)), expect=2)
    empty.run(tmp_path / "out", "--extend", "--set", "sweep.arm=base")
    assert (read_results(tmp_path / "out" / "results.h5").rows["status"] == "ok").any()
