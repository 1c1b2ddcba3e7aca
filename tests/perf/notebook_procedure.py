"""The notebook's procedure in Hugging Face: batch 1, one arm after another, everything read again for every arm.

The steps and their order are the notebook's (experiments A, B and C), greedy and without stopping so that
all sides of the comparison make the same number of tokens. Texts of kv_cache rows are read again for their R_V.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from work import WINDOW, Work


class Notebook:
    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, work: Work):
        self.model, self.tokenizer, self.work = model, tokenizer, work
        self.model.generation_config.eos_token_id = None

    def encode(self, text: str) -> dict[str, torch.Tensor]:
        inputs = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
        return {name: inputs[name].to(self.model.device) for name in ("input_ids", "attention_mask")}

    @contextmanager
    def hooked(self, hooks: dict):
        """hooks: layer -> forward hook on that layer's v_proj."""
        with ExitStack() as stack:
            for layer, hook in hooks.items():
                projection = self.model.model.layers[layer].self_attn.v_proj
                stack.callback(projection.register_forward_hook(hook).remove)
            yield

    @torch.no_grad()
    def measure_rv(self, text: str) -> tuple[float, torch.Tensor]:
        """R_V of a text and its V rows at the late layer."""
        rows = {}
        keep = lambda layer: lambda module, inputs, output: rows.__setitem__(layer, output[0])
        early, late = self.work.early, self.work.late
        with self.hooked({layer: keep(layer) for layer in (early, late)}):
            self.model(**self.encode(text))
        return participation_ratio(rows[late]) / participation_ratio(rows[early]), rows[late]

    @torch.no_grad()
    def generate(self, prompt: str) -> list[int]:
        inputs = self.encode(prompt)
        output = self.model.generate(
            **inputs, max_new_tokens=self.work.max_new_tokens, do_sample=False, pad_token_id=0
        )
        return output[0, inputs["input_ids"].shape[1] :].tolist()

    def generate_v_patched(self, prompt: str, source_v: torch.Tensor) -> list[int]:
        def patch(module, inputs, output):
            width = min(WINDOW, output.shape[1], source_v.shape[0])
            patched = output.clone()
            patched[:, -width:] = source_v[-width:]
            return patched

        with self.hooked({self.work.late: patch}):
            return self.generate(prompt)

    @torch.no_grad()
    def generate_kv_patched(self, prompt: str, source_cells: list, layers: range) -> list[int]:
        """generate_with_kv_patch_v2: the source's cells are put in front again after every step."""
        tokens = self.encode(prompt)["input_ids"]
        base_cells = cells_of(self.model(tokens, use_cache=True).past_key_values)
        cells = [source_cells[l] if l in layers else cell for l, cell in enumerate(base_cells)]
        generated: list[int] = []
        token = tokens[:, -1:]
        position = tokens.new_full((1, 1), tokens.shape[1])  # counted from base, whatever layer 0's cache holds
        while len(generated) < self.work.max_new_tokens:
            output = self.model(token, position_ids=position, past_key_values=DynamicCache(cells), use_cache=True)
            token = output.logits[:, -1:].argmax(-1)
            position = position + 1
            generated.append(int(token))
            cells = cells_of(output.past_key_values)
            for l in layers:
                cells[l] = tuple(torch.cat(pair, dim=2) for pair in zip(source_cells[l], cells[l]))
        return generated

    def run_pair(self, base: str, source: str, arms: Sequence) -> list[list[int]]:
        """One pair through the arms: tokens by arm."""
        self.measure_rv(base)
        _, source_v = self.measure_rv(source)
        rows = []
        for arm in arms:
            if arm.kind == "v_proj":
                rows.append(self.generate_v_patched(base, source_v))
            elif arm.kind == "kv_cache":
                with torch.no_grad():
                    source_cells = cells_of(self.model(**self.encode(source), use_cache=True).past_key_values)
                rows.append(self.generate_kv_patched(base, source_cells, arm.layers))
                self.measure_rv(base + " " + self.tokenizer.decode(rows[-1], skip_special_tokens=True))
            else:
                rows.append(self.generate(base if arm.kind == "base" else source))
        return rows


def cells_of(cache: DynamicCache) -> list:
    return [(layer.keys, layer.values) for layer in cache.layers]


def participation_ratio(rows: torch.Tensor) -> float:
    energies = np.square(torch.linalg.svd(rows[-WINDOW:].float().T, full_matrices=False)[1].cpu().numpy())
    return float(energies.sum() ** 2 / np.square(energies).sum())
