#!/usr/bin/env python3
"""Makes models/gguf-tokenizers/NAME/tokenizer.json of Qwen2, GPT-2, GPT-NeoX, Falcon, Phi-3 and Gemma, from a PyPI package.

The source of llama-cpp-python (MIT, 77 MB) has llama.cpp's GGUF files of vocabularies and merges; the rest is what the
tokenizer.json of those models has. Only tests use it. Nothing is done when the files are there.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import gguf

from make_llama3_tokenizer import WORDS
from make_mistral_tokenizer import MARK, merges

FOLDER = Path(__file__).resolve().parent.parent / "models" / "gguf-tokenizers"
PACKAGE = "llama-cpp-python==0.3.36"
SOURCE_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
NAMES = ("qwen2", "gpt-2", "gpt-neox", "falcon", "phi-3", "gemma-4")


def make(name: str, folder: Path = FOLDER) -> Path:
    """The folder of one of NAMES, with its tokenizer.json."""
    if not all((folder / each / "tokenizer.json").is_file() for each in NAMES):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            make_all(Path(scratch), folder)
    return folder / name


def make_all(scratch: Path, folder: Path) -> None:
    with tarfile.open(fetch(scratch)) as archive:
        for member in archive:
            name = Path(member.name).name.removeprefix("ggml-vocab-").removesuffix(".gguf")
            if name not in NAMES or not member.name.endswith(f"ggml-vocab-{name}.gguf"):
                continue
            vocabulary, made = scratch / f"{name}.gguf", scratch / f"{name}.json"
            vocabulary.write_bytes(archive.extractfile(member).read())
            made.write_text(json.dumps(tokenizer(name, vocabulary), ensure_ascii=False), encoding="utf-8")
            (folder / name).mkdir(exist_ok=True)
            made.rename(folder / name / "tokenizer.json")


def fetch(scratch: Path) -> Path:
    """Downloads the package's source into `scratch`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch)]
    command += ["--no-binary", "llama-cpp-python", PACKAGE]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{PACKAGE} could not be downloaded: check the network and run this again")
    [source] = scratch.glob("*.tar.gz")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"the source of {PACKAGE} has SHA-256 {digest}, not {SOURCE_SHA256}")
    return source


def tokenizer(name: str, vocabulary: Path) -> dict:
    reader = gguf.GGUFReader(vocabulary)
    facts = {key.removeprefix("tokenizer.ggml."): field for key, field in reader.fields.items()}
    tokens = facts["tokens"].contents()
    kinds = [gguf.TokenType(kind) for kind in facts["token_type"].contents()]
    vocab = {token: i for i, token in enumerate(tokens) if not token.startswith("[PAD")}  # what fills the embedding
    if "merges" in facts:
        pairs = [merge.split(" ") for merge in facts["merges"].contents()]
    else:
        pairs = merges(vocab, dict(zip(tokens, facts["scores"].contents())))
    added = [added_token(name, i, tokens[i], kinds[i]) for i in sorted(vocab.values()) if is_added(kinds[i])]
    model = {"type": "BPE", "vocab": vocab, "merges": pairs} | CHARACTERS.get(name, {})
    return {"version": "1.0", "added_tokens": added, "post_processor": None} | SHAPES[name] | {"model": model}


def is_added(kind: gguf.TokenType) -> bool:
    return kind in (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED, gguf.TokenType.UNKNOWN)


def added_token(name: str, token_id: int, content: str, kind: gguf.TokenType) -> dict:
    """GPT-NeoX' runs of spaces are sought in normalised text; Phi-3's own tokens take the white space behind them."""
    special = kind != gguf.TokenType.USER_DEFINED
    return {
        "id": token_id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": name == "phi-3" and token_id >= 2,
        "normalized": name == "gpt-neox" and not special,
        "special": special,
    }


def byte_level(use_regex: bool) -> dict:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": use_regex}


def split(pattern: dict, behavior: str) -> dict:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}


def sequence(kind: str, *parts: dict) -> dict:
    return {"type": "Sequence", kind: list(parts)}


QWEN_WORDS = WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
GPT2 = {"normalizer": None, "pre_tokenizer": byte_level(True), "decoder": byte_level(True)}
FALCON = sequence(
    "pretokenizers",
    {"type": "Punctuation", "behavior": "Contiguous"},
    byte_level(True),
    {"type": "Digits", "individual_digits": False},
    split({"Regex": "[0-9][0-9][0-9]"}, "Isolated"),
)
MARKED = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
UNMARKED = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
TO_TEXT = (UNMARKED, {"type": "ByteFallback"}, {"type": "Fuse"})
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
SHAPES = {
    "qwen2": GPT2
    | {"normalizer": {"type": "NFC"}}
    | {"pre_tokenizer": sequence("pretokenizers", split({"Regex": QWEN_WORDS}, "Isolated"), byte_level(False))},
    "gpt-2": GPT2,
    "gpt-neox": GPT2 | {"normalizer": {"type": "NFC"}},
    "falcon": GPT2 | {"pre_tokenizer": FALCON},
    "phi-3": {
        "normalizer": sequence("normalizers", {"type": "Prepend", "prepend": MARK}, MARKED),
        "pre_tokenizer": None,
        "decoder": sequence("decoders", *TO_TEXT, STRIP),
    },
    "gemma-4": {
        "normalizer": MARKED,
        "pre_tokenizer": split({"String": " "}, "MergedWithPrevious"),
        "decoder": sequence("decoders", *TO_TEXT),
    },
}
BYTE_FALLBACK = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
CHARACTERS = {"phi-3": BYTE_FALLBACK, "gemma-4": BYTE_FALLBACK}


if __name__ == "__main__":
    for each in NAMES:
        print(f"{make(each)} has the tokenizer of its model")
