"""How well one number of a prompt alone tells two groups apart: the baselines of every difference between them."""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from rvsweep.data.keywords import keyword_count
from rvsweep.data.results import Results
from rvsweep.data.settings import is_notebook


@dataclass(frozen=True)
class Separation:
    """Source prompts of a group against all base prompts; `auroc` by what is measured, NaN without values.

    AUROC: the probability that a prompt of the group has the larger number, ties counting half. 0.5: no
    information; 0 and 1: the groups do not overlap.
    """

    group: str
    n: int  # prompts of the group
    n_base: int
    auroc: dict[str, float]


def group_separations(results: Results) -> list[Separation]:
    """One for all source prompts, then one for each of their groups where these are several."""
    source, base = (np.unique(results.pairs[role]) for role in ("source", "base"))
    names = results.prompts.get("group", np.full(len(results.prompts["id"]), "", dtype=object))
    groups = sorted(set(names[source]) - {""})
    chosen = [("all", source)]
    if len(groups) > 1:
        chosen += [(group, source[names[source] == group]) for group in groups]
    measures = _measures(results)
    found = []
    for group, prompts in chosen:
        scores = {title: auroc(values[prompts], values[base]) for title, values in measures.items()}
        found.append(Separation(group, len(prompts), len(base), scores))
    return found


def auroc(first: np.ndarray, second: np.ndarray) -> float:
    """P(first > second) + P(equal) / 2 over all pairs of finite values; NaN where a side has none."""
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if len(first) == 0 or len(second) == 0:
        return float("nan")
    ranks = scipy.stats.rankdata(np.concatenate([first, second]))[: len(first)]
    return float((ranks.sum() - len(first) * (len(first) + 1) / 2) / (len(first) * len(second)))


def _measures(results: Results) -> dict[str, np.ndarray]:
    """[P] float64 each."""
    nothing = np.full(len(results.prompts["id"]), np.nan)
    found = {"Length in tokens": results.prompts.get("n_tokens", nothing).astype(float)}
    if is_notebook(results):
        counts = [keyword_count(text) for text in results.prompts["text"]]
        found["Notebook keywords in the prompt"] = np.array(counts, float)
    if "logprob" in results.prompts:
        found["Log-probability per token"] = results.prompts["logprob"]
    return found | {"R_V": results.prompts.get("r_v", nothing)}
