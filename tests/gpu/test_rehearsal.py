"""tests/gpu/run.sh as far as a machine without a GPU goes, and that what is wrong there is shown as wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

import step_runner as gpu
import steps


def lines_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "findings.jsonl").read_text().splitlines()]


def results_of(folder: Path) -> dict[str, str]:
    return {line["step"]: line["result"] for line in lines_of(folder) if "result" in line}


def test_every_step_has_a_result(rvsweep, tmp_path):
    words = [FOLDER / "run.sh", "--rehearse", "--out", tmp_path]
    run = subprocess.run(words, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    results = results_of(tmp_path)
    assert list(results) == [step.name for step in steps.STEPS]
    assert results.pop("compute-sanitizer") == "skipped"
    assert results.pop("NCCL on one rank") in ("ok", "skipped")  # without the tests' programs
    assert set(results.values()) == {"ok"}, results
    table = (tmp_path / "table.md").read_text()
    assert run.stdout.endswith(table + "\n") and table.count("\n") == len(steps.STEPS) + 2
    assert sum(step.limit for step in steps.STEPS[:-1]) <= steps.TOTAL == 480
    assert not (tmp_path / "work").exists()


def works(_):
    yield gpu.Finding("a number")


def breaks(bench):
    yield gpu.Finding("before")
    bench.call(["sh", "-c", "echo said; exit 7"])


def is_wrong(_):
    yield gpu.Finding("is 3, not 2", passed=False)
    yield gpu.Finding("after")


def finds_nothing(_):
    yield from ()


def hangs(bench):
    yield gpu.Finding("begun")
    bench.call(["sleep", "60"])


def cannot(_):
    raise gpu.Skip("not here")
    yield


PLANTED = {
    works: "ok",
    breaks: "failed",
    is_wrong: "failed",
    finds_nothing: "failed",
    hangs: "cut",
    cannot: "skipped",
}


def take(functions, folder: Path, total: float = 60) -> int:
    bench = gpu.Bench("cpu", folder)
    return gpu.take_steps([gpu.Step(f.__name__, 1.0, f) for f in functions], bench, total)


def test_what_goes_wrong_is_shown_and_the_rest_goes_on(rvsweep, tmp_path):
    begin = time.monotonic()
    assert take(PLANTED, tmp_path) == 1
    assert time.monotonic() - begin < 30
    assert results_of(tmp_path) == {function.__name__: result for function, result in PLANTED.items()}
    found = [line["finding"] for line in lines_of(tmp_path) if "finding" in line]
    assert "before" in found and "begun" in found and "after" in found and "FAILED: is 3, not 2" in found
    assert any("exit 7" in text and "said" in text for text in found)
    assert "| hangs | cut |" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize("function,code", [(works, 0), (cannot, 0), (is_wrong, 1), (hangs, 1)])
def test_the_exit_status_says_so(rvsweep, tmp_path, function, code):
    assert take([function], tmp_path) == code


def test_without_time_a_step_is_cut(rvsweep, tmp_path):
    assert take([works], tmp_path, total=0) == 1
    assert results_of(tmp_path) == {"works": "cut"}


def rows(**changes: np.ndarray) -> dict[str, np.ndarray]:
    columns = {name: np.linspace(1, 2, 10) for name in steps.READ_OUTS}
    return {"tokens": np.arange(50).reshape(10, 5), "status": np.array(["ok"] * 10)} | columns | changes


def test_rows_that_differ_are_found():
    assert steps.compare_rows("x", rows(), rows()).passed
    tokens = rows()["tokens"].copy()
    tokens[3, 4] += 1
    assert not steps.compare_rows("x", rows(tokens=tokens), rows()).passed
    assert not steps.compare_rows("x", rows(kl_first=np.linspace(1, 2.01, 10)), rows()).passed
    assert not steps.compare_rows("x", rows(kl_first=np.full(10, np.nan)), rows()).passed
    failed = np.array(["failed"] * 10)
    assert not steps.compare_rows("x", rows(status=failed), rows(status=failed)).passed


def test_logits_that_differ_are_found():
    logits = np.linspace(-1, 1, 100)
    assert steps.compare_logits("x", logits * 1.005, logits, 0.01).passed
    assert not steps.compare_logits("x", logits * 1.02, logits, 0.01).passed
    assert not steps.compare_logits("x", logits * np.nan, logits, 0.01).passed


def test_a_step_reads_matrices_once_and_the_rows_cells():
    """Llama 3 8B in bfloat16: 7.5 billion numbers of products, 128 KiB of keys and values a cell."""
    assert steps.step_bytes(steps.LLAMA_3_8B, 0, 0, 2) == pytest.approx(2 * 7.504e9, rel=1e-3)
    more = steps.step_bytes(steps.LLAMA_3_8B, 4, 10, 2) - steps.step_bytes(steps.LLAMA_3_8B, 0, 0, 2)
    assert more == 4 * 10 * 128 * 1024
