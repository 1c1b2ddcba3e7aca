#!/usr/bin/env python3
"""Rows per second of rvsweep, of Hugging Face and of the machine's arithmetic, on the same work in one run.

Sides, in turns (a, b, c, a, b, c, ...), all on the same cores and threads:

* notebook: the notebook's procedure, batch 1 (with --dtype bfloat16 on a CPU also in float32);
* batched: Hugging Face with hooks at its best batch size, measured before the first turn;
* rvsweep: whole processes from their start to results.h5, on enough pairs to last about --seconds; on a CPU one rank
  of one thread per core under mpirun, as the README runs it. Peers are timed without the time to load.

Arms base, source, v_proj (persist) and kv_cache, greedy, without stopping, singular values of prompt and generated
windows. kv_cache is hold_last and append in batched and rvsweep; the notebook has its own arithmetic
(generate_with_kv_patch_v2), which rvsweep runs once more to compare the tokens. The notebook measures PR at two
layers and reads texts of kv_cache again, where the others take singular values of every layer and row.

--against OLD times two builds of rvsweep instead, phase by phase, and nothing else.
The variant `prompts` is another comparison, of whole processes on long prompts: long_prompts.py.

A model folder without *.safetensors is run on random weights: shapes can be timed, tokens not compared.

    tests/perf/run.sh --dtype bfloat16 --variant long
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import long_prompts
from work import LENGTHS, ROOT, Work, make_work

MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
PAIRS = {"short": 64, "long": 64, "wide": 8}  # of the batched side; rvsweep's first pairs
BATCH_ROWS = (32, 64, 128, 256)
NOTEBOOK_ROWS = 16
SCALING_PAIRS = 64


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rvsweep", type=Path, default=ROOT / "build" / "rvsweep")
    parser.add_argument("--against", type=Path, metavar="OLD", help="another build of rvsweep, to compare this one with")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--variant", choices=(*LENGTHS, "prompts"), default="short")
    parser.add_argument("--alternations", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each side in all")
    parser.add_argument("--pairs", type=int, help="of the batched side (64; wide: 8)")
    parser.add_argument("--seconds", type=float, default=60, help="that rvsweep's sweep should last")
    parser.add_argument("--scaling", action="store_true", help="also two ranks of one thread against one of two")
    parser.add_argument("--start", action="store_true", help="also the time to a first token, and steps at batch 1")
    parser.add_argument("--flat", action="store_true", help="also the cost of a row in 1,000 and 20,000 rows (long)")
    parser.add_argument("--grid", action="store_true", help="prompts: rvsweep beside its own plan")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "perf")
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    if not 1 <= options.threads <= len(cores):
        parser.error(f"--threads must lie between 1 and the {len(cores)} cores given to this process")
    if options.scaling and options.threads < 2:
        parser.error("--scaling compares two ranks with two threads: it needs two cores and --threads 2 or more")
    if options.alternations < 1 or (options.pairs is not None and options.pairs < 1):
        parser.error("--alternations and --pairs must be at least 1")
    builds = [options.rvsweep, *filter(None, [options.against])]
    for needed in (*builds, options.model / "config.json", options.model / "tokenizer.json"):
        if not needed.is_file():
            parser.error(f"{needed} is missing: run ./jobs/setup.sh first, or name another place")
    os.sched_setaffinity(0, sorted(cores)[: options.threads])  # before any thread starts; rvsweep inherits it
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    return options


def load(folder: Path, device: str, dtype: str):
    """The model in Hugging Face, random where the folder has no weights, and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    kind = getattr(torch, dtype)
    if any(folder.glob("*.safetensors")):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=kind, attn_implementation="sdpa")
    else:
        config = AutoConfig.from_pretrained(folder)
        model = AutoModelForCausalLM.from_config(config, dtype=kind, attn_implementation="sdpa")
    return model.eval().to(device), PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def timed(work, device: str):
    """Seconds and what it returned."""
    import torch

    started = time.perf_counter()
    result = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def machine(device: str) -> dict:
    import torch

    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    found = {"processor": model[1] if model else platform.machine(), "cores": len(os.sched_getaffinity(0))}
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    return found


class Peers:
    """Both sides in Hugging Face on the same pairs, loaded and warm."""

    def __init__(self, options: argparse.Namespace, work: Work, pairs: list[dict[str, str]]):
        from hf_batched import BatchedHuggingFace, best_batch
        from notebook_procedure import Notebook

        model, tokenizer = load(options.model, options.device, options.dtype)
        self.device, self.config, self.pairs = options.device, model.config, pairs
        self.notebook_arms = work.arms[:NOTEBOOK_ROWS]
        self.notebook_pairs = pairs[: max(1, NOTEBOOK_ROWS // len(work.arms))]
        self.notebooks = {"notebook": Notebook(model, tokenizer, work)}
        if options.dtype == "bfloat16" and options.device == "cpu":
            self.notebooks["notebook float32"] = Notebook(*load(options.model, "cpu", "float32"), work)
        self.batched = BatchedHuggingFace(model, tokenizer, work)
        for notebook in self.notebooks.values():  # first calls are slower
            notebook.run_pair(pairs[0]["base"], pairs[0]["source"], self.notebook_arms[-1:])
        self.batched.run(pairs[:1])
        sizes = [max(1, rows // len(work.arms)) for rows in BATCH_ROWS]
        self.batch_pairs, self.batch_rates = best_batch(self.batched, pairs, sizes)

    def run_notebook(self, name: str):
        def all_pairs():
            run_pair = self.notebooks[name].run_pair
            return [run_pair(pair["base"], pair["source"], self.notebook_arms) for pair in self.notebook_pairs]

        return timed(all_pairs, self.device)

    def run_batched(self):
        size = self.batch_pairs
        starts = range(0, len(self.pairs), size)
        seconds, found = timed(lambda: [self.batched.run(self.pairs[i : i + size]) for i in starts], self.device)
        return seconds, [pair for part in found for pair in part.tokens.transpose(0, 1).tolist()]


def compare_results(peers: Peers, rvsweep, work: Work, tokens: dict, last) -> dict:
    """On the rows that two sides share: of the notebook the arms that are the same procedure."""
    from rvsweep_side import tokens_of
    from same_results import compare, spectra_difference

    few, arms = peers.notebook_pairs, peers.notebook_arms
    same = [place for place, arm in enumerate(arms) if arm.kind != "kv_cache"]
    lines = [arm.notebook_line() for arm in arms]
    own = rvsweep.run(few, lines, work.max_new_tokens).results()
    own = tokens_of(own, few, len(arms), work.max_new_tokens)
    again = peers.batched.run(peers.pairs[: peers.batch_pairs], with_margins=True)
    every = range(len(work.arms))
    compared = {"batched and rvsweep": compare(tokens["batched"], tokens["rvsweep"], every, again.margins)}
    for name in peers.notebooks:
        if same:
            compared[f"{name} and rvsweep"] = compare(tokens[name], tokens["rvsweep"], same, again.margins)
        compared[f"{name} and rvsweep with the notebook's arms"] = compare(tokens[name], own, range(len(arms)))
    pairs = peers.pairs[: peers.batch_pairs]
    return {"tokens": compared, "spectra": spectra_difference(again, last.results(), pairs)}


def take_turns(options: argparse.Namespace, peers: Peers, rvsweep, work: Work, pairs: list[dict[str, str]]):
    """Seconds of every side by turn, tokens of the first turn, and rvsweep's last run."""
    from rvsweep_side import tokens_of

    lines = [arm.line() for arm in work.arms]
    seconds: dict[str, list[float]] = {name: [] for name in (*peers.notebooks, "batched", "rvsweep")}
    tokens: dict[str, list] = {}
    for turn in range(options.alternations):
        for name in seconds:
            if name == "rvsweep":
                run = rvsweep.run(pairs, lines, work.max_new_tokens)
                spent = run.seconds
                made = tokens_of(run.results(), peers.pairs, len(lines), work.max_new_tokens)
            else:
                spent, made = peers.run_batched() if name == "batched" else peers.run_notebook(name)
            seconds[name].append(spent)
            tokens.setdefault(name, made)
        line = ", ".join(f"{name} {taken[-1]:.2f} s" for name, taken in seconds.items())
        print(f"turn {turn + 1}: {line}", flush=True)
    return seconds, tokens, run


def pairs_to_last(rvsweep, work: Work, options: argparse.Namespace) -> list[dict[str, str]]:
    """Pairs for about options.seconds, in whole numbers of the batched side's, by one run that is not counted."""
    count = options.pairs or PAIRS[options.variant]
    warm = rvsweep.run(work.pairs(count), [arm.line() for arm in work.arms], work.max_new_tokens)
    return work.pairs(count * max(1, math.ceil(options.seconds / warm.seconds)))


def ratios(sides: dict) -> dict[str, dict[str, float]]:
    """rvsweep's rows per second over each peer's, turn by turn."""
    found = {}
    own = sides["rvsweep"]
    for name, side in sides.items():
        if name == "rvsweep":
            continue
        by_turn = [own["rows"] / c / (side["rows"] / p) for c, p in zip(own["seconds"], side["seconds"])]
        found[name] = {"median": statistics.median(by_turn), "least": min(by_turn), "most": max(by_turn)}
    return found


def show(report: dict) -> None:
    from same_results import sentence

    print(report["title"])
    for name, side in report["sides"].items():
        spent, rate = statistics.median(side["seconds"]), side["rows_per_second"]
        print(f"{name:18} {side['rows']:6d} rows  {spent:8.2f} s  {rate:8.3f} rows/s")
    for name, ratio in report["ratios"].items():
        spread = f"{ratio['least']:.2f} to {ratio['most']:.2f}"
        print(f"rvsweep / {name}: {ratio['median']:.2f} (median of turns; {spread})")
    limits = report["limits"]
    own = report["sides"]["rvsweep"]["rows_per_second"]
    for name, limit in limits["limits"].items():
        rate = limit["rows_per_second"]
        print(f"limit, {name}: {rate:.3g} rows/s; rvsweep reaches {own / rate:.1%}")
    for phase, rates in limits["flops_per_second"].items():
        print(f"GFLOP/s, {phase}: " + ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates.items()))
    print("GB/s: " + ", ".join(f"{name} {rate / 1e9:.1f}" for name, rate in limits["bytes_per_second"].items()))
    wall = statistics.median(report["sides"]["rvsweep"]["seconds"])
    for name, seconds in report["phases"].items():
        print(f"phase {name}: {seconds:.2f} s ({seconds / wall:.1%})")
    if report["decode_share"]:
        print(f"decode: {report['decode_share']:.1%} of its arithmetic limit")
    if report["same"]:
        for name, found in report["same"]["tokens"].items():
            print(sentence(name, found))
        if report["same"]["spectra"] is not None:
            worst = report["same"]["spectra"]
            print(f"singular values of batched and rvsweep: at most {worst:.1e} of the largest apart")
    for name, found in report["also"].items():
        print(f"{name}: {json.dumps(found)}")


def also(options: argparse.Namespace, rvsweep, work: Work, pairs: list, measured: dict, config) -> dict:
    import torch

    import small_measurements as small
    from machine_limits import weight_bytes

    found = {}
    if options.variant == "wide":
        found["wide over narrow"] = small.wide_cost(rvsweep, work, pairs, options.alternations)
    if options.scaling:
        several = work.pairs(SCALING_PAIRS)
        found["two ranks over two threads"] = small.scaling(rvsweep, work, several, options.alternations)
    if options.start:
        step_bytes = weight_bytes(config, getattr(torch, options.dtype))
        fastest = max(measured["bytes_per_second"].values())
        found["start"] = small.start(rvsweep, pairs, options.alternations, options.threads, step_bytes, fastest)
    if options.flat:
        found["flat"] = small.flat(rvsweep, work)
    return found


def own_side(options: argparse.Namespace, work: Work, folder: Path):
    """rvsweep as it is timed; `folder` takes its configs and results."""
    from rvsweep_side import Rvsweep

    ranks = options.threads if options.device == "cpu" and options.threads > 1 else 0
    arithmetic = (options.device, options.dtype, ranks, 1 if ranks else options.threads)
    return Rvsweep(options.rvsweep, work.model, work.early, work.late, *arithmetic, folder)


def measure_against(options: argparse.Namespace, folder: Path) -> None:
    import against

    work = make_work(options.variant, options.model.resolve())
    rvsweep = own_side(options, work, folder)
    pairs = pairs_to_last(rvsweep, work, options)
    found = against.compare(rvsweep, options.against, work, pairs, options.alternations)
    against.show(found)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "against.json").write_text(json.dumps({"command": sys.argv, "phases": found}, indent=2) + "\n")


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """Everything, as benchmark.json holds it; `folder` takes configs and results."""
    import torch
    import transformers

    import machine_limits

    torch.set_num_threads(options.threads)
    work = make_work(options.variant, options.model.resolve())
    rvsweep = own_side(options, work, folder)
    ranks = rvsweep.ranks
    pairs = pairs_to_last(rvsweep, work, options)
    peers = Peers(options, work, pairs[: options.pairs or PAIRS[options.variant]])
    seconds, tokens, last = take_turns(options, peers, rvsweep, work, pairs)

    rows = {name: len(peers.notebook_pairs) * len(peers.notebook_arms) for name in peers.notebooks}
    rows |= {"batched": len(peers.pairs) * len(work.arms), "rvsweep": len(pairs) * len(work.arms)}
    sides = {
        name: {"rows": rows[name], "seconds": taken, "rows_per_second": rows[name] / statistics.median(taken)}
        for name, taken in seconds.items()
    }
    decoded = rvsweep.bundle_rows(pairs, [arm.line() for arm in work.arms], work.max_new_tokens)
    limits = machine_limits.measure(peers.config, work, decoded, options.device, getattr(torch, options.dtype))
    phases = {name: statistics.mean(of_ranks) for name, of_ranks in last.phases().items()}
    decode = sum(limits["limits"]["shapes"][part] for part in ("decode", "head")) * rows["rvsweep"]
    where = machine(options.device)
    lengths = f"{work.prompt_tokens}-token prompts, {work.max_new_tokens} tokens"
    return {
        "title": f"{options.model.name}, {options.dtype}, {options.variant} ({lengths}), "
        f"{where.get('gpu', where['processor'])}, {options.threads} thread(s)"
        + (f", rvsweep: {ranks} ranks" if ranks else ""),
        "command": sys.argv,
        "machine": where,
        "versions": {
            "rvsweep": rvsweep.version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        "sides": sides,
        "ratios": ratios(sides),
        "batched": {"pairs_a_batch": peers.batch_pairs, "rows_per_second_by_pairs_a_batch": peers.batch_rates},
        "limits": limits,
        "phases": phases,
        "decode_share": decode / phases["decode"] if phases.get("decode") else None,
        "same": None if rvsweep.random_weights() else compare_results(peers, rvsweep, work, tokens, last),
        "also": also(options, rvsweep, work, pairs, limits, peers.config),
    }


def main() -> None:
    options = arguments()
    if options.variant == "prompts":
        long_prompts.main(options)
        return
    with tempfile.TemporaryDirectory(prefix="rvsweep-perf-") as folder:
        if options.against:
            return measure_against(options, Path(folder))
        report = measure(options, Path(folder))
    from picture import draw

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "benchmark.json").write_text(json.dumps(report, indent=2) + "\n")
    files = draw(report, options.out)
    show(report)
    print(f"written: {', '.join(str(file) for file in (options.out / 'benchmark.json', *files))}")


if __name__ == "__main__":
    main()
