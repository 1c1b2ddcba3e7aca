"""The same work in Hugging Face as one would write it for speed, all arms of many pairs as one batch.

Every prompt is prefilled once. The v_proj arm goes on from base's cache and reads only its last W tokens again, under
a hook; a kv_cache row takes each layer's cells from base or source and feeds the last token; then all rows decode
together, logits of the last position only. V carries no rotation, so spectra come from the cache that is there
anyway: Gram matrices in float64, one call for all layers, rows and windows. Prompts of a pair must be equally long,
so that donor keys lie where they are read; pairs may differ and are padded on the left.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from work import WINDOW, Work

Cells = list[tuple[torch.Tensor, torch.Tensor]]  # by layer: keys, values [rows, n_kv_heads, T, head_dim]


@dataclass
class Generated:
    tokens: torch.Tensor  # [arms, pairs, max_new_tokens]
    texts: list[str]  # arm by arm
    spectra: torch.Tensor  # [L, windows, arms*pairs, W], ascending: prompt, then generated where it is W tokens long
    margins: torch.Tensor | None  # [arms, pairs, max_new_tokens]: logit of the token over the next likely one


class BatchedHuggingFace:
    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, work: Work):
        self.model, self.tokenizer, self.work = model, tokenizer, work
        kinds = [arm.kind for arm in work.arms]
        if kinds != sorted(kinds, key=("base", "source", "v_proj", "kv_cache").index) or kinds.count("v_proj") > 1:
            raise ValueError("arms must be ordered base, source, v_proj, kv_cache, with one v_proj at most")

    @torch.inference_mode()
    def run(self, pairs: Sequence[dict[str, str]], with_margins: bool = False) -> Generated:
        count = len(pairs)
        arms = self.work.arms
        ids, mask = self.encode([pair[side] for side in ("base", "source") for pair in pairs])
        if not torch.equal(mask[:count], mask[count:]):
            raise ValueError("base and source of a pair differ in length")
        cells, logits = self.feed([], ids, mask, 0)
        base, source = slice(0, count), slice(count, 2 * count)

        parts, starts = [], []
        for arm in arms:
            if arm.kind in ("base", "source"):
                side = base if arm.kind == "base" else source
                parts.append(rows_of(cells, side))
                starts.append(logits[side])
        donor_v = None
        for arm in (arm for arm in arms if arm.kind == "v_proj"):
            values = cells[arm.layers.start][1][source, :, -WINDOW:]
            donor_v = values.transpose(1, 2).flatten(2)  # [pairs, W, n_kv_heads*head_dim]
            with self.v_replaced(arm.layers.start, slice(0, count), donor_v):
                kept = ids.shape[1] - WINDOW
                part, first = self.feed(rows_of(cells, base, kept), ids[base], mask[base], kept)
            parts.append(part)
            starts.append(first)
        kv_arms = [arm for arm in arms if arm.kind == "kv_cache"]
        if kv_arms:
            held = ids.shape[1] - 1
            repeated = (ids[base].repeat(len(kv_arms), 1), mask[base].repeat(len(kv_arms), 1))
            part, first = self.feed(self.patched(cells, kv_arms, count, held), *repeated, held)
            parts.append(part)
            starts.append(first)
        del cells

        together = [tuple(torch.cat(both) for both in zip(*layer)) for layer in zip(*parts)]
        del parts
        where = [arm.kind for arm in arms].index("v_proj") * count if donor_v is not None else 0
        layer = next((arm.layers.start for arm in arms if arm.kind == "v_proj"), 0)
        last_v = None if donor_v is None else donor_v[:, -1:]
        with self.v_replaced(layer, slice(where, where + count), last_v):
            masks = mask[base].repeat(len(arms), 1)
            tokens, margins, cells = self.decode(together, masks, torch.cat(starts), with_margins)
        shape = (len(arms), count, self.work.max_new_tokens)
        return Generated(
            tokens.view(shape).cpu(),
            self.tokenizer.batch_decode(tokens, skip_special_tokens=True),
            self.spectra(cells, ids.shape[1]).cpu(),
            margins.view(shape).cpu() if with_margins else None,
        )

    def encode(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, padded on the left by hand: not every tokenizer has a padding token."""
        lists = self.tokenizer(texts)["input_ids"]
        longest = max(map(len, lists))
        ids = [[0] * (longest - len(one)) + one for one in lists]
        mask = [[0] * (longest - len(one)) + [1] * len(one) for one in lists]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)

    def feed(self, cells: Cells, ids: torch.Tensor, mask: torch.Tensor, kept: int) -> tuple[Cells, torch.Tensor]:
        """Reads the columns from `kept` on after `kept` cached ones: all cells, logits of the last column."""
        cache = DynamicCache(cells)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, kept:]
        output = self.model(
            ids[:, kept:], attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
        )
        return [(layer.keys, layer.values) for layer in cache.layers], output.logits[:, -1]

    def patched(self, cells: Cells, arms: Iterable, count: int, columns: int) -> Cells:
        """Base's cells, source's in the layers of each row's arm; rows arm by arm."""
        pair = torch.arange(count, device=self.model.device)
        chosen = []
        for layer, (keys, values) in enumerate(cells):
            rows = torch.cat([pair + count * (layer in arm.layers) for arm in arms])
            chosen.append((keys[rows, :, :columns], values[rows, :, :columns]))
        return chosen

    @contextmanager
    def v_replaced(self, layer: int, rows: slice, donor: torch.Tensor | None):
        """The last V rows of these batch rows become `donor`; nothing where it is None."""
        if donor is None:
            yield
            return

        def patch(module, inputs, output):
            output[rows, -donor.shape[1] :] = donor

        handle = self.model.model.layers[layer].self_attn.v_proj.register_forward_hook(patch)
        try:
            yield
        finally:
            handle.remove()

    def decode(self, cells: Cells, mask: torch.Tensor, logits: torch.Tensor, with_margins: bool):
        """Greedy tokens, margins and cache of all rows. The last token is not fed."""
        cache = DynamicCache(cells)
        steps = self.work.max_new_tokens
        n_cells = mask.shape[1]
        mask = torch.cat([mask, mask.new_ones(mask.shape[0], steps)], dim=1)
        positions = mask.cumsum(-1) - 1
        tokens, margins = [], []
        for step in range(steps):
            if step > 0:
                until = n_cells + step
                logits = self.model(
                    tokens[-1],
                    attention_mask=mask[:, :until],
                    position_ids=positions[:, until - 1 : until],
                    past_key_values=cache,
                    logits_to_keep=1,
                ).logits[:, -1]
            tokens.append(logits.argmax(-1, keepdim=True))
            if with_margins:
                best = logits.float().topk(2).values
                margins.append(best[:, :1] - best[:, 1:])
        cells = [(layer.keys, layer.values) for layer in cache.layers]
        return torch.cat(tokens, 1), torch.cat(margins, 1) if with_margins else None, cells

    def spectra(self, cells: Cells, prompt_end: int) -> torch.Tensor:
        ends = [prompt_end]
        if self.work.max_new_tokens > WINDOW:
            ends.append(cells[0][1].shape[2])
        grams = []
        for _, values in cells:
            for end in ends:
                block = values[:, :, end - WINDOW : end].double().transpose(1, 2).flatten(2)  # [rows, W, D]
                grams.append(block @ block.transpose(1, 2))
        stacked = torch.stack(grams).unflatten(0, (len(cells), len(ends)))
        return torch.linalg.eigvalsh(stacked).clamp(min=0).sqrt()


def rows_of(cells: Cells, rows: slice, columns: int | None = None) -> Cells:
    return [(keys[rows, :, :columns], values[rows, :, :columns]) for keys, values in cells]


def best_batch(side: BatchedHuggingFace, pairs: Sequence[dict[str, str]], sizes: Iterable[int]) -> tuple[int, dict]:
    """The number of pairs a batch with most rows per second, and the rows per second of every size."""
    rates = {}
    for size in sorted({min(size, len(pairs)) for size in sizes}):
        started = time.perf_counter()
        side.run(pairs[:size])
        rates[size] = size * len(side.work.arms) / (time.perf_counter() - started)
    return max(rates, key=rates.get), rates
