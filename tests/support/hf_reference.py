"""Greedy generation by Hugging Face at batch 1 in float32: the oracle for base, source and v_proj rows.

Every function works on token ids and returns a `Trajectory`. `forced` replaces the reference's own
choice of each token by a given one (teacher forcing): the logits are then those along that path.
The kv_cache arms are in hf_kv_reference.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.models.gemma2.modeling_gemma2 import eager_attention_forward

WINDOW = 16


@dataclass
class Trajectory:
    """One generated row. Steps are the sampled tokens; the last one is never fed back."""

    tokens: list[int]
    logits: np.ndarray  # [steps, vocab]: row t is what token t was drawn from
    stop_reason: str  # eos | length | forced_end (a forced path ended before either)
    v_prompt: list[np.ndarray]  # per layer [T, n_kv_heads*head_dim]: V rows the first step attends to
    v_generated: list[np.ndarray]  # per layer [steps-1, n_kv_heads*head_dim]

    @property
    def margins(self) -> np.ndarray:
        """Largest minus second largest logit of every step, [steps]."""
        top = np.partition(self.logits, -2, axis=1)[:, -2:]
        return top[:, 1] - top[:, 0]


@dataclass
class VRecorder:
    """Outputs of every v_proj, in the order in which tokens went through the model."""

    rows: list[list[np.ndarray]] = field(default_factory=list)

    def layer(self, index: int) -> np.ndarray:
        return np.concatenate(self.rows[index])


def by_cells(attend):
    """Attention in which a single query sees its layer's cache, or the last cells of it, whatever other layers hold."""

    def attend_by_cells(module, query, key, value, attention_mask, sliding_window=None, **settings):
        if query.shape[2] == 1:
            attention_mask = None
            if sliding_window:
                key, value = key[:, :, -sliding_window:], value[:, :, -sliding_window:]
        return attend(module, query, key, value, attention_mask, **settings)

    return attend_by_cells


AttentionInterface.register("sdpa_by_cells", by_cells(sdpa_attention_forward))
AttentionMaskInterface.register("sdpa_by_cells", sdpa_mask)
AttentionInterface.register("eager_by_cells", by_cells(eager_attention_forward))  # with soft caps, which SDPA has not
AttentionMaskInterface.register("eager_by_cells", eager_mask)


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """A model in which a single query needs no mask, whatever each layer's cache holds."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    capped = getattr(model.config, "attn_logit_softcapping", None) and model.config.model_type == "gemma2"
    model.set_attn_implementation("eager_by_cells" if capped else "sdpa_by_cells")
    return model.eval()


def blocks(model: torch.nn.Module) -> torch.nn.ModuleList:
    return model.transformer.h if hasattr(model, "transformer") else model.base_model.layers


def attention_of(block: torch.nn.Module) -> torch.nn.Module:
    return next(getattr(block, name) for name in ("self_attn", "attention", "attn") if hasattr(block, name))


@dataclass(frozen=True)
class Projection:
    """Columns of a module's output that are the queries, keys or values."""

    module: torch.nn.Module
    columns: torch.Tensor | slice

    def of(self, output: torch.Tensor) -> torch.Tensor:
        return output[..., self.columns]

    def replaced(self, output: torch.Tensor, rows: torch.Tensor, at: slice) -> torch.Tensor:
        """`output` [1, T, width] with these rows of the projection replaced."""
        replaced = output.clone()
        part = self.of(replaced).clone()
        part[:, at] = rows
        replaced[..., self.columns] = part
        return replaced


def projection(model: torch.nn.Module, layer: int, site: str) -> Projection:
    """site: q_proj, k_proj or v_proj."""
    attention, config = attention_of(blocks(model)[layer]), model.config
    if hasattr(attention, site):
        return Projection(getattr(attention, site), slice(None))
    part = ("q_proj", "k_proj", "v_proj").index(site)
    if hasattr(attention, "query_key_value"):  # of every head q, k and v
        order = torch.arange(3 * config.hidden_size).view(config.num_attention_heads, 3, -1)
        return Projection(attention.query_key_value, order[:, part].flatten())
    if hasattr(attention, "c_attn"):
        return Projection(attention.c_attn, torch.arange(3 * config.hidden_size).chunk(3)[part])
    q, kv = config.num_attention_heads * attention.head_dim, config.num_key_value_heads * attention.head_dim
    return Projection(attention.qkv_proj, torch.arange(q + 2 * kv).split([q, kv, kv])[part])


def v_projections(model: torch.nn.Module) -> list[Projection]:
    return [projection(model, layer, "v_proj") for layer in range(len(blocks(model)))]


@contextmanager
def recorded_v(model: torch.nn.Module):
    """Forward hooks run in the order of their making: a patch made before is seen in the records."""
    projections = v_projections(model)
    recorder = VRecorder([[] for _ in projections])
    with ExitStack() as stack:
        for rows, projection in zip(recorder.rows, projections):
            keep = lambda module, inputs, output, rows=rows, of=projection.of: rows.append(of(output)[0].numpy().copy())
            stack.callback(projection.module.register_forward_hook(keep).remove)
        yield recorder


class VPatch:
    """Hooks that put a source's V rows in place of the model's own at some layers, inside the forward pass.

    While `decoding` is false the last `window` rows of a pass are replaced by the source's last ones; after
    that every row is replaced by the source's last row.
    """

    def __init__(self, model: torch.nn.Module, source_rows: dict[int, np.ndarray], window: int):
        self.decoding = False
        self.window = window
        projections = v_projections(model)
        self.handles = [
            projections[layer].module.register_forward_hook(
                partial(self._replace, projections[layer], torch.from_numpy(rows))
            )
            for layer, rows in source_rows.items()
        ]

    def _replace(self, projection, source, module, inputs, output):
        if self.decoding:
            return projection.replaced(output, source[-1], slice(None))
        return projection.replaced(output, source[-self.window :], slice(-self.window, None))

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


@torch.no_grad()
def feed(
    model: torch.nn.Module, tokens: Sequence[int], first_position: int, cache: DynamicCache | None = None
) -> torch.Tensor:
    """Logits [T, vocab] of `tokens` at consecutive positions; extends the cache."""
    positions = torch.arange(first_position, first_position + len(tokens))[None]
    output = model(torch.tensor([list(tokens)]), position_ids=positions, past_key_values=cache, use_cache=cache is not None)
    return output.logits[0]


@lru_cache(maxsize=64)
def prompt_v(model: torch.nn.Module, tokens: tuple[int, ...]) -> list[np.ndarray]:
    """V rows of an unpatched forward pass, per layer [T, n_kv_heads*head_dim]."""
    with recorded_v(model) as recorder:
        feed(model, tokens, 0)
    return [recorder.layer(l) for l in range(len(recorder.rows))]


def continue_greedily(
    first_logits: torch.Tensor, feed_token: Callable[[int], torch.Tensor], max_new_tokens: int, eos_ids: Set[int]
) -> tuple[list[int], np.ndarray, str]:
    """Tokens, their logits [steps, vocab] and the reason to stop. EOS is kept as the last token."""
    tokens: list[int] = []
    rows = [first_logits]
    while True:
        tokens.append(int(rows[-1].argmax()))
        if tokens[-1] in eos_ids or len(tokens) == max_new_tokens:
            return tokens, torch.stack(rows).numpy(), stop(tokens, max_new_tokens, eos_ids)[1]
        rows.append(feed_token(tokens[-1]))


def stop(tokens: Sequence[int], max_new_tokens: int, eos_ids: Set[int]) -> tuple[list[int], str]:
    """`tokens` up to where generation ends, and why: eos | length | forced_end."""
    for i, token in enumerate(tokens[:max_new_tokens]):
        if token in eos_ids:
            return list(tokens[: i + 1]), "eos"
    return list(tokens[:max_new_tokens]), "length" if len(tokens) >= max_new_tokens else "forced_end"


def generate(
    model: torch.nn.Module,
    prompt: Sequence[int],
    max_new_tokens: int,
    eos_ids: Set[int] = frozenset(),
    forced: Sequence[int] | None = None,
) -> Trajectory:
    """Unpatched continuation of `prompt`: base, source, and what a full swap must equal."""
    return _generate(model, prompt, None, "prefill", max_new_tokens, eos_ids, forced)


def generate_v_proj(
    model: torch.nn.Module,
    base: Sequence[int],
    source: Sequence[int],
    layers: Sequence[int],
    decode: str,
    max_new_tokens: int,
    eos_ids: Set[int] = frozenset(),
    forced: Sequence[int] | None = None,
    window: int = WINDOW,
) -> Trajectory:
    """decode=persist patches the whole generation, decode=prefill the prompt only. Prompts shorter than the
    window shrink it, as in the preset notebook_b."""
    if decode not in ("persist", "prefill"):
        raise ValueError(decode)
    source_v = prompt_v(model, tuple(source))
    patch = VPatch(model, {l: source_v[l] for l in layers}, min(window, len(base), len(source)))
    try:
        return _generate(model, base, patch, decode, max_new_tokens, eos_ids, forced)
    finally:
        patch.remove()


def _generate(model, prompt, patch, decode, max_new_tokens, eos_ids, forced) -> Trajectory:
    """A forced path is fed in one pass after the prompt."""
    n = len(prompt)
    cache = DynamicCache()
    with recorded_v(model) as recorder:
        first = feed(model, prompt, 0, cache)[-1]
        if patch and decode == "persist":
            patch.decoding = True
        elif patch:
            patch.remove()
        if forced is None:
            feed_token = lambda token: feed(model, [token], cache.get_seq_length(), cache)[-1]
            tokens, logits, reason = continue_greedily(first, feed_token, max_new_tokens, eos_ids)
        else:
            tokens, reason = stop(forced, max_new_tokens, eos_ids)
            logits = first[None].numpy()
            if len(tokens) > 1:
                logits = np.concatenate((logits, feed(model, tokens[:-1], n, cache).numpy()))
    rows = [recorder.layer(l) for l in range(len(recorder.rows))]
    return Trajectory(tokens, logits, reason, [r[:n] for r in rows], [r[n:] for r in rows])
