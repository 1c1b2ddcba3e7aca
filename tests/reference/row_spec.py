"""A row as data: its settings, prompts, and which donor cells go to which base cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

WORD = re.compile("[A-Za-z0-9'\u0080-\U0010ffff]+")


@dataclass(frozen=True)
class RowSpec:
    """Settings as a config writes them, resolved. `heads` None means all; layers are absolute."""

    kind: str  # base | source | kv_cache | a site of explicit_model.SITES
    layers: tuple[int, ...] = ()
    direction: str = "source_to_base"
    heads: tuple[int, ...] | None = None
    alpha: float = 1.0
    # forward-pass sites
    decode: str = "prefill"  # prefill | persist
    from_step: int = 0
    until_step: int | None = None  # None: to the end
    op: str = "replace"  # replace | add | project_out | scale
    mix: str = "linear"  # linear | spherical: of replace
    scale: float | str = 1.0  # of add; "0.5n": times the norm of the values themselves
    factor: float | None = None  # of scale
    along: str = ""  # in place of a donor: mean_difference:A-B, random, or a file of drawn vectors
    orthogonal_to: str = "none"  # another one, which `along` loses its component along
    window: int = 16
    window_policy: str = "refuse"  # refuse | shrink
    site_positions: str = "window"  # else as `positions`, of all tokens
    # kv_cache
    entry: str = "hold_last"  # hold_last | refeed
    growth: str = "append"  # append | frozen | compound
    align: str = "rerotate"  # as_is | rerotate | matched
    what: str = "kv"  # k | v | kv
    positions: str = "all"
    at_step: int = 0
    words: frozenset[str] = frozenset()  # of positions=keywords:FILE
    pairs: str = "all"  # SOURCE_GROUP~BASE_GROUP: of these pairs alone
    # the row's further patches, of the same direction, entry and pairs
    more: tuple[RowSpec, ...] = ()

    @property
    def patched(self) -> bool:
        return self.kind not in ("base", "source")

    @property
    def patches(self) -> tuple[RowSpec, ...]:
        """In the order in which they are applied."""
        return (replace(self, more=()), *self.more) if self.patched else ()


def joint(patches: Sequence[RowSpec]) -> RowSpec:
    return replace(patches[0], more=tuple(patches[1:]))


@dataclass(frozen=True)
class Refusal:
    reason: str


@dataclass(frozen=True)
class Prompt:
    """`spans` are the characters [from, to) of `text` that each token stands for."""

    text: str
    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...] = ()
    window_end: int | None = None  # windows end before this token; None: after the last
    named: tuple[tuple[str, tuple[int, int]], ...] = ()  # characters [from, to) of `text` by name

    def cut(self, count: int) -> Prompt:
        return replace(self, tokens=self.tokens[:count], spans=self.spans[:count])


@dataclass(frozen=True)
class Pair:
    """`arms`: labels of the patched arms that it is asked for; none: all."""

    id: str
    base: Prompt
    source: Prompt
    groups: tuple[str, str] = ("source", "base")  # of source and of base
    arms: tuple[str, ...] = ()

    def is_asked(self, arm: RowSpec, label: str) -> bool:
        """`label`: of the arm, for a control that of its arm."""
        if not arm.patched:
            return True
        wanted = self.groups if arm.pairs == "all" else arm.pairs.split("~")
        in_groups = all(
            group.startswith(name[:-1]) if name.endswith("*") else group == name
            for name, group in zip(wanted, self.groups)
        )
        return in_groups and (not self.arms or label in self.arms)

    def roles(self, direction: str) -> tuple[Prompt, Prompt]:
        """Recipient and donor."""
        return (self.base, self.source) if direction == "source_to_base" else (self.source, self.base)


def read_prompt(tokenizer, text: str) -> Prompt:
    encoding = tokenizer.encode(text)
    return Prompt(text, tuple(encoding.ids), tuple(encoding.offsets))


@dataclass(frozen=True)
class Selection:
    """Donor token j goes to base cell i for every (j, i); `dropped` ones fell outside base."""

    written: tuple[tuple[int, int], ...]
    dropped: int
    rotated: bool  # whether align moves the donor's keys


def select(positions: str, n_cells: int, m_cells: int, keyword_tokens: Sequence[int] = ()) -> Selection:
    """Everything but `first:k` and `bos` is right-aligned. n_cells, m_cells: cached cells of base and donor."""
    name, *numbers = positions.split(":")
    shift = n_cells - m_cells
    common = min(n_cells, m_cells)
    lowest = 0  # the first base cell that may be written
    if name == "all":
        return Selection(tuple((j, j + shift) for j in range(m_cells)), 0, True)
    if name in ("first", "bos"):
        count = min(1 if name == "bos" else int(numbers[0]), common)
        return Selection(tuple((j, j) for j in range(count)), 0, False)
    if name == "last":
        donors = range(m_cells - min(int(numbers[0]), common), m_cells)
    elif name == "span":
        nearest, furthest = int(numbers[0]), min(int(numbers[1]), common)
        donors = range(m_cells - furthest, m_cells - nearest)  # empty where the span starts beyond both
    elif name == "not_bos":
        donors, lowest = range(1, m_cells), 1
    elif name == "keywords":
        donors = keyword_tokens
    else:
        raise ValueError(positions)
    written = tuple((j, j + shift) for j in donors if j + shift >= lowest)
    return Selection(written, len(donors) - len(written), True)


def select_tokens(positions: str, n: int, m: int, keyword_tokens: Sequence[int] = ()) -> Selection:
    """Of a site, which every token has and no donor makes longer."""
    chosen = select(positions, n, m, keyword_tokens)
    written = tuple((j, i) for j, i in chosen.written if i >= 0)
    return Selection(written, chosen.dropped + len(chosen.written) - len(written), False)


def named_span(positions: str) -> str | None:
    """NAME of span:NAME and span:NAME:last."""
    kind, _, name = positions.removesuffix(":last").partition(":")
    return name if kind == "span" and not name[:1].isdigit() else None


def select_span(positions: str, base: Sequence[int], donor: Sequence[int]) -> Selection:
    """`base`, `donor`: the tokens of the span that may be written or read; the last falls on the last."""
    if positions.endswith(":last"):
        donor = donor[-1:]
    written = tuple(reversed([*zip(reversed(donor), reversed(base))]))
    return Selection(written, len(donor) - len(written), True)


def span_tokens(prompt: Prompt, name: str, count: int) -> list[int]:
    """Of the first `count` tokens, those that share a character with the span."""
    begin, end = dict(prompt.named).get(name, (0, 0))
    return [j for j, (first, last) in enumerate(prompt.spans[:count]) if max(first, begin) < min(last, end)]


def keyword_tokens(prompt: Prompt, words: frozenset[str], n_cached: int) -> list[int]:
    """Cached tokens whose text without white space at its ends lies within a listed word."""
    areas = [match.span() for match in WORD.finditer(prompt.text) if match.group().lower() in words]

    def inside(start: int, end: int) -> bool:
        text = prompt.text[start:end]
        end -= len(text) - len(text.rstrip())
        start += len(text) - len(text.lstrip())
        return start < end and any(first <= start and end <= last for first, last in areas)

    return [j for j, span in enumerate(prompt.spans[:n_cached]) if inside(*span)]
