"""One sweep on a tiny model that several test files run, interrupt, resume and damage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from processes import call, differing, outside_run, segments
from prompt_texts import pairs_of_lengths, text_of_length, write_pairs
from rvsweep_cli import Results, read_results, write_config

ARMS = [
    "base",
    "source",
    "v_proj layers=3 decode=persist",
    "preset:notebook_c_v2 layers=2:5",
    "kv_cache layers=2:5 direction=base_to_source",
    "kv_cache layers=0:5",
]
SAMPLES = 2
MAX_NEW_TOKENS = 40
LENGTHS = [(20, 30), (33, 40), (17, 60), (25, 25), (61, 18), (80, 47)] * 2
TOO_LONG = 1100  # the model has 1,024 positions


@dataclass
class Sweep:
    """A job on the disk; `run` and its kin take further words of the command line."""

    binary: Path
    config: Path
    tokenizer: Tokenizer
    pairs: list[dict[str, str]]

    def words(self, out: Path, *more: str) -> list[str | Path]:
        settings = [
            "generation.temperature=0.9",
            "generation.top_p=0.95",
            f"generation.samples={SAMPLES}",
            "run.threads=1",
            "sweep.bundle_rows=8",
            "sweep.seed=7",
        ]
        sets = [word for setting in settings for word in ("--set", setting)]
        where = ["--out", out, "--device", "cpu", "--dtype", "float32"]
        return [self.binary, "run", "--config", self.config, *where, *sets, *more]

    def run(self, out: Path, *more: str, ranks: int = 0, expect: int = 0):
        result = call(self.words(out, *more), ranks)
        assert result.returncode == expect, f"exit {result.returncode}, not {expect}\n{result.stderr}"
        return result

    def call(self, command: str, *words: str | Path, expect: int = 0):
        result = call([self.binary, command, *words])
        assert result.returncode == expect, f"exit {result.returncode}, not {expect}\n{result.stdout}{result.stderr}"
        return result

    def status(self, out: Path) -> dict:
        return json.loads(self.call("status", out, "--json").stdout)


@dataclass
class Finished:
    out: Path
    content: dict[str, object]
    results: Results

    @property
    def n_bundles(self) -> int:
        return len(segments(self.out))


def make_sweep(binary: Path, model: Path, folder: Path) -> Sweep:
    """Writes prompts and config into `folder`."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    pairs = with_odd_prompts(pairs_of_lengths(tokenizer, LENGTHS), tokenizer)
    prompts = write_pairs(folder / "pairs.jsonl", pairs)
    config = write_config(folder / "job.cfg", model, prompts, ARMS, 1, 3, MAX_NEW_TOKENS, reencode=True)
    return Sweep(binary, config, tokenizer, pairs)


def finish(sweep: Sweep, out: Path) -> Finished:
    """The sweep in one go, without mpirun."""
    sweep.run(out)
    return Finished(out, outside_run(out / "results.h5"), read_results(out / "results.h5"))


def with_odd_prompts(pairs: list[dict[str, str]], tokenizer: Tokenizer) -> list[dict[str, str]]:
    """Pairs with rows that are refused: an empty prompt, too long ones, prompts shorter than the window."""
    long_text = text_of_length(tokenizer, TOO_LONG, seed=91)
    return pairs + [
        {"pair": "empty base", "source": pairs[0]["source"], "base": ""},
        {"pair": "long source", "source": long_text, "base": pairs[1]["base"]},
        {"pair": "short", "source": text_of_length(tokenizer, 9, seed=92), "base": pairs[2]["base"]},
    ]


def assert_same_results(out: Path, finished: Finished) -> None:
    assert differing(outside_run(out / "results.h5"), finished.content) == []


def assert_partly_done(out: Path, finished: Finished) -> None:
    assert 0 < len(segments(out)) < finished.n_bundles
    assert not (out / "results.h5").exists()
