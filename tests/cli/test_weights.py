"""Weights: one copy per machine however many ranks, drawn ones in place of files, float16 files."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from processes import Running, call, differing, outside_run
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import run, write_config

MB = 1 << 20


def converted(model: Path, folder: Path, dtype: torch.dtype) -> Path:
    """A copy of the model whose weights are stored in `dtype`."""
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    tensors = load_file(model / "model.safetensors")
    save_file({name: tensor.to(dtype) for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def memory_of(pid: int) -> dict[str, dict[str, int]]:
    """Bytes by kind ("Rss", "Pss", ...): of the shared weights, and of everything else."""
    kinds = {"weights": {}, "else": {}}
    sums = kinds["else"]
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            sums = kinds["weights" if "memfd:rvsweep-weights" in line else "else"]
        elif words[-1] == "kB":
            sums[words[0][:-1]] = sums.get(words[0][:-1], 0) + int(words[1]) * 1024
    return kinds


def ranks_of(binary: Path, out: Path) -> list[int]:
    """Process ids of the run that writes into `out`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if words[0] == str(binary).encode() and str(out).encode() in words:
            found.append(int(folder.name))
    return found


def test_ranks_of_a_machine_hold_one_copy(rvsweep, demo_model, tmp_path):
    """bfloat16 files and a float32 run: numbers are converted, but for matrices with AMX, and kept once."""
    model = converted(demo_model, tmp_path / "model", torch.bfloat16)
    numbers = (model / "model.safetensors").stat().st_size / 2
    shape = json.loads((model / "config.json").read_text())
    # The tied head is packed for its products; the embedding stays as it is for lookups.
    has_amx = "with AMX" in call([rvsweep, "doctor"]).stdout
    copy = (2 if has_amx else 4) * numbers + 4 * shape["vocab_size"] * shape["hidden_size"]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    prompts = write_pairs(tmp_path / "pairs.jsonl", pairs_of_lengths(tokenizer, [(20, 20)] * 64))
    config = write_config(tmp_path / "job.cfg", model, prompts, ["base"], 4, 24, 200, stop_at_eos=False)
    words = [rvsweep, "run", "--config", config, "--out", tmp_path / "out", "--device", "cpu", "--dtype", "float32"]
    words += ["--set", "run.threads=1", "--set", "sweep.bundle_rows=8"]
    with Running(words, 2, tmp_path / "log.txt") as running:

        def both_have_used_every_matrix() -> bool:
            pids = ranks_of(rvsweep, tmp_path / "out")
            time.sleep(0.1)
            return len(pids) == 2 and all(memory_of(pid)["weights"].get("Rss", 0) > 0.8 * copy for pid in pids)

        running.wait_until(both_have_used_every_matrix)
        memory = [memory_of(pid) for pid in ranks_of(rvsweep, tmp_path / "out")]
    proportional = sum(rank["weights"]["Pss"] for rank in memory)
    own = [rank["else"]["Private_Dirty"] + rank["else"]["Private_Clean"] for rank in memory]
    print(f"copy {copy / MB:.0f} MiB, PSS of both {proportional / MB:.0f} MiB, else private {[o // MB for o in own]} MiB")
    assert 0.98 * copy < proportional < 1.02 * copy
    assert max(own) < 0.8 * copy  # libtorch, caches and bundles, but no second copy


@pytest.fixture(scope="module")
def bare(tiny_model, tmp_path_factory) -> Path:
    """A model folder without weights."""
    folder = tmp_path_factory.mktemp("bare") / "model"
    shutil.copytree(tiny_model("qwen2"), folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    return folder


@pytest.fixture(scope="module")
def job(bare) -> Path:
    tokenizer = Tokenizer.from_file(str(bare / "tokenizer.json"))
    prompts = write_pairs(bare.parent / "pairs.jsonl", pairs_of_lengths(tokenizer, [(20, 30), (33, 25)] * 8))
    return write_config(bare.parent / "job.cfg", bare, prompts, ["base", "kv_cache layers=2:5"], 1, 3, 8)


def words_of(binary: Path, job: Path, out: Path, *more: str) -> list[str | Path]:
    sets = ["--set", "run.threads=1", "--set", "sweep.bundle_rows=8"]
    return [binary, "run", "--config", job, "--out", out, "--device", "cpu", "--dtype", "float32", *sets, *more]


def test_drawn_weights_need_no_files_and_are_part_of_the_sweep(rvsweep, job, tmp_path):
    run(*words_of(rvsweep, job, tmp_path / "alone", "--random-weights=3"))
    result = call(words_of(rvsweep, job, tmp_path / "two", "--random-weights=3"), ranks=2)
    assert result.returncode == 0, result.stderr
    alone, two = (outside_run(tmp_path / name / "results.h5") for name in ("alone", "two"))
    assert differing(alone, two) == []

    run(*words_of(rvsweep, job, tmp_path / "other", "--random-weights=4"))
    changed = differing(alone, outside_run(tmp_path / "other" / "results.h5"))
    assert "prompts/spectra" in changed and any("model_fingerprint" in name for name in changed)
    again = call(words_of(rvsweep, job, tmp_path / "alone", "--random-weights=4"))
    assert again.returncode == 2 and "random_weights" in again.stderr
    with_files = call(words_of(rvsweep, job, tmp_path / "files"))
    assert with_files.returncode == 2 and "model.safetensors" in with_files.stderr

    plan = run(rvsweep, "plan", "--config", job, "--device", "cpu", "--random-weights")
    assert "rows      32 " in plan.stdout


def test_a_tokenizer_beyond_the_vocabulary_is_refused(rvsweep, bare, job, tmp_path):
    folder = Path(shutil.copytree(bare, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    words = words_of(rvsweep, job, tmp_path / "out", "--random-weights", "--set", f"model.path={folder}")
    result = call(words)
    assert result.returncode == 2 and "vocabulary ends at 99" in result.stderr and "tokenizer.json" in result.stderr


def test_probe_with_drawn_weights(rvsweep, bare, tmp_path):
    seen = []
    for seed in ("1", "1", "2"):
        out = tmp_path / "probe.h5"
        words = ["--model", bare, "--text", "some words of a text", "--out", out, "--device", "cpu"]
        run(rvsweep, "probe", *words, f"--random-weights={seed}")
        with h5py.File(out) as file:
            seen.append((file["v"][()], file["embedding"][()]))
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert (seen[0][0] != seen[2][0]).mean() > 0.99
    expected = json.loads((bare / "config.json").read_text())["initializer_range"]
    assert abs(seen[0][1].std() / expected - 1) < 0.15
