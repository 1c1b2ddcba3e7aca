"""The work that all sides of the benchmark do: arms, lengths and pairs of prompts."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from prompt_texts import pairs_of_lengths  # noqa: E402

WINDOW = 16
WIDE_RANGES = 32


@dataclass(frozen=True)
class Arm:
    kind: str  # base, source, v_proj (persist) or kv_cache (hold_last, append)
    layers: range = range(0)  # patched

    def line(self) -> str:
        """As rvsweep's config has it."""
        if self.kind == "v_proj":
            return f"v_proj layers={self.layers.start} decode=persist"
        if self.kind == "kv_cache":
            return f"kv_cache layers={self.layers.start}:{self.layers.stop} entry=hold_last growth=append"
        return self.kind

    def notebook_line(self) -> str:
        """The notebook's own cache arithmetic where it differs, generate_with_kv_patch_v2."""
        if self.kind != "kv_cache":
            return self.line()
        layers = f"{self.layers.start}:{self.layers.stop}"
        return f"kv_cache layers={layers} entry=refeed growth=compound align=as_is"


@dataclass(frozen=True)
class Work:
    model: Path
    prompt_tokens: int  # of every prompt, special tokens included
    max_new_tokens: int
    arms: tuple[Arm, ...]
    early: int
    late: int

    def pairs(self, count: int) -> list[dict[str, str]]:
        """The first of them are the same for any count."""
        tokenizer = Tokenizer.from_file(str(self.model / "tokenizer.json"))
        return pairs_of_lengths(tokenizer, [(self.prompt_tokens, self.prompt_tokens)] * count)


LENGTHS = {"short": (40, 32), "long": (256, 128), "wide": (40, 32)}  # prompt tokens, new tokens


def make_work(variant: str, model: Path) -> Work:
    n_layers = json.loads((model / "config.json").read_text())["num_hidden_layers"]
    early, late = n_layers // 8, n_layers * 3 // 4
    arms = [Arm("base"), Arm("source"), Arm("v_proj", range(late, late + 1))]
    arms.append(Arm("kv_cache", range(n_layers // 2, n_layers)))
    if variant == "wide":
        arms = [Arm("kv_cache", layers) for layers in islice(bands(n_layers), WIDE_RANGES)]
    return Work(model, *LENGTHS[variant], tuple(arms), early, late)


def bands(n_layers: int):
    """Layer ranges of a quarter, half and eighth of the depth, from every start."""
    widths = dict.fromkeys(max(1, n_layers // part) for part in (4, 2, 8))
    return chain.from_iterable(
        (range(start, start + width) for start in range(n_layers - width + 1)) for width in widths
    )
