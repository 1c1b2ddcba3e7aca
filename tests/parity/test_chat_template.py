"""Prompts in a named chat template against transformers' apply_chat_template with the template that the model ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

import make_llama3_tokenizer
import make_mistral_tokenizer
from mixed_lines import mixed_lines
from test_tokenizer import differing, tokenize

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token}}{% endif %}{% endfor %}"
)
LLAMA2 = (
    "{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)
CASES = {
    "smollm2": ("SmolLM2", None),  # the template in the demo model's own tokenizer_config.json
    "chatml": ("SmolLM2", CHATML),
    "qwen2": ("SmolLM2", QWEN2),
    "llama3": ("Llama 3", LLAMA3),
    "mistral": ("Mistral", MISTRAL),
    "llama2": ("Mistral", LLAMA2),
}


def tokenizer_folder(model: str, demo_model: Path) -> Path:
    makers = {"Llama 3": make_llama3_tokenizer.make, "Mistral": make_mistral_tokenizer.make}
    return makers[model]() if model in makers else demo_model


@pytest.mark.parametrize("name", CASES)
def test_a_prompt_has_the_tokens_of_the_models_template(rvsweep, demo_model, name, parity_notes):
    model, jinja = CASES[name]
    folder = tokenizer_folder(model, demo_model)
    bos = "<|begin_of_text|>" if model == "Llama 3" else "<s>" if model == "Mistral" else None
    reference = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), bos_token=bos)
    if jinja is None:
        jinja = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    special = list(reference.get_added_vocab())
    prompts = [" a prompt\u3000\n", "x\x1f", *filter(None, mixed_lines(seed=25, count=600, special=special[:3]))]
    wanted = [
        reference.apply_chat_template(
            [{"role": "user", "content": prompt}],
            chat_template=jinja,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
        )
        for prompt in prompts
    ]
    wrong = differing(prompts, tokenize(rvsweep, folder, prompts, "--json", "--template", name), wanted)
    assert not wrong, f"{len(wrong)} of {len(prompts)} prompts:\n" + "\n".join(wrong[:5])
    parity_notes.append(f"chat template {name}: {len(prompts)} prompts give the same ids")
