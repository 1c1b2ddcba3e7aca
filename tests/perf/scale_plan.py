"""Time and memory of a plan of a million rows, on pairs made on the spot: of `rvsweep plan`, of rank 0 of a run and of
one that goes on with it until they hand out the first bundle, and of the commands that look at the folder they leave.
Memory is counted from that of the same command on a thousand rows.

    .venv/bin/python tests/perf/scale_plan.py [--binary build/rvsweep] [--model models/SmolLM2-135M-Instruct]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from prompt_texts import sentence  # noqa: E402

ROWS = 1_000_000
ARMS = ["base", "source", "v_proj layers=24"]
# Arms -> what makes the rest of them in a model of 30 layers.
BANDS = {
    4: ["kv_cache layers=16:30"],
    18: ["kv_cache layers=width:2/stride:2"],
    50: ["kv_cache layers=width:2/stride:2", "kv_cache layers=width:1/stride:1", "kv_cache layers=0:16,16:30"],
}
SENTENCES = 3  # about 60 tokens


def write_job(folder: Path, model: Path, rows: int, arms: int) -> Path:
    """Two prompts a pair, which all differ, and a config of so many arms over them."""
    generator = random.Random(1)
    prompts = folder / "pairs.jsonl"
    with open(prompts, "w", encoding="utf-8") as file:
        for pair in range(rows // arms):
            texts = [" ".join(sentence(generator) for _ in range(SENTENCES)) for _ in range(2)]
            file.write(json.dumps({"pair": f"pair-{pair}", "source": texts[0], "base": texts[1]}) + "\n")
    config = folder / "job.cfg"
    lines = "".join(f"arm = {arm}\n" for arm in ARMS + BANDS[arms])
    config.write_text(
        f"[model]\npath = {model}\nearly_layer = 4\nlate_layer = 24\n[prompts]\nfile = {prompts}\n"
        f"[run]\ndevice = cpu\ndtype = float32\nthreads = 1\n[sweep]\n{lines}"
    )
    return config


def start(words: list[str]) -> int:
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execv(words[0], words)
    return child


def command(words: list[str]) -> dict[str, float]:
    begin = time.monotonic()
    child = start(words)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(words)} failed")
    cpu = usage.ru_utime + usage.ru_stime
    return {"s": time.monotonic() - begin, "s CPU": cpu, "MB at most": usage.ru_maxrss / 1024}


def private_megabytes(process: int) -> float:
    """Without pages of files and the weights, which ranks share."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def start_of_run(binary: Path, config: Path, out: Path) -> dict[str, float]:
    """Up to the line of the journal that hands out the first bundle; then the run is stopped. The folder is open when
    the journal has grown; weights come later."""
    journal = out / "journal.jsonl"
    before = len(journal.read_text()) if journal.exists() else 0

    def written() -> str:
        return journal.read_text()[before:] if journal.exists() else ""

    begin = time.monotonic()
    child = start([str(binary), "run", "--config", str(config), "--out", str(out)])
    opening = 0.0
    while "handed_out" not in written():
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            raise SystemExit(f"rvsweep run --config {config} ended before a bundle was handed out")
        if not written():
            opening = max(opening, private_megabytes(child))
        time.sleep(0.02)
    seconds, held = time.monotonic() - begin, private_megabytes(child)
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    return {"s": seconds, "MB at most while opening the folder": opening, "MB at the first bundle": held}


def figures_of(binary: Path, model: Path, rows: int, arms: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        config, out = write_job(Path(name), model, rows, arms), Path(name) / "out"
        figures = {"plan": command([str(binary), "plan", "--config", str(config)])}
        figures["run"] = start_of_run(binary, config, out)
        figures["run again"] = start_of_run(binary, config, out)
        for words in ("status", "merge --partial", "verify"):
            figures[words] = command([str(binary), *words.split(), str(out)])
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "SmolLM2-135M-Instruct")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "rvsweep")
    options = parser.parse_args()
    for arms in BANDS:
        few, million = (figures_of(options.binary, options.model.resolve(), rows, arms) for rows in (1000, ROWS))
        for words, measured in million.items():
            shown = [
                f"{value - few[words][unit] if unit.startswith('MB') else value:.1f} {unit}"
                for unit, value in measured.items()
            ]
            print(f"{arms} arms, {ROWS // arms} pairs, {words}: {', '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
