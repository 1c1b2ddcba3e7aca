"""The benchmark compares what it says: the same tokens and spectra on all sides, and a limit that counts the work."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import against  # noqa: E402
import bench  # noqa: E402
import long_prompts  # noqa: E402
import machine_limits  # noqa: E402
from hf_batched import BatchedHuggingFace  # noqa: E402
from rvsweep_side import Rvsweep  # noqa: E402
from work import WINDOW, make_work  # noqa: E402


@pytest.mark.parametrize("variant", ["short", "wide"])
def test_all_sides_compute_the_same(rvsweep, tiny_model, tmp_path, variant):
    words = [sys.executable, HERE / "bench.py", "--model", tiny_model("llama"), "--rvsweep", rvsweep, "--out", tmp_path]
    words += ["--variant", variant, "--threads", "1", "--pairs", "2", "--seconds", "0", "--alternations", "1"]
    result = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "benchmark.json").read_text())
    assert report["same"]["spectra"] < 1e-4
    for name, found in report["same"]["tokens"].items():
        assert found["identical"] == found["rows"] > 0, name
    assert (tmp_path / "benchmark.png").stat().st_size > 0 and (tmp_path / "benchmark.svg").stat().st_size > 0


def test_whole_processes_on_long_prompts_are_measured_alike(rvsweep, tiny_model, tmp_path):
    side = Rvsweep(rvsweep, tiny_model("llama"), 1, 2, "cpu", "float32", 0, 1, tmp_path)
    found = long_prompts.compare(side, [30, 50], alternations=1)
    assert found["same_tokens"] == found["prompts"] == 2
    for name, measured in found["sides"].items():
        assert min(measured["megabytes"]) > 50, name  # libtorch alone takes more


@pytest.mark.parametrize("variant", ["short", "wide"])
def test_the_limit_counts_the_products_of_the_work(tiny_model, variant):
    """Against PyTorch's count for a batched run, which does a little more than what the formula counts."""
    folder = tiny_model("llama")
    work = make_work(variant, folder)
    model, tokenizer = bench.load(folder, "cpu", "float32")
    pairs = work.pairs(2)
    with FlopCounterMode(display=False) as counter:
        BatchedHuggingFace(model, tokenizer, work).run(pairs)
    counted = counter.get_flop_counts()["Global"]

    config = model.config
    matrices = machine_limits.matrices(config)
    rates = {phase: {matrix.name: 1.0 for matrix in matrices} for phase in ("prefill", "decode")}
    rows = len(pairs) * len(work.arms)
    parts = machine_limits.seconds_per_row(config, work, rows, torch.float32, rates, math.inf, math.inf)
    kinds = [arm.kind for arm in work.arms]
    # A v_proj row's last W tokens are read in the layers below the patch too.
    of_layers = sum(matrix.flops() for matrix in matrices if matrix.name != "lm_head")
    below = sum(arm.layers.start for arm in work.arms if arm.kind == "v_proj") / config.num_hidden_layers
    more = of_layers * below * WINDOW * len(pairs)
    # Logits of every prompt are made, also where no arm continues it.
    unread = 2 - kinds.count("base") - kinds.count("source")
    more += next(matrix.flops() for matrix in matrices if matrix.name == "lm_head") * unread * len(pairs)
    # Gram matrices of two windows.
    values = config.num_key_value_heads * config.head_dim
    more += 2 * config.num_hidden_layers * rows * 2 * WINDOW**2 * values
    assert counted[torch.ops.aten.mm] + counted[torch.ops.aten.bmm] == pytest.approx(sum(parts.values()) * rows + more)


def test_ratios_of_two_builds_are_taken_turn_by_turn():
    """Not of the medians, which a machine that slows down from turn to turn would mix."""
    old = [{"whole": 1.0, "gone": 1.0, "none": 0.0}, {"whole": 2.0, "none": 0.0}, {"whole": 10.0, "none": 0.0}]
    new = [{"whole": 3.0, "own": 1.0, "none": 0.0}, {"whole": 2.0, "none": 0.0}, {"whole": 5.0, "none": 0.0}]
    found = against.ratios(old, new)
    assert found == {"whole": {"old": 2.0, "new": 3.0, "median": 1.0, "least": 0.5, "most": 3.0}}


def test_two_builds_do_the_same_work_in_turns(rvsweep, tiny_model, tmp_path):
    """The old build here is this one, which writes down that it was called."""
    calls = tmp_path / "calls"
    old = tmp_path / "old"
    old.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec {rvsweep} "$@"\n')
    old.chmod(0o755)
    words = [sys.executable, HERE / "bench.py", "--model", tiny_model("llama"), "--rvsweep", rvsweep, "--out", tmp_path]
    words += ["--against", old, "--threads", "1", "--pairs", "2", "--seconds", "0", "--alternations", "2"]
    result = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    phases = json.loads((tmp_path / "against.json").read_text())["phases"]
    assert {"whole", "cpu", "load", "prefill", "decode", "start"} <= phases.keys()
    assert len(calls.read_text().splitlines()) == 4  # a sweep and a start each turn
