"""The generated texts side by side, with the notebook's keywords marked and what they share with base and source."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise

import numpy as np
from markupsafe import Markup, escape

from rvsweep.data.arms import Arm
from rvsweep.data.keywords import keyword_count, keyword_spans
from rvsweep.data.results import STATUSES, Results

# C0 controls (but tab and line feed) and DEL, shown as their visible symbols: HTML forbids them.
_VISIBLE = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}


LIKE_RUN = 2  # words in the same order that count as shared: single ones are so by chance


@dataclass(frozen=True)
class Span:
    """Characters `start` to `stop` of a text, as `<tag class=kind>`."""

    start: int
    stop: int
    tag: str = "span"
    kind: str = ""


@dataclass(frozen=True)
class TextCard:
    """One row. Counts are None where the file has none; `like` as like_spans gives it, of patched arms."""

    arm: Arm
    sample: int
    status: str
    reason: str
    text: str
    stop_reason: str
    n_generated: int | None
    keywords: int | None
    keyword_rate: float | None
    like: list[Span]

    def facts(self, with_keywords: bool) -> list[str]:
        """What stands below the arm's name."""
        counted = ((self.keywords if with_keywords else None, "keyword"), (self.n_generated, "token"))
        facts = [f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counted if n is not None]
        if with_keywords and self.keyword_rate is not None:
            facts.insert(1, f"{self.keyword_rate:.1f} per 100 words")
        if self.stop_reason:
            facts.append(f"stop:\u00a0{self.stop_reason}")
        return facts if self.status == "ok" else [self.status, *facts]


@dataclass(frozen=True)
class PairTexts:
    pair: str
    source: str
    base: str
    source_tokens: int | None
    base_tokens: int | None
    cards: list[TextCard]


def marked(text: str, keywords: bool, like: list[Span] = ()) -> Markup:
    """`text` escaped, its `like` in <span>, its keywords in <mark> where asked for."""
    spans = [*like, *(Span(*ends, "mark") for ends in keyword_spans(text) if keywords)]
    ends = sorted({0, len(text)}.union(*((span.start, span.stop) for span in spans)))
    pieces = []
    for start, stop in pairwise(ends):
        around = [span for span in spans if span.start <= start and stop <= span.stop]
        opening = (f"<{s.tag}" + (f' class="{s.kind}"' if s.kind else "") + ">" for s in around)
        closing = (f"</{s.tag}>" for s in reversed(around))
        pieces += [Markup("".join(opening)), escape(printable(text[start:stop])), Markup("".join(closing))]
    return Markup("").join(pieces)


def like_spans(text: str, base: str, source: str) -> list[Span]:
    """Runs of at least LIKE_RUN words that `text` shares, in order, with one of the two and not with the other."""
    words = list(re.finditer(r"\S+", text))
    shared = [_shared([word[0] for word in words], other.split()) for other in (base, source)]
    kinds = [("like-base", "like-source")[of[1]] if sum(of) == 1 else "" for of in zip(*shared, strict=True)]
    runs = [[word for word, _ in run] + [kind] for kind, run in groupby(zip(words, kinds), lambda of: of[1])]
    return [Span(run[0].start(), run[-2].end(), kind=run[-1]) for run in runs if run[-1]]


def _shared(words: list[str], others: list[str]) -> list[bool]:
    """Of each word, whether it lies in a run that an alignment of both finds."""
    found = [False] * len(words)
    for block in SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks():
        if block.size >= LIKE_RUN:
            found[block.a : block.a + block.size] = [True] * block.size
    return found


def printable(text: str) -> str:
    return text.translate(_VISIBLE)


def texts_by_pair(results: Results, limit: int) -> list[PairTexts]:
    """Whole pairs in file order until `limit` texts are reached; at least one pair."""
    rows = results.rows
    order = np.lexsort((rows["sample"], rows["arm"], rows["pair"]))
    first = np.searchsorted(rows["pair"][order], np.arange(len(results.pairs["id"]) + 1))
    shown: list[PairTexts] = []
    count = 0
    for pair, label in enumerate(results.pairs["id"]):
        members = order[first[pair] : first[pair + 1]]
        if shown and count + len(members) > limit:
            break
        count += len(members)
        source, base = results.pairs["source"][pair], results.pairs["base"][pair]
        shown.append(
            PairTexts(
                pair=label,
                source=results.prompts["text"][source],
                base=results.prompts["text"][base],
                source_tokens=_count(results.prompts, "n_tokens", source),
                base_tokens=_count(results.prompts, "n_tokens", base),
                cards=[_card(results, row, _unpatched(results, members, row)) for row in members],
            )
        )
    return shown


def recount(results: Results) -> tuple[int, int] | None:
    """(rows whose stored keyword_count equals a fresh count of the stored text, rows compared)."""
    if "keyword_count" not in results.rows or "text" not in results.rows:
        return None
    stored = results.rows["keyword_count"]
    compared = np.flatnonzero(np.isfinite(stored))
    agree = sum(keyword_count(results.rows["text"][row]) == stored[row] for row in compared)
    return agree, len(compared)


def _unpatched(results: Results, members: np.ndarray, row: int) -> list[str]:
    """The texts of base and source beside `row`, of its sample; empty where there is none."""
    rows = results.rows
    beside = members[rows["sample"][members] == rows["sample"][row]]
    kinds = {results.arms[rows["arm"][one]].kind: one for one in beside}
    return [_text(rows, "text", kinds[kind]) if kind in kinds else "" for kind in ("base", "source")]


def _card(results: Results, row: int, unpatched: list[str]) -> TextCard:
    rows = results.rows
    rate = rows.get("keyword_rate")
    arm, text = results.arms[rows["arm"][row]], _text(rows, "text", row)
    return TextCard(
        arm=arm,
        sample=int(rows["sample"][row]),
        status=STATUSES[rows["status"][row]],
        reason=rows["reason"][row],
        text=text,
        stop_reason=_text(rows, "stop_reason", row),
        n_generated=_count(rows, "n_generated", row),
        keywords=_count(rows, "keyword_count", row),
        keyword_rate=None if rate is None or not np.isfinite(rate[row]) else float(rate[row]),
        like=like_spans(text, *unpatched) if arm.patched else [],
    )


def _text(columns: dict[str, np.ndarray], name: str, index: int) -> str:
    return columns[name][index] if name in columns else ""


def _count(columns: dict[str, np.ndarray], name: str, index: int) -> int | None:
    values = columns.get(name)
    if values is None or not np.isfinite(values[index]) or values[index] < 0:
        return None
    return int(values[index])
