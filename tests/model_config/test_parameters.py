"""A family's parameters are those of transformers: names and shapes, none missing, none to spare."""

from __future__ import annotations

import shutil

import pytest
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, GPT2Config, GPTNeoXConfig
from transformers import LlamaConfig, MinistralConfig, MistralConfig, Olmo2Config, Olmo3Config
from transformers import Phi3Config, Qwen2Config, Qwen3Config

import tiny_models
from processes import call
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import write_config

SHAPE = tiny_models.COMMON | {"num_hidden_layers": 2, "head_dim": 24}
PLAIN = {key: value for key, value in tiny_models.COMMON.items() if key != "num_key_value_heads"}
CONFIGS = {
    "llama": LlamaConfig(**SHAPE),
    "llama with biases": LlamaConfig(**SHAPE, attention_bias=True),
    "llama with a tied head": LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "mistral": MistralConfig(**SHAPE),
    "mistral with a tied head": MistralConfig(**SHAPE, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen2 with a tied head": Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SHAPE),
    "qwen3 with biases and a tied head": Qwen3Config(**SHAPE, attention_bias=True, tie_word_embeddings=True),
    "llama with biases in the MLP": LlamaConfig(**SHAPE, mlp_bias=True),
    "ministral": MinistralConfig(**SHAPE),
    "olmo3": Olmo3Config(**tiny_models.COMMON),
    "olmo2 with biases": Olmo2Config(**tiny_models.COMMON, attention_bias=True),
    "gemma2": Gemma2Config(**SHAPE),
    "gemma2 with biases and its own head": Gemma2Config(**SHAPE, attention_bias=True, tie_word_embeddings=False),
    "gemma3": Gemma3TextConfig(**SHAPE),
    "gpt_neox": GPTNeoXConfig(**PLAIN),
    "gpt_neox with a tied head and fewer biases": GPTNeoXConfig(**PLAIN, attention_bias=False, tie_word_embeddings=True),
    "gpt2": GPT2Config(vocab_size=tiny_models.VOCABULARY, n_embd=64, n_layer=2, n_head=4),
    "phi3": Phi3Config(**tiny_models.COMMON),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_weights_that_transformers_writes_are_all_known(case, rvsweep, tiny_model, tmp_path):
    """A plan needs every parameter with its shape, and refuses a tensor that is none (tests/cli/test_bad_input.py)."""
    model = tmp_path / "model"
    AutoModelForCausalLM.from_config(CONFIGS[case]).save_pretrained(model)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model("llama31") / name, model)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    prompts = write_pairs(tmp_path / "pairs.jsonl", pairs_of_lengths(tokenizer, [(20, 20)]))
    config = write_config(tmp_path / "job.cfg", model, prompts, ["base"], 0, 1, 4)
    result = call([rvsweep, "plan", "--config", config, "--device", "cpu"])
    assert result.returncode == 0, result.stderr
