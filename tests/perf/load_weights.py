#!/usr/bin/env python3
"""How long the weights take to load, against a plain read of the same files from the page cache.

Turns alternate in one run. A plain read copies every byte of the files once into memory that stays and has been
written before, so that no new page is needed:

* "by one thread": into a buffer as large as the file, as a program without threads reads it;
* "into memory": the same on as many threads as rvsweep reads with (ranks x threads);
* "into cache": on as many, MiB by MiB into one buffer per thread, which never leaves the processor's cache, and so
  the fastest read there is.

rvsweep's time is the one it logs, from before the first byte is read to weights in a new shared block, fused and
converted to the run's number format. New memory alone, fallocate of as many bytes, is measured beside it.

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
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from processes import ENVIRONMENT, on_ranks  # noqa: E402
from prompt_texts import write_pairs  # noqa: E402
from rvsweep_cli import write_config  # noqa: E402

PIECE = 1 << 20
LOADED = re.compile(r"weights: ([\d.]+) GB loaded in ([\d.]+) s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "SmolLM2-135M-Instruct")
    built = ROOT / "build" / "rvsweep"
    parser.add_argument("--binary", type=Path, nargs="+", default=[built], help="several are compared")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--ranks", type=int, default=0, help="0: without mpirun")
    parser.add_argument("--threads", type=int, default=1, help="per rank")
    parser.add_argument("--repeat", type=int, default=7)
    return parser.parse_args()


def plain_read(files: list[int], threads: int, memory: memoryview, keep: bool) -> float:
    """Seconds; `keep`: every byte gets its own place in memory, otherwise a thread's pieces share one."""
    sizes = [os.fstat(file).st_size for file in files]
    starts = [sum(sizes[:i]) for i in range(len(files))]
    pieces = [(file, start, at) for file, size, start in zip(files, sizes, starts) for at in range(0, size, PIECE)]

    def work(first: int) -> None:
        for file, start, at in pieces[first::threads]:
            to = start + at if keep else first * PIECE
            os.preadv(file, [memory[to : to + PIECE]], at)

    workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - begin


def new_memory(size: int) -> float:
    file = os.memfd_create("load_weights")
    begin = time.perf_counter()
    os.posix_fallocate(file, 0, size)
    seconds = time.perf_counter() - begin
    os.close(file)
    return seconds


def load(binary: Path, options: argparse.Namespace, config: Path, out: Path) -> float:
    words = [binary, "run", "--config", config, "--out", out, "--device", "cpu", "--dtype", options.dtype]
    command = [*on_ranks(options.ranks), *map(str, words), "--set", f"run.threads={options.threads}"]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    found = LOADED.search(result.stderr)
    if result.returncode != 0 or not found:
        raise SystemExit(result.stderr)
    return float(found[2])


def main() -> None:
    options = arguments()
    threads = max(1, options.ranks) * options.threads
    files = [os.open(path, os.O_RDONLY) for path in sorted(options.model.glob("*.safetensors"))]
    size = sum(os.fstat(file).st_size for file in files)
    memory = memoryview(bytearray(size + PIECE * threads))
    folder = Path(tempfile.mkdtemp(prefix="rvsweep-perf-"))
    prompts = write_pairs(folder / "pairs.jsonl", [{"pair": "p", "source": "Notice this.", "base": "Water boils."}])
    config = write_config(folder / "job.cfg", options.model, prompts, ["base"], 0, 1, 1)
    for keep in (True, False):  # the files into the page cache, the memory into the process
        plain_read(files, threads, memory, keep)
    kinds = ("plain read by one thread", "plain read into memory", "plain read into cache", "new memory alone")
    reads: dict[str, list[float]] = {kind: [] for kind in kinds}
    loads: dict[Path, list[float]] = {binary: [] for binary in options.binary}
    for turn in range(options.repeat):
        for number, (binary, taken) in enumerate(loads.items()):
            taken.append(load(binary, options, config, folder / f"out-{turn}-{number}"))
        reads["plain read by one thread"].append(plain_read(files, 1, memory, True))
        reads["plain read into memory"].append(plain_read(files, threads, memory, True))
        reads["plain read into cache"].append(plain_read(files, threads, memory, False))
        reads["new memory alone"].append(new_memory(size))
    shutil.rmtree(folder)
    ranks = max(1, options.ranks)
    print(f"{size / 1e9:.3f} GB of files, {options.dtype}, {ranks} rank(s) of {options.threads} thread(s)")
    for kind, taken in reads.items():
        print(f"{kind}: {statistics.median(taken):.3f} s, at best {min(taken):.3f} s")
    for binary, taken in loads.items():
        print(f"{binary} loads in {statistics.median(taken):.3f} s, at best {min(taken):.3f} s")
        for kind, others in reads.items():
            ratios = [loading / other for loading, other in zip(taken, others)]
            print(
                f"  {statistics.median(ratios):.2f} x {kind} (median of {len(ratios)}; "
                f"{min(ratios):.2f} to {max(ratios):.2f}; best by best {min(taken) / min(others):.2f})"
            )


if __name__ == "__main__":
    main()
