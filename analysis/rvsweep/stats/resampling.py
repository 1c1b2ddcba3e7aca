"""How pairs are resampled: with replacement for intervals (Efron 1979), by sign for tests.

Each call starts from the seed, so results do not depend on call order, and the draws for a number of
pairs are made once and shared by every quantity that has as many.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

EXACT_SIGN_FLIP_PAIRS = 12  # up to here all 2^n sign patterns are enumerated
BLOCK_CELLS = 1 << 17  # resamples x pairs worked on at once: stays in the cache
MOST_CELLS = 4_000_000  # resamples x pairs drawn, as long as LEAST_RESAMPLES are
LEAST_RESAMPLES = 1_000
DRAWS_PER_TEST = 100  # so that the smallest Holm p of a family is 0.01


@dataclass(frozen=True)
class Bootstrap:
    """`resamples` are draws for intervals and, for many pairs, sign flips; fewer where n pairs are many."""

    resamples: int = 10_000
    seed: int = 1
    confidence: float = 0.95

    def draws(self, n: int, tests: int = 1) -> int:
        """For n pairs: never fewer than DRAWS_PER_TEST for each of the `tests` of a family."""
        affordable = min(self.resamples, max(LEAST_RESAMPLES, MOST_CELLS // n))
        return max(affordable, DRAWS_PER_TEST * tests)

    def weight_blocks(self, n: int) -> Iterator[np.ndarray]:
        """Blocks [b, n] of how often each pair is drawn; every row sums to n."""
        return _blocks(_weights, n, self.draws(n), self.seed)

    def t_blocks(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks [b, K] of the t of resampled column means about the mean of [n, K], NaN where a pair has none.

        NaN for a resample without variance.
        """
        present = np.isfinite(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            counts = present.sum(axis=0)
            centred = np.where(present, values - np.where(present, values, 0).sum(axis=0) / counts, 0)
            scaled = centred / np.sqrt((centred**2).sum(axis=0) / counts)
            for weights in self.weight_blocks(len(values)):
                drawn = weights.sum(axis=1)[:, None] if present.all() else weights @ present
                means = weights @ scaled / drawn
                variances = weights @ scaled**2 / drawn - means**2
                yield means / np.sqrt(np.where(variances > 1e-9, variances, np.nan) / (drawn - 1))

    def sign_blocks(self, n: int, tests: int = 1) -> Iterator[np.ndarray]:
        """Blocks [b, n] of signs: all 2^n patterns up to EXACT_SIGN_FLIP_PAIRS pairs, else random ones."""
        if n <= EXACT_SIGN_FLIP_PAIRS:
            patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
            return iter([1.0 - 2.0 * patterns])
        return _blocks(_signs, n, self.draws(n, tests), self.seed)

    def p(self, hits: np.ndarray, n: int, tests: int = 1) -> np.ndarray:
        """Permutation p from how many sign patterns reached the observed value.

        Exact, or (1 + hits) / (1 + draws) where patterns are drawn (Phipson & Smyth 2010).
        """
        return hits / 2**n if n <= EXACT_SIGN_FLIP_PAIRS else (1 + hits) / (1 + self.draws(n, tests))

    def smallest_p(self, n: int, tests: int) -> float:
        """That sign flips of n pairs can give, before any correction for the `tests`."""
        return 2 / 2**n if n <= EXACT_SIGN_FLIP_PAIRS else 1 / (1 + self.draws(n, tests))


def _blocks(draw, n: int, rows: int, seed: int) -> Iterator[np.ndarray]:
    """float64 blocks of what `draw` yields, kept for the next caller where they are few enough."""
    drawn = iter([_kept(draw, n, rows, seed)]) if rows * n <= MOST_CELLS else draw(n, rows, seed)
    step = max(1, BLOCK_CELLS // n)
    for part in drawn:
        for start in range(0, len(part), step):
            yield part[start : start + step].astype(np.float64)


@lru_cache(maxsize=4)
def _kept(draw, n: int, rows: int, seed: int) -> np.ndarray:
    return np.concatenate(list(draw(n, rows, seed)))


def _weights(n: int, rows: int, seed: int) -> Iterator[np.ndarray]:
    kind = np.uint8 if n < 256 else np.uint16
    random = np.random.default_rng(seed)
    for count in _counts(n, rows):
        drawn = random.integers(n, size=(count, n)) + n * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(kind)


def _signs(n: int, rows: int, seed: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    for count in _counts(n, rows):
        yield (1 - 2 * random.integers(2, size=(count, n))).astype(np.int8)


def _counts(n: int, rows: int) -> Iterator[int]:
    step = max(1, BLOCK_CELLS // n)
    for start in range(0, rows, step):
        yield min(step, rows - start)
