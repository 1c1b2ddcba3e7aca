"""Starting rvsweep alone and under mpirun, to its end or to be interrupted, and what is left on the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

ENVIRONMENT = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
TIME_LIMIT = 180  # seconds; far more than any of these sweeps takes


def on_ranks(ranks: int) -> list[str]:
    """Words to put in front of a command; 0 ranks: no mpirun at all."""
    if ranks == 0:
        return []
    return ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"]


def call(words: Sequence[str | Path], ranks: int = 0, timeout: float = TIME_LIMIT) -> subprocess.CompletedProcess:
    """Runs to the end, whatever the exit code; a time limit that is reached fails the test."""
    command = [*on_ranks(ranks), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT)


class Running:
    """A command in a session of its own, so that everything it started can be found and ended."""

    def __init__(self, words: Sequence[str | Path], ranks: int, log: Path) -> None:
        self.log = log
        with open(log, "w") as stream:
            command = [*on_ranks(ranks), *map(str, words)]
            self.process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True, env=ENVIRONMENT
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIME_LIMIT
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended too early, exit {self.process.returncode}\n{self.log.read_text()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"this never came\n{self.log.read_text()}")
            time.sleep(0.005)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(TIME_LIMIT)

    @contextmanager
    def paused(self):
        """Nothing of it goes on inside this block, so that it can not end there."""
        members = self._session()
        for pid in members:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in members:
                os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to every process of the session at once; mpirun puts ranks into process groups of their own."""
        members = self._session()
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(TIME_LIMIT)
        while any(self._is_member(pid) for pid in members):
            time.sleep(0.005)

    def _session(self) -> list[int]:
        """Ids of all processes that were started by this one, and its own."""
        if self.process.poll() is not None:
            return []
        ids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
        return [pid for pid in ids if self._is_member(pid)]

    def _is_member(self, pid: int) -> bool:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            return False
        state, session = fields[0], int(fields[3])
        return session == self.process.pid and state != "Z"


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "segments").glob("bundle-*.h5"))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of change of every file of a folder."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flip_byte(path: Path, at: float = 0.5) -> None:
    """Damages the byte at this share of the file's length."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 0x10
    path.write_bytes(data)


def outside_run(path: Path) -> dict[str, object]:
    """All of a results.h5 but /run, as plain values: groups, types, shapes, bits and attributes."""
    content: dict[str, object] = {}
    with h5py.File(path) as file:

        def take(name: str, node: h5py.Group | h5py.Dataset) -> None:
            if name == "run" or name.startswith("run/"):
                return
            for key, value in node.attrs.items():
                if key == "DIMENSION_LIST":  # of addresses in the file
                    content[f"{name}@{key}"] = [[file[scale].name for scale in scales] for scales in value]
                elif key != "REFERENCE_LIST":  # the same the other way round
                    content[f"{name}@{key}"] = (getattr(value, "dtype", type(value)), np.asarray(value).tolist())
            if isinstance(node, h5py.Dataset):
                content[name] = (str(node.dtype), node.shape, _bits(node))

        take("", file)
        file.visititems(take)
    return content


def _bits(dataset: h5py.Dataset) -> object:
    values = dataset[()]
    if values.dtype == object:  # texts and lists of unequal length
        return [value if isinstance(value, bytes) else value.tolist() for value in values]
    return values.tobytes()


def differing(a: dict[str, object], b: dict[str, object]) -> list[str]:
    """Names whose values differ; none for equal results."""
    return sorted(name for name in a.keys() | b.keys() if name not in a or name not in b or a[name] != b[name])
