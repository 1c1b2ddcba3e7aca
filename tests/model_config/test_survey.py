"""Published configurations are read as transformers reads them: number of parameters, positions, and what is unusual."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from processes import call
from prompt_texts import pairs_of_lengths, write_pairs
from published_configs import PUBLISHED
from rvsweep_cli import write_config


@pytest.fixture(scope="module")
def plans(rvsweep, tiny_model, tmp_path_factory) -> dict[str, dict]:
    """Name -> what `plan --json` says with drawn weights, and its errors."""
    folder = tmp_path_factory.mktemp("survey")
    tokenizer = tiny_model("llama31") / "tokenizer.json"
    prompts = write_pairs(folder / "pairs.jsonl", pairs_of_lengths(Tokenizer.from_file(str(tokenizer)), [(20, 20)]))

    def plan(name: str) -> dict:
        model = folder / name
        model.mkdir()
        shutil.copy(tokenizer, model)
        (model / "config.json").write_text(json.dumps(PUBLISHED[name]))
        config = write_config(folder / f"{name}.cfg", model, prompts, ["base"], 1, 2, 4)
        words = ["--config", config, "--device", "cpu", "--set", "run.dtype=float32", "--random-weights"]
        result = call([rvsweep, "plan", *words, "--json"])
        said = json.loads(result.stdout) if result.returncode == 0 else {}
        return said | {"folder": model, "errors": result.stderr}

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(PUBLISHED, pool.map(plan, PUBLISHED)))


def test_at_least_120_are_read(plans):
    refused = {name: said["errors"] for name, said in plans.items() if "memory" not in said}
    assert not refused
    assert len(PUBLISHED) >= 120


def parameters_in_transformers(folder: Path) -> int:
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(getattr(config, "text_config", config))
    return sum(parameter.numel() for parameter in model.parameters())


# One of each shape of a family.
SOME = ["llama-3.2-1b", "granite-code-3b", "mistral-nemo-12b", "qwen2-0.5b", "qwen3-0.6b", "olmo-2-1b", "olmo-3-7b", "gemma-2-2b",
        "gemma-3-1b", "gemma-3-27b", "pythia-70m", "gpt2", "phi-3-mini-4k", "phi-4-mini"]  # fmt: skip


@pytest.mark.parametrize("name", SOME)
def test_there_are_as_many_parameters_as_in_transformers(plans, name):
    said, config = plans[name], PUBLISHED[name]
    text = AutoConfig.from_pretrained(said["folder"]).get_text_config()
    table = text.vocab_size * text.hidden_size if text.tie_word_embeddings else 0  # a tied head is packed once more
    assert said["memory"]["weights"] == 4 * (parameters_in_transformers(said["folder"]) + table), config["model_type"]


def test_no_key_is_unknown(plans):
    """But one that only SmolLM2's folder has."""
    lines = {line for said in plans.values() for line in said["errors"].splitlines() if "is not known" in line}
    assert [line for line in lines if "rope_interleaved" not in line] == []
