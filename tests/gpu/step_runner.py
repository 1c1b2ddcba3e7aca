"""The program on one device, and what is found about it: steps with time limits, findings written at once, a table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CARRIED = ROOT / "build" / "carry"


class Skip(Exception):
    """Why a step cannot be taken here."""


@dataclass(frozen=True)
class Finding:
    text: str
    passed: bool = True


@dataclass
class Bench:
    device: str  # cpu: a rehearsal with tiny sizes
    folder: Path  # findings; what steps make goes to its work/
    deadline: float = 0  # of the step, time.monotonic()
    binary: Path = ROOT / "build" / "rvsweep"
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def __post_init__(self) -> None:
        self.environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        if not self.binary.exists():
            self.binary = CARRIED / "bin" / "rvsweep"
            self._use_carried_libraries()
        self.work.mkdir(parents=True)

    def _use_carried_libraries(self) -> None:
        import torch

        libraries = [CARRIED / "lib", Path(torch.__file__).parent / "lib"]
        self.environment |= {
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "PATH": f"{CARRIED / 'bin'}:{self.environment['PATH']}",
            "OPAL_PREFIX": str(CARRIED / "usr"),
        }

    @property
    def rehearses(self) -> bool:
        return self.device == "cpu"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def call(
        self,
        words: Sequence[str | Path],
        ranks: int = 0,
        expect: int = 0,
        watch: Callable[[int], None] | None = None,
    ) -> str:
        """Output of a command; `watch` sees its process id now and then. A step's limit ends all that it started."""
        launcher = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks else []
        command = [*launcher, *map(str, words)]
        with open(self.folder / "log.txt", "a+", encoding="utf-8", errors="replace") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            log.flush()
            begin = log.tell()
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, cwd=ROOT, start_new_session=True
            )
            try:
                while process.poll() is None:
                    if time.monotonic() > self.deadline:
                        raise TimeoutError
                    if watch:
                        watch(process.pid)
                    time.sleep(0.02)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)  # mpirun then ends its ranks
                    try:
                        process.wait(5)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)
            log.seek(begin)
            output = log.read()
        if process.returncode != expect:
            raise AssertionError(
                f"exit {process.returncode} from {' '.join(command)}: {output[-600:].strip()}"
            )
        return output


@dataclass(frozen=True)
class Step:
    name: str
    limit: float  # seconds
    findings: Callable[[Bench], Iterator[Finding]]


@dataclass
class Result:
    step: str
    result: str = "failed"  # ok, failed, cut, skipped
    seconds: float = 0
    findings: list[str] = field(default_factory=list)


def take_step(step: Step, bench: Bench, note: Callable[[Finding], None]) -> str:
    """ok, failed, cut or skipped; every finding is noted as it comes."""
    judgements: list[bool] = []
    try:
        for finding in step.findings(bench):
            note(finding)
            judgements.append(finding.passed)
    except Skip as reason:
        note(Finding(str(reason)))
        return "skipped"
    except TimeoutError:
        note(Finding("its time was up", False))
        return "cut"
    except Exception as error:  # the steps after it go on
        note(Finding(f"{type(error).__name__}: {error}", False))
        traceback.print_exc()
        return "failed"
    return "ok" if judgements and all(judgements) else "failed"


def table(results: Sequence[Result]) -> str:
    lines = ["| step | result | seconds | found |", "|---|---|---|---|"]
    for result in results:
        found = "<br>".join(text.replace("\n", " ").replace("|", "/") for text in result.findings)
        lines.append(f"| {result.step} | {result.result} | {result.seconds:.0f} | {found} |")
    return "\n".join(lines) + "\n"


def take_steps(steps: Sequence[Step], bench: Bench, total: float) -> int:
    """All that `total` seconds allow. Leaves findings.jsonl, log.txt and table.md; 1 if a step failed or was cut."""
    end = time.monotonic() + total
    results: list[Result] = []
    with open(bench.folder / "findings.jsonl", "w", encoding="utf-8") as file:

        def write(**facts: object) -> None:
            file.write(json.dumps({"step": results[-1].step} | facts) + "\n")
            file.flush()
            print(results[-1].step, *facts.values(), sep=": ", flush=True)

        def note(finding: Finding) -> None:
            text = finding.text if finding.passed else "FAILED: " + finding.text
            results[-1].findings.append(text)
            write(finding=text)

        for step in steps:
            begin = time.monotonic()
            result = Result(step.name)
            results.append(result)
            bench.deadline = min(begin + step.limit, end)
            result.result = take_step(step, bench, note) if begin < end else "cut"
            result.seconds = time.monotonic() - begin
            write(result=result.result, seconds=round(result.seconds, 1))
            (bench.folder / "table.md").write_text(table(results), encoding="utf-8")
    print("\n" + table(results))
    return int(any(result.result in ("failed", "cut") for result in results))
