"""What happens to sweeps on ordinary days: files that move, launchers that do not fit, texts that double something."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from processes import ENVIRONMENT, call
from rvsweep_cli import read_results, write_config

ARMS = ["base", "kv_cache layers=0:5 positions=keywords:{} label=words"]


def with_arms(prompts, *arms: str) -> list[str]:
    """Two of the sweep's pairs under these arms."""
    settings = [f"prompts.file={prompts}", "generation.samples=1", *(f"sweep.arm={arm}" for arm in arms)]
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture
def lists(sweep, tmp_path):
    """The prompts, and the same words in files of two names."""
    prompts = tmp_path / "two.jsonl"
    prompts.write_text("".join(json.dumps(pair) + "\n" for pair in sweep.pairs[:2]))
    words = sorted({word for pair in sweep.pairs[:2] for word in pair["source"].split() if word.isalpha()})
    (tmp_path / "here.txt").write_text("\n".join(words[:5]) + "\n")
    (tmp_path / "other.txt").write_text("# the same\n" + "\n".join(reversed(words[:5])) + "\n")
    return prompts, tmp_path / "here.txt", tmp_path / "other.txt"


def test_a_word_list_is_its_words_wherever_it_lies(sweep, lists, tmp_path):
    prompts, here, other = lists
    out = tmp_path / "out"
    of_list = {path: with_arms(prompts, *(arm.format(path) for arm in ARMS)) for path in (here, other)}
    sweep.run(out, *of_list[here])
    first = read_results(out / "results.h5")
    assert (first.rows["status"] == "ok").all() and (first.rows["cells_changed"] > 0).any()
    here.unlink()
    sweep.run(out, *of_list[other])
    sweep.run(tmp_path / "again", *of_list[other])
    again = read_results(tmp_path / "again" / "results.h5")
    assert again.rows["row_id"].tolist() == first.rows["row_id"].tolist()
    assert list(again.arms["spec"]) == list(first.arms["spec"])
    row = f"{int(first.rows['row_id'][1]):016x}"
    assert "bits      identical" in sweep.call("replay", out, "--row", row).stdout

    other.write_text(other.read_text().rsplit("\n", 2)[0] + "\n")  # one word less
    assert "sweep.arm was" in sweep.run(out, *of_list[other], expect=2).stderr


def test_a_sweep_is_extended_by_a_word_list(sweep, lists, tmp_path):
    prompts, here, other = lists
    out = tmp_path / "out"
    sweep.run(out, *with_arms(prompts, "base"))
    sweep.run(out, *with_arms(prompts, *(arm.format(here) for arm in ARMS)), "--extend")
    here.unlink()
    arms = [*(arm.format(other) for arm in ARMS), "source"]
    sweep.run(out, *with_arms(prompts, *arms), "--extend")
    assert len(read_results(out / "results.h5").rows["status"]) == 2 * 3


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_STEP_NUM_TASKS": "3"},
        {"SLURM_STEP_NUM_TASKS": "3", "PMIX_RANK": "0", "PMIX_NAMESPACE": "slurm.pmix.12.0"},
        {"PMI_RANK": "0", "PMI_SIZE": "3"},
    ],
    ids=["no-mpi", "pmix", "pmi2"],
)
def test_tasks_that_do_not_find_each_other_are_refused(sweep, tmp_path, variables):
    environment = ENVIRONMENT | {"SLURM_PROCID": "0", "SLURM_JOB_ID": "12"} | variables
    out = tmp_path / "out"
    words = [str(word) for word in sweep.words(out)]
    run = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
    assert run.returncode == 2 and not out.exists(), run.stderr
    assert "started 3 tasks without MPI, which would each run the whole sweep: use srun --mpi=pmix" in run.stderr
    doctor = subprocess.run(
        [words[0], "doctor", "--json"], capture_output=True, text=True, timeout=60, env=environment
    )
    found = {finding["item"]: finding for finding in json.loads(doctor.stdout)}
    assert found["launcher"]["level"] == "problem" and "started 3 tasks" in found["launcher"]["text"]


def test_a_text_that_begins_with_bos_is_warned_of(sweep, tmp_path):
    prompts = tmp_path / "pairs.jsonl"
    for source, warned in (("<|begin|>The harbour", True), ("The harbour", False)):
        prompts.write_text(json.dumps({"pair": "p", "source": source, "base": "The quay"}) + "\n")
        words = [sweep.binary, "plan", "--config", sweep.config, "--device", "cpu"]
        said = call([*words, "--set", f"prompts.file={prompts}"])
        assert said.returncode == 0, said.stderr
        assert ("warning: prompt p/source begins with the token" in said.stderr) == warned, said.stderr


def test_a_text_with_its_template_in_it_is_warned_of(rvsweep, demo_model, tmp_path):
    prompts = tmp_path / "pairs.jsonl"
    for source, warned in (("<|im_start|>user\nHello<|im_end|>\n", True), ("Hello", False)):
        prompts.write_text(json.dumps({"pair": "p", "source": source, "base": "Bye"}) + "\n")
        config = write_config(tmp_path / "job.cfg", demo_model, prompts, ["base"], 1, 3, 1)
        said = call([rvsweep, "plan", "--config", config, "--set", "prompts.template=smollm2"])
        assert said.returncode == 0, said.stderr
        assert ("warning: prompt p/source holds special tokens of prompts.template" in said.stderr) == warned


def test_plan_names_its_arms_in_few_lines_and_spells_them_out_when_asked(sweep, finished):
    words = [word for word in sweep.words("unused") if word not in ("run", "--out", "unused")]
    summary = sweep.call("plan", *words[1:]).stdout
    named = re.search(r"^arms +(\d+): (.*?)\nrows ", summary, re.MULTILINE | re.DOTALL)
    arms = finished.results.arms
    assert int(named[1]) == len(arms["label"])
    assert " ".join(named[2].split()) == ", ".join(arms["label"])
    assert max(map(len, named[0].splitlines())) <= 100
    spelt = sweep.call("plan", *words[1:], "--arms").stdout.splitlines()
    assert spelt == [f"{label}  =  {spec}" for label, spec in zip(arms["label"], arms["spec"], strict=True)]


def test_plan_counts_pairs_whose_source_is_their_base(sweep, tmp_path):
    prompts = tmp_path / "pairs.jsonl"
    pairs = [{"pair": f"p{n}", "source": "The harbour", "base": base} for n, base in enumerate(["A", "The harbour"])]
    prompts.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    words = [sweep.binary, "plan", "--config", sweep.config, "--device", "cpu", "--set", f"prompts.file={prompts}"]
    assert "1 pairs have a source equal to their base, such as p1" in call(words).stdout


@pytest.mark.parametrize(("name", "value"), [("OMP_DYNAMIC", "true"), ("OMP_THREAD_LIMIT", "1")])
def test_fewer_threads_than_products_are_shared_out_over_are_refused(sweep, tmp_path, monkeypatch, name, value):
    """oneDNN would leave parts of its products out: NaN, or other numbers."""
    monkeypatch.setitem(ENVIRONMENT, name, value)
    refused = sweep.run(tmp_path / "out", "--set", "run.threads=2", expect=2)
    assert f"error: {name}: " in refused.stderr and "unset it" in refused.stderr
    sweep.run(tmp_path / "out", "--set", "run.threads=1")
