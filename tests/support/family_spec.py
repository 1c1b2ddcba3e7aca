"""A family's arithmetic as data, read from a model folder's config.json by the definitions of transformers.

New families add an entry of BIASES, and a field where they differ from those before. Sliding windows need none: a row
ends before it reaches one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

QKV = ("q_proj", "k_proj", "v_proj")
# model_type -> the attention's products that have a bias, without and with "attention_bias": true
BIASES = {"llama": ((), (*QKV, "o_proj")), "mistral": ((), ()), "qwen2": (QKV, QKV), "qwen3": ((), (*QKV, "o_proj"))}
HEAD_NORMS = {"qwen3"}  # RMSNorm of each head's queries and keys before rotation


@dataclass(frozen=True)
class FamilySpec:
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    epsilon: float  # of every RMS norm
    rope: Mapping[str, object]  # rope_type, rope_theta and what the type needs
    biases: tuple[str, ...]
    tied_head: bool
    head_norms: bool

    def heads_of(self, site: str) -> int:
        """Heads of what a site or the KV cache holds: query heads, KV heads or one."""
        if site in ("q_proj", "z"):
            return self.n_heads
        return self.n_kv_heads if site in ("k_proj", "v_proj", "kv_cache") else 1

    def inverse_frequencies(self) -> Tensor:
        """[head_dim/2] float64, scaled as the rope type says."""
        rope, size = self.rope, self.head_dim
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

    def parameters(self) -> set[str]:
        """Names of all tensors that the folder holds."""
        names = {"model.embed_tokens.weight", "model.norm.weight"}
        if not self.tied_head:
            names.add("lm_head.weight")
        for layer in range(self.n_layers):
            block = f"model.layers.{layer}"
            names |= {f"{block}.{norm}_layernorm.weight" for norm in ("input", "post_attention")}
            names |= {f"{block}.self_attn.{name}.weight" for name in (*QKV, "o_proj")}
            names |= {f"{block}.self_attn.{name}.bias" for name in self.biases}
            names |= {f"{block}.self_attn.{name}_norm.weight" for name in "qk" if self.head_norms}
            names |= {f"{block}.mlp.{name}_proj.weight" for name in ("gate", "up", "down")}
        return names


def read_family_spec(folder: Path) -> FamilySpec:
    config = json.loads((folder / "config.json").read_text())
    n_heads = config["num_attention_heads"]
    without_bias, with_bias = BIASES[config["model_type"]]
    return FamilySpec(
        n_layers=config["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=config.get("num_key_value_heads") or n_heads,
        head_dim=config.get("head_dim") or config["hidden_size"] // n_heads,
        epsilon=config["rms_norm_eps"],
        rope=read_rope(config),
        biases=with_bias if config.get("attention_bias") else without_bias,
        tied_head=config.get("tie_word_embeddings", False),
        head_norms=config["model_type"] in HEAD_NORMS,
    )


def read_rope(config: Mapping) -> dict[str, object]:
    """transformers 5 writes rope_parameters, 4 rope_theta and rope_scaling, whose oldest name for the type is "type"."""
    if "rope_parameters" in config:
        return dict(config["rope_parameters"])
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type") or scaling.get("type", "default")
    return {**scaling, "rope_type": kind, "rope_theta": config["rope_theta"]}
