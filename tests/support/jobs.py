"""A job of several ranks that is hurt while it runs: its processes, what it acknowledged, how it ended."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from processes import Running, segments

END_LIMIT = 10  # seconds within which a job must end once a rank is dead


class Job(Running):
    """A running sweep whose ranks can be told apart."""

    def __init__(self, words, ranks: int, log: Path) -> None:
        super().__init__(words, ranks, log)
        self.n_ranks = ranks

    def members(self) -> list[int]:
        """All living processes of the job, mpirun included, also when mpirun has gone."""
        ids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
        return [pid for pid in ids if self._is_member(pid)]

    def rank_pids(self) -> list[int]:
        """The living ranks, in no particular order."""
        if self.n_ranks == 0:
            return self.members()
        return [pid for pid in self.members() if pid != self.process.pid and _is_rvsweep(pid)]

    def hurt(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def end_within(self, seconds: float) -> int:
        """The exit code; a process that lives on after that time fails the test."""
        deadline = time.monotonic() + seconds
        while (self.process.poll() is None or self.members()) and time.monotonic() < deadline:
            time.sleep(0.01)
        left = self.members()
        assert self.process.poll() is not None and not left, f"{left} live on\n{self.log.read_text()}"
        return self.process.returncode

    def kill(self) -> None:
        self.hurt(self.members(), signal.SIGKILL)
        super().kill()


def _is_rvsweep(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("rvsweep")
    except OSError:
        return False


def journal(folder: Path) -> list[dict]:
    """Whole lines of the journal; what a crash cut short is left out."""
    path = folder / "journal.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def acknowledged(folder: Path) -> set[str]:
    """Segments of the bundles that rank 0 has reported as done."""
    return {f"bundle-{event['bundle']:06d}.h5" for event in journal(folder) if event["event"] == "done"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in segments(folder)}
