#!/usr/bin/env python3
"""Puts every deliberate fault of faults.py (faults_of_*.py by folder) into a copy of the tree and runs the test that must fail.

    .venv/bin/python tests/mutation/check.py [WORDS]      WORDS: only the faults whose description holds them

The copy lies in build-mutation/ and keeps its build from one call to the next. First the named tests must pass
without a fault. Ends in a table; the exit code is 1 if a fault was missed or a test fails without one.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from fault import Fault
from faults import FAULTS

ROOT = Path(__file__).resolve().parent.parent.parent
COPY = ROOT / "build-mutation"
REFERENCE_RUN = "random_arms"  # the other programs are those of the C++ modules


def run(words: list[str], log: Path) -> int:
    with log.open("w", encoding="utf-8") as output:
        return subprocess.run(words, cwd=COPY, stdout=output, stderr=subprocess.STDOUT).returncode


def copy_tree() -> None:
    """Files that have not changed keep their time, so that little is built again."""
    COPY.mkdir(exist_ok=True)
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, COPY / name
        if not source.is_file() or (target.is_file() and filecmp.cmp(source, target, shallow=False)):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode)
    for name in (".venv", "models"):
        if not (COPY / name).exists():
            (COPY / name).symlink_to(ROOT / name)


def build(faults: list[Fault], log: Path) -> bool:
    targets = sorted({"rvsweep" if f.program == REFERENCE_RUN else f"{f.program}_tests" for f in faults})
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(len(os.sched_getaffinity(0))))
    return run(["cmake", "--build", "build", "-j", jobs, "--target", *targets], log) == 0


def run_test(fault: Fault, log: Path) -> int:
    """0 where it passes, 1 where it fails; anything else is no answer."""
    if fault.program == REFERENCE_RUN:
        words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        words += ["tests/reference/test_random_arms.py", "-k", f"llama-1 and {fault.test}"]
    else:
        words = [f"build/tests/{fault.program}_tests", f"--gtest_filter={fault.test}"]
    code = run(words, log)
    ran = fault.program == REFERENCE_RUN or "] Running 1 test from" in log.read_text(encoding="utf-8")
    return code if ran else -1


def try_fault(fault: Fault, logs: Path) -> str:
    path = COPY / fault.file
    sound = path.read_text(encoding="utf-8")
    if sound.count(fault.old) != 1:
        return f"NOT TRIED: {fault.file} holds the text {sound.count(fault.old)} times"
    try:
        path.write_text(sound.replace(fault.old, fault.new), encoding="utf-8")
        if not build([fault], logs / "build.log"):
            return f"NOT BUILT: {logs / 'build.log'}"
        return {0: "MISSED", 1: "caught"}.get(run_test(fault, logs / "test.log"), f"NO ANSWER: {logs / 'test.log'}")
    finally:
        path.write_text(sound, encoding="utf-8")


def main(words: str) -> int:
    faults = [fault for fault in FAULTS if words in fault.what]
    if not faults:
        print(f"no fault is called {words!r}", file=sys.stderr)
        return 1
    copy_tree()
    logs = COPY / "logs"
    logs.mkdir(exist_ok=True)
    if run(["cmake", "--preset", "release", "-DRVSWEEP_TESTS=ON"], logs / "configure.log") or not build(
        faults, logs / "build.log"
    ):
        print(f"the tree does not build without a fault: see {logs}", file=sys.stderr)
        return 1
    sound = {fault.test: run_test(fault, logs / "test.log") for fault in faults}
    results: list[tuple[Fault, str]] = []
    for fault in faults:
        begin = time.monotonic()
        result = try_fault(fault, logs) if sound[fault.test] == 0 else "NOT TRIED: the test fails without the fault"
        results.append((fault, result))
        print(f"{len(results)}/{len(faults)} {fault.what}: {result}, {time.monotonic() - begin:.0f} s", flush=True)
    print()
    for fault, result in results:
        print(f"{fault.table_line()} {result} |")
    caught = sum(result == "caught" for _, result in results)
    print(f"\n{caught} of {len(faults)} faults were caught")
    return 0 if caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
