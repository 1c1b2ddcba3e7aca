"""Localisation of indirect objects on the demo model beside the full grid; minutes, so only where RVSWEEP_STUDIES asks for figures.

`RVSWEEP_STUDIES=1000 pytest -s` prints those of jobs/known_answers.md.
"""

import json
import os

import numpy as np
import pytest
from scripts import ROOT, run_script
from simulated import allowed, studies

import rvsweep as package
from rvsweep.data.outcomes import all_outcomes
from rvsweep.data.results import Results
from rvsweep.stats.localization import Place, Rules, localize
from rvsweep.stats.outcome_table import differences_of

pytestmark = pytest.mark.skipif("RVSWEEP_STUDIES" not in os.environ, reason="RVSWEEP_STUDIES asks for it")
LAYERS = 30
JOB = {
    "study.primary": "logit_diff", "model.window": 4, "generation.max_new_tokens": 1, "generation.temperature": 0,
    "prompts.pairing": "listed", "readouts.spectra_prompt": False, "readouts.spectra_generated": False,
    "readouts.keywords": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def prompts(demo_model, tmp_path_factory):
    """Every fifth pair: four or five of each scene."""
    path = tmp_path_factory.mktemp("prompts") / "ioi.jsonl"
    path.write_text("".join((ROOT / "jobs/prompts/ioi.jsonl").read_text().splitlines(keepends=True)[::5]))
    return path


def grid(prompts, demo_model, out, arms) -> Results:
    return package.sweep(demo_model, prompts, ["base", "source", *arms], settings=JOB).run(out).results


def bands() -> list[Place]:
    """Every band that halving can come to."""
    found = [Place((0, LAYERS))]
    for place in found:
        found += place.halves("layers")
    return found


def differences(results: Results) -> dict[str, np.ndarray]:
    """By the arm's setting of layers, heads and positions: [N] of logit_diff."""
    (outcome,) = [one for one in all_outcomes(results) if one.name == "logit_diff"]
    columns = differences_of(results, outcome)
    key = lambda arm: tuple(arm.settings[name] for name in ("layers", "heads", "positions"))
    return {key(arm): columns[:, arm.index] for arm in results.arms if arm.patched}


@pytest.fixture(scope="module")
def by_layers(prompts, demo_model, tmp_path_factory) -> Results:
    texts = [f"kv_cache layers={begin}:{end}" for begin, end in (place.layers for place in bands())]
    return grid(prompts, demo_model, tmp_path_factory.mktemp("grid") / "out", texts)


def test_it_finds_what_the_grid_shows(by_layers, prompts, demo_model, tmp_path):
    words = ["--config", ROOT / "configs/smollm2-135m-instruct.cfg", "--config", ROOT / "jobs/ioi.cfg"]
    words += ["--set", f"prompts.file={prompts}", "--set", f"model.path={demo_model}"]
    words += ["--arm", "kv_cache layers=0%:100%", "--rows", 4000, "--out", tmp_path / "out"]
    done = run_script("localize", *words)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    record = json.loads((tmp_path / "out/localize.json").read_text())
    estimating = np.isin(by_layers.pairs["id"], record["pairs"]["estimate"])
    whole = record["tried"][0]["estimate"]["value"]

    def shares(found: dict) -> dict:
        return {key: float(values[estimating].mean() / whole) for key, values in found.items()}

    layers = shares(differences(by_layers))
    single = {key: share for key, share in layers.items() if ":" not in key[0]}
    (largest,) = [int(key[0]) for key, share in single.items() if share == max(single.values())]
    print(
        "single layers of at least 5 %:",
        {key[0]: round(share, 2) for key, share in single.items() if share >= 0.05},
    )
    tried = {
        tuple(one["layers"]): one["estimate"]["value"] / whole
        for one in record["tried"]
        if one["axis"] == "layers"
    }
    for (begin, end), share in tried.items():
        text = f"{begin}:{end}" if end - begin > 1 else str(begin)
        assert share == pytest.approx(layers[text, "all", "all"], abs=1e-3)
    ends = [one for one in record["tried"] if one["end"] and one["end"]["found"]]
    assert {tuple(one["layers"]) for one in ends} == {(largest, largest + 1)}

    arms = [f"kv_cache layers={largest} heads={head} positions=each:17" for head in range(3)]
    cells = shares(differences(grid(prompts, demo_model, tmp_path / "cells", arms)))
    print(
        "cells of that layer of at least 5 %:",
        {key: round(share, 2) for key, share in cells.items() if share >= 0.05},
    )
    count = len(by_layers.pairs["id"])
    print(f"rows {record['rows']['used']}; every layer, head and position {(LAYERS * 3 * 17 + 2) * count}")
    best = max(cells, key=cells.get)
    begin = int(best[2].split(":")[1])
    found = [(one["heads"], one["positions"]) for one in ends]
    assert any(h[0] <= int(best[1]) < h[1] and p[0] <= begin < p[1] for h, p in found)


def test_without_an_effect_hardly_anything_is_reported(by_layers):
    """Real differences of every band, their signs turned by the scene: what is left of an effect is chance."""
    of_place = differences(by_layers)
    of_band = {
        place: of_place[str(begin) if end == begin + 1 else f"{begin}:{end}", "all", "all"]
        for place, (begin, end) in ((place, place.layers) for place in bands())
    }
    count, wrong = studies(100), 0
    for seed in range(count):
        random = np.random.default_rng(seed)
        scenes = np.unique(by_layers.clusters.source, return_inverse=True)[1]
        signs = random.choice([-1, 1], scenes.max() + 1)[scenes]
        measure = lambda places: np.column_stack([signs * of_band[place] for place in places])
        found = localize(
            measure, Place((0, LAYERS)), by_layers.clusters, Rules(0.05, 200, ("layers",), seed=seed)
        )
        wrong += any(one.found for one in found.reported)
    print(f"signs turned: a place reported in {wrong / count:.3f} of {count} studies")
    assert wrong / count <= allowed(0.05, count)
