"""A Llama-family step in NumPy float64 with every attention sum written out: it checks the Hugging Face reference.

One token at a time, no masks and no cache object: a cell is (key, value, copies), and attending to `copies`
equal cells is the same as adding ln(copies) to the logit of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass
class Cell:
    key: np.ndarray  # [n_kv_heads, head_dim], rotated
    value: np.ndarray  # [n_kv_heads, head_dim]
    copies: float = 1.0


Cache = list[list[Cell]]  # per layer


class ExplicitLlama:
    def __init__(self, model: torch.nn.Module):
        self.weights = {name: p.detach().double().numpy() for name, p in model.state_dict().items()}
        self.inv_freq = model.model.rotary_emb.inv_freq.double().numpy()
        self.n_layers = model.config.num_hidden_layers
        self.n_heads = model.config.num_attention_heads
        self.n_kv_heads = model.config.num_key_value_heads
        self.epsilon = model.config.rms_norm_eps

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.weights[name + ".weight"] @ x + self.weights.get(name + ".bias", 0.0)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.weights[name + ".weight"] * x / np.sqrt((x**2).mean() + self.epsilon)

    def rotate(self, x: np.ndarray, position: int) -> np.ndarray:
        """x [heads, head_dim]: each pair (i, i + head_dim/2) as a complex number times e^(i*position*inv_freq)."""
        half = x.shape[1] // 2
        turned = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * position * self.inv_freq)
        return np.concatenate((turned.real, turned.imag), axis=1)

    def attend(self, query: np.ndarray, cells: Sequence[Cell]) -> np.ndarray:
        """query [n_heads, head_dim] -> [n_heads * head_dim]."""
        group = self.n_heads // self.n_kv_heads
        out = []
        for head, q in enumerate(query):
            logits = np.array([c.key[head // group] @ q / np.sqrt(len(q)) + np.log(c.copies) for c in cells])
            share = np.exp(logits - logits.max())
            share /= share.sum()
            out.append(sum(s * c.value[head // group] for s, c in zip(share, cells)))
        return np.concatenate(out)

    def step(self, token: int, position: int, cache: Cache) -> tuple[np.ndarray, list[Cell]]:
        """Logits [vocab] of one token that sees `cache` and itself, and its own cell of every layer."""
        x = self.weights["model.embed_tokens.weight"][token]
        own = []
        for index in range(self.n_layers):
            layer = f"model.layers.{index}"
            h = self.norm(layer + ".input_layernorm", x)
            q, k, v = (self.linear(f"{layer}.self_attn.{name}_proj", h) for name in "qkv")
            query = self.rotate(q.reshape(self.n_heads, -1), position)
            cell = Cell(self.rotate(k.reshape(self.n_kv_heads, -1), position), v.reshape(self.n_kv_heads, -1))
            x = x + self.linear(layer + ".self_attn.o_proj", self.attend(query, [*cache[index], cell]))
            h = self.norm(layer + ".post_attention_layernorm", x)
            gate, up = self.linear(layer + ".mlp.gate_proj", h), self.linear(layer + ".mlp.up_proj", h)
            x = x + self.linear(layer + ".mlp.down_proj", gate / (1 + np.exp(-gate)) * up)
            own.append(cell)
        return self.linear("lm_head", self.norm("model.norm", x)), own

    def prompt(self, tokens: Sequence[int], first_position: int = 0) -> Cache:
        cache: Cache = [[] for _ in range(self.n_layers)]
        for offset, token in enumerate(tokens):
            for cells, cell in zip(cache, self.step(token, first_position + offset, cache)[1]):
                cells.append(cell)
        return cache

    def kv_cache_logits(
        self,
        base: Sequence[int],
        source: Sequence[int],
        layers: Sequence[int],
        entry: str,
        growth: str,
        align: str,
        path: Sequence[int],
    ) -> np.ndarray:
        """Logits [len(path), vocab] of a kv_cache arm whose generated tokens are `path`.

        rerotate reads the donor at positions moved by n-m, which is the same as turning its keys afterwards.
        """
        cut = -1 if entry == "hold_last" else None
        cells = self.prompt(base[:cut])
        donor = self.prompt(source[:cut], len(base) - len(source) if align == "rerotate" else 0)
        fed: Cache = [[] for _ in range(self.n_layers)]
        logits = []
        for t, token in enumerate([base[-1], *path[:-1]], start=1):
            visible = []
            for l in range(self.n_layers):
                if l not in layers:
                    visible.append(cells[l] + fed[l])
                elif growth == "append":
                    visible.append(donor[l] + fed[l])
                elif growth == "frozen":
                    visible.append(donor[l])
                else:
                    visible.append([Cell(c.key, c.value, t) for c in donor[l]] + fed[l])
            row, own = self.step(token, len(base[:cut]) + t - 1, visible)
            logits.append(row)
            for seen, cell in zip(fed, own):
                seen.append(cell)
        return np.stack(logits)
