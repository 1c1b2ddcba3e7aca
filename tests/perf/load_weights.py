#!/usr/bin/env python3
"""How long the weights take to load, against a plain read of the same files from the page cache.

Turns of both alternate in one run. A plain read copies every byte of the files once, in one thread, into a
buffer that stays; rvsweep's time is the one it logs, from before the first byte is read to weights in the
shared block, converted to the run's number format.

    python tests/perf/load_weights.py --dtype bfloat16 --ranks 2
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from processes import ENVIRONMENT, on_ranks  # noqa: E402
from prompt_texts import write_pairs  # noqa: E402
from rvsweep_cli import write_config  # noqa: E402

LOADED = re.compile(r"weights: ([\d.]+) GB loaded in ([\d.]+) s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "SmolLM2-135M-Instruct")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "rvsweep")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--ranks", type=int, default=0, help="0: without mpirun")
    parser.add_argument("--threads", type=int, default=1, help="per rank")
    parser.add_argument("--repeat", type=int, default=7)
    return parser.parse_args()


def plain_read(files: list[Path]) -> float:
    buffer = memoryview(bytearray(1 << 20))
    begin = time.perf_counter()
    for path in files:
        file = os.open(path, os.O_RDONLY)
        while os.readv(file, [buffer]) > 0:
            pass
        os.close(file)
    return time.perf_counter() - begin


def load(options: argparse.Namespace, config: Path, out: Path) -> float:
    words = [options.binary, "run", "--config", config, "--out", out, "--device", "cpu", "--dtype", options.dtype]
    command = [*on_ranks(options.ranks), *map(str, words), "--set", f"run.threads={options.threads}"]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    found = LOADED.search(result.stderr)
    if result.returncode != 0 or not found:
        raise SystemExit(result.stderr)
    return float(found[2])


def main() -> None:
    options = arguments()
    files = sorted(options.model.glob("*.safetensors"))
    size = sum(path.stat().st_size for path in files)
    folder = Path(tempfile.mkdtemp(prefix="rvsweep-perf-"))
    prompts = write_pairs(folder / "pairs.jsonl", [{"pair": "p", "source": "Notice this.", "base": "Water boils."}])
    config = write_config(folder / "job.cfg", options.model, prompts, ["base"], 0, 1, 1)
    plain_read(files)  # into the page cache
    reads, loads = [], []
    for turn in range(options.repeat):
        reads.append(plain_read(files))
        loads.append(load(options, config, folder / f"out-{turn}"))
    shutil.rmtree(folder)
    ratios = [loading / reading for loading, reading in zip(loads, reads)]
    print(f"{size / 1e9:.3f} GB of files, {options.dtype}, {max(1, options.ranks)} rank(s) of {options.threads} thread(s)")
    print(f"plain read {statistics.median(reads):.3f} s, load {statistics.median(loads):.3f} s")
    print(f"ratio {statistics.median(ratios):.2f} (median of {options.repeat}; {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
