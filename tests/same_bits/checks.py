"""What two programs must give alike: results, plans, and a sweep that one begins and the other goes on with."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from difference import first_difference
from jobs_to_compare import Work
from processes import call, segments

TIME_LIMIT = 3600  # seconds for one command
REFUSED, STOPPED = 2, 75  # exit codes
PLANS = {"rows": ["--list"], "summary": [], "config": ["--dump-config"]}


@dataclass(frozen=True)
class Case:
    work: Work
    dtype: str = ""
    capability: str = ""
    ranks: int = 1  # of the new program

    @property
    def key(self) -> str:
        """Names what the old program gives, whatever the number of ranks."""
        return re.sub(r"[^\w.-]+", "-", f"{self.work.command} {self.work.name} {self.dtype} {self.capability}").strip("-")

    def words(self, out: Path) -> list[str | Path]:
        target = out if self.work.command == "run" else out / "results.h5"
        return [*self.work.words, "--device", "cpu", "--dtype", self.dtype, "--out", target]


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str

    def must_be(self, code: int, what: str) -> Ended:
        if self.code != code:
            raise RuntimeError(f"{what}: exit {self.code}\n{self.stdout[-500:]}{self.stderr[-2000:]}")
        return self

    @property
    def said(self) -> str:
        """What must be equal: the exit code, stdout, and the log of a failure without its times."""
        log = re.sub(r"^\d\d:\d\d:\d\d ", "", self.stderr, flags=re.MULTILINE) if self.code else ""
        return f"exit {self.code}\n{self.stdout}{log}"

    def unlike(self, code: int) -> str | None:
        if self.code == code:
            return None
        last = (self.stderr.strip().splitlines() or [""])[-1]
        return f"{'refused' if self.code == REFUSED else f'exit {self.code}'}: {last}"


@dataclass(frozen=True)
class Programs:
    old: Path
    new: Path
    inputs: Path  # where both run
    kept: Path  # what the old program gave

    def run(self, binary: Path, words: Sequence[str | Path], capability: str = "", ranks: int = 1) -> Ended:
        environment = [f"ATEN_CPU_CAPABILITY={capability}"] if capability else []
        command = ["env", f"--chdir={self.inputs}", *environment, binary, *words]
        try:
            ended = call(command, 0 if ranks == 1 else ranks, TIME_LIMIT)
        except subprocess.TimeoutExpired as late:
            return Ended(-1, "", str(late))
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def once(self, key: str, make: Callable[[Path], None]) -> Path:
        """A folder that `make` filled, now or in an earlier comparison."""
        folder = self.kept / key
        if not folder.exists():
            unfinished = folder.with_name(f"{key}.{os.getpid()}")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
        return folder


def old_results(programs: Programs, case: Case) -> Path:
    def make(folder: Path) -> None:
        ended = programs.run(programs.old, case.words(folder), case.capability)
        ended.must_be(0, f"the old program on {case.work.name}")
        if not case.work.larger:  # a sweep that is carried over is needed whole
            for path in folder.iterdir():
                if path.name != "results.h5":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    return programs.once(case.key, make)


def compare_results(programs: Programs, case: Case, scratch: Path) -> str | None:
    old = old_results(programs, case)
    ended = programs.run(programs.new, case.words(scratch), case.capability, case.ranks)
    return ended.unlike(0) or first_difference(old / "results.h5", scratch / "results.h5")


def compare_plans(programs: Programs, case: Case, scratch: Path) -> str | None:
    """Rows with their ids, the summary and the merged configuration, or why there is no plan."""

    def write(binary: Path, folder: Path) -> None:
        for name, more in PLANS.items():
            said = programs.run(binary, [*case.work.words, *more]).said.splitlines(keepends=True)
            # What takes how long is measured.
            (folder / name).write_text("".join(line for line in said if not line.startswith("time ")))

    old = programs.once(case.key, lambda folder: write(programs.old, folder))
    write(programs.new, scratch)
    differences = ((name, first_line((old / name).read_text(), (scratch / name).read_text())) for name in PLANS)
    return next((f"{name}: {found}" for name, found in differences if found), None)


def first_line(old: str, new: str) -> str | None:
    for number, (a, b) in enumerate(itertools.zip_longest(old.splitlines(), new.splitlines()), start=1):
        if a != b:
            return f"line {number} is {a!r}, then {b!r}"
    return None


def compare_carried_over(programs: Programs, case: Case, scratch: Path) -> str | None:
    """The new program finishes what the old one began; it verifies, replays, merges and extends what the old one finished."""

    def run(binary: Path, out: Path, *words: str, ranks: int = 1) -> Ended:
        return programs.run(binary, [*case.words(out), *words], case.capability, ranks)

    def begin(folder: Path) -> None:
        for seconds in (0.001, 0.2, 0.5, 1, 2, 4, 8):  # until a bundle is done, and not all of them
            run(programs.old, folder, "--max-time", f"{seconds}s").must_be(STOPPED, "the old program, stopped early")
            if segments(folder):
                break
        if not 0 < len(segments(folder)) < len(segments(finished)):
            raise RuntimeError("the old program did not stop in the middle of the sweep")

    def extend(folder: Path) -> None:
        shutil.copytree(finished, folder, dirs_exist_ok=True)
        run(programs.old, folder, *case.work.larger).must_be(0, "the old program, extending")

    def differs(ended: Ended, reference: Path, out: Path) -> str | None:
        return ended.unlike(0) or first_difference(reference / "results.h5", out / "results.h5")

    finished = old_results(programs, case)
    begun = shutil.copytree(programs.once(f"{case.key}.begun", begin), scratch / "begun")
    extended = programs.once(f"{case.key}.extended", extend)
    found = differs(run(programs.new, begun, ranks=case.ranks), finished, begun)
    if found:
        return f"begun by the old program: {found}"
    out = shutil.copytree(finished, scratch / "finished")
    for words in (["verify"], ["replay", "--row", first_patched_row(finished)]):
        was, now = (
            programs.run(binary, [words[0], folder, *words[1:]], case.capability)
            for binary, folder in ((programs.old, finished), (programs.new, out))
        )
        found = first_line(was.said, now.said)
        if found:
            return f"{words[0]}: {found}"
    (out / "results.h5").unlink()
    found = differs(programs.run(programs.new, ["merge", out]), finished, out)
    if found:
        return f"merge: {found}"
    found = differs(run(programs.new, out, *case.work.larger, ranks=case.ranks), extended, out)
    return f"extended: {found}" if found else None


def first_patched_row(folder: Path) -> str:
    """Its id."""
    with h5py.File(folder / "results.h5") as file:
        return f"{file['rows/row_id'][int((file['rows/cells_changed'][:] > 0).argmax())]:016x}"
