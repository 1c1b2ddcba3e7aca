"""Whole processes on long prompts, rvsweep and transformers in turns; with --grid, rvsweep beside its own plan.

One prompt whose pair has a source of three tokens, and 16 prompts of 1,000 to 4,000 tokens, each generating a few
tokens greedily: seconds, seconds of processors (on a machine with other work these are the ones to compare), peak
resident memory. transformers pads its batch on the left.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer
from work import make_work

if TYPE_CHECKING:
    from rvsweep_side import Rvsweep

ONE = {"float32": 2621, "bfloat16": 5247}  # tokens
SEVERAL = range(1000, 4001, 200)
STEPS = 6
PEER = Path(__file__).with_name("hf_prompts.py")
GRID = [(40, 1), (40, 256), (512, 1), (512, 64), (1000, 1), (1000, 16), (2600, 1), (2600, 8), (8000, 1), (8000, 4)]


def texts_of(model: Path, lengths) -> list[str]:
    """Words of one token each: texts made sentence by sentence take too long. No two are equal."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    words = "river garden letter window market paper engine forest kitchen morning".split()
    drawn = random.Random(31).choices(words, k=max(lengths) + len(lengths))
    ids = tokenizer.encode(" ".join(drawn)).ids
    return [tokenizer.decode(ids[i : i + n]) for i, n in enumerate(lengths)]


def pairs_of(model: Path, lengths) -> list[dict[str, str]]:
    return [{"pair": f"p{i}", "source": "Say hello.", "base": text} for i, text in enumerate(texts_of(model, lengths))]


def run_peer(rvsweep: Rvsweep, pairs: list[dict[str, str]]) -> tuple[Timed, list[list[int]]]:
    """The process of transformers, and the new tokens of every prompt."""
    from rvsweep_side import Timed

    prompts = rvsweep.folder / "peer.json"
    prompts.write_text(json.dumps([pair["base"] for pair in pairs]))
    words = [sys.executable, PEER, str(rvsweep.model), rvsweep.dtype, str(rvsweep.threads), str(prompts), str(STEPS)]
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    tokens = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    return Timed(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, prompts), tokens


def compare(rvsweep: Rvsweep, lengths, alternations: int) -> dict:
    pairs = pairs_of(rvsweep.model, lengths)
    own, others, same = [], [], 0
    for _ in range(alternations):
        own.append(rvsweep.run(pairs, ["base"], STEPS))
        timed, tokens = run_peer(rvsweep, pairs)
        others.append(timed)
        results = own[-1].results()
        same = sum(results.tokens(results.row(pair["pair"], 0)) == made for pair, made in zip(pairs, tokens))
    sides = {
        name: {key: [getattr(t, key) for t in timed] for key in ("seconds", "cpu_seconds", "megabytes")}
        for name, timed in (("rvsweep", own), ("transformers", others))
    }
    ratios = {
        key: statistics.median(a / b for a, b in zip(sides["rvsweep"][key], sides["transformers"][key]))
        for key in ("seconds", "cpu_seconds", "megabytes")
    }
    return {"prompts": len(pairs), "sides": sides, "ratios": ratios, "same_tokens": same}


def grid(rvsweep: Rvsweep) -> list[dict]:
    """One rank of one thread, for which `plan` states its time: seconds after the start, and resident memory."""
    found = []
    for length, rows in GRID:
        pairs = pairs_of(rvsweep.model, [length] * rows)
        planned, timed = rvsweep.plan(pairs, ["base"], STEPS), rvsweep.run(pairs, ["base"], STEPS)
        phases = timed.phases()
        seconds = sum(phases[name][0] for name in ("prefill", "decode", "spectra", "readouts"))
        megabytes = planned["memory"]["total"] / 2**20
        found.append(
            {
                "tokens": length,
                "rows": rows,
                "seconds": seconds,
                "plan over it": planned["seconds"] / seconds,
                "megabytes": timed.megabytes,
                "plan over them": megabytes / timed.megabytes,
            }
        )
        print(json.dumps(found[-1]), flush=True)
    return found


def main(options) -> None:
    from rvsweep_side import Rvsweep

    work = make_work("short", options.model.resolve())
    report = {"command": sys.argv, "dtype": options.dtype, "threads": options.threads}
    with tempfile.TemporaryDirectory(prefix="rvsweep-perf-") as folder:
        arithmetic = ("cpu", options.dtype, 0, 1 if options.grid else options.threads)
        rvsweep = Rvsweep(options.rvsweep, work.model, work.early, work.late, *arithmetic, Path(folder))
        if options.grid:
            report["grid"] = grid(rvsweep)
        else:
            for name, lengths in (("one", [ONE[options.dtype]]), ("several", list(SEVERAL))):
                report[name] = compare(rvsweep, lengths, options.alternations)
                print(name, json.dumps(report[name]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "long_prompts.json").write_text(json.dumps(report, indent=2) + "\n")
