"""Rows of `rvsweep run`, greedy in float32 on the CPU, against Hugging Face: tokens, stops, text and geometry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import geometry
import hf_reference as hf
import tiny_models
from parity_arms import base_arm, full_swap_arm, kv_cache_arms, main_arms, preset_arms, source_arm, v_proj_arm
from parity_study import WINDOW, LoadedModel, Study, load, near_ties, run_study
from prompt_texts import pairs_of_lengths

MAX_NEW_TOKENS = 24
# (n, m) in tokens: n < m, n = m, n > m, from exactly one window to several.
LENGTHS = [
    (16, 16), (16, 23), (17, 16), (20, 40), (40, 20), (33, 33), (25, 64), (64, 25), (48, 48), (31, 32),
    (32, 31), (19, 57), (57, 19), (70, 70), (28, 36), (36, 28), (45, 17), (17, 45), (90, 50), (50, 90),
]  # fmt: skip
CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


def demo_pairs(loaded: LoadedModel) -> list[dict[str, str]]:
    """Mixed lengths, and chat turns: these hold special tokens and end early."""
    turns = [
        ("What is the capital of France? Answer with one word.", "Notice yourself answering. What is 2 + 2?"),
        ("Say yes, and nothing else, to this long and idle question.", "Name a colour, in one word, please."),
    ]
    chat = [
        {"pair": f"chat-{i}", "base": CHAT.format(base), "source": CHAT.format(source)}
        for i, (base, source) in enumerate(turns)
    ]
    return pairs_of_lengths(loaded.tokenizer, LENGTHS) + chat


@pytest.fixture(scope="module")
def once():
    """once(name, make) -> what make() gave the first time: pytest may leave a parameter and come back to it."""
    made: dict[str, object] = {}

    def get(name: str, make: Callable[[], object]):
        if name not in made:
            made[name] = make()
        return made[name]

    return get


@pytest.fixture(scope="module", params=["demo", *tiny_models.FAMILIES])
def loaded(request, once, demo_model, tiny_model) -> LoadedModel:
    name = request.param
    return once(name, lambda: load(demo_model if name == "demo" else tiny_model(name)))


@pytest.fixture(scope="module")
def main_study(loaded, once, rvsweep, tmp_path_factory) -> Study:
    """Every pair: base, source, v_proj persist and prefill, the notebook's presets."""

    def make() -> Study:
        if loaded.folder.name in tiny_models.FAMILIES:
            pairs = pairs_of_lengths(loaded.tokenizer, LENGTHS[::2])
        else:
            pairs = demo_pairs(loaded)
        folder = tmp_path_factory.mktemp("main") / "study"
        return run_study(rvsweep, folder, loaded, pairs, main_arms(loaded.n_layers), MAX_NEW_TOKENS)

    return once(f"main of {loaded.folder.name}", make)


@pytest.fixture(scope="module")
def kv_study(loaded, once, rvsweep, tmp_path_factory) -> Study:
    """Some pairs, the last one with itself: every kv_cache combination, the full swap, texts read again."""

    def make() -> Study:
        pairs = pairs_of_lengths(loaded.tokenizer, [(16, 30), (41, 19)], seed=1)
        pairs.append(pairs[0] | {"pair": "self", "source": pairs[0]["base"]})
        arms = [base_arm(), source_arm(), *kv_cache_arms(loaded.n_layers, loaded.explicit.spec.rotates)]
        if loaded.explicit.spec.rotates:
            arms.append(full_swap_arm(loaded.n_layers))
        folder = tmp_path_factory.mktemp("kv") / "study"
        return run_study(rvsweep, folder, loaded, pairs, arms, MAX_NEW_TOKENS, reencode=True)

    return once(f"kv of {loaded.folder.name}", make)


@pytest.fixture(scope="module", params=["main", "kv"])
def study(request, main_study, kv_study) -> Study:
    return {"main": main_study, "kv": kv_study}[request.param]


def test_tokens_are_the_references(study, parity_notes):
    steps, ties = 0, 0
    for row in study.rows:
        ties += near_ties(row)
        steps += len(row.tokens)
        assert row.stop_reason == study.results.rows["stop_reason"][row.row], row.name
        assert (study.results.rows["tokens"][row.row, len(row.tokens) :] == -1).all(), row.name
    note = f"{study.loaded.folder.name}, {len(study.arms)} arms: {len(study.rows)} rows, {steps} tokens, {ties} near ties"
    parity_notes.append(note)
    print(note)
    assert ties <= 0.01 * steps


def test_both_reasons_to_stop_occur(main_study):
    assert set(main_study.results.rows["stop_reason"]) == {"eos", "length"}


def test_text_is_the_decoded_tokens(study):
    for row in study.rows:
        expected = study.loaded.tokenizer.decode(row.tokens, skip_special_tokens=True)
        assert study.results.rows["text"][row.row] == expected, row.name


def assert_spectra(actual: np.ndarray, expected: np.ndarray, name: str) -> None:
    """To a thousandth, down to singular values that float32 activations leave undetermined."""
    floor = 1e-4 * np.nan_to_num(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=floor, err_msg=name)


def test_spectra_of_the_prompt_window(study):
    for row in study.rows:
        assert np.isfinite(row.spectra_prompt).all(), row.name
        assert_spectra(study.results.rows["spectra_prompt"][row.row], row.spectra_prompt, row.name)


def test_spectra_of_the_generated_window(study):
    for row in study.rows:
        assert study.results.rows["n_generated_v"][row.row] == row.n_generated_v, row.name
        assert_spectra(study.results.rows["spectra_generated"][row.row], row.spectra_generated, row.name)


@pytest.mark.parametrize("window", ["prompt", "generated"])
def test_r_v_of_rows(study, window):
    for row in study.rows:
        spectra = getattr(row, f"spectra_{window}")
        expected = geometry.r_v(spectra, study.loaded.early_layer, study.loaded.late_layer)
        actual = study.results.rows[f"r_v_{window}"][row.row]
        np.testing.assert_allclose(actual, expected, rtol=1e-3, err_msg=row.name)


def test_r_v_of_the_reencoded_text(kv_study):
    """The notebook's measure_rv_on_text of the prompt, a blank and the generated text."""
    loaded, rows = kv_study.loaded, kv_study.results.rows
    for pair in kv_study.pairs:
        for index, arm in enumerate(kv_study.arms):
            row = kv_study.results.row(pair["pair"], index)
            text = pair["source" if arm.spec == "source" else "base"] + " " + rows["text"][row]
            ids = loaded.tokenizer.encode(text).ids[:512]
            spectra = geometry.window_spectra(hf.prompt_v(loaded.model, tuple(ids)), WINDOW)
            expected = geometry.r_v(spectra, loaded.early_layer, loaded.late_layer)
            name = f"{pair['pair']}, {arm.spec}"
            np.testing.assert_allclose(rows["r_v_reencoded"][row], expected, rtol=1e-3, err_msg=name)


def test_prompts(main_study):
    prompts = main_study.results.prompts
    for pair in main_study.pairs:
        for side in ("base", "source"):
            index, name = main_study.results.prompt(pair["pair"], side), f"{pair['pair']}, {side}"
            ids = main_study.ids(pair, side)
            assert prompts["text"][index] == pair[side], name
            assert prompts["tokens"][index].tolist() == ids, name
            assert prompts["n_tokens"][index] == len(ids), name
            spectra = geometry.window_spectra(hf.prompt_v(main_study.loaded.model, tuple(ids)), WINDOW)
            assert_spectra(prompts["spectra"][index], spectra, name)
            for metric, expected in geometry.metrics(spectra).items():
                np.testing.assert_allclose(prompts[metric][index], expected, rtol=1e-3, err_msg=f"{name}, {metric}")


def test_a_self_patch_is_base(kv_study):
    patched = [i for i, arm in enumerate(kv_study.arms) if "entry=hold_last growth=append" in arm.spec]
    assert len(patched) == (3 if kv_study.loaded.explicit.spec.rotates else 1)
    for index in patched:
        near_ties(kv_study.follow(base_arm(), kv_study.pairs[-1], kv_study.results.row("self", index)))


def test_keys_of_learned_positions_are_not_turned(rvsweep, tiny_model, tmp_path):
    loaded = load(tiny_model("gpt2"))
    arms = [base_arm(), full_swap_arm(loaded.n_layers)]
    study = run_study(rvsweep, tmp_path / "study", loaded, pairs_of_lengths(loaded.tokenizer, [(20, 25)]), arms, 4)
    assert list(study.results.rows["status"]) == ["ok", "refused"]
    assert "learned positions" in study.results.rows["reason"][1]


def test_presets_cut_prompts_to_512_tokens(rvsweep, tiny_model, tmp_path):
    loaded = load(tiny_model("llama31"))
    pairs = pairs_of_lengths(loaded.tokenizer, [(600, 540), (530, 40)])
    study = run_study(rvsweep, tmp_path / "study", loaded, pairs, preset_arms(loaded.n_layers), 6)
    for row in study.rows:
        near_ties(row)


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral", "gemma3_text"])
def test_long_prompts(rvsweep, tiny_model, tmp_path, family):
    """Alone in a pass, beside short ones, as donors, and read for their geometry alone."""
    loaded = load(tiny_model(family))
    pairs = pairs_of_lengths(loaded.tokenizer, [(900, 30), (30, 700), (530, 620), (513, 512)], seed=2)
    arms = [*main_arms(loaded.n_layers), *kv_cache_arms(loaded.n_layers)[::5]]
    alone = run_study(rvsweep, tmp_path / "alone", loaded, pairs, [base_arm()], 6)
    study = run_study(rvsweep, tmp_path / "study", loaded, pairs, arms, 20)
    for row in (*alone.rows, *study.rows):
        near_ties(row)
    test_prompts(alone)
    test_prompts(study)
    test_spectra_of_the_prompt_window(study)
    test_spectra_of_the_generated_window(study)


def test_prompts_shorter_than_the_window(rvsweep, tiny_model, tmp_path):
    """Presets shrink the window, v_proj is refused, the rest runs; geometry is NaN, never of fewer rows."""
    loaded = load(tiny_model("llama"))
    pairs = pairs_of_lengths(loaded.tokenizer, [(7, 30), (30, 5), (6, 6)])
    refused = v_proj_arm("v_proj layers=3 decode=prefill", range(3, 4), "prefill")
    arms = [base_arm(), source_arm(), *preset_arms(loaded.n_layers)]
    study = run_study(rvsweep, tmp_path / "study", loaded, pairs, [*arms, refused], 6)
    rows, prompts = study.results.rows, study.results.prompts
    for pair in pairs:
        row = study.results.row(pair["pair"], len(arms))
        assert rows["status"][row] == "refused" and rows["reason"][row]
        assert (rows["tokens"][row] == -1).all()
        for index, arm in enumerate(arms):
            followed = study.follow(arm, pair, study.results.row(pair["pair"], index))
            near_ties(followed)
            too_short = np.isnan(followed.spectra_prompt).any()
            assert np.isnan(rows["r_v_prompt"][followed.row]) or not too_short, followed.name
            assert np.isnan(rows["spectra_prompt"][followed.row]).any() == too_short, followed.name
            assert np.isnan(rows["spectra_generated"][followed.row]).all(), followed.name
        for side in ("base", "source"):
            spectra = prompts["spectra"][study.results.prompt(pair["pair"], side)]
            assert np.isnan(spectra).all() == (len(study.ids(pair, side)) < WINDOW)
