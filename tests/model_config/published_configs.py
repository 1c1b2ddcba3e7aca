"""Keys and values of published dense decoders' config.json, as far as they bear on the forward pass."""

from __future__ import annotations

import ast

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip
NAMED = {"LLAMA3.1": LLAMA3, "LLAMA3.2": LLAMA3 | {"factor": 32.0}}
PUBLISHED: dict[str, dict] = {}


def add(model_type: str, activation: str, table: str, **common) -> None:
    """A line of `table`: name, hidden, intermediate, layers, heads, KV heads, vocabulary, positions, key=value ..."""
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "vocab_size", "max_position_embeddings")  # fmt: skip
    for line in table.strip().splitlines():
        line = line.replace("SHORT", str([1.0] * 48)).replace("LONG", str([2.0] * 48)).replace(", ", ",")
        name, *words = line.split()
        pairs = (word.split("=") for word in words[len(keys) :])
        own = {key: NAMED.get(value) or ast.literal_eval(value) for key, value in pairs}
        sizes = {key: int(word) for key, word in zip(keys, words)}
        PUBLISHED[name] = {"model_type": model_type, "hidden_act": activation, **sizes, **common, **own}


add("llama", "silu", """
llama-7b 4096 11008 32 32 32 32000 0 max_sequence_length=2048
llama-13b 5120 13824 40 40 40 32000 2048 max_sequence_length=2048
llama-30b 6656 17920 60 52 52 32000 2048 max_sequence_length=2048
llama-65b 8192 22016 80 64 64 32000 2048 max_sequence_length=2048
llama-2-7b 4096 11008 32 32 32 32000 4096 pretraining_tp=1
llama-2-13b 5120 13824 40 40 40 32000 4096
llama-2-70b 8192 28672 80 64 8 32000 4096
code-llama-7b 4096 11008 32 32 32 32016 16384 rope_theta=1e6
code-llama-13b 5120 13824 40 40 40 32016 16384 rope_theta=1e6
code-llama-34b 8192 22016 48 64 8 32000 16384 rope_theta=1e6
vicuna-7b-v1.5 4096 11008 32 32 32 32000 4096
vicuna-7b-v1.5-16k 4096 11008 32 32 32 32000 4096 rope_scaling={"type":"linear","factor":4.0}
tinyllama-1.1b 2048 5632 22 32 4 32000 2048
open-llama-3b 3200 8640 26 32 32 32000 2048
llama-3-8b 4096 14336 32 32 8 128256 8192 rope_theta=5e5
llama-3-70b 8192 28672 80 64 8 128256 8192 rope_theta=5e5
llama-3.1-8b 4096 14336 32 32 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1 mlp_bias=False
llama-3.1-70b 8192 28672 80 64 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1 mlp_bias=False
llama-3.1-405b 16384 53248 126 128 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1 mlp_bias=False
llama-3.2-1b 2048 8192 16 32 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.2 head_dim=64 tie_word_embeddings=True
llama-3.2-3b 3072 8192 28 24 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.2 head_dim=128 tie_word_embeddings=True
llama-3.3-70b 8192 28672 80 64 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1
r1-distill-llama-8b 4096 14336 32 32 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1
r1-distill-llama-70b 8192 28672 80 64 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1
hermes-3-llama-3.1-8b 4096 14336 32 32 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1
tulu-3-8b 4096 14336 32 32 8 128264 131072 rope_theta=5e5 rope_scaling=LLAMA3.1
smollm-135m 576 1536 30 9 3 49152 2048 tie_word_embeddings=True
smollm-360m 960 2560 32 15 5 49152 2048 tie_word_embeddings=True
smollm-1.7b 2048 8192 24 32 32 49152 2048 tie_word_embeddings=True
smollm2-135m 576 1536 30 9 3 49152 8192 rope_theta=1e5 tie_word_embeddings=True rope_interleaved=False
smollm2-360m 960 2560 32 15 5 49152 8192 rope_theta=1e5 tie_word_embeddings=True
smollm2-1.7b 2048 8192 24 32 32 49152 8192 rope_theta=130000 tie_word_embeddings=True
yi-6b 4096 11008 32 32 4 64000 4096 rope_theta=5e6
yi-9b 4096 11008 48 32 4 64000 4096 rope_theta=1e4
yi-34b 7168 20480 60 56 8 64000 4096 rope_theta=5e6
yi-1.5-6b 4096 11008 32 32 4 64000 4096 rope_theta=5e6
yi-1.5-9b 4096 11008 48 32 4 64000 4096 rope_theta=5e6
yi-1.5-34b 7168 20480 60 56 8 64000 4096 rope_theta=5e6
deepseek-llm-7b 4096 11008 30 32 32 102400 4096
deepseek-llm-67b 8192 22016 95 64 8 102400 4096
deepseek-coder-1.3b 2048 5504 24 16 16 32256 16384 rope_theta=1e5 rope_scaling={"type":"linear","factor":4.0}
deepseek-coder-6.7b 4096 11008 32 32 32 32256 16384 rope_theta=1e5 rope_scaling={"type":"linear","factor":4.0}
deepseek-coder-33b 7168 19200 62 56 8 32256 16384 rope_theta=1e5 rope_scaling={"type":"linear","factor":4.0}
solar-10.7b 4096 14336 48 32 8 32000 4096
falcon3-1b 2048 8192 18 8 4 131072 4096 head_dim=256 rope_theta=1000042
falcon3-3b 3072 9216 22 12 4 131072 32768 head_dim=256 rope_theta=1000042
falcon3-7b 3072 23040 28 12 4 131072 32768 head_dim=256 rope_theta=1000042
falcon3-10b 3072 23040 40 12 4 131072 32768 head_dim=256 rope_theta=1000042
granite-code-3b 2560 10240 32 32 32 49152 2048 attention_bias=True mlp_bias=True tie_word_embeddings=True
granite-code-8b 4096 14336 36 32 8 49152 4096 attention_bias=True mlp_bias=True tie_word_embeddings=True
llama-guard-3-8b 4096 14336 32 32 8 128256 131072 rope_theta=5e5 rope_scaling=LLAMA3.1
nous-yarn-llama-2-7b-64k 4096 11008 32 32 32 32000 65536 rope_scaling={"type":"yarn","factor":16.0,"original_max_position_embeddings":4096}
internlm3-as-llama-8b 4096 10240 48 32 2 128512 32768 rope_theta=5e7 head_dim=128 rope_scaling={"rope_type":"dynamic","factor":6.0}
minicpm5-as-llama 2048 6144 24 16 2 130560 131072 rope_theta=5e6 head_dim=128
cosmo-1b 2048 8192 24 16 16 32000 2048
amber-7b 4096 11008 32 32 32 32000 2048
baichuan-as-llama-7b 4096 11008 32 32 32 125696 4096
saul-as-llama-8b 4096 14336 32 32 8 128256 8192 rope_theta=5e5
""", rms_norm_eps=1e-5)  # fmt: skip
add("mistral", "silu", """
mistral-7b-v0.1 4096 14336 32 32 8 32000 32768 sliding_window=4096 rope_theta=1e4
mistral-7b-v0.2 4096 14336 32 32 8 32000 32768 sliding_window=None rope_theta=1e6
mistral-7b-v0.3 4096 14336 32 32 8 32768 32768 sliding_window=None rope_theta=1e6
mistral-nemo-12b 5120 14336 40 32 8 131072 1024000 sliding_window=None rope_theta=1e6 head_dim=128
mistral-small-22b 6144 16384 56 48 8 32768 32768 sliding_window=None rope_theta=1e6 head_dim=128
mistral-small-24b 5120 32768 40 32 8 131072 32768 sliding_window=None rope_theta=1e8 head_dim=128
mistral-large-123b 12288 28672 88 96 8 32768 131072 sliding_window=None rope_theta=1e6 head_dim=128
codestral-22b 6144 16384 56 48 8 32768 32768 sliding_window=None rope_theta=1e6
mathstral-7b 4096 14336 32 32 8 32768 32768 sliding_window=None rope_theta=1e6
zephyr-7b-beta 4096 14336 32 32 8 32000 32768 sliding_window=4096 rope_theta=1e4
openchat-3.5 4096 14336 32 32 8 32002 8192 sliding_window=4096 rope_theta=1e4
e5-mistral-7b 4096 14336 32 32 8 32000 32768 sliding_window=4096 rope_theta=1e4
ministral-8b 4096 12288 36 32 8 131072 32768 sliding_window=32768 rope_theta=1e8 head_dim=128
openhermes-2.5-mistral-7b 4096 14336 32 32 8 32002 32768 sliding_window=4096 rope_theta=1e4
""", rms_norm_eps=1e-5)  # fmt: skip
add("qwen2", "silu", """
qwen1.5-0.5b 1024 2816 24 16 16 151936 32768 tie_word_embeddings=True
qwen1.5-1.8b 2048 5504 24 16 16 151936 32768
qwen1.5-4b 2560 6912 40 20 20 151936 32768 rope_theta=5e6
qwen1.5-7b 4096 11008 32 32 32 151936 32768
qwen1.5-14b 5120 13696 40 40 40 152064 32768
qwen1.5-32b 5120 27392 64 40 8 152064 32768
qwen2-0.5b 896 4864 24 14 2 151936 131072 tie_word_embeddings=True
qwen2-1.5b 1536 8960 28 12 2 151936 131072 tie_word_embeddings=True
qwen2-7b 3584 18944 28 28 4 152064 131072
qwen2-72b 8192 29568 80 64 8 152064 131072
qwen2.5-0.5b 896 4864 24 14 2 151936 32768 tie_word_embeddings=True
qwen2.5-1.5b 1536 8960 28 12 2 151936 131072 tie_word_embeddings=True
qwen2.5-3b 2048 11008 36 16 2 151936 32768 tie_word_embeddings=True
qwen2.5-7b 3584 18944 28 28 4 152064 131072
qwen2.5-14b 5120 13824 48 40 8 152064 131072
qwen2.5-32b 5120 27648 64 40 8 152064 131072
qwen2.5-72b 8192 29568 80 64 8 152064 131072
qwen2.5-coder-1.5b 1536 8960 28 12 2 151936 32768 tie_word_embeddings=True
qwen2.5-coder-7b 3584 18944 28 28 4 152064 32768
qwen2.5-coder-32b 5120 27648 64 40 8 152064 32768
qwen2.5-math-1.5b 1536 8960 28 12 2 151936 4096 rope_theta=1e4 tie_word_embeddings=True
qwen2.5-math-7b 3584 18944 28 28 4 152064 4096 rope_theta=1e4
qwq-32b 5120 27648 64 40 8 152064 40960
r1-distill-qwen-1.5b 1536 8960 28 12 2 151936 131072 rope_theta=1e4
r1-distill-qwen-7b 3584 18944 28 28 4 152064 131072 rope_theta=1e4
r1-distill-qwen-14b 5120 13824 48 40 8 152064 131072
r1-distill-qwen-32b 5120 27648 64 40 8 152064 131072
""", rms_norm_eps=1e-6, rope_theta=1e6, use_sliding_window=False, sliding_window=32768, max_window_layers=28)  # fmt: skip
add("qwen3", "silu", """
qwen3-0.6b 1024 3072 28 16 8 151936 40960 tie_word_embeddings=True
qwen3-1.7b 2048 6144 28 16 8 151936 40960 tie_word_embeddings=True
qwen3-4b 2560 9728 36 32 8 151936 40960 tie_word_embeddings=True
qwen3-8b 4096 12288 36 32 8 151936 40960
qwen3-14b 5120 17408 40 40 8 151936 40960
qwen3-32b 5120 25600 64 64 8 151936 40960
qwen3-4b-2507 2560 9728 36 32 8 151936 262144 tie_word_embeddings=True rope_theta=5e6
r1-0528-qwen3-8b 4096 12288 36 32 8 151936 131072 rope_scaling={"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768,"attn_factor":0.8782488562869419}
""", rms_norm_eps=1e-6, rope_theta=1e6, head_dim=128, attention_bias=False, use_sliding_window=False)  # fmt: skip
add("olmo2", "silu", """
olmo-2-1b 2048 8192 16 16 16 100352 4096
olmo-2-7b 4096 11008 32 32 32 100352 4096
olmo-2-13b 5120 13824 40 40 40 100352 4096
olmo-2-32b 5120 27648 64 40 8 100352 4096
""", rms_norm_eps=1e-6, rope_theta=5e5, attention_bias=False)  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192, "beta_fast": 32, "beta_slow": 1,
        "attention_factor": 1.2079441541679836}  # fmt: skip
add("olmo3", "silu", """
olmo-3-7b 4096 11008 32 32 32 100278 65536
olmo-3-32b 5120 27648 64 40 8 100278 65536
""", rms_norm_eps=1e-6, rope_theta=5e5, rope_scaling=YARN, attention_bias=False, sliding_window=4096)  # fmt: skip
add("gemma2", "gelu_pytorch_tanh", """
gemma-2-2b 2304 9216 26 8 4 256000 8192 head_dim=256 query_pre_attn_scalar=256
gemma-2-9b 3584 14336 42 16 8 256000 8192 head_dim=256 query_pre_attn_scalar=256
gemma-2-27b 4608 36864 46 32 16 256000 8192 head_dim=128 query_pre_attn_scalar=144
shieldgemma-2b 2304 9216 26 8 4 256000 8192 head_dim=256 query_pre_attn_scalar=256
""", hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6, sliding_window=4096, attn_logit_softcapping=50.0,
    final_logit_softcapping=30.0, cache_implementation="hybrid")  # fmt: skip
add("gemma3_text", "gelu_pytorch_tanh", """
gemma-3-270m 640 2048 18 4 1 262144 32768
gemma-3-1b 1152 6912 26 4 1 262144 32768
""", hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6, head_dim=256, query_pre_attn_scalar=256, sliding_window=512,
    sliding_window_pattern=6, rope_theta=1e6, rope_local_base_freq=1e4)  # fmt: skip
for name, hidden, intermediate, layers, heads in (
    ("gemma-3-4b", 2560, 10240, 34, {}),
    ("gemma-3-12b", 3840, 15360, 48, {"num_attention_heads": 16, "num_key_value_heads": 8}),
    ("gemma-3-27b", 5376, 21504, 62, {"num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128, "query_pre_attn_scalar": 168}),
):  # fmt: skip
    text = {"model_type": "gemma3_text", "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
            "sliding_window": 1024, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, **heads}  # fmt: skip
    PUBLISHED[name] = {"model_type": "gemma3", "text_config": text, "mm_tokens_per_image": 256, "eos_token_id": [1, 106]}
add("gpt_neox", "gelu", """
pythia-14m 128 512 6 4 0 50304 2048
pythia-31m 256 1024 6 8 0 50304 2048
pythia-70m 512 2048 6 8 0 50304 2048
pythia-160m 768 3072 12 12 0 50304 2048
pythia-410m 1024 4096 24 16 0 50304 2048
pythia-1b 2048 8192 16 8 0 50304 2048
pythia-1.4b 2048 8192 24 16 0 50304 2048
pythia-2.8b 2560 10240 32 32 0 50304 2048
pythia-6.9b 4096 16384 32 32 0 50432 2048
pythia-12b 5120 20480 36 40 0 50688 2048
gpt-neox-20b 6144 24576 44 64 0 50432 2048 hidden_act="gelu_fast"
dolly-v2-3b 2560 10240 32 32 0 50280 2048
dolly-v2-12b 5120 20480 36 40 0 50280 2048
redpajama-incite-3b 2560 10240 32 32 0 50432 2048 rotary_pct=1.0 use_parallel_residual=False
stablelm-base-alpha-3b 4096 16384 16 32 0 50688 4096
japanese-gpt-neox-3.6b 2816 11264 36 22 0 32000 2048 rotary_pct=1.0 use_parallel_residual=False
""", layer_norm_eps=1e-5, rotary_pct=0.25, rotary_emb_base=10000, use_parallel_residual=True)  # fmt: skip
for name, width, layers, heads in (
    ("gpt2", 768, 12, 12), ("gpt2-medium", 1024, 24, 16), ("gpt2-large", 1280, 36, 20), ("gpt2-xl", 1600, 48, 25),
    ("distilgpt2", 768, 6, 12), ("dialogpt-medium", 1024, 24, 16),
):  # fmt: skip
    PUBLISHED[name] = {"model_type": "gpt2", "n_embd": width, "n_layer": layers, "n_head": heads, "n_positions": 1024,
                       "n_ctx": 1024, "vocab_size": 50257, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
                       "summary_type": "cls_index", "attn_pdrop": 0.1}  # fmt: skip
add("phi3", "silu", """
phi-3-mini-4k 3072 8192 32 32 32 32064 4096 sliding_window=2047 original_max_position_embeddings=4096
phi-3-mini-128k 3072 8192 32 32 32 32064 131072 sliding_window=262144 rope_scaling={"type":"longrope","short_factor":SHORT,"long_factor":LONG} original_max_position_embeddings=4096
phi-3-medium-4k 5120 17920 40 40 10 32064 4096 sliding_window=2047 original_max_position_embeddings=4096
phi-4 5120 17920 40 40 10 100352 16384 sliding_window=None rope_theta=250000 original_max_position_embeddings=16384
phi-4-reasoning 5120 17920 40 40 10 100352 32768 sliding_window=None rope_theta=500000 original_max_position_embeddings=32768
phi-3.5-mini 3072 8192 32 32 32 32064 131072 sliding_window=262144 rope_scaling={"type":"longrope","short_factor":SHORT,"long_factor":LONG} original_max_position_embeddings=4096
phi-4-mini 3072 8192 32 24 8 200064 131072 sliding_window=262144 partial_rotary_factor=0.75 rope_scaling={"type":"longrope","short_factor":SHORT,"long_factor":LONG} original_max_position_embeddings=4096 tie_word_embeddings=True
""", rms_norm_eps=1e-5)  # fmt: skip
for config in PUBLISHED.values():  # keys that the folder does not have
    for key in [key for key, value in config.items() if value == 0 and type(value) is int]:
        del config[key]
