"""Standard errors of means over pairs that share prompts: a variance for each side, and one for the pair.

The model is value = mean + source effect + base effect + rest, crossed and unbalanced. Its variances come from
sums of squares set equal to their expectations (Henderson 1953, method 1), so the variance of the mean is
unbiased. An effect may come out below 0, so each side is also left out, and the largest variance counts. Where
every prompt stands in one pair, all of this is SD / sqrt(n).
"""

import numpy as np
import scipy.sparse

from rvsweep.data.clusters import Clusters


def standard_errors(values: np.ndarray, clusters: Clusters) -> tuple[np.ndarray, float]:
    """Of each column mean of finite [n, K], and the degrees of freedom of its t; NaN where these are 0.

    Degrees of freedom: those of the side with fewer prompts, n^2 / (sum of squared pairs per prompt) - 1.
    """
    df = degrees_of_freedom(clusters)
    if df <= 0:
        return np.full(values.shape[1], np.nan), df
    variances = mean_covariances(values, values, clusters).max(axis=0)
    return np.sqrt(np.maximum(variances, 0)), df


def degrees_of_freedom(clusters: Clusters) -> float:
    n = len(clusters.source)
    if not clusters.shared:
        return float(n - 1)
    pairs = (np.unique(side, return_counts=True)[1] for side in (clusters.source, clusters.base))
    return float(min(n**2 / (of_prompt**2).sum() for of_prompt in pairs) - 1)


def mean_covariances(first: np.ndarray, second: np.ndarray, clusters: Clusters) -> np.ndarray:
    """Covariance of the column means of finite [n, K] and [n, K], n > 1, by each of the models, [M, K].

    Models: with both sides, with either, with none; the last alone where no prompt is shared.
    """
    n = len(first)
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    total = (first * second).sum(axis=0)
    if not clusters.shared:
        return total[None] / (n * (n - 1))
    sides = [_Side(clusters.source), _Side(clusters.base)]
    products = [(s.sums @ first) * (s.sums @ second) / s.pairs[:, None] for s in sides]
    return _weights(*sides) @ np.stack([*(p.sum(axis=0) for p in products), total])


class _Side:
    """One side's prompts: `sums` [G, n] adds up their pairs, `pairs` [G] counts them."""

    def __init__(self, numbers: np.ndarray):
        prompts, of_pair, self.pairs = np.unique(numbers, return_inverse=True, return_counts=True)
        n = len(numbers)
        self.sums = scipy.sparse.csr_matrix((np.ones(n), (of_pair, np.arange(n))), (len(prompts), n))


def _weights(source: _Side, base: _Side) -> np.ndarray:
    """[4, 3] by which sums of squares between sources, between bases and in all give the variance of a mean."""
    n = source.sums.shape[1]
    together = (source.sums @ base.sums.T).power(2)  # squared pairs of each source with each base
    a, b = ((side.pairs**2).sum() / n for side in (source, base))
    within_source = (together.sum(axis=1).A1 / source.pairs).sum()
    within_base = (together.sum(axis=0).A1 / base.pairs).sum()
    # Expectations of the three sums in units of the source, base and remaining variance.
    expected = np.array(
        [
            [n - a, within_source - b, len(source.pairs) - 1],
            [within_base - a, n - b, len(base.pairs) - 1],
            [n - a, n - b, n - 1],
        ]
    )
    of_mean = np.array([a, b, 1]) / n
    found = np.zeros((4, 3))
    for model, kept in enumerate(([0, 1, 2], [0, 2], [1, 2], [2])):
        # pinv: a side whose prompts stand in one pair each cannot be told from the rest, and need not be.
        found[model, kept] = of_mean[kept] @ np.linalg.pinv(expected[np.ix_(kept, kept)], rcond=1e-9)
    return found
