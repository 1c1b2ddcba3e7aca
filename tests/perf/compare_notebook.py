#!/usr/bin/env python3
"""Rows per second of rvsweep and of the notebook's procedure in Hugging Face, on this machine, in one run.

Both sides: float32 on the CPU, prompts of 40 tokens, 32 greedy tokens without stopping, arms base, source,
v_proj (persist) and kv_cache (compound), R_V of the prompts and of texts read again (the notebook reads the
text of kv_cache alone, rvsweep that of every row). Rows of the notebook are timed after its model is loaded; rvsweep
is timed as a whole process, from its start to results.h5. The tokens of both are compared.

    python tests/perf/compare_notebook.py --json out/compare_notebook.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from tokenizers import Tokenizer

from notebook_procedure import Notebook
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import read_results, run, write_config

PROMPT_TOKENS = 40
ARMS = ("base", "source", "v_proj", "kv_cache")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rvsweep", type=Path, default=ROOT / "build" / "rvsweep")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "SmolLM2-135M-Instruct")
    parser.add_argument("--pairs", type=int, default=64, help="pairs that rvsweep runs")
    parser.add_argument("--pairs-notebook", type=int, default=4, help="how many of them the notebook's side runs")
    parser.add_argument("--max-new-tokens", type=int, default=32)
    parser.add_argument("--ranks", type=int, default=0, help="run rvsweep under mpirun; 0: alone, with every core")
    parser.add_argument("--repeat", type=int, default=1, help="time both sides this often, in turns")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if not 1 <= options.pairs_notebook <= options.pairs:
        parser.error("--pairs-notebook must lie between 1 and --pairs")
    for needed in (options.rvsweep, options.model / "config.json"):
        if not needed.is_file():
            parser.error(f"{needed} is missing: run ./tests/run.sh first, or name another place")
    return options


def time_notebook(notebook: Notebook, pairs: list[dict[str, str]]) -> tuple[float, list[dict[str, list[int]]]]:
    started = time.perf_counter()
    rows = [notebook.run_pair(pair["base"], pair["source"]) for pair in pairs]
    return time.perf_counter() - started, rows


def time_rvsweep(options: argparse.Namespace, config: Path, out: Path) -> float:
    command = [options.rvsweep, "run", "--config", config, "--out", out, "--device", "cpu", "--dtype", "float32"]
    if options.ranks:
        os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        command = ["mpirun", "-n", str(options.ranks), "--oversubscribe", "--bind-to", "none", *command]
    started = time.perf_counter()
    run(*command, timeout=3600)
    return time.perf_counter() - started


def identical_rows(out: Path, pairs: list[dict[str, str]], notebook_rows: list[dict[str, list[int]]]) -> int:
    """How many of the notebook's rows have the same tokens in results.h5; every row there must be whole."""
    results = read_results(out / "results.h5")
    whole = results.rows["n_generated"] == len(notebook_rows[0]["base"])
    if not (whole & (results.rows["status"] == "ok")).all():
        raise SystemExit("rvsweep did not generate every token of every row: the comparison means nothing")
    return sum(
        results.tokens(results.row(pair["pair"], arm)) == rows[name]
        for pair, rows in zip(pairs, notebook_rows)
        for arm, name in enumerate(ARMS)
    )


def main() -> None:
    options = arguments()
    n_layers = json.loads((options.model / "config.json").read_text())["num_hidden_layers"]
    early, late = n_layers // 8, n_layers * 3 // 4
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    pairs = pairs_of_lengths(tokenizer, [(PROMPT_TOKENS, PROMPT_TOKENS)] * options.pairs)
    few = pairs[: options.pairs_notebook]
    notebook = Notebook(options.model, early, late, range(n_layers // 2, n_layers), options.max_new_tokens)
    notebook.run_pair(few[0]["base"], few[0]["source"])  # first calls are slower

    arms = ["base", "source", f"v_proj layers={late} decode=persist"]
    arms.append("kv_cache layers=50%:100% entry=refeed growth=compound align=as_is")
    folder = Path(tempfile.mkdtemp(prefix="rvsweep-perf-"))
    config = write_config(
        folder / "sweep.cfg",
        options.model,
        write_pairs(folder / "pairs.jsonl", pairs),
        arms,
        early,
        late,
        options.max_new_tokens,
        stop_at_eos=False,
        reencode=True,
    )
    seconds: dict[str, list[float]] = {"notebook": [], "rvsweep": []}
    for turn in range(options.repeat):
        spent, notebook_rows = time_notebook(notebook, few)
        seconds["notebook"].append(spent)
        seconds["rvsweep"].append(time_rvsweep(options, config, folder / f"out-{turn}"))
    identical = identical_rows(folder / "out-0", few, notebook_rows)
    shutil.rmtree(folder)

    rows = {"notebook": len(few) * len(ARMS), "rvsweep": len(pairs) * len(ARMS)}
    rate = {side: rows[side] / statistics.median(seconds[side]) for side in rows}
    report = {
        "machine": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "ranks": options.ranks,
        "rows": rows,
        "seconds": seconds,
        "rows_per_second": rate,
        "ratio": rate["rvsweep"] / rate["notebook"],
        "identical_rows": identical,
    }
    for side in rows:
        print(f"{side:9} {rows[side]:4d} rows  {statistics.median(seconds[side]):8.2f} s  {rate[side]:7.2f} rows/s")
    print(f"ratio {report['ratio']:.2f}; tokens identical in {identical} of {rows['notebook']} rows of both sides")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
