"""What a prompt bank is checked for, as pure functions of its texts and token counts."""

import itertools
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from rvsweep.bank.prompts import Prompt
from rvsweep.data.keywords import NOTEBOOK_KEYWORDS, keyword_count

SHINGLE = 3  # words
NEAR = 0.5  # Jaccard index from which two prompts are reported
NAMED = 20  # groups named in one sentence
WINDOW = 16  # tokens: the window of the shipped configs; a shorter prompt has no geometry


@dataclass(frozen=True)
class Lengths:
    """Five-number summary of the token counts of one group; quartiles interpolate linearly."""

    group: str
    n: int
    low: float
    q1: float
    median: float
    q3: float
    high: float


@dataclass(frozen=True)
class Leakage:
    """The notebook's keywords in the prompts of one group."""

    group: str
    prompts: int  # with at least one keyword
    mean: float  # keywords per prompt, of 24
    keywords: list[str]  # most frequent first


@dataclass(frozen=True)
class Measured:
    """Lengths under one tokenizer."""

    tokenizer: str
    counts: np.ndarray  # [P] tokens of every prompt
    table: list[Lengths]
    gaps: list[tuple[str, list[str]]]
    short: list[int]  # prompts of fewer than WINDOW tokens


@dataclass(frozen=True)
class Bank:
    """Everything that is known about a bank; prompts are named by their index."""

    prompts: list[Prompt]
    groups: dict[str, list[int]]
    measured: list[Measured]
    leakage: list[Leakage]
    copies: list[list[int]]  # equal texts
    near: list[tuple[float, int, int]]  # Jaccard index and two prompts; of equal texts the first alone

    def some_groups(self, others: list[str]) -> str:
        """The groups that a group has no overlap with, as text."""
        if len(others) == len(self.groups) - 1:
            return "every other group"
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        return ", ".join(others[:NAMED]) + more


def examine(prompts: list[Prompt], counts: dict[str, np.ndarray]) -> Bank:
    """Every check. `counts`: tokens of every prompt [P] by name of the tokenizer."""
    groups = groups_of(prompts)
    texts = [prompt.text for prompt in prompts]
    copies = exact_duplicates(texts)
    later = {index for members in copies for index in members[1:]}
    once = [index for index in range(len(texts)) if index not in later]
    near = near_duplicates([texts[index] for index in once])
    measured = []
    for name, of_prompts in counts.items():
        table = length_table(groups, of_prompts)
        short = np.flatnonzero(of_prompts < WINDOW).tolist()
        measured.append(Measured(name, of_prompts, table, length_gaps(table), short))
    return Bank(
        prompts=prompts,
        groups=groups,
        measured=measured,
        leakage=keyword_leakage(prompts, groups),
        copies=copies,
        near=[(jaccard, once[i], once[j]) for jaccard, i, j in near],
    )


def groups_of(prompts: list[Prompt]) -> dict[str, list[int]]:
    """Indices by group, groups in the order of the bank."""
    groups: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(prompt.group, []).append(index)
    return groups


def length_table(groups: dict[str, list[int]], counts: np.ndarray) -> list[Lengths]:
    """`counts` [P]: tokens of every prompt."""
    return [
        Lengths(group, len(members), *np.quantile(counts[members], (0, 0.25, 0.5, 0.75, 1)).tolist())
        for group, members in groups.items()
    ]


def length_gaps(table: list[Lengths]) -> list[tuple[str, list[str]]]:
    """Groups whose ranges from the first to the third quartile have no point in common.

    Every such pair stands once, under the one of its groups that has more of them.
    """
    pairs = [(a.group, b.group) for a, b in itertools.combinations(table, 2) if a.q3 < b.q1 or b.q3 < a.q1]
    number = Counter(itertools.chain.from_iterable(pairs))
    gaps: dict[str, list[str]] = {}
    for first, second in pairs:
        lead, other = (first, second) if number[first] >= number[second] else (second, first)
        gaps.setdefault(lead, []).append(other)
    return list(gaps.items())


def exact_duplicates(texts: list[str]) -> list[list[int]]:
    """Indices of texts that are equal after folding case and white space."""
    same: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        same.setdefault(" ".join(text.casefold().split()), []).append(index)
    return [members for members in same.values() if len(members) > 1]


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Runs of SHINGLE words, case folded and punctuation left out; a text with fewer words is one run."""
    words = re.findall(r"\w+", text.casefold())
    starts = max(1, len(words) - SHINGLE + 1) if words else 0
    return frozenset(tuple(words[i : i + SHINGLE]) for i in range(starts))


def near_duplicates(texts: list[str], least: float = NEAR) -> list[tuple[float, int, int]]:
    """(Jaccard index of the shingles, i, j) with i < j and an index of at least `least`, largest first.

    Every such pair is found: two sets as alike as that share one of their rarest shingles (prefix filter,
    Chaudhuri, Ganti & Kaushik 2006), so that only prompts with such a shingle in common are compared.
    """
    sets = [shingles(text) for text in texts]
    frequency = Counter(itertools.chain.from_iterable(sets))
    seen_at: dict[tuple[str, ...], list[int]] = defaultdict(list)
    found = []
    for j, own in enumerate(sets):
        rarest = sorted(own, key=lambda shingle: (frequency[shingle], shingle))
        prefix = rarest[: len(own) - int(np.ceil(least * len(own) - 1e-9)) + 1]
        for i in sorted({i for shingle in prefix for i in seen_at[shingle]}):
            shared = len(own & sets[i])
            jaccard = shared / (len(own) + len(sets[i]) - shared)
            if jaccard >= least:
                found.append((jaccard, i, j))
        for shingle in prefix:
            seen_at[shingle].append(j)
    return sorted(found, key=lambda pair: (-pair[0], pair[1:]))


def keyword_leakage(prompts: list[Prompt], groups: dict[str, list[int]]) -> list[Leakage]:
    table = []
    for group, members in groups.items():
        lowered = [prompts[index].text.lower() for index in members]
        counts = [keyword_count(text) for text in lowered]
        found = Counter(keyword for text in lowered for keyword in NOTEBOOK_KEYWORDS if keyword in text)
        table.append(
            Leakage(
                group,
                prompts=sum(count > 0 for count in counts),
                mean=sum(counts) / len(counts),
                keywords=[keyword for keyword, _ in found.most_common()],
            )
        )
    return table
