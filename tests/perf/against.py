"""Two builds of rvsweep on the same work in turns: seconds of whole processes, of every phase, and of the start."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from rvsweep_side import Rvsweep, Timed
from work import Work


def seconds_of(run: Timed) -> dict[str, float]:
    """By phase, the slowest rank's; `whole` is the process, `cpu` what its ranks computed."""
    phases = {name: max(ranks) for name, ranks in run.phases().items()}
    return {"whole": run.seconds, "cpu": run.cpu_seconds} | phases


def ratios(old: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """New over old by phase, turn by turn; of phases that both builds report and that took time."""
    found = {}
    for phase in new[0]:
        if all(turn.get(phase, 0) > 0 for turn in old):
            by_turn = [b[phase] / a[phase] for a, b in zip(old, new)]
            seconds = [statistics.median(turn[phase] for turn in side) for side in (old, new)]
            found[phase] = {
                "old": seconds[0],
                "new": seconds[1],
                "median": statistics.median(by_turn),
                "least": min(by_turn),
                "most": max(by_turn),
            }
    return found


def compare(rvsweep: Rvsweep, old: Path, work: Work, pairs: Sequence[dict], alternations: int) -> dict:
    """`rvsweep` over `old`: the variant's sweep, and `start`, a process of one row and one token without mpirun."""
    builds = (dataclasses.replace(rvsweep, binary=old, folder=rvsweep.folder / "old"), rvsweep)
    builds[0].folder.mkdir(exist_ok=True)
    lines = [arm.line() for arm in work.arms]
    taken: tuple[list, list] = ([], [])
    for turn in range(alternations):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):  # neither build always comes after the other
            sweep = builds[side].run(pairs, lines, work.max_new_tokens)
            start = builds[side].run(pairs[:1], ["base"], 1, ranks=0)
            start_seconds = {"start": start.seconds, "start, cpu": start.cpu_seconds}
            taken[side].append(seconds_of(sweep) | start_seconds)
    return ratios(*taken)


def show(found: Mapping[str, Mapping[str, float]]) -> None:
    print(f"{'phase':12} {'old s':>9} {'new s':>9}  new / old, median of turns (least to most)")
    for phase, row in found.items():
        spread = f"{row['least']:.3f} to {row['most']:.3f}"
        print(f"{phase:12} {row['old']:9.2f} {row['new']:9.2f}  {row['median']:.3f} ({spread})")
