"""A forward pass in plain PyTorch: every key, value, position and mask is a tensor in sight.

It reads a model folder (family_spec.py says which) and uses nothing of transformers, which it is checked against. Every
site can be edited, and its activations are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from family_spec import read_family_spec

# Where a forward pass can be patched, in the order in which a block meets them; heads of each: query, KV or one.
SITES = ("resid_pre", "q_proj", "k_proj", "v_proj", "z", "attn_out", "mlp_out", "resid_post")

Edit = Callable[[str, int, Tensor], Tensor]  # (site, layer, [T, heads, size]) -> the same shape


@dataclass(frozen=True)
class Cells:
    """Keys and values of consecutive cache cells of one layer, each [C, n_kv_heads, head_dim]; keys are rotated."""

    keys: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, cut: slice) -> Cells:
        return Cells(self.keys[cut], self.values[cut])


def joined(parts: Sequence[Cells]) -> Cells:
    return Cells(torch.cat([p.keys for p in parts]), torch.cat([p.values for p in parts]))


@dataclass(frozen=True)
class Pass:
    """What T tokens left behind."""

    cells: list[Cells]  # per layer, of these tokens alone
    activations: dict[str, list[Tensor]]  # site -> per layer [T, heads, size], edits included
    logits: Tensor  # [vocab] of the last token


class ExplicitModel:
    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32):
        self.spec = read_family_spec(folder)
        self.inv_freq = self.spec.inverse_frequencies()
        files = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
        self.weights = {name: tensor.to(dtype) for file in files for name, tensor in file.items()}
        unlike = (self.weights.keys() ^ self.spec.parameters()) - ({"lm_head.weight"} if self.spec.tied_head else set())
        if unlike:
            raise ValueError(f"{folder} and its family's definition differ in {sorted(unlike)}")
        if self.spec.tied_head:  # a head that the files hold all the same stays
            self.weights.setdefault("lm_head.weight", self.weights["model.embed_tokens.weight"])

    @property
    def n_layers(self) -> int:
        return self.spec.n_layers

    @property
    def n_kv_heads(self) -> int:
        return self.spec.n_kv_heads

    def linear(self, name: str, x: Tensor) -> Tensor:
        out = x @ self.weights[name + ".weight"].T
        return out + self.weights[name + ".bias"] if name.split(".")[-1] in self.spec.biases else out

    def norm(self, name: str, x: Tensor) -> Tensor:
        return self.weights[name + ".weight"] * (x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.spec.epsilon))

    def rotate(self, x: Tensor, positions: Tensor | int) -> Tensor:
        """x [T, heads, head_dim] turned to (or by) `positions`: pairs (i, i + head_dim/2), in float64."""
        positions = torch.as_tensor(positions, dtype=torch.float64).expand(len(x))
        angles = positions[:, None, None] * self.inv_freq
        cos, sin = angles.cos(), angles.sin()
        first, second = x.double().chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)

    def attend(self, queries: Tensor, seen: Cells, bias: Tensor) -> Tensor:
        """queries [T, n_heads, head_dim] over cells, `bias` [T, C] added to the scores -> [T, n_heads, head_dim]."""
        group = self.spec.n_heads // self.spec.n_kv_heads
        keys = seen.keys.repeat_interleave(group, dim=1)
        values = seen.values.repeat_interleave(group, dim=1)
        scores = torch.einsum("thd,chd->htc", queries, keys) / math.sqrt(queries.shape[-1])
        return torch.einsum("htc,chd->thd", torch.softmax(scores + bias, dim=-1), values)

    def forward(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        past: Sequence[Cells] | None = None,
        edit: Edit | None = None,
        copies: Sequence[Tensor] | None = None,
    ) -> Pass:
        """Tokens that see all of `past` (per layer), each other causally, and themselves.

        A cell of `past` counts as often as `copies` (per layer [C]) says: ln of it is added to its score.
        """
        count = len(tokens)
        where = torch.tensor(list(positions))
        causal = torch.full((count, count), -math.inf).triu(1)
        activations: dict[str, list[Tensor]] = {site: [] for site in SITES}
        cells = []

        def at(site: str, x: Tensor) -> Tensor:
            """x [T, heads * size] edited; kept by head."""
            parts = x.reshape(count, self.spec.heads_of(site), -1)
            if edit is not None:
                parts = edit(site, len(activations[site]), parts)
            activations[site].append(parts)
            return parts

        x = self.weights["model.embed_tokens.weight"][list(tokens)]
        for index in range(self.n_layers):
            block = f"model.layers.{index}"
            x = at("resid_pre", x).flatten(1)
            h = self.norm(block + ".input_layernorm", x)
            projected = (at(s, self.linear(f"{block}.self_attn.{s}", h)) for s in ("q_proj", "k_proj", "v_proj"))
            queries, keys, values = projected
            if self.spec.head_norms:
                queries = self.norm(block + ".self_attn.q_norm", queries)
                keys = self.norm(block + ".self_attn.k_norm", keys)
            own = Cells(self.rotate(keys, where), values)
            cells.append(own)
            seen = own if past is None else joined((past[index], own))
            counted = torch.zeros(len(seen) - count) if copies is None else copies[index].log()
            bias = torch.cat((counted.expand(count, -1), causal), dim=1)
            z = at("z", self.attend(self.rotate(queries, where), seen, bias).flatten(1))
            x = x + at("attn_out", self.linear(block + ".self_attn.o_proj", z.flatten(1))).flatten(1)
            h = self.norm(block + ".post_attention_layernorm", x)
            gate, up = (self.linear(f"{block}.mlp.{name}_proj", h) for name in ("gate", "up"))
            x = x + at("mlp_out", self.linear(block + ".mlp.down_proj", gate * torch.sigmoid(gate) * up)).flatten(1)
            x = at("resid_post", x).flatten(1)
        return Pass(cells, activations, self.unembed(x[-1]))

    def unembed(self, x: Tensor) -> Tensor:
        """Final norm and head: logits of a residual stream [..., hidden]."""
        return self.linear("lm_head", self.norm("model.norm", x))
