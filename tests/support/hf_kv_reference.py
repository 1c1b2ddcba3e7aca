"""The kv_cache arm by cache arithmetic on Hugging Face's own cache objects, at batch 1 in float32.

After the notebook's generate_with_kv_patch (growth=frozen) and generate_with_kv_patch_v2 (compound), with
positions given explicitly: they are counted from base, not from the length of layer 0's cache. Layers hold
different numbers of keys, which is safe because single queries under SDPA are not masked (load_model).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import lru_cache

import numpy as np
import torch
from transformers import DynamicCache

from hf_reference import Trajectory, continue_greedily, feed, recorded_v, stop

Layer = tuple[torch.Tensor, torch.Tensor]  # keys, values: [1, n_kv_heads, T, head_dim]


@lru_cache(maxsize=64)  # many arms start from the same two prompts
def prompt_cache(model: torch.nn.Module, tokens: tuple[int, ...]) -> list[Layer]:
    cache = DynamicCache()
    feed(model, tokens, 0, cache)
    return [(layer.keys, layer.values) for layer in cache.layers]


def inverse_frequencies(model: torch.nn.Module, layer: int) -> torch.Tensor:
    rotary = model.base_model.rotary_emb
    if not hasattr(rotary, "inv_freq"):  # one for each type of layer
        return getattr(rotary, model.config.layer_types[layer] + "_inv_freq")
    return rotary.inv_freq


def rotate_keys(model: torch.nn.Module, layer: int, keys: torch.Tensor, shift: int) -> torch.Tensor:
    """Keys moved by `shift` positions: a rotation by shift * inv_freq of each (i, i + h) pair of the first 2 h elements."""
    angle = inverse_frequencies(model, layer).double() * shift
    cos, sin, half = angle.cos(), angle.sin(), len(angle)
    first, second, rest = keys.double().split([half, half, keys.shape[-1] - 2 * half], dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1).to(keys.dtype)


def donor_cache(
    model: torch.nn.Module, source: Sequence[int], layers: Sequence[int], shift: int
) -> dict[int, Layer]:
    """P: what the patched layers' prompt cache is right after the patch."""
    donor = prompt_cache(model, tuple(source))
    return {l: (rotate_keys(model, l, donor[l][0], shift) if shift else donor[l][0], donor[l][1]) for l in layers}


def grow(cache: DynamicCache, patched: dict[int, Layer], growth: str) -> None:
    """What happens to the patched layers after a token was fed and appended to every layer."""
    for l, (keys, values) in patched.items():
        layer = cache.layers[l]
        if growth == "frozen":
            layer.keys, layer.values = keys, values
        elif growth == "compound":
            layer.keys = torch.cat((keys, layer.keys), dim=2)
            layer.values = torch.cat((values, layer.values), dim=2)
        elif growth != "append":
            raise ValueError(growth)


def rows_of(values: torch.Tensor) -> np.ndarray:
    """Cached values as v_proj rows, [T, n_kv_heads*head_dim]."""
    return values[0].transpose(0, 1).flatten(1).numpy()


def generate_kv_cache(
    model: torch.nn.Module,
    base: Sequence[int],
    source: Sequence[int],
    layers: Sequence[int],
    entry: str,
    growth: str,
    align: str,
    max_new_tokens: int,
    eos_ids: Set[int] = frozenset(),
    forced: Sequence[int] | None = None,
) -> Trajectory:
    """positions=all, what=kv, heads=all, alpha=1: the donor's prompt cache replaces base's at `layers`."""
    if entry not in ("hold_last", "refeed") or align not in ("as_is", "rerotate"):
        raise ValueError((entry, align))
    cut = -1 if entry == "hold_last" else None
    base_cells, source_cells = base[:cut], source[:cut]
    shift = len(base) - len(source) if align == "rerotate" else 0
    patched = donor_cache(model, source_cells, layers, shift)
    cells = [patched.get(l, cell) for l, cell in enumerate(prompt_cache(model, tuple(base_cells)))]
    cache = DynamicCache(cells)

    fed = iter(range(len(base_cells), len(base) + max_new_tokens + 1))

    def feed_token(token: int) -> torch.Tensor:
        logits = feed(model, [token], next(fed), cache)[-1]
        grow(cache, patched, growth)
        return logits

    with recorded_v(model) as recorder:
        first = feed_token(base[-1])
        if forced is None:
            tokens, logits, reason = continue_greedily(first, feed_token, max_new_tokens, eos_ids)
        else:
            tokens, reason = stop(forced, max_new_tokens, eos_ids)
            logits = torch.stack([first, *map(feed_token, tokens[:-1])]).numpy()
    rows = [recorder.layer(l) for l in range(len(recorder.rows))]
    prompt_rows = [rows_of(values) for _, values in cells]
    if entry == "hold_last":
        prompt_rows = [np.concatenate((cached, row[:1])) for cached, row in zip(prompt_rows, rows)]
    return Trajectory(tokens, logits, reason, prompt_rows, [r[1:] for r in rows])
