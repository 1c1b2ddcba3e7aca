"""The shipped batch files under a real Slurm: two simulated nodes on this machine, started and ended by these tests.

Whatever Slurm does to a job, the folder ends with the results of an undisturbed run on one rank.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

import private_slurm
from private_slurm import PrivateSlurm, wait_until
from processes import outside_run, segments
from rvsweep_cli import read_results
from sweep_job import Finished, Sweep, assert_same_results, make_sweep

ROOT = Path(__file__).resolve().parents[2]
MPIRUN = "mpirun --oversubscribe --bind-to none"
SAMPLES = ["--set", "generation.samples=8"]
HOURS_OF_SAMPLES = ["--set", "generation.samples=2000"]  # more than any machine does in a minute

pytestmark = pytest.mark.skipif(private_slurm.missing() != "", reason=private_slurm.missing())


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[PrivateSlurm]:
    with PrivateSlurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="module")
def sweep(rvsweep, tiny_model, tmp_path_factory) -> Sweep:
    return make_sweep(rvsweep, tiny_model("llama"), tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def finished(sweep, tmp_path_factory) -> Finished:
    out = tmp_path_factory.mktemp("finished") / "out"
    sweep.run(out, *SAMPLES)
    return Finished(out, outside_run(out / "results.h5"), read_results(out / "results.h5"))


class Job:
    """A submitted sweep: its number, its folder and its log."""

    def __init__(self, slurm: PrivateSlurm, sweep: Sweep, folder: Path, batch_file: str, *options: str, **how) -> None:
        self.slurm, self.out, self.log = slurm, folder / "out", folder / "log"
        words = [str(word) for word in sweep.words(self.out, *how.pop("words", SAMPLES))[2:]]
        fixed = ["--cpus-per-task=1", f"--output={self.log}"]
        self.number = slurm.submit(
            ROOT, *fixed, *options, ROOT / "slurm" / batch_file, *words, RVSWEEP=str(sweep.binary), **how
        )

    def wait_for_segments(self, count: int) -> None:
        wait_until(lambda: len(segments(self.out)) >= count, f"{count} segments of job {self.number}\n{self.text()}")

    def wait_until_done(self) -> dict[str, str]:
        facts = self.slurm.wait_for_state(self.number, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        assert facts["JobState"] == "COMPLETED", f"{facts}\n{self.text()}"
        return facts

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else "no log yet"


@pytest.mark.parametrize(
    ("batch_file", "nodes", "launcher"),
    [
        ("cpu.sbatch", 2, MPIRUN),
        ("many-nodes.sbatch", 2, "srun"),
        ("one-node.sbatch", 1, "srun"),
    ],
)
def test_a_batch_file_runs_a_sweep_to_its_end(slurm, sweep, finished, tmp_path, batch_file, nodes, launcher):
    options = [f"--nodes={nodes}", "--ntasks-per-node=2"]
    job = Job(slurm, sweep, tmp_path, batch_file, *options, RVSWEEP_LAUNCHER=launcher)
    facts = job.wait_until_done()
    assert facts["Restarts"] == "0" and facts["NumNodes"] == str(nodes)
    assert_same_results(job.out, finished)
    with h5py.File(job.out / "results.h5") as file:
        assert file["run"].attrs["ranks"] == str(2 * nodes)


@pytest.mark.parametrize(
    ("interruption", "launcher"), [("requeue", "srun"), ("preemption", "srun"), ("warning", MPIRUN)]
)
def test_an_interrupted_job_resumes_by_itself(slurm, sweep, finished, tmp_path, interruption, launcher):
    options = ["--nodes=2", "--ntasks-per-node=1"]
    job = Job(slurm, sweep, tmp_path, "cpu.sbatch", *options, RVSWEEP_LAUNCHER=launcher)
    job.wait_for_segments(3)
    if interruption == "requeue":
        slurm.call("scontrol", "requeue", job.number)
    elif interruption == "preemption":
        slurm.submit(tmp_path, "--partition=urgent", "--nodes=2", "--ntasks-per-node=4", "--wrap=sleep 1")
    else:  # what Slurm does before the time limit
        slurm.call("scancel", "--batch", "--signal=USR1", job.number)
    wait_until(lambda: slurm.job(job.number)["JobState"] == "PENDING", f"job {job.number} requeued\n{job.text()}")
    kept = {path: path.stat().st_mtime_ns for path in segments(job.out)}
    assert len(kept) < finished.n_bundles and not (job.out / "results.h5").exists(), "it was not interrupted"
    assert job.wait_until_done()["Restarts"] == "1"
    assert_same_results(job.out, finished)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "a committed bundle was computed again"
    assert ("goes back into the queue" in job.text()) == (interruption == "warning")


def test_the_time_limit_ends_a_start_and_cancelling_ends_the_job(slurm, sweep, tmp_path):
    """Slurm looks at its clock every 30 s: the warning comes between 10 and 40 s after the start."""
    options = ["--nodes=1", "--ntasks-per-node=2", "--time=1", "--signal=B:USR1@50"]
    job = Job(slurm, sweep, tmp_path, "cpu.sbatch", *options, words=HOURS_OF_SAMPLES)
    wait_until(lambda: "goes back into the queue" in job.text(), "the warning and its answer", 180)
    wait_until(lambda: slurm.job(job.number)["Restarts"] == "1", "the requeue", 20)
    slurm.wait_for_state(job.number, "RUNNING")
    job.wait_for_segments(len(segments(job.out)) + 3)
    slurm.call("scancel", job.number)
    slurm.wait_for_state(job.number, "CANCELLED")
    wait_until(lambda: sweep.status(job.out)["state"] in ("stopped", "died"), "the ranks ended", 30)
    assert ": sound" in sweep.call("verify", job.out).stdout
    assert not (job.out / "results.h5").exists()


def test_every_element_of_an_array_resumes_its_own_sweep(slurm, sweep, finished, tmp_path):
    for name in ("first", "second"):
        shutil.copy(sweep.config, tmp_path / f"{name}.cfg")
    (tmp_path / "sweeps.txt").write_text(f"{tmp_path}/first.cfg\n{tmp_path}/second.cfg\n")
    words = [str(word) for word in sweep.words(Path("-"), *SAMPLES)]
    settings = words[words.index("--device") :]  # after --config and --out, which the batch file gives
    array = slurm.submit(
        ROOT,
        "--array=1-2",
        "--cpus-per-task=1",
        f"--output={tmp_path}/log-%a",
        ROOT / "slurm" / "array-of-sweeps.sbatch",
        tmp_path / "sweeps.txt",
        tmp_path,
        *settings,
        RVSWEEP=str(sweep.binary),
    )
    wait_until(lambda: len(segments(tmp_path / "first")) >= 3, "segments of the first sweep")
    slurm.call("scancel", "--batch", "--signal=USR1", f"{array}_1")
    for element, restarts in ((1, "1"), (2, "0")):
        facts = slurm.wait_for_state(f"{array}_{element}", "COMPLETED", "FAILED")
        assert facts["JobState"] == "COMPLETED" and facts["Restarts"] == restarts, facts
    for name in ("first", "second"):
        assert_same_results(tmp_path / name, finished)
