"""Two programs on the same work: are results, row ids and plans equal byte for byte?

    .venv/bin/python tests/same_bits/compare.py OLD_BINARY NEW_BINARY [--quick] [--only WORD ...] [--kept DIR]

Every shipped job in a short version, the random arms of tests/reference and the sites of every tiny model, in float32 and
bfloat16, at every ATEN_CPU_CAPABILITY of this processor; the new program on 1, 2 and 3 ranks. A sweep is also begun by
the old program and finished, checked, replayed and extended by the new one. --quick takes one capability and one number
of ranks for each work and dtype, another one for the next. What the old program gave is kept in DIR (out/same_bits)
with all files that the work reads, so that the next comparison runs the new program only. Exit code 1: something differs.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(TESTS / "support"), str(TESTS / "reference")]

from checks import Case, Programs, compare_carried_over, compare_plans, compare_results  # noqa: E402
from jobs_to_compare import Work, all_work  # noqa: E402

DTYPES = ("float32", "bfloat16")
RANKS = (1, 2, 3)
REQUIRED = {"default": set(), "avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"}}


def capabilities() -> list[str]:
    """Of this processor, the highest first."""
    flags = set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
    return [name for name, required in REQUIRED.items() if required <= flags][::-1]


def cases_of(work: Sequence[Work], quick: bool) -> list[Case]:
    cases = []
    for place, one in enumerate(work):
        if one.command == "plan":
            cases.append(Case(one))
            continue
        ways = list(itertools.product(capabilities(), RANKS if one.command == "run" else RANKS[:1]))
        for number, dtype in enumerate(DTYPES):
            taken = [ways[(place + 4 * number) % len(ways)]] if quick else ways
            cases += [Case(one, dtype, capability, ranks) for capability, ranks in taken]
    return cases


def compared(programs: Programs, case: Case) -> tuple[Case, str, str | None]:
    """The case, the name of what was compared, and the first difference."""
    checks = {case.work.name: compare_plans if case.work.command == "plan" else compare_results}
    if case.work.larger:
        checks[f"{case.work.name}, carried over"] = compare_carried_over
    for name, check in checks.items():
        scratch = Path(tempfile.mkdtemp(prefix="same_bits-"))
        try:
            found = check(programs, case, scratch)
        except RuntimeError as error:  # a program that ended otherwise than the check needs
            found = f"no answer: {error}"
        if found:
            return case, name, f"{found} (kept in {scratch})"
        shutil.rmtree(scratch)
    return case, case.work.name, None


def in_parallel(programs: Programs, cases: Sequence[Case]):
    """As many at once as there are cores for their ranks."""
    cores = len(os.sched_getaffinity(0))
    for ranks in RANKS:
        with ThreadPoolExecutor(max(1, cores // ranks)) as pool:
            yield from pool.map(partial(compared, programs), [case for case in cases if case.ranks == ranks])


def table(results: Sequence[tuple[Case, str, str | None]]) -> str:
    """One line for what is equal in a work and dtype, one for every difference."""
    lines = []
    for (work, dtype), group in itertools.groupby(sorted(results, key=order), lambda r: (r[0].work, r[0].dtype)):
        group = list(group)
        equal = [case for case, _, found in group if found is None]
        if equal:
            ranks = ",".join(map(str, sorted({case.ranks for case in equal})))
            levels = ",".join(sorted({case.capability for case in equal}))
            lines.append((f"{work.command} {work.name}", dtype, ranks, levels, f"{len(equal)} equal"))
        for case, name, found in group:
            if found:
                lines.append((f"{work.command} {name}", dtype, str(case.ranks), case.capability, found))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join("  ".join([*(cell.ljust(w) for cell, w in zip(line, widths)), line[4]]) for line in lines)


def order(result: tuple[Case, str, str | None]) -> tuple:
    case = result[0]
    return case.work.command, case.work.name, case.dtype, case.ranks, case.capability


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD_BINARY")
    parser.add_argument("new", type=Path, metavar="NEW_BINARY")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="work whose command and name hold one of these words")
    parser.add_argument("--kept", type=Path, metavar="DIR", default=Path("out/same_bits"))
    asked = parser.parse_args()
    old, new, folder = asked.old.resolve(), asked.new.resolve(), asked.kept.resolve()
    results_of_old = folder / hashlib.sha256(old.read_bytes()).hexdigest()[:12]
    work = all_work(folder / "inputs")
    cases = cases_of(work, asked.quick)
    if asked.only:
        cases = [c for c in cases if any(word in f"{c.work.command} {c.work.name}" for word in asked.only)]
    results = []
    for result in in_parallel(Programs(old, new, folder / "inputs", results_of_old), cases):
        results.append(result)
        if result[2]:
            print(f"{order(result)}: {result[2]}", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print(f"\r{len(results)} of {len(cases)}", end="", file=sys.stderr, flush=True)
    print(f"\n{table(results)}")
    different = sum(found is not None for _, _, found in results)
    print(f"{len(results) - different} of {len(results)} equal")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
