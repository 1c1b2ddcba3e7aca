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
        self.inv_freq = [self.spec.inverse_frequencies(layer) for layer in range(self.spec.n_layers)]
        files = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
        held = {name: tensor.to(dtype) for file in files for name, tensor in file.items()}
        self.weights = self.spec.renamed(held)
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
        weight, kind = self.weights[name + ".weight"], self.spec.family.norm
        if kind == "layer":
            x = x - x.mean(-1, keepdim=True)
        x = x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.spec.epsilon)
        if kind == "layer":
            return x * weight + self.weights[name + ".bias"]
        return x * (1 + weight) if kind == "rms of 1 + weight" else x * weight

    def norm_heads(self, name: str, x: Tensor) -> Tensor:
        """x [T, heads, head_dim], each head normed or all as one vector."""
        if self.spec.family.qk_norm == "all heads":
            return self.norm(name, x.flatten(1)).view_as(x)
        return self.norm(name, x)

    def activate(self, x: Tensor) -> Tensor:
        if self.spec.activation == "silu":
            return x * torch.sigmoid(x)
        if self.spec.activation == "gelu":
            return x * (1 + torch.erf(x / math.sqrt(2))) / 2
        return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2

    def rotate(self, layer: int, x: Tensor, positions: Tensor | int, scale: float = 1.0) -> Tensor:
        """x [T, heads, head_dim] turned to (or by) `positions`: pairs (i, i + h) of the first 2 h elements, in float64."""
        positions = torch.as_tensor(positions, dtype=torch.float64).expand(len(x))
        half = len(self.inv_freq[layer])
        angles = positions[:, None, None] * self.inv_freq[layer]
        cos, sin = scale * angles.cos(), scale * angles.sin()
        first, second, rest = x.double().split([half, half, x.shape[-1] - 2 * half], dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1).to(x.dtype)

    def attend(self, queries: Tensor, seen: Cells, bias: Tensor) -> Tensor:
        """queries [T, n_heads, head_dim] over cells, `bias` [T, C] added to the scores -> [T, n_heads, head_dim]."""
        group = self.spec.n_heads // self.spec.n_kv_heads
        keys = seen.keys.repeat_interleave(group, dim=1)
        values = seen.values.repeat_interleave(group, dim=1)
        scores = torch.einsum("thd,chd->htc", queries, keys) / math.sqrt(self.spec.query_scalar)
        if self.spec.score_cap:
            scores = self.spec.score_cap * torch.tanh(scores / self.spec.score_cap)
        return torch.einsum("htc,chd->thd", torch.softmax(scores + bias, dim=-1), values)

    def forward(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        past: Sequence[Cells] | None = None,
        edit: Edit | None = None,
        copies: Sequence[Tensor] | None = None,
    ) -> Pass:
        """Tokens that see all of `past` (per layer), each other causally, and themselves; of these cells the last ones
        alone in layers with a sliding window.

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

        x = self.weights["model.embed_tokens.weight"][list(tokens)] * self.spec.embedding_scale
        if not self.spec.rotates:
            x = x + self.weights["model.embed_positions.weight"][where]
        for index in range(self.n_layers):
            block = f"model.layers.{index}"
            norms, scale = self.spec.norms(block), self.spec.rotation_scale(index)
            normed = lambda what, x: self.norm(norms[what], x) if what in norms else x
            x = at("resid_pre", x).flatten(1)
            before = x
            h = normed("attention reads", x)
            projected = (at(s, self.linear(f"{block}.self_attn.{s}", h)) for s in ("q_proj", "k_proj", "v_proj"))
            queries, keys, values = projected
            if self.spec.family.qk_norm:
                queries = self.norm_heads(block + ".self_attn.q_norm", queries)
                keys = self.norm_heads(block + ".self_attn.k_norm", keys)
            own = Cells(self.rotate(index, keys, where, scale), values)
            cells.append(own)
            seen = own if past is None else joined((past[index], own))
            counted = torch.zeros(len(seen) - count) if copies is None else copies[index].log()
            bias = torch.cat((counted.expand(count, -1), causal), dim=1)
            if self.spec.windows[index]:
                before = torch.arange(len(seen) - count, len(seen))[:, None] - torch.arange(len(seen))
                bias = bias.masked_fill(before >= self.spec.windows[index], -math.inf)
            z = at("z", self.attend(self.rotate(index, queries, where, scale), seen, bias).flatten(1))
            out = normed("attention adds", self.linear(block + ".self_attn.o_proj", z.flatten(1)))
            x = x + at("attn_out", out).flatten(1)
            h = normed("mlp reads", before if self.spec.parallel else x)
            up = self.linear(f"{block}.mlp.up_proj", h)
            inner = self.activate(self.linear(f"{block}.mlp.gate_proj", h)) * up if self.spec.family.gated else self.activate(up)
            x = x + at("mlp_out", normed("mlp adds", self.linear(block + ".mlp.down_proj", inner))).flatten(1)
            x = at("resid_post", x).flatten(1)
        return Pass(cells, activations, self.unembed(x[-1]))

    def unembed(self, x: Tensor) -> Tensor:
        """Final norm and head: logits of a residual stream [..., hidden]."""
        logits = self.linear("lm_head", self.norm("model.norm", x))
        cap = self.spec.logit_cap
        return cap * torch.tanh(logits / cap) if cap else logits
