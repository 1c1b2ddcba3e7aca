"""Standard errors of means over pairs that share prompts: a variance for each side, and one for the pair.

The model is value = mean + source effect + base effect + rest, crossed and unbalanced; where a prompt is source of
one pair and base of another, its two effects have a covariance. These components come from sums of squares and
products set equal to their expectations (Henderson 1953, method 1), so the variance of the mean is unbiased. An
effect may come out below 0, so the covariance and each side are also left out, and the largest variance counts.
Where every prompt stands in one pair, all of this is SD / sqrt(n).
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

    Models: with both sides, with either, with none; the last alone where no prompt is shared. Where prompts stand on
    both sides, first that of both with their covariance.
    """
    n = len(first)
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    if not clusters.shared:
        return (first * second).sum(axis=0)[None] / (n * (n - 1))
    prompts = _Prompts(clusters)
    return prompts.weights(clusters.on_both_sides) @ prompts.products(first, second)


# Components of a variance, and what is summed for them: the squares between sources and between bases, the products of
# each prompt's pairs as a source with those as a base, and the squares of all pairs.
SOURCE, BASE, BOTH, REST = range(4)


class _Prompts:
    """`sources`, `bases` [G, n] add up the pairs of each prompt on a side, `of_source`, `of_base` [G] count them."""

    def __init__(self, clusters: Clusters):
        n = len(clusters.source)
        prompts, numbers = np.unique(np.concatenate([clusters.source, clusters.base]), return_inverse=True)
        self.sources, self.bases = (
            scipy.sparse.csr_matrix((np.ones(n), (of_pair, np.arange(n))), (len(prompts), n))
            for of_pair in (numbers[:n], numbers[n:])
        )
        self.of_source, self.of_base = (side.sum(axis=1).A1 for side in (self.sources, self.bases))

    def products(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """[4, K] of centred [n, K]."""
        (a, b), (c, d) = ((self.sources @ x, self.bases @ x) for x in (first, second))
        between = ((x * y * _inverse(count)[:, None]) for x, y, count in ((a, c, self.of_source), (b, d, self.of_base)))
        sums = (*between, (a * d + b * c) / 2, first * second)
        return np.stack([x.sum(axis=0) for x in sums])

    def weights(self, on_both_sides: bool) -> np.ndarray:
        """[M, 4] by which the products give the variance of a mean: each model sees its own components alone."""
        n = self.sources.shape[1]
        expected, of_mean = self._expected()
        models = [[SOURCE, BASE, REST], [SOURCE, REST], [BASE, REST], [REST]]
        models = [[SOURCE, BASE, BOTH, REST]] * on_both_sides + models
        found = np.zeros((len(models), 4))
        for model, kept in enumerate(models):
            # pinv: a side whose prompts stand in one pair each cannot be told from the rest, and need not be.
            found[model, kept] = of_mean[kept] / n**2 @ np.linalg.pinv(expected[np.ix_(kept, kept)], rcond=1e-9)
        return found

    def _expected(self) -> tuple[np.ndarray, np.ndarray]:
        """[4, 4]: expectation of each product in units of each component; [4]: variance of the sum of all pairs.

        With V a component's covariance of the pairs and A a product's quadratic form, both [n, n], and M = I - 11'/n:
        tr(MAMV) = tr(AV) - 2/n 1'AV1 + 1'A1 1'V1 / n^2.
        """
        s, b, n = self.of_source, self.of_base, self.sources.shape[1]
        together = (self.sources @ self.bases.T).tocsr()  # [G, G] pairs of each source with each base
        squared, own = together.power(2), together.diagonal()
        between_sources = [n, _inverse(s) @ squared.sum(axis=1).A1, 2 * own.sum(), (s > 0).sum()]
        between_bases = [_inverse(b) @ squared.sum(axis=0).A1, n, 2 * own.sum(), (b > 0).sum()]
        across = [s @ own, b @ own, together.multiply(together.T).sum() + s @ b, own.sum()]
        traces = np.array([between_sources, between_bases, across, [n, n, 2 * own.sum(), n]])
        both = self.sources.T @ b + self.bases.T @ s
        v = np.stack([self.sources.T @ s, self.bases.T @ b, both, np.ones(n)])  # V 1
        a = np.stack([np.ones(n), np.ones(n), both / 2, np.ones(n)])  # A 1
        of_sum = v.sum(axis=1)
        return traces - 2 / n * a @ v.T + np.outer(a.sum(axis=1), of_sum) / n**2, of_sum


def _inverse(counts: np.ndarray) -> np.ndarray:
    """1 / counts, 0 where there is none."""
    return np.divide(1, counts, out=np.zeros(len(counts)), where=counts > 0)
