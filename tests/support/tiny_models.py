"""Tiny random models of every supported family, made on the spot: weights, config and tokenizer in one folder.

Weights are drawn wide enough that attention is far from uniform and logits are far apart. Norms and biases,
which transformers starts at 1 and 0, are drawn too, so that leaving one out is seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers import MinistralConfig, MinistralForCausalLM, Olmo3Config, Olmo3ForCausalLM
from transformers import Olmo2Config, Olmo2ForCausalLM, Phi3Config, Phi3ForCausalLM
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from prompt_texts import sentences

VOCABULARY = 600
SPECIAL_TOKENS = ["<|begin|>", "<|end|>", "<|stop|>"]
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.15,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}
LLAMA3_SCALING = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def make_tokenizer(folder: Path, bos_by_template: bool) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # Without byte 0, which HDF5 text can not hold, so that /rows/text is comparable as a whole.
    alphabet = [letter for letter in pre_tokenizers.ByteLevel.alphabet() if letter != "\u0100"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(seed=1, count=2000), trainer)
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise AssertionError(f"the training text gave {tokenizer.get_vocab_size()} tokens, not {VOCABULARY}")
    if bos_by_template:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B", special_tokens=[("<|begin|>", 0)]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    # <|stop|> ends a row here only through the tokenizer's own configuration.
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|stop|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))


def randomise(model: torch.nn.Module, bias: float = 0.5) -> None:
    """Draws what is constant at the start, biases with a deviation of `bias`, and spreads the logits of an untied head.

    A model whose blocks compute less than biases or the token's own embedding weigh repeats one token, and tests of
    its tokens see little: hence the small biases of some families and Gemma's large norms.
    """
    gemma = "gemma" in model.config.model_type
    with torch.no_grad():
        if not model.config.tie_word_embeddings:
            model.get_output_embeddings().weight.mul_(3.0)
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight") or "ln_" in name and name.endswith("weight"):
                parameter.uniform_(-0.5, 0.5) if gemma else parameter.uniform_(0.5, 1.5)
                if gemma and re.search("post_(attention|feedforward)_", name):
                    parameter.add_(3.5)
                elif gemma and re.search("[qk]_norm", name):
                    parameter.add_(1.0)
            elif name.endswith(".bias"):
                parameter.normal_(0.0, bias)


def save(
    folder: Path, model: torch.nn.Module, stop_ids: list[int], bos_by_template: bool, shard_size: str = "1GB"
) -> Path:
    """`stop_ids`: the eos ids of generation_config.json; config.json keeps its own single id."""
    model.generation_config.eos_token_id = stop_ids
    model.save_pretrained(folder, max_shard_size=shard_size)
    make_tokenizer(folder, bos_by_template)
    return folder


def rewrite_in_transformers_4_style(folder: Path) -> None:
    """config.json as older folders have it: rope_theta, rope_scaling and torch_dtype on the top level."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    config["rope_scaling"] = scaling
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.44.0"
    path.write_text(json.dumps(config, indent=2))


def llama(folder: Path) -> Path:
    """Grouped queries, head_dim that is not hidden_size/heads, several shards, BOS by template."""
    config = LlamaConfig(**COMMON, head_dim=24, rope_parameters={"rope_type": "default", "rope_theta": 1e4})
    model = LlamaForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, 90, 91, 92, 93, 94, 95], bos_by_template=True, shard_size="200KB")


def llama31(folder: Path, attention_bias: bool = False) -> Path:
    """Llama-3.1 rope scaling, config.json as transformers 5 writes it, BOS by template."""
    config = LlamaConfig(**COMMON, rope_parameters=LLAMA3_SCALING, rms_norm_eps=1e-5, attention_bias=attention_bias)
    model = LlamaForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, 300, 301, 302], bos_by_template=True)


def llama31_v4(folder: Path) -> Path:
    """The same with biases on q, k, v and o, and config.json in the style of transformers 4."""
    llama31(folder, attention_bias=True)
    rewrite_in_transformers_4_style(folder)
    return folder


def llama_linear(folder: Path) -> Path:
    """Linear rope scaling, weights stored as float16, a head of its own that config.json calls tied."""
    config = LlamaConfig(**COMMON, rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 3.0})
    model = LlamaForCausalLM(config)
    randomise(model)
    save(folder, model.to(torch.float16), [1, 310, 311, 312], bos_by_template=False)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tie_word_embeddings": True}, indent=2))
    return folder


def llama_linear_v4(folder: Path) -> Path:
    """The same kind of model with config.json in the oldest style: the scaling's name under "type"."""
    llama_linear(folder)
    rewrite_in_transformers_4_style(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["rope_scaling"]["type"] = config["rope_scaling"].pop("rope_type")
    path.write_text(json.dumps(config, indent=2))
    return folder


def mistral(folder: Path) -> Path:
    """A sliding window that most rows outgrow, more query heads per KV head, weights stored as bfloat16, no BOS."""
    shape = COMMON | {"num_key_value_heads": 1}
    config = MistralConfig(**shape, sliding_window=20, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    model = MistralForCausalLM(config)
    randomise(model)
    return save(folder, model.to(torch.bfloat16), [1, *range(140, 152)], bos_by_template=False)


MIXED_LAYERS = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]


def ministral(folder: Path) -> Path:
    """Sliding windows in three of five layers, rotated like the others."""
    rope = {"rope_type": "default", "rope_theta": 1e6}
    config = MinistralConfig(**COMMON, head_dim=32, sliding_window=12, layer_types=MIXED_LAYERS, rope_parameters=rope)
    model = MinistralForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, *range(60, 72)], bos_by_template=True)


def qwen2(folder: Path) -> Path:
    """Biases on q, k and v, tied head, more rows in the embedding than the tokenizer has tokens, no BOS."""
    shape = COMMON | {"vocab_size": VOCABULARY + 40}
    config = Qwen2Config(**shape, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    model = Qwen2ForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, *range(80, 92)], bos_by_template=False)


def qwen3(folder: Path) -> Path:
    """Normed heads, whose size is none of the shape's, and biases of the attention's products."""
    config = Qwen3Config(
        **COMMON, head_dim=40, attention_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 1e6}
    )
    model = Qwen3ForCausalLM(config)
    randomise(model, bias=0.1)
    return save(folder, model, [1, 65, 379, 60, 61], bos_by_template=False)


def olmo2(folder: Path) -> Path:
    """Norms after the halves alone, and over all heads of queries and of keys; as many KV heads as heads."""
    shape = COMMON | {"num_key_value_heads": 4}
    config = Olmo2Config(**shape, rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    model = Olmo2ForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, *range(60, 72)], bos_by_template=False)


def olmo3(folder: Path) -> Path:
    """The same with sliding windows in three of five layers, of which the others are rotated by YaRN."""
    rope = {
        "full_attention": {"rope_type": "yarn", "rope_theta": 5e5, "factor": 4.0, "original_max_position_embeddings": 64},
        "sliding_attention": {"rope_type": "default", "rope_theta": 5e5},
    }
    shape = COMMON | {"sliding_window": 12, "layer_types": MIXED_LAYERS}
    model = Olmo3ForCausalLM(Olmo3Config(**shape, rope_parameters=rope))
    randomise(model)
    return save(folder, model, [1, *range(60, 72)], bos_by_template=False)


GEMMA = COMMON | {"head_dim": 24, "sliding_window": 20, "query_pre_attn_scalar": 40}


def gemma2(folder: Path) -> Path:
    """Soft caps that are reached, windows in every other layer, scores scaled by another number than head_dim."""
    config = Gemma2Config(**GEMMA, attn_logit_softcapping=5.0, final_logit_softcapping=8.0)
    model = Gemma2ForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, 214, 212, 254, 60], bos_by_template=True)


def gemma3_text(folder: Path) -> Path:
    """Two rotations, of which one is scaled, and normed heads."""
    rope = {
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    config = Gemma3TextConfig(**GEMMA, rope_parameters=rope, layer_types=MIXED_LAYERS, final_logit_softcapping=8.0)
    model = Gemma3ForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, *range(60, 72)], bos_by_template=True)


def gpt_neox(folder: Path) -> Path:
    """LayerNorm, attention and MLP side by side, half of each head rotated, q, k and v head by head, biases everywhere."""
    shape = {key: value for key, value in COMMON.items() if key != "num_key_value_heads"}
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**shape, rope_parameters=rope))
    randomise(model, bias=0.05)
    return save(folder, model, [1, 248, 229, 212, 60], bos_by_template=False)


def gpt2(folder: Path) -> Path:
    """Learned positions, transposed matrices, one of q, k and v, a tied head."""
    shape = {key: COMMON[key] for key in ("vocab_size", "initializer_range", "bos_token_id", "eos_token_id")}
    config = GPT2Config(**shape, n_embd=64, n_layer=5, n_head=4, n_inner=112, n_positions=1024)
    model = GPT2LMHeadModel(config)
    randomise(model, bias=0.05)
    return save(folder, model, [1, 325, 373, 391, 163], bos_by_template=False)


def phi3(folder: Path) -> Path:
    """Fused matrices, three quarters of each head rotated, LongRoPE that never leaves its original context."""
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
    rope |= {"short_factor": [1.0, 1.1, 1.2, 1.4, 1.7, 2.0], "long_factor": [1.0, 2.0, 3.0, 5.0, 8.0, 9.0]}
    config = Phi3Config(**COMMON | {"max_position_embeddings": 4096}, original_max_position_embeddings=1024, rope_parameters=rope)
    model = Phi3ForCausalLM(config)
    randomise(model)
    return save(folder, model, [1, *range(60, 72)], bos_by_template=False)


def llama_yarn(folder: Path) -> Path:
    """YaRN, whose scale of cos and sin must not be applied to a donor's keys again, and biases in the MLP."""
    rope = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}
    model = LlamaForCausalLM(LlamaConfig(**COMMON, rope_parameters=rope, mlp_bias=True))
    randomise(model)
    return save(folder, model, [1, *range(60, 72)], bos_by_template=True)


MAKERS = (llama, llama31, llama31_v4, llama_linear, llama_linear_v4, mistral, ministral, qwen2, qwen3, olmo2, olmo3)
MAKERS += (gemma2, gemma3_text, gpt_neox, gpt2, phi3, llama_yarn)
FAMILIES: dict[str, Callable[[Path], Path]] = {maker.__name__: maker for maker in MAKERS}


def make(family: str, folder: Path) -> Path:
    """Writes the model of `family` into `folder` (created); the same files every time."""
    folder.mkdir(parents=True)
    generator_state = torch.get_rng_state()
    try:
        torch.manual_seed(20)
        return FAMILIES[family](folder)
    finally:
        torch.set_rng_state(generator_state)
