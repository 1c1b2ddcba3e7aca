"""Which pairs of a study share prompts. A study samples prompts; pairs that share one are not independent."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Clusters:
    """Numbers [N] of the pairs' source and base prompts; those with one number, on either side, share that prompt."""

    source: np.ndarray
    base: np.ndarray

    def of(self, rows: np.ndarray) -> "Clusters":
        """Those of some pairs: indices or a mask."""
        return Clusters(self.source[rows], self.base[rows])

    @cached_property
    def sources(self) -> int:
        return len(np.unique(self.source))

    @cached_property
    def bases(self) -> int:
        return len(np.unique(self.base))

    @property
    def prompts(self) -> int:
        """Of the side that has fewer: what generalisation to new prompts rests on."""
        return min(self.sources, self.bases)

    @cached_property
    def on_both_sides(self) -> bool:
        """Whether a prompt is source of other pairs than those it is base of."""
        unlike = self.source != self.base
        return bool(np.isin(self.source[unlike], self.base).any() or np.isin(self.base[unlike], self.source).any())

    @cached_property
    def exchanged(self) -> bool:
        """Whether pairs share every prompt across their sides: each is source as often as it is base."""
        return self.on_both_sides and np.array_equal(np.sort(self.source), np.sort(self.base))

    @property
    def shared(self) -> bool:
        return self.prompts < len(self.source) or self.on_both_sides

    @property
    def counted(self) -> str:
        return counted(len(self.source), self.sources, self.bases)


def counted(n: int, sources: int, bases: int) -> str:
    """n pairs, and in brackets of how many source x base prompts where pairs share some: 100 (10 × 10)."""
    return f"{n}" if sources == bases == n else f"{n} ({sources} × {bases})"


def clusters_of(prompts: dict[str, np.ndarray], pairs: dict[str, np.ndarray]) -> Clusters:
    """From /prompts and /pairs. Prompts of equal text are one; so are those of the same /prompts/cluster, where named."""
    texts = prompts["text"]
    names = prompts.get("cluster", np.full(len(texts), "", dtype=object))
    labels = np.array([f"cluster {name}" if name else f"text {text}" for name, text in zip(names, texts)])
    numbers = np.unique(labels, return_inverse=True)[1] if len(labels) else np.empty(0, dtype=int)
    return Clusters(numbers[pairs["source"]], numbers[pairs["base"]])
