"""The behaviour read-outs of a text, written from their definitions with Python's own means."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from itertools import pairwise

KEYWORDS = """observe observing awareness aware consciousness conscious process processing experience experiencing
notice noticing self itself myself yourself generate generating emerge emerging direct directly immediate
simultaneously""".split()
ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

Families = Mapping[str, Sequence["re.Pattern[str]"]]


def compiled(description: Mapping) -> Families:
    """The families of a families file, by column name."""
    return {
        family["name"]: [re.compile(pattern, re.IGNORECASE) for pattern in family["patterns"]]
        for family in description["families"]
    }


def words(text: str) -> list[str]:
    return re.findall("[0-9a-z'\x80-\U0010ffff]+", text.translate(ASCII_LOWER))


def four_grams(text: str) -> list[tuple[str, ...]]:
    found = words(text)
    return list(zip(found, found[1:], found[2:], found[3:]))


def family_count(text: str, patterns: Sequence[re.Pattern[str]]) -> int:
    """From each place the longest match that begins there, then on from its end."""
    longest: dict[int, int] = {}
    for pattern in patterns:
        for match in pattern.finditer(text):
            longest[match.start()] = max(match.end(), longest.get(match.start(), 0))
    taken: list[tuple[int, int]] = []
    for start in sorted(longest):
        if not taken or start >= taken[-1][1]:
            taken.append((start, longest[start]))
    assert all(first[1] <= second[0] for first, second in pairwise(taken))
    return len(taken)


def scores(text: str, prompt: str, families: Families) -> dict[str, float]:
    all_words, grams, of_prompt = words(text), four_grams(text), set(four_grams(prompt))
    present = [keyword for keyword in KEYWORDS if keyword in text.lower()]
    repeats = sum(gram in grams[:place] for place, gram in enumerate(grams))
    repeated = repeats / len(grams) if grams else math.nan
    return {
        "keyword_count": len(present),
        "keyword_count_new": sum(keyword not in prompt.lower() for keyword in present),
        "keyword_rate": 100 * sum(w in KEYWORDS for w in all_words) / len(all_words) if all_words else math.nan,
        "copied_ngrams": sum(gram in of_prompt for gram in grams) / len(grams) if grams else math.nan,
        "repeated_ngrams": repeated,
        "repetitive": int(repeated >= 0.3),
        **{name: family_count(text, patterns) for name, patterns in families.items()},
    }


def same(one: float | None, other: float) -> bool:
    """Equal but for the last bits; NaN, which JSON has as null, equals NaN."""
    if one is None or math.isnan(one) or math.isnan(other):
        return (one is None or math.isnan(one)) and math.isnan(other)
    return math.isclose(one, other, rel_tol=1e-12)
