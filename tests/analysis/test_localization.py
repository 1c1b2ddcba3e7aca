"""Localisation as a procedure, on simulated read-outs: what it reports without an effect, and what of a planted one.

`RVSWEEP_STUDIES=2000 pytest -s` prints rates to cite.
"""

from dataclasses import replace

import numpy as np
import pytest
from simulated import allowed, studies
from synthetic_results import apart, crossed

from rvsweep.data.clusters import Clusters
from rvsweep.data.errors import InputError
from rvsweep.stats.localization import BUDGET, NO_HALF, REFINED, Place, Rules, localize, selecting_half
from rvsweep.stats.multiplicity import max_statistic
from rvsweep.stats.resampling import Bootstrap


WHOLE = Place((0, 32), (0, 4), (0, 16))
PLANTED = Place((21, 22), (2, 3), (5, 6))
RULES = Rules(error=0.05, arms=200)
PAIRS = 40


class Readouts:
    """Of N pairs: `effect` SDs in whatever holds all of `planted`, noise that places share by their layers, and more."""

    def __init__(self, seed: int, effect: float, planted: tuple[Place, ...] = (PLANTED,), pairs: int = PAIRS):
        self.seed, self.effect, self.planted, self.pairs = seed, effect, planted, pairs
        self.asked: list[Place] = []

    def __call__(self, places) -> np.ndarray:
        self.asked += places
        return np.column_stack([self.column(place) for place in places])

    def column(self, place: Place) -> np.ndarray:
        of_layers = self.noise("layers", place.layers)
        own = self.noise("own", place)
        held = sum(holds(place, planted) for planted in self.planted)
        return 0.7 * of_layers + 0.7 * own + self.effect * held

    def noise(self, *key) -> np.ndarray:
        digits = [ord(character) for character in repr(key)]
        return np.random.default_rng([self.seed, *digits]).exponential(1, self.pairs) - 1


def holds(place: Place, planted: Place) -> bool:
    parts = zip(vars(place).values(), vars(planted).values())
    return all(outer[0] <= inner[0] and inner[1] <= outer[1] for outer, inner in parts)


def reported(measure: Readouts, rules: Rules = RULES) -> list[Place]:
    found = localize(measure, WHOLE, apart(measure.pairs), rules)
    return [one.place for one in found.reported if one.found]


def test_without_an_effect_hardly_anything_is_reported():
    count = studies(100)
    wrong = np.mean([bool(reported(Readouts(seed, 0))) for seed in range(count)])
    print(f"nothing anywhere: a place reported in {wrong:.3f} of {count} studies")
    assert wrong <= allowed(RULES.error, count)


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_power_and_wrong_places_of_a_planted_effect(effect):
    """Estimates of what was picked are not flattered by that; means over the pairs that picked it are."""
    count = studies(100)
    runs = [localize(Readouts(seed, effect), WHOLE, apart(PAIRS), RULES) for seed in range(count)]
    places = [[one.place for one in run.reported if one.found] for run in runs]
    wrong = np.mean([any(not holds(place, PLANTED) for place in found) for found in places])
    power = np.mean([PLANTED in found for found in places])
    within = np.mean([any(holds(place, PLANTED) for place in found) for found in places])
    picked = [
        (one.mean, estimate.value, estimate.low <= effect <= estimate.high)
        for run in runs
        for one, estimate in zip(run.tried, run.estimates)
        if one.kept and holds(one.place, PLANTED)
    ]
    selecting, estimated, covered = np.mean(picked, axis=0)
    print(
        f"{effect} SD: found {power:.2f}, a place around it {within:.2f}, a wrong one {wrong:.3f} of {count} studies;"
    )
    print(
        f"  mean over the pairs that select {selecting:.2f}, estimate {estimated:.2f}, in its interval {covered:.2f}"
    )
    assert wrong <= allowed(RULES.error, count)
    assert effect < 2 or power > 0.9
    assert effect > 0.5 or selecting > effect + 0.1
    assert estimated == pytest.approx(effect, abs=0.1) and covered > 0.9


def test_two_effects_are_found_and_halves_that_need_each_other_are_told():
    planted = (PLANTED, replace(PLANTED, layers=(3, 4)))
    found = localize(Readouts(1, 3, planted), WHOLE, apart(PAIRS), RULES)
    assert {one.place for one in found.reported if one.found and one.why == REFINED} >= set(planted)
    both = replace(PLANTED, layers=(15, 17))  # the boundary of the first halves lies within
    found = localize(Readouts(1, 3, (both,)), WHOLE, apart(PAIRS), replace(RULES, axes=("layers",)))
    assert [(one.place, one.why) for one in found.reported] == [(WHOLE, NO_HALF)]


def test_p_is_over_all_places_that_are_reported():
    """So above that of each place alone."""
    planted = tuple(replace(PLANTED, layers=(layer, layer + 1)) for layer in (3, 12, 21, 30))
    found = localize(Readouts(1, 0.8, planted), WHOLE, apart(PAIRS), replace(RULES, axes=("layers",)))
    places, others = [one.place for one in found.tried], ~found.selects
    columns = [found.differences[others, places.index(one.place)] for one in found.reported]
    bootstrap = Bootstrap(seed=RULES.seed)
    alone = np.array(
        [max_statistic(column[:, None], apart(others.sum()), bootstrap).p[0] for column in columns]
    )
    joint = np.array([one.p for one in found.reported])
    assert len(joint) == 4 and (1.3 * alone < joint).all()


def test_the_budget_is_kept_and_what_it_left_undone_is_said():
    planted = (PLANTED, replace(PLANTED, layers=(3, 4)))
    measured = {}
    for arms in (3, 7, 10, 11, 200):
        measure = Readouts(1, 3, planted)
        found = localize(measure, WHOLE, apart(PAIRS), replace(RULES, arms=arms))
        assert len(measure.asked) == len(found.tried) <= arms and len(set(measure.asked)) == len(
            measure.asked
        )
        cut = [one for one in found.reported if one.why == BUDGET]
        assert bool(cut) == (arms < 200) == ("budget ended" in found.stopped)
        measured[arms] = measure.asked
    for arms in (3, 7, 10):  # a larger budget goes on with the same places
        assert measured[200][: len(measured[arms])] == measured[arms]
    # Of two bands the stronger is halved first.
    stronger = (replace(PLANTED, layers=(3, 4)), replace(PLANTED, layers=(3, 4)), PLANTED)
    measure = Readouts(1, 3, stronger)
    localize(measure, WHOLE, apart(PAIRS), replace(RULES, arms=5))
    assert [place.layers for place in measure.asked] == [(0, 32), (0, 16), (16, 32), (0, 8), (8, 16)]


def test_small_parts_are_not_pursued():
    class Unequal(Readouts):
        def column(self, place: Place) -> np.ndarray:
            small = holds(place, replace(PLANTED, layers=(3, 4)))
            return super().column(place) + 0.5 * small

    for least, pursued in ((0.3, False), (0.01, True)):
        measure = Unequal(1, 10, pairs=400)
        localize(measure, WHOLE, apart(400), replace(RULES, least=least))
        assert (Place((0, 8), WHOLE.heads, WHOLE.positions) in measure.asked) == pursued


def test_pairs_without_a_value_are_left_out():
    class Gaps(Readouts):
        def column(self, place: Place) -> np.ndarray:
            values = super().column(place)
            values[:: 2 if place.positions == (0, 8) else 40] = np.nan
            return values if place.positions[0] < 8 else np.full(self.pairs, np.nan)

    found = localize(Gaps(1, 4), WHOLE, apart(PAIRS), RULES)
    assert PLANTED in [one.place for one in found.reported if one.found]
    (refused,) = [one for one in found.tried if one.place.positions == (8, 16)]
    assert refused.n == 0 and refused.decision.startswith("not to be tested")


def designs() -> dict[str, Clusters]:
    random = np.random.default_rng(1)
    ring = np.arange(60)
    return {
        "apart": apart(41),
        "ten scenes": Clusters(np.repeat(np.arange(10), 4), np.repeat(np.arange(10), 4)),
        "rings": Clusters(
            ring, ring // 10 * 10 + (ring + 1) % 10
        ),  # each prompt a source here and a base there
        "some reused": Clusters(random.integers(50, size=60), 50 + np.arange(60)),
    }


@pytest.mark.parametrize("design", designs())
def test_no_prompt_is_on_both_sides_of_the_division(design):
    clusters = designs()[design]
    selects = selecting_half(clusters, 3)
    sides = [set(half.source) | set(half.base) for half in (clusters.of(selects), clusters.of(~selects))]
    assert not sides[0] & sides[1]
    assert abs(selects.sum() - len(selects) / 2) <= 5
    assert (selects == selecting_half(clusters, 3)).all()
    assert any((selects != selecting_half(clusters, seed)).any() for seed in range(4, 8))


@pytest.mark.parametrize("clusters", [apart(10), crossed(8, 8)])
def test_too_few_prompts_are_refused_before_anything_is_measured(clusters):
    measure = Readouts(1, 3)
    with pytest.raises(InputError, match="prompts in one half of the pairs.*give more pairs"):
        localize(measure, WHOLE, clusters, RULES)
    assert not measure.asked
