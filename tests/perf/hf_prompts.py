"""Prompts continued greedily by transformers, padded on the left; prints the new tokens of each as JSON.

python hf_prompts.py MODEL DTYPE THREADS PROMPTS.json STEPS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def main(folder: str, dtype: str, threads: str, prompts: str, steps: str) -> None:
    torch.set_num_threads(int(threads))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(Path(folder) / "tokenizer.json"), padding_side="left")
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    model.generation_config.eos_token_id = None
    inputs = tokenizer(json.loads(Path(prompts).read_text()), return_tensors="pt", padding=True)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    with torch.inference_mode():
        made = model.generate(ids, attention_mask=mask, max_new_tokens=int(steps), do_sample=False, pad_token_id=0)
    print(json.dumps(made[:, ids.shape[1] :].tolist()))


if __name__ == "__main__":
    main(*sys.argv[1:])
