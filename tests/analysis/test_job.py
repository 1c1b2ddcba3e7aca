"""Sweeps described in Python: the files they become, the program they call, its messages and results."""

import os
import stat

import h5py
import numpy as np
import pandas as pd
import pytest
from prompt_texts import sentences

import rvsweep as package
from rvsweep.program import call, find_program

ARMS = ["base", "source", "kv_cache layers=2:5"]
SETTINGS = {"generation.max_new_tokens": 4, "model.window": 4, "generation.temperature": 0}


@pytest.fixture(scope="module")
def pairs():
    texts = sentences(3, 4)
    return [{"pair": f"p{at}", "source": texts[at], "base": texts[at + 2]} for at in range(2)]


@pytest.fixture
def sweep(rvsweep, tiny_model, pairs):
    return package.sweep(tiny_model("llama"), pairs, ARMS, read_outs=["forced"], settings=SETTINGS)


def test_a_sweep_is_the_job_file_that_one_would_write(tmp_path):
    table = pd.DataFrame(
        {"pair": ["ä-1"], "source": ["S\u2028s"], "base": ["b"], "cluster": [np.nan], "k": [np.int64(3)]}
    )
    made = package.sweep(
        "m", table, ARMS[1:], ["self", "zero"], ["forced"], {"sweep.seed": 2, "prompts.template": "own"}
    )
    assert made.config.split("\n") == [
        "[model]", f"path = {os.getcwd()}/m", "", "[readouts]", "forced = true", "", "[sweep]", "seed = 2",
        "arm = source", "arm = kv_cache layers=2:5", "control = self, zero", "", "[prompts]", "template = own", "",
    ]  # fmt: skip
    assert made.prompts == '{"pair": "ä-1", "source": "S\u2028s", "base": "b", "k": 3}\n'
    of_file = package.sweep(tmp_path / "model.cfg", tmp_path / "pairs.csv", ARMS)
    assert f"file = {tmp_path}/pairs.csv" in of_file.config and "path" not in of_file.config
    assert of_file.prompts is None and of_file.model == tmp_path / "model.cfg"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"arms": "base"}, "arms: give a list of texts"),
        ({"settings": {"seed": 1}}, "seed: name the section"),
        ({"arms": ["base\nseed = 2"]}, "one line without a comment"),
        ({"arms": ["base # unpatched"]}, "one line without a comment"),
        ({"pairs": [{"pair": object()}]}, "no text, number, list or dict"),
    ],
)
def test_what_no_job_file_can_hold_is_refused(words, message):
    with pytest.raises(package.InputError, match=message):
        package.sweep(**{"model": "m", "pairs": [], "arms": ARMS, **words})


def test_a_plan_has_the_rows_and_a_mistake_its_message(sweep, pairs, tiny_model, capsys):
    planned = sweep.plan()
    assert (planned["pairs"], planned["rows"], planned["refused"]) == (2, 6, 0)
    wrong = package.sweep(tiny_model("llama"), pairs, ["base", "kv_cach layers=2:5"])
    with pytest.raises(package.ProgramError, match='unknown arm "kv_cach": did you mean kv_cache') as caught:
        wrong.plan()
    assert caught.value.exit_code == 2 and len(str(caught.value).splitlines()) == 1
    assert "unknown arm" in capsys.readouterr().err


def test_a_run_gives_the_programs_results_and_resumes(sweep, rvsweep, tmp_path, capfd, pairs, tiny_model):
    study = sweep.run(tmp_path / "out", ranks=2)
    assert "[########################] 6/6 rows" in capfd.readouterr().err
    assert (len(study.ok), list(study.arms["kind"])) == (6, ["base", "source", "kv_cache"])
    (config,) = (tmp_path / "out").glob("sweep-*.cfg")
    call([rvsweep, "run", "--config", config, "--set", "run.threads=1", "--out", tmp_path / "direct"])
    with h5py.File(tmp_path / "direct/results.h5") as one, h5py.File(study.results.path) as other:
        for name in ("row_id", "tokens", "logprob_source", "spectra_prompt"):
            assert np.array_equal(
                one[f"rows/{name}"][...], other[f"rows/{name}"][...], equal_nan=name[0] != "t"
            )
    again = sweep.run(tmp_path / "out", ranks=2)
    assert again.rows.equals(study.rows)
    other = package.sweep(tiny_model("llama"), pairs[:1], ARMS, settings=SETTINGS)
    before = sorted(path.read_bytes() for path in (tmp_path / "out").glob("*-*.*"))
    with pytest.raises(package.ProgramError, match="another sweep|differs|other"):
        other.run(tmp_path / "out")
    assert set(before) <= {path.read_bytes() for path in (tmp_path / "out").glob("*-*.*")}


def fake(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_submit_hands_a_shipped_batch_file_to_sbatch(sweep, rvsweep, tmp_path, monkeypatch):
    """sbatch stands for a Slurm that starts the job at once."""
    script = f"""printf '%s\\n' "${{@:1:3}}" >{tmp_path}/options; shift 3
        export SLURM_JOB_ID=7 RVSWEEP_LAUNCHER="env"; bash "$@" >&2 || exit 1; echo '7;cluster'"""
    fake(tmp_path, "sbatch", script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert sweep.submit(tmp_path / "out", slurm={"nodes": 2, "cpus_per_task": 1}) == "7"
    assert (tmp_path / "options").read_text().split() == ["--parsable", "--nodes=2", "--cpus-per-task=1"]
    assert len(package.load(tmp_path / "out").ok) == 6
    with pytest.raises(package.InputError, match="give a batch file"):
        sweep.submit(tmp_path / "out", batch_file=tmp_path / "none.sbatch")


def test_the_program_is_the_named_one_or_the_checkouts_or_that_on_the_path(rvsweep, tmp_path, monkeypatch):
    assert find_program() == rvsweep.resolve()
    monkeypatch.setenv("RVSWEEP_PROGRAM", str(tmp_path / "own"))
    assert find_program() == tmp_path / "own"
    with pytest.raises(package.InputError, match="own: cannot be run"):
        package.sweep("m", [], ARMS).plan()
    monkeypatch.delenv("RVSWEEP_PROGRAM")
    monkeypatch.setattr("rvsweep.program.CHECKOUT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(package.InputError, match="build it, or name it by RVSWEEP_PROGRAM"):
        find_program()
    assert fake(tmp_path, "rvsweep", "exit 0") == find_program()


def test_a_program_without_messages_of_its_own_has_its_last_lines_raised(tmp_path, capsys):
    with pytest.raises(package.ProgramError) as caught:
        call([fake(tmp_path, "mute", "echo not enough slots >&2; exit 7")])
    assert (str(caught.value), caught.value.exit_code) == ("not enough slots", 7)
    assert call([fake(tmp_path, "some", "echo out; exit 3")]) == (3, "out\n")


def test_an_interrupt_ends_the_program_in_good_order(tmp_path):
    script = f"""trap 'echo stopped >{tmp_path}/mark; exit 75' USR1
        echo ready >&2; sleep 1; kill -INT $PPID; for _ in {{1..600}}; do sleep 0.1; done"""
    with pytest.raises(KeyboardInterrupt):
        call([fake(tmp_path, "long", script)])
    assert (tmp_path / "mark").read_text() == "stopped\n"
