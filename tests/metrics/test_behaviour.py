"""Behaviour read-outs against Python written from their definitions, on made-up texts and on a sweep's own."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from behaviour_reference import compiled, same, scores
from behaviour_texts import generations
from processes import call
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import read_results, write_config

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "configs" / "readouts"
FAMILIES = json.loads((SHIPPED / "regex_families.json").read_text())


@pytest.fixture(scope="module")
def measure_texts() -> Path:
    tools = [path for path in (ROOT / "build").rglob("measure_texts") if path.is_file()]
    if not tools:
        pytest.fail("build/ has no measure_texts (nothing was built): run ./tests/run.sh")
    return tools[0]


def measured(tool: Path, texts: list[tuple[str, str]], *arguments: str | Path) -> list[dict]:
    lines = "".join(json.dumps({"text": text, "prompt": prompt}) + "\n" for text, prompt in texts)
    # From a folder without configs/: the shipped families are inside the program.
    result = subprocess.run([tool, *arguments], input=lines, capture_output=True, text=True, check=True, cwd="/")
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("seed", [1, 2])
def test_scores_of_generated_texts(measure_texts, seed):
    texts = generations(FAMILIES, seed, 1000)
    families = compiled(FAMILIES)
    expected = [scores(text, prompt, families) for text, prompt in texts]
    found = measured(measure_texts, texts)
    assert len(found) == len(expected) == 1000
    for (text, prompt), one, other in zip(texts, found, expected):
        assert one.keys() == other.keys()
        wrong = {name: (one[name], other[name]) for name in other if not same(one[name], other[name])}
        assert not wrong, f"{wrong} in {text!r} after {prompt!r}"
    # The texts are worth comparing on: every score takes many values.
    for name in families:
        assert sum(one[name] > 0 for one in expected) > 50, name
    for name in ("copied_ngrams", "repeated_ngrams"):
        assert sum(0 < one[name] < 1 for one in expected) > 100, name
        assert sum(math.isnan(one[name]) for one in expected) > 30, name
    assert 30 < sum(one["repetitive"] for one in expected) < 970
    assert sum(0 < one["keyword_count_new"] < one["keyword_count"] for one in expected) > 50


@pytest.mark.parametrize("family", FAMILIES["families"], ids=lambda family: family["name"])
def test_examples_of_the_shipped_file(measure_texts, family):
    for sentences, matches in ((family["matches"], True), (family["no_match"], False)):
        for sentence, found in zip(sentences, measured(measure_texts, [(sentence, "") for sentence in sentences])):
            assert (found[family["name"]] > 0) == matches, sentence


def test_a_families_file_of_the_users(measure_texts, tmp_path):
    family = {"name": "technical_sea", "description": "sea", "patterns": [r"\bÜber\w*", "sea"]}
    own = {"version": 3, "families": [family]}
    (tmp_path / "own.json").write_text(json.dumps(own, ensure_ascii=False))
    texts = [("überall Übersee, SEA", ""), ("ober", ""), ("éüber", "")]
    found = measured(measure_texts, texts, tmp_path / "own.json")
    assert [one["technical_sea"] for one in found] == [3, 0, 0]
    assert found[0].keys().isdisjoint(compiled(FAMILIES))


def test_the_filler_is_long_and_the_token_sets_are_even(demo_model):
    tokenizer = Tokenizer.from_file(str(demo_model / "tokenizer.json"))
    assert len(tokenizer.encode((SHIPPED / "filler.txt").read_text()).ids) >= 2500
    sets = json.loads((SHIPPED / "token_sets.json").read_text())
    recursive, task = sets["recursive"], sets["task"]
    assert len(recursive) == len(task) == len({*recursive, *task}) / 2

    def is_token(text: str) -> bool:
        return len(tokenizer.encode(text, add_special_tokens=False).ids) == 1

    assert all(is_token(" " + word) for word in recursive + task)
    assert sum(map(is_token, recursive)) == sum(map(is_token, task)) == 44 - 24


ARMS = ["base", "source", "kv_cache layers=2:5", "kv_cache layers=2:5 direction=base_to_source"]


@pytest.fixture(scope="module")
def job(tiny_model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("behaviour")
    tokenizer = Tokenizer.from_file(str(tiny_model("llama") / "tokenizer.json"))
    prompts = write_pairs(folder / "pairs.jsonl", pairs_of_lengths(tokenizer, [(20, 30), (33, 24)]))
    return write_config(folder / "job.cfg", tiny_model("llama"), prompts, ARMS, 1, 3, 30, stop_at_eos=False)


def run(rvsweep: Path, job: Path, out: Path, *settings: str, ranks: int = 0):
    sets = [word for setting in ("run.threads=1", *settings) for word in ("--set", setting)]
    return call([rvsweep, "run", "--config", job, "--out", out, "--device", "cpu", "--dtype", "float32", *sets], ranks)


def write_families(path: Path, pattern: str) -> Path:
    family = {"name": "technical_e", "description": "the letter e", "patterns": [pattern]}
    path.write_text(json.dumps({"version": 1, "families": [family]}))
    return path


@pytest.mark.parametrize("own_file", [False, True])
def test_a_sweep_stores_the_scores_of_its_texts(rvsweep, job, tmp_path, own_file):
    families, description = "builtin", FAMILIES
    if own_file:
        families = write_families(tmp_path / "own.json", "e+")
        description = json.loads(families.read_text())
    result = run(rvsweep, job, tmp_path / "out", "readouts.copying=true", f"readouts.families={families}", ranks=2)
    assert result.returncode == 0, result.stderr
    results = read_results(tmp_path / "out" / "results.h5")
    assert len(results.rows["text"]) == 8
    for row in range(8):
        arm, pair = results.rows["arm"][row], results.rows["pair"][row]
        donor = results.pairs["base" if arm in (0, 3) else "source"][pair]
        expected = scores(results.rows["text"][row], results.prompts["text"][donor], compiled(description))
        for name, value in expected.items():
            assert same(results.rows[name][row], value), f"{name} of row {row}"
    if own_file:
        assert max(results.rows["technical_e"]) > 0
        assert "recursive_paradox" not in results.rows.columns


def test_the_content_of_the_families_file_belongs_to_the_sweep(rvsweep, job, tmp_path):
    first, second = write_families(tmp_path / "a.json", "e+"), write_families(tmp_path / "b.json", "e+")
    out = tmp_path / "out"
    assert run(rvsweep, job, out, f"readouts.families={first}").returncode == 0
    assert run(rvsweep, job, out, f"readouts.families={second}").returncode == 0
    write_families(second, "e")
    refused = run(rvsweep, job, out, f"readouts.families={second}")
    assert refused.returncode == 2 and "families_fingerprint was" in refused.stderr
