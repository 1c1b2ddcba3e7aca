"""rvsweep plan --machine: the suggestion follows from the figures of the file, here computed by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processes import call

GOOD = {"name": "ours", "nodes": "8", "cores_per_node": "32", "memory_per_node": "64GB", "cores_per_rank": "4"}


def machine(folder: Path, **keys: str) -> Path:
    path = folder / "machine.cfg"
    path.write_text("[machine]\n" + "".join(f"{name} = {value}\n" for name, value in (GOOD | keys).items()))
    return path


def plan(sweep, file: Path, *more: str):
    words = [sweep.binary, "plan", "--config", sweep.config, "--device", "cpu", "--set", "sweep.bundle_rows=8"]
    return call([*words, "--machine", file, *more])


def suggestion(sweep, file: Path, *more: str) -> tuple[str, str]:
    """The lines with the machine and the sbatch command."""
    result = plan(sweep, file, *more)
    assert result.returncode == 0, result.stderr
    submit = re.search(r"^submit    (.*)$", result.stdout, re.M)[1]
    return result.stdout, submit


def counts(text: str) -> tuple[int, int]:
    rows, refused = map(int, re.search(r"rows      (\d+) \((\d+) refused\)", text).groups())
    return rows - refused, int(re.search(r"bundles   (\d+)", text)[1])


@pytest.mark.parametrize("samples", [1, 40])
def test_the_fewest_nodes_that_end_in_one_job(sweep, tmp_path, samples):
    more = ["--set", f"generation.samples={samples}"]
    text, submit = suggestion(sweep, machine(tmp_path, rows_per_second="0.01", max_time="2h"), *more)
    rows, bundles = counts(text)
    ranks = min(32 // 4, bundles // 4)  # of a node, and no more than have four bundles each
    needed = 1.25 * rows / 0.01
    nodes = min(max(1, -(-int(-(-needed // 7200)) // ranks)), 8, max(1, bundles // 4 // ranks))
    assert f"--nodes={nodes} --ntasks-per-node={ranks} --cpus-per-task=4 " in submit
    hours, minutes = map(int, re.search(r"--time=(\d+):(\d+):00", submit).groups())
    seconds = min(needed / (nodes * ranks), 7200)
    assert 0 <= hours * 3600 + minutes * 60 - seconds < 60
    assert "slurm/cpu.sbatch" in submit and "gpus" not in submit
    assert submit.endswith(
        f"--config {sweep.config} --set sweep.bundle_rows=8 --set generation.samples={samples} --device cpu --out DIR"
    )
    starts = -(-needed / (nodes * ranks) // 7200)
    assert ("starts" in text) == (starts > 1)


def test_memory_limits_ranks(sweep, tmp_path):
    more = ["--set", "generation.samples=40"]
    _, submit = suggestion(sweep, machine(tmp_path, rows_per_second="1", max_time="1h", memory_per_node="2GB"), *more)
    assert "--ntasks-per-node=3 " in submit  # 0.5 GB and a little for each rank
    result = plan(sweep, machine(tmp_path, rows_per_second="1", max_time="1h", memory_per_node="0.4GB"), *more)
    assert result.returncode == 2 and "does not hold" in result.stderr


def test_a_rank_for_each_gpu(sweep, tmp_path):
    gpus = {"gpus_per_node": "2", "memory_per_gpu": "80GB", "cores_per_rank": "16"}
    file = machine(tmp_path, rows_per_second="0.001", max_time="1h", **gpus)
    _, submit = suggestion(sweep, file, "--set", "generation.samples=40")
    assert "--nodes=8 --ntasks-per-node=2 --cpus-per-task=16 --gpus-per-node=2 " in submit
    assert "slurm/many-nodes.sbatch" in submit


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"nodez": "3"}, "did you mean machine.nodes"),
        ({"nodes": "2.5"}, "machine.nodes = 2.5 is out of range"),
        ({"memory_per_node": "64"}, "machine.memory_per_node = 64 is out of range"),
        ({"max_time": "soon"}, "machine.max_time = soon is out of range"),
        ({"cores_per_rank": "64"}, "cores_per_rank exceeds"),
        ({"gpus_per_node": "4"}, "lacks machine.memory_per_gpu"),
        ({"rows_per_second": "0"}, "machine.rows_per_second = 0 is out of range"),
    ],
)
def test_bad_machine_files_are_named(sweep, tmp_path, keys, told):
    result = plan(sweep, machine(tmp_path, **({"rows_per_second": "1", "max_time": "1h"} | keys)))
    assert result.returncode == 2
    assert told in result.stderr and "machine.cfg" in result.stderr


def test_missing_figures_and_files_are_named(sweep, tmp_path):
    result = plan(sweep, machine(tmp_path, max_time="1h"))
    assert result.returncode == 2 and "lacks machine.gflops" in result.stderr
    result = plan(sweep, tmp_path / "none.cfg")
    assert result.returncode == 2 and "none.cfg" in result.stderr


@pytest.mark.parametrize("name", ["cpu-cluster", "gpu-cluster"])
def test_the_shipped_machines_are_read(sweep, name):
    file = Path(__file__).resolve().parents[2] / "configs" / "machines" / f"{name}.cfg"
    text, submit = suggestion(sweep, file)
    assert f"machine   {name}: 1 node" in text and submit.startswith("sbatch --nodes=1 ")
