"""generation.repetition_penalty against transformers: generate() on its own, and its logits processor on patched arms."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor

from parity_arms import base_arm, kv_cache_arms, preset_arms, source_arm, v_proj_arm
from parity_study import NEAR_TIE, Study, load, run_study
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import sets, write_config

PENALTY = 1.6
MAX_NEW_TOKENS = 24
LENGTHS = [(16, 23), (40, 20), (33, 33)]


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def study(request, rvsweep, tiny_model, tmp_path_factory) -> Study:
    loaded = load(tiny_model(request.param))
    late = loaded.n_layers * 4 // 5
    persist = v_proj_arm(f"v_proj layers={late} decode=persist", range(late, late + 1), "persist")
    arms = [base_arm(), source_arm(), persist, *preset_arms(loaded.n_layers), *kv_cache_arms(loaded.n_layers)[::3]]
    pairs = pairs_of_lengths(loaded.tokenizer, LENGTHS)
    folder = tmp_path_factory.mktemp("penalty") / "study"
    settings = [f"generation.repetition_penalty={PENALTY}"]
    return run_study(rvsweep, folder, loaded, pairs, arms, MAX_NEW_TOKENS, settings=settings)


def test_unpatched_rows_are_what_generate_gives(study):
    model, stops = study.loaded.model, sorted(study.loaded.stop_ids)
    for pair in study.pairs:
        for arm, side in enumerate(("base", "source")):
            prompt = study.ids(pair, side)
            output = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=False,
                repetition_penalty=PENALTY,
                eos_token_id=stops,
                pad_token_id=0,
            )
            expected = output[0, len(prompt) :].tolist()
            assert study.results.tokens(study.results.row(pair["pair"], arm)) == expected, f"{pair['pair']}, {side}"


def test_every_arm_is_penalised_for_the_tokens_of_its_recipient_and_its_own(study, parity_notes):
    """The prompt that counts is the one the row is generated from, whatever a patch writes into its cells."""
    processor, steps, ties, changed = RepetitionPenaltyLogitsProcessor(PENALTY), 0, 0, 0
    for pair in study.pairs:
        for index, arm in enumerate(study.arms):
            tokens = study.results.tokens(study.results.row(pair["pair"], index))
            base, source = study.ids(pair, "base"), study.ids(pair, "source")
            loaded = study.loaded
            reference = arm.reference(loaded.model, base, source, MAX_NEW_TOKENS, loaded.stop_ids, tokens)
            seen = source if arm.spec == "source" else base
            for t, token in enumerate(tokens):
                logits = torch.from_numpy(reference.logits[t : t + 1]).float()
                penalised = processor(torch.tensor([seen + tokens[:t]]), logits.clone())[0]
                gap = float(penalised.max() - penalised[token])
                assert gap < NEAR_TIE, f"{pair['pair']}, {arm.spec}, token {t + 1}: behind by {gap}"
                steps, ties = steps + 1, ties + (gap > 0)
                changed += int(logits.argmax()) != token
    parity_notes.append(f"repetition penalty, {study.loaded.folder.name}: {steps} tokens, {changed} not the likeliest")
    assert ties <= 0.01 * steps and changed > 0.1 * steps


def test_readouts_are_of_the_models_own_logits(study):
    """A penalised base row differs from the unpatched prompt in nothing at its first token."""
    rows = study.results.rows
    bases = [study.results.row(pair["pair"], 0) for pair in study.pairs]
    np.testing.assert_allclose(rows["kl_first"][bases], 0, atol=1e-8)


def plan(binary: Path, folder: Path, model: Path, *settings: str) -> str:
    loaded = load(model)
    pairs = write_pairs(folder / "pairs.jsonl", pairs_of_lengths(loaded.tokenizer, [(16, 16)]))
    config = write_config(folder / "study.cfg", model, pairs, ["base"], 1, 3, 4)
    command = [str(binary), "plan", "--config", str(config), "--device", "cpu", *sets(settings)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stderr


def test_a_penalty_that_the_model_asks_for_is_told_until_it_is_set(rvsweep, tiny_model, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_model("llama"), model)
    path = model / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"repetition_penalty": 1.1}))
    asked = "asks for repetition_penalty = 1.1, generation.repetition_penalty is 1"
    assert asked in plan(rvsweep, tmp_path, model)
    assert "repetition_penalty" not in plan(rvsweep, tmp_path, model, "generation.repetition_penalty=1.1")
    assert 'repetition_penalty is "0"' in plan(rvsweep, tmp_path, model, "generation.repetition_penalty=0")
