"""A Llama-family forward pass in plain PyTorch float32: every key, value, position and mask is a tensor in sight.

It reads weights from a Hugging Face module (Llama with or without rope scaling, Mistral, Qwen2) and none of its code.
Every named place of the pass can be edited, and what stood there is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Where a forward pass can be patched, in the order in which a block meets them; heads of each: query, KV or one.
SITES = ("resid_pre", "q_proj", "k_proj", "v_proj", "z", "attn_out", "mlp_out", "resid_post")

Edit = Callable[[str, int, Tensor], Tensor]  # (site, layer, [T, heads, size]) -> the same shape


@dataclass(frozen=True)
class Cells:
    """Keys and values of consecutive cache cells of one layer, each [C, n_kv_heads, head_dim]; keys are rotated."""

    keys: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, cut: slice) -> Cells:
        return Cells(self.keys[cut], self.values[cut])


def joined(parts: Sequence[Cells]) -> Cells:
    return Cells(torch.cat([p.keys for p in parts]), torch.cat([p.values for p in parts]))


@dataclass(frozen=True)
class Pass:
    """What T tokens left behind."""

    cells: list[Cells]  # per layer, of these tokens alone
    activations: dict[str, list[Tensor]]  # site -> per layer [T, heads, size], edits included
    logits: Tensor  # [vocab] of the last token


def inverse_frequencies(config) -> Tensor:
    """[head_dim/2] float64, with the scaling of the config's rope type."""
    rope = config.rope_parameters
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    plain = rope["rope_theta"] ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    kind = rope["rope_type"]
    if kind == "default":
        return plain
    if kind == "linear":
        return plain / rope["factor"]
    if kind != "llama3":
        raise ValueError(kind)
    turns = rope["original_max_position_embeddings"] * plain / (2 * math.pi)  # within the original context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    share = ((turns - low) / (high - low)).clamp(0, 1)
    return plain * (share + (1 - share) / rope["factor"])


class ExplicitModel:
    def __init__(self, module: torch.nn.Module):
        config = module.config
        self.n_layers = config.num_hidden_layers
        self.n_heads = config.num_attention_heads
        self.n_kv_heads = config.num_key_value_heads
        self.epsilon = config.rms_norm_eps
        self.inv_freq = inverse_frequencies(config)
        self.weights = {name: value.detach().float() for name, value in module.state_dict().items()}
        if config.tie_word_embeddings:
            self.weights["lm_head.weight"] = self.weights["model.embed_tokens.weight"]

    def heads_of(self, site: str) -> int:
        if site in ("q_proj", "z"):
            return self.n_heads
        return self.n_kv_heads if site in ("k_proj", "v_proj", "kv_cache") else 1

    def linear(self, name: str, x: Tensor) -> Tensor:
        out = x @ self.weights[name + ".weight"].T
        bias = self.weights.get(name + ".bias")
        return out if bias is None else out + bias

    def norm(self, name: str, x: Tensor) -> Tensor:
        return self.weights[name + ".weight"] * (x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.epsilon))

    def rotate(self, x: Tensor, positions: Tensor | int) -> Tensor:
        """x [T, heads, head_dim] turned to (or by) `positions`: pairs (i, i + head_dim/2), in float64."""
        positions = torch.as_tensor(positions, dtype=torch.float64).expand(len(x))
        angles = positions[:, None, None] * self.inv_freq
        cos, sin = angles.cos(), angles.sin()
        first, second = x.double().chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)

    def attend(self, queries: Tensor, seen: Cells, visible: Tensor) -> Tensor:
        """queries [T, n_heads, head_dim] over cells, where visible [T, C] says so -> [T, n_heads, head_dim]."""
        group = self.n_heads // self.n_kv_heads
        keys = seen.keys.repeat_interleave(group, dim=1)
        values = seen.values.repeat_interleave(group, dim=1)
        logits = torch.einsum("thd,chd->htc", queries, keys) / math.sqrt(queries.shape[-1])
        shares = torch.softmax(logits.masked_fill(~visible, -math.inf), dim=-1)
        return torch.einsum("htc,chd->thd", shares, values)

    def forward(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        past: Sequence[Cells] | None = None,
        edit: Edit | None = None,
    ) -> Pass:
        """Tokens that see all of `past` (per layer), each other causally, and themselves."""
        count = len(tokens)
        where = torch.tensor(list(positions))
        causal = torch.ones(count, count, dtype=torch.bool).tril()
        activations: dict[str, list[Tensor]] = {site: [] for site in SITES}
        cells = []

        def at(site: str, x: Tensor) -> Tensor:
            """x [T, heads * size] edited; kept by head."""
            parts = x.reshape(count, self.heads_of(site), -1)
            if edit is not None:
                parts = edit(site, len(activations[site]), parts)
            activations[site].append(parts)
            return parts

        x = self.weights["model.embed_tokens.weight"][list(tokens)]
        for index in range(self.n_layers):
            block = f"model.layers.{index}"
            x = at("resid_pre", x).flatten(1)
            h = self.norm(block + ".input_layernorm", x)
            projected = (at(s, self.linear(f"{block}.self_attn.{s}", h)) for s in ("q_proj", "k_proj", "v_proj"))
            queries, keys, values = projected
            own = Cells(self.rotate(keys, where), values)
            cells.append(own)
            seen = own if past is None else joined((past[index], own))
            visible = torch.cat((torch.ones(count, len(seen) - count, dtype=torch.bool), causal), dim=1)
            z = at("z", self.attend(self.rotate(queries, where), seen, visible).flatten(1))
            x = x + at("attn_out", self.linear(block + ".self_attn.o_proj", z.flatten(1))).flatten(1)
            h = self.norm(block + ".post_attention_layernorm", x)
            gate, up = (self.linear(f"{block}.mlp.{name}_proj", h) for name in ("gate", "up"))
            x = x + at("mlp_out", self.linear(block + ".mlp.down_proj", gate * torch.sigmoid(gate) * up)).flatten(1)
            x = at("resid_post", x).flatten(1)
        return Pass(cells, activations, self.unembed(x[-1]))

    def unembed(self, x: Tensor) -> Tensor:
        """Final norm and head: logits of a residual stream [..., hidden]."""
        return self.linear("lm_head", self.norm("model.norm", x))
