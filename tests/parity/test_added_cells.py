"""A donor's cells where base has none: zeros before a base of one token, against the attention written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prompt_texts import write_pairs
from rvsweep_cli import read_results, write_config
from rvsweep_cli import run as run_rvsweep

FIRST_LAYER = 2


def with_zero_cells(layer, n: int):
    """The layer's attention with n more cells whose keys score 0 and whose values add nothing."""
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    own = layer.self_attn

    def forward(hidden_states, position_embeddings, **_):
        batch, tokens, _ = hidden_states.shape
        heads = [
            project(hidden_states).view(batch, tokens, -1, own.head_dim).transpose(1, 2)
            for project in (own.q_proj, own.k_proj, own.v_proj)
        ]
        q, k = apply_rotary_pos_emb(*heads[:2], *position_embeddings)
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, heads[2]))
        score = q @ k.transpose(2, 3) * own.scaling
        score = torch.cat([torch.zeros(*score.shape[:3], n), score], -1).softmax(-1)[..., n:]
        return own.o_proj((score @ v).transpose(1, 2).reshape(batch, tokens, -1)), None

    return forward


def first_log_probabilities(model, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0, -1].double().log_softmax(-1)


def test_zeros_before_a_base_of_one_token_are_a_change(rvsweep, demo_model, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pair = {"pair": "p", "source": "The harbour is quiet tonight and the lamps go out.", "base": "Hello"}
    prompts = write_pairs(tmp_path / "pairs.jsonl", [pair])
    config = write_config(tmp_path / "job.cfg", demo_model, prompts, [f"kv_cache layers={FIRST_LAYER}:30"], 1, 3, 1)
    settings = ["sweep.control=zero", "run.dtype=float32", "run.threads=1"]
    sets = [word for setting in settings for word in ("--set", setting)]
    done = run_rvsweep(rvsweep, "run", "--config", config, "--device", "cpu", "--out", tmp_path / "out", *sets)
    assert done.returncode == 0, done.stderr
    rows = read_results(tmp_path / "out" / "results.h5").rows

    tokenizer = AutoTokenizer.from_pretrained(demo_model)
    base, source = (tokenizer(pair[side]).input_ids for side in ("base", "source"))
    assert len(base) == 1
    model = AutoModelForCausalLM.from_pretrained(demo_model, dtype=torch.float32, attn_implementation="eager").eval()
    plain = first_log_probabilities(model, base)
    for layer in model.model.layers[FIRST_LAYER:]:
        layer.self_attn.forward = with_zero_cells(layer, len(source) - 1)
    zero = first_log_probabilities(model, base)

    assert list(rows["status"]) == ["ok", "ok"], rows["reason"]
    assert rows["kl_first"][1] == pytest.approx(float((plain.exp() * (plain - zero)).sum()), rel=1e-3)
    assert rows["cells_changed"][1] == (30 - FIRST_LAYER) * (len(source) - 1) * model.config.num_key_value_heads
    assert np.array_equal(rows["change_norm"][1:], [0.0])  # there was nothing, and zero is written
