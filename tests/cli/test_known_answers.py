"""The prompts of jobs with known answers: what their datasheet claims, under the demo model's tokenizer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tokenizers import Tokenizer

from shipped_jobs import ROOT

PROMPTS = ROOT / "jobs" / "prompts"
PAIRS = {"ioi": 220, "facts": 220, "copy": 200}
SIDES = ("source", "base")


@pytest.fixture(scope="module")
def tokenizer(demo_model) -> Tokenizer:
    return Tokenizer.from_file(str(demo_model / "tokenizer.json"))


def lines_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (PROMPTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_files_are_what_the_script_writes(tmp_path):
    subprocess.run([sys.executable, PROMPTS / "make_known_answers.py", tmp_path], check=True)
    for name in PAIRS:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (PROMPTS / f"{name}.jsonl").read_bytes(), name


@pytest.mark.parametrize("name", PAIRS)
def test_prompts_differ_token_by_token_and_answers_by_their_first(name, tokenizer):
    lines, ids = lines_of(name), lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    assert len(lines) == PAIRS[name] == len({line["pair"] for line in lines})
    assert len({(line["source"], line["base"]) for line in lines}) == len(lines)
    for line in lines:
        assert len(ids(line["source"])) == len(ids(line["base"])), line
        tokens = [ids(line[side] + line["answer"][side])[len(ids(line[side]))] for side in SIDES]
        assert tokens[0] != tokens[1], line
        for place, of_side in line["spans"].items():
            tokens = {side: len(ids(" " + line[side][slice(*of_side[side])])) for side in SIDES}
            assert tokens == dict.fromkeys(SIDES, 1), (place, line)


def test_the_answer_is_the_name_that_is_not_repeated():
    for line in lines_of("ioi"):
        words = {
            place: {side: line[side][slice(*span[side])] for side in SIDES} for place, span in line["spans"].items()
        }
        assert words["giver"] == words["repeated"]
        assert line["answer"] == {side: " " + words["receiver"][side] for side in SIDES}
        assert (words["receiver"]["source"], words["giver"]["source"]) == (
            words["giver"]["base"],
            words["receiver"]["base"],
        )


def test_the_answer_is_the_word_that_followed_the_cue():
    for line in lines_of("copy"):
        for side in SIDES:
            words = line[side].split()
            assert line["answer"][side] == " " + words[words.index(words[-1]) + 1]
            assert words.count(words[-1]) == 2
        assert sum(a != b for a, b in zip(line["source"].split(), line["base"].split())) == 1


def test_prompts_of_facts_differ_by_their_subject():
    for line in lines_of("facts"):
        masked = [line[side].replace(line[side][slice(*line["spans"]["subject"][side])], "X") for side in SIDES]
        assert masked[0] == masked[1] and masked[0].count("X") == 1
