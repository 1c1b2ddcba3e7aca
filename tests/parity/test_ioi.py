"""Indirect objects and facts: the residual stream at the last token, or at the subject, patched layer by layer, beside
hooks on a transformers model."""

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


WHERE = {"ioi": "window=1", "facts": "positions=span:subject"}
DECIDES = {"ioi": LAYERS[-1], "facts": LAYERS[0]}  # by then the last token, until then the subject has the answer


@pytest.fixture(scope="module", params=WHERE)
def study(request, rvsweep, demo_model, tmp_path_factory):
    """Some of a job's pairs and their sweep."""
    job = request.param
    lines = (ROOT / "jobs" / "prompts" / f"{job}.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in lines[::EVERY]]
    folder = tmp_path_factory.mktemp(job)
    arms = ["base", "source", *(f"resid_pre layers={layer} {WHERE[job]}" for layer in LAYERS)]
    config = write_config(folder / "job.cfg", demo_model, write_pairs(folder / "p.jsonl", pairs), arms, 3, 22, 1, 4)
    return job, pairs, sweep(rvsweep, folder, config)


class Hooked:
    """Logit differences of the answers, with the stream before a layer replaced at some tokens."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def ids(self, text: str) -> torch.Tensor:
        return self.tokenizer(text, return_tensors="pt").input_ids

    def last_logits(self, text: str) -> torch.Tensor:
        return self.model(self.ids(text)).logits[0, -1].double()

    def places(self, pair: dict, side: str) -> list[int]:
        """Tokens of the subject, else the last."""
        read = self.tokenizer(pair[side], return_offsets_mapping=True)
        if "subject" not in pair["spans"]:
            return [len(read.input_ids) - 1]
        begin, end = pair["spans"]["subject"][side]
        return [i for i, (first, last) in enumerate(read.offset_mapping) if first < end and last > begin]

    def stream(self, text: str, layer: int) -> torch.Tensor:
        return self.model(self.ids(text), output_hidden_states=True).hidden_states[layer][0]

    def patched_logits(self, pair: dict, layer: int) -> torch.Tensor:
        """Spans of unlike lengths are aligned at their ends."""
        to, donors = self.places(pair, "base"), self.places(pair, "source")
        shared = min(len(to), len(donors))
        values = self.stream(pair["source"], layer)[donors[-shared:]]

        def replace(_, args):
            hidden = args[0].clone()
            hidden[0, to[-shared:]] = values
            return hidden, *args[1:]

        hook = self.model.model.layers[layer].register_forward_pre_hook(replace)
        try:
            return self.last_logits(pair["base"])
        finally:
            hook.remove()

    def difference(self, logits: torch.Tensor, pair: dict) -> float:
        """The answers' first tokens are those that the tokenizer writes behind the prompt."""
        first = {s: self.ids(pair[s] + pair["answer"][s])[0, self.ids(pair[s]).shape[1]] for s in ("source", "base")}
        return float(logits[first["source"]] - logits[first["base"]])


def test_logit_differences_are_those_of_hooks(study, demo_model):
    (job, pairs, results), hooked, moved = study, Hooked(demo_model), []
    decides = 2 + LAYERS.index(DECIDES[job])
    with torch.no_grad():
        for pair in pairs:
            expected = [hooked.difference(hooked.last_logits(pair[side]), pair) for side in ("base", "source")]
            for layer in LAYERS:
                expected.append(hooked.difference(hooked.patched_logits(pair, layer), pair))
            actual = [results.rows["logit_diff"][results.row(pair["pair"], arm)] for arm in range(len(expected))]
            np.testing.assert_allclose(actual, expected, atol=1e-3, err_msg=pair["pair"])
            moved.append(abs(expected[decides] - expected[0]))
    assert min(moved) > 0.1  # so that the comparison is of something
