"""Random combinations of settings, many unlike arms to a sweep: every row of rvsweep beside the explicit reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import geometry
import random_arms
import readouts
from controls import LATER, OF_KV_CACHE, SEVERAL
from explicit_model import SITES
from family_spec import read_family_spec
from parity_study import load
from random_study import (
    JOBS,
    SIZES,
    RandomStudy,
    job_of,
    lens_layers,
    near_ties,
    random_readouts,
    run_written,
    seed_of,
    sides,
    write_random_job,
)
from reference_run import Trajectory
from row_spec import named_span

FEATURES = random_arms.ALL


@pytest.fixture(scope="module", params=JOBS, ids=lambda job: f"{job[0]}-{job[1]}")
def study(request, rvsweep, tmp_path_factory) -> RandomStudy:
    name, seed = request.param
    get = request.getfixturevalue
    loaded = load(get("demo_model") if name == "demo" else get("tiny_model")(name))
    folder = tmp_path_factory.mktemp("random") / "study"
    with torch.no_grad():
        written = write_random_job(folder, loaded, name, seed, FEATURES)
        return run_written(rvsweep, folder / "out", loaded, written)


def test_the_same_rows_are_refused(study):
    for row in study.rows:
        expected = "ok" if isinstance(row.reference, Trajectory) else "refused"
        reasons = study.results.rows["reason"][row.index], getattr(row.reference, "reason", "runs")
        assert row.status == expected, f"{row.name}; rvsweep: {reasons[0]!r}; the reference: {reasons[1]!r}"
        assert row.status == "ok" or study.results.rows["reason"][row.index], row.name
    assert len(study.ran) > len(study.rows) / 2


def test_rows_are_those_that_are_asked_for(study):
    arms, pairs = (list(getattr(study.results, table)[name]) for table, name in (("arms", "label"), ("pairs", "id")))
    planned = {(row.label, pair.id) for row in study.job.rows for pair in study.study.pairs if pair.is_asked(row.arm, row.of)}
    rows = study.results.rows
    assert len(rows["arm"]) == len(planned)
    assert {(arms[arm], pairs[pair]) for arm, pair in zip(rows["arm"], rows["pair"])} == planned


def test_tokens_are_the_references(study, parity_notes):
    steps, ties = 0, 0
    for row in study.ran:
        ties += near_ties(row)
        steps += len(row.tokens)
        assert study.results.rows["stop_reason"][row.index] == row.reference.stop_reason, row.name
    parity_notes.append(
        f"{study.loaded.folder.name}, {len(study.job.rows)} random arms and controls: {len(study.ran)} rows, "
        f"{len(study.rows) - len(study.ran)} refused, {steps} tokens, {ties} near ties"
    )
    assert ties <= 0.01 * steps


def test_the_same_cells_were_written(study):
    for row in study.ran:
        for name in ("cells_changed", "cells_dropped", "future_keys"):
            expected = getattr(row.reference.proof, name)
            assert study.results.rows[name][row.index] == expected, f"{row.name}: {name}, the reference's: {expected}"


def test_change_norm(study):
    """To 1e-4, and to rounding of the written values where these are what was there before."""
    for row in study.ran:
        proof, actual = row.reference.proof, study.results.rows["change_norm"][row.index]
        floor = 1e-5 * proof.written_norm
        np.testing.assert_allclose(actual, proof.change_norm, rtol=1e-4, atol=floor, err_msg=row.name)


@pytest.mark.parametrize("window", ["prompt", "generated"])
def test_spectra(study, window):
    """To a thousandth, down to singular values that float32 activations leave undetermined."""
    for row in study.ran:
        rows = row.reference.v_prompt if window == "prompt" else row.reference.v_fed
        expected = geometry.window_spectra([v.numpy() for v in rows], study.job.window)
        actual = study.results.rows[f"spectra_{window}"][row.index]
        floor = 1e-4 * np.nan_to_num(expected).max()
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=floor, err_msg=row.name)
        if window == "generated":
            assert study.results.rows["n_generated_v"][row.index] == len(rows[0]), row.name


def expected_pr(rows: np.ndarray, window: int) -> list[float]:
    """Raw, centred, corrected of the last `window` rows [T, width]; NaN where there are fewer."""
    if len(rows) < window:
        return [np.nan] * 3
    last = rows[-window:].astype(np.float64)
    raw = geometry.metrics(np.linalg.svd(last, compute_uv=False))["pr"]
    corrected = geometry.corrected_pr(last) if window >= 4 else np.nan
    return [float(raw), geometry.centred_pr(last), corrected]


def test_spectra_of_sites(study):
    """To a thousandth, as test_spectra; PR, whose centred forms lose digits, to a hundredth at two layers."""
    early, late = study.loaded.early_layer, study.loaded.late_layer
    for row in study.ran:
        for site in study.readouts.sites:
            rows = [x.numpy() for x in row.reference.sites[site]]
            expected = geometry.window_spectra(rows, study.job.window)
            column = lambda name: study.results.rows[f"{name}_prompt_{site}"][row.index]
            floor = 1e-4 * np.nan_to_num(expected).max()
            name = f"{row.name}: {site}"
            np.testing.assert_allclose(column("spectra"), expected, rtol=1e-3, atol=floor, err_msg=name)
            np.testing.assert_allclose(column("r_v"), geometry.r_v(expected, early, late), rtol=2e-3, err_msg=name)
            of_windows = column("window_pr")
            for place, window in enumerate(study.readouts.windows):
                for layer in (early, late):
                    pr = expected_pr(rows[layer], window)
                    np.testing.assert_allclose(of_windows[place, layer], pr, rtol=1e-2, err_msg=f"{name} {window}")


def test_spectra_of_sites_of_prompts(study):
    for pair in study.study.pairs:
        for side in ("base", "source"):
            index = study.results.prompt(pair.id, side)
            rows = study.unpatched(pair, side).sites
            for site in study.readouts.sites:
                expected = geometry.window_spectra([x.numpy() for x in rows[site]], study.job.window)
                actual = study.results.prompts[f"spectra_{site}"][index]
                floor = 1e-4 * np.nan_to_num(expected).max()
                np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=floor, err_msg=f"{pair.id} {side} {site}")


def test_attention(study):
    layers = list(study.readouts.attention)
    for row in study.ran:
        expected = readouts.attention(row.reference, study.model.n_kv_heads)
        for name, values in expected.items():
            actual = study.results.rows[f"attention_{name}"][row.index]
            np.testing.assert_allclose(actual[layers], values[layers], atol=1e-4, err_msg=f"{row.name}: {name}")
            assert np.isnan(np.delete(actual, layers, axis=0)).all()


def test_state_distance(study):
    prompts = {
        getattr(pair, side).tokens: study.unpatched(pair, side).first_residuals
        for pair, side in itertools.product(study.study.pairs, ("base", "source"))
    }
    for layer in range(study.loaded.n_layers):
        actual = study.results.rows["state_distance"][:, layer]
        if layer not in study.readouts.distance:
            assert np.isnan(actual).all()
            continue
        states = {tokens: streams[layer].double().numpy() for tokens, streams in prompts.items()}
        spacing = [readouts.nearest(state, states, tokens) for tokens, state in states.items()]
        unit = sorted(spacing)[(len(spacing) - 1) // 2]
        for row in study.ran:
            recipient, donor = sides(row)
            own = getattr(row.pair, donor if row.made.row.kind == "source" else recipient).tokens
            state = row.reference.first_residuals[layer].double().numpy()
            expected = readouts.nearest(state, states, own) / unit
            np.testing.assert_allclose(actual[row.index], expected, rtol=1e-3, atol=1e-3, err_msg=f"{row.name}: {layer}")


def test_malformed(study):
    """The tokens' bytes, but for those of a last character that the row's end cut."""
    found = study.results.rows["malformed"]
    for row in study.ran:
        text = study.loaded.tokenizer.decode(row.tokens, skip_special_tokens=True)
        if row.reference.stop_reason == "length":
            text = text.rstrip("\N{REPLACEMENT CHARACTER}")
        assert found[row.index] == ("\N{REPLACEMENT CHARACTER}" in text), row.name


def assert_columns(study: RandomStudy, row, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        actual = study.results.rows[name][row.index]
        np.testing.assert_allclose(actual, value, rtol=1e-3, atol=1e-3, err_msg=f"{row.name}: {name}")


def test_first_token(study):
    if "first_token" in FEATURES.readouts:
        for row in study.ran:
            assert_columns(study, row, study.first_readouts(row))


def test_answers(study):
    if "first_token" not in FEATURES.readouts:
        return
    for row in study.ran:
        rows, logits, tokens = study.results.rows, row.reference.steps[0], study.answer_tokens(row.pair)
        for name, value in readouts.answer_readouts(logits, **tokens).items():
            actual = rows[name][row.index]
            if name != "logit_diff":
                actual, value = np.log([actual, value])
            np.testing.assert_allclose(actual, value, atol=1e-3, err_msg=f"{row.name}: {name}")
        for side, ids in tokens.items():
            low, high = readouts.rank_bounds(logits, ids)
            assert low <= rows[f"answer_rank_{side}"][row.index] <= high, row.name


def test_answers_in_texts(study):
    if "first_token" in FEATURES.readouts:
        for row in study.ran:
            text, answer = study.results.rows["text"][row.index], study.answers(row.pair)["source"]
            held = study.results.rows["answer_in_text"][row.index]
            assert held == any(one.strip() in text for one in answer), row.name


def test_forced_continuations(study):
    if "forced" in FEATURES.readouts:
        for row in study.ran:
            assert_columns(study, row, study.forced_readouts(row))


def test_step_trace(study):
    if "step_trace" in FEATURES.readouts:
        for row in study.ran:
            expected = readouts.step_trace(row.reference, study.job.window)
            actual = study.results.rows["step_pr"][row.index][:, : len(row.tokens)]
            np.testing.assert_allclose(actual, expected, rtol=1e-3, err_msg=row.name)


def test_logit_lens(study):
    if "logit_lens" not in FEATURES.readouts:
        return
    for row in study.ran:
        for place, layer in enumerate(lens_layers(study.loaded)):
            ids, values = readouts.logit_lens(study.model, row.reference, layer, count=8)
            given = study.results.rows["logit_lens_token"][row.index, place].tolist()
            chances = study.results.rows["logit_lens_logprob"][row.index, place]
            np.testing.assert_allclose(chances, values[: len(given)], atol=1e-3, err_msg=row.name)
            of = dict(zip(ids, values))
            np.testing.assert_allclose([of.get(i, np.nan) for i in given], chances, atol=1e-3, err_msg=row.name)


def jobs_of(names, tiny_model, demo_model, tmp_path):
    for name in names:
        spec = read_family_spec(demo_model if name == "demo" else tiny_model(name))
        for seed in SIZES[name].seeds:
            yield job_of(name, seed, spec, tmp_path)


def test_the_jobs_cover_the_readouts(tiny_model, demo_model, tmp_path):
    drawn = []
    for name, seed in JOBS:
        spec = read_family_spec(demo_model if name == "demo" else tiny_model(name))
        drawn.append((spec.n_layers, random_readouts(seed_of(name, seed), spec.n_layers, 4)))
    assert {site for _, one in drawn for site in one.sites} == set(SITES)
    assert {len(one.windows) for _, one in drawn} == {1, 2, 3}
    assert {len(one.attention) == n_layers for n_layers, one in drawn} == {True, False}


def kind_of(positions: str) -> str:
    return "named" if named_span(positions) else positions.split(":")[0]


def test_the_jobs_cover_the_settings(tiny_model, demo_model, tmp_path):
    """Needs no binary: how many combinations there are and that each value of each setting is among them."""
    tiny = [n for n in SIZES if n != "demo"]
    jobs = list(jobs_of(tiny, tiny_model, demo_model, tmp_path))
    rows = [row for job in jobs for row in job.rows if row.arm.patched]
    own = {(i, row.arm) for i, job in enumerate(jobs) for row in job.rows if row.control is None and row.arm.patched}
    assert len(own) >= 300
    (demo,) = jobs_of(["demo"], tiny_model, demo_model, tmp_path)
    assert len({row.arm for row in demo.rows if row.arm.patched and row.control is None}) >= 30
    copies = {f"{name}:{copy}" for name in SEVERAL for copy in range(2, random_arms.COPIES + 1)}
    assert {row.control for row in rows} == {None, *OF_KV_CACHE, *LATER, *copies}
    arms = [row.arm for row in rows if row.control is None]
    caches = [arm for arm in arms if arm.kind == "kv_cache"]
    assert {arm.kind for arm in arms} == {"kv_cache", *SITES}
    assert {kind_of(arm.positions) for arm in caches} == set(random_arms.POSITIONS)
    sites = {kind_of(arm.site_positions) for arm in arms if arm.kind != "kv_cache"}
    assert sites == {"window", *random_arms.POSITIONS}
    ways = [("hold_last", "refeed"), ("append", "frozen", "compound"), ("as_is", "rerotate")]
    assert {(a.entry, a.growth, a.align) for a in caches} >= set(itertools.product(*ways))
    assert {a.what for a in caches} == {"k", "v", "kv"} and {a.align for a in caches} >= {"matched"}
    assert {a.alpha for a in arms} == {1.0, *random_arms.ALL.alphas}
    for site in SITES:
        assert {a.decode for a in arms if a.kind == site} == {"prefill", "persist"}, site
    assert {a.at_step for a in arms} == {0, 1, 2, 5}
    assert {a.from_step for a in arms} >= {0, 1, 2, 4} and {a.until_step for a in arms} >= {None, 1, 3, 5}
    assert {a.op for a in arms} == {"replace", "add", "project_out", "scale"}
    assert {(a.mix, a.alpha) for a in arms} >= {("spherical", alpha) for alpha in (0, 0.25, 0.5, 0.8, 1)}
    assert {type(a.scale) for a in arms if a.op == "add"} == {float, str} and {a.factor for a in arms} >= {0, 0.5, 1.5}
    along = {a.along.split(":")[0].split(".")[-1] for a in arms}
    assert along == {"", "random", "mean_difference", "safetensors"}
    others = {a.orthogonal_to.split(":")[0].split(".")[-1] for a in arms}
    assert others == {"none", "random", "mean_difference", "safetensors"}
    several = [a for a in arms if a.decode == "persist" and len(a.layers) > 1]
    assert any(a.heads for a in several) and any(a.alpha < 1 for a in several)
    assert {row.arm.pairs for row in rows if row.control} == {row.arm.pairs for row in rows} == {"all", *random_arms.PAIRS}
    lengths = [(n > m) - (n < m) for job in jobs for n, m in job.lengths]
    assert set(lengths) == {-1, 0, 1}
