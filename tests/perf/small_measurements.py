"""Measurements beside the comparison: ranks against threads, wide against narrow, flat cost, start, batch 1."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rvsweep_side import Rvsweep, Timed
from work import Work

FLAT_ROWS = (1000, 20000)
FLAT_STEPS = 4  # little to compute: what grows with the number of rows would show
BATCH_ONE_STEPS = (1, 129)


def ratio_of(a: Sequence[Timed], b: Sequence[Timed]) -> dict:
    """Seconds of both, and the median over turns of a's over b's."""
    ratios = [x.seconds / y.seconds for x, y in zip(a, b)]
    return {"seconds": [[t.seconds for t in a], [t.seconds for t in b]], "ratio": statistics.median(ratios)}


def in_turns(alternations: int, *sides) -> list[list[Timed]]:
    taken = [[side() for side in sides] for _ in range(alternations)]
    return [list(column) for column in zip(*taken)]


def scaling(rvsweep: Rvsweep, work: Work, pairs: list[dict], alternations: int) -> dict:
    """Speed of two ranks of one thread over that of one rank of two threads, all under mpirun."""
    arms = [arm.line() for arm in work.arms]
    threads, ranks = in_turns(
        alternations,
        lambda: rvsweep.run(pairs, arms, work.max_new_tokens, "run.threads=2", ranks=1),
        lambda: rvsweep.run(pairs, arms, work.max_new_tokens, "run.threads=1", ranks=2),
    )
    return ratio_of(threads, ranks)


def wide_cost(rvsweep: Rvsweep, work: Work, pairs: list[dict], alternations: int) -> dict:
    """Every layer range once against the first one as often, as samples of the same pairs."""
    arms = [arm.line() for arm in work.arms]
    sampled = "generation.temperature=0.7"
    wide, narrow = in_turns(
        alternations,
        lambda: rvsweep.run(pairs, arms, work.max_new_tokens, sampled),
        lambda: rvsweep.run(pairs, arms[:1], work.max_new_tokens, sampled, f"generation.samples={len(arms)}"),
    )
    return ratio_of(wide, narrow)


def flat(rvsweep: Rvsweep, work: Work) -> dict:
    """Seconds a row and peak memory of sweeps of two sizes."""
    found = {}
    arms = [arm.line() for arm in work.arms]
    for rows in FLAT_ROWS:
        timed = rvsweep.run(work.pairs(rows // len(arms)), arms, FLAT_STEPS)
        found[rows] = {"seconds_per_row": timed.seconds / rows, "megabytes": timed.megabytes}
    few, many = (found[rows] for rows in FLAT_ROWS)
    ratios = {key: many[key] / few[key] for key in few}
    return {"rows": found, "ratios": ratios}


def start(
    rvsweep: Rvsweep, pairs: list[dict], alternations: int, threads: int, step_bytes: float, bandwidth: float
) -> dict:
    """Whole processes of one row, without mpirun: to the end of one token, and a step at batch 1 from 128 more.

    rvsweep may pad the batch of one row to its smallest shape; the step is charged with one row's bytes.
    """

    def side(steps: int):
        return lambda: rvsweep.run(pairs[:1], ["base"], steps, f"run.threads={threads}", ranks=0)

    one, more = in_turns(alternations, *map(side, BATCH_ONE_STEPS))
    first = statistics.median(timed.seconds for timed in one)
    spent = statistics.median(b.seconds - a.seconds for a, b in zip(one, more))
    step = spent / (BATCH_ONE_STEPS[1] - BATCH_ONE_STEPS[0])
    return {
        "first_token_seconds": first,
        "step_seconds": step,
        "bandwidth_share": step_bytes / step / bandwidth,
        "seconds": [[timed.seconds for timed in side] for side in (one, more)],
    }
