"""run --self-check: its outcome is told in /run alone, and changes nothing else."""

from __future__ import annotations

import json

import h5py
import pytest
from processes import call, differing, outside_run
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import write_config
from tokenizers import Tokenizer


@pytest.fixture(scope="module")
def words(rvsweep, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("self_check")
    model = tiny_model("llama")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    prompts = write_pairs(folder / "pairs.jsonl", pairs_of_lengths(tokenizer, [(20, 30), (33, 40)]))
    config = write_config(folder / "job.cfg", model, prompts, ["base", "kv_cache layers=2:5"], 1, 3, 4)
    return [rvsweep, "run", "--config", config, "--device", "cpu", "--set", "run.threads=1"]


@pytest.mark.parametrize("dtype,ranks", [("float32", 0), ("bfloat16", 2)])
def test_its_outcome_is_in_run_alone(words, tmp_path, dtype, ranks):
    files = []
    for name, more in {"with": ["--self-check"], "without": []}.items():
        result = call([*words, "--dtype", dtype, "--out", tmp_path / name, *more], ranks)
        assert result.returncode == 0, result.stderr
        files.append(tmp_path / name / "results.h5")
    assert differing(*map(outside_run, files)) == []
    with h5py.File(files[1]) as file:
        assert "self_check" not in file["run"].attrs
    with h5py.File(files[0]) as file:
        outcome = json.loads(file["run"].attrs["self_check"])
    assert outcome["passed"] is True
    operations = {found["operation"]: found for found in outcome["operations"]}
    assert {"prefill: keys", "cache patch: keys", "site patch: values", "spectra"} <= operations.keys()
    for growth in ("append", "frozen", "compound"):
        assert any(name.startswith("decoding, ") and name.endswith(growth) for name in operations), growth
    roundoff = {"float32": 2**-19, "bfloat16": 2**-8}[dtype]
    for found in operations.values():
        assert 0 <= found["error"] <= found["error_bound"] <= 4 * roundoff, found
        assert 0 <= found["gain"] <= found["gain_bound"] <= 0.75 * roundoff, found
    # Two computations, not one beside itself.
    assert operations["prefill: logits"]["error"] > 0.001 * roundoff
