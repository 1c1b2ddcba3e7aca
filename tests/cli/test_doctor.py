"""rvsweep doctor: what it reports of this machine agrees with what Python finds, and what is wrong is said."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess

import pytest

from processes import ENVIRONMENT, call


def findings(rvsweep, *words: str, expect: int = 0, **environment: str) -> list[dict[str, str]]:
    result = subprocess.run(
        [str(rvsweep), "doctor", "--json", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT | environment,
    )
    assert result.returncode == expect, result.stdout + result.stderr
    return json.loads(result.stdout)


def report(rvsweep, *words: str, **options) -> dict[str, dict[str, str]]:
    """Findings by item."""
    return {finding["item"]: finding for finding in findings(rvsweep, *words, **options)}


def test_it_agrees_with_what_python_finds(rvsweep, tmp_path):
    import torch

    found = report(rvsweep, "--dir", str(tmp_path))
    assert found["libtorch"]["text"] == torch.__version__.split("+")[0]
    assert found["hdf5"]["text"].count(".") == 2
    assert f"{len(os.sched_getaffinity(0))} in the affinity mask" in found["cores"]["text"]
    assert torch.backends.cpu.get_cpu_capability() in found["cpu"]["text"]
    assert found["blas"]["text"] == torch.__config__.show().split("BLAS_INFO=")[1].split(",")[0]
    version = subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout.split()
    assert version[3] in found["mpi"]["text"], found["mpi"]
    free = float(found["space"]["text"].split()[0])
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free / 1e9, rel=0.1, abs=1)
    for item in ("fsync", "rename", "flock"):
        assert found[item]["level"] == "ok", found[item]
    assert list(tmp_path.iterdir()) == []
    levels = {finding["level"] for finding in found.values()}
    assert levels <= {"ok", "warning"}
    assert all(("advice" in finding) == (finding["level"] != "ok") for finding in found.values())


def test_it_speaks_of_the_gpu_only_where_there_is_a_driver(rvsweep):
    try:
        ctypes.CDLL("libcuda.so.1")
        has_driver = True
    except OSError:
        has_driver = False
    gpu = report(rvsweep)["gpu"]
    assert ("no driver" in gpu["text"]) != has_driver


def test_the_cpu_computes_what_it_should(rvsweep):
    checks = [finding for finding in findings(rvsweep) if finding["item"] == "self-check"]
    assert [check["text"].split(":")[0] for check in checks][:2] == ["cpu 0 in float32", "cpu 0 in bfloat16"]
    assert all(check["level"] == "ok" for check in checks), checks


def test_lines_for_people(rvsweep, tmp_path):
    result = call([rvsweep, "doctor", "--dir", tmp_path])
    assert result.returncode == 0
    assert all(line.split()[0] in ("ok", "warning", "problem") for line in result.stdout.splitlines())


def test_a_folder_that_cannot_be_written_is_a_problem(rvsweep):
    found = report(rvsweep, "--dir", "/proc/self", expect=1)
    assert found["folder"]["level"] == "problem" and "/proc/self" in found["folder"]["text"]


def test_it_names_what_slurm_gave_and_tasks_that_cannot_find_each_other(rvsweep):
    found = report(rvsweep, SLURM_CPUS_PER_TASK="1", SLURM_CPUS_ON_NODE="2")
    assert "SLURM_CPUS_PER_TASK 1, SLURM_CPUS_ON_NODE 2" in found["cores"]["text"]
    assert found["cores"]["text"].endswith("run.threads=auto gives one rank 1")
    found = report(rvsweep, expect=1, SLURM_PROCID="0", SLURM_STEP_NUM_TASKS="4")
    assert found["launcher"]["level"] == "problem" and "--mpi=pmix" in found["launcher"]["advice"]


def test_a_lowered_instruction_set_is_a_warning(rvsweep):
    assert report(rvsweep, ATEN_CPU_CAPABILITY="default")["cpu"]["level"] == "warning"
