"""What lies beside tokenizer.json: `rvsweep tokenize` gives the ids of transformers' AutoTokenizer, or says which token is in the way."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

import make_mistral_tokenizer
from mixed_lines import mixed_lines

FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
NAMED = FAST | {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
DECODER = {"added_tokens_decoder": {"2": {"content": "</s>", "special": True, "normalized": False}}}
EQUAL = {
    "named tokens": (NAMED, {}),
    "asked for BOS and EOS": (NAMED | {"add_bos_token": True, "add_eos_token": True}, {}),
    "asked for neither": (NAMED | {"add_bos_token": False, "add_eos_token": False}, {}),
    "a map that repeats": (FAST, {"special_tokens_map.json": {"eos_token": {"content": "</s>", "lstrip": False}}}),
    "older files beside the newer": (
        NAMED | DECODER,
        {"special_tokens_map.json": {"additional_special_tokens": ["<x>"]}, "added_tokens.json": {"<x>": 32000}},
    ),
}
IN_THE_WAY = {
    "a pad token of its own": (NAMED | {"pad_token": "<x>"}, {}),
    "a named token that is an ordinary one": (NAMED | {"eos_token": "▁the"}, {}),
    "more in a list": (NAMED | {"additional_special_tokens": ["</s>", "<x>"]}, {}),
    "more by name": (NAMED | {"extra_special_tokens": {"image_token": "<x>"}}, {}),
    "only in the map": (NAMED, {"special_tokens_map.json": {"additional_special_tokens": ["<x>"]}}),
}
LINES = ["a<x>b </s> c▁there", *mixed_lines(seed=27, count=100, special=["<s>", "</s>", "<x>"])]


def folder_of(folder: Path, config: dict, more: dict) -> Path:
    shutil.copy(make_mistral_tokenizer.make() / "tokenizer.json", folder)
    for name, content in {"tokenizer_config.json": config, "config.json": {"model_type": "mistral"}, **more}.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def tokenized(binary: Path, folder: Path) -> subprocess.CompletedProcess:
    text = "".join(json.dumps(line) + "\n" for line in LINES)
    command = [str(binary), "tokenize", "--model", str(folder), "--json"]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", EQUAL)
def test_ids_are_those_of_transformers(rvsweep, tmp_path, name):
    folder = folder_of(tmp_path, *EQUAL[name])
    result = tokenized(rvsweep, folder)
    assert result.returncode == 0, result.stderr
    wanted = AutoTokenizer.from_pretrained(folder)(LINES)["input_ids"]
    assert [json.loads(line) for line in result.stdout.splitlines()] == wanted


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_tokens_that_transformers_adds_are_refused(rvsweep, tmp_path, name):
    folder = folder_of(tmp_path, *IN_THE_WAY[name])
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert AutoTokenizer.from_pretrained(folder)(LINES[0])["input_ids"] != plain.encode(LINES[0]).ids
    result = tokenized(rvsweep, folder)
    assert result.returncode == 2 and "is not among the added tokens of tokenizer.json" in result.stderr
