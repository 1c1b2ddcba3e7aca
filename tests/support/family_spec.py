"""A family's arithmetic as data, read from a model folder's config.json by the definitions of transformers.

New families add an entry of FAMILIES, and a field where they differ from those before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

QKV = ("q_proj", "k_proj", "v_proj")
ATTENTION = (*QKV, "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
NEVER_FULL = 1 << 30


@dataclass(frozen=True)
class Family:
    biases: tuple[str, ...] = ()  # products that have one
    more_biases: tuple[str, ...] = ()  # with "attention_bias": true
    norm: str = "rms"  # "rms", "rms of 1 + weight" or "layer"
    qk_norm: str = ""  # of queries and keys before rotation: "each head", "all heads" or none
    norms_before: bool = True  # of what a half reads
    norms_after: bool = False  # of what a half adds to the stream
    gated: bool = True
    scaled_embedding: bool = False
    soft_caps: tuple[str, ...] = ()  # keys of config.json that have an effect
    window_pattern: int = 0  # every so-manyth layer is of full attention, the others of sliding attention; 0: all full
    own_rotations: bool = False  # of layers of sliding attention
    layout: str = ""  # of the files, where it is not Llama's: "fused", "gpt_neox" or "gpt2"
    names: Mapping[str, str] = field(default_factory=dict)  # Llama's key -> its own


GEMMA2 = Family((), ATTENTION, "rms of 1 + weight", norms_after=True, scaled_embedding=True, window_pattern=2,
                soft_caps=("attn_logit_softcapping", "final_logit_softcapping"), names={"hidden_act": "hidden_activation"})  # fmt: skip
GEMMA3 = Family((), ATTENTION, "rms of 1 + weight", "each head", norms_after=True, scaled_embedding=True, window_pattern=6,
                soft_caps=("final_logit_softcapping",), own_rotations=True, names={"hidden_act": "hidden_activation"})  # fmt: skip
FAMILIES = {
    "llama": Family((), ATTENTION),
    "mistral": Family(window_pattern=NEVER_FULL),
    "ministral": Family(window_pattern=NEVER_FULL),
    "qwen2": Family(QKV),
    "qwen3": Family((), ATTENTION, qk_norm="each head"),
    "olmo2": Family((), ATTENTION, qk_norm="all heads", norms_before=False, norms_after=True),
    "olmo3": Family((), ATTENTION, qk_norm="all heads", norms_before=False, norms_after=True, window_pattern=4,
                    own_rotations=True),  # fmt: skip
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "gemma3": GEMMA3,
    "gpt_neox": Family(("up_proj", "down_proj"), ATTENTION, "layer", gated=False, layout="gpt_neox",
                       names={"rms_norm_eps": "layer_norm_eps"}),  # fmt: skip
    "gpt2": Family((*ATTENTION, "up_proj", "down_proj"), (), "layer", gated=False, layout="gpt2", names={
        "rms_norm_eps": "layer_norm_epsilon", "hidden_act": "activation_function", "hidden_size": "n_embd",
        "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}),  # fmt: skip
    "phi3": Family(window_pattern=NEVER_FULL, layout="fused"),
}


@dataclass(frozen=True)
class FamilySpec:
    family: Family
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    hidden_size: int
    epsilon: float  # of every norm
    ropes: tuple[Mapping[str, object], ...]  # per layer: rope_type, rope_theta and what the type needs; none where learned
    windows: tuple[int, ...]  # per layer: cells that a query sees at most, its own among them; 0: all
    longest: int
    biases: tuple[str, ...]
    tied_head: bool
    activation: str
    parallel: bool  # attention and MLP read the same
    query_scalar: float  # scores are divided by its root
    score_cap: float  # 0: none
    logit_cap: float
    embedding_scale: float

    @property
    def rotates(self) -> bool:
        return bool(self.ropes)

    def heads_of(self, site: str) -> int:
        """Heads of what a site or the KV cache holds: query heads, KV heads or one."""
        if site in ("q_proj", "z"):
            return self.n_heads
        return self.n_kv_heads if site in ("k_proj", "v_proj", "kv_cache") else 1

    def width_of(self, site: str) -> int:
        with_heads = site in ("q_proj", "k_proj", "v_proj", "z")
        return self.heads_of(site) * self.head_dim if with_heads else self.hidden_size

    def inverse_frequencies(self, layer: int) -> Tensor:
        """float64, of half of the elements that are rotated, scaled as the rope type says."""
        if not self.rotates:
            return torch.zeros(0, dtype=torch.float64)
        rope = self.ropes[layer]
        size = int(self.head_dim * rope.get("partial_rotary_factor", 1.0))
        plain = rope["rope_theta"] ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        kind = rope["rope_type"]
        if kind in ("default", "dynamic"):
            return plain
        if kind == "linear":
            return plain / rope["factor"]
        if kind in ("longrope", "su"):
            return plain / torch.tensor(rope["short_factor"], dtype=torch.float64)
        turns = rope["original_max_position_embeddings"] * plain / (2 * math.pi)  # within the original context
        if kind == "yarn":
            return plain * (1 - (1 - 1 / rope["factor"]) * yarn_ramp(rope, size))
        if kind != "llama3":
            raise ValueError(kind)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        share = ((turns - low) / (high - low)).clamp(0, 1)
        return plain * (share + (1 - share) / rope["factor"])

    def rotation_scale(self, layer: int) -> float:
        """Of cos and sin, where tokens are fed."""
        rope = self.ropes[layer] if self.rotates else {"rope_type": "default"}
        if rope["rope_type"] == "yarn":
            return rope.get("attention_factor") or 0.1 * math.log(rope["factor"]) + 1
        if rope["rope_type"] in ("longrope", "su"):
            original = rope["original_max_position_embeddings"]
            return rope.get("attention_factor") or math.sqrt(1 + math.log(self.longest / original) / math.log(original))
        return 1.0

    def norms(self, block: str) -> dict[str, str]:
        """What is normed -> the norm's name; Llama's second has that of another where norms follow the halves."""
        names = {}
        if self.family.norms_before:
            names["attention reads"] = f"{block}.input_layernorm"
            names["mlp reads"] = f"{block}.{'pre_feedforward' if self.family.norms_after else 'post_attention'}_layernorm"
        if self.family.norms_after:
            names["attention adds"] = f"{block}.post_attention_layernorm"
            names["mlp adds"] = f"{block}.post_feedforward_layernorm"
        return names

    def parameters(self) -> set[str]:
        """Llama's names of all parameters."""
        norms, products = ["model.norm"], [] if self.tied_head else ["lm_head"]
        mlp = MLP if self.family.gated else MLP[1:]
        for layer in range(self.n_layers):
            block = f"model.layers.{layer}"
            norms += self.norms(block).values()
            norms += [f"{block}.self_attn.{name}_norm" for name in "qk" if self.family.qk_norm]
            products += [f"{block}.self_attn.{name}" for name in ATTENTION] + [f"{block}.mlp.{name}" for name in mlp]
        names = {f"{name}.weight" for name in ("model.embed_tokens", *norms, *products)}
        names |= {f"{name}.bias" for name in norms if self.family.norm == "layer"}
        names |= {f"{name}.bias" for name in products if name.split(".")[-1] in self.biases}
        return names if self.rotates else names | {"model.embed_positions.weight"}

    def renamed(self, files: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Llama's names and matrices of what the files hold."""
        return {new: tensor for name, whole in files.items() for new, tensor in self._parts(name, whole).items()}

    def _parts(self, name: str, whole: Tensor) -> dict[str, Tensor]:
        name = name.removeprefix("language_model.").replace("model.language_model.", "model.")
        name = name.replace("embed_out.", "lm_head.")
        size, q, kv = self.head_dim, self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        for old, new in RENAMED.get(self.family.layout, ()):
            name = name.replace(old, new)
        fused = name.replace("qkv_proj", "{}"), name.replace("gate_up_proj", "{}")
        if fused[1] != name:
            return dict(zip((fused[1].format(part) for part in MLP[:2]), whole.chunk(2)))
        if self.family.layout == "gpt2" and whole.ndim == 2 and ".layers." in name:
            whole = whole.T
        if fused[0] == name:
            return {name: whole}
        if self.family.layout == "gpt_neox":  # of every head q, k and v
            parts = whole.unflatten(0, (self.n_heads, 3, size)).transpose(0, 1).flatten(1, 2)
        else:
            parts = whole.split([q, kv, kv])
        return dict(zip((fused[0].format(part) for part in QKV), parts))


RENAMED = {
    "gpt_neox": [
        ("gpt_neox.", "model."), ("embed_in", "embed_tokens"), ("final_layer_norm", "norm"), ("attention.dense", "self_attn.o_proj"),
        ("attention.query_key_value", "self_attn.qkv_proj"), ("dense_h_to_4h", "up_proj"), ("dense_4h_to_h", "down_proj"),
    ],
    "gpt2": [
        ("transformer.", "model."), (".h.", ".layers."), ("wte", "embed_tokens"), ("wpe", "embed_positions"), ("ln_f", "norm"),
        ("ln_1", "input_layernorm"), ("ln_2", "post_attention_layernorm"), ("attn.c_attn", "self_attn.qkv_proj"),
        ("attn.c_proj", "self_attn.o_proj"), ("mlp.c_fc", "mlp.up_proj"), ("mlp.c_proj", "mlp.down_proj"),
    ],
}  # fmt: skip


def yarn_ramp(rope: Mapping, size: int) -> Tensor:
    """0 for frequencies that are kept, 1 for those that are divided by the factor (Peng et al. 2023)."""
    original, theta = rope["original_max_position_embeddings"], rope["rope_theta"]
    index = lambda turns: size * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))
    low = max(math.floor(index(rope.get("beta_fast") or 32)), 0)
    high = min(math.ceil(index(rope.get("beta_slow") or 1)), size - 1)
    return ((torch.arange(size // 2, dtype=torch.float64) - low) / max(high - low, 0.001)).clamp(0, 1)


def read_family_spec(folder: Path) -> FamilySpec:
    config = json.loads((folder / "config.json").read_text())
    family = FAMILIES[config["model_type"]]
    config |= {key: value for key, value in config.get("text_config", {}).items() if key != "model_type"}
    get = lambda key, otherwise=None: config.get(family.names.get(key, key), config.get(key, otherwise))
    n_heads, n_layers = get("num_attention_heads"), get("num_hidden_layers")
    head_dim = get("head_dim") or get("hidden_size") // n_heads
    cap = lambda key: (get(key) or 0.0) if key in family.soft_caps else 0.0
    more = family.more_biases if get("attention_bias", family.layout == "gpt_neox") else ()
    return FamilySpec(
        family=family,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=get("num_key_value_heads") or n_heads,
        head_dim=head_dim,
        hidden_size=get("hidden_size"),
        epsilon=get("rms_norm_eps"),
        ropes=() if family.layout == "gpt2" else read_ropes(config, family, n_layers),
        windows=read_windows(config, family, n_layers),
        longest=get("max_position_embeddings", 0),
        biases=(*family.biases, *more, *(MLP if get("mlp_bias") else ())),
        tied_head=get("tie_word_embeddings", family.layout == "gpt2"),
        activation=get("hidden_act"),
        parallel=get("use_parallel_residual", False),
        query_scalar=get("query_pre_attn_scalar", head_dim),
        score_cap=cap("attn_logit_softcapping"),
        logit_cap=cap("final_logit_softcapping"),
        embedding_scale=get("hidden_size") ** 0.5 if family.scaled_embedding else 1.0,
    )


def kinds_of(config: Mapping, family: Family, n_layers: int) -> list[str]:
    """The kind of attention of every layer."""
    if not family.window_pattern:
        return ["full_attention"] * n_layers
    usual = ["sliding_attention" if (i + 1) % family.window_pattern else "full_attention" for i in range(n_layers)]
    return config.get("layer_types") or usual


def read_windows(config: Mapping, family: Family, n_layers: int) -> tuple[int, ...]:
    size = config.get("sliding_window") or 0
    return tuple(size if kind == "sliding_attention" else 0 for kind in kinds_of(config, family, n_layers))


def read_ropes(config: Mapping, family: Family, n_layers: int) -> tuple[dict[str, object], ...]:
    """transformers 5 writes rope_parameters, 4 rope_theta and rope_scaling, whose oldest name for the type is "type"."""
    if not family.own_rotations:
        return (read_rope(config),) * n_layers
    kinds = kinds_of(config, family, n_layers)
    if "rope_parameters" in config:
        return tuple(dict(config["rope_parameters"][kind]) for kind in kinds)
    local = {"rope_type": "default", "rope_theta": config["rope_local_base_freq"]}
    return tuple(read_rope(config) if kind == "full_attention" else local for kind in kinds)


def read_rope(config: Mapping) -> dict[str, object]:
    if "rope_parameters" in config:
        return {"original_max_position_embeddings": config.get("original_max_position_embeddings")} | config["rope_parameters"]
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type") or scaling.get("type", "default")
    theta = config.get("rope_theta") or config["rotary_emb_base"]
    return {**scaling, "rope_type": kind, "rope_theta": theta, "partial_rotary_factor": config.get("rotary_pct", 1.0)}
