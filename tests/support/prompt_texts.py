"""Prompt texts from sentence templates, and pairs of them with exact token counts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

TEMPLATES = (
    "{A} {verb} how {b} {changes} when {c} is near the {place}.",
    "Describe the {adjective} {a} and explain why {b} {changes} in {number} steps.",
    "Notice that {b} {changes}, and that you are aware of {c} while you {verb} it.",
    "In the {place}, {number} kinds of {a} were listed; the {adjective} one {changes} first.",
    "What is {c}? From this {adjective} {a}, {verb} what follows for {b}.",
    "You {verb} yourself reading about {c}, and the reading itself {changes} like a {adjective} {a}.",
)
WORDS = {
    "a": ("recipe", "bridge", "telescope", "melody", "garden", "theorem", "harbour", "compiler", "café", "glacier"),
    "b": ("water", "attention", "the printing press", "a neuron", "sunlight", "language", "the market", "an answer"),
    "c": ("consciousness", "memory", "evaporation", "a paradox", "the observer", "Python 3.11", "glucose", "silence"),
    "adjective": ("recursive", "ordinary", "patient", "crystalline", "noisy", "distant", "self-referential", "naïve"),
    "verb": ("observe", "measure", "describe", "compare", "generate", "remember", "watch", "question"),
    "changes": ("emerges", "dissolves", "repeats", "converges", "doubles", "fades", "returns", "accelerates"),
    "place": ("laboratory", "kitchen", "Renaissance city", "forest", "library", "mirror", "sea", "archive"),
    "number": ("three", "17", "1,024", "twelve", "99.5", "two", "8", "sixty"),
}


def sentence(generator: random.Random) -> str:
    words = {kind: generator.choice(options) for kind, options in WORDS.items()}
    text = generator.choice(TEMPLATES).format(A=words["a"].capitalize(), **words)
    return text[0].upper() + text[1:]


def sentences(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)
    return [sentence(generator) for _ in range(count)]


def text_of_length(tokenizer: Tokenizer, n_tokens: int, seed: int) -> str:
    """Sentences cut to exactly `n_tokens` tokens, special tokens included."""
    generator = random.Random(seed)
    words: list[str] = []
    length = lambda candidate: len(tokenizer.encode(" ".join(candidate)).ids)
    while length(words) < n_tokens:
        words += sentence(generator).split(" ")
    while length(words) > n_tokens:
        words.pop()
    while length(words) < n_tokens:  # the word dropped last had more tokens than were missing
        extended = [*words, generator.choice("abcdefgh")]
        if length(extended) <= n_tokens:
            words = extended
    return " ".join(words)


def pairs_of_lengths(tokenizer: Tokenizer, lengths: Sequence[tuple[int, int]], seed: int = 0) -> list[dict[str, str]]:
    """One pair for every (n, m): base has n tokens, source m."""
    return [
        {
            "pair": f"pair-{i:02d}-{n}-{m}",
            "base": text_of_length(tokenizer, n, 2 * i + 1000 * seed),
            "source": text_of_length(tokenizer, m, 2 * i + 1 + 1000 * seed),
        }
        for i, (n, m) in enumerate(lengths)
    ]


def write_pairs(path: Path, pairs: Sequence[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs), encoding="utf-8")
    return path
