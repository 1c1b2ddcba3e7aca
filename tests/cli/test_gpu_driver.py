"""What is said at start-up where there is no GPU driver, an old one, one that does not start, one without a device."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import h5py
import pytest

from processes import ENVIRONMENT

BUILT = Path(__file__).resolve().parents[2] / "build" / "tests" / "fake_cuda"  # tests/support/fake_cuda.c

# What the fake offers, and what is said of it: the wheel's libtorch is built for CUDA 13.0.
CASES = {
    "old": ("11040", "0", ["too old", "offers CUDA 11.4", "built for CUDA 13.0"]),
    "new_but_not_started": ("13010", "802", ["does not start (system not yet initialized)", "offers CUDA 13.1"]),
    "cut_off": ("13000", "100", ["does not start (no CUDA-capable device is detected)", "offers CUDA 13.0"]),
    "empty": ("13000", "0", ["no device that libtorch can use", "offers CUDA 13.0", "CUDA_VISIBLE_DEVICES=none"]),
}


def with_driver(case: str) -> dict[str, str]:
    assert (BUILT / "libcuda.so.1").exists(), f"{BUILT} is missing: build the tests"
    offers, start, _ = CASES[case]
    return {"LD_LIBRARY_PATH": str(BUILT), "FAKE_DRIVER_VERSION": offers, "FAKE_DRIVER_INIT": start,
            "CUDA_VISIBLE_DEVICES": "none"}  # fmt: skip


def call(words, environment: dict[str, str], expect: int) -> subprocess.CompletedProcess:
    result = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=120, env=ENVIRONMENT | environment
    )
    assert result.returncode == expect, result.stdout + result.stderr
    return result


def doctor(rvsweep, environment: dict[str, str], expect: int) -> dict[str, dict[str, str]]:
    found = json.loads(call([rvsweep, "doctor", "--json"], environment, expect).stdout)
    return {finding["item"]: finding for finding in found}


@pytest.mark.parametrize("case", CASES)
def test_doctor_says_why_a_driver_is_of_no_use(rvsweep, case):
    found = doctor(rvsweep, with_driver(case), expect=1)
    assert found["gpu"]["level"] == "problem" and "nvidia-smi" in found["gpu"]["advice"]
    for words in CASES[case][2]:
        assert words in found["gpu"]["text"]


def test_doctor_names_the_versions_of_the_wheels_libraries(rvsweep):
    """libtorch's GPU part is found, although doctor has asked libtorch for its BLAS before."""
    cublas = ".".join(version("nvidia-cublas").split(".")[:3])
    cudnn = ".".join(version("nvidia-cudnn-cu13").split(".")[:3])
    cuda = ".".join(version("nvidia-cuda-runtime").split(".")[:2])
    found = doctor(rvsweep, with_driver("empty"), expect=1)
    assert found["cuda"]["text"] == f"CUDA {cuda}, cuBLAS {cublas}, cuDNN {cudnn}"


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("case", CASES)
def test_auto_that_takes_the_cpu_says_why(sweep, tmp_path, command, case):
    words = [sweep.binary, command, "--config", sweep.config, "--set", "sweep.bundle_rows=8"]
    words += ["--out", tmp_path / "out", "--max-time", "0.01s"] if command == "run" else []
    log = call(words, with_driver(case), expect=75 if command == "run" else 0).stderr
    warnings = [line for line in log.splitlines() if "run.device = auto" in line]
    assert len(warnings) == 1 and "warning" in warnings[0]
    for words in CASES[case][2]:
        assert words in warnings[0]


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_that_was_asked_for_and_is_not_there_is_refused(sweep, tmp_path, case):
    words = [sweep.binary, "run", "--config", sweep.config, "--out", tmp_path / "out", "--device", "cuda"]
    log = call(words, with_driver(case), expect=2).stderr
    for said in ["run.device", "cuda was asked for", *CASES[case][2]]:
        assert said in log
    assert not (tmp_path / "out").exists()


def test_without_a_driver_the_cpu_is_taken_without_a_word(sweep, tmp_path):
    words = [sweep.binary, "plan", "--config", sweep.config, "--set", "sweep.bundle_rows=8"]
    assert "run.device" not in call(words, {}, expect=0).stderr


def test_a_sweep_on_a_cpu_has_no_attribute_of_a_gpu(finished):
    with h5py.File(finished.out / "results.h5") as file:
        assert not {"cuda_version", "cublas_version", "cudnn_version", "gpu_model"} & set(file.attrs)
        assert "gpu_driver" not in file["run"].attrs
