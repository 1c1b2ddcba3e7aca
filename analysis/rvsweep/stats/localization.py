"""Where an arm's effect is: its layers, heads and positions are halved, and halves that carry it halved again.

As successive halving (Karnin, Koren & Somekh 2013), but for how many halves go on: those in which the effect is
seen. One half of the pairs decides that, the other alone gives estimates and p values, so that what was
picked as the largest is not flattered by having been picked (Cox 1975).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from rvsweep.data.clusters import Clusters
from rvsweep.data.errors import InputError
from rvsweep.stats.multiplicity import max_statistic
from rvsweep.stats.paired import Estimate, column_means
from rvsweep.stats.resampling import Bootstrap

AXES = ("layers", "heads", "positions")
FEWEST_PROMPTS = 5  # on either side in either half of the pairs
FIRST_ARMS = 3  # the whole arm and its first two halves


@dataclass(frozen=True)
class Place:
    """Half-open ranges that the patch is confined to; None: as the arm says, and not halved."""

    layers: tuple[int, int]
    heads: tuple[int, int] | None = None
    positions: tuple[int, int] | None = None  # counted from the end

    def halves(self, axis: str) -> tuple["Place", ...]:
        """Two, or none of a single layer, head or position."""
        begin, end = getattr(self, axis) or (0, 1)
        if end - begin < 2:
            return ()
        middle = (begin + end + 1) // 2
        return tuple(replace(self, **{axis: part}) for part in ((begin, middle), (middle, end)))


# Differences [N, K] of N pairs: each place's read-out less that of the unpatched recipient.
Measure = Callable[[Sequence[Place]], np.ndarray]


@dataclass(frozen=True)
class Rules:
    """error: probability that some place is reported though nothing is there. arms: that may be measured at all.

    least: share of the whole arm's effect below which a half is not pursued.
    """

    error: float
    arms: int
    axes: tuple[str, ...] = AXES
    least: float = 0.1
    seed: int = 1


@dataclass(frozen=True)
class Tried:
    """A place, its mean and p over the pairs that select, and what became of it. stage 0: the whole arm."""

    stage: int
    axis: str
    place: Place
    within: Place | None
    n: int
    mean: float
    p: float  # adjusted for all places of the stage
    decision: str

    @property
    def kept(self) -> bool:
        return self.decision == KEPT


KEPT = "kept"
REFINED, NO_HALF, BUDGET = "halved to the end", "neither half alone has it", "not halved: the budget ended"


@dataclass(frozen=True)
class Reported:
    """A place at which halving ended (`why`), over the pairs that did not select; p adjusted for all of them."""

    place: Place
    why: str
    p: float
    found: bool


@dataclass(frozen=True)
class Localization:
    """selects: [N] bool, the pairs that select. estimates: of every place of `tried`, over the others."""

    selects: np.ndarray
    tried: list[Tried]
    estimates: list[Estimate]
    reported: list[Reported]
    differences: np.ndarray  # [N, K] of every place of `tried`

    @property
    def stopped(self) -> str:
        cut = sum(one.why == BUDGET for one in self.reported)
        if cut:
            return f"the budget ended: {cut} of {len(self.reported)} places could have been halved further"
        return "all was halved to the end" if self.reported else "the whole arm has no effect that is seen"


def localize(measure: Measure, whole: Place, clusters: Clusters, rules: Rules) -> Localization:
    """Equal for equal differences, however often it is begun anew. Raises InputError for too few prompts."""
    selects = selecting_half(clusters, rules.seed)
    for half in (clusters.of(selects), clusters.of(~selects)):
        check_prompts(half.prompts, half.shared, rules.error)
    tried, ends, differences = _search(measure, whole, clusters, selects, rules)
    bootstrap = Bootstrap(seed=rules.seed, confidence=1 - rules.error)
    others, of_others = differences[~selects], clusters.of(~selects)
    columns = [at for at, one in enumerate(tried) if one.place in ends]
    p = max_statistic(others[:, columns], of_others, bootstrap, rules.error).p
    reported = [
        Reported(tried[at].place, ends[tried[at].place], float(p_of), bool(p_of <= rules.error))
        for at, p_of in zip(columns, p, strict=True)
    ]
    return Localization(selects, tried, column_means(others, of_others, bootstrap), reported, differences)


def selecting_half(clusters: Clusters, seed: int) -> np.ndarray:
    """[N] bool: about half of the pairs, drawn so that no prompt is on both sides of the division."""
    n, numbers = len(clusters.source), int(max(clusters.source.max(), clusters.base.max())) + 1
    joined = scipy.sparse.coo_matrix((np.ones(n), (clusters.source, clusters.base)), (numbers, numbers))
    of_prompt = scipy.sparse.csgraph.connected_components(joined, directed=False)[1]
    _, of_pair, sizes = np.unique(of_prompt[clusters.source], return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(sizes))
    selects, pairs = np.zeros(len(sizes), dtype=bool), [0, 0]
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        half = int(pairs[1] < pairs[0])
        selects[group] = half
        pairs[half] += sizes[group]
    return selects[of_pair]


def check_prompts(prompts: int, shared: bool, error: float) -> None:
    """Raises InputError where a half of the pairs with so many prompts can show nothing."""
    if prompts < FEWEST_PROMPTS or not (shared or Bootstrap().smallest_p(prompts, 1) <= error):
        raise InputError(
            f"{prompts} prompts in one half of the pairs, divided so that no prompt is in both, cannot show an "
            f"effect at an error of {error:g}: give more pairs, or pairs that share fewer prompts"
        )


def _search(
    measure: Measure, whole: Place, clusters: Clusters, selects: np.ndarray, rules: Rules
) -> tuple[list[Tried], dict[Place, str], np.ndarray]:
    """All places tried, those at which halving ended and why, differences of all places tried."""
    stages = _Stages(measure, clusters, selects, rules)
    open_places = stages.kept("whole", [(None, whole)])
    ends: dict[Place, str] = {}
    for axis in rules.axes:
        while True:
            parents = [one for one in open_places if one.place.halves(axis)]
            parents.sort(key=lambda one: -abs(one.mean))
            affordable = parents[: max(0, rules.arms - len(stages.tried)) // 2]
            ends |= {one.place: BUDGET for one in parents[len(affordable) :]}
            open_places = [one for one in open_places if one not in parents]
            if not affordable:
                break
            halves = [(one.place, half) for one in affordable for half in one.place.halves(axis)]
            kept = stages.kept(axis, halves)
            carried = {one.within for one in kept}
            ends |= {one.place: NO_HALF for one in affordable if one.place not in carried}
            open_places += kept
    ends |= {one.place: REFINED for one in open_places}
    return stages.tried, ends, np.column_stack(stages.columns)


class _Stages:
    """Measures places stage by stage and decides about them on the pairs that select."""

    def __init__(self, measure: Measure, clusters: Clusters, selects: np.ndarray, rules: Rules):
        self.measure, self.clusters, self.selects, self.rules = measure, clusters, selects, rules
        self.tried: list[Tried] = []
        self.columns: list[np.ndarray] = []
        self.stage = 0

    def kept(self, axis: str, halves: list[tuple[Place | None, Place]]) -> list[Tried]:
        """Of (parent, half), those that are pursued."""
        differences = self.measure([half for _, half in halves])
        values, of_values = differences[self.selects], self.clusters.of(self.selects)
        p = max_statistic(values, of_values, Bootstrap(seed=self.rules.seed), self.rules.error).p
        found = []
        for (within, half), column, p_of in zip(halves, values.T, p, strict=True):
            present = column[np.isfinite(column)]
            mean = float(present.mean()) if len(present) else float("nan")
            decision = self._decision(mean, float(p_of))
            found.append(Tried(self.stage, axis, half, within, len(present), mean, float(p_of), decision))
        self.tried += found
        self.columns += list(differences.T)
        self.stage += 1
        return [one for one in found if one.kept]

    def _decision(self, mean: float, p: float) -> str:
        if np.isnan(p):
            return "not to be tested: no values, or all alike"
        if p > self.rules.error:
            return "no effect seen"
        whole = self.tried[0].mean if self.tried else mean
        return KEPT if abs(mean) >= self.rules.least * abs(whole) else "too small a part"
