"""Time and memory of planning a million rows: `rvsweep plan` on pairs made on the spot.

    .venv/bin/python tests/perf/scale_plan.py [--rows 1000000] [--model models/SmolLM2-135M-Instruct]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from prompt_texts import sentence  # noqa: E402

ARMS = ["base", "source", "v_proj layers=24", "kv_cache layers=16:30"]
SENTENCES = 3  # about 60 tokens


def write_job(folder: Path, model: Path, rows: int) -> Path:
    """Prompts that all differ, and a config of four arms over them."""
    generator = random.Random(1)
    prompts = folder / "pairs.jsonl"
    with open(prompts, "w", encoding="utf-8") as file:
        for pair in range(rows // len(ARMS)):
            texts = [" ".join(sentence(generator) for _ in range(SENTENCES)) for _ in range(2)]
            file.write(json.dumps({"pair": f"pair-{pair}", "source": texts[0], "base": texts[1]}) + "\n")
    config = folder / "job.cfg"
    arms = "".join(f"arm = {arm}\n" for arm in ARMS)
    config.write_text(
        f"[model]\npath = {model}\nearly_layer = 4\nlate_layer = 24\n[prompts]\nfile = {prompts}\n"
        f"[run]\ndevice = cpu\ndtype = float32\n[sweep]\n{arms}"
    )
    return config


def measure(words: list[str]) -> tuple[float, float, str]:
    """Seconds, peak resident megabytes and the standard output of a command."""
    reading, writing = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.close(reading)
        os.execv(words[0], words)
    os.close(writing)
    with os.fdopen(reading) as stream:
        output = stream.read()
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(words)} failed")
    return time.monotonic() - start, usage.ru_maxrss / 1024, output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "SmolLM2-135M-Instruct")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "rvsweep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        megabytes = {}
        for rows in (1000, options.rows):
            config = write_job(Path(name), options.model.resolve(), rows)
            size = (Path(name) / "pairs.jsonl").stat().st_size / 1e6
            seconds, megabytes[rows], output = measure([str(options.binary), "plan", "--config", str(config)])
            facts = [" ".join(line.split()) for line in output.splitlines() if line.startswith(("rows", "bundles"))]
            print(f"{rows} rows ({size:.0f} MB of prompts): {seconds:.1f} s, {megabytes[rows]:.0f} MB; {facts}")
        per_million = (megabytes[options.rows] - megabytes[1000]) / (options.rows - 1000) * 1e6
        print(f"{per_million:.0f} MB per million rows")


if __name__ == "__main__":
    main()
