"""NFC of `rvsweep tokenize` against the tokenizers package, whose tables are those of Unicode 9."""

from __future__ import annotations

import random
import unicodedata

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from test_tokenizer import check_encoding


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One token a byte, so that the ids are the normalised text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    folder = tmp_path_factory.mktemp("nfc")
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def characters() -> list[str]:
    """Those of the planes that have any but CJK ideographs, which neither combine nor decompose, and some of these."""
    ideographs = (*range(0x3500, 0x4DC0), *range(0x4F00, 0x9F00), *range(0xAC80, 0xD700))
    planes = {*range(1, 0x1F000), *range(0x2F000, 0x30000), *range(0xE0000, 0xE0200)}
    return [chr(c) for c in sorted(planes - {*ideographs, *range(0xD800, 0xE000)})]


def joined(parts: list[str], size: int) -> list[str]:
    return ["".join(parts[i : i + size]) for i in range(0, len(parts), size)]


def test_every_character_alone_and_before_marks(rvsweep, folder):
    # A digit starts anew, so that many characters share a line.
    marks = ("", "\u0301", "\u0345", "\u3099", "\u1161", "\u09be")
    parts = [f"{character}{mark}0" for character in characters() for mark in marks]
    check(rvsweep, folder, joined(parts, 3000))


def test_every_character_as_a_mark(rvsweep, folder):
    parts = [f"{base}{character}\u0323\u0301" for character in characters() for base in ("a", "q\u0301")]
    check(rvsweep, folder, joined(parts, 3000))


def test_decomposed_text_of_every_block(rvsweep, folder):
    text = unicodedata.normalize("NFD", "".join(characters()))
    check(rvsweep, folder, joined([*text], 10_000))


def test_random_runs_of_what_combines(rvsweep, folder):
    rng = random.Random(9)
    combining = [c for c in characters() if unicodedata.combining(c) or unicodedata.decomposition(c)]
    combining += [chr(c) for c in (*range(0x1100, 0x1200), *range(0x61, 0x7B)) for _ in range(5)]
    check(rvsweep, folder, ["".join(rng.choices(combining, k=200)) for _ in range(1000)])


def check(rvsweep, folder, lines) -> None:
    check_encoding(rvsweep, folder, Tokenizer.from_file(str(folder / "tokenizer.json")), lines)
