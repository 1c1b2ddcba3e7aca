"""The generated texts side by side, with the notebook's keywords marked."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from rvsweep.data.arms import Arm
from rvsweep.data.keywords import keyword_count, keyword_spans
from rvsweep.data.results import STATUSES, Results

# C0 controls (but tab and line feed) and DEL, shown as their visible symbols: HTML forbids them.
_VISIBLE = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}


@dataclass(frozen=True)
class TextCard:
    """One row. Counts are None where the file has none."""

    arm: Arm
    sample: int
    status: str
    reason: str
    text: str
    stop_reason: str
    n_generated: int | None
    keywords: int | None
    keyword_rate: float | None

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


def marked(text: str) -> Markup:
    """`text` escaped, keywords in <mark>."""
    pieces, end = [], 0
    for start, stop in keyword_spans(text):
        pieces += [escape(printable(text[end:start])), Markup("<mark>")]
        pieces += [escape(printable(text[start:stop])), Markup("</mark>")]
        end = stop
    return Markup("").join([*pieces, escape(printable(text[end:]))])


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
                cards=[_card(results, row) for row in members],
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


def _card(results: Results, row: int) -> TextCard:
    rows = results.rows
    rate = rows.get("keyword_rate")
    return TextCard(
        arm=results.arms[rows["arm"][row]],
        sample=int(rows["sample"][row]),
        status=STATUSES[rows["status"][row]],
        reason=rows["reason"][row],
        text=_text(rows, "text", row),
        stop_reason=_text(rows, "stop_reason", row),
        n_generated=_count(rows, "n_generated", row),
        keywords=_count(rows, "keyword_count", row),
        keyword_rate=None if rate is None or not np.isfinite(rate[row]) else float(rate[row]),
    )


def _text(columns: dict[str, np.ndarray], name: str, index: int) -> str:
    return columns[name][index] if name in columns else ""


def _count(columns: dict[str, np.ndarray], name: str, index: int) -> int | None:
    values = columns.get(name)
    if values is None or not np.isfinite(values[index]) or values[index] < 0:
        return None
    return int(values[index])
