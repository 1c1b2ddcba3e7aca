#!/usr/bin/env python3
"""The steps of run.sh, most valuable first. Each is a row of STEPS: its name, its limit, what it finds."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

import tiny_models
from processes import differing, outside_run
from prompt_texts import pairs_of_lengths, text_of_length, write_pairs
from rvsweep_cli import read_results, write_config
from step_runner import CARRIED, Bench, Finding, Skip, Step, take_steps
from tokenizers import Tokenizer

TOTAL = 480  # seconds
READ_OUTS = ("kl_first", "change_norm", "spectra_prompt", "spectra_generated", "logprob_source")
LLAMA_3_8B = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 5e5,
    "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.02,
}  # fmt: skip


def tiny(bench: Bench, family: str) -> Path:
    folder = bench.work / family
    return folder if folder.exists() else tiny_models.make(family, folder)


def demo_shape(bench: Bench) -> Path:
    """The demo model's config and tokenizer, for drawn weights; in a rehearsal a tiny model's."""
    if bench.rehearses:
        return tiny(bench, "llama31")
    name = "models/SmolLM2-135M-Instruct"
    return (CARRIED if (CARRIED / name).exists() else ROOT) / name


def llama_3_8b(bench: Bench) -> Path:
    folder = bench.work / "llama-3-8b"
    if not folder.exists():
        shutil.copytree(tiny(bench, "llama31"), folder, ignore=shutil.ignore_patterns("*.safetensors*"))
        if not bench.rehearses:
            (folder / "config.json").write_text(json.dumps(LLAMA_3_8B))
    return folder


def tokenizer_of(model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(model / "tokenizer.json"))


def run(bench: Bench, words: list, out: Path, device: str, dtype: str, *before: str, **options) -> str:
    where = ["--out", out, "--device", device, "--dtype", dtype]
    return bench.call([*before, bench.binary, "run", *words, *where], **options)


def doctor(bench: Bench) -> Iterator[Finding]:
    for item in json.loads(
        bench.call([bench.binary, "doctor", "--json", "--dir", bench.work]).splitlines()[-1]
    ):
        if item["item"] in ("rvsweep", "libtorch", "gpu", "nccl", "self-check"):
            absent = item["item"] == "gpu" and not bench.rehearses and item["text"].startswith("none")
            yield Finding(f"{item['item']}: {item['text']}", item["level"] != "problem" and not absent)


def controls_job(bench: Bench, model: Path, n_layers: int) -> list[str]:
    """Words of a sweep of every kind of patch and control on three pairs, greedy."""
    pairs = pairs_of_lengths(tokenizer_of(model), [(20, 33), (41, 24), (30, 30)])
    prompts = write_pairs(bench.work / f"{model.name}.jsonl", pairs)
    settings = {
        "model.path": model, "model.early_layer": 1, "model.late_layer": n_layers - 1, "prompts.file": prompts,
        "generation.max_new_tokens": 20, "run.threads": 1 if bench.rehearses else 4,
    }  # fmt: skip
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["--config", "jobs/controls.cfg", *sets]


def compare_rows(name: str, ours: Mapping, theirs: Mapping) -> Finding:
    """Tokens of /rows, and along rows with the same tokens what was measured."""
    same = (ours["tokens"] == theirs["tokens"]).all(axis=1) & (ours["status"] == theirs["status"])
    ran = same & (theirs["status"] == "ok")
    apart = 0.0
    for column in READ_OUTS:
        a, b = (np.nan_to_num(rows[column][ran].astype(np.float64)) for rows in (ours, theirs))
        apart = max(apart, float(np.abs(a - b).max(initial=0) / max(np.abs(b).max(initial=0), 1e-30)))
    text = (
        f"{name}: {same.sum()} of {len(same)} rows with the same tokens, {ran.sum()} of them ok; "
        f"read-outs differ by {apart:.1e}"
    )
    return Finding(text, bool(same.mean() >= 0.98 and ran.any() and apart < 1e-3))


def logits_of(bench: Bench, model: Path, device: str, dtype: str) -> np.ndarray:
    """[T, vocab] of one text."""
    out = bench.work / f"{model.name}-{device}-{dtype}.h5"
    if not out.exists():
        text = text_of_length(tokenizer_of(model), 48, seed=3)
        words = [bench.binary, "probe", "--model", model, "--text", text, "--out", out, "--late-layer", "75%"]
        drawn = [] if any(model.glob("*.safetensors")) else ["--random-weights"]
        bench.call([*words, "--device", device, "--dtype", dtype, *drawn])
    with h5py.File(out) as file:
        return file["logits"][:].astype(np.float64)


def compare_logits(name: str, logits: np.ndarray, reference: np.ndarray, bound: float) -> Finding:
    error = float(np.linalg.norm(logits - reference) / np.linalg.norm(reference))
    return Finding(f"{name}: relative error of logits {error:.1e} (bound {bound:.0e})", error <= bound)


def float32_against_cpu(bench: Bench) -> Iterator[Finding]:
    """In a rehearsal the device is the CPU with another instruction set, whose sums differ."""
    for family in ["llama", "qwen2"] if bench.rehearses else tiny_models.FAMILIES:
        model = tiny(bench, family)
        words = controls_job(bench, model, n_layers=5)
        ours, theirs = bench.work / f"{family}-ours", bench.work / f"{family}-theirs"
        other = ["env", "ATEN_CPU_CAPABILITY=avx2"] if bench.rehearses else []
        run(bench, words, theirs, "cpu", "float32")
        run(bench, words, ours, bench.device, "float32", *other)
        yield compare_rows(family, *(read_results(folder / "results.h5").rows for folder in (ours, theirs)))
        if not bench.rehearses:
            logits = (logits_of(bench, model, device, "float32") for device in (bench.device, "cpu"))
            yield compare_logits(family, *logits, 1e-4)


def sixteen_bits(bench: Bench) -> Iterator[Finding]:
    for model in (tiny(bench, "llama"), demo_shape(bench)):
        reference = logits_of(bench, model, bench.device, "float32")
        for dtype, bound in {"bfloat16": 0.1, "float16": 0.015}.items():
            if dtype == "bfloat16" or not bench.rehearses:  # float16 runs on GPUs alone
                logits = logits_of(bench, model, bench.device, dtype)
                yield compare_logits(f"{model.name}, {dtype}", logits, reference, bound)


def same_bits(bench: Bench) -> Iterator[Finding]:
    words = [*controls_job(bench, tiny(bench, "llama"), n_layers=5), "--set", "sweep.bundle_rows=8"]
    words += ["--set", "run.threads=1"]
    dtype = "float32" if bench.rehearses else "bfloat16"
    one, two = bench.work / "one-rank", bench.work / "two-ranks"
    run(bench, words, one, bench.device, dtype)
    log = run(bench, words, two, bench.device, dtype, ranks=2)
    unlike = differing(outside_run(one / "results.h5"), outside_run(two / "results.h5"))
    yield Finding(f"1 rank against 2 on one device: {len(unlike)} datasets differ {unlike[:3]}", not unlike)
    sent = re.search(r"weights: sent.*", log)
    yield Finding(sent[0] if sent else "weights: shared by the ranks", bool(sent) or bench.rehearses)
    rows = read_results(one / "results.h5").rows
    for row in np.flatnonzero(rows["status"] == "ok")[:: 3 if bench.rehearses else 20][:4]:
        name = f"{int(rows['row_id'][row]):016x}"
        words = [bench.binary, "replay", one, "--row", name]
        last = bench.call(words).strip().splitlines()[-1]
        yield Finding(f"replay of {name}: {last}")


def nccl(bench: Bench) -> Iterator[Finding]:
    """In a rehearsal that it says what is missing."""
    places = [ROOT / "build/tests/nccl_one_rank", CARRIED / "bin/nccl_one_rank"]
    program = next((path for path in places if path.exists()), None)
    if program is None:
        raise Skip("nccl_one_rank was not built: cmake -DRVSWEEP_TESTS=ON")
    hidden = ["env", "CUDA_VISIBLE_DEVICES="] if bench.rehearses else []
    said = bench.call([*hidden, program], expect=2 if bench.rehearses else 0).strip()
    yield Finding(said, not bench.rehearses or "cuda was asked for" in said)


def bytes_used(bench: Bench, process: int) -> float:
    """On the GPU by anybody; in a rehearsal the most that the process has had in memory."""
    if bench.rehearses:
        try:
            return 1024.0 * int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1])
        except (OSError, TypeError):  # it has ended
            return 0
    words = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return (
        float(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0])
        * 2**20
    )


def timed_job(bench: Bench, model: Path, rows: int, steps: int) -> list[str | Path]:
    """Words of a sweep of `rows` unpatched rows of 40 tokens as one bundle, weights drawn."""
    pairs = pairs_of_lengths(tokenizer_of(model), [(40, 40)] * min(rows, 8))
    pairs = [pairs[i % len(pairs)] | {"pair": f"pair-{i}"} for i in range(rows)]
    name = f"{model.name}-{rows}"
    prompts = write_pairs(bench.work / f"{name}.jsonl", pairs)
    config = write_config(
        bench.work / f"{name}.cfg", model, prompts, ["base"], 1, 3, steps, stop_at_eos=False
    )
    # Drawn numbers, so that no two rows are the same and decoded once.
    settings = [f"sweep.bundle_rows={max(rows, 8)}", "generation.temperature=1"]
    sets = [word for setting in settings for word in ("--set", setting)]
    return ["--config", config, *sets, "--random-weights"]


def memory(bench: Bench) -> Iterator[Finding]:
    model, rows = demo_shape(bench), 32 if bench.rehearses else 256
    dtype = "float32" if bench.rehearses else "bfloat16"
    words = timed_job(bench, model, rows, steps=16 if bench.rehearses else 128)
    plan = bench.call([bench.binary, "plan", "--json", *words, "--device", bench.device, "--dtype", dtype])
    before = bytes_used(bench, 0)
    peak = before

    def watch(process: int) -> None:
        nonlocal peak
        peak = max(peak, bytes_used(bench, process))

    run(bench, words, bench.work / "memory", bench.device, dtype, watch=watch)
    planned, taken = json.loads(plan)["memory"]["total"], peak - before
    beside = 1.5e9 if bench.rehearses else 0  # a CPU's libraries; the plan has a GPU's context and workspace
    text = f"{rows} rows: planned {planned / 1e9:.2f} GB, taken {taken / 1e9:.2f} GB"
    yield Finding(text, 0 < taken <= 1.1 * planned + beside)


def step_bytes(config: dict, rows: int, columns: float, item: int) -> float:
    """What a decode step has to read: every matrix once, and the rows' keys and values."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    kv_heads, head_dim = config["num_key_value_heads"], config.get("head_dim") or hidden // heads
    layer = hidden * (2 * heads * head_dim + 2 * kv_heads * head_dim + 3 * config["intermediate_size"])
    weights = config["num_hidden_layers"] * layer + config["vocab_size"] * hidden
    cells = rows * columns * 2 * kv_heads * head_dim * config["num_hidden_layers"]
    return item * (weights + cells)


def times(bench: Bench) -> Iterator[Finding]:
    size = 1 << (26 if bench.rehearses else 32)
    rate = float(
        bench.call([sys.executable, ROOT / "tests/gpu/bandwidth.py", bench.device, size]).split()[-1]
    )
    yield Finding(f"memory bandwidth {rate / 1e9:.0f} GB/s (read and written, torch's copy)")
    steps = 8 if bench.rehearses else 64
    dtype, item = ("float32", 4) if bench.rehearses else ("bfloat16", 2)
    for model in (demo_shape(bench), llama_3_8b(bench)):
        config = json.loads((model / "config.json").read_text())
        for rows in (1, 16 if bench.rehearses else 256):
            out = bench.work / f"time-{model.name}-{rows}"
            run(bench, timed_job(bench, model, rows, steps), out, bench.device, dtype)
            with h5py.File(out / "results.h5") as file:
                names = file["run/phases/name"].asstr()[:]
                seconds = dict(zip(names, file["run/phases/seconds"][0]))
            decode = seconds["decode"] / steps
            roofline = step_bytes(config, rows, 40 + steps / 2, item) / rate
            parts = ", ".join(
                f"{name} {seconds[name]:.2f}" for name in ("load", "prefill", "spectra", "readouts", "hdf5")
            )
            yield Finding(
                f"{model.name}, {rows} rows: {decode * 1e3:.2f} ms a step, roofline {roofline * 1e3:.2f} ms "
                f"({roofline / decode:.0%}); {parts} s"
            )


def sanitizer(bench: Bench) -> Iterator[Finding]:
    program = shutil.which("compute-sanitizer", path=os.environ["PATH"] + ":/usr/local/cuda/bin")
    if bench.rehearses or program is None:
        raise Skip("no GPU in a rehearsal" if bench.rehearses else "compute-sanitizer is not there")
    model = tiny(bench, "llama")
    words = timed_job(bench, model, 8, steps=4)
    command = [
        program,
        "--error-exitcode",
        "9",
        bench.binary,
        "run",
        *words,
        "--out",
        bench.work / "sanitizer",
    ]
    output = bench.call([*command, "--device", bench.device, "--dtype", "bfloat16"])
    yield Finding(re.search(r"ERROR SUMMARY:.*", output)[0])


STEPS = [
    Step("doctor", 30, doctor),
    Step("float32 against the CPU", 110, float32_against_cpu),
    Step("16 bits against float32", 60, sixteen_bits),
    Step("the same bits", 60, same_bits),
    Step("NCCL on one rank", 20, nccl),
    Step("memory", 40, memory),
    Step("time", 150, times),
    Step("compute-sanitizer", 60, sanitizer),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with tiny sizes")
    default = Path(os.environ.get("OUT", ROOT / "out" / "gpu"))
    parser.add_argument(
        "--out", type=Path, default=default, help="folder of the findings, whose files are replaced"
    )
    options = parser.parse_args()
    shutil.rmtree(options.out / "work", ignore_errors=True)
    (options.out / "log.txt").unlink(missing_ok=True)
    bench = Bench("cpu" if options.rehearse else "cuda", options.out.resolve())
    try:
        return take_steps(STEPS, bench, TOTAL)
    finally:
        shutil.rmtree(bench.work)


if __name__ == "__main__":
    sys.exit(main())
