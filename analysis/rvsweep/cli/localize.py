"""Where in layers, heads and positions an arm's effect is, within a budget of rows."""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from rvsweep.cli import common
from rvsweep.data.errors import InputError
from rvsweep.localize import UNPATCHED, Job, Runner, read_job
from rvsweep.stats.localization import AXES, FIRST_ARMS, Localization, Rules, localize
from rvsweep.stats.paired import Estimate, transfer_percents


def main(arguments: list[str] | None = None) -> int:
    """0 done, whatever was found; 2 bad usage or input, with one message on stderr."""
    parser = argparse.ArgumentParser(
        prog="localize.py",
        description="Halves an arm's layers, heads and positions where its effect is. Run again, it goes on.",
    )
    job = parser.add_argument_group("the job, as for rvsweep run; its own arms and controls are left out")
    job.add_argument("--config", action="append", default=[], metavar="FILE")
    job.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    job.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the sweep")
    job.add_argument("--ranks", type=common.integer(1), default=1, metavar="N", help="processes under mpirun")
    parser.add_argument("--arm", required=True, help='the whole: "kv_cache layers=0%%:100%%"')
    parser.add_argument("--primary", metavar="NAME", help="the read-out (default: the job's [study] primary)")
    about = "that may be computed, in all"
    parser.add_argument("--rows", type=common.integer(1), required=True, metavar="N", help=about)
    about = "probability that a place is reported though nothing is there (default 0.05)"
    parser.add_argument("--error", type=_share, default=0.05, metavar="P", help=about)
    about = "share of the whole arm's effect below which a half is not pursued (default 0.1)"
    parser.add_argument("--least", type=_share, default=0.1, metavar="SHARE", help=about)
    about = "what is halved, in this order (default: layers heads positions, as far as the arm has them)"
    parser.add_argument("--axes", nargs="+", choices=AXES, default=AXES, help=about)
    about = "of the division of the pairs and of the resampling (default 1)"
    parser.add_argument("--seed", type=common.integer(0), default=1, help=about)
    return common.run(parser, arguments, _localize)


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0 and below 1")
    return value


def _localize(options: argparse.Namespace) -> None:
    words = [
        word
        for name in ("config", "set")
        for value in getattr(options, name)
        for word in (f"--{name}", value)
    ]
    job = read_job(words, options.arm, options.primary, options.axes, options.error)
    arms = options.rows // job.rows_of_arm - len(UNPATCHED)
    if arms < FIRST_ARMS:
        least = (FIRST_ARMS + len(UNPATCHED)) * job.rows_of_arm
        raise InputError(
            f"--rows {options.rows}: base, source, the arm and its first two halves are {least} rows: give at "
            "least as many, or fewer pairs"
        )
    rules = Rules(options.error, arms, tuple(options.axes), options.least, options.seed)
    runner = Runner(job, options.out, options.ranks)
    runner([job.whole])
    found = localize(runner, job.whole, runner.results.clusters, rules)
    record = _record(options, job, runner, found)
    file = options.out / "localize.json"
    common.write(file, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(_table(record))
    print(f"\n{file}")


def _record(options: argparse.Namespace, job: Job, runner: Runner, found: Localization) -> dict:
    """Every decision with its numbers, and nothing that another run of the same command would not have."""
    results, others = runner.results, ~found.selects
    gap, clusters = runner.gap()[others], results.clusters.of(others)
    shares = transfer_percents(
        found.differences[others], np.zeros(len(gap)), gap, clusters, 1 - options.error
    )
    ends = {one.place: one for one in found.reported}
    tried = []
    for one, estimate, share in zip(found.tried, found.estimates, shares, strict=True):
        end = ends.get(one.place)
        tried.append(
            {
                "stage": one.stage,
                "axis": one.axis,
                "arm": job.spec(one.place),
                **{axis: getattr(one.place, axis) for axis in AXES},
                "within": job.spec(one.within) if one.within else None,
                "select": {
                    "n": one.n,
                    "mean": _number(one.mean),
                    "p": _number(one.p),
                    "decision": one.decision,
                },
                "estimate": _interval(estimate) | {"percent_of_gap": _interval(share) if share else None},
                "end": {"why": end.why, "p": _number(end.p), "found": end.found} if end else None,
            }
        )
    return {
        "arm": job.arm.spec,
        "primary": job.primary,
        "error": options.error,
        "least": options.least,
        "axes": list(options.axes),
        "seed": options.seed,
        "rows": {"budget": options.rows, "used": (len(found.tried) + len(UNPATCHED)) * job.rows_of_arm},
        "stopped": found.stopped,
        "pairs": {
            "select": results.pairs["id"][found.selects].tolist(),
            "estimate": results.pairs["id"][others].tolist(),
        },
        "tried": tried,
    }


def _interval(estimate: Estimate) -> dict[str, float | int | None]:
    ends = {name: _number(getattr(estimate, name)) for name in ("value", "low", "high")}
    return ends | {"n": estimate.n}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(record: dict) -> str:
    """What was tried, stage by stage, and what the other pairs say about where halving ended."""
    axes = [axis for axis in AXES if axis in record["axes"] and record["tried"][0][axis]]
    head = ["stage", *axes, record["primary"], "p", "decision"]
    lines = [[str(one["stage"]), *_ranges(one, axes), *_selected(one["select"])] for one in record["tried"]]
    ends = [one for one in record["tried"] if one["end"]]
    found = [[*_ranges(one, axes), *_estimated(one)] for one in ends]
    select, estimate = (len(record["pairs"][half]) for half in ("select", "estimate"))
    parts = [f"{record['arm']}\n\nTried, decided on {select} pairs:", _columns([head, *lines])]
    if found:
        percent = f"{100 * (1 - record['error']):g} %"
        head = [*axes, record["primary"], percent, "% of gap", percent, "p", "", ""]
        parts += [
            f"\nWhere halving ended, estimated on the other {estimate} pairs:",
            _columns([head, *found]),
        ]
    rows = record["rows"]
    return "\n".join([*parts, f"\n{rows['used']} rows of {rows['budget']}; {record['stopped']}"])


def _ranges(one: dict, axes: list[str]) -> list[str]:
    return ["{}:{}".format(*one[axis]) for axis in axes]


def _selected(select: dict) -> list[str]:
    return [_text(select["mean"], ".3g"), _text(select["p"], ".2g"), select["decision"]]


def _estimated(one: dict) -> list[str]:
    estimate, share = one["estimate"], one["estimate"]["percent_of_gap"] or {}
    words = [part for held, form in ((estimate, ".3g"), (share, ".0f")) for part in _with_ends(held, form)]
    return [
        *words,
        _text(one["end"]["p"], ".2g"),
        "found" if one["end"]["found"] else "not found",
        one["end"]["why"],
    ]


def _with_ends(held: dict, form: str) -> list[str]:
    value, low, high = (_text(held.get(name), form) for name in ("value", "low", "high"))
    return [value, f"[{low}, {high}]"]


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _columns(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip() for line in lines
    )
