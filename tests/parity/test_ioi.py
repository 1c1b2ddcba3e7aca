"""Indirect objects: the residual stream at the last token patched layer by layer, beside hooks on a transformers model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prompt_texts import write_pairs
from rvsweep_cli import sweep, write_config
from shipped_jobs import ROOT

EVERY = 37  # of the 220 pairs
LAYERS = range(7, 30, 7)  # at layer 0 both prompts have the same last token


@pytest.fixture(scope="module")
def pairs() -> list[dict]:
    lines = (ROOT / "jobs" / "prompts" / "ioi.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[::EVERY]]


@pytest.fixture(scope="module")
def results(rvsweep, demo_model, pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ioi")
    arms = ["base", "source", *(f"resid_pre layers={layer} window=1" for layer in LAYERS)]
    return sweep(
        rvsweep,
        folder,
        write_config(folder / "ioi.cfg", demo_model, write_pairs(folder / "p.jsonl", pairs), arms, 3, 22, 1, 4),
    )


class Hooked:
    """Logit differences of the answers, with the stream before a layer replaced at the last token."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def ids(self, text: str) -> torch.Tensor:
        return self.tokenizer(text, return_tensors="pt").input_ids

    def last_logits(self, text: str) -> torch.Tensor:
        return self.model(self.ids(text)).logits[0, -1].double()

    def stream(self, text: str, layer: int) -> torch.Tensor:
        return self.model(self.ids(text), output_hidden_states=True).hidden_states[layer][0, -1]

    def patched_logits(self, text: str, layer: int, value: torch.Tensor) -> torch.Tensor:
        def replace(_, args):
            hidden = args[0].clone()
            hidden[0, -1] = value
            return hidden, *args[1:]

        hook = self.model.model.layers[layer].register_forward_pre_hook(replace)
        try:
            return self.last_logits(text)
        finally:
            hook.remove()

    def difference(self, logits: torch.Tensor, pair: dict) -> float:
        """The answers' first tokens are those that the tokenizer writes behind the prompt."""
        first = {s: self.ids(pair[s] + pair["answer"][s])[0, self.ids(pair[s]).shape[1]] for s in ("source", "base")}
        return float(logits[first["source"]] - logits[first["base"]])


def test_logit_differences_are_those_of_hooks(results, pairs, demo_model):
    hooked, moved = Hooked(demo_model), []
    with torch.no_grad():
        for pair in pairs:
            expected = [hooked.difference(hooked.last_logits(pair[side]), pair) for side in ("base", "source")]
            for layer in LAYERS:
                logits = hooked.patched_logits(pair["base"], layer, hooked.stream(pair["source"], layer))
                expected.append(hooked.difference(logits, pair))
            actual = [results.rows["logit_diff"][results.row(pair["pair"], arm)] for arm in range(len(expected))]
            np.testing.assert_allclose(actual, expected, atol=1e-3, err_msg=pair["pair"])
            moved.append(abs(expected[-1] - expected[0]))
    assert min(moved) > 0.1  # the last of these layers has the answer, so the comparison is of something
