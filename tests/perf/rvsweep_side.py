"""rvsweep as the benchmark runs it: a whole process, timed from outside, and what its results.h5 says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from prompt_texts import write_pairs
from processes import ENVIRONMENT, on_ranks
from rvsweep_cli import Results, read_results, write_config


@dataclass
class Timed:
    seconds: float
    cpu_seconds: float  # of all processes
    megabytes: float  # most resident memory of one process
    file: Path

    def results(self) -> Results:
        return read_results(self.file)

    def phases(self) -> dict[str, list[float]]:
        """Seconds by phase, one number a rank; empty where this rvsweep does not report them."""
        with h5py.File(self.file) as file:
            if "run/phases" not in file:
                return {}
            names = file["run/phases/name"].asstr()[:]
            return dict(zip(names.tolist(), file["run/phases/seconds"][:].T.tolist()))


@dataclass
class Rvsweep:
    binary: Path
    model: Path
    early: int
    late: int
    device: str
    dtype: str
    ranks: int  # 0: without mpirun
    threads: int  # per rank
    folder: Path  # for configs and results
    runs: int = 0

    def random_weights(self) -> bool:
        return not any(self.model.glob("*.safetensors"))

    def words(self, command: str, pairs: Sequence[dict], arms: Sequence[str], steps: int, *settings: str) -> list[str]:
        """The command line of a greedy sweep that stops at no token."""
        self.runs += 1
        prompts = write_pairs(self.folder / f"pairs-{self.runs}.jsonl", pairs)
        config = self.folder / f"sweep-{self.runs}.cfg"
        write_config(config, self.model, prompts, arms, self.early, self.late, steps, stop_at_eos=False)
        words = [str(self.binary), command, "--config", str(config), "--device", self.device, "--dtype", self.dtype]
        if self.random_weights():
            words.append("--random-weights")
        for setting in (f"run.threads={self.threads}", *settings):  # the last one wins
            words += ["--set", setting]
        return words

    def run(
        self, pairs: Sequence[dict], arms: Sequence[str], steps: int, *settings: str, ranks: int | None = None
    ) -> Timed:
        words = self.words("run", pairs, arms, steps, *settings)
        out = self.folder / f"out-{self.runs}"
        log = self.folder / f"log-{self.runs}.txt"
        with open(log, "w") as stream:
            started = time.perf_counter()
            command = [*on_ranks(self.ranks if ranks is None else ranks), *words, "--out", str(out)]
            process = subprocess.Popen(command, stdout=stream, stderr=stream, env=ENVIRONMENT)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"exit {process.returncode} from {' '.join(command)}\n{log.read_text()[-4000:]}")
        return Timed(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out / "results.h5")

    def plan(self, pairs: Sequence[dict], arms: Sequence[str], steps: int) -> dict:
        words = self.words("plan", pairs, arms, steps)
        plan = subprocess.run([*words, "--json"], capture_output=True, text=True, env=ENVIRONMENT, check=True)
        return json.loads(plan.stdout)

    def bundle_rows(self, pairs: Sequence[dict], arms: Sequence[str], steps: int) -> int:
        """How many rows it decodes together."""
        words = self.words("plan", pairs, arms, steps)
        plan = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT)
        found = re.search(r"^bundles +\d+ of up to (\d+) rows", plan.stdout, re.MULTILINE)
        if plan.returncode != 0 or not found:
            raise SystemExit(f"no plan from {' '.join(words)}\n{plan.stdout}{plan.stderr}")
        return int(found[1])

    def version(self) -> str:
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def tokens_of(results: Results, pairs: Sequence[dict], arms: int, steps: int) -> list[list[list[int]]]:
    """By pair and arm; a row that is not ok and whole ends the benchmark."""
    if not ((results.rows["n_generated"] == steps) & (results.rows["status"] == "ok")).all():
        raise SystemExit("rvsweep did not generate every token of every row: the comparison means nothing")
    return [[results.tokens(results.row(pair["pair"], arm)) for arm in range(arms)] for pair in pairs]
