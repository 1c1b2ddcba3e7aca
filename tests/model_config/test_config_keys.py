"""The keys that src/model_config/config_keys.cpp knows are those of transformers' configuration classes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from transformers import Gemma2Config, Gemma3Config, Gemma3TextConfig, GenerationConfig, GPT2Config, GPTNeoXConfig
from transformers import LlamaConfig, MinistralConfig, MistralConfig, Olmo2Config, Olmo3Config, Phi3Config
from transformers import Qwen2Config, Qwen3Config

FOLDER = Path(__file__).parents[2] / "src" / "model_config"
SOURCE = (FOLDER / "config_keys.cpp").read_text()
READER = (FOLDER / "model_config.cpp").read_text() + (FOLDER / "positions.cpp").read_text()
FAMILIES = (FOLDER / "families.cpp").read_text()
CLASSES = [LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config, Olmo2Config, Gemma2Config, Gemma3Config]
CLASSES += [Gemma3TextConfig, GPTNeoXConfig, GPT2Config, Phi3Config, MinistralConfig, Olmo3Config]


OF_THE_CLASS = {"base_model_tp_plan", "base_model_pp_plan", "keys_to_ignore_at_inference", "attribute_map"}
OF_THE_CLASS |= {"sub_configs_defaults", "default_theta"}


def keys_of(table: str) -> set[str]:
    [body] = re.findall(rf"{table}{{(.*?)}};", SOURCE, re.DOTALL)
    return set(re.findall(r'"(\w+)"', body))


@pytest.mark.parametrize("config", CLASSES)
def test_every_key_of_the_class_is_known(config):
    aliases = set(re.findall(r'{"(\w+)", "\w+"}', FAMILIES))  # a family's own names of read keys
    known = keys_of("read_keys") | keys_of("keys_without_effect") | aliases | {"text_config"}
    of_class = set(config().to_dict()) | set(config.__annotations__)
    assert not of_class - known - OF_THE_CLASS


def test_what_is_called_read_is_read():
    assert not [key for key in keys_of("read_keys") if f'"{key}"' not in READER]
    assert not keys_of("read_keys") & keys_of("keys_without_effect")


def test_every_setting_of_generation_is_known():
    """Each is a sweep's own, has no part in which tokens are drawn, or is told of."""
    ours = {"do_sample", "eos_token_id", "max_length", "max_new_tokens", "repetition_penalty", "temperature"}
    ours |= {"top_k", "top_p"}
    beams = {"diversity_penalty", "early_stopping", "length_penalty", "num_beam_groups", "num_return_sequences"}
    speed = {"assistant_ensemble_weight", "max_cache_len", "speculation_type", "use_mtp", "assistant_confidence_threshold"}
    speed |= {"assistant_early_exit", "assistant_lookbehind", "cache_config"}
    speed |= {"cache_implementation", "compile_config", "continuous_batching_config", "disable_compile", "is_assistant"}
    speed |= {"low_memory", "max_matching_ngram_size", "num_assistant_tokens", "num_assistant_tokens_schedule"}
    speed |= {"prefill_chunk_size", "prompt_lookup_num_tokens", "target_lookbehind", "use_cache"}
    form = {"_from_model_config", "bos_token_id", "pad_token_id", "decoder_start_token_id", "max_time", "output_attentions"}
    form |= {"output_hidden_states", "output_logits", "output_scores", "return_dict_in_generate", "token_healing"}
    form |= {"remove_invalid_values", "renormalize_logits", "transformers_version"}
    told = keys_of("generation_settings")
    assert not {*GenerationConfig().to_dict()} - ours - beams - speed - form - told
