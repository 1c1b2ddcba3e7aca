#!/usr/bin/env python3
"""CPU seconds of bundles whose rows carry unlike lists of patches over those of equal lists, in turns.

    .venv/bin/python tests/perf/unlike_lists.py [--binary build/rvsweep]

Both sweeps have the same pairs, bundles of 32 patched rows and 32 greedy tokens on one thread; in one every pair of a
bundle asks for an arm of its own. Prints every turn's seconds and the median ratio.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS, BUNDLES, TURNS = 32, 1, 3
EQUAL = "kv_cache layers=10:20 positions=last:8 & v_proj layers=24"


def unlike(index: int) -> str:
    """Of several kinds, layers, positions and heads: a cache and a site, as EQUAL has them."""
    first, site = index % 14, ("v_proj", "resid_pre", "mlp_out", "z")[index % 4]
    growth = ("append", "frozen", "compound")[index % 3]
    positions = ("last:8", "not_bos", "first:6", "span:2:10")[index // 4 % 4]
    cache = f"kv_cache layers={first}:{first + 10} positions={positions} growth={growth}"
    return f"{cache} & {site} layers={24 + index % 6} decode={('prefill', 'persist')[index % 2]}"


def write_job(folder: Path, arms: list[str]) -> list[str]:
    """Pair i asks for arm i of its bundle; the words of the command line."""
    texts = [json.loads(line)["text"] for line in (ROOT / "jobs/prompts/bank.jsonl").open(encoding="utf-8")]
    pairs = [
        {"pair": str(i), "source": texts[2 * i], "base": texts[2 * i + 1], "arms": f"a{i % len(arms)}"}
        for i in range(ROWS * BUNDLES)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    settings = {
        "prompts.file": folder / "pairs.jsonl",
        "prompts.pairing": "listed",
        "generation.max_new_tokens": 32,
        "generation.temperature": 0,
        "generation.stop_at_eos": "false",
        "sweep.bundle_rows": ROWS,
        "run.threads": 1,
    }
    words = [f"--set={name}={value}" for name, value in settings.items()]
    return words + [f"--set=sweep.arm={arm} label=a{i}" for i, arm in enumerate(arms)]


def cpu_seconds(words: list[str | Path]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(list(map(str, words)), check=True, capture_output=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "build/rvsweep")
    asked = parser.parse_args()
    ratios = []
    for turn in range(TURNS):
        seconds = []
        for arms in ([unlike(i) for i in range(ROWS)], [EQUAL]):
            with tempfile.TemporaryDirectory() as name:
                config = ["--config", ROOT / "configs/smollm2-135m-instruct.cfg"]
                words = [asked.binary, "run", *config, *write_job(Path(name), arms), "--out", Path(name) / "out"]
                seconds.append(cpu_seconds(words))
        ratios.append(seconds[0] / seconds[1])
        print(f"turn {turn + 1}: unlike {seconds[0]:.1f} s, equal {seconds[1]:.1f} s, ratio {ratios[-1]:.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
